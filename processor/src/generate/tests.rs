//! What is asked for is what comes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tocsin_core::time::{DAY, MINUTE, SECOND};

use super::*;
use crate::codec::decode::Decoder;
use crate::codec::schemas::Schemas;

fn small() -> Settings {
    Settings { events: 60_000, customers: 12_000, span: 120 * DAY, leaving: 40, complaining: 40, ..Settings::default() }
}

fn events(settings: Settings) -> Vec<Event> {
    Load::new(settings).unwrap().collect()
}

fn lines(settings: Settings) -> String {
    let (writer, mut line, mut out) = (LineWriter::new(settings.seed), Vec::new(), Vec::new());
    for event in events(settings) {
        writer.write(&event, &mut line);
        out.extend_from_slice(&line);
        out.push(b'\n');
    }
    String::from_utf8(out).unwrap()
}

/// The share of events that are so.
fn share(events: &[Event], mut is_so: impl FnMut(&Event) -> bool) -> f64 {
    events.iter().filter(|event| is_so(event)).count() as f64 / events.len() as f64
}

#[track_caller]
fn check_near(what: &str, found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= within, "{what}: {found}, expected {expected} within {within}");
}

#[test]
fn a_seed_gives_one_load_and_another_seed_another() {
    let settings = Settings { events: 3_000, profiles: true, duplicates: 0.05, complaining: 5, ..small() };
    let first = lines(settings.clone());
    assert_eq!(first, lines(settings.clone()));
    assert_ne!(first, lines(Settings { seed: 2, ..settings }));
}

/// Beside the test above, which two equal mistakes would pass: a load that was quoted stays what it was.
#[test]
fn the_reference_load_begins_as_it_always_did() {
    let writer = LineWriter::new(1);
    let mut line = Vec::new();
    let first: Vec<String> = Load::new(Settings::default())
        .unwrap()
        .take(3)
        .map(|event| {
            writer.write(&event, &mut line);
            String::from_utf8(line.clone()).unwrap()
        })
        .collect();
    assert_eq!(first, REFERENCE_BEGINS);
}

const REFERENCE_BEGINS: [&str; 3] = [
    r#"{"id":"e-0","type":"purchase","customer_id":"c-816842","occurred_at":"2026-01-01T00:00:47.794Z","amount":57.06,"currency":"EUR","order_id":"o-0","category":"sports","channel":"shop","status":"completed"}"#,
    r#"{"id":"e-1","type":"interaction","customer_id":"c-217519","occurred_at":"2026-01-01T00:00:48.670Z","channel":"app","direction":"outbound","purpose":"follow_up","automatic":true,"agent_id":"a-224"}"#,
    r#"{"id":"e-2","type":"purchase","customer_id":"c-734155","occurred_at":"2026-01-01T00:00:25.225Z","amount":81.96,"currency":"EUR","order_id":"o-2","category":"kitchen","channel":"app","status":"completed"}"#,
];

