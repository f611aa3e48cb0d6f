//! Section 5: what an alert record says of an item.

use super::super::event::INTERACTION;
use super::super::expr::{age, minutes, number, value};
use super::build::{answered, items, making, mover, once, opened, tickets};
use super::*;
use serde_json::{Value as Json, json};

fn records(case: &Case) -> Vec<Json> {
    run(case).records
}

fn each(case: &Case, field: &str) -> Vec<Json> {
    records(case).into_iter().map(|record| record[field].clone()).collect()
}

#[test]
fn the_whole_record() {
    let rule = tickets().with("n", count(&[INTERACTION], 1).since_the_trigger()).when(age().at_least(minutes(1.0)));
    let found = records(&case([rule], [opened(0, "a"), interaction(500), answered(70_500, "a")]));
    let fired = json!({
        // Computed apart from this code: uuid5(uuid5(URL, "urn:tocsin:alert"), "r\x1fc\x1fa\x1f1767225660000")
        "alert_id": FIRED_ID,
        "sequence": 0,
        "transition": "fired",
        "reason": "condition_met",
        "severity": "medium",
        "previous_severity": null,
        "rule_id": "r",
        "customer_id": "c",
        "item": "a",
        "occurred_at": "2026-01-01T00:01:00.000Z",
        "fired_at": "2026-01-01T00:01:00.000Z",
        "values": {"n": 1.0, "age": 60.0, "trigger": {"status": "opened", "ticket_id": "a"}},
        "labels": {},
        "evidence": ["co0", "in500"],
    });
    let mut resolved = fired.clone();
    resolved["sequence"] = json!(1);
    resolved["transition"] = json!("resolved");
    resolved["reason"] = json!("closed");
    resolved["previous_severity"] = json!("medium");
    resolved["occurred_at"] = json!("2026-01-01T00:01:10.500Z");
    resolved["values"]["age"] = json!(70.5);
    assert_eq!(found, [fired, resolved]);
}

const FIRED_ID: &str = "ca9bfa1d-9a2a-5d64-85a2-790f817e1a35";

#[test]
fn without_by_the_item_is_the_triggers_id() {
    assert_eq!(each(&case([once("r", PURCHASE)], [purchase(0).id("x")]), "item"), ["x"]);
}

#[test]
fn two_firings_of_a_key_at_an_instant_have_ids_of_their_own() {
    let web = |id: &str| purchase(0).text("channel", "web").id(id);
    let ids = each(&case([once("r", PURCHASE).by("channel")], [web("x"), web("y")]), "alert_id");
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn the_trigger_shows_what_it_carries() {
    let event = paid(0, 1.00005).text("channel", "web").with("status", Field::Null).number("quantity", 2.0);
    let values = each(&case([once("r", PURCHASE)], [event]), "values");
    assert_eq!(values, [json!({"age": 0.0, "trigger": {"amount": 1.0, "channel": "web", "quantity": 2.0}})]);
}

#[test]
fn a_moved_opening_shows_as_the_trigger() {
    let first = opened(-30_000, "a").text("priority", "high");
    let found = each(&case([tickets()], [opened(0, "a"), first, answered(10_000, "a")]), "values");
    assert_eq!([&found[0]["age"], &found[1]["age"]], [&json!(0.0), &json!(40.0)]);
    assert_eq!(found[1]["trigger"]["priority"], "high");
}

#[test]
fn what_is_judged_once_shows_the_values_of_its_instant() {
    let rule = once("r", PURCHASE).after(60_000).with("n", count(&[INTERACTION], 90_000));
    let found = records(&case([rule], [mover(95_000), interaction(1), interaction(70_000), purchase(5)]));
    assert_eq!(found[0]["values"], json!({"n": 1.0, "age": 60.0, "trigger": {}}));
    assert_eq!(found[0]["occurred_at"], "2026-01-01T00:01:00.005Z");
    assert_eq!(found[0]["evidence"], json!(["in1", "pu5"]));
}

#[test]
fn the_trigger_is_among_the_evidence_once() {
    let rule = once("r", PURCHASE).with("n", purchases(100));
    assert_eq!(each(&case([rule], [purchase(0), purchase(5)]), "evidence"), [json!(["pu0"]), json!(["pu0", "pu5"])]);
}

#[test]
fn the_trigger_may_be_older_than_the_ten_latest() {
    let rule = items("r", making(COMPLAINT, &["feedback"]))
        .with("n", count(&[INTERACTION], 1).since_the_trigger())
        .when(value("n").at_least(number(10.0)));
    let mut events = vec![complaint(0)];
    events.extend((1..=10).map(interaction));
    let found = each(&case([rule], events), "evidence");
    assert_eq!(found[0].as_array().map(|ids| (ids.len(), ids[0].clone())), Some((10, json!("in1"))));
}

#[test]
fn evidence_of_open_is_what_opened_them() {
    let lets = [("n", super::build::open(making(COMPLAINT, &[INTERACTION]), None))];
    let rule = rule("r", &lets, value("n").at_least(number(2.0)));
    let events = [complaint(0), interaction(1), complaint(2), complaint(3)];
    assert_eq!(each(&case([rule], events), "evidence"), [json!(["co2", "co3"])]);
}

#[test]
fn evidence_of_a_value_that_shows_one_is_all_it_looked_at() {
    let lets = [("v", super::build::amounts(super::super::aggregate::What::Last, 100))];
    let rule = rule("r", &lets, value("v").equals(number(2.0)));
    let events = [paid(0, 1.0), purchase(1), paid(2, 2.0)];
    assert_eq!(each(&case([rule], events), "evidence"), [json!(["pu0", "pu2"])]);
}
