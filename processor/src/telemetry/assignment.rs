//! Partitions that come and go, and the workers that hold them.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Error, Histogram, IntCounter};
use tracing::{error, info, warn};

use super::metrics::Metrics;
use super::partitions::PartitionGauges;
use super::registrar::{LONG_DURATIONS, Registrar};

#[derive(Debug)]
pub struct AssignmentMetrics {
    rebalances: IntCounter,
    restore_duration: Histogram,
    workers_died: IntCounter,
}

impl AssignmentMetrics {
    pub fn register(r: &mut Registrar) -> Result<Self, Error> {
        Ok(Self {
            rebalances: r.counter("tocsin_rebalances_total", "Times a worker's assignment was changed.")?,
            restore_duration: r.histogram(
                "tocsin_restore_duration_seconds",
                "Time from the assignment of a partition to its running.",
                LONG_DURATIONS,
            )?,
            workers_died: r.counter("tocsin_workers_died_total", "Workers that ended by an error or a panic.")?,
        })
    }
}

/// A partition was assigned to a worker; its task is restoring.
#[derive(Clone, Copy, Debug)]
pub struct PartitionAssigned<'a> {
    pub worker: usize,
    pub topic: &'a str,
    pub partition: i32,
}

impl PartitionAssigned<'_> {
    /// The gauges of the partition, for its task; they are shown until [`PartitionRevoked`].
    #[must_use]
    pub fn emit(self, metrics: &Metrics) -> Arc<PartitionGauges> {
        let Self { worker, topic, partition } = self;
        info!(worker, topic, partition, "partition assigned");
        metrics.partitions.assigned(topic, partition)
    }
}

/// A task is up to date and runs.
#[derive(Clone, Copy, Debug)]
pub struct RestoreDone<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub took: Duration,
    /// Events that were replayed from the journal.
    pub replayed: u64,
}

impl RestoreDone<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { topic, partition, took, replayed } = self;
        metrics.assignment.restore_duration.observe(took.as_secs_f64());
        if let Some(gauges) = metrics.partitions.get(topic, partition) {
            gauges.set_running();
        }
        info!(topic, partition, took_ms = took.as_millis() as u64, replayed, "partition restored, running");
    }
}

/// A partition is no longer this process's.
#[derive(Clone, Copy, Debug)]
pub struct PartitionRevoked<'a> {
    pub worker: usize,
    pub topic: &'a str,
    pub partition: i32,
    /// Taken away, not handed over: the group had given this worker up.
    pub lost: bool,
}

impl PartitionRevoked<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { worker, topic, partition, lost } = self;
        metrics.partitions.revoked(topic, partition);
        if lost {
            warn!(worker, topic, partition, "partition lost: the group took this worker for dead");
        } else {
            info!(worker, topic, partition, "partition revoked");
        }
    }
}

/// The group has agreed on a new assignment.
#[derive(Clone, Copy, Debug)]
pub struct Rebalanced {
    pub worker: usize,
    /// Partitions that this worker now has.
    pub partitions: usize,
}

impl Rebalanced {
    pub fn emit(self, metrics: &Metrics) {
        let Self { worker, partitions } = self;
        metrics.assignment.rebalances.inc();
        info!(worker, partitions, "rebalanced");
    }
}

/// A worker ended without having been asked to.
#[derive(Clone, Copy, Debug)]
pub struct WorkerDied<'a> {
    pub worker: usize,
    pub reason: &'a str,
}

impl WorkerDied<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { worker, reason } = self;
        metrics.assignment.workers_died.inc();
        error!(worker, reason, "worker died");
    }
}
