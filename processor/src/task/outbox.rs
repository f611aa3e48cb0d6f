//! What has been found and not yet published.

use std::borrow::Cow;
use std::sync::Arc;

use tocsin_core::alert::{Transition, TransitionKind};
use tocsin_core::rule::Rule;
use tocsin_core::time::Millis;

use super::world::{Input, Offset, Outgoing, Source};
use crate::codec::alert::{AlertWriter, TransitionHasher};
use crate::codec::journal::Step;
use crate::config::AlertsFormat;
use crate::telemetry::{AlertPublished, DeadLettered, Metrics};

/// Headers of a dead letter: where the record was.
pub const LETTER_TOPIC: &str = "tocsin.topic";
pub const LETTER_PARTITION: &str = "tocsin.partition";
pub const LETTER_OFFSET: &str = "tocsin.offset";

/// Alerts and dead letters of one worker, waiting for its next transaction.
#[derive(Debug, Default)]
pub struct Outbox {
    pub alerts: Vec<Outgoing>,
    pub dead_letters: Vec<Outgoing>,
    /// What is to be told of them once they are published.
    told: Told,
    bytes: usize,
}

/// What log and metrics tell of a transaction's records.
#[derive(Debug, Default)]
pub struct Told {
    alerts: Vec<(Arc<Rule>, TransitionKind)>,
    dead_letters: Vec<(&'static str, Source, Offset, Box<str>)>,
}

impl Told {
    /// They are published. `topics` are the names of the input topics.
    pub fn emit(self, topics: &[String], metrics: &Metrics) {
        for (rule, kind) in &self.alerts {
            AlertPublished { rule, kind: *kind }.emit(metrics);
        }
        for (reason, Source { topic, partition }, offset, detail) in self.dead_letters {
            let topic = topics.get(topic).map_or("", String::as_str);
            DeadLettered { reason, topic, partition, offset, detail: &detail }.emit(metrics);
        }
    }
}

/// Why a record is a dead letter, and where it came from.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetter<'a> {
    /// One of a few fixed words.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: &'a str,
    pub topic: &'a str,
    pub record: Input<'a>,
}

impl DeadLetter<'_> {
    /// The record as it came, with headers that say why it is here and where it was, before those that it had.
    #[must_use]
    pub fn outgoing(&self) -> Outgoing {
        let text = |text: &str| text.as_bytes().to_vec();
        let Input { partition, offset, timestamp, key, payload, headers: own, .. } = self.record;
        let mut headers: Vec<(Cow<'static, str>, Vec<u8>)> = vec![
            ("tocsin.reason".into(), text(self.reason)),
            ("tocsin.message".into(), text(self.message)),
            (LETTER_TOPIC.into(), text(self.topic)),
            (LETTER_PARTITION.into(), text(&partition.to_string())),
            (LETTER_OFFSET.into(), text(&offset.to_string())),
        ];
        headers.extend(timestamp.map(|timestamp| ("tocsin.timestamp".into(), text(&timestamp.to_string()))));
        let owned = |bytes| Cow::Owned(String::from_utf8_lossy(bytes).into_owned());
        headers.extend(own.iter().map(|(name, value)| (owned(name), value.to_vec())));
        Outgoing { key: key.unwrap_or_default().to_vec(), payload: payload.map(<[u8]>::to_vec), headers }
    }
}

impl Outbox {
    /// Renders a transition as an alert record, keyed by its customer.
    pub fn alert(&mut self, writer: &AlertWriter, format: AlertsFormat, transition: &Transition, detected_at: Millis) {
        let mut payload = Vec::with_capacity(1_024);
        match format {
            AlertsFormat::Json => writer.json(transition, detected_at, &mut payload),
            AlertsFormat::Avro => writer.avro(transition, detected_at, &mut payload),
        }
        self.bytes += payload.len();
        let key = transition.customer_id.as_bytes().to_vec();
        self.told.alerts.push((transition.rule.clone(), transition.kind));
        self.alerts.push(Outgoing { key, payload: Some(payload), headers: Vec::new() });
    }

    /// Adds a dead letter.
    pub fn dead_letter(&mut self, letter: &DeadLetter<'_>) {
        let Input { topic, partition, offset, payload, headers, .. } = letter.record;
        self.bytes += payload.map_or(0, <[u8]>::len) + headers.bytes().len();
        self.told.dead_letters.push((letter.reason, Source { topic, partition }, offset, letter.message.into()));
        self.dead_letters.push(letter.outgoing());
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.dead_letters.is_empty()
    }

    /// Number of records in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.alerts.len() + self.dead_letters.len()
    }

    /// Bytes of their payloads.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes everything out.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// What is to be told once its records are published.
    #[must_use]
    pub fn told(self) -> Told {
        self.told
    }
}

/// What a task has done since its last journal record.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    pub steps: Vec<Step>,
    pub transitions: TransitionHasher,
    pub dead_letters: u64,
    /// Whether a drain went on. It needs no step of its own: a record without a drain as its last step says that the drain
    /// came to its end.
    pub drained: bool,
}

impl Progress {
    /// Whether there is nothing to tell. What is not told may not be written to the store either.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && !self.drained
    }

    /// Events up to, not including, `to` were taken in.
    pub fn ran(&mut self, topic: &str, to: Offset) {
        match self.steps.last_mut() {
            Some(Step::Run { topic: last, to_offset }) if last == topic => *to_offset = to,
            _ => self.steps.push(Step::Run { topic: topic.to_owned(), to_offset: to }),
        }
    }

    /// The sweep has judged everybody up to this customer.
    pub fn swept(&mut self, through: Option<String>) {
        if let Some(Step::Sweep { customer }) = self.steps.last_mut() {
            *customer = through;
        } else {
            self.steps.push(Step::Sweep { customer: through });
        }
    }
}
