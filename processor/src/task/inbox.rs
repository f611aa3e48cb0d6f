//! What has been read and not yet judged, in one buffer that is used again and again.

use std::collections::VecDeque;
use std::ops::Range;

use tocsin_core::time::Millis;

use super::headers::Headers;
use super::world::{Arrival, Input, Offset, PartitionId, TopicId};

/// A queue of arrivals that owns their bytes.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    arrivals: VecDeque<Held>,
}

#[derive(Clone, Debug)]
enum Held {
    Record {
        topic: TopicId,
        partition: PartitionId,
        offset: Offset,
        timestamp: Option<Millis>,
        key: Option<Range<usize>>,
        payload: Option<Range<usize>>,
        headers: Range<usize>,
    },
    End {
        topic: TopicId,
        partition: PartitionId,
        offset: Offset,
        is_all: bool,
    },
}

impl Held {
    fn partition(&self) -> PartitionId {
        match self {
            Self::Record { partition, .. } | Self::End { partition, .. } => *partition,
        }
    }
}

impl Inbox {
    /// Adds an arrival at the end.
    pub fn push(&mut self, arrival: Arrival<'_>) {
        let held = match arrival {
            Arrival::End { topic, partition, offset, is_all } => Held::End { topic, partition, offset, is_all },
            Arrival::Record(Input { topic, partition, offset, timestamp, key, payload, headers }) => {
                let key = key.map(|key| self.keep(key));
                let payload = payload.map(|payload| self.keep(payload));
                let headers = self.keep(headers.bytes());
                Held::Record { topic, partition, offset, timestamp, key, payload, headers }
            }
        };
        self.arrivals.push_back(held);
    }

    /// Takes the first arrival out.
    pub fn pop(&mut self) -> Option<Arrival<'_>> {
        let held = self.arrivals.pop_front()?;
        Some(self.show(held))
    }

    /// The first arrival, which stays.
    #[must_use]
    pub fn peek(&self) -> Option<Arrival<'_>> {
        Some(self.show(self.arrivals.front()?.clone()))
    }

    /// The partition of the first arrival.
    #[must_use]
    pub fn partition(&self) -> Option<PartitionId> {
        self.arrivals.front().map(Held::partition)
    }

    /// The keys, as far as they are text, of the arrivals until one of another partition comes; one for each.
    pub fn keys(&self) -> impl Iterator<Item = Option<&str>> {
        let partition = self.partition();
        let same = self.arrivals.iter().take_while(move |held| Some(held.partition()) == partition);
        same.map(|held| match held {
            Held::Record { key: Some(key), .. } => std::str::from_utf8(&self.bytes[key.clone()]).ok(),
            Held::Record { key: None, .. } | Held::End { .. } => None,
        })
    }

    fn show(&self, held: Held) -> Arrival<'_> {
        match held {
            Held::End { topic, partition, offset, is_all } => Arrival::End { topic, partition, offset, is_all },
            Held::Record { topic, partition, offset, timestamp, key, payload, headers } => Arrival::Record(Input {
                topic,
                partition,
                offset,
                timestamp,
                key: key.map(|range| &self.bytes[range]),
                payload: payload.map(|range| &self.bytes[range]),
                headers: Headers::packed(&self.bytes[headers]),
            }),
        }
    }

    /// Forgets what has come from partitions that `gone` names.
    pub fn forget(&mut self, gone: impl Fn(PartitionId) -> bool) {
        self.arrivals.retain(|held| !gone(held.partition()));
    }

    /// Makes the buffer ready for the next batch. Call it when the queue is empty.
    pub fn recycle(&mut self) {
        debug_assert!(self.arrivals.is_empty());
        self.bytes.clear();
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.arrivals.len()
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}
