//! The other side: the engine, through the backtest that users run. Nothing but texts goes in and comes out.

use super::model::Settings;
use std::io::Cursor;
use std::sync::{Arc, LazyLock};
use tocsin::codec::schemas::Schemas;

/// The shipped event types, read once: that takes as long as a case.
pub fn shipped() -> Arc<Schemas> {
    static SHIPPED: LazyLock<Arc<Schemas>> = LazyLock::new(|| Arc::new(Schemas::shipped()));
    SHIPPED.clone()
}

/// The alert records in the order of judging. `events` are JSON lines in the order of arrival, all in one partition.
pub fn run_engine(rules_yaml: &str, events: &[String], settings: &Settings) -> Vec<serde_json::Value> {
    let schemas = shipped();
    let source = tocsin::rules::Source { name: "rules.yaml".into(), text: rules_yaml.into() };
    let limits = tocsin::rules::Limits { history: settings.history_ms, ..Default::default() };
    let rules = tocsin::rules::load(&[source], schemas.catalog(), &limits).unwrap_or_else(|error| panic!("{error}"));
    let mut backtest = tocsin::backtest::Settings { until: settings.until_ms, ..Default::default() };
    backtest.engine.history = settings.history_ms;
    backtest.engine.max_open_items = settings.max_open_items;
    backtest.time.max_out_of_orderness = settings.max_out_of_orderness_ms;
    let (input, mut out) = (Cursor::new(events.join("\n")), vec![]);
    let summary =
        tocsin::backtest::run(Arc::new(rules.set), &schemas, &backtest, input, &mut out, &mut |_| ()).unwrap();
    assert_eq!(summary.bad_lines, [], "the generator writes events");
    out.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}
