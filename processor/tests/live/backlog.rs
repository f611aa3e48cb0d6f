//! A backlog is not silence: what is old is judged by its own time, not by the clock on the wall.

use std::collections::BTreeMap;

use serde_json::Value;
use tocsin::partitioner::Partitioner;

use crate::app::{App, backtest};
use crate::data::{self, Event, instant};
use crate::stage::{Stage, wait_until};

const EVENTS: usize = 300_000;
const BOUND_MS: i64 = 60_000;
const RULES: &str = "rules: [{id: quiet, let: {quiet: {silence: purchase}}, when: quiet >= days(2)}]\n";

#[test]
fn a_backlog_fires_nothing_early() {
    let Some(stage) = Stage::open("live-backlog") else { return };
    let rules = stage.write("rules.yaml", RULES);
    let events = data::backlog(EVENTS);
    let expected = data::expected(&backtest(&stage, &rules, &data::lines(&events), &[]));
    stage.produce(3, "murmur2_random", events.iter().map(Event::record));
    let app = App::start(&stage, &rules, &[("time.idle_after", "1s")]);
    app.await_input(EVENTS);
    wait_until("all partitions to be idle", || app.metric("tocsin_idle_advances_total", "") >= 3.0);
    app.stop();

    let mut published = data::published(&stage.read("alerts"));
    let watermarks = watermarks(&events);
    for (partition, expected) in &expected {
        // What came after the last event is the wall clock's doing, and later than all that the events say.
        let by_clock = published.get_mut(partition).unwrap().split_off(expected.len());
        assert!(!by_clock.is_empty());
        for alert in by_clock {
            let alert: Value = serde_json::from_str(&alert).unwrap();
            assert!(instant(&alert, "occurred_at") > watermarks[partition], "{alert}");
        }
    }
    assert!(expected.values().flatten().count() > 100, "the data says too little");
    data::check(&published, &expected);
}

/// How far the events alone bring each partition.
fn watermarks(events: &[Event]) -> BTreeMap<i64, i64> {
    let mut watermarks = BTreeMap::new();
    for event in events {
        let partition = Partitioner::Murmur2.partition(event.customer.as_bytes(), 3);
        let watermark = watermarks.entry(i64::from(partition)).or_insert(i64::MIN);
        *watermark = (*watermark).max(event.at - BOUND_MS);
    }
    watermarks
}
