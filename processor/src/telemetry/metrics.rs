//! All metrics of the process, in a registry of their own: handed on by `Arc`, never reached through a global.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus::process_collector::ProcessCollector;
use prometheus::{Error, Histogram, IntCounter, TextEncoder};
use tocsin_core::time::Millis;

use super::alerts::AlertMetrics;
use super::assignment::AssignmentMetrics;
use super::checkpoint::CheckpointMetrics;
use super::idle::IdleMetrics;
use super::input::InputMetrics;
use super::partitions::{PartitionCollector, Partitions};
use super::registrar::{DURATIONS, Registrar, info};
use super::rules::RulesMetrics;
use super::store::StoreMetrics;
use super::throttle::Throttle;
use super::transactions::TransactionMetrics;

/// Every metric there is. Names start with `tocsin_`; those of the process itself with `process_`.
pub struct Metrics {
    registrar: Registrar,
    pub(super) throttle: Throttle,
    pub(super) partitions: Arc<Partitions>,
    pub(super) input: InputMetrics,
    pub(super) alerts: AlertMetrics,
    pub(super) assignment: AssignmentMetrics,
    pub(super) transactions: TransactionMetrics,
    pub(super) store: StoreMetrics,
    pub(super) checkpoint: CheckpointMetrics,
    pub(super) idle: IdleMetrics,
    pub(super) rules: RulesMetrics,
    poll_duration: Histogram,
    apply_duration: Histogram,
    batch_events: Histogram,
    timers_judged: IntCounter,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("names", &self.registrar.names).finish_non_exhaustive()
    }
}

impl Metrics {
    /// # Errors
    /// If two metrics have one name, which is a mistake in this program.
    pub fn new() -> Result<Arc<Self>, Error> {
        Self::with_clock(wall_clock)
    }

    /// As [`Metrics::new`], with another wall clock for staleness.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn with_clock(now: fn() -> Millis) -> Result<Arc<Self>, Error> {
        let mut registrar = Registrar::default();
        let r = &mut registrar;
        let partitions = Arc::new(Partitions::default());
        r.give(Box::new(PartitionCollector::new(Arc::clone(&partitions), now)?))?;
        r.give(Box::new(ProcessCollector::for_self()))?;
        info(r, "tocsin_build_info", "Always 1; the version is its label.", ("version", env!("CARGO_PKG_VERSION")))?;
        let batches = [1.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5];
        Ok(Arc::new(Self {
            throttle: Throttle::default(),
            partitions,
            input: InputMetrics::register(r)?,
            alerts: AlertMetrics::register(r)?,
            assignment: AssignmentMetrics::register(r)?,
            transactions: TransactionMetrics::register(r)?,
            store: StoreMetrics::register(r)?,
            checkpoint: CheckpointMetrics::register(r)?,
            idle: IdleMetrics::register(r)?,
            rules: RulesMetrics::register(r)?,
            poll_duration: r.histogram("tocsin_poll_duration_seconds", "Time to poll Kafka once.", DURATIONS)?,
            apply_duration: r.histogram("tocsin_apply_duration_seconds", "Time to judge one batch.", DURATIONS)?,
            batch_events: r.histogram("tocsin_batch_events", "Events in one batch.", &batches)?,
            timers_judged: r.counter("tocsin_timers_judged_total", "Deadlines of customers that were judged.")?,
            registrar,
        }))
    }

    pub fn observe_poll(&self, took: Duration) {
        self.poll_duration.observe(took.as_secs_f64());
    }

    /// One batch went through the engine.
    pub fn observe_batch(&self, events: usize, took: Duration) {
        self.batch_events.observe(events as f64);
        self.apply_duration.observe(took.as_secs_f64());
    }

    pub fn count_timers_judged(&self, customers: u64) {
        self.timers_judged.inc_by(customers);
    }

    /// When the newest checkpoint of a partition was made, if the partition is here.
    pub fn set_checkpoint_time(&self, topic: &str, partition: i32, at: Millis) {
        if let Some(gauges) = self.partitions.get(topic, partition) {
            gauges.set_checkpoint_time(at);
        }
    }

    /// How long the topics keep what a replay needs; checkpoints must not come near that age.
    pub fn set_log_retention(&self, kept: Duration) {
        self.partitions.set_log_retention(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX));
    }

    /// A partition that is here shall have checkpoints; if none is found, its age counts from now.
    pub fn expect_checkpoint(&self, topic: &str, partition: i32, now: Millis) {
        if let Some(gauges) = self.partitions.get(topic, partition) {
            gauges.expect_checkpoint(now);
        }
    }

    /// Assigned partitions that are not running yet, in order.
    #[must_use]
    pub fn restoring(&self) -> Vec<(String, i32)> {
        self.partitions.restoring()
    }

    /// All metrics in Prometheus' text format, version 0.0.4.
    ///
    /// # Errors
    /// If a metric cannot be written as text, which is a mistake in this program.
    pub fn render(&self) -> Result<String, Error> {
        TextEncoder::new().encode_to_string(&self.registrar.registry.gather())
    }

    /// The name of every metric, also of those that have no value yet.
    #[must_use]
    pub fn names(&self) -> &BTreeSet<String> {
        &self.registrar.names
    }
}

fn wall_clock() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as Millis
}
