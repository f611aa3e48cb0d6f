//! The model's own second opinion: what must not change, or must change in a known way, when a case is changed.

use super::change::Change;
use super::due::Instants;
use super::generate::{
    Grid, ITEMS, PLAIN, case, case_on, case_with_dates, case_with_items, case_with_values, changing_case,
    changing_case_on, changing_case_with_all,
};
use super::rng::Rng;
use super::rule::Rule;
use super::world::{run, run_at};
use super::{Case, Settings, event};
use serde_json::Value;

const CASES: u64 = 300;

fn without(records: &[Value], field: &str, value: &str) -> Vec<Value> {
    records.iter().filter(|record| record[field] != value).cloned().collect()
}

/// Runs a changed case beside the case it was made of.
fn compare(change: impl Fn(&mut Rng, &mut Case), same: impl Fn(&[Value], &[Value]) -> bool) {
    compare_on(&[case, case_with_values, case_with_items, case_with_dates], change, same);
}

fn compare_on(
    makers: &[fn(u64) -> Case],
    change: impl Fn(&mut Rng, &mut Case),
    same: impl Fn(&[Value], &[Value]) -> bool,
) {
    for (seed, make) in (0..CASES).flat_map(|seed| makers.iter().map(move |make| (seed, make))) {
        let original = make(seed);
        let mut changed = original.clone();
        change(&mut Rng::new(seed), &mut changed);
        let (before, after) = (run(&original).records, run(&changed).records);
        assert!(same(&before, &after), "seed {seed}:\n{original:#?}\n{before:#?}\n{after:#?}");
    }
}

/// The candidates miss nothing: judging every single ms gives the same records.
#[test]
fn every_millisecond_gives_the_same_as_the_candidates() {
    for seed in 0..CASES {
        let mut rng = Rng::new(seed);
        let step = rng.range(2, 7);
        for (make, palette) in [case_on, changing_case_on].into_iter().flat_map(|make| [(make, PLAIN), (make, ITEMS)]) {
            let case = make(&mut rng.clone(), Grid { step }, palette);
            let candidates = run_at(&case, Instants::Candidates).records;
            let every = run_at(&case, Instants::EveryMillisecond).records;
            assert_eq!(candidates, every, "seed {seed}: {case:#?}");
        }
    }
}

#[test]
fn a_change_to_the_same_rules_changes_nothing() {
    let change = |rng: &mut Rng, case: &mut Case| {
        let place = rng.range(0, case.events.len() as i64) as usize;
        case.changes.push(Change { place, rules: case.rules.clone() });
    };
    compare(change, |before, after| before == after);
}

/// Rules that nobody changes do not notice that others do.
#[test]
fn a_rule_that_comes_and_goes_leaves_the_others_alone() {
    let add = |rng: &mut Rng, case: &mut Case| {
        let place = rng.range(0, case.events.len() as i64) as usize;
        let mut more = case.rules.clone();
        more.insert(rng.range(0, more.len() as i64) as usize, Rule { id: "more".to_owned(), ..more[0].clone() });
        let end = rng.range(place as i64, case.events.len() as i64) as usize;
        case.changes.push(Change { place, rules: more });
        case.changes.push(Change { place: end, rules: case.rules.clone() });
    };
    compare(add, |before, after| before == without(after, "rule_id", "more"));
}

/// A stranger who never moves the watermark.
#[test]
fn a_customer_who_moves_no_watermark_changes_nothing_for_the_others() {
    let add = |rng: &mut Rng, case: &mut Case| {
        for n in 0..5 {
            let at = rng.range(1, case.events.len() as i64) as usize;
            let until = case.settings.until_ms.unwrap_or(i64::MAX);
            let before = case.events[..at].iter().map(|event| event.at).filter(|event| *event <= until);
            let Some(latest) = before.max() else { continue };
            let mut stranger = case.events[rng.range(0, case.events.len() as i64 - 1) as usize].clone();
            stranger.customer = "b-stranger".to_owned();
            stranger.id = format!("stranger-{n}");
            stranger.at = stranger.at.min(latest);
            case.events.insert(at, stranger);
        }
    };
    compare(add, |before, after| before == without(after, "customer_id", "b-stranger"));
}

