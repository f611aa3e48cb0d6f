//! What it tells over HTTP, and what it notices of a topic with two kinds of producers.

use serde_json::json;
use tocsin::partitioner::Partitioner;

use crate::app::App;
use crate::bad_records::BUYERS;
use crate::data::Event;
use crate::stage::{Stage, wait_until};

const CUSTOMERS: usize = 200;
const AT: i64 = 1_700_000_000_000;

fn purchases() -> Vec<Event> {
    let purchase = |number: usize| {
        let customer = format!("customer-{number}");
        Event::new("purchase", &number.to_string(), &customer, AT + number as i64, &json!({"shoe_size": 43}))
    };
    (0..CUSTOMERS).map(purchase).collect()
}

/// Half of the customers come from librdkafka with its defaults.
fn produce_mixed(stage: &Stage) -> usize {
    let events = purchases();
    let (java, other) = events.split_at(CUSTOMERS / 2);
    stage.produce(3, "murmur2_random", java.iter().map(Event::record));
    stage.produce(3, "consistent_random", other.iter().map(Event::record));
    let is_elsewhere = |event: &&Event| {
        let [one, two] = Partitioner::ALL.map(|partitioner| partitioner.partition(event.customer.as_bytes(), 3));
        one != two
    };
    other.iter().filter(is_elsewhere).count()
}

#[test]
fn metrics_and_health_are_served() {
    let Some(stage) = Stage::open("live-serving") else { return };
    stage.produce(3, "murmur2_random", purchases().iter().map(Event::record));
    let rules = stage.write("rules.yaml", BUYERS);
    let app = App::start(&stage, &rules, &[("time.idle_after", "never")]);
    assert_eq!(app.get("/healthz"), (200, "alive\n".to_owned()));
    wait_until("/readyz", || app.get("/readyz") == (200, "ready\n".to_owned()));
    assert_eq!(app.get("/nowhere").0, 404);
    app.await_input(CUSTOMERS);
    let count = CUSTOMERS as f64;
    // The gauges of partitions are renewed with each write of the store, the lag of one of them at a time.
    wait_until("the gauges", || app.metric("tocsin_watermark_timestamp_seconds", "") > 0.0);
    wait_until("no lag", || app.metric("tocsin_lag_records", "") == 0.0);
    for (name, label, expected) in [
        ("tocsin_events_total", "outcome=\"accepted\",type=\"purchase\"", count),
        ("tocsin_ignored_fields_total", "type=\"purchase\"", count),
        ("tocsin_alerts_total", "rule=\"buyer\"", count),
        ("tocsin_dead_letters_total", "", 0.0),
        ("tocsin_split_customers_total", "", 0.0),
        ("tocsin_idle_advances_total", "", 0.0),
        ("tocsin_partitions_assigned", "", 3.0),
        ("tocsin_partitions_restoring", "", 0.0),
        ("tocsin_workers_died_total", "", 0.0),
        ("tocsin_cached_customers", "", count),
    ] {
        assert_eq!(app.metric(name, label), expected, "{name}{{{label}}}");
    }
    assert!(app.metric("tocsin_transactions_total", "outcome=\"committed\"") >= 1.0);
    let (status, text) = app.get("/metrics");
    assert_eq!(status, 200);
    assert!(text.lines().filter(|line| line.starts_with("tocsin_build_info")).count() == 1);
    app.stop();
}

#[test]
fn two_partitioners_in_one_topic_are_noticed() {
    let Some(stage) = Stage::open("live-mixed") else { return };
    produce_mixed(&stage);
    let rules = stage.write("rules.yaml", BUYERS);
    let app = App::start(&stage, &rules, &[("time.idle_after", "never")]);
    app.await_input(CUSTOMERS);
    assert!(app.metric("tocsin_split_customers_total", "") > 0.0);
    let warned = app.lines().iter().any(|line| line["level"] == "WARN" && line.to_string().contains("partitioners"));
    assert!(warned, "{}", app.log());
    // Without a partitioner to hold to, all are judged.
    assert_eq!(app.metric("tocsin_dead_letters_total", ""), 0.0);
    app.stop();
    assert_eq!(stage.read("alerts").len(), CUSTOMERS);
}

#[test]
fn a_named_partitioner_is_held_to() {
    let Some(stage) = Stage::open("live-misplaced") else { return };
    let misplaced = produce_mixed(&stage);
    let rules = stage.write("rules.yaml", BUYERS);
    let app = App::start(&stage, &rules, &[("time.idle_after", "never"), ("partitioner", "murmur2")]);
    app.await_input(CUSTOMERS);
    assert_eq!(app.metric("tocsin_dead_letters_total", "reason=\"misplaced\"") as usize, misplaced);
    app.stop();
    assert_eq!(stage.read("dead-letters").len(), misplaced);
    assert_eq!(stage.read("alerts").len(), CUSTOMERS - misplaced);
}