#[test]
fn every_line_is_an_event_of_the_shipped_schemas_and_nothing_in_it_is_ignored() {
    let mix = "interaction=3,purchase=3,complaint=3,feedback=1,profile=1,score=1".parse().unwrap();
    let text = lines(Settings { mix, profiles: true, duplicates: 0.01, ..small() });
    let mut decoder = Decoder::new(Arc::new(Schemas::shipped()));
    let mut types = HashSet::new();
    for line in text.lines() {
        let event = decoder.decode(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {}", error.message));
        assert!(event.customer_id.starts_with("c-"), "{line}");
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        types.insert(value["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(decoder.ignored_fields(), 0);
    assert_eq!(types.len(), Type::ALL.len());
}

#[test]
fn the_mix_is_as_asked_with_the_steps_of_tickets_in_it() {
    for span in [DAY, 10 * DAY, 180 * DAY] {
        let settings = Settings { span, complaining: 20, ..small() };
        let events = events(settings.clone());
        assert_eq!(events.len() as u64, settings.events);
        for of in Type::ALL {
            let found = share(&events, |event| event.kind.of() == of);
            check_near(of.name(), found, settings.mix.share(of), 0.012);
        }
    }
}

#[test]
fn weights_of_the_mix_are_read_and_refused() {
    let mix: Mix = "purchase=3,complaint=1".parse().unwrap();
    assert_eq!((mix.share(Type::Purchase), mix.share(Type::Complaint), mix.share(Type::Score)), (0.75, 0.25, 0.0));
    for text in ["", "purchase", "buy=1", "purchase=x", "purchase=-1", "purchase=0", "purchase=nan"] {
        assert!(text.parse::<Mix>().is_err(), "{text}");
    }
}

#[test]
fn customers_have_events_by_their_rank() {
    for (density, expected) in [(0.0, 0.1), (0.5, 0.316), (1.0, 0.754), (2.0, 0.999)] {
        let settings = Settings { density, leaving: 0, complaining: 0, ..small() };
        let events = events(settings);
        check_near(&format!("a tenth, {density}"), share(&events, |event| event.rank < 1_200), expected, 0.012);
    }
    let all: HashSet<u64> = events(small()).iter().map(|event| event.customer).collect();
    assert!(all.iter().all(|customer| *customer < 12_000));
    let ranks: HashSet<u64> = events(small()).iter().map(|event| event.rank).collect();
    assert_eq!(all.len(), ranks.len(), "two ranks share a number");
}

#[test]
fn no_event_is_further_behind_than_the_disorder_and_the_span_is_filled() {
    // Arrivals are 7 s apart, so a disorder of a second is seldom seen whole.
    for (disorder, at_least) in [(0, 0), (SECOND, 0), (60 * MINUTE, 55 * MINUTE)] {
        let settings = Settings { disorder, span: 5 * DAY, complaining: 10, profiles: true, ..small() };
        let events = events(settings.clone());
        let (mut latest, mut most_behind) = (settings.start, 0);
        for event in &events {
            assert!((settings.start..=settings.start + settings.span).contains(&event.at));
            latest = latest.max(event.at);
            most_behind = most_behind.max(latest - event.at);
        }
        assert!(most_behind <= disorder, "{most_behind} ms");
        assert!(most_behind >= at_least, "{most_behind} ms is less disorder than was asked for");
        assert!(latest > settings.start + settings.span - DAY / 10);
    }
}

#[test]
fn repeats_are_equal_to_the_letter_and_as_many_as_asked() {
    let text = lines(Settings { duplicates: 0.1, ..small() });
    let mut seen = HashSet::new();
    let repeats = text.lines().filter(|line| !seen.insert(*line)).count();
    check_near("repeats", repeats as f64 / 60_000.0, 0.1, 0.01);
    let ids: HashSet<&str> = seen.iter().map(|line| line.split('"').nth(3).unwrap()).collect();
    assert_eq!(ids.len(), seen.len(), "an id stands for two events");
    let without = lines(small());
    assert_eq!(without.lines().collect::<HashSet<_>>().len(), 60_000);
}

#[test]
fn a_profile_arrives_ahead_of_each_customers_first_event() {
    let mut known = HashSet::new();
    let mut profiles = 0;
    for event in events(Settings { profiles: true, ..small() }) {
        if event.kind == (Kind::Profile { first: true }) {
            assert!(known.insert(event.rank), "a second first profile");
            profiles += 1;
        }
        assert!(known.contains(&event.rank), "{event:?} comes ahead of the profile");
    }
    assert!(profiles > 5_000);
}

#[test]
fn tickets_go_from_step_to_step() {
    let mut at: HashMap<u64, (Step, u64, i64)> = HashMap::new();
    for event in events(small()) {
        let Kind::Complaint { ticket, step } = event.kind else { continue };
        let before = at.insert(ticket, (step, event.rank, event.at));
        let may_follow: &[Step] = match before.map(|(step, ..)| step) {
            None => &[Step::Opened],
            Some(Step::Opened) => &[Step::Answered],
            Some(Step::Answered | Step::Reopened) => &[Step::Resolved],
            Some(Step::Resolved) => &[Step::Reopened],
        };
        assert!(may_follow.contains(&step), "ticket {ticket}: {before:?}, then {step:?}");
        if let Some((_, rank, before)) = before {
            assert!(rank == event.rank && before < event.at, "ticket {ticket}");
        }
    }
    let ended = at.values().filter(|(step, ..)| *step == Step::Resolved).count();
    check_near("resolved at the end", ended as f64 / at.len() as f64, 0.75, 0.1);
}

#[test]
fn the_truth_says_who_leaves_and_who_complains() {
    let settings = Settings { duplicates: 0.01, ..small() };
    let mut load = Load::new(settings.clone()).unwrap();
    let (writer, mut line) = (LineWriter::new(1), Vec::new());
    let mut times: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for event in load.by_ref() {
        if !seen.insert(event.number) {
            continue;
        }
        writer.write(&event, &mut line);
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let is_opening = value["status"] == "opened";
        let at = value["occurred_at"].as_str().unwrap().to_owned();
        times.entry(value["customer_id"].as_str().unwrap().to_owned()).or_default().push((at, is_opening));
    }
    let (mut leaving, mut complaining) = (0, 0);
    for truth in load.truth() {
        match truth {
            Truth::Leaves { customer_id, at, last_event_at, events } => {
                leaving += 1;
                let times = times.remove(&customer_id).unwrap_or_default();
                let last = times.iter().map(|(at, _)| at).max();
                assert_eq!((last, times.len() as u64), (last_event_at.as_ref(), events));
                assert!(last.is_none_or(|last| *last < at), "{customer_id} is still there");
                assert!(events >= 2, "{customer_id} has left without having been there");
            }
            Truth::Complains { customer_id, from, to, complaints } => {
                complaining += 1;
                let (from, to) = (from.unwrap(), to.unwrap());
                let within = |(at, opening): &&(String, bool)| *opening && (&from..=&to).contains(&at);
                assert!(times[&customer_id].iter().filter(within).count() as u64 >= complaints);
                assert!((3..=6).contains(&complaints), "{customer_id}: {complaints}");
                let days = |text: &str| crate::codec::timestamp::parse(text).unwrap() as f64 / DAY as f64;
                assert!(days(&to) - days(&from) < 5.1, "{customer_id}: from {from} to {to}");
            }
        }
    }
    assert_eq!((leaving, complaining), (settings.leaving, settings.complaining));
}

#[test]
fn what_cannot_be_had_is_refused() {
    let refused = |change: fn(&mut Settings)| {
        let mut settings = small();
        change(&mut settings);
        settings.check().is_err()
    };
    assert!(!refused(|_| ()));
    assert!(refused(|settings| settings.events = 0));
    assert!(refused(|settings| settings.density = f64::NAN));
    assert!(refused(|settings| settings.density = -1.0));
    assert!(refused(|settings| settings.duplicates = 0.9));
    assert!(refused(|settings| settings.leaving = 6_000));
    assert!(refused(|settings| settings.complaining = 2_000));
    assert!(refused(|settings| settings.start = tocsin_core::time::LATEST));
    assert!(refused(|settings| settings.disorder = 121 * DAY));
    // However small, the usual numbers of planted customers fit.
    for (events, customers) in [(1, 1), (10, 1_000_000), (1_000, 5_000), (5_000_000, 1_000_000)] {
        let settings = Settings { events, customers, ..Settings::default() }.with_usual_planted();
        assert_eq!(settings.check(), Ok(()), "{events} events of {customers} customers");
        assert_eq!(Load::new(settings).unwrap().count() as u64, events);
    }
}
