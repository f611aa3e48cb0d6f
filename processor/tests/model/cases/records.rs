//! Section 5: what an alert record says.

use super::super::event::PURCHASE;
use super::super::expr::{minutes, number, truth, value};
use super::*;
use serde_json::{Value as Json, json};

fn records(case: &Case) -> Vec<Json> {
    run(case).records
}

fn one_in_ten() -> Rule {
    at_least("r", 1.0, 10)
}

/// A rule whose alert never ends, over what is in 100 ms.
fn shows(lets: &[(&str, Measure)]) -> Rule {
    rule("r", lets, truth(true)).resolve_when(truth(false))
}

/// The evidence of a firing at the last of the events.
fn evidence(lets: &[(&str, Measure)], events: &[Event]) -> Json {
    let last = events.iter().map(|event| event.at).max().unwrap();
    let held_back = value("last").at_least(number(1.0));
    let mut with_last = lets.to_vec();
    with_last.push(("last", count(&["score"], 1)));
    let mut events = events.to_vec();
    let score = Event { kind: "score", at: last, ..purchase(0).id("score") };
    events.push(score);
    let found = records(&case([rule("r", &with_last, held_back)], events));
    assert_eq!(found.len(), 1);
    found[0]["evidence"].clone()
}

cases! {
    n_counts_the_further_firings_of_one_instant:
        [
            "0 r fired medium", "0 r resolved medium cleared", "0 r fired medium", "0 r resolved medium cleared",
            "0 r fired medium",
        ],
        refired();

    values_are_those_of_the_instant_of_the_transition:
        ["0 r fired medium", "10 r resolved medium cleared"],
        case([one_in_ten()], [purchase(0)]).until(100);

    every_event_once_and_ten_at_most:
        ["11 r fired medium"],
        case(
            [rule("r", &[("n", purchases(100)), ("m", purchases(100))], value("n").at_least(number(12.0)))],
            (0..12).map(purchase).collect::<Vec<_>>(),
        );
}

fn refired() -> Case {
    let paid = |id: &str, amount: f64| paid(0, amount).id(id);
    case(
        [rule("r", &[("s", spent(10))], value("s").above(number(0.0)))],
        [paid("1", 1.0), paid("2", -1.0), paid("3", 1.0), paid("4", -1.0), paid("5", 1.0)],
    )
}

#[test]
fn the_whole_record() {
    let found = records(&case([one_in_ten()], [purchase(0)]).until(100));
    let fired = json!({
        // Computed apart from this code: uuid5(uuid5(URL, "urn:tocsin:alert"), "r\x1fc\x1f\x1f1767225600000")
        "alert_id": "41e5632c-499e-5867-bab5-d8612d638a50",
        "sequence": 0,
        "transition": "fired",
        "reason": "condition_met",
        "severity": "medium",
        "previous_severity": null,
        "rule_id": "r",
        "customer_id": "c",
        "item": null,
        "occurred_at": "2026-01-01T00:00:00.000Z",
        "fired_at": "2026-01-01T00:00:00.000Z",
        "values": {"n": 1.0},
                "labels": {},
        "evidence": ["pu0"],
    });
    let mut resolved = fired.clone();
    resolved["sequence"] = json!(1);
    resolved["transition"] = json!("resolved");
    resolved["reason"] = json!("cleared");
    resolved["previous_severity"] = json!("medium");
    resolved["occurred_at"] = json!("2026-01-01T00:00:00.010Z");
    resolved["values"] = json!({"n": 0.0});
    resolved["evidence"] = json!([]);
    assert_eq!(found, [fired, resolved]);
}

#[test]
fn further_firings_of_an_instant_have_their_own_ids() {
    let found = records(&refired());
    let ids: Vec<&str> = found.iter().map(|record| record["alert_id"].as_str().unwrap()).collect();
    let expected = [
        "41e5632c-499e-5867-bab5-d8612d638a50",
        "41e5632c-499e-5867-bab5-d8612d638a50",
        "f9da9ad2-6bd2-54e6-8110-b9cfd772cd7c",
        "f9da9ad2-6bd2-54e6-8110-b9cfd772cd7c",
        "3535b441-3a58-5325-824b-221cd8d9b402",
    ];
    assert_eq!(ids, expected);
    let sequences: Vec<&Json> = found.iter().map(|record| &record["sequence"]).collect();
    assert_eq!(sequences, [0, 1, 0, 1, 0]);
}

#[test]
fn sequence_and_severities_of_an_episode() {
    let at_least = |n: f64| value("n").at_least(number(n));
    let rule = ladder("r", &[("n", purchases(10))], &[(Severity::Low, at_least(1.0)), (Severity::High, at_least(2.0))]);
    let found = records(&case([rule], [purchase(0), purchase(5)]).until(100));
    let told: Vec<String> = found
        .iter()
        .map(|record| ["sequence", "reason", "severity", "previous_severity"].map(|f| record[f].to_string()).join(" "))
        .map(|line| line.replace('"', ""))
        .collect();
    let expected =
        ["0 condition_met low null", "1 severity_raised high low", "2 severity_lowered low high", "3 cleared low low"];
    assert_eq!(told, expected);
    assert!(found.iter().all(|record| record["fired_at"] == "2026-01-01T00:00:00.000Z"));
}

#[test]
fn values_has_every_let() {
    let lets = [
        ("n", purchases(100)),
        ("s", spent(100)),
        ("quiet", silence(&[PURCHASE])),
        ("still", silence_since_first_seen(&["score"])),
        ("never", silence(&["score"])),
    ];
    let mut rule = shows(&lets);
    rule.condition = Condition::When(value("quiet").at_least(minutes(0.5)), None);
    let found = records(&case([rule], [complaint(-500), paid(0, 1.5)]).until(40_000));
    assert_eq!(found[0]["values"], json!({"n": 0.0, "s": 0.0, "quiet": 30.0, "still": 30.5, "never": null}));
}

#[test]
fn evidence_is_what_the_windows_hold_and_what_silences_count_from() {
    let lets =
        [("s", spent(5)), ("quiet", silence(&["complaint"])), ("still", silence_since_first_seen(&["feedback"]))];
    let events = [complaint(-90), complaint(-80), paid(0, 1.0), purchase(1), paid(2, 1.0), paid(5, 1.0)];
    assert_eq!(evidence(&lets, &events), json!(["co-80", "pu2", "pu5", "score"]));
}

#[test]
fn evidence_is_the_latest_by_time_then_arrival_oldest_first() {
    let mut events: Vec<Event> = (0..8).rev().map(purchase).collect();
    events.extend([purchase(7).id("z"), purchase(7).id("a")]);
    let expected = json!(["pu1", "pu2", "pu3", "pu4", "pu5", "pu6", "pu7", "z", "a", "score"]);
    assert_eq!(evidence(&[("n", purchases(100)), ("m", purchases(3))], &events), expected);
}
