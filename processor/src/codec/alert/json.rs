//! An alert record as a JSON object.

use super::{Facts, Told, text};
use crate::codec::timestamp;
use std::io::Write as _;
use tocsin_core::alert::Severity;
use tocsin_core::rule::{Task, Template};
use tocsin_core::time::Millis;
use tocsin_core::value::Value;

/// Appends the record.
pub(super) fn write(facts: &Facts<'_>, out: &mut Vec<u8>) {
    let transition = facts.transition;
    let mut record = Object::begin(out);
    record.text("alert_id", &facts.alert_id().to_string());
    record.display("sequence", transition.episode.sequence);
    record.text("transition", transition.kind.name());
    record.text("reason", transition.reason.name());
    record.text("severity", transition.severity.name());
    record.optional_text("previous_severity", transition.previous_severity.map(Severity::name));
    record.text("rule_id", &facts.rule.id);
    record.text("rule_version", &facts.rule.version);
    record.text("customer_id", &transition.customer_id);
    record.optional_text("item", transition.item.as_deref());
    record.instant("occurred_at", Some(transition.occurred_at));
    record.instant("detected_at", Some(facts.detected_at));
    record.instant("fired_at", Some(transition.episode.fired_at));
    record.object("values", |values| {
        for (name, told) in facts.values() {
            match told {
                Told::Value(value) => values.value(name, value),
                Told::Fields(fields) => {
                    values
                        .object(name, |object| fields.into_iter().for_each(|(name, value)| object.value(name, value)));
                }
            }
        }
    });
    record.object("customer", |customer| {
        facts.customer().for_each(|(name, value)| customer.value(name, value.borrow()));
    });
    let presentation = &facts.rule.presentation;
    record.object("labels", |labels| presentation.labels.iter().for_each(|(name, label)| labels.text(name, label)));
    record.object("summary", |summary| texts(facts, &presentation.summary, summary));
    record.array("notify", facts.notify(), |out, to| {
        let mut entry = Object::begin(out);
        recipient(facts, to.role, &mut entry);
        entry.array("channels", to.channels.iter(), |out, channel| put_text(out, channel));
        entry.end();
    });
    match &presentation.task {
        Some(task) => record.object("task", |object| self::task(facts, task, object)),
        None => record.null("task"),
    }
    record.array("evidence", facts.details.evidence.iter(), |out, id| put_text(out, id));
    record.end();
}

fn task(facts: &Facts<'_>, task: &Task, object: &mut Object<'_>) {
    object.object("title", |title| texts(facts, &task.title, title));
    match &task.assignee {
        Some(role) => object.object("assignee", |assignee| recipient(facts, role, assignee)),
        None => object.null("assignee"),
    }
    object.instant("due_at", facts.due_at(task));
}

fn recipient(facts: &Facts<'_>, role: &str, object: &mut Object<'_>) {
    object.text("role", role);
    object.optional_text("recipient", facts.recipient(role).as_deref());
}

fn texts(facts: &Facts<'_>, templates: &[(Box<str>, Template)], object: &mut Object<'_>) {
    for (language, template) in templates {
        object.text(language, &facts.render(language, template));
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    // A vector takes every write, and any text has a form in JSON.
    let _ = serde_json::to_writer(out, text);
}

/// An object that is being written.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    fn end(self) {
        self.out.push(b'}');
    }

    fn key(&mut self, name: &str) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        put_text(self.out, name);
        self.out.push(b':');
    }

    fn null(&mut self, name: &str) {
        self.display(name, "null");
    }

    /// A value whose text is its form in JSON.
    fn display(&mut self, name: &str, value: impl std::fmt::Display) {
        self.key(name);
        let _ = write!(self.out, "{value}");
    }

    fn text(&mut self, name: &str, text: &str) {
        self.key(name);
        put_text(self.out, text);
    }

    fn optional_text(&mut self, name: &str, text: Option<&str>) {
        match text {
            Some(text) => self.text(name, text),
            None => self.null(name),
        }
    }

    fn instant(&mut self, name: &str, at: Option<Millis>) {
        let Some(at) = at else { return self.null(name) };
        self.key(name);
        self.out.push(b'"');
        timestamp::write(self.out, at);
        self.out.push(b'"');
    }

    fn value(&mut self, name: &str, value: Value<'_>) {
        match value {
            Value::Null | Value::Undefined => self.null(name),
            Value::Bool(b) => self.display(name, b),
            Value::Number(x) => self.number(name, x),
            Value::Duration(ms) => self.number(name, text::seconds(ms)),
            Value::Text(text) => self.text(name, text),
        }
    }

    fn number(&mut self, name: &str, x: f64) {
        match text::number(x) {
            Some(number) => self.display(name, number),
            None => self.null(name),
        }
    }

    fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.key(name);
        let mut object = Object::begin(self.out);
        write(&mut object);
        object.end();
    }

    fn array<T>(&mut self, name: &str, entries: impl Iterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
        self.key(name);
        self.out.push(b'[');
        for (place, entry) in entries.enumerate() {
            if place > 0 {
                self.out.push(b',');
            }
            write(self.out, entry);
        }
        self.out.push(b']');
    }
}
