//! The wall clock: when it may move a partition's watermark, and when not.

use std::collections::BTreeMap;

use tocsin::codec::journal::Step;
use tocsin::task::world::Source;
use tocsin_core::time::{HOUR, MINUTE, Millis, SECOND};

use crate::memory_world::{Disk, SharedLog, rows};
use crate::setup::{BASE, Member, Options, alert, event, journal, json, log_of, member, round, time};

const IDLE_AFTER: Millis = 10 * SECOND;

/// One purchase at `BASE`, read at that time: the customer is quiet at `BASE` and an hour, and no earlier.
fn one_purchase(options: &Options) -> (SharedLog, Disk, Member) {
    let purchase = event("c", &json("p", "purchase", "c", BASE, ",\"amount\":5"), BASE);
    let log = log_of(BTreeMap::from([(0, vec![purchase])]), BASE);
    let disk = Disk::default();
    let mut member = member(0, &log, &disk, options);
    rounds_at(&log, &mut member, BASE);
    assert!(log.lock().unwrap().alerts.is_empty());
    (log, disk, member)
}

fn options() -> Options {
    Options { idle_after: Some(IDLE_AFTER), ..Options::default() }
}

fn rounds_at(log: &SharedLog, member: &mut Member, now: Millis) {
    log.lock().unwrap().now = now;
    (0..6).for_each(|_| round(member));
}

fn alerts(log: &SharedLog) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let alerts: Vec<_> =
        log.lock().unwrap().alerts.iter().map(|record| alert(record.payload.as_deref().unwrap())).collect();
    alerts.iter().map(|alert| (text(&alert["rule_id"]), text(&alert["occurred_at"]))).collect()
}

/// The first wall clock at which an hour of silence is certain.
const DUE: Millis = BASE + HOUR + MINUTE;

fn quiet_at(at: Millis) -> Vec<(String, String)> {
    vec![("quiet".to_owned(), time(at))]
}

#[test]
fn silence_is_noticed_at_its_instant_once_the_clock_has_passed_it() {
    let (log, _, mut member) = one_purchase(&options());
    rounds_at(&log, &mut member, DUE - 1);
    assert_eq!(alerts(&log), []);
    rounds_at(&log, &mut member, DUE);
    assert_eq!(alerts(&log), quiet_at(BASE + HOUR));
    rounds_at(&log, &mut member, DUE + MINUTE);
    assert_eq!(alerts(&log).len(), 1);
}

/// Pauses and intervals go by a clock that only runs on: with the wall clock they would last until it is where it was.
#[test]
fn a_clock_that_is_set_back_holds_nothing_up() {
    let (log, _, mut member) = one_purchase(&options());
    log.lock().unwrap().set_ahead = 9 * HOUR;
    rounds_at(&log, &mut member, BASE + SECOND);
    log.lock().unwrap().set_ahead = 0;
    let journaled = |log: &SharedLog| log.lock().unwrap().journal[&0].len();
    let before = journaled(&log);
    let purchase = event("c", &json("q", "purchase", "c", BASE + 2 * SECOND, ",\"amount\":5"), BASE + 2 * SECOND);
    log.lock().unwrap().input.get_mut(&0).unwrap().push(purchase);
    rounds_at(&log, &mut member, BASE + 2 * SECOND);
    rounds_at(&log, &mut member, BASE + 3 * SECOND);
    assert_eq!(journaled(&log), before + 1, "the purchase is published at once");
    rounds_at(&log, &mut member, DUE + 2 * SECOND);
    assert_eq!(alerts(&log), quiet_at(BASE + 2 * SECOND + HOUR));
}

