//! A worker: a thread with the tasks that are assigned to it, and one transaction at a time for all of them.
//!
//! ```text
//! round: poll ──> take and drain each record ──> idle? ──> time to publish? ──> time to write behind?
//! ```
//!
//! A transaction begins only when everything in it is ready. Whatever goes wrong, there is one way on: drop what is in
//! memory, restore, go live.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tocsin_core::partition::Drained;
use tocsin_core::time::Millis;

use super::inbox::Inbox;
use super::outbox::Outbox;
use super::partition_task::{Audience, Task};
use super::restore::restore;
use super::world::{Arrival, PartitionId, Rebalance, Transaction, World, WorldError};
use super::Shared;
use crate::store::Store;
use crate::telemetry::events;

/// Tells workers to stop.
pub type Stop = Arc<AtomicBool>;

/// Longest wait for a record: after it the worker looks at its clocks again.
const LONGEST_POLL: Duration = Duration::from_millis(100);

/// The tasks of one thread and what they have in common.
#[derive(Debug)]
pub struct Worker<W: World> {
    world: W,
    shared: Arc<Shared>,
    tasks: BTreeMap<PartitionId, Task<W::Store>>,
    inbox: Inbox,
    outbox: Outbox,
    last_commit: Millis,
    last_write: Millis,
}

impl<W: World> Worker<W> {
    pub fn new(world: W, shared: Arc<Shared>) -> Self {
        let now = world.now();
        Self {
            world,
            shared,
            tasks: BTreeMap::new(),
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            last_commit: now,
            last_write: now,
        }
    }

    /// Works until `stop` is set, then publishes and writes what is left.
    ///
    /// # Errors
    /// What no restore mends.
    pub fn run(&mut self, stop: &Stop) -> Result<(), WorldError> {
        self.world.fence()?;
        while !stop.load(Ordering::Relaxed) {
            match self.round() {
                Ok(()) => {}
                Err(WorldError::Transient(message)) => events::WorldFaltered { message: &message }.emit(&self.shared.metrics),
                Err(WorldError::Unsettled(message)) => self.recover(&message)?,
                Err(error) => return Err(error),
            }
        }
        self.close()
    }

    /// One turn of the loop.
    ///
    /// # Errors
    /// See [`WorldError`]; after [`WorldError::Unsettled`] the tasks must be restored.
    pub fn round(&mut self) -> Result<(), WorldError> {
        if self.inbox.is_empty() {
            self.poll()?;
        }
        self.judge()?;
        self.idle()?;
        if self.is_time_to_publish() {
            self.publish()?;
        }
        self.write_behind()
    }

    fn poll(&mut self) -> Result<(), WorldError> {
        self.inbox.recycle();
        let wait = self.until_next_commit().min(LONGEST_POLL);
        let inbox = &mut self.inbox;
        let rebalance = self.world.poll(self.shared.commit.max_batch, wait, &mut |arrival| inbox.push(arrival))?;
        match rebalance {
            None => Ok(()),
            Some(Rebalance::Assigned(partitions)) => self.assigned(&partitions),
            Some(Rebalance::Revoked { partitions, lost }) => self.revoked(&partitions, lost),
        }
    }

