//! Looks at topics from outside, for tools: no member of any group, nothing is written, and whoever works on the topics
//! does not notice. Only committed records are seen.

use rdkafka::consumer::Consumer;
use rdkafka::{Offset as Position, TopicPartitionList};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use tocsin_core::time::Millis;

use super::edges::Edges;
use super::errors;
use super::native::Record;
use super::reader::{Reader, Stretch};
use super::settings::KafkaSettings;
use crate::task::headers::Headers;
use crate::task::world::{Input, Offset, PartitionId, WorldError};

/// Offsets read between two looks at whether the caller has seen enough.
const CHUNK: Offset = 2_000;

/// The broker looks for transactions that have run out of time every ten seconds by default.
const ABORT_MARGIN: Duration = Duration::from_secs(20);
/// Between two questions whether a transaction has ended.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// A reader of any partition.
#[derive(Debug)]
pub struct Browser {
    reader: Reader,
    edges: Edges,
    settings: KafkaSettings,
}

/// What of a partition can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first offset that is kept.
    pub first: Offset,
    /// Where the first open transaction begins, or the partition ends: what lies before does not change any more.
    pub end: Offset,
}

impl Browser {
    /// Makes the clients; no broker is asked.
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if the settings cannot be used.
    pub fn new(settings: &KafkaSettings) -> Result<Self, WorldError> {
        settings.check()?;
        Ok(Self { reader: Reader::new(settings)?, edges: Edges::new(settings)?, settings: settings.clone() })
    }

    /// Number of partitions of a topic; `None` if there is no such topic, or this principal may not see it.
    ///
    /// # Errors
    /// [`WorldError::Transient`] if no broker answers.
    pub fn partitions(&self, topic: &str) -> Result<Option<i32>, WorldError> {
        let bootstrap = &self.settings.bootstrap;
        // All of them: a question for a single one creates it, where the broker allows that.
        let metadata = self.reader.consumer().fetch_metadata(None, self.settings.request_timeout);
        let metadata = metadata
            .map_err(|error| errors::asking(format_args!("the topics of {bootstrap} are not known"), &error))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        Ok(found.map(|found| found.partitions().len() as i32).filter(|partitions| *partitions > 0))
    }

    /// What of a partition can be read by now.
    ///
    /// # Errors
    /// [`WorldError::Transient`] if no broker answers.
    pub fn extent(&self, topic: &str, partition: PartitionId) -> Result<Extent, WorldError> {
        let (first, end) = self.reader.stable_bounds(topic, partition)?;
        Ok(Extent { first, end })
    }

    /// As [`Browser::extent`], once everything that has been begun by now is committed or aborted.
    ///
    /// # Errors
    /// [`WorldError::Transient`] if no broker answers, or a transaction stays open for longer than it should.
    pub fn settled_extent(&self, topic: &str, partition: PartitionId) -> Result<Extent, WorldError> {
        let until = Instant::now() + self.settings.transaction_timeout + ABORT_MARGIN;
        loop {
            match self.reader.settled_bounds(topic, partition, &self.edges) {
                Ok(bounds) => return Ok(Extent { first: bounds.start, end: bounds.end }),
                Err(WorldError::Pending(_)) if Instant::now() < until => std::thread::sleep(ASK_AGAIN),
                Err(WorldError::Pending(what)) => return Err(WorldError::Transient(what)),
                Err(error) => return Err(error),
            }
        }
    }

    /// The first offset whose record has this timestamp or a later one; `None` if all are earlier.
    ///
    /// # Errors
    /// [`WorldError::Transient`] if no broker answers.
    pub fn offset_at(&self, topic: &str, partition: PartitionId, at: Millis) -> Result<Option<Offset>, WorldError> {
        let asked = || {
            let mut times = TopicPartitionList::with_capacity(1);
            times.add_partition_offset(topic, partition, Position::Offset(at.max(0)))?;
            self.reader.consumer().offsets_for_times(times, self.settings.request_timeout)
        };
        let what = format_args!("the offset of an instant in partition {partition} of {topic}");
        let found = asked().map_err(|error| errors::asking(what, &error))?;
        Ok(found.elements().first().and_then(|element| match element.offset() {
            Position::Offset(offset) => Some(offset),
            _ => None,
        }))
    }

    /// Hands out the records from one offset up to, not including, another, until one is enough. Both must lie within
    /// the [`Extent`].
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if some of them are gone; [`WorldError::Transient`] if no broker answers.
    pub fn read(
        &mut self,
        topic: &str,
        partition: PartitionId,
        (from, to): (Offset, Offset),
        each: &mut dyn FnMut(Input<'_>) -> ControlFlow<()>,
    ) -> Result<(), WorldError> {
        let (mut from, mut flow) = (from, ControlFlow::Continue(()));
        while from < to && flow.is_continue() {
            let stretch = Stretch { topic, partition, from, to: to.min(from + CHUNK) };
            self.reader.read(stretch, &self.edges, &mut || Ok(()), &mut |record| {
                if flow.is_continue() {
                    flow = each(input(record));
                }
            })?;
            from = stretch.to;
        }
        Ok(())
    }

    /// Gives back what reading holds, until it goes on.
    pub fn rest(&mut self) {
        self.reader.rest();
        self.reader.tidy();
        self.edges.tidy();
    }
}

fn input(record: Record<'_>) -> Input<'_> {
    let Record { partition, offset, timestamp, key, payload, .. } = record;
    Input { topic: 0, partition, offset, timestamp, key, payload, headers: Headers::default() }
}