#[test]
fn a_tick_is_journaled_only_if_it_makes_something_due_and_is_repeated() {
    let (log, disk, mut member) = one_purchase(&options());
    let before = journal(&log, 0).len();
    rounds_at(&log, &mut member, DUE - 1);
    assert_eq!(journal(&log, 0).len(), before, "nothing was due");
    rounds_at(&log, &mut member, DUE + 7);
    let records = journal(&log, 0);
    assert_eq!(records.len(), before + 1);
    assert_eq!(records[before].steps, [Step::Tick { watermark: BASE + HOUR + 7 }]);
    assert_eq!(records[before].to.watermark, Some(BASE + HOUR + 7));
    // A replay, with no store to begin with, comes to the same, and finds nothing more to do.
    give_back(&mut member);
    let elsewhere = Disk::default();
    let mut again = crate::setup::member(0, &log, &elsewhere, &options());
    rounds_at(&log, &mut again, DUE + 7);
    assert_eq!((alerts(&log).len(), journal(&log, 0).len()), (1, before + 1));
    assert_eq!(rows(&disk, 0), rows(&elsewhere, 0));
    rounds_at(&log, &mut again, DUE + HOUR);
    assert_eq!(alerts(&log).len(), 2, "the next step of the ladder");
}

/// The partition is given back, and so its store is written.
fn give_back(member: &mut Member) {
    member.world().revoke(0, false);
    while member.world().holds(0) {
        round(member);
    }
}

#[test]
fn not_before_the_partition_has_been_silent_for_long_enough() {
    let (log, _, mut member) = one_purchase(&options());
    // Somebody else's event arrives when the silence is already certain, but does not move the watermark there.
    let late = event("d", &json("d", "feedback", "d", BASE + MINUTE, ""), BASE + MINUTE);
    log.lock().unwrap().input.get_mut(&0).unwrap().push(late);
    rounds_at(&log, &mut member, DUE + HOUR / 2);
    assert_eq!(alerts(&log), [], "an event has just come");
    rounds_at(&log, &mut member, DUE + HOUR / 2 + IDLE_AFTER - 1);
    assert_eq!(alerts(&log), []);
    rounds_at(&log, &mut member, DUE + HOUR / 2 + IDLE_AFTER);
    // The other one is quiet a minute later, since nothing but feedback came.
    let [first, second] = [quiet_at(BASE + HOUR), quiet_at(BASE + HOUR + MINUTE)];
    assert_eq!(alerts(&log), [first, second].concat());
}

#[test]
fn not_while_an_upstream_transaction_hides_what_comes_next() {
    let (log, _, mut member) = one_purchase(&options());
    let purchase = event("c", &json("p2", "purchase", "c", BASE + MINUTE, ",\"amount\":5"), BASE + MINUTE);
    {
        let mut log = log.lock().unwrap();
        log.input.get_mut(&0).unwrap().push(purchase);
        log.open_at.insert(Source::first(0), 1);
    }
    rounds_at(&log, &mut member, DUE + HOUR / 2);
    assert_eq!(alerts(&log), [], "the purchase is there, but cannot be read yet");
    log.lock().unwrap().open_at.clear();
    rounds_at(&log, &mut member, DUE + HOUR / 2);
    rounds_at(&log, &mut member, DUE + HOUR / 2 + IDLE_AFTER);
    assert_eq!(alerts(&log), quiet_at(BASE + HOUR + MINUTE));
}

#[test]
fn not_without_an_answer_from_the_broker() {
    let (log, _, mut member) = one_purchase(&options());
    member.world().hiccups.extend([true; 100]);
    rounds_at(&log, &mut member, DUE);
    assert_eq!(alerts(&log), []);
    member.world().hiccups.clear();
    rounds_at(&log, &mut member, DUE);
    assert_eq!(alerts(&log), quiet_at(BASE + HOUR));
}

#[test]
fn not_when_the_feed_is_taken_for_broken() {
    let (log, _, mut member) = one_purchase(&Options { feed_timeout: Some(HOUR), ..options() });
    rounds_at(&log, &mut member, DUE);
    assert_eq!(alerts(&log), []);
    let alive = event("d", &json("d", "feedback", "d", BASE + MINUTE, ""), BASE + MINUTE);
    log.lock().unwrap().input.get_mut(&0).unwrap().push(alive);
    rounds_at(&log, &mut member, DUE);
    rounds_at(&log, &mut member, DUE + IDLE_AFTER);
    assert_eq!(alerts(&log), quiet_at(BASE + HOUR), "the feed is back");
}

#[test]
fn never_means_never() {
    let (log, _, mut member) = one_purchase(&Options { idle_after: None, ..options() });
    rounds_at(&log, &mut member, DUE + 1_000 * HOUR);
    assert_eq!(alerts(&log), []);
}
