//! Checkpoints: copies of the stores in an object store.

use std::time::Duration;

use prometheus::{Error, Histogram, IntCounter, IntCounterVec};
use tocsin_core::time::Millis;
use tracing::{debug, error, info, warn};

use super::metrics::Metrics;
use super::registrar::{DURATIONS, LONG_DURATIONS, Registrar};

#[derive(Debug)]
pub struct CheckpointMetrics {
    take_duration: Histogram,
    upload_duration: Histogram,
    fetch_duration: Histogram,
    uploaded_bytes: IntCounter,
    fetched_bytes: IntCounter,
    prefetched: IntCounter,
    prefetched_bytes: IntCounter,
    superseded: IntCounter,
    failures: IntCounterVec,
    refused: IntCounter,
}

impl CheckpointMetrics {
    pub fn register(r: &mut Registrar) -> Result<Self, Error> {
        let failures = r.counters(
            "tocsin_checkpoint_failures_total",
            "What went wrong with checkpoints, by stage: take, upload, sweep, fetch, prefetch. Each is tried again.",
            &["stage"],
        )?;
        for stage in CheckpointFailure::ALL {
            drop(failures.with_label_values(&[stage.name()]));
        }
        Ok(Self {
            failures,
            take_duration: r.histogram(
                "tocsin_checkpoint_take_duration_seconds",
                "Time that a worker spends on a checkpoint: flushing and linking files.",
                DURATIONS,
            )?,
            upload_duration: r.histogram(
                "tocsin_checkpoint_upload_duration_seconds",
                "Time to upload a checkpoint and read it back.",
                LONG_DURATIONS,
            )?,
            fetch_duration: r.histogram(
                "tocsin_checkpoint_fetch_duration_seconds",
                "Time to fetch a checkpoint for a partition without a usable store.",
                LONG_DURATIONS,
            )?,
            uploaded_bytes: r.counter(
                "tocsin_checkpoint_uploaded_bytes_total",
                "Bytes uploaded for checkpoints: what was not there yet.",
            )?,
            fetched_bytes: r
                .counter("tocsin_checkpoint_fetched_bytes_total", "Bytes of checkpoints downloaded for partitions.")?,
            prefetched: r.counter(
                "tocsin_checkpoints_prefetched_total",
                "Checkpoints of other members' partitions that were put on this disk, to be at hand.",
            )?,
            prefetched_bytes: r.counter(
                "tocsin_checkpoint_prefetched_bytes_total",
                "Bytes downloaded for them: what was not on this disk.",
            )?,
            superseded: r.counter(
                "tocsin_checkpoints_superseded_total",
                "Checkpoints that were replaced by newer ones before they could be uploaded.",
            )?,
            refused: r
                .counter("tocsin_checkpoints_refused_total", "Checkpoints that were to be fetched and were damaged.")?,
        })
    }
}

/// A checkpoint is on this disk, to be uploaded.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointTaken<'a> {
    pub topic: &'a str,
    pub partition: i32,
    /// Sequence of the last journal record in it.
    pub sequence: i64,
    pub took: Duration,
}

impl CheckpointTaken<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { topic, partition, sequence, took } = self;
        metrics.checkpoint.take_duration.observe(took.as_secs_f64());
        debug!(topic, partition, sequence, took_ms = took.as_millis() as u64, "checkpoint taken");
    }
}

/// A checkpoint is in the object store and has been read back.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointUploaded<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub sequence: i64,
    pub created_at: Millis,
    pub bytes: u64,
    /// Those that were not there yet.
    pub new_bytes: u64,
    pub new_blobs: usize,
    pub took: Duration,
}

impl CheckpointUploaded<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { topic, partition, sequence, created_at, bytes, new_bytes, new_blobs, took } = self;
        metrics.checkpoint.upload_duration.observe(took.as_secs_f64());
        metrics.checkpoint.uploaded_bytes.inc_by(new_bytes);
        metrics.set_checkpoint_time(topic, partition, created_at);
        let took_ms = took.as_millis() as u64;
        info!(topic, partition, sequence, bytes, new_bytes, new_blobs, took_ms, "checkpoint uploaded");
    }
}

/// A checkpoint was not uploaded before the next one was taken.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointSuperseded<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub sequence: i64,
    /// Sequence of the one that takes its place.
    pub by: i64,
}

impl CheckpointSuperseded<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { topic, partition, sequence, by } = self;
        metrics.checkpoint.superseded.inc();
        debug!(topic, partition, sequence, by, "a newer checkpoint takes the place of one that still waited");
    }
}

/// Where something can go wrong with a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointFailure {
    /// On this disk.
    Take,
    Upload,
    /// Removing old ones.
    Sweep,
    Fetch,
    /// For a partition that another member has.
    Prefetch,
}

impl CheckpointFailure {
    pub const ALL: [Self; 5] = [Self::Take, Self::Upload, Self::Sweep, Self::Fetch, Self::Prefetch];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Upload => "upload",
            Self::Sweep => "sweep",
            Self::Fetch => "fetch",
            Self::Prefetch => "prefetch",
        }
    }
}

/// Something went wrong with a checkpoint; it, or a newer one, is tried again.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointFailed<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub stage: CheckpointFailure,
    pub error: &'a str,
}

impl CheckpointFailed<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { topic, partition, stage, error } = self;
        let stage = stage.name();
        metrics.checkpoint.failures.with_label_values(&[stage]).inc();
        if let Some(suppressed) = metrics.throttle.admit(("checkpoint", stage)) {
            warn!(topic, partition, stage, error, suppressed, "a checkpoint failed; it is tried again");
        }
    }
}

/// A checkpoint that was to be fetched is damaged; an older one is taken.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointRefused<'a> {
    pub partition: i32,
    pub sequence: i64,
    pub reason: &'a str,
}

impl CheckpointRefused<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { partition, sequence, reason } = self;
        metrics.checkpoint.refused.inc();
        error!(
            partition,
            sequence, reason, "checkpoint damaged, an older one is looked for; see `tocsin checkpoint verify`"
        );
    }
}

/// A checkpoint's files are here, for a partition that had none or older ones.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointFetched<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub sequence: i64,
    pub bytes: u64,
    /// Those that were not on this disk.
    pub downloaded: u64,
    pub took: Duration,
}

impl CheckpointFetched<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { topic, partition, sequence, bytes, downloaded, took } = self;
        metrics.checkpoint.fetch_duration.observe(took.as_secs_f64());
        metrics.checkpoint.fetched_bytes.inc_by(downloaded);
        let took_ms = took.as_millis() as u64;
        info!(topic, partition, sequence, bytes, downloaded, took_ms, "checkpoint fetched");
    }
}

/// A newer checkpoint of a partition that another member has is on this disk.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointPrefetched<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub sequence: i64,
    pub bytes: u64,
    /// Those that were not on this disk.
    pub downloaded: u64,
    pub took: Duration,
}

impl CheckpointPrefetched<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { topic, partition, sequence, bytes, downloaded, took } = self;
        metrics.checkpoint.prefetched.inc();
        metrics.checkpoint.prefetched_bytes.inc_by(downloaded);
        let took_ms = took.as_millis() as u64;
        debug!(
            topic,
            partition, sequence, bytes, downloaded, took_ms, "checkpoint of another member's partition at hand"
        );
    }
}
