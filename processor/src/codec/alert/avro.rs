//! An alert record as an Avro single object of the schema `alert.avsc`.

use super::{CUSTOMER, Facts, Told, text};
use crate::codec::avro::{put_block, put_double, put_header, put_long, put_option, put_text};
use tocsin_core::rule::{Task, Template};
use tocsin_core::value::Value;

/// CRC-64-AVRO of `alert.avsc`; a test computes it.
pub const ALERT_FINGERPRINT: u64 = 0xd169_cba4_66cd_cd82;

// Branches of the union of `values`; the first four are those of the map within it.
const NULL: i64 = 0;
const BOOLEAN: i64 = 1;
const DOUBLE: i64 = 2;
const STRING: i64 = 3;
const MAP: i64 = 4;

/// Appends the record.
pub(super) fn write(facts: &Facts<'_>, out: &mut Vec<u8>) {
    let transition = facts.transition;
    put_header(out, ALERT_FINGERPRINT);
    put_text(out, &facts.alert_id().to_string());
    put_long(out, i64::from(transition.episode.sequence));
    put_text(out, transition.kind.name());
    put_text(out, transition.reason.name());
    put_text(out, transition.severity.name());
    put_option(out, transition.previous_severity, |out, severity| put_text(out, severity.name()));
    put_text(out, &facts.rule.id);
    put_text(out, &facts.rule.version);
    put_text(out, &transition.customer_id);
    put_option(out, transition.item.as_deref(), put_text);
    put_long(out, transition.occurred_at);
    put_long(out, facts.detected_at);
    put_long(out, transition.episode.fired_at);
    put_block(out, facts.values().into_iter(), |out, (name, told)| {
        put_text(out, name);
        match told {
            Told::Value(value) => put_value(out, value),
            Told::Fields(fields) => {
                put_long(out, MAP);
                put_block(out, fields.into_iter(), |out, (name, value)| {
                    put_text(out, name);
                    put_value(out, value);
                });
            }
        }
    });
    for name in CUSTOMER {
        put_option(out, facts.attribute(name), |out, value| put_text(out, &text::shown(value.borrow(), "")));
    }
    let presentation = &facts.rule.presentation;
    put_block(out, presentation.labels.iter(), |out, (name, label)| {
        put_text(out, name);
        put_text(out, label);
    });
    put_texts(facts, &presentation.summary, out);
    let notify: Vec<_> = facts.notify().collect();
    put_block(out, notify.into_iter(), |out, to| {
        put_recipient(facts, to.role, out);
        put_block(out, to.channels.iter(), |out, channel| put_text(out, channel));
    });
    put_option(out, presentation.task.as_ref(), |out, task| put_task(facts, task, out));
    put_block(out, facts.details.evidence.iter(), |out, id| put_text(out, id));
}

fn put_value(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Null | Value::Undefined => put_long(out, NULL),
        Value::Bool(b) => {
            put_long(out, BOOLEAN);
            out.push(u8::from(b));
        }
        Value::Number(x) => put_number(out, x),
        Value::Duration(ms) => put_number(out, text::seconds(ms)),
        Value::Text(text) => {
            put_long(out, STRING);
            put_text(out, text);
        }
    }
}

/// A number as JSON would have it: zero has no sign, and what is not finite is null.
fn put_number(out: &mut Vec<u8>, x: f64) {
    if x.is_finite() {
        put_long(out, DOUBLE);
        put_double(out, x + 0.0);
    } else {
        put_long(out, NULL);
    }
}

fn put_texts(facts: &Facts<'_>, templates: &[(Box<str>, Template)], out: &mut Vec<u8>) {
    put_block(out, templates.iter(), |out, (language, template)| {
        put_text(out, language);
        put_text(out, &facts.render(language, template));
    });
}

fn put_recipient(facts: &Facts<'_>, role: &str, out: &mut Vec<u8>) {
    put_text(out, role);
    put_option(out, facts.recipient(role).as_deref(), put_text);
}

fn put_task(facts: &Facts<'_>, task: &Task, out: &mut Vec<u8>) {
    put_texts(facts, &task.title, out);
    put_option(out, task.assignee.as_deref(), |out, role| put_recipient(facts, role, out));
    put_option(out, facts.due_at(task), put_long);
}
