//! When to publish and when to write behind, and how.
//!
//! A transaction holds all that was found since the last one, of every task. A store is written only when nothing is
//! unpublished, so that it never comes further than the journal.

use std::time::{Duration, Instant};

use tocsin_core::time::Millis;

use super::{Running, Worker};
use crate::task::Shared;
use crate::task::partition_task::Task;
use crate::task::world::{Source, StoreOf, Transaction, World, WorldError};
use crate::telemetry::{FailedOutcome, StoreWritten, TransactionCommitted, TransactionFailed};

/// How often it is shown how far the tasks are, in milliseconds.
const REPORT_INTERVAL: Millis = 1_000;

impl<W: World> Worker<W> {
    pub(super) fn is_time_to_publish(&self) -> bool {
        self.outbox.len() >= self.shared.commit.max_batch || self.has_many_steps() || self.until_next_commit().is_zero()
    }

    pub(super) fn has_progress(&self) -> bool {
        self.tasks.values().any(|running| running.task.has_progress())
    }

    /// Zero if it is time; long if there is nothing to publish.
    pub(super) fn until_next_commit(&self) -> Duration {
        if !self.has_progress() {
            return Duration::MAX;
        }
        let commit = &self.shared.commit;
        let interval = if self.outbox.is_empty() { commit.interval } else { commit.min_interval };
        let left = interval - (self.world.steady() - self.last_commit);
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }

    /// Publishes all that was found since the last time, with offsets and journal, in one transaction.
    pub(super) fn publish(&mut self) -> Result<(), WorldError> {
        let now = self.world.now();
        let mut found = self.outbox.take();
        let mut transaction = Transaction {
            alerts: std::mem::take(&mut found.alerts),
            dead_letters: std::mem::take(&mut found.dead_letters),
            ..Transaction::default()
        };
        let mut touched: Vec<&mut Task<StoreOf<W>>> =
            self.tasks.values_mut().map(|running| &mut running.task).filter(|task| task.has_progress()).collect();
        for task in &touched {
            let mut journal = Vec::new();
            task.journal_record(&self.shared, self.number, now).encode(&mut journal);
            transaction.journal.push((task.partition, journal));
            transaction.offsets.extend(task.offsets());
        }
        let started = Instant::now();
        let published = self.world.publish(&transaction);
        let took = started.elapsed();
        let offsets = published.inspect_err(|error| failed(&self.shared, self.number, error))?;
        let events = touched.iter().map(|task| task.unpublished(&self.shared)).sum();
        for (task, offset) in touched.iter_mut().zip(offsets) {
            task.published(&self.shared, offset);
        }
        let records = transaction.alerts.len() + transaction.dead_letters.len();
        TransactionCommitted { worker: self.number, took, events, records }.emit(&self.shared.metrics);
        found.told().emit(&self.shared.topics, &self.shared.metrics);
        self.last_commit = self.world.steady();
        Ok(())
    }

    /// Writes the stores, when it is time or they must make room, and everything is published.
    pub(super) fn write_behind(&mut self) -> Result<(), WorldError> {
        let now = self.world.steady();
        let is_time = now - self.last_write >= self.shared.commit.write_behind
            || self.tasks.values().any(|running| running.task.cache.is_crowded());
        if !is_time || self.has_progress() {
            return Ok(());
        }
        self.last_write = now;
        self.write_all()?;
        self.take_checkpoints(now);
        Ok(())
    }

    /// Shows how far the tasks are, when it is time.
    pub(super) fn report(&mut self) {
        let now = self.world.steady();
        if now - self.last_report < REPORT_INTERVAL {
            return;
        }
        self.last_report = now;
        for running in self.tasks.values() {
            running.report();
        }
        self.look_up_lag();
    }

    /// Asks for the end of one partition after the other, so that many partitions do not make many questions.
    pub(super) fn look_up_lag(&mut self) {
        let topics = self.shared.topics.len().max(1);
        self.lag_turn = (self.lag_turn + 1) % (self.tasks.len() * topics).max(1);
        let topic = self.lag_turn % topics;
        let Some(Running { task, lanes, gauges }) = self.tasks.values().nth(self.lag_turn / topics) else { return };
        let (Some(next), Some(lane)) = (task.next.get(topic), lanes.get(topic)) else { return };
        if let Ok(end) = self.world.end_of(Source { topic, partition: task.partition }) {
            let lag = if lane.end().is_some() { 0 } else { end - next };
            gauges.set_lag(self.shared.topic_name(topic), u64::try_from(lag).unwrap_or(0));
        }
    }

    pub(super) fn write_all(&mut self) -> Result<(), WorldError> {
        for running in self.tasks.values_mut() {
            write_back(&self.shared, &mut running.task)?;
        }
        Ok(())
    }

    /// Takes a checkpoint of the stores whose turn it is. They have just been written.
    pub(super) fn take_checkpoints(&mut self, now: Millis) {
        let Some(interval) = self.shared.checkpoint_interval else { return };
        for Running { task, .. } in self.tasks.values_mut() {
            if now - task.last_checkpoint >= interval {
                task.checkpoint(&self.shared, self.world.stores(), now);
            }
        }
    }
}

pub(super) fn write_back<S: crate::store::Store>(shared: &Shared, task: &mut Task<S>) -> Result<(), WorldError> {
    let partition = task.partition;
    let written = task.write_back(shared).map_err(|source| WorldError::Store { partition, source })?;
    if let Some(written) = written {
        let (took, customers) = (Duration::from_secs_f64(written.seconds), written.customers);
        StoreWritten { partition, took, customers }.emit(&shared.metrics);
    }
    Ok(())
}

fn failed(shared: &Shared, worker: usize, error: &WorldError) {
    let outcome = match error {
        WorldError::Unsettled(_) => FailedOutcome::TimedOut,
        WorldError::Fenced(_) => FailedOutcome::Fenced,
        _ => FailedOutcome::Failed,
    };
    TransactionFailed { worker, outcome, error: &error.to_string() }.emit(&shared.metrics);
}
