//! Metrics of single partitions: they exist while the partition is assigned to this process, and no longer.
//!
//! A task sets plain atomics; gauges are made from them when somebody asks. So a partition that has moved away leaves
//! no stale series behind, and staleness grows while nothing happens, which is when it matters.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, GaugeVec, IntGauge, IntGaugeVec};
use tocsin_core::time::Millis;

use super::registrar::{part, seconds_part};

/// Stands for "not known yet"; such a series is left out.
const UNKNOWN: i64 = i64::MIN;

/// What one task tells about its partition.
#[derive(Debug)]
pub struct PartitionGauges {
    running: AtomicBool,
    /// Of each input topic, by its name.
    lags: Mutex<BTreeMap<String, u64>>,
    watermark: AtomicI64,
    checkpoint: AtomicI64,
    store_bytes: AtomicU64,
    cached_customers: AtomicU64,
    generation: AtomicI64,
    /// Customers judged by the sweep under way; unknown without one.
    swept: AtomicI64,
}

impl Default for PartitionGauges {
    fn default() -> Self {
        Self {
            running: AtomicBool::new(false),
            lags: Mutex::default(),
            watermark: AtomicI64::new(UNKNOWN),
            checkpoint: AtomicI64::new(UNKNOWN),
            store_bytes: AtomicU64::new(0),
            cached_customers: AtomicU64::new(0),
            generation: AtomicI64::new(UNKNOWN),
            swept: AtomicI64::new(UNKNOWN),
        }
    }
}

impl PartitionGauges {
    /// Records that are in the partition of this input topic and not yet done.
    pub fn set_lag(&self, topic: &str, records: u64) {
        let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        match lags.get_mut(topic) {
            Some(lag) => *lag = records,
            None => drop(lags.insert(topic.to_owned(), records)),
        }
    }

    pub fn set_watermark(&self, watermark: Millis) {
        self.watermark.store(watermark, Relaxed);
    }

    /// When its newest checkpoint was made.
    pub fn set_checkpoint_time(&self, at: Millis) {
        self.checkpoint.store(at, Relaxed);
    }

    /// Until more is known, the age of its newest checkpoint counts from now.
    pub fn expect_checkpoint(&self, now: Millis) {
        // An error if something is known already, which is as good.
        _ = self.checkpoint.compare_exchange(UNKNOWN, now, Relaxed, Relaxed);
    }

    pub fn set_store_bytes(&self, bytes: u64) {
        self.store_bytes.store(bytes, Relaxed);
    }

    pub fn set_cached_customers(&self, customers: u64) {
        self.cached_customers.store(customers, Relaxed);
    }

    /// The generation of the rules in force.
    pub fn set_generation(&self, generation: i64) {
        self.generation.store(generation, Relaxed);
    }

    /// A sweep has judged so many customers more, and goes on or not.
    pub fn swept(&self, customers: u64, goes_on: bool) {
        let before = self.swept.load(Relaxed).max(0);
        let after = before.saturating_add(i64::try_from(customers).unwrap_or(i64::MAX));
        self.swept.store(if goes_on { after } else { UNKNOWN }, Relaxed);
    }

    pub(super) fn set_running(&self) {
        self.running.store(true, Relaxed);
    }
}

type Tasks = BTreeMap<(String, i32), Arc<PartitionGauges>>;

/// The partitions that are assigned to this process.
#[derive(Debug, Default)]
pub struct Partitions {
    tasks: Mutex<Tasks>,
    /// How long the topics keep what a replay needs, in milliseconds; 0: for ever, or nobody knows.
    log_retention: AtomicI64,
}

impl Partitions {
    /// The gauges of a partition, new ones if it is not assigned yet.
    pub fn assigned(&self, topic: &str, partition: i32) -> Arc<PartitionGauges> {
        Arc::clone(self.lock().entry((topic.to_owned(), partition)).or_default())
    }

    pub fn get(&self, topic: &str, partition: i32) -> Option<Arc<PartitionGauges>> {
        self.lock().get(&(topic.to_owned(), partition)).cloned()
    }

    pub fn revoked(&self, topic: &str, partition: i32) {
        self.lock().remove(&(topic.to_owned(), partition));
    }

    /// How long the topics keep what a replay needs.
    pub fn set_log_retention(&self, kept: Millis) {
        self.log_retention.store(kept, Relaxed);
    }

