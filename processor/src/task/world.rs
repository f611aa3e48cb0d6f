//! The one interface between the loop and the world: a log and a clock ([`World`]), stores and checkpoints ([`Stores`]).
//!
//! The real world is Kafka, RocksDB and the machine's clock; a simulated one can be put in its place, and the loop does
//! not know.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use tocsin_core::time::Millis;

use super::headers::Headers;
use super::rulebook::Generation;
use crate::codec::rows::Position;
use crate::store::{Store, StoreError};

/// Number of a partition of the input topics; a task is that partition of all of them.
pub type PartitionId = i32;
/// Which input topic, by its place in the configuration. The group subscribes to the first.
pub type TopicId = usize;
/// Place in a partition of a topic.
pub type Offset = i64;

/// A partition of an input topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    pub topic: TopicId,
    pub partition: PartitionId,
}

impl Source {
    /// Of the topic that the group subscribes to.
    #[must_use]
    pub fn first(partition: PartitionId) -> Self {
        Self { topic: 0, partition }
    }
}

/// A record of an input topic.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub topic: TopicId,
    pub partition: PartitionId,
    pub offset: Offset,
    /// When it was written, by its producer's or its broker's clock as the topic is set up.
    pub timestamp: Option<Millis>,
    pub key: Option<&'a [u8]>,
    pub payload: Option<&'a [u8]>,
    /// Those of a record that may become a dead letter; a replay does without.
    pub headers: Headers<'a>,
}

/// What polling brings.
#[derive(Clone, Copy, Debug)]
pub enum Arrival<'a> {
    Record(Input<'a>),
    /// The partition has been read up to this offset, and that is its end as far as a reader of committed records can see.
    End {
        topic: TopicId,
        partition: PartitionId,
        offset: Offset,
        /// The broker said that nothing lies behind it, not even what an open transaction hides. Of no account with one
        /// topic.
        is_all: bool,
    },
}

impl Arrival<'_> {
    #[must_use]
    pub fn source(&self) -> Source {
        let (Self::Record(Input { topic, partition, .. }) | Self::End { topic, partition, .. }) = *self;
        Source { topic, partition }
    }
}

/// Partitions that come and go, found while polling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebalance {
    /// To be restored, then [`World::start`]ed.
    Assigned(Vec<PartitionId>),
    /// To be settled, then [`World::release`]d; `lost`: another member may own them already, so nothing may be published.
    Revoked { partitions: Vec<PartitionId>, lost: bool },
}

/// A record to be published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    pub key: Vec<u8>,
    /// `None`: the record has no value, which is not the same as an empty one.
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(Cow<'static, str>, Vec<u8>)>,
}

/// What is published together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    pub alerts: Vec<Outgoing>,
    pub dead_letters: Vec<Outgoing>,
    /// Next offset of every partition it touches, in each input topic.
    pub offsets: Vec<(Source, Offset)>,
    /// One journal record for each partition it touches.
    pub journal: Vec<(PartitionId, Vec<u8>)>,
}

/// A record of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub offset: Offset,
    pub payload: Vec<u8>,
}

/// What went wrong with the world, by what is to be done about it.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The transaction did not happen, or nobody knows. Drop the memory of the tasks in it and restore them.
    #[error("the transaction is not known to have been committed: {0}")]
    Unsettled(String),
    /// Another instance has taken this one's place. Publish nothing; start anew.
    #[error("another instance took over: {0}")]
    Fenced(String),
    /// A call may succeed if it is repeated.
    #[error("{0}")]
    Transient(String),
    /// The answer is not there yet. Ask again, and do other things meanwhile.
    #[error("{0}")]
    Pending(String),
    /// Nothing this process does will help.
    #[error("{0}")]
    Fatal(String),
    /// The wall clock is more than a minute off the broker's.
    #[error("the wall clock is more than a minute off the broker's; set it")]
    ClockOff,
    /// The store of a partition cannot be used.
    #[error("partition {partition}: {source}")]
    Store { partition: PartitionId, source: StoreError },
}

/// What is said of the place in the journal that a checkpoint is of.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointFacts<'a> {
    pub position: &'a Position,
    /// The rules in force there.
    pub rules: &'a Generation,
    /// Version of what the engine answers.
    pub semantics: i32,
}

/// What has become of a wish for a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It is on its way.
    Pending,
    /// There is none that is newer than what was asked for.
    None,
    /// It is where the next [`Stores::open`] finds it.
    Ready,
}

/// The stores of a machine, and the checkpoints that outlive it.
pub trait Stores {
    type Store: Store;

    /// Opens the store of a partition; a new one if there is none.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::Damaged`] it is to be set aside.
    fn open(&mut self, partition: PartitionId) -> Result<Self::Store, StoreError>;

    /// Moves the store of a partition out of the way, where somebody can look at it; it is never deleted. It must not be
    /// open.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn set_aside(&mut self, partition: PartitionId, reason: &str) -> Result<(), StoreError>;

    /// Puts the newest checkpoint whose journal record has a greater number than `newer_than` where the store belongs, which
    /// must not be open; what was there is set aside.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn fetch(&mut self, partition: PartitionId, newer_than: i64) -> Result<Fetched, StoreError>;

