//! Partitions that come and go, the one way on after a failure, and the end.

use tocsin_core::time::Millis;

use super::publish::write_back;
use super::{Running, Worker};
use crate::store::Store as _;
use crate::task::lanes::Lanes;
use crate::task::partitions_added;
use crate::task::restore::Restored;
use crate::task::restoring::Ready;
use crate::task::world::{PartitionId, Stores as _, World, WorldError};
use crate::telemetry::{PartitionRevoked, Rebalanced, RestoreDone};

/// How long a round goes on with restores, in milliseconds: about as long as a transaction takes.
const RESTORE_BUDGET: Millis = 50;

impl<W: World> Worker<W> {
    /// Partitions to be restored. One that has a task already was not started for some reason: what that task found may not
    /// go out any more, so everything is dropped and restored.
    pub(super) fn assigned(&mut self, partitions: &[PartitionId]) -> Result<(), WorldError> {
        if let Some(partition) = partitions.iter().find(|partition| **partition >= self.shared.partitions) {
            return Err(WorldError::Fatal(partitions_added(
                self.shared.topic(),
                self.shared.partitions,
                partition + 1,
            )));
        }
        if partitions.iter().any(|partition| self.tasks.contains_key(partition)) {
            self.recover(0);
        }
        let waiting = self.restoring.len();
        for &partition in partitions {
            self.restoring.begin(self.number, &self.shared, partition, Millis::MIN);
        }
        self.has_joined = true;
        // They are told again until they are started.
        if self.restoring.len() > waiting {
            let partitions = self.tasks.len() + self.restoring.len();
            Rebalanced { worker: self.number, partitions }.emit(&self.shared.metrics);
        }
        Ok(())
    }

    /// Takes restores further for as long as a round may spend on them. A single step would be too little: a round in which
    /// other tasks publish takes as long as many steps, and a restore would last for minutes under load.
    pub(super) fn restore(&mut self) -> Result<(), WorldError> {
        let began = self.world.steady();
        while self.restoring.is_ready(self.world.steady()) && self.world.steady() - began < RESTORE_BUDGET {
            self.restore_step()?;
        }
        Ok(())
    }

    /// Takes the restore of one partition a step further; the others' turn comes in between.
    fn restore_step(&mut self) -> Result<(), WorldError> {
        let now = self.world.steady();
        if !self.restoring.is_ready(now) {
            return Ok(());
        }
        self.world.fence()?;
        let Some(ready) = self.restoring.step(&mut self.world, &self.shared, self.number, now)? else { return Ok(()) };
        let Ready { partition, restored: Restored { task, replayed }, gauges, took } = ready;
        if let Err(error) = self.world.start(&[(partition, task.next.clone())]) {
            self.restoring.begin(self.number, &self.shared, partition, now);
            return Err(error);
        }
        RestoreDone { topic: self.shared.topic(), partition, took, replayed }.emit(&self.shared.metrics);
        gauges.set_generation(task.core.generation);
        let lanes = Lanes::new(&self.shared, partition, now);
        self.tasks.insert(partition, Running { task, lanes, gauges });
        Ok(())
    }

    /// Settles what goes: publishes what is pending while it may, drops it where it may not.
    pub(super) fn revoked(&mut self, partitions: &[PartitionId], lost: bool) -> Result<(), WorldError> {
        self.inbox.forget(|partition| partitions.contains(&partition));
        if lost {
            // Some of what is in the outbox belongs to others now, so nothing of it may go out.
            drop(self.outbox.take());
        } else {
            self.settle()?;
        }
        for &partition in partitions {
            if let Some(mut running) = self.tasks.remove(&partition)
                && !lost
            {
                write_back(&self.shared, &mut running.task)?;
            }
            let topic = self.shared.topic();
            PartitionRevoked { worker: self.number, topic, partition, lost }.emit(&self.shared.metrics);
        }
        self.restoring.forget(partitions);
        for &partition in partitions {
            self.world.stores().give_up(partition);
        }
        if lost {
            self.recover(0);
        }
        self.world.release(partitions)
    }

    /// Ends every drain and publishes.
    pub(super) fn settle(&mut self) -> Result<(), WorldError> {
        while self.has_progress() {
            let now = self.world.now();
            self.drain_all(now)?;
            self.publish()?;
        }
        Ok(())
    }

    /// The one way on after whatever went wrong: drop what is in memory, restore, not before a pause in milliseconds.
    pub(super) fn recover(&mut self, pause: Millis) {
        drop(self.outbox.take());
        self.inbox.forget(|_| true);
        self.world.hold();
        self.restoring.begin_anew();
        let not_before = self.world.steady() + pause;
        for partition in std::mem::take(&mut self.tasks).into_keys() {
            self.restoring.begin(self.number, &self.shared, partition, not_before);
        }
    }

    /// Publishes and writes what is left.
    pub(super) fn close(&mut self) -> Result<(), WorldError> {
        self.inbox.forget(|_| true);
        match self.settle() {
            // The next start restores: nothing is lost, it only takes a moment longer.
            Err(WorldError::Unsettled(message)) => {
                tracing::warn!(
                    worker = self.number,
                    message,
                    "the last transaction is in doubt; the next start restores"
                );
                self.tasks.clear();
            }
            done => done?,
        }
        self.write_all()?;
        let now = self.world.steady();
        for (&partition, Running { task, .. }) in &mut self.tasks {
            task.cache.store_mut().sync().map_err(|source| WorldError::Store { partition, source })?;
            if self.shared.checkpoint_interval.is_some() {
                task.checkpoint(&self.shared, self.world.stores(), now);
            }
        }
        let partitions: Vec<_> = std::mem::take(&mut self.tasks).into_keys().collect();
        self.world.release(&partitions)
    }
}
