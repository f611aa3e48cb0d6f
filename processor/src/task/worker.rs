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
use std::time::{Duration, Instant};

use tocsin_core::partition::{Drained, Swept};
use tocsin_core::time::Millis;

use super::inbox::Inbox;
use super::outbox::Outbox;
use super::partition_task::{Audience, Task};
use super::restore::Restored;
use super::restoring::{Ready, Restoring};
use super::world::{Arrival, PartitionId, Rebalance, StoreOf, Transaction, World, WorldError};
use super::{Shared, idle};
use crate::store::Store as _;
use crate::telemetry::{
    CheckpointNotTaken, FailedOutcome, FeedBroken, FeedRestored, IdleRefusal, IdleRefused, PartitionGauges,
    PartitionRevoked, Rebalanced, RestoreDone, RulesAdopted, StoreBroken, StoreWritten, TransactionCommitted,
    TransactionFailed,
};

/// Tells workers to stop.
pub type Stop = Arc<AtomicBool>;

/// Longest wait for a record: after it the worker looks at its clocks again.
const LONGEST_POLL: Duration = Duration::from_millis(100);
/// The same while a restore waits for something.
const PENDING_POLL: Duration = Duration::from_millis(20);
/// Customers that a sweep judges in a round: few, so that the stream does not wait for them.
const SWEEP_BUDGET: usize = 100;
/// Until a partition whose store failed is restored, in milliseconds.
const STORE_PAUSE: Millis = 1_000;
/// Wait after a call that may succeed if it is repeated.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The tasks of one thread and what they have in common.
#[derive(Debug)]
pub struct Worker<W: World> {
    number: usize,
    world: W,
    shared: Arc<Shared>,
    tasks: BTreeMap<PartitionId, Running<StoreOf<W>>>,
    /// Assigned, and not restored yet.
    restoring: Restoring<StoreOf<W>>,
    inbox: Inbox,
    outbox: Outbox,
    last_commit: Millis,
    last_write: Millis,
    feed_is_broken: bool,
    has_joined: bool,
    /// Whose lag is looked up next.
    lag_turn: usize,
}

/// A task and what is shown of it.
#[derive(Debug)]
struct Running<S> {
    task: Task<S>,
    gauges: Arc<PartitionGauges>,
}

impl<W: World> Worker<W> {
    pub fn new(number: usize, world: W, shared: Arc<Shared>) -> Self {
        let now = world.now();
        Self {
            number,
            world,
            shared,
            tasks: BTreeMap::new(),
            restoring: Restoring::default(),
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            last_commit: now,
            last_write: now,
            feed_is_broken: false,
            has_joined: false,
            lag_turn: 0,
        }
    }

    /// Works until `stop` is set, then publishes and writes what is left. `alive` is called each round, with whether the
    /// group has given this worker its partitions.
    ///
    /// # Errors
    /// What no restore mends.
    pub fn run(&mut self, stop: &Stop, mut alive: impl FnMut(bool)) -> Result<(), WorldError> {
        while !stop.load(Ordering::Relaxed) {
            alive(self.has_joined);
            match self.round() {
                Err(WorldError::Transient(message)) => {
                    tracing::warn!(worker = self.number, message, "a call to Kafka failed; it will be repeated");
                    std::thread::sleep(RETRY_AFTER);
                }
                done => done?,
            }
        }
        self.close()
    }

    /// One turn of the loop.
    ///
    /// # Errors
    /// See [`WorldError`]; an unsettled transaction is dealt with here.
    pub fn round(&mut self) -> Result<(), WorldError> {
        match self.try_round() {
            Err(WorldError::Unsettled(_)) => {
                self.recover(0);
                Ok(())
            }
            Err(WorldError::Store { partition, source }) => {
                StoreBroken { partition, error: &source.to_string() }.emit(&self.shared.metrics);
                // A damaged one would only fail again.
                let suspect = source.is_damage().then(|| (partition, source.to_string()));
                self.recover(STORE_PAUSE);
                if let Some((partition, reason)) = suspect {
                    self.restoring.suspect(partition, reason);
                }
                Ok(())
            }
            done => done,
        }
    }

