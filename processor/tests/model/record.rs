//! What is published: one record per transition.

use super::episode::Transition;
use super::event::{NOT_IN_THE_SCHEMA, time_text};
use super::measure::Held;
use super::standing::Moment;
use super::value::Value;
use serde_json::{Map, json};
use uuid::Uuid;

const EVIDENCE_MAX: usize = 10;

pub fn record(moment: &Moment<'_>, customer: &str, item: Option<&str>, transition: &Transition) -> serde_json::Value {
    json!({
        "alert_id": alert_id(&moment.rule.id, customer, item, transition),
        "sequence": transition.sequence,
        "transition": transition.name,
        "reason": transition.reason,
        "severity": transition.severity.name(),
        "previous_severity": transition.previous.map(super::rule::Severity::name),
        "rule_id": moment.rule.id,
        "customer_id": customer,
        "item": item,
        "occurred_at": time_text(moment.at),
        "fired_at": time_text(transition.fired_at),
        "values": values(moment),
        "labels": if moment.rule.note == 0 { json!({}) } else { json!({"note": format!("n{}", moment.rule.note)}) },
        "evidence": evidence(moment),
    })
}

/// The n-th further firing of one rule, customer and item at one instant carries n.
fn alert_id(rule: &str, customer: &str, item: Option<&str>, transition: &Transition) -> String {
    let mut parts = [rule, customer, item.unwrap_or_default()].map(str::to_owned).to_vec();
    parts.push(transition.fired_at.to_string());
    if transition.further > 0 {
        parts.push(transition.further.to_string());
    }
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:tocsin:alert");
    Uuid::new_v5(&namespace, parts.join("\u{1f}").as_bytes()).to_string()
}

fn values(moment: &Moment<'_>) -> Map<String, serde_json::Value> {
    let names = moment.rule.lets.iter().map(|(name, _)| name);
    let mut values: Map<_, _> =
        names.map(|name| (name.clone(), json(&moment.value(&super::expr::value(name))))).collect();
    if let Some(trigger) = moment.trigger {
        values.insert("age".to_owned(), json(&moment.value(&super::expr::age())));
        let fields = trigger.event.fields.iter().map(|(name, _)| (*name, trigger.event.seen(name)));
        let there = fields.filter(|(name, value)| *value != Value::Null && *name != NOT_IN_THE_SCHEMA);
        values.insert("trigger".to_owned(), there.map(|(name, value)| (name.to_owned(), json(&value))).collect());
    }
    values
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Number(n) => json!(n),
        Value::Duration(ms) => json!(ms / 1000.0),
        Value::Text(text) => json!(text),
        Value::Bool(b) => json!(b),
        Value::Null => json!(null),
        Value::Undefined => panic!("no value is undefined"),
    }
}

/// The latest of the events that any value counted, and of the trigger; oldest first, each once.
fn evidence(moment: &Moment<'_>) -> Vec<String> {
    let (lets, view) = (moment.rule.lets.iter(), moment.view());
    let mut found: Vec<&Held> = lets.flat_map(|(_, measure)| measure.question().evidence(&view)).collect();
    found.extend(moment.trigger);
    found.sort_by_key(|held| held.place());
    found.dedup_by_key(|held| held.place());
    let latest = found.iter().skip(found.len().saturating_sub(EVIDENCE_MAX));
    latest.map(|held| held.event.id.clone()).collect()
}
