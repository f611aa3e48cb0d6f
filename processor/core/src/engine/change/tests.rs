//! What is left alone, what is judged, and what silences find.

use super::*;
use crate::event::{Catalog, RecordWriter};
use crate::testing::{Asks, HISTORY, engine, written};

const MANY: Asks = Asks::Purchases { over: 10, least: 2.0 };
const QUIET: Asks = Asks::Silence { of: "purchase", least: 50.0 };
const STILL: Asks = Asks::Silence { of: "complaint", least: 50.0 };
const SHOWS: Asks = Asks::Shows { silence_of: "purchase", over: 10, least: 2.0 };

type Rules<'a> = &'a [(&'a str, &'a str, Asks)];

/// Expected: places of rules gone, places of rules to judge, and whether anything is to be done at all.
fn check(old: Rules<'_>, new: Rules<'_>, gone: &[usize], judged: &[usize], is_silent: bool) {
    let change = Change::between(&engine(old), &engine(new));
    let places: Vec<usize> = change.judged.iter().map(|(place, _)| *place).collect();
    assert_eq!((&*change.gone, &*places, change.is_silent()), (gone, judged, is_silent), "{old:?} {new:?}");
}

#[test]
fn only_what_is_gone_new_or_changed_is_looked_at() {
    let (a, b) = (("a", "1", MANY), ("b", "1", MANY));
    check(&[a, b], &[a, b], &[], &[], true);
    check(&[a, b], &[b, a], &[], &[], true);
    check(&[], &[], &[], &[], true);
    check(&[a, b], &[b], &[0], &[], false);
    check(&[b], &[a, b], &[], &[0], false);
    check(&[a, b], &[("b", "2", MANY), a], &[], &[0], false);
    check(&[a], &[b], &[0], &[0], false);
}

/// A value that is merely shown is in no version.
#[test]
fn silences_are_looked_for_and_forgotten_whatever_the_versions_say() {
    check(&[("a", "1", MANY)], &[("a", "1", SHOWS)], &[], &[], false);
    check(&[("a", "1", SHOWS)], &[("a", "1", MANY)], &[], &[], false);
    check(&[("a", "1", SHOWS), ("q", "1", QUIET)], &[("a", "1", MANY), ("q", "1", QUIET)], &[], &[], true);
}

const PURCHASE: &str = "purchase";
const COMPLAINT: &str = "complaint";

/// A customer with these events, who remembers these silences `(type, time, event)`.
fn customer(events: &[(&str, Millis, &str)], silences: &[(&str, Millis, &str)]) -> Customer {
    let (mut customer, mut writer) = (Customer::default(), RecordWriter::default());
    for &(name, at, id) in events {
        customer.timeline.insert(at, written(&mut writer, Catalog::type_id(name), id));
        customer.latest = customer.latest.max(at.into());
    }
    let seen = |&(of, at, event_id): &(&str, Millis, &str)| LastSeen { key: key(of), at, event_id: event_id.into() };
    customer.silences = silences.iter().map(seen).collect();
    customer
}

fn key(of: &str) -> u64 {
    crate::event::stable_hash(of)
}

/// Changes from the first rules to the second and says which events the silences then count from, in their order.
fn remembered(old: Rules<'_>, new: Rules<'_>, customer: &mut Customer) -> Vec<String> {
    let (old, new) = (engine(old), engine(new));
    let clock = customer.latest.get().unwrap();
    Change::between(&old, &new).adopt(&old, &new, customer, "c", clock, &mut Judged::default());
    customer.silences.iter().map(|seen| format!("{} {}", seen.at, seen.event_id)).collect()
}

#[test]
fn a_new_silence_counts_from_the_latest_event_that_is_held() {
    let (old, new): (Rules<'_>, Rules<'_>) = (&[("a", "1", MANY)], &[("a", "1", MANY), ("q", "1", QUIET)]);
    let events = [(PURCHASE, 3, "p1"), (PURCHASE, 5, "p2"), (PURCHASE, 5, "p3"), (COMPLAINT, 7, "c1")];
    assert_eq!(remembered(old, new, &mut customer(&events, &[])), ["5 p3"]);
    assert_eq!(remembered(old, new, &mut customer(&events[3..], &[])), [""; 0]);
    let last = 3 + HISTORY;
    for (latest, expected) in [(last, &["3 p1"][..]), (last + 1, &[])] {
        let events = [(PURCHASE, 3, "p1"), (COMPLAINT, latest, "c1")];
        assert_eq!(remembered(old, new, &mut customer(&events, &[])), expected, "{latest}");
    }
}