    /// Assigned, but not running yet; in order.
    pub fn restoring(&self) -> Vec<(String, i32)> {
        let tasks = self.lock();
        let restoring = tasks.iter().filter(|(_, gauges)| !gauges.running.load(Relaxed));
        restoring.map(|(place, _)| place.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes gauges of [`Partitions`] at each scrape.
pub struct PartitionCollector {
    partitions: Arc<Partitions>,
    now: fn() -> Millis,
    assigned: IntGauge,
    restoring: IntGauge,
    lag: IntGaugeVec,
    watermark: GaugeVec,
    staleness: GaugeVec,
    checkpoint_age: GaugeVec,
    checkpoints_at_risk: IntGauge,
    store_bytes: IntGaugeVec,
    cached_customers: IntGaugeVec,
    generation: IntGaugeVec,
    swept: IntGaugeVec,
}

impl fmt::Debug for PartitionCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionCollector").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

impl PartitionCollector {
    pub fn new(partitions: Arc<Partitions>, now: fn() -> Millis) -> Result<Self, Error> {
        let labels = &["topic", "partition"];
        Ok(Self {
            partitions,
            now,
            assigned: IntGauge::new("tocsin_partitions_assigned", "Partitions assigned to this process.")?,
            restoring: IntGauge::new("tocsin_partitions_restoring", "Assigned partitions that are not running yet.")?,
            lag: part("tocsin_lag_records", "Records in the partition that are not done.", labels)?,
            watermark: seconds_part(
                "tocsin_watermark_timestamp_seconds",
                "Event time up to which alerts have been judged, in seconds since 1970.",
                labels,
            )?,
            staleness: seconds_part(
                "tocsin_watermark_staleness_seconds",
                "How far the watermark is behind the wall clock.",
                labels,
            )?,
            checkpoint_age: seconds_part(
                "tocsin_checkpoint_age_seconds",
                "Age of the partition's newest checkpoint; if there is none, since it came here.",
                labels,
            )?,
            checkpoints_at_risk: IntGauge::new(
                "tocsin_checkpoints_at_risk",
                "Partitions whose newest checkpoint is older than half of what events and journal topics keep.",
            )?,
            store_bytes: part("tocsin_store_size_bytes", "Size of the partition's store on disk.", labels)?,
            cached_customers: part("tocsin_cached_customers", "Customers held decoded in memory.", labels)?,
            generation: part(
                "tocsin_rules_generation",
                "Generation of the rules that the partition judges by.",
                labels,
            )?,
            swept: part(
                "tocsin_sweep_customers",
                "Customers that the sweep under way has judged by changed rules; absent without a sweep.",
                labels,
            )?,
        })
    }

    fn fill(&self, tasks: &Tasks) {
        let now = (self.now)();
        let running = tasks.values().filter(|gauges| gauges.running.load(Relaxed)).count();
        self.assigned.set(tasks.len() as i64);
        self.restoring.set((tasks.len() - running) as i64);
        for vec in [&self.lag, &self.store_bytes, &self.cached_customers, &self.generation, &self.swept] {
            vec.reset();
        }
        let (kept, mut at_risk) = (self.partitions.log_retention.load(Relaxed), 0);
        self.watermark.reset();
        self.staleness.reset();
        self.checkpoint_age.reset();
        for ((topic, partition), gauges) in tasks {
            let labels = &[topic.as_str(), &partition.to_string()];
            let watermark = gauges.watermark.load(Relaxed);
            for (topic, lag) in &*gauges.lags.lock().unwrap_or_else(PoisonError::into_inner) {
                let lag = i64::try_from(*lag).unwrap_or(i64::MAX);
                self.lag.with_label_values(&[topic.as_str(), labels[1]]).set(lag);
            }
            if watermark != UNKNOWN {
                self.watermark.with_label_values(labels).set(watermark as f64 / 1e3);
                self.staleness.with_label_values(labels).set(now.saturating_sub(watermark) as f64 / 1e3);
            }
            for (vec, value) in [(&self.generation, &gauges.generation), (&self.swept, &gauges.swept)] {
                let value = value.load(Relaxed);
                if value != UNKNOWN {
                    vec.with_label_values(labels).set(value);
                }
            }
            let checkpoint = gauges.checkpoint.load(Relaxed);
            if checkpoint != UNKNOWN {
                let age = now.saturating_sub(checkpoint).max(0);
                at_risk += i64::from(kept > 0 && age > kept / 2);
                self.checkpoint_age.with_label_values(labels).set(age as f64 / 1e3);
            }
            self.store_bytes.with_label_values(labels).set(gauges.store_bytes.load(Relaxed) as i64);
            self.cached_customers.with_label_values(labels).set(gauges.cached_customers.load(Relaxed) as i64);
        }
        self.checkpoints_at_risk.set(at_risk);
    }

    fn parts(&self) -> [&dyn Collector; 11] {
        [
            &self.assigned,
            &self.restoring,
            &self.lag,
            &self.watermark,
            &self.staleness,
            &self.checkpoint_age,
            &self.checkpoints_at_risk,
            &self.store_bytes,
            &self.cached_customers,
            &self.generation,
            &self.swept,
        ]
    }
}

impl Collector for PartitionCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Held to the end, so that two scrapes at once do not empty each other's gauges.
        let tasks = self.partitions.lock();
        self.fill(&tasks);
        self.parts().into_iter().flat_map(Collector::collect).collect()
    }
}
