//! Alerts on silence: with no traffic at all, and not while an upstream transaction is open.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::App;
use crate::data::{Event, instant};
use crate::stage::{Stage, now_ms};
use crate::upstream::Upstream;

const RULES: &str = "rules: [{id: quiet, let: {quiet: {silence: purchase}}, when: quiet >= minutes(0.05)}]\n";
const QUIET_MS: i64 = 3_000;
const BOUND_MS: i64 = 1_000;
const SETTINGS: [(&str, &str); 2] = [("time.idle_after", "1s"), ("time.max_out_of_orderness", "1s")];

fn purchase(id: &str) -> Event {
    Event::new("purchase", id, "customer", now_ms(), &json!({}))
}

/// The only alert there is: this customer's, exactly so long after the event.
fn check_alert(stage: &Stage, event: &Event) -> Value {
    let alerts = stage.await_records("alerts", 1);
    let alert: Value = serde_json::from_str(alerts[0]["value"].as_str().unwrap()).unwrap();
    assert_eq!(alert["transition"], "fired");
    assert_eq!(instant(&alert, "occurred_at"), event.at + QUIET_MS, "{alert}");
    assert_eq!(alert["values"]["quiet"], 3.0);
    alert
}

#[test]
fn silence_is_noticed_with_no_traffic_at_all() {
    let Some(stage) = Stage::open("live-idle") else { return };
    let rules = stage.write("rules.yaml", RULES);
    let app = App::start_ready(&stage, &rules, &SETTINGS);
    let event = purchase("p-1");
    // The topic is the application's own, so the broker's time is the timestamp.
    stage.produce(3, "murmur2_random", [event.record()]);
    let alert = check_alert(&stage, &event);
    let detected = instant(&alert, "detected_at") - instant(&alert, "occurred_at");
    assert!((BOUND_MS..BOUND_MS + 3_000).contains(&detected), "found {detected} ms after it was true");
    assert!(app.metric("tocsin_idle_advances_total", "") >= 1.0);
    app.stop();
    assert_eq!(stage.read("alerts").len(), 1);
}

/// Two events of a customer, the second in a transaction that stays open for long; what it says when that is closed.
fn check_open(name: &'static str, close: &str, counted: f64, latest: impl Fn(Event, Event) -> Event) {
    let Some(stage) = Stage::open(name) else { return };
    let rules = stage.write("rules.yaml", RULES);
    let app = App::start_ready(&stage, &rules, &SETTINGS);
    let mut upstream = Upstream::start(&stage);
    let first = purchase("p-1");
    upstream.tell("begin");
    upstream.write(&first.record());
    upstream.tell("commit");
    let second = purchase("p-2");
    upstream.tell("begin");
    upstream.write(&second.record());
    upstream.tell("flush");
    thread::sleep(Duration::from_millis((QUIET_MS + BOUND_MS) as u64 + 3_000));
    assert!(app.metric("tocsin_idle_refusals_total", "reason=\"backlog\"") > 0.0);
    assert_eq!(app.metric("tocsin_idle_advances_total", ""), 0.0);
    assert_eq!(app.metric("tocsin_alerts_total", ""), 0.0);
    assert!(stage.read("alerts").is_empty());
    upstream.tell(close);
    check_alert(&stage, &latest(first, second));
    assert_eq!(app.metric("tocsin_events_total", ""), counted);
    app.stop();
    assert_eq!(stage.read("alerts").len(), 1);
}

#[test]
fn an_open_upstream_transaction_is_no_silence() {
    check_open("live-committed-late", "commit", 2.0, |_, second| second);
}

#[test]
fn an_aborted_upstream_transaction_was_silence() {
    check_open("live-aborted-late", "abort", 1.0, |first, _| first);
}
