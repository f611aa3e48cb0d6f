//! The partitions of a worker that are being restored: whose turn is it, and who waits for something?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tocsin_core::time::Millis;

use super::Shared;
use super::restore::{Restore, Restored};
use super::world::{PartitionId, Stores, World, WorldError};
use crate::store::Store;
use crate::telemetry::{PartitionAssigned, PartitionGauges};

/// Until an answer is asked for again that was not there.
const PENDING: Millis = 20;
/// Until a call is repeated that failed.
const RETRY: Millis = 200;
/// Between two lines about the same wait.
const TELL_EVERY: Millis = 10_000;

/// Restores under way. One goes on until it is done or has to wait; then the next one does.
#[derive(Debug)]
pub struct Restoring<S> {
    waiting: BTreeMap<PartitionId, Waiting<S>>,
}

#[derive(Debug)]
struct Waiting<S> {
    restore: Restore<S>,
    gauges: Arc<PartitionGauges>,
    began: Instant,
    not_before: Millis,
    /// Since when it has been waiting for the same thing, and when that was last told.
    stuck: Option<(Millis, Millis)>,
}

/// A partition whose task can run.
#[derive(Debug)]
pub struct Ready<S> {
    pub partition: PartitionId,
    pub restored: Restored<S>,
    pub gauges: Arc<PartitionGauges>,
    pub took: Duration,
}

impl<S> Default for Restoring<S> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new() }
    }
}

impl<S: Store> Restoring<S> {
    /// Begins a restore, unless it is under way.
    pub fn begin(&mut self, worker: usize, shared: &Shared, partition: PartitionId, not_before: Millis) {
        self.waiting.entry(partition).or_insert_with(|| Waiting {
            restore: Restore::new(partition, None),
            gauges: PartitionAssigned { worker, topic: shared.topic(), partition }.emit(&shared.metrics),
            began: Instant::now(),
            not_before,
            stuck: None,
        });
    }

    /// Forgets what was restored so far.
    pub fn begin_anew(&mut self) {
        for (partition, waiting) in &mut self.waiting {
            waiting.restore = Restore::new(*partition, waiting.restore.take_suspect());
        }
    }

    /// The store that is there may not be used, for this reason.
    pub fn suspect(&mut self, partition: PartitionId, reason: String) {
        if let Some(waiting) = self.waiting.get_mut(&partition) {
            waiting.restore = Restore::new(partition, Some(reason));
        }
    }

    pub fn forget(&mut self, partitions: &[PartitionId]) {
        self.waiting.retain(|partition, _| !partitions.contains(partition));
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether one of them can go on now.
    #[must_use]
    pub fn is_ready(&self, now: Millis) -> bool {
        self.waiting.values().any(|waiting| waiting.not_before <= now)
    }

    /// Takes one of them a step further.
    ///
    /// # Errors
    /// What cannot be mended by trying again.
    pub fn step<W>(
        &mut self,
        world: &mut W,
        shared: &Shared,
        worker: usize,
        now: Millis,
    ) -> Result<Option<Ready<S>>, WorldError>
    where
        W: World,
        W::Stores: Stores<Store = S>,
    {
        let next = self.waiting.iter_mut().find(|(_, waiting)| waiting.not_before <= now);
        let Some((&partition, waiting)) = next else { return Ok(None) };
        match waiting.restore.step(world, shared) {
            Ok(None) => {
                waiting.stuck = None;
                Ok(None)
            }
            Ok(Some(restored)) => {
                let (gauges, took) = (waiting.gauges.clone(), waiting.began.elapsed());
                self.waiting.remove(&partition);
                Ok(Some(Ready { partition, restored, gauges, took }))
            }
            Err(WorldError::Pending(what)) => {
                waiting.wait(worker, partition, &what, now, PENDING);
                Ok(None)
            }
            Err(WorldError::Transient(what)) => {
                waiting.wait(worker, partition, &what, now, RETRY);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl<S> Waiting<S> {
    /// Says what it waits for, once that takes longer than a moment.
    fn wait(&mut self, worker: usize, partition: PartitionId, what: &str, now: Millis, pause: Millis) {
        self.not_before = now + pause;
        let (since, told) = *self.stuck.get_or_insert((now, now - TELL_EVERY + 1_000));
        if now - told >= TELL_EVERY {
            let seconds = (now - since) / 1_000;
            tracing::warn!(worker, partition, seconds, waiting_for = what, "a restore waits");
            self.stuck = Some((since, now));
        }
    }
}
