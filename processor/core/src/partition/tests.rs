//! A sweep beside the stream: who is looked at when, and that it does not matter.

use super::*;
use crate::event::{Catalog, RecordWriter};
use crate::testing::{Asks, Memory, Stage, engine, written};

fn purchases(least: f64) -> Asks {
    Asks::Purchases { over: 100, least }
}

const fn silence(least: f64) -> Asks {
    Asks::Silence { of: "purchase", least }
}

/// Two generations of rules and what is between them.
struct Rules {
    old: Engine,
    new: Engine,
    change: Change,
}

impl Rules {
    fn new(old: &[(&str, &str, Asks)], new: &[(&str, &str, Asks)]) -> Self {
        let (old, new) = (engine(old), engine(new));
        let change = Change::between(&old, &new);
        Self { old, new, change }
    }

    fn before(&self) -> InForce<'_> {
        InForce::steady(&self.old)
    }

    fn after(&self) -> InForce<'_> {
        InForce { engine: &self.new, change: Some((&self.old, &self.change)) }
    }
}

/// A partition with a purchase each of these customers, at 0, 1, 2, ...
fn stage(rules: &Rules, customers: &[&str]) -> Stage {
    let mut stage = Stage::default();
    stage.partition.generation = 1;
    for (at, id) in customers.iter().enumerate() {
        stage.event(rules.before(), "purchase", at as Millis, id);
    }
    stage
}

/// One rule goes, another comes.
fn swap() -> Rules {
    Rules::new(&[("a", "1", purchases(1.0))], &[("b", "1", purchases(1.0))])
}

#[test]
fn the_sweep_goes_by_length_and_bytes_and_stops_anywhere() {
    let rules = swap();
    let mut stage = stage(&rules, &["b", "aa", "ab", "a"]);
    stage.partition.adopt(2, &rules.change);
    let judged = |id: &str| vec![format!("3 a {id} rule_changed"), format!("3 b {id} condition_met")];
    for (budget, expected) in [(1, vec!["a"]), (2, vec!["b", "aa"])] {
        let expected: Vec<String> = expected.into_iter().flat_map(judged).collect();
        assert_eq!(stage.sweep(rules.after(), budget), (Swept::More, expected));
    }
    assert_eq!(stage.sweep(rules.after(), 9), (Swept::Done, judged("ab")));
    assert_eq!(stage.partition.sweep, None);
    assert_eq!(stage.sweep(rules.after(), 9), (Swept::Done, vec![]));
    assert!(stage.states.passed_over.is_empty());
}

/// Even if the last customer is not there to be met.
#[test]
fn a_repetition_goes_exactly_as_far() {
    let rules = swap();
    let sweep = |customers: &[&str], last: &str| {
        let mut stage = stage(&rules, customers);
        stage.partition.adopt(2, &rules.change);
        let judged = |found: Vec<String>| found.iter().filter(|line| line.ends_with("rule_changed")).count();
        let mut out = Judged::default();
        stage.partition.sweep_through(rules.after(), &mut stage.states, last, &mut out).unwrap();
        let through = (judged(crate::testing::told(&out.transitions)), stage.partition.sweep.clone().unwrap().judged);
        let (swept, rest) = stage.sweep(rules.after(), 9);
        assert_eq!(swept, Swept::Done);
        (through, judged(rest))
    };
    let last = |id: &str| Some(id.into());
    assert_eq!(sweep(&["b", "aa", "cc", "a"], "aa"), ((3, last("aa")), 1));
    assert_eq!(sweep(&["b", "aa", "cc", "a"], "bb"), ((3, last("bb")), 1));
    assert_eq!(sweep(&["b", "aa", "cc", "a"], "0"), ((0, last("0")), 4));
    assert_eq!(sweep(&["b", "aa", "cc", "a"], "zzz"), ((4, last("zzz")), 0));
    let mut done = Partition::default();
    done.sweep_through(rules.after(), &mut Stage::default().states, "b", &mut Judged::default()).unwrap();
    assert_eq!(done, Partition::default());
}

#[test]
fn whoever_comes_first_is_judged_at_the_clock_of_the_change() {
    // The new silence is reached at 10 by whoever bought at 0; the change is at 5.
    let rules = Rules::new(&[("a", "1", purchases(1.0))], &[("q", "1", silence(10.0))]);
    let swept_at = |swept_at: Option<Millis>, moves: &[Millis]| {
        let mut stage = stage(&rules, &["c"]);
        stage.event(rules.before(), "complaint", 5, "other");
        stage.partition.adopt(2, &rules.change);
        let mut found = vec![];
        for &at in moves {
            if swept_at == Some(at) {
                found.extend(stage.sweep(rules.after(), 9).1);
            }
            found.extend(stage.event(rules.after(), "complaint", at, "other"));
        }
        found.extend(stage.event(rules.after(), "complaint", 20, "c"));
        let own: Vec<String> = found.into_iter().filter(|line| line.contains(" c ")).collect();
        own
    };
    let expected = ["5 a c rule_changed", "10 q c condition_met"];
    // By the sweep before it is due and after; by its own event before and after; by the old rule's timer at 100.
    assert_eq!(swept_at(Some(6), &[6, 15]), expected);
    assert_eq!(swept_at(Some(15), &[6, 15, 16]), expected);
    assert_eq!(swept_at(None, &[6]), expected);
    assert_eq!(swept_at(None, &[6, 15]), expected);
    assert_eq!(swept_at(None, &[6, 15, 150]), expected);
}

