//! What was read: a record, who a dead letter is, where a key must lie, how a finding names it.

use super::index::Key;
use super::logs::Seen;
use super::report::{AlertName, Finding, Problem, Subject, instant};
use crate::codec::alert::{PublishedAlert, digest};
use crate::partitioner::Partitioner;
use crate::task::outbox::{LETTER_OFFSET, LETTER_PARTITION};
use crate::task::world::{Offset, PartitionId, Source, TopicId};
use tocsin_core::time::Millis;

/// A record that has been read.
pub(super) struct Owned {
    pub timestamp: Option<Millis>,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Owned {
    pub fn of(seen: Seen<'_>) -> Self {
        Self {
            timestamp: seen.timestamp,
            key: seen.key.map(<[u8]>::to_vec),
            payload: seen.payload.map(<[u8]>::to_vec),
            headers: seen.headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
        }
    }

    pub fn payload(&self) -> &[u8] {
        self.payload.as_deref().unwrap_or_default()
    }

    pub fn key(&self) -> &[u8] {
        self.key.as_deref().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers.iter();
        headers.find_map(|(found, value)| (found == name.as_bytes()).then_some(value.as_slice()))
    }

    /// Partition and offset of the record that a dead letter was.
    pub fn origin(&self) -> Option<(PartitionId, Offset)> {
        let number = |name| std::str::from_utf8(self.header(name)?).ok();
        Some((number(LETTER_PARTITION)?.parse().ok()?, number(LETTER_OFFSET)?.parse().ok()?))
    }

    pub fn digest(&self) -> u128 {
        let headers = self.headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        letter_digest(self.key(), self.payload.as_deref(), headers)
    }
}

pub(super) fn letter_key(source: Source, offset: Offset) -> Key {
    let Source { topic, partition } = source;
    Key { id: (topic as u128) << 32 | u128::from(partition as u32), sequence: offset }
}

/// The topic of a dead letter's key.
pub(super) fn letter_topic(key: Key) -> TopicId {
    (key.id >> 32) as TopicId
}

/// What two equal dead letters have in common.
pub(super) fn letter_digest<'h>(
    key: &[u8],
    payload: Option<&[u8]>,
    headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
) -> u128 {
    let mut bytes = vec![u8::from(payload.is_some())];
    let mut put = |part: &[u8]| {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    };
    put(key);
    put(payload.unwrap_or_default());
    for (name, value) in headers {
        put(name);
        put(value);
    }
    digest(&[&bytes])
}

/// Where a publisher puts a key.
pub(super) fn place_of(key: &[u8], partitions: i32) -> PartitionId {
    Partitioner::Murmur2.partition(key, partitions)
}

pub(super) fn output_finding(subject: Subject, problem: Problem, what: &str, at: (PartitionId, Offset)) -> Finding {
    Finding {
        subject,
        problem,
        partition: None,
        journal_offset: None,
        what: what.to_owned(),
        at: vec![at],
        alert: None,
        differences: Vec::new(),
    }
}

/// How an alert record calls itself.
pub(super) fn name_of(payload: &[u8]) -> Option<AlertName> {
    let alert = PublishedAlert::read(payload)?;
    Some(AlertName {
        alert_id: alert.alert_id.to_string(),
        sequence: alert.sequence,
        transition: alert.transition.into_owned(),
        rule_id: alert.rule_id.into_owned(),
        customer_id: alert.customer_id.into_owned(),
        occurred_at: instant(alert.occurred_at),
    })
}
