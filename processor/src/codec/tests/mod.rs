//! Tests of the formats, one file for each area.

mod alert;
mod chain;
mod decode;
mod equality;
mod journal;
mod schemas;

use super::decode::{Decoder, Malformed};
use super::schemas::Schemas;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use tocsin_core::event::{Event, FieldName, FieldValue};

/// The common fields as an Avro schema has them.
const COMMON: &str = r#"
    {"name": "id", "type": "string"},
    {"name": "type", "type": "string"},
    {"name": "customer_id", "type": "string"},
    {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-millis"}}"#;

/// The schema of an event type with these further fields.
fn avsc(name: &str, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    format!(r#"{{"type": "record", "name": "{name}", "fields": [{COMMON}{comma}{fields}]}}"#)
}

/// The shipped types and one called `visit` with every kind of field, some of them before the common ones.
fn with_visit() -> Arc<Schemas> {
    static SCHEMAS: LazyLock<Arc<Schemas>> = LazyLock::new(visit);
    Arc::clone(&SCHEMAS)
}

fn visit() -> Arc<Schemas> {
    let visit = format!(
        r#"{{"type": "record", "name": "visit", "namespace": "shop", "fields": [
            {{"name": "first", "type": ["string", "null"]}}, {COMMON},
            {{"name": "count", "type": "int"}},
            {{"name": "bytes", "type": ["null", "long"], "default": null}},
            {{"name": "ratio", "type": ["float", "null"]}},
            {{"name": "exact", "type": ["null", {{"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 6}}]}},
            {{"name": "coarse", "type": ["null", {{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}]}},
            {{"name": "kind", "type": ["null", {{"type": "enum", "name": "kind", "symbols": ["short", "long"]}}]}},
            {{"name": "paid", "type": ["null", "boolean"]}}]}}"#
    );
    Arc::new(Schemas::from_sources([("visit.avsc", visit)]).unwrap())
}

/// An event as a line of text: type, id, customer, instant, then its fields by name, decimals marked with `d`.
fn shown(schemas: &Schemas, event: &Event<'_>) -> String {
    let event_type = schemas.catalog().get(event.record.type_id()).unwrap();
    let mut text = format!("{} {} {} {}", event_type.name, event.record.id(), event.customer_id, event.occurred_at);
    for (name, value) in event.record.fields() {
        match name {
            FieldName::Slot(slot) => write!(text, " {}=", event_type.fields[usize::from(slot)].name).unwrap(),
            FieldName::Extra(name) => write!(text, " +{name}=").unwrap(),
        }
        match value {
            FieldValue::Bool(b) => write!(text, "{b}").unwrap(),
            FieldValue::Decimal(decimal) => write!(text, "{}d", decimal.to_f64()).unwrap(),
            FieldValue::Number(x) => write!(text, "{x}").unwrap(),
            FieldValue::Text(plain) => write!(text, "{plain:?}").unwrap(),
        }
    }
    text
}

/// Decodes and shows: the event, or `reason: message`.
fn decoded(decoder: &mut Decoder, payload: &[u8]) -> String {
    let schemas = Arc::clone(decoder.schemas());
    match decoder.decode(payload) {
        Ok(event) => shown(&schemas, &event),
        Err(Malformed { reason, message }) => {
            assert!(super::decode::REASONS.contains(&reason), "{reason}");
            assert!(message.len() < 300, "a message must fit a log line: {message}");
            format!("{reason}: {message}")
        }
    }
}
