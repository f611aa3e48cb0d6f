//! The stores on disk.

use std::path::Path;
use std::time::Duration;

use prometheus::{Error, Histogram, IntCounter};
use tracing::{error, trace, warn};

use super::metrics::Metrics;
use super::registrar::{DURATIONS, Registrar};

#[derive(Debug)]
pub struct StoreMetrics {
    write_duration: Histogram,
    set_aside: IntCounter,
    diverged: IntCounter,
    broken: IntCounter,
}

impl StoreMetrics {
    pub fn register(r: &mut Registrar) -> Result<Self, Error> {
        Ok(Self {
            write_duration: r.histogram(
                "tocsin_store_write_duration_seconds",
                "Time to write the changed customers of one partition to its store.",
                DURATIONS,
            )?,
            set_aside: r.counter(
                "tocsin_stores_set_aside_total",
                "Stores that could not be used and were moved out of the way.",
            )?,
            broken: r.counter(
                "tocsin_store_failures_total",
                "Reads and writes of a store that failed; the partition is restored.",
            )?,
            diverged: r.counter(
                "tocsin_replays_diverged_total",
                "Replays whose alerts differ from those that were published.",
            )?,
        })
    }
}

/// Changed customers, timers and the position were written.
#[derive(Clone, Copy, Debug)]
pub struct StoreWritten {
    pub partition: i32,
    pub took: Duration,
    pub customers: usize,
}

impl StoreWritten {
    pub fn emit(self, metrics: &Metrics) {
        let Self { partition, took, customers } = self;
        metrics.store.write_duration.observe(took.as_secs_f64());
        trace!(partition, took_us = took.as_micros() as u64, customers, "store written");
    }
}

/// A store could not be read or written. What its worker holds in memory is dropped and restored.
#[derive(Clone, Copy, Debug)]
pub struct StoreBroken<'a> {
    pub partition: i32,
    pub error: &'a str,
}

impl StoreBroken<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { partition, error } = self;
        metrics.store.broken.inc();
        error!(partition, error, "a store failed; its worker restores");
    }
}

/// A store is damaged, or of another format: kept under another name, and the partition restored from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct StoreSetAside<'a> {
    pub partition: i32,
    /// Where it was moved to.
    pub path: &'a Path,
    pub reason: &'a str,
}

impl StoreSetAside<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { partition, path, reason } = self;
        metrics.store.set_aside.inc();
        warn!(partition, path = %path.display(), reason, "store set aside; remove it when it is of no more interest");
    }
}

/// A replay did not give what had been published; the task stops.
#[derive(Clone, Copy, Debug)]
pub struct ReplayDiverged<'a> {
    pub topic: &'a str,
    pub partition: i32,
    /// Offset of the journal record whose hash differs.
    pub journal_offset: i64,
}

impl ReplayDiverged<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { topic, partition, journal_offset } = self;
        metrics.store.diverged.inc();
        error!(
            topic,
            partition, journal_offset, "a replay gives other alerts than were published; the task is stopped"
        );
    }
}