#[test]
fn what_has_become_due_since_is_judged_in_order_and_the_rest_waits_for_its_timer() {
    let old = [("a", "1", purchases(1.0))];
    let rules =
        Rules::new(&old, &[old[0], ("q", "1", silence(10.0)), ("r", "1", silence(8.0)), ("s", "1", silence(60.0))]);
    let mut stage = stage(&rules, &["c"]);
    stage.partition.adopt(2, &rules.change);
    stage.event(rules.after(), "complaint", 50, "other");
    let (swept, found) = stage.sweep(rules.after(), 9);
    assert_eq!(
        (swept, found),
        (Swept::Done, vec!["8 r c condition_met".to_owned(), "10 q c condition_met".to_owned()])
    );
    assert_eq!(stage.customer("c").armed.get(), Some(60));
    assert_eq!(stage.event(rules.after(), "complaint", 60, "other"), ["60 s c condition_met"]);
}

#[test]
fn who_was_adopted_early_is_not_adopted_again() {
    let rules = swap();
    let mut stage = stage(&rules, &["c", "d"]);
    stage.partition.adopt(2, &rules.change);
    let found = stage.event(rules.after(), "complaint", 2, "d");
    assert_eq!(found, ["1 a d rule_changed", "1 b d condition_met"]);
    assert_eq!(stage.customer("d").generation, 2);
    assert_eq!(stage.customer("c").generation, 0);
    let (_, found) = stage.sweep(rules.after(), 9);
    assert_eq!(found, ["1 a c rule_changed", "1 b c condition_met"]);
}

#[test]
fn whom_the_sweep_has_passed_is_adopted_whatever_the_mark_says() {
    // Of the count of three nobody is near: nothing changes for `c`.
    let rules = Rules::new(&[("a", "1", purchases(3.0))], &[("b", "1", purchases(3.0))]);
    let mut stage = stage(&rules, &["c", "d"]);
    stage.customer("c").changed = false;
    stage.partition.adopt(2, &rules.change);
    stage.sweep(rules.after(), 1);
    assert_eq!((stage.customer("c").changed, &*stage.states.passed_over), (false, &["c".into()][..]));
    // As if it had been read from the store again.
    stage.customer("c").generation = 1;
    stage.event(rules.after(), "purchase", 3, "c");
    assert_eq!(stage.event(rules.after(), "purchase", 4, "c"), ["4 b c condition_met"]);
    assert_eq!(stage.customer("c").generation, 1);
}

#[test]
fn unwritten_changes_are_still_to_be_written_after_the_sweep() {
    let rules = Rules::new(&[("a", "1", purchases(3.0))], &[("b", "1", purchases(3.0))]);
    let mut stage = stage(&rules, &["c"]);
    assert!(stage.customer("c").changed);
    stage.partition.adopt(2, &rules.change);
    stage.sweep(rules.after(), 9);
    assert!(stage.customer("c").changed);
}

#[test]
fn strangers_get_the_mark_and_nothing_else() {
    let none = Asks::Purchases { over: 100, least: 0.0 };
    let rules = Rules::new(&[("a", "1", purchases(1.0))], &[("b", "1", none)]);
    let mut stage = stage(&rules, &["c"]);
    stage.partition.adopt(2, &rules.change);
    stage.customer("z");
    assert_eq!(stage.event(rules.after(), "complaint", 3, "d"), ["3 b d condition_met"]);
    stage.sweep(rules.after(), 9);
    assert_eq!((stage.customer("z").generation, stage.customer("d").generation), (2, 2));
    assert_eq!(stage.states.passed_over, ["d".into(), "z".into()]);
}

#[test]
fn there_is_no_sweep_without_a_change_or_without_an_event() {
    let (same, other) = (Rules::new(&[], &[]), swap());
    let mut empty = Stage::default();
    empty.partition.adopt(2, &other.change);
    assert_eq!((empty.partition.generation, &empty.partition.sweep), (2, &None));
    let mut stage = stage(&other, &["c"]);
    stage.partition.adopt(2, &same.change);
    assert_eq!((stage.partition.generation, &stage.partition.sweep), (2, &None));
}

