//! A worker: a thread with the tasks that are assigned to it, and one transaction at a time for all of them.
//!
//! ```text
//! round: poll ──> take and drain each record ──> idle? ──> time to publish? ──> time to write behind?
//! ```
//!
//! A transaction begins only when everything in it is ready. Whatever goes wrong, there is one way on: drop what is in
//! memory, restore, go live.

mod judging;
mod membership;
mod publish;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tocsin_core::partition::Swept;
use tocsin_core::time::Millis;

use crate::task::Shared;
use crate::task::idle::{self, Clocks};
use crate::task::inbox::Inbox;
use crate::task::lanes::Lanes;
use crate::task::outbox::Outbox;
use crate::task::partition_task::{Audience, Task};
use crate::task::restoring::Restoring;
use crate::task::world::{PartitionId, Rebalance, Source, StoreOf, World, WorldError};
use crate::telemetry::{
    FeedBroken, FeedRestored, IdleRefusal, IdleRefused, PartitionGauges, RulesAdopted, StoreBroken,
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
    last_report: Millis,
    feed_is_broken: bool,
    has_joined: bool,
    /// Whose lag is looked up next.
    lag_turn: usize,
    /// Whose records are merged first in the next round.
    merge_turn: PartitionId,
}

/// A task and what is shown of it.
#[derive(Debug)]
struct Running<S> {
    task: Task<S>,
    lanes: Lanes,
    gauges: Arc<PartitionGauges>,
}

impl<W: World> Worker<W> {
    pub fn new(number: usize, world: W, shared: Arc<Shared>) -> Self {
        let now = world.steady();
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
            last_report: now,
            feed_is_broken: false,
            has_joined: false,
            lag_turn: 0,
            merge_turn: 0,
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
        if self.shared.merges() {
            self.merge()?;
        } else {
            self.judge()?;
        }
        self.change_rules()?;
        self.idle()?;
        if self.is_time_to_publish() {
            self.publish()?;
        }
        self.write_behind()?;
        for running in self.tasks.values_mut() {
            running.task.cache.next_round();
        }
        self.report();
        Ok(())
    }

    fn poll(&mut self) -> Result<(), WorldError> {
        self.inbox.recycle();
        let wait = self.longest_wait();
        let started = Instant::now();
        let max = self.shared.commit.max_batch;
        let rebalance = if self.shared.merges() {
            let tasks = &mut self.tasks;
            let wanted: Vec<Source> = tasks.values().flat_map(|running| running.lanes.wanted()).collect();
            self.world.poll(max, wait, Some(&wanted), &mut |arrival| {
                if let Some(running) = tasks.get_mut(&arrival.source().partition) {
                    running.lanes.push(arrival);
                }
            })?
        } else {
            let inbox = &mut self.inbox;
            self.world.poll(max, wait, None, &mut |arrival| inbox.push(arrival))?
        };
        self.shared.metrics.observe_poll(started.elapsed());
        match rebalance {
            None => Ok(()),
            Some(Rebalance::Assigned(partitions)) => self.assigned(&partitions),
            Some(Rebalance::Revoked { partitions, lost }) => self.revoked(&partitions, lost),
        }
    }

    /// How long a poll may wait for something to come.
    fn longest_wait(&self) -> Duration {
        let steady = self.world.steady();
        let (merges, merge_wait) = (self.shared.merges(), self.shared.merge_wait);
        let is_busy = |Running { task, lanes, .. }: &Running<StoreOf<W>>| {
            task.core.sweep.is_some() || task.draining || (merges && lanes.is_ready(steady, merge_wait))
        };
        let has_work = self.restoring.is_ready(steady) || self.tasks.values().any(is_busy);
        if has_work {
            return Duration::ZERO;
        }
        let longest = if self.restoring.is_empty() { LONGEST_POLL } else { PENDING_POLL };
        self.until_next_commit().min(longest)
    }

    /// Adopts newer rules, and goes on with sweeps, between two events.
    fn change_rules(&mut self) -> Result<(), WorldError> {
        let now = self.world.now();
        for (&partition, Running { task, gauges, .. }) in &mut self.tasks {
            if task.draining || self.outbox.len() >= self.shared.commit.max_batch {
                continue;
            }
            let wanted = task.wanted_rules(&self.shared.rulebook);
            if let Some(rules) = wanted.and_then(|number| self.shared.rulebook.get(number)) {
                let topic = self.shared.topic();
                RulesAdopted { topic, partition, generation: rules.number }.emit(&self.shared.metrics);
                task.adopt(rules);
            }
            if task.core.sweep.is_some() {
                let mut audience = Audience::Live { outbox: &mut self.outbox, now };
                let budget = SWEEP_BUDGET.min(self.shared.commit.max_batch);
                let swept = task.sweep(&self.shared, budget, &mut audience);
                let swept = swept.map_err(|source| WorldError::Store { partition, source })?;
                gauges.swept(budget as u64, swept == Swept::More);
            }
        }
        Ok(())
    }

    /// Lets the watermark of partitions that have nothing more to read follow the wall clock, where that makes something
    /// due.
    fn idle(&mut self) -> Result<(), WorldError> {
        let (now, steady) = (self.world.now(), self.world.steady());
        self.notice_broken_feed(steady);
        if !self.inbox.is_empty() {
            return Ok(());
        }
        for (&partition, Running { task, lanes, .. }) in &mut self.tasks {
            let broken = |source| WorldError::Store { partition, source };
            let clocks = Clocks { now, steady };
            let Some(target) = idle::wanted(&self.shared, task, lanes, clocks).map_err(broken)? else { continue };
            if self.feed_is_broken {
                let topic = self.shared.topic();
                IdleRefused { topic, partition, reason: IdleRefusal::FeedBroken }.emit(&self.shared.metrics);
            } else if idle::advance(&mut self.world, &self.shared, task, lanes, (target, clocks))? {
                let mut audience = Audience::Live { outbox: &mut self.outbox, now };
                task.drain(&self.shared, &mut audience).map_err(broken)?;
            }
        }
        Ok(())
    }

    fn notice_broken_feed(&mut self, now: Millis) {
        let latest = self.tasks.values().filter_map(|running| running.lanes.last_arrival()).max();
        let silent_ms = latest.map_or(0, |latest| now - latest);
        let was_broken = self.feed_is_broken;
        self.feed_is_broken = self.shared.idle.feed_timeout.is_some_and(|timeout| silent_ms >= timeout);
        match (was_broken, self.feed_is_broken) {
            (false, true) => FeedBroken { worker: self.number, silent_ms }.emit(&self.shared.metrics),
            (true, false) => FeedRestored { worker: self.number }.emit(&self.shared.metrics),
            _ => {}
        }
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
