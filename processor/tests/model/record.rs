//! What is published: one record per transition.

use super::episode::{Episode, Transition};
use super::event::time_text;
use super::measure::Held;
use super::standing::Moment;
use super::value::Value;
use serde_json::{Map, json};
use uuid::Uuid;

const EVIDENCE_MAX: usize = 10;

pub fn record(moment: &Moment<'_>, customer: &str, episode: &Episode, transition: Transition) -> serde_json::Value {
    json!({
        "alert_id": alert_id(&moment.rule.id, customer, episode),
        "sequence": transition.sequence,
        "transition": transition.name,
        "reason": transition.reason,
        "severity": transition.severity.name(),
        "previous_severity": transition.previous.map(super::rule::Severity::name),
        "rule_id": moment.rule.id,
        "customer_id": customer,
        "item": null,
        "occurred_at": time_text(moment.at),
        "fired_at": time_text(transition.fired_at),
        "values": values(moment),
        "labels": if moment.rule.note == 0 { json!({}) } else { json!({"note": format!("n{}", moment.rule.note)}) },
        "evidence": evidence(moment),
    })
}

/// The n-th further firing of one rule and customer at one instant carries n.
fn alert_id(rule: &str, customer: &str, episode: &Episode) -> String {
    let (latest, before) = episode.firings.split_last().expect("there is an alert only after a firing");
    let further = before.iter().filter(|at| *at == latest).count();
    let mut parts = vec![rule.to_owned(), customer.to_owned(), String::new(), latest.to_string()];
    if further > 0 {
        parts.push(further.to_string());
    }
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:tocsin:alert");
    Uuid::new_v5(&namespace, parts.join("\u{1f}").as_bytes()).to_string()
}

fn values(moment: &Moment<'_>) -> Map<String, serde_json::Value> {
    let value = |name: &String| match moment.value(&super::expr::value(name)) {
        Value::Number(n) => json!(n),
        Value::Duration(ms) => json!(ms / 1000.0),
        Value::Null => json!(null),
        other => panic!("a `let` cannot be {other:?}"),
    };
    moment.rule.lets.iter().map(|(name, _)| (name.clone(), value(name))).collect()
}

/// The latest of the events that any value counted, oldest first, each once.
fn evidence(moment: &Moment<'_>) -> Vec<String> {
    let lets = moment.rule.lets.iter();
    let mut found: Vec<&Held> =
        lets.flat_map(|(_, measure)| measure.question().evidence(moment.held, moment.at)).collect();
    found.sort_by_key(|held| held.place());
    found.dedup_by_key(|held| held.place());
    let latest = found.iter().skip(found.len().saturating_sub(EVIDENCE_MAX));
    latest.map(|held| held.event.id.clone()).collect()
}