#[test]
fn what_is_remembered_stays_and_what_nobody_asks_for_goes() {
    let (quiet, still) = (("q", "1", QUIET), ("s", "1", STILL));
    let held = [(COMPLAINT, 1, "c0"), (PURCHASE, 2, "p0")];
    let mut known = customer(&[(PURCHASE, 9, "p1")], &held);
    known.latest = 9.into();
    // The timeline would know better; but what is remembered is not looked for.
    assert_eq!(remembered(&[quiet, still], &[("q", "2", QUIET), still], &mut known.clone()), ["1 c0", "2 p0"]);
    assert_eq!(remembered(&[quiet, still], &[still], &mut known.clone()), ["1 c0"]);
    assert_eq!(remembered(&[quiet, still], &[], &mut known), [""; 0]);
}

/// When the timeline has let go of them, the order of what silences remember is all that tells which came last.
#[test]
fn of_one_instant_the_order_of_arrival_is_kept() {
    let (quiet, still) = (("q", "1", QUIET), ("s", "1", STILL));
    let first_then = [(PURCHASE, 5, "p"), (COMPLAINT, 5, "c")];
    let then_first = [(COMPLAINT, 5, "c"), (PURCHASE, 5, "p")];
    for (events, expected) in [(first_then, ["5 p", "5 c"]), (then_first, ["5 c", "5 p"])] {
        assert_eq!(remembered(&[], &[quiet, still], &mut customer(&events, &[])), expected);
        for (known, rule) in [(0, quiet), (1, still)] {
            let of = [PURCHASE, COMPLAINT][known];
            let held: Vec<_> = events.iter().filter(|(name, ..)| *name == of).copied().collect();
            assert_eq!(remembered(&[rule], &[quiet, still], &mut customer(&events, &held)), expected);
        }
    }
}

#[test]
fn what_changes_nothing_leaves_no_mark() {
    let rules: Rules<'_> = &[("a", "1", MANY), ("q", "1", QUIET)];
    let (old, new) = (engine(rules), engine(&[("q", "1", QUIET), ("b", "1", MANY)]));
    let mut known = customer(&[(PURCHASE, 3, "p1"), (COMPLAINT, 90, "c1")], &[(PURCHASE, 3, "p1")]);
    let before = known.clone();
    Change::between(&old, &new).adopt(&old, &new, &mut known, "c", 90, &mut Judged::default());
    assert_eq!(known, before);
}

/// As after a restart, of whom the store has the state before.
#[test]
fn a_second_time_changes_nothing() {
    let (old, new) = (engine(&[("a", "1", MANY)]), engine(&[("a", "1", MANY), ("q", "1", QUIET), ("s", "1", STILL)]));
    let change = Change::between(&old, &new);
    let mut known = customer(&[(PURCHASE, 3, "p1"), (COMPLAINT, 90, "c1")], &[]);
    change.adopt(&old, &new, &mut known, "c", 90, &mut Judged::default());
    assert_eq!(known.silences.len(), 2);
    let (before, mut out) = (known.clone(), Judged::default());
    change.adopt(&old, &new, &mut known, "c", 90, &mut out);
    assert_eq!((&known, out.transitions.len()), (&before, 0));
}

#[test]
fn a_rule_that_comes_anew_has_the_gate_of_then_alone() {
    let [a, b, c] = ["a", "b", "c"].map(RuleKey::of);
    let sorted = |mut gates: Vec<(RuleKey, Millis)>| {
        gates.sort_unstable();
        gates
    };
    let mut change =
        Change::between(&engine(&[("a", "1", MANY), ("b", "1", MANY)]), &engine(&[("a", "2", MANY), ("b", "1", MANY)]));
    change.gated = vec![a];
    let mut gates = sorted(vec![(a, 5), (b, 5), (c, 5)]);
    change.set_gates(&mut gates, Some(9));
    assert_eq!(gates, sorted(vec![(a, 9), (b, 5)]));
}
