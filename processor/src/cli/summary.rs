//! What a backtest comes to, for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use tocsin::backtest::Summary;
use tocsin_core::alert::{Severity, TransitionKind};
use tocsin_core::engine::Outcome;

/// The lines for standard error.
pub fn text(summary: &Summary) -> String {
    let mut out = String::new();
    let seconds = summary.elapsed.as_secs_f64();
    let rate = summary.events as f64 / seconds.max(1e-9);
    line(&mut out, "events", &format!("{} ({rate:.0} a second, {seconds:.2} s)", summary.events));
    line(&mut out, "customers", &summary.customers.to_string());
    for (outcome, name) in [
        (Outcome::Late, "late"),
        (Outcome::Duplicate, "duplicates"),
        (Outcome::AttributesOnly, "attributes only"),
        (Outcome::TooOld, "too old, refused"),
    ] {
        if let Some(count) = summary.outcomes.get(&outcome) {
            line(&mut out, name, &count.to_string());
        }
    }
    if summary.after_until > 0 {
        line(&mut out, "after --until", &summary.after_until.to_string());
    }
    if summary.ignored_fields > 0 {
        line(&mut out, "ignored fields", &summary.ignored_fields.to_string());
    }
    for (rule, count) in &summary.items_refused {
        line(&mut out, "refused items", &format!("{count} {rule} (--max-open-items)"));
    }
    refused(&mut out, summary);
    alerts(&mut out, summary);
    out
}

fn refused(out: &mut String, summary: &Summary) {
    for (reason, count) in &summary.refused {
        line(out, "refused lines", &format!("{count} {reason}"));
    }
    for bad in &summary.bad_lines {
        _ = writeln!(out, "  line {}: {} ({})", bad.line, bad.message, bad.reason);
    }
}

/// A row for each rule: how often it fired at each severity, changed, resolved.
fn alerts(out: &mut String, summary: &Summary) {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for ((rule, kind, severity), count) in &summary.alerts {
        let row = rows.entry(rule).or_default();
        match kind {
            TransitionKind::Fired => row.fired[*severity as usize] += count,
            TransitionKind::SeverityChanged => row.changed += count,
            TransitionKind::Resolved => row.resolved += count,
        }
    }
    if rows.is_empty() {
        line(out, "alerts", "none");
        return;
    }
    let width = rows.keys().map(|rule| rule.len()).max().unwrap_or(0).max("alerts by rule".len());
    _ = writeln!(
        out,
        "{:width$}  {:>8}  {:>8}  {:>8}  fired by severity",
        "alerts by rule", "fired", "changed", "resolved"
    );
    for (rule, row) in rows {
        let fired: u64 = row.fired.iter().sum();
        let by_severity = Severity::ALL.into_iter().rev().filter(|severity| row.fired[*severity as usize] > 0);
        let by_severity: Vec<_> =
            by_severity.map(|severity| format!("{} {}", row.fired[severity as usize], severity.name())).collect();
        let (changed, resolved) = (row.changed, row.resolved);
        _ = writeln!(out, "{rule:width$}  {fired:>8}  {changed:>8}  {resolved:>8}  {}", by_severity.join(", "));
    }
}

#[derive(Default)]
struct Row {
    fired: [u64; Severity::ALL.len()],
    changed: u64,
    resolved: u64,
}

fn line(out: &mut String, name: &str, value: &str) {
    _ = writeln!(out, "{name:<17} {value}");
}
