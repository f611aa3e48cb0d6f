//! What has arrived is judged, until it is time to publish.

use std::time::Instant;

use tocsin_core::partition::Drained;
use tocsin_core::time::Millis;

use super::{Running, Worker};
use crate::task::idle::Clocks;
use crate::task::partition_task::Audience;
use crate::task::world::{Arrival, PartitionId, World, WorldError};

/// Steps of one journal record, about: merging adds one with each change of the topic, and a record has a largest size.
const STEPS_MAX: usize = 10_000;

impl<W: World> Worker<W> {
    /// Takes in what has arrived until it is time to publish.
    pub(super) fn judge(&mut self) -> Result<(), WorldError> {
        let (now, steady) = (self.world.now(), self.world.steady());
        self.drain_all(now)?;
        let (started, waiting) = (Instant::now(), self.inbox.len());
        let mut fetched = 0;
        while self.outbox.len() < self.shared.commit.max_batch {
            if fetched == 0 {
                let task = self.inbox.partition().and_then(|partition| self.tasks.get(&partition));
                fetched = task.map_or(0, |running| running.task.fetch(&self.inbox, usize::MAX));
            }
            let Some(arrival) = self.inbox.pop() else { break };
            fetched = fetched.saturating_sub(1);
            let source = arrival.source();
            let partition = source.partition;
            let Some(Running { task, lanes, .. }) = self.tasks.get_mut(&partition) else { continue };
            let Some(lane) = lanes.get_mut(source.topic) else { continue };
            match arrival {
                Arrival::End { offset, is_all, .. } => lane.ended(offset, is_all),
                Arrival::Record(record) => {
                    lane.taken(steady);
                    let mut audience = Audience::Live { outbox: &mut self.outbox, now };
                    let drained = task
                        .take(&self.shared, record, &mut audience)
                        .and_then(|()| task.drain(&self.shared, &mut audience));
                    if drained.map_err(|source| WorldError::Store { partition, source })? == Drained::More {
                        break;
                    }
                }
            }
        }
        if waiting > 0 {
            self.shared.metrics.observe_batch(waiting - self.inbox.len(), started.elapsed());
        }
        Ok(())
    }

    /// As [`Self::judge`], for several topics: of each partition the oldest record first.
    pub(super) fn merge(&mut self) -> Result<(), WorldError> {
        let clocks = Clocks { now: self.world.now(), steady: self.world.steady() };
        self.drain_all(clocks.now)?;
        let (started, waiting) = (Instant::now(), self.at_hand());
        let (before, after): (Vec<_>, Vec<_>) =
            self.tasks.keys().copied().partition(|partition| *partition < self.merge_turn);
        for partition in after.into_iter().chain(before) {
            if !self.merge_partition(partition, clocks)? {
                // Those that come after it must not wait for it each time.
                self.merge_turn = partition + 1;
                break;
            }
        }
        if waiting > 0 {
            self.shared.metrics.observe_batch(waiting - self.at_hand(), started.elapsed());
        }
        Ok(())
    }

    /// Whether there is time for another one.
    fn merge_partition(&mut self, partition: PartitionId, Clocks { now, steady }: Clocks) -> Result<bool, WorldError> {
        let shared = &*self.shared;
        let Some(Running { task, lanes, .. }) = self.tasks.get_mut(&partition) else { return Ok(true) };
        loop {
            let is_full = self.outbox.len() >= shared.commit.max_batch || task.progress.steps.len() >= STEPS_MAX;
            if is_full || task.draining {
                return Ok(false);
            }
            let Some(topic) = lanes.choose(shared, &mut task.decoder, steady) else { return Ok(true) };
            let mut inbox = lanes.lend(topic, steady);
            let mut audience = Audience::Live { outbox: &mut self.outbox, now };
            let taken = match inbox.pop() {
                Some(Arrival::Record(record)) => task.take(shared, record, &mut audience),
                Some(Arrival::End { .. }) | None => Ok(()),
            };
            lanes.put_back(topic, inbox);
            let drained = taken.and_then(|()| task.drain(shared, &mut audience));
            drained.map_err(|source| WorldError::Store { partition, source })?;
        }
    }

    /// How many records wait to be judged.
    fn at_hand(&self) -> usize {
        self.tasks.values().map(|running| running.lanes.len()).sum()
    }

    /// Whether some task's next journal record is as long as it may become.
    pub(super) fn has_many_steps(&self) -> bool {
        self.shared.merges() && self.tasks.values().any(|running| running.task.progress.steps.len() >= STEPS_MAX)
    }

    /// Goes on with drains that were cut, as far as one transaction may go.
    pub(super) fn drain_all(&mut self, now: Millis) -> Result<(), WorldError> {
        for (&partition, Running { task, .. }) in &mut self.tasks {
            while task.draining {
                if self.outbox.len() >= self.shared.commit.max_batch {
                    return Ok(());
                }
                task.drain(&self.shared, &mut Audience::Live { outbox: &mut self.outbox, now })
                    .map_err(|source| WorldError::Store { partition, source })?;
            }
        }
        Ok(())
    }
}
