//! Alert records: what is published of a transition, as JSON or Avro.
//!
//! A record is a pure function of the transition, its rule and the time of detection, so a replay writes the same
//! bytes but for `detected_at`. Where the contract leaves a choice:
//!
//! - `values` of an item ends with `age`, in seconds, and `trigger`: the fields of the event that opened it, as far as they
//!   are there, without the four that every event has.
//! - `customer` has those of name, owner, region, segment, tier and stage that are known.
//! - `notify` has an entry for each role of each of the rule's notifications that is for the record's severity, in the
//!   order of the rule. The recipient is the customer's attribute of the role's name, or null.
//! - `task` is in every record of a rule that has one, whatever the transition. It is due a fixed time after the
//!   firing, so it is the same in every record of an alert, and a consumer keeps one task for each `alert_id`.
//! - In texts numbers stand as in `values`, durations in their two largest units (`90d 2h`, in Chinese `90天2小时`), and
//!   what is null as `-`.

mod avro;
mod hash;
mod json;
mod published;
mod text;

use super::schemas::Schemas;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use tocsin_core::alert::{Details, Severity, Transition};
use tocsin_core::event::{FieldId, FieldName, FieldValue, PROFILE, Record};
use tocsin_core::expr::AttributeRef;
use tocsin_core::rule::{Rule, Task, Template};
use tocsin_core::time::{LATEST, Millis};
use tocsin_core::value::{OwnedValue, Value};
use uuid::Uuid;

pub use avro::ALERT_FINGERPRINT;
pub use hash::{TransitionHasher, hash_transitions};
pub use published::{AlertForm, PublishedAlert, digest};

static NAMESPACE: LazyLock<Uuid> = LazyLock::new(|| Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:tocsin:alert"));

/// The attributes of a customer that a record tells, in this order.
const CUSTOMER: [&str; 6] = ["name", "owner", "region", "segment", "tier", "stage"];

/// The id of an alert, the same on every replay. `refire` is how many earlier firings of the same rule, customer and
/// item had the same instant.
#[must_use]
pub fn alert_id(rule_id: &str, customer_id: &str, item: Option<&str>, fired_at: Millis, refire: u32) -> Uuid {
    let mut name = format!("{rule_id}\u{1f}{customer_id}\u{1f}{}\u{1f}{fired_at}", item.unwrap_or_default());
    if refire > 0 {
        let _ = write!(name, "\u{1f}{refire}");
    }
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// Writes alert records.
#[derive(Clone, Debug)]
pub struct AlertWriter {
    schemas: Arc<Schemas>,
}

impl AlertWriter {
    #[must_use]
    pub fn new(schemas: Arc<Schemas>) -> Self {
        Self { schemas }
    }

    /// Appends the record of a transition as one JSON object, without a line break.
    ///
    /// Without [`Details`] a record has no values, attributes and evidence.
    pub fn json(&self, transition: &Transition, detected_at: Millis, out: &mut Vec<u8>) {
        json::write(&self.facts(transition, detected_at), out);
    }

    /// Appends the record of a transition as an Avro single object of the schema `alert.avsc`.
    pub fn avro(&self, transition: &Transition, detected_at: Millis, out: &mut Vec<u8>) {
        avro::write(&self.facts(transition, detected_at), out);
    }

    fn facts<'a>(&'a self, transition: &'a Transition, detected_at: Millis) -> Facts<'a> {
        static NONE: LazyLock<Details> = LazyLock::new(Details::default);
        Facts {
            schemas: &self.schemas,
            rule: &transition.rule,
            transition,
            details: transition.details.as_ref().unwrap_or(&NONE),
            detected_at,
        }
    }
}

/// All that a record is made of, whatever its format.
struct Facts<'a> {
    schemas: &'a Schemas,
    rule: &'a Rule,
    transition: &'a Transition,
    details: &'a Details,
    detected_at: Millis,
}

/// What stands under a name in `values`.
enum Told<'a> {
    Value(Value<'a>),
    /// Of an event.
    Fields(Vec<(&'a str, Value<'a>)>),
}

/// Somebody who is to be told.
struct Recipient<'a> {
    role: &'a str,
    channels: &'a [Box<str>],
}