    /// Takes in what has arrived until it is time to publish.
    fn judge(&mut self) -> Result<(), WorldError> {
        let now = self.world.now();
        self.drain_all(now)?;
        while self.outbox.len() < self.shared.commit.max_records {
            let Some(arrival) = self.inbox.pop() else { break };
            match arrival {
                Arrival::End { partition, offset } => {
                    if let Some(task) = self.tasks.get_mut(&partition) {
                        task.end = Some(offset);
                    }
                }
                Arrival::Record(record) => {
                    let Some(task) = self.tasks.get_mut(&record.partition) else { continue };
                    task.end = None;
                    task.last_arrival = now;
                    let mut audience = Audience::Live { outbox: &mut self.outbox, now };
                    task.take(&self.shared, record, &mut audience)?;
                    if task.drain(&self.shared, &mut audience)? == Drained::More {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Goes on with drains that were cut, as far as one transaction may go.
    fn drain_all(&mut self, now: Millis) -> Result<(), WorldError> {
        for task in self.tasks.values_mut() {
            let mut audience = Audience::Live { outbox: &mut self.outbox, now };
            while task.drain(&self.shared, &mut audience)? == Drained::More {
                let Audience::Live { outbox, .. } = &audience else { break };
                if outbox.len() >= self.shared.commit.max_records {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Lets the watermark of partitions that have nothing more to read follow the wall clock, where that makes something
    /// due.
    fn idle(&mut self) -> Result<(), WorldError> {
        let Some(idle_after) = self.shared.idle.idle_after else { return Ok(()) };
        let now = self.world.now();
        let silent_since = self.tasks.values().map(|task| task.last_arrival).max().unwrap_or(now);
        let feed_is_broken = self.shared.idle.feed_timeout.is_some_and(|timeout| now - silent_since >= millis(timeout));
        self.shared.metrics.feed_broken(feed_is_broken);
        if feed_is_broken || !self.inbox.is_empty() {
            return Ok(());
        }
        for task in self.tasks.values_mut() {
            let Some(end) = task.end else { continue };
            let target = now - self.shared.time.max_out_of_orderness;
            let is_idle = now - task.last_arrival >= millis(idle_after) && !task.draining;
            if !is_idle || task.cache.first_timer()?.is_none_or(|first| first > target) {
                continue;
            }
            // Asked after `now` was read: whatever was written before it is below this offset.
            let confirmed = self.world.end_of(task.partition);
            let is_end = matches!(confirmed, Ok(offset) if offset == end);
            events::IdleChecked { partition: task.partition, advanced: is_end, answer: &confirmed }.emit(&self.shared.metrics);
            if is_end && task.core.watermark.is_none_or(|watermark| watermark < target) {
                task.tick(target);
                let mut audience = Audience::Live { outbox: &mut self.outbox, now };
                task.drain(&self.shared, &mut audience)?;
            }
        }
        Ok(())
    }

    fn is_time_to_publish(&self) -> bool {
        self.outbox.len() >= self.shared.commit.max_records || self.until_next_commit().is_zero()
    }

    /// Zero if it is time; long if there is nothing to publish.
    fn until_next_commit(&self) -> Duration {
        if !self.tasks.values().any(Task::has_progress) {
            return Duration::MAX;
        }
        let commit = &self.shared.commit;
        let interval = if self.outbox.is_empty() { commit.interval } else { commit.min_interval };
        let passed = u64::try_from(self.world.now() - self.last_commit).unwrap_or(0);
        interval.saturating_sub(Duration::from_millis(passed))
    }

    /// Publishes all that was found since the last time, with offsets and journal, in one transaction.
    fn publish(&mut self) -> Result<(), WorldError> {
        let (alerts, dead_letters) = self.outbox.take();
        let mut transaction = Transaction { alerts, dead_letters, ..Transaction::default() };
        let touched: Vec<PartitionId> =
            self.tasks.values().filter(|task| task.has_progress()).map(|task| task.partition).collect();
        for task in touched.iter().filter_map(|partition| self.tasks.get(partition)) {
            transaction.offsets.push((task.partition, task.next));
            transaction.journal.push((task.partition, task.journal_record(&self.shared).encode()));
        }
        let started = std::time::Instant::now();
        let published = self.world.publish(&transaction);
        events::Committed { seconds: started.elapsed().as_secs_f64(), transaction: &transaction, error: published.as_ref().err() }
            .emit(&self.shared.metrics);
        for (partition, offset) in touched.iter().zip(published?) {
            if let Some(task) = self.tasks.get_mut(partition) {
                task.published(offset);
            }
        }
        self.last_commit = self.world.now();
        Ok(())
    }

    /// Writes the stores, when it is time and everything is published.
    fn write_behind(&mut self) -> Result<(), WorldError> {
        let now = self.world.now();
        if now - self.last_write < millis(self.shared.commit.write_behind) || self.tasks.values().any(Task::has_progress) {
            return Ok(());
        }
        self.last_write = now;
        self.write_all()
    }

    fn write_all(&mut self) -> Result<(), WorldError> {
        for task in self.tasks.values_mut() {
            if task.unwritten {
                let written = task.write_back(&self.shared)?;
                events::StoreWritten { partition: task.partition, written: &written }.emit(&self.shared.metrics);
            }
            report(&self.shared, task);
        }
        Ok(())
    }

    fn assigned(&mut self, partitions: &[PartitionId]) -> Result<(), WorldError> {
        self.world.fence()?;
        let mut starts = Vec::new();
        for &partition in partitions {
            let started = std::time::Instant::now();
            self.shared.metrics.task_restoring(partition);
            let task = restore(&mut self.world, &self.shared, partition)?;
            starts.push((partition, task.next));
            let seconds = started.elapsed().as_secs_f64();
            events::PartitionAssigned { partition, offset: task.next, seconds }.emit(&self.shared.metrics);
            self.tasks.insert(partition, task);
        }
        self.world.start(&starts)
    }

    /// Settles what goes: publishes what is pending while it may, drops it where it may not.
    fn revoked(&mut self, partitions: &[PartitionId], lost: bool) -> Result<(), WorldError> {
        self.inbox.forget(|partition| partitions.contains(&partition));
        if lost {
            // Some of what is in the outbox belongs to others now, so nothing of it may go out.
            self.outbox.take();
        } else {
            self.settle()?;
        }
        for partition in partitions {
            if let Some(mut task) = self.tasks.remove(partition)
                && !lost
            {
                task.write_back(&self.shared)?;
            }
            events::PartitionRevoked { partition: *partition, lost }.emit(&self.shared.metrics);
        }
        self.world.release(partitions)?;
        if lost {
            self.restore_remaining()?;
        }
        Ok(())
    }

    /// Ends every drain and publishes.
    fn settle(&mut self) -> Result<(), WorldError> {
        while self.tasks.values().any(Task::has_progress) {
            let now = self.world.now();
            self.drain_all(now)?;
            self.publish()?;
        }
        Ok(())
    }

    /// The one way on after a transaction that is not known to have happened.
    fn recover(&mut self, message: &str) -> Result<(), WorldError> {
        events::Recovering { message, tasks: self.tasks.len() }.emit(&self.shared.metrics);
        self.inbox.forget(|_| true);
        self.outbox.take();
        self.world.fence()?;
        self.restore_remaining()
    }

    fn restore_remaining(&mut self) -> Result<(), WorldError> {
        let partitions: Vec<_> = std::mem::take(&mut self.tasks).into_keys().collect();
        self.inbox.forget(|_| true);
        if partitions.is_empty() { Ok(()) } else { self.assigned(&partitions) }
    }

    /// Publishes and writes what is left.
    fn close(&mut self) -> Result<(), WorldError> {
        self.inbox.forget(|_| true);
        self.settle()?;
        self.write_all()?;
        for task in self.tasks.values_mut() {
            task.cache.store_mut().sync()?;
        }
        let partitions: Vec<_> = std::mem::take(&mut self.tasks).into_keys().collect();
        self.world.release(&partitions)
    }

    /// The outside world, for tests that look at it afterwards.
    pub fn world(&mut self) -> &mut W {
        &mut self.world
    }
}

fn report<S: Store>(shared: &Shared, task: &Task<S>) {
    let store_bytes = task.cache.store().size_bytes();
    shared.metrics.task_status(task.partition, task.core.watermark, store_bytes, task.cache.len());
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