/// All of it once more at the end, and everything twice at once.
#[test]
fn delivering_events_again_changes_nothing() {
    let twice = |_: &mut Rng, case: &mut Case| {
        // What is too old by then and a profile is the one ambiguity of the contract (see `observe`).
        let again = case.events.iter().filter(|event| event.kind != event::PROFILE).cloned().collect::<Vec<_>>();
        case.events = case.events.iter().flat_map(|event| [event.clone(), event.clone()]).collect();
        case.events.extend(again);
        case.settings.history_ms = i64::MAX / 4;
    };
    for (seed, make) in (0..CASES).flat_map(|seed| [(seed, case as fn(u64) -> Case), (seed, case_with_items)]) {
        let mut original = make(seed);
        original.settings.history_ms = i64::MAX / 4;
        let mut changed = original.clone();
        twice(&mut Rng::new(seed), &mut changed);
        assert_eq!(run(&original).records, run(&changed).records, "seed {seed}: {original:#?}");
    }
}

#[test]
fn a_rule_less_takes_away_its_own_records_and_nothing_else() {
    let remove = |_: &mut Rng, case: &mut Case| drop(case.rules.remove(0));
    compare(remove, |before, after| without(before, "rule_id", "rule-1") == after);
}

/// An hour and a ms later all is the same, an hour and a ms later.
#[test]
fn only_differences_of_times_matter() {
    let shift = 3_600_001;
    let later = |_: &mut Rng, case: &mut Case| {
        case.events.iter_mut().for_each(|event| event.at += shift);
        case.settings.until_ms = case.settings.until_ms.map(|until| until + shift);
    };
    let told = |record: &Value| {
        ["transition", "reason", "severity", "rule_id", "values", "evidence"].map(|f| record[f].clone())
    };
    compare_on(&[case, case_with_values, case_with_items], later, |before, after| {
        before.iter().map(told).eq(after.iter().map(told))
    });
}

/// A customer alone is judged by its own clock; the bound is there for others.
#[test]
fn of_one_customer_alone_the_bound_does_not_matter() {
    let alone = |bound: i64| {
        move |_: &mut Rng, case: &mut Case| {
            case.events.iter_mut().for_each(|event| "c".clone_into(&mut event.customer));
            let latest = case.events.iter().map(|event| event.at).max();
            let settings = &case.settings;
            // To the same end on both sides.
            case.settings = Settings { max_out_of_orderness_ms: bound, until_ms: latest, ..settings.clone() };
        }
    };
    for (seed, make) in (0..CASES).flat_map(|seed| [(seed, case as fn(u64) -> Case), (seed, case_with_items)]) {
        let (mut without, mut with) = (make(seed), make(seed));
        alone(0)(&mut Rng::new(seed), &mut without);
        alone(1_000_000)(&mut Rng::new(seed), &mut with);
        assert_eq!(run(&without).records, run(&with).records, "seed {seed}: {with:#?}");
    }
}

/// Every firing is resolved at most once, and what follows it counts up from 0.
#[test]
fn records_of_an_alert_are_an_episode() {
    for (seed, make) in (0..CASES).flat_map(|seed| {
        [case as fn(u64) -> Case, changing_case, case_with_items, changing_case_with_all].map(|make| (seed, make))
    }) {
        let records = run(&make(seed)).records;
        let mut open = std::collections::BTreeMap::new();
        for record in &records {
            let id = record["alert_id"].as_str().unwrap();
            let expected = open.entry(id).or_insert(0_u64);
            assert_eq!(record["sequence"], *expected, "seed {seed}");
            assert_eq!(record["transition"] == "fired", *expected == 0, "seed {seed}");
            *expected = if record["transition"] == "resolved" { u64::MAX } else { *expected + 1 };
        }
    }
}