#[test]
fn a_rule_that_comes_back_within_an_instant_counts_its_firings() {
    let rules = Rules::new(&[("a", "1", purchases(1.0))], &[]);
    let back = Rules::new(&[], &[("a", "1", purchases(1.0))]);
    let mut stage = stage(&rules, &["c"]);
    let mut generation = 1;
    let mut turn = |stage: &mut Stage, rules: &Rules| {
        generation += 1;
        stage.partition.adopt(generation, &rules.change);
        stage.sweep(rules.after(), 9).1
    };
    assert_eq!(turn(&mut stage, &rules), ["0 a c rule_changed"]);
    assert_eq!(turn(&mut stage, &back), ["0 a c condition_met again 1"]);
    assert_eq!(turn(&mut stage, &rules), ["0 a c rule_changed again 1"]);
    stage.event(rules.after(), "complaint", 7, "other");
    // Nothing needs to be told apart any more.
    let same = Rules::new(&[], &[("x", "1", purchases(9.0))]);
    turn(&mut stage, &same);
    assert!(stage.customer("c").alerts.is_empty());
    let again = Rules::new(&[("x", "1", purchases(9.0))], &[("a", "1", purchases(1.0))]);
    assert_eq!(turn(&mut stage, &again), ["7 a c condition_met"]);
}

/// Held windows go by their place in the set, and places change with the order of rules, for which nobody is swept.
#[test]
fn windows_in_memory_are_those_of_the_rules_in_force() {
    let narrow = ("n", "1", Asks::Purchases { over: 50, least: 30.0 });
    let wide = ("w", "1", Asks::Purchases { over: 1_000, least: 190.0 });
    let rules = Rules::new(&[narrow, wide], &[wide, narrow]);
    let mut stage = Stage::default();
    let mut found = vec![];
    for at in 0..400 {
        if at == 200 {
            stage.partition.adopt(2, &rules.change);
            assert_eq!(stage.partition.sweep, None);
        }
        let in_force = if at < 200 { rules.before() } else { rules.after() };
        found.extend(stage.event(in_force, "purchase", at, "c"));
    }
    assert!(!stage.customer("c").timeline.is_small());
    assert_eq!(found, ["29 n c condition_met", "189 w c condition_met"]);
}

#[test]
fn an_event_ahead_of_its_record_moves_the_watermark_to_the_records_time_only() {
    let rules = swap();
    let settings = TimeSettings { max_out_of_orderness: 10, max_future_skew: 50 };
    let (mut partition, mut states, mut writer) = (Partition::default(), Memory::default(), RecordWriter::default());
    let mut take = |at: Millis, recorded_at: Millis| {
        let record = written(&mut writer, Catalog::type_id("purchase"), "p");
        let event = Event { customer_id: "c", occurred_at: at, record };
        let (origin, mut out) = (Origin::recorded(Some(recorded_at)), Judged::default());
        let taken = partition.take(rules.before(), &settings, &mut states, &event, origin, &mut out).unwrap();
        (taken, partition.watermark)
    };
    assert_eq!(take(150, 100), (Taken::Judged(Outcome::Accepted), Some(90)));
    assert_eq!(take(171, 120), (Taken::Future, Some(90)));
    assert_eq!(take(110, 120), (Taken::Judged(Outcome::Late), Some(100)));
}

#[test]
fn the_watermark_is_the_smallest_of_the_inputs() {
    let rules = swap();
    let settings = TimeSettings { max_out_of_orderness: 10, max_future_skew: 50 };
    let mut partition = Partition { inputs: vec![None, None], ..Partition::default() };
    let (mut states, mut writer) = (Memory::default(), RecordWriter::default());
    let mut take = |partition: &mut Partition, input: usize, at: Millis| {
        let record = written(&mut writer, Catalog::type_id("purchase"), "p");
        let event = Event { customer_id: "c", occurred_at: at, record };
        let (origin, mut out) = (Origin { input, recorded_at: None }, Judged::default());
        partition.take(rules.before(), &settings, &mut states, &event, origin, &mut out).unwrap();
        partition.watermark
    };
    assert_eq!(take(&mut partition, 0, 150), None);
    // There is a customer, so new rules have somebody to look at.
    let mut adopting = partition.clone();
    adopting.adopt(2, &rules.change);
    assert_eq!(adopting.sweep, Some(Sweep { watermark: None, judged: None }));
    assert_eq!(take(&mut partition, 1, 120), Some(110));
    assert_eq!(take(&mut partition, 0, 400), Some(110));
    assert_eq!(take(&mut partition, 1, 100), Some(110));
    assert_eq!(take(&mut partition, 1, 200), Some(190));
    // The wall clock moves all of them, and none back.
    partition.advance(300);
    assert_eq!((partition.watermark, &*partition.inputs), (Some(300), &[Some(390), Some(300)][..]));
    assert_eq!(take(&mut partition, 1, 500), Some(390));
}
