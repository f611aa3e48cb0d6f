//! What is held, what is not looked at, and what is not written.

use super::*;
use crate::held::Held;
use crate::partition::InForce;
use crate::rule::Window;
use crate::testing::{Asks, HISTORY, Stage, engine, random, written};

const fn purchases(over: Duration, least: f64) -> Asks {
    Asks::Purchases { over, least }
}

/// Whether the first rule's values, moved on from what is held, are those that are worked out anew.
fn check(engine: &Engine, customer: &Customer, at: Millis) {
    let values = |customer: &mut Customer| {
        values::values(&engine.set, engine.keeping, &engine.set.rules[0], customer, Moment::now(at))
    };
    let anew = &mut Customer { held: Held::default(), ..customer.clone() };
    assert_eq!(values(&mut customer.clone()), values(anew), "at {at}");
}

/// Events leave it and are let go of at the same time.
#[test]
fn a_window_as_long_as_the_history_is_moved_on() {
    let engine = engine(&[("a", "1", purchases(HISTORY, 1e9))]);
    let (mut stage, mut seed, mut at) = (Stage::default(), 1, 0);
    for number in 0..3_000 {
        at += random(&mut seed, 10) as Millis;
        let late = if number % 3 == 0 { random(&mut seed, 900) as Millis } else { 0 };
        stage.event(InForce::steady(&engine), "purchase", at - late, "c");
        check(&engine, stage.customer("c"), at);
    }
    let customer = stage.customer("c");
    assert!(!customer.timeline.is_small());
    // The next one, a whole history later but for a moment: of what is held there is still some use.
    let mut writer = crate::event::RecordWriter::default();
    let purchase = written(&mut writer, Catalog::type_id("purchase"), "last");
    engine.remember(customer, at + HISTORY - 50, purchase);
    let window: &Window = &engine.set.windows[0];
    assert!(customer.held.window(0, window, None).is_some_and(|held| held.is_some()));
}

#[test]
fn what_is_held_for_other_rules_is_of_no_use_when_they_come_back() {
    let [ours, others] =
        [purchases(500, 1e9), Asks::Silence { of: "complaint", least: 1e9 }].map(|asks| engine(&[("a", "1", asks)]));
    let mut stage = Stage::default();
    for at in 0..100 {
        stage.event(InForce::steady(&ours), "purchase", at, "c");
    }
    // No rule of theirs is about it.
    stage.event(InForce::steady(&others), "purchase", 100, "c");
    stage.event(InForce::steady(&ours), "complaint", 101, "c");
    check(&ours, stage.customer("c"), 101);
    stage.event(InForce::steady(&ours), "purchase", 102, "c");
    check(&ours, stage.customer("c"), 102);
}

#[test]
fn a_first_event_is_judged_by_who_has_something_to_say_of_anybody() {
    let anybody = ("anybody", "1", purchases(100, 0.0));
    let engine = engine(&[
        ("some", "1", purchases(100, 1.0)),
        anybody,
        ("quiet", "1", Asks::Silence { of: "purchase", least: 50.0 }),
    ]);
    let by_first = |name: &str| engine.concerned(Catalog::type_id(name)).unwrap().by_first.clone();
    assert_eq!(by_first("complaint"), [1]);
    assert_eq!(by_first("purchase"), [0, 1, 2]);
    let mut stage = Stage::default();
    let found = stage.event(InForce::steady(&engine), "complaint", 7, "c");
    assert_eq!(found, ["7 anybody c condition_met"]);
    assert_eq!(stage.event(InForce::steady(&engine), "purchase", 8, "c"), ["8 some c condition_met"]);
}

#[test]
fn an_event_that_only_postpones_a_deadline_writes_no_timer() {
    let engine = engine(&[("quiet", "1", Asks::Silence { of: "purchase", least: 50.0 })]);
    let mut stage = Stage::default();
    for at in 0..49 {
        stage.event(InForce::steady(&engine), "purchase", at, "c");
        assert_eq!(stage.states.timers.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [50]);
    }
    // When it goes off, the true one is set.
    assert!(stage.event(InForce::steady(&engine), "complaint", 60, "other").is_empty());
    assert_eq!(stage.states.timers.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [98]);
}
