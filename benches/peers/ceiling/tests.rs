//! The ceiling finds what a backtest finds, also of events that come far too late.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tocsin::backtest;
use tocsin::codec::schemas::Schemas;
use tocsin::generate::{LineWriter, Load, Settings};
use tocsin::rules::{self, Limits, Source};
use tocsin_core::time::{DAY, Duration, HOUR, MINUTE};

use super::*;

fn lines(disorder: Duration, seed: u64) -> String {
    let settings = Settings {
        seed,
        disorder,
        events: 20_000,
        customers: 1_500,
        leaving: 40,
        complaining: 40,
        ..Settings::default()
    };
    let (writer, mut line, mut out) = (LineWriter::new(seed), Vec::new(), Vec::new());
    for event in Load::new(settings).unwrap() {
        writer.write(&event, &mut line);
        out.extend_from_slice(&line);
        out.push(b'\n');
    }
    String::from_utf8(out).unwrap()
}

/// How often each transition comes, by what names it.
fn counted(alerts: &[u8]) -> BTreeMap<String, u32> {
    let mut counted = BTreeMap::new();
    for line in alerts.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let alert: Value = serde_json::from_slice(line).unwrap();
        let named_by = ["rule_id", "customer_id", "transition", "reason", "occurred_at", "fired_at"];
        *counted.entry(named_by.map(|name| alert[name].to_string()).join(" ")).or_default() += 1;
    }
    counted
}

fn of_backtest(lines: &str) -> BTreeMap<String, u32> {
    let schemas = Arc::new(Schemas::shipped());
    let source = Source { name: "rules.yaml".to_owned(), text: include_str!("../rules.yaml").to_owned() };
    let set = rules::load(&[source], schemas.catalog(), &Limits::default()).unwrap().set;
    let mut out = Vec::new();
    let settings = backtest::Settings::default();
    let summary = backtest::run(Arc::new(set), &schemas, &settings, lines.as_bytes(), &mut out, &mut |_| ()).unwrap();
    assert!(summary.refused.is_empty());
    counted(&out)
}

#[test]
fn it_finds_what_a_backtest_finds() {
    for (seed, disorder) in [(1, MINUTE), (2, HOUR), (3, 3 * DAY), (4, 8 * DAY)] {
        let lines = lines(disorder, seed);
        let mut run = Run::new(Some(Vec::new()));
        for line in lines.lines() {
            run.take(&serde_json::from_str(line).unwrap()).unwrap();
        }
        let (found, expected) = (counted(&run.output.unwrap()), of_backtest(&lines));
        for what in
            ["complaint-burst", "gone-quiet", "spending-halved", "condition_met", "cleared", "insufficient_data"]
        {
            assert!(expected.keys().any(|alert| alert.contains(what)), "seed {seed}: nothing is {what}");
        }
        let differs = |(alert, count): &(&String, &u32)| found.get(*alert) != Some(count);
        assert_eq!(expected.iter().find(differs), None, "seed {seed}, disorder {disorder} ms");
        assert_eq!(found.len(), expected.len(), "seed {seed}");
    }
}