    /// Takes a checkpoint of a store that has just been written at this position. Returns as soon as later writes cannot
    /// change it. What goes wrong is told in log and metrics, and holds nobody up: the next one makes up for it.
    fn take_checkpoint(&mut self, partition: PartitionId, store: &mut Self::Store, facts: CheckpointFacts<'_>);

    /// The partition is no longer this worker's: nothing more needs to be fetched for it.
    fn give_up(&mut self, _partition: PartitionId) {}
}

/// Stores that can be opened, and no more: nothing is set aside, and there are no checkpoints.
#[derive(Clone, Copy, Debug)]
pub struct OpenOnly<F>(pub F);

impl<S, F> Stores for OpenOnly<F>
where
    S: Store,
    F: FnMut(PartitionId) -> Result<S, StoreError>,
{
    type Store = S;

    fn open(&mut self, partition: PartitionId) -> Result<S, StoreError> {
        (self.0)(partition)
    }

    fn set_aside(&mut self, partition: PartitionId, reason: &str) -> Result<(), StoreError> {
        let place = format!("partition {partition}");
        Err(StoreError::Failed { place, action: "be set aside", message: reason.to_owned() })
    }

    fn fetch(&mut self, _: PartitionId, _: i64) -> Result<Fetched, StoreError> {
        Ok(Fetched::None)
    }

    fn take_checkpoint(&mut self, _: PartitionId, _: &mut S, _: CheckpointFacts<'_>) {}
}

/// The store that a world's stores are of.
pub type StoreOf<W> = <<W as World>::Stores as Stores>::Store;

/// Log, stores and clock.
pub trait World {
    type Stores: Stores;

    fn stores(&mut self) -> &mut Self::Stores;

    /// Wall clock. It may be wrong, and jump.
    fn now(&self) -> Millis;

    /// A clock that only runs on, from some beginning: for pauses and intervals.
    fn steady(&self) -> Millis;

    /// Hands what has come to `each`, at most `max` records, waiting up to `wait` for the first. `wanted`: only what comes
    /// from these; everything else waits where it is. `None`: from everywhere.
    ///
    /// # Errors
    /// [`WorldError::Transient`] or [`WorldError::Fatal`].
    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        wanted: Option<&[Source]>,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<Option<Rebalance>, WorldError>;

    /// Starts reading restored partitions from these offsets, one for each input topic.
    ///
    /// # Errors
    /// As for [`World::poll`].
    fn start(&mut self, partitions: &[(PartitionId, Vec<Offset>)]) -> Result<(), WorldError>;

    /// Lets go of revoked partitions, after their tasks were settled.
    ///
    /// # Errors
    /// As for [`World::poll`].
    fn release(&mut self, partitions: &[PartitionId]) -> Result<(), WorldError>;

    /// Publishes a transaction; returns the offset of each partition's journal record, in the order they were given.
    ///
    /// # Errors
    /// [`WorldError::Unsettled`] or [`WorldError::Fenced`].
    fn publish(&mut self, transaction: &Transaction) -> Result<Vec<Offset>, WorldError>;

    /// Makes sure that no earlier instance's transaction is open, before a partition's journal is read.
    ///
    /// # Errors
    /// [`WorldError::Unsettled`] if all that was held is lost; [`WorldError::Transient`] or [`WorldError::Fatal`].
    fn fence(&mut self) -> Result<(), WorldError>;

    /// Whether the wall clock may be gone by, as far as the broker's shows; it may be asked for that by way of a partition of
    /// ours.
    ///
    /// # Errors
    /// [`WorldError::ClockOff`] if not; [`WorldError::Transient`]; [`WorldError::Fenced`] and [`WorldError::Fatal`] if the
    /// broker, asked, does not know this worker any more.
    fn check_clock(&mut self, partition: PartitionId) -> Result<(), WorldError>;

    /// The high watermark of a partition of an input topic, as its broker has it now.
    ///
    /// # Errors
    /// [`WorldError::Transient`].
    fn end_of(&mut self, source: Source) -> Result<Offset, WorldError>;

    /// The oldest offset that a partition of an input topic still has.
    ///
    /// # Errors
    /// [`WorldError::Transient`].
    fn start_of(&mut self, source: Source) -> Result<Offset, WorldError>;

    /// Counts every partition as not started, so that nothing more of it is read: for a loop that has dropped its tasks.
    fn hold(&mut self);

    /// The group's committed offset of a partition, if there is one.
    ///
    /// # Errors
    /// [`WorldError::Pending`] while a transaction with an offset of this partition is open; [`WorldError::Transient`].
    fn committed(&mut self, source: Source) -> Result<Option<Offset>, WorldError>;

    /// Reads committed events of a partition again, from the first offset up to, not including, the second.
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if some of them are gone.
    fn replay(
        &mut self,
        source: Source,
        from: Offset,
        to: Offset,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), WorldError>;

    /// The first offset that the partition's journal still has, and its end.
    ///
    /// # Errors
    /// [`WorldError::Pending`] while an open transaction may hide a record before the end; [`WorldError::Transient`].
    fn journal_bounds(&mut self, partition: PartitionId) -> Result<Range<Offset>, WorldError>;

    /// The partition's journal records at or after the first offset and before the second, which is not behind its end; the
    /// first `max` of them.
    ///
    /// # Errors
    /// As for [`World::replay`].
    fn journal(&mut self, partition: PartitionId, within: Range<Offset>, max: usize)
    -> Result<Vec<Logged>, WorldError>;
}