    fn try_round(&mut self) -> Result<(), WorldError> {
        if self.inbox.is_empty() {
            self.poll()?;
        }
        self.restore()?;
        self.judge()?;
        self.change_rules()?;
        self.idle()?;
        if self.is_time_to_publish() {
            self.publish()?;
        }
        self.write_behind()
    }

    fn poll(&mut self) -> Result<(), WorldError> {
        self.inbox.recycle();
        let wait = self.longest_wait();
        let started = Instant::now();
        let inbox = &mut self.inbox;
        let rebalance = self.world.poll(self.shared.commit.max_batch, wait, &mut |arrival| inbox.push(arrival))?;
        self.shared.metrics.observe_poll(started.elapsed());
        match rebalance {
            None => Ok(()),
            Some(Rebalance::Assigned(partitions)) => {
                self.assigned(&partitions);
                Ok(())
            }
            Some(Rebalance::Revoked { partitions, lost }) => self.revoked(&partitions, lost),
        }
    }

    /// How long a poll may wait for something to come.
    fn longest_wait(&self) -> Duration {
        let has_work = self.restoring.is_ready(self.world.now())
            || self.tasks.values().any(|running| running.task.core.sweep.is_some() || running.task.draining);
        if has_work {
            return Duration::ZERO;
        }
        let longest = if self.restoring.is_empty() { LONGEST_POLL } else { PENDING_POLL };
        self.until_next_commit().min(longest)
    }

