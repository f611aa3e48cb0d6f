//! How a task comes back: its store, then the journal from there on, replayed with outputs withheld.
//!
//! ```text
//!  settling ──> basing ──────────────> replaying ──> a task that can run
//!  committed    store, else checkpoint,  one journal record a step
//!  offset and   else the beginning
//!  journal end
//! ```
//!
//! The order matters. The worker fences first, so that no earlier instance can still publish; then the committed offset,
//! which is answered only once no transaction is open; then the journal to an end that nothing hides, and the offset
//! again, which must be the same; only then the store, which may be behind the journal but never ahead of it. Each step is short, so that the worker's other tasks go on.

use std::collections::VecDeque;
use std::ops::Range;

use super::adoption::Rules;
use super::partition_task::Task;
use super::replay;
use super::rulebook::NO_GENERATION;
use super::world::{Logged, Offset, PartitionId, Source, World, WorldError};
use super::{Shared, base};

/// Journal records read at a time.
const JOURNAL_BATCH: usize = 256;

/// The restore of one partition, as far as it has come.
#[derive(Debug)]
pub struct Restore<S> {
    partition: PartitionId,
    /// Why the store that is there may not be used.
    suspect: Option<String>,
    stage: Stage<S>,
}

#[derive(Debug)]
enum Stage<S> {
    Settling,
    Basing(Log),
    Replaying(Box<Replaying<S>>),
}

/// What the log says, at a moment at which nothing was open.
#[derive(Clone, Debug)]
pub struct Log {
    /// The group's offset of each input topic.
    pub committed: Vec<Option<Offset>>,
    /// The offsets of the journal.
    pub journal: Range<Offset>,
}

#[derive(Debug)]
struct Replaying<S> {
    log: Log,
    task: Task<S>,
    /// Records that were read and not replayed.
    records: VecDeque<Logged>,
    /// How many steps of the first of them are done.
    steps_done: usize,
    /// The journal was read up to here.
    read: Offset,
    /// The first offset of each input topic that is replayed.
    began: Vec<Offset>,
}

/// A task that is where the journal ends.
#[derive(Debug)]
pub struct Restored<S> {
    pub task: Task<S>,
    /// How many offsets of the input were replayed.
    pub replayed: u64,
}

impl<S: crate::store::Store> Restore<S> {
    /// A restore that has not begun. `suspect`: why the store that is there may not be used, if so.
    #[must_use]
    pub fn new(partition: PartitionId, suspect: Option<String>) -> Self {
        Self { partition, suspect, stage: Stage::Settling }
    }

    /// Why the store that is there may not be used, if that is not dealt with yet.
    pub fn take_suspect(&mut self) -> Option<String> {
        self.suspect.take()
    }

    /// Goes a step further; returns the task when it is there.
    ///
    /// # Errors
    /// [`WorldError::Pending`] and [`WorldError::Transient`] if it is to be tried again later. [`WorldError::Fatal`] if
    /// store, journal, committed offset and input do not fit together, saying how.
    pub fn step<W>(&mut self, world: &mut W, shared: &Shared) -> Result<Option<Restored<S>>, WorldError>
    where
        W: World,
        W::Stores: super::world::Stores<Store = S>,
    {
        match &mut self.stage {
            Stage::Settling => {
                if shared.rulebook.latest() == NO_GENERATION {
                    let what = "the first rules: publish them with `tocsin rules apply`";
                    return Err(WorldError::Pending(what.to_owned()));
                }
                let committed = committed(world, shared, self.partition)?;
                let journal = world.journal_bounds(self.partition)?;
                // Between the two answers another member may have published: whoever was frozen while its partition
                // went elsewhere does not know better yet.
                if self::committed(world, shared, self.partition)? != committed {
                    return Err(WorldError::Pending("another member to stop publishing for the partition".to_owned()));
                }
                self.stage = Stage::Basing(Log { committed, journal });
            }
            Stage::Basing(log) => {
                let task = base::find(world, shared, self.partition, log, &mut self.suspect)?;
                let (log, began) = (log.clone(), task.next.clone());
                let read = (task.journal_offset() + 1).max(log.journal.start);
                self.stage = Stage::Replaying(Box::new(Replaying {
                    log,
                    task,
                    records: VecDeque::new(),
                    steps_done: 0,
                    read,
                    began,
                }));
            }
            Stage::Replaying(replaying) => {
                if replaying.step(world, shared)? {
                    let done = std::mem::replace(&mut self.stage, Stage::Settling);
                    let Stage::Replaying(replaying) = done else { return Ok(None) };
                    return replaying.end(shared).map(Some);
                }
            }
        }
        Ok(None)
    }
}

