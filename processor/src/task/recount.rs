//! A partition judged again from its journal, for somebody who compares what comes of it with what has been published.
//!
//! It is the replay of a restore, but for three things: what is found is handed out; a record that does not agree with it
//! is the caller's to report, and the next one follows; and the store is a scrap of its own, written behind as that of a
//! task is, so that memory is bounded.

use tocsin_core::alert::Transition;
use tocsin_core::time::Millis;

use super::cache::Cache;
use super::partition_task::{Audience, Found, Task};
use super::world::{Offset, Outgoing, PartitionId, WorldError};
use super::{Events, Shared, base, replay};
use crate::codec::journal::{JournalRecord, Position};
use crate::store::Store;

/// A partition on its way through its journal.
#[derive(Debug)]
pub struct Recount<S> {
    partition: PartitionId,
    task: Task<S>,
}

/// What a journal record came to when it was done again.
#[derive(Debug)]
pub struct Recounted {
    pub transitions: Vec<Transition>,
    pub dead_letters: Vec<Outgoing>,
    /// [`crate::codec::alert::TransitionHasher::finish`] over the transitions.
    pub hash: u64,
    /// Where it ended.
    pub to: Position,
    /// Of the rules in force at the end.
    pub rules_fingerprint: Box<str>,
}

impl<S: Store> Recount<S> {
    /// Begins where the store is; in a new one at these offsets of the input topics, with nothing done.
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if the rules topic has other rules than the store was judged by; [`WorldError::Store`].
    pub fn begin(
        shared: &Shared,
        partition: PartitionId,
        store: S,
        start: &[Offset],
        now: Millis,
    ) -> Result<Self, WorldError> {
        let position = Cache::position(&store).map_err(|source| WorldError::Store { partition, source })?;
        let position = position.unwrap_or_else(|| base::nothing_done(shared, start));
        Ok(Self { partition, task: base::task(shared, partition, store, &position, now)? })
    }

    /// Does what a journal record tells, whether or not it follows on what has been done.
    ///
    /// # Errors
    /// What keeps it from being done: events that are gone, rules that are not known, a store that fails.
    pub fn record<E: Events>(
        &mut self,
        events: &mut E,
        shared: &Shared,
        offset: Offset,
        record: &JournalRecord,
    ) -> Result<Recounted, WorldError> {
        let mut found = Found::default();
        replay::perform(events, shared, &mut self.task, record, &mut 0, &mut Audience::Audit(&mut found))?;
        let recounted = Recounted {
            transitions: found.transitions,
            dead_letters: found.dead_letters,
            hash: self.task.progress.transitions.finish(),
            to: self.task.place(shared),
            rules_fingerprint: self.task.rules.current().fingerprint.clone(),
        };
        self.task.published(shared, offset);
        Ok(recounted)
    }

    /// How far the input has been judged.
    #[must_use]
    pub fn next(&self) -> &[Offset] {
        &self.task.next
    }

    /// Keeps within its memory.
    ///
    /// # Errors
    /// [`WorldError::Store`].
    pub fn make_room(&mut self, shared: &Shared) -> Result<(), WorldError> {
        let partition = self.partition;
        self.task.make_room(shared).map_err(|source| WorldError::Store { partition, source })
    }

    /// Writes changed customers and timers to the store. To be called now and then.
    ///
    /// # Errors
    /// [`WorldError::Store`].
    pub fn write_back(&mut self, shared: &Shared) -> Result<(), WorldError> {
        let partition = self.partition;
        self.task.write_back(shared).map_err(|source| WorldError::Store { partition, source })?;
        Ok(())
    }
}