impl<'a> Facts<'a> {
    fn alert_id(&self) -> Uuid {
        let Transition { customer_id, item, episode, .. } = self.transition;
        alert_id(&self.rule.id, customer_id, item.as_deref(), episode.fired_at, episode.refire)
    }

    /// The named values of the rule, in its order; then, of an item, its age and its trigger.
    fn values(&self) -> Vec<(&'a str, Told<'a>)> {
        let names = self.rule.lets.iter().map(|named| &*named.name);
        let values = self.details.values.iter().map(|value| Told::Value(value.borrow()));
        let age = self.age().map(|age| ("age", Told::Value(Value::Duration(age))));
        let trigger = self.trigger().map(|trigger| ("trigger", Told::Fields(self.fields(trigger))));
        names.zip(values).chain(age).chain(trigger).collect()
    }

    /// The event that opened the item.
    fn trigger(&self) -> Option<Record<'a>> {
        Record::parse(&self.details.trigger.as_ref()?.record)
    }

    /// The fields of an event that are there, in the order of its record.
    fn fields(&self, record: Record<'a>) -> Vec<(&'a str, Value<'a>)> {
        let event_type = self.schemas.catalog().get(record.type_id());
        let named = |(name, value): (FieldName<'a>, FieldValue<'a>)| {
            let name = match name {
                FieldName::Slot(slot) => &event_type?.fields.get(usize::from(slot))?.name,
                FieldName::Extra(name) => name,
            };
            Some((name, value.value()))
        };
        record.fields().filter_map(named).collect()
    }

    /// How long ago the item was opened.
    fn age(&self) -> Option<f64> {
        let trigger = self.details.trigger.as_ref()?;
        Some((self.transition.occurred_at - trigger.occurred_at) as f64)
    }

    /// The customer's attribute of that name, if it is known.
    fn attribute(&self, name: &str) -> Option<&'a OwnedValue> {
        let slot = self.slot(name);
        let is_named = |found: &AttributeRef| match found {
            AttributeRef::Slot(found) => slot == Some(*found),
            AttributeRef::Extra(found) => slot.is_none() && **found == *name,
        };
        let attribute = self.details.customer.iter().find(|attribute| is_named(&attribute.name))?;
        Some(&attribute.value).filter(|value| **value != OwnedValue::Null)
    }

    fn slot(&self, name: &str) -> Option<FieldId> {
        let (slot, _) = self.schemas.catalog().by_name(PROFILE)?.field(name)?;
        Some(slot)
    }

    /// The attributes that a record tells, as far as they are known.
    fn customer(&self) -> impl Iterator<Item = (&'static str, &'a OwnedValue)> {
        CUSTOMER.iter().filter_map(|name| Some((*name, self.attribute(name)?)))
    }

    /// Who is to be told of a record of this severity.
    fn notify(&self) -> impl Iterator<Item = Recipient<'a>> {
        let severity = self.transition.severity;
        let concerned = move |levels: &[Severity]| levels.is_empty() || levels.contains(&severity);
        self.rule
            .presentation
            .notify
            .iter()
            .filter(move |notify| concerned(&notify.levels))
            .flat_map(|notify| notify.roles.iter().map(|role| Recipient { role, channels: &notify.channels }))
    }

    /// Whom a role stands for: the attribute of that name, as a text.
    fn recipient(&self, role: &str) -> Option<String> {
        self.attribute(role).map(|value| text::shown(value.borrow(), ""))
    }

    fn due_at(&self, task: &Task) -> Option<Millis> {
        task.due.map(|due| self.transition.episode.fired_at.saturating_add(due).min(LATEST))
    }

    /// A text of the rule with its holes filled.
    fn render(&self, language: &str, template: &Template) -> String {
        text::render(self, language, template)
    }
}
