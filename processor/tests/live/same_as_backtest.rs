//! Live and backtest agree, byte for byte but for `detected_at`, whatever the events are encoded in.

use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use tocsin::codec::encode::Encoder;
use tocsin::codec::schemas::Schemas;

use crate::app::{App, backtest};
use crate::broker::{Skip, or_skip};
use crate::data::{self, Event};
use crate::stage::{Stage, repository, wait_until};
use crate::upstream::Written;

const EVENTS: usize = 6_000;

fn check(stage: &Stage, rules: &str, workers: &str, record: impl FnMut(&Event) -> Written) {
    let rules = repository().join(rules);
    let events = data::shop(EVENTS);
    let alerts = backtest(stage, &rules, &data::lines(&events), &[]);
    for transition in ["fired", "severity_changed", "resolved"] {
        assert!(
            alerts.iter().any(|alert| alert.contains(transition)),
            "nothing is {transition}: the data says too little"
        );
    }
    stage.produce(3, "murmur2_random", events.iter().map(record));
    let app = App::start_ready(stage, &rules, &[("time.idle_after", "never"), ("workers", workers)]);
    app.await_input(EVENTS);
    assert!(app.metric("tocsin_events_total", "late") > 0.0 && app.metric("tocsin_events_total", "duplicate") > 0.0);
    assert_eq!(app.metric("tocsin_dead_letters_total", ""), 0.0, "{}", app.log());
    // They are counted once they are published.
    wait_until("every alert to be published", || app.metric("tocsin_alerts_total", "") as usize >= alerts.len());
    assert_eq!(app.metric("tocsin_alerts_total", "") as usize, alerts.len());
    app.stop();
    let records = stage.read("alerts");
    data::check(&data::published(&records), &data::expected(&alerts));
    for record in &records {
        let alert: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
        assert_eq!(record["key"], alert["customer_id"]);
    }
    assert!(stage.read("dead-letters").is_empty());
}

#[test]
fn json_events_give_the_alerts_of_a_backtest() {
    let Some(stage) = Stage::open("live-json") else { return };
    check(&stage, "deploy/demo/rules.yaml", "1", Event::record);
    kcat_sees_the_same(&stage);
}

#[test]
fn avro_events_give_the_alerts_of_a_backtest() {
    let Some(stage) = Stage::open("live-avro") else { return };
    let mut encoder = Encoder::new(Arc::new(Schemas::shipped()));
    check(&stage, "rules/starter.yaml", "2", |event| {
        let mut bytes = Vec::new();
        encoder.encode(event.json.as_bytes(), &mut bytes).unwrap();
        Written::new(&event.customer, &bytes, event.at)
    });
}

/// A third client, as people use it at the command line.
fn kcat_sees_the_same(stage: &Stage) {
    let mut kcat = Command::new("kcat");
    kcat.args(["-C", "-q", "-e", "-b", &stage.broker.bootstrap, "-t", &stage.topic("alerts")]);
    kcat.args(["-X", "isolation.level=read_committed", "-f", "%p %k %s\n"]);
    let Ok(read) = kcat.output() else {
        or_skip::<()>(stage.name, Err(Skip("kcat is not installed".to_owned())));
        return;
    };
    assert!(read.status.success());
    let text = String::from_utf8(read.stdout).unwrap();
    let mut seen: Vec<_> = text.lines().map(str::to_owned).collect();
    let line = |record: &Value| {
        let part = |name: &str| record[name].as_str().unwrap();
        format!("{} {} {}", record["partition"], part("key"), part("value"))
    };
    let mut expected: Vec<_> = stage.read("alerts").iter().map(line).collect();
    seen.sort();
    expected.sort();
    assert!(seen == expected, "kcat saw {} alerts, Python's client {}", seen.len(), expected.len());
}
