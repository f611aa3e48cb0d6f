//! Records that are no events go to the dead letters as they came, and all around them are judged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::app::App;
use crate::data::{DAY, Event};
use crate::stage::Stage;
use crate::upstream::{Written, readable};

/// An alert for each customer who buys.
pub const BUYERS: &str = "rules: [{id: buyer, let: {bought: {count: purchase, over: 1d}}, when: bought >= 1}]\n";
const AT: i64 = 1_700_000_000_000;

/// Reason, key, value, and how far the event's time is ahead of the record's timestamp.
type Bad = (&'static str, Option<&'static str>, Option<Vec<u8>>);

fn bad() -> Vec<Bad> {
    let event = |change: Value| {
        let mut event = json!({"id": "x", "type": "purchase", "customer_id": "c-1", "occurred_at": AT});
        event.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        event
    };
    let text = |event: Value| Some(event.to_string().into_bytes());
    let without = |field: &str| {
        let mut event = event(json!({}));
        event.as_object_mut().unwrap().remove(field);
        event
    };
    let framed = [&[0, 0, 0, 0, 7][..], br#"{"id":"x"}"#].concat();
    let own = Some("c-1");
    vec![
        ("not_json", own, Some(br#"{"id":"x", "type":"#.to_vec())),
        ("not_json", own, Some(b"{\"id\":\"\xff\xfe\"}".to_vec())),
        ("unknown_format", own, Some(b"hello".to_vec())),
        ("unknown_type", own, text(event(json!({"type": "purchas"})))),
        ("missing_field", own, text(without("customer_id"))),
        ("missing_field", own, text(without("occurred_at"))),
        ("wrong_type", own, text(event(json!({"amount": {"value": 1}})))),
        ("bad_time", own, text(event(json!({"occurred_at": "yesterday"})))),
        ("out_of_range", own, text(event(json!({"amount": 1e30})))),
        ("misplaced", Some("c-2"), text(event(json!({})))),
        ("misplaced", None, text(event(json!({})))),
        ("empty", own, None),
        ("empty", own, Some(Vec::new())),
        ("schema_registry", own, Some(framed)),
        ("unknown_schema", own, Some(b"\xc3\x01\x00\x01\x02\x03\x04\x05\x06\x07rest".to_vec())),
        ("future", own, text(event(json!({"occurred_at": AT + 300_001})))),
        ("too_old", own, text(event(json!({"occurred_at": AT - 500 * DAY})))),
    ]
}

#[test]
fn bad_records_become_dead_letters_and_the_rest_is_judged() {
    let Some(stage) = Stage::open("live-bad") else { return };
    let bad = bad();
    let good = |number: usize| {
        let event = Event::new("purchase", "good", &format!("good-{number}"), AT + number as i64, &json!({}));
        event.record().with("partition", json!(1))
    };
    let mut records = vec![good(0)];
    for (number, (_, key, value)) in bad.iter().enumerate() {
        let value = value.as_deref().map_or(Value::Null, readable);
        let record =
            json!({"key": key, "value": value, "timestamp": AT, "partition": 1, "headers": own_headers(number)});
        records.push(Written(record));
        records.push(good(number + 1));
    }
    let count = records.len();
    stage.produce(3, "murmur2_random", records);
    let rules = stage.write("rules.yaml", BUYERS);
    let app = App::start_ready(&stage, &rules, &[("time.idle_after", "never")]);
    app.await_input(count);
    for (reason, expected) in reasons(&bad) {
        let found = app.metric("tocsin_dead_letters_total", &format!("reason=\"{reason}\""));
        assert_eq!(found as usize, expected, "{reason}");
    }
    app.stop();

    let customers: BTreeSet<_> = stage.read("alerts").iter().map(|alert| alert["key"].to_string()).collect();
    assert_eq!(customers, (0..=bad.len()).map(|number| format!("\"good-{number}\"")).collect());
    check_letters(&stage, &bad);
}

/// A record's own headers: the first has none.
fn own_headers(number: usize) -> Value {
    let header = json!(["traceparent", number.to_string()]);
    Value::Array(vec![header; number.min(2)])
}

fn reasons(bad: &[Bad]) -> BTreeMap<&str, usize> {
    let mut reasons = BTreeMap::new();
    for (reason, ..) in bad {
        *reasons.entry(*reason).or_default() += 1;
    }
    reasons
}

/// Every bad record is there, found by where it came from, with its own bytes.
fn check_letters(stage: &Stage, bad: &[Bad]) {
    let letters = stage.read("dead-letters");
    let header = |letter: &Value, name: &str| {
        let headers = letter["headers"].as_array().unwrap();
        let found = headers.iter().find(|header| header[0] == name).unwrap_or_else(|| panic!("no {name}: {letter}"));
        found[1].as_str().unwrap().to_owned()
    };
    let by_offset: BTreeMap<usize, &Value> =
        letters.iter().map(|letter| (header(letter, "tocsin.offset").parse().unwrap(), letter)).collect();
    assert_eq!(letters.len(), bad.len());
    for (number, (reason, key, value)) in bad.iter().enumerate() {
        let letter = by_offset[&(2 * number + 1)];
        assert_eq!(header(letter, "tocsin.reason"), *reason, "{letter}");
        assert_eq!(header(letter, "tocsin.topic"), stage.topic("events"));
        assert_eq!(header(letter, "tocsin.partition"), "1");
        assert_eq!(header(letter, "tocsin.timestamp"), AT.to_string());
        assert!(header(letter, "tocsin.message").len() > 10, "{letter}");
        let own = letter["headers"].as_array().unwrap().iter().skip(6).cloned().collect();
        assert_eq!(Value::Array(own), own_headers(number), "{letter}");
        assert_eq!(letter["key"], key.map_or(Value::Null, Value::from), "{letter}");
        assert_eq!(letter["value"], value.as_deref().map_or(Value::Null, readable), "{letter}");
    }
}