    /// Takes in what has arrived until it is time to publish.
    fn judge(&mut self) -> Result<(), WorldError> {
        let now = self.world.now();
        self.drain_all(now)?;
        let (started, waiting) = (Instant::now(), self.inbox.len());
        while self.outbox.len() < self.shared.commit.max_batch {
            let Some(arrival) = self.inbox.pop() else { break };
            let partition = match arrival {
                Arrival::End { partition, .. } => partition,
                Arrival::Record(record) => record.partition,
            };
            let Some(Running { task, .. }) = self.tasks.get_mut(&partition) else { continue };
            match arrival {
                Arrival::End { offset, .. } => task.end = Some(offset),
                Arrival::Record(record) => {
                    (task.end, task.last_arrival) = (None, now);
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

    /// Goes on with drains that were cut, as far as one transaction may go.
    fn drain_all(&mut self, now: Millis) -> Result<(), WorldError> {
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

    /// Adopts newer rules, and goes on with sweeps, between two events.
    fn change_rules(&mut self) -> Result<(), WorldError> {
        let now = self.world.now();
        for (&partition, Running { task, gauges }) in &mut self.tasks {
            if task.draining || self.outbox.len() >= self.shared.commit.max_batch {
                continue;
            }
            let wanted = task.wanted_rules(&self.shared.rulebook);
            if let Some(rules) = wanted.and_then(|number| self.shared.rulebook.get(number)) {
                let topic = self.shared.topic.as_str();
                RulesAdopted { topic, partition, generation: rules.number }.emit(&self.shared.metrics);
                task.adopt(rules);
            }
            if task.core.sweep.is_some() {
                let mut audience = Audience::Live { outbox: &mut self.outbox, now };
                let swept = task.sweep(&self.shared, SWEEP_BUDGET, &mut audience);
                let swept = swept.map_err(|source| WorldError::Store { partition, source })?;
                gauges.swept(SWEEP_BUDGET as u64, swept == Swept::More);
            }
        }
        Ok(())
    }

    /// Lets the watermark of partitions that have nothing more to read follow the wall clock, where that makes something
    /// due.
    fn idle(&mut self) -> Result<(), WorldError> {
        let now = self.world.now();
        self.notice_broken_feed(now);
        if !self.inbox.is_empty() {
            return Ok(());
        }
        for (&partition, Running { task, .. }) in &mut self.tasks {
            let broken = |source| WorldError::Store { partition, source };
            let Some(target) = idle::wanted(&self.shared, task, now).map_err(broken)? else { continue };
            if self.feed_is_broken {
                let topic = self.shared.topic.as_str();
                IdleRefused { topic, partition, reason: IdleRefusal::FeedBroken }.emit(&self.shared.metrics);
            } else if idle::advance(&mut self.world, &self.shared, task, target) {
                let mut audience = Audience::Live { outbox: &mut self.outbox, now };
                task.drain(&self.shared, &mut audience).map_err(broken)?;
            }
        }
        Ok(())
    }

    fn notice_broken_feed(&mut self, now: Millis) {
        let latest = self.tasks.values().map(|running| running.task.last_arrival).max();
        let silent_ms = latest.map_or(0, |latest| now - latest);
        let was_broken = self.feed_is_broken;
        self.feed_is_broken = self.shared.idle.feed_timeout.is_some_and(|timeout| silent_ms >= timeout);
        match (was_broken, self.feed_is_broken) {
            (false, true) => FeedBroken { worker: self.number, silent_ms }.emit(&self.shared.metrics),
            (true, false) => FeedRestored { worker: self.number }.emit(&self.shared.metrics),
            _ => {}
        }
    }

    fn is_time_to_publish(&self) -> bool {
        self.outbox.len() >= self.shared.commit.max_batch || self.until_next_commit().is_zero()
    }

    fn has_progress(&self) -> bool {
        self.tasks.values().any(|running| running.task.has_progress())
    }

    /// Zero if it is time; long if there is nothing to publish.
    fn until_next_commit(&self) -> Duration {
        if !self.has_progress() {
            return Duration::MAX;
        }
        let commit = &self.shared.commit;
        let interval = if self.outbox.is_empty() { commit.interval } else { commit.min_interval };
        let left = interval - (self.world.now() - self.last_commit);
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }

    /// Publishes all that was found since the last time, with offsets and journal, in one transaction.
    fn publish(&mut self) -> Result<(), WorldError> {
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
            transaction.offsets.push((task.partition, task.next));
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
        found.told().emit(&self.shared.topic, &self.shared.metrics);
        self.last_commit = self.world.now();
        Ok(())
    }

    /// Writes the stores, when it is time and everything is published.
    fn write_behind(&mut self) -> Result<(), WorldError> {
        let now = self.world.now();
        if now - self.last_write < self.shared.commit.write_behind || self.has_progress() {
            return Ok(());
        }
        self.last_write = now;
        self.write_all()?;
        self.take_checkpoints(now);
        self.look_up_lag();
        Ok(())
    }

    /// Asks for the end of one partition after the other, so that many partitions do not make many questions.
    fn look_up_lag(&mut self) {
        self.lag_turn = (self.lag_turn + 1) % self.tasks.len().max(1);
        let Some(Running { task, gauges }) = self.tasks.values().nth(self.lag_turn) else { return };
        if let Ok(end) = self.world.end_of(task.partition) {
            let lag = if task.end.is_some() { 0 } else { end - task.next };
            gauges.set_lag(u64::try_from(lag).unwrap_or(0));
        }
    }

    fn write_all(&mut self) -> Result<(), WorldError> {
        for running in self.tasks.values_mut() {
            write_back(&self.shared, &mut running.task)?;
            running.report();
        }
        Ok(())
    }

    /// Takes a checkpoint of the stores whose turn it is. They have just been written.
    fn take_checkpoints(&mut self, now: Millis) {
        let Some(interval) = self.shared.checkpoint_interval else { return };
        for Running { task, .. } in self.tasks.values_mut() {
            if now - task.last_checkpoint >= interval {
                checkpoint(&mut self.world, &self.shared, task, now);
            }
        }
    }

    /// Partitions to be restored. One that has a task already was not started for some reason: what that task found may not
    /// go out any more, so everything is dropped and restored.
    fn assigned(&mut self, partitions: &[PartitionId]) {
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
    }

    /// Takes the restore of one partition a step further; the others' turn comes in between.
    fn restore(&mut self) -> Result<(), WorldError> {
        let now = self.world.now();
        if !self.restoring.is_ready(now) {
            return Ok(());
        }
        self.world.fence()?;
        let Some(ready) = self.restoring.step(&mut self.world, &self.shared, self.number, now)? else { return Ok(()) };
        let Ready { partition, restored: Restored { task, replayed }, gauges, took } = ready;
        if let Err(error) = self.world.start(&[(partition, task.next)]) {
            self.restoring.begin(self.number, &self.shared, partition, now);
            return Err(error);
        }
        // What was read before that may lie further on; it will come again.
        self.inbox.forget(|other| other == partition);
        RestoreDone { topic: &self.shared.topic, partition, took, replayed }.emit(&self.shared.metrics);
        gauges.set_generation(task.core.generation);
        self.tasks.insert(partition, Running { task, gauges });
        Ok(())
    }

    /// Settles what goes: publishes what is pending while it may, drops it where it may not.
    fn revoked(&mut self, partitions: &[PartitionId], lost: bool) -> Result<(), WorldError> {
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
            let topic = self.shared.topic.as_str();
            PartitionRevoked { worker: self.number, topic, partition, lost }.emit(&self.shared.metrics);
        }
        self.restoring.forget(partitions);
        if lost {
            self.recover(0);
        }
        self.world.release(partitions)
    }

    /// Ends every drain and publishes.
    fn settle(&mut self) -> Result<(), WorldError> {
        while self.has_progress() {
            let now = self.world.now();
            self.drain_all(now)?;
            self.publish()?;
        }
        Ok(())
    }

    /// The one way on after whatever went wrong: drop what is in memory, restore, not before a pause in milliseconds.
    fn recover(&mut self, pause: Millis) {
        drop(self.outbox.take());
        self.inbox.forget(|_| true);
        self.world.hold();
        self.restoring.begin_anew();
        let not_before = self.world.now() + pause;
        for partition in std::mem::take(&mut self.tasks).into_keys() {
            self.restoring.begin(self.number, &self.shared, partition, not_before);
        }
    }

    /// Publishes and writes what is left.
    fn close(&mut self) -> Result<(), WorldError> {
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
        let now = self.world.now();
        for (&partition, Running { task, .. }) in &mut self.tasks {
            task.cache.store_mut().sync().map_err(|source| WorldError::Store { partition, source })?;
            if self.shared.checkpoint_interval.is_some() {
                checkpoint(&mut self.world, &self.shared, task, now);
            }
        }
        let partitions: Vec<_> = std::mem::take(&mut self.tasks).into_keys().collect();
        self.world.release(&partitions)
    }

    /// The outside world, for who drives the worker by hand.
    pub fn world(&mut self) -> &mut W {
        &mut self.world
    }
}

impl<S: crate::store::Store> Running<S> {
    fn report(&self) {
        let cache = &self.task.cache;
        self.gauges.set_store_bytes(cache.store().size_bytes());
        self.gauges.set_cached_customers(cache.len() as u64);
        if let Some(watermark) = self.task.core.watermark {
            self.gauges.set_watermark(watermark);
        }
    }
}

fn write_back<S: crate::store::Store>(shared: &Shared, task: &mut Task<S>) -> Result<(), WorldError> {
    let partition = task.partition;
    let written = task.write_back(shared).map_err(|source| WorldError::Store { partition, source })?;
    if let Some(written) = written {
        let (took, customers) = (Duration::from_secs_f64(written.seconds), written.customers);
        StoreWritten { partition, took, customers }.emit(&shared.metrics);
    }
    Ok(())
}

/// A checkpoint that cannot be taken is told, and tried again when its turn comes.
fn checkpoint<W: World>(world: &mut W, shared: &Shared, task: &mut Task<StoreOf<W>>, now: Millis) {
    let partition = task.partition;
    if let Err(error) = task.checkpoint(shared, world.stores(), now) {
        CheckpointNotTaken { partition, error: &error.to_string() }.emit(&shared.metrics);
    }
}

fn failed(shared: &Shared, worker: usize, error: &WorldError) {
    let outcome = match error {
        WorldError::Unsettled(_) => FailedOutcome::TimedOut,
        WorldError::Fenced(_) => FailedOutcome::Fenced,
        _ => FailedOutcome::Failed,
    };
    TransactionFailed { worker, outcome, error: &error.to_string() }.emit(&shared.metrics);
}
