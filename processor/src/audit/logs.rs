//! What an audit sees of the log: topics that are read as anybody may read them.
//!
//! No member of any group, no producer: whoever is audited does not notice.

use std::ops::Range;

use tocsin_core::time::Millis;

use crate::task::Events;
use crate::task::world::{Offset, PartitionId, TopicId, WorldError};

/// The topics of an application that an audit reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// An input topic.
    Events(TopicId),
    Journal,
    Alerts,
    DeadLetters,
}

/// Where a partition begins and ends, as its broker has it now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that is kept.
    pub first: Offset,
    /// The high watermark.
    pub end: Offset,
    /// What lies before does not change any more: no transaction is open there. Asked for after `end`.
    pub stable: Offset,
}

/// A record of any topic.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub offset: Offset,
    pub timestamp: Option<Millis>,
    pub key: Option<&'a [u8]>,
    pub payload: Option<&'a [u8]>,
    /// In order. Of dead letters only.
    pub headers: &'a [(&'a [u8], &'a [u8])],
}

/// The log, committed records only.
pub trait Logs: Events {
    /// Wall clock.
    fn now(&self) -> Millis;

    /// Number of partitions of a topic.
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if there is no such topic; [`WorldError::Transient`].
    fn partitions(&mut self, topic: Topic) -> Result<i32, WorldError>;

    /// # Errors
    /// [`WorldError::Transient`].
    fn bounds(&mut self, topic: Topic, partition: PartitionId) -> Result<Bounds, WorldError>;

    /// The records of a stretch that is stable.
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if some of it is gone; [`WorldError::Transient`].
    fn read(
        &mut self,
        topic: Topic,
        partition: PartitionId,
        within: Range<Offset>,
        each: &mut dyn FnMut(Seen<'_>),
    ) -> Result<(), WorldError>;
}