impl<S: crate::store::Store> Replaying<S> {
    /// Replays one record; whether it was the last.
    fn step<W>(&mut self, world: &mut W, shared: &Shared) -> Result<bool, WorldError>
    where
        W: World,
        W::Stores: super::world::Stores<Store = S>,
    {
        if self.records.is_empty() && self.read < self.log.journal.end {
            let within = self.read..self.log.journal.end;
            let records = world.journal(self.task.partition, within, JOURNAL_BATCH)?;
            // Offsets have gaps: fewer than asked for are all there are.
            let is_all = records.len() < JOURNAL_BATCH;
            self.read = records.last().filter(|_| !is_all).map_or(self.log.journal.end, |last| last.offset + 1);
            self.records = records.into();
        }
        let Some(record) = self.records.front() else { return Ok(true) };
        replay::record(world, shared, &mut self.task, record, &mut self.steps_done)?;
        self.records.pop_front();
        self.steps_done = 0;
        let partition = self.task.partition;
        self.task.make_room(shared).map_err(|source| WorldError::Store { partition, source })?;
        Ok(self.records.is_empty() && self.read >= self.log.journal.end)
    }

    fn end(self, shared: &Shared) -> Result<Restored<S>, WorldError> {
        let Self { log, task, began, .. } = self;
        let partition = task.partition;
        for ((topic, next), committed) in shared.topics.iter().zip(&task.next).zip(log.committed) {
            match committed {
                Some(committed) if committed != *next => {
                    let of = if shared.merges() { format!(" of {topic}") } else { String::new() };
                    return Err(WorldError::Fatal(format!(
                        "partition {partition}: the journal ends at offset {next}{of}, but the group's committed offset is \
                         {committed}. The journal is the truth: set the group's offset back to {next}, or, to start anew, use \
                         another `application` id"
                    )));
                }
                None if task.journal_offset() >= 0 => {
                    tracing::warn!(
                        topic,
                        partition,
                        offset = next,
                        "the group has no committed offset; the journal's end is taken"
                    );
                }
                _ => {}
            }
        }
        let replayed: Offset = task.next.iter().zip(&began).map(|(next, began)| next - began).sum();
        Ok(Restored { task, replayed: u64::try_from(replayed).unwrap_or(0) })
    }
}

/// The group's offset of each input topic.
fn committed<W: World>(
    world: &mut W,
    shared: &Shared,
    partition: PartitionId,
) -> Result<Vec<Option<Offset>>, WorldError> {
    (0..shared.topics.len()).map(|topic| world.committed(Source { topic, partition })).collect()
}

/// The rules of a generation, and of the one before it while a sweep leads from that one to it.
///
/// # Errors
/// [`WorldError::Pending`] if the rules topic has not been read that far.
pub fn rules(shared: &Shared, generation: i64, sweeping: bool) -> Result<Rules, WorldError> {
    let known = |number| {
        if number == NO_GENERATION {
            return Ok(shared.no_rules.clone());
        }
        let unknown = || WorldError::Pending(format!("generation {number} of the rules has not been read yet"));
        shared.rulebook.get(number).ok_or_else(unknown)
    };
    Ok(if sweeping {
        Rules::changing(known(generation - 1)?, known(generation)?)
    } else {
        Rules::new(known(generation)?)
    })
}
