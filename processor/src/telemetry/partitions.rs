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
    lag: AtomicI64,
    watermark: AtomicI64,
    checkpoint: AtomicI64,
    store_bytes: AtomicU64,
    cached_customers: AtomicU64,
}

impl Default for PartitionGauges {
    fn default() -> Self {
        Self {
            running: AtomicBool::new(false),
            lag: AtomicI64::new(UNKNOWN),
            watermark: AtomicI64::new(UNKNOWN),
            checkpoint: AtomicI64::new(UNKNOWN),
            store_bytes: AtomicU64::new(0),
            cached_customers: AtomicU64::new(0),
        }
    }
}

impl PartitionGauges {
    /// Records that are in the partition and not yet done.
    pub fn set_lag(&self, records: u64) {
        self.lag.store(i64::try_from(records).unwrap_or(i64::MAX), Relaxed);
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

    pub(super) fn set_running(&self) {
        self.running.store(true, Relaxed);
    }
}

type Tasks = BTreeMap<(String, i32), Arc<PartitionGauges>>;

/// The partitions that are assigned to this process.
#[derive(Debug, Default)]
pub struct Partitions {
    tasks: Mutex<Tasks>,
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
    store_bytes: IntGaugeVec,
    cached_customers: IntGaugeVec,
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
            store_bytes: part("tocsin_store_size_bytes", "Size of the partition's store on disk.", labels)?,
            cached_customers: part("tocsin_cached_customers", "Customers held decoded in memory.", labels)?,
        })
    }

    fn fill(&self, tasks: &Tasks) {
        let now = (self.now)();
        let running = tasks.values().filter(|gauges| gauges.running.load(Relaxed)).count();
        self.assigned.set(tasks.len() as i64);
        self.restoring.set((tasks.len() - running) as i64);
        for vec in [&self.lag, &self.store_bytes, &self.cached_customers] {
            vec.reset();
        }
        self.watermark.reset();
        self.staleness.reset();
        self.checkpoint_age.reset();
        for ((topic, partition), gauges) in tasks {
            let labels = &[topic.as_str(), &partition.to_string()];
            let (lag, watermark) = (gauges.lag.load(Relaxed), gauges.watermark.load(Relaxed));
            if lag != UNKNOWN {
                self.lag.with_label_values(labels).set(lag);
            }
            if watermark != UNKNOWN {
                self.watermark.with_label_values(labels).set(watermark as f64 / 1e3);
                self.staleness.with_label_values(labels).set(now.saturating_sub(watermark) as f64 / 1e3);
            }
            let checkpoint = gauges.checkpoint.load(Relaxed);
            if checkpoint != UNKNOWN {
                let age = now.saturating_sub(checkpoint).max(0);
                self.checkpoint_age.with_label_values(labels).set(age as f64 / 1e3);
            }
            self.store_bytes.with_label_values(labels).set(gauges.store_bytes.load(Relaxed) as i64);
            self.cached_customers.with_label_values(labels).set(gauges.cached_customers.load(Relaxed) as i64);
        }
    }

    fn parts(&self) -> [&dyn Collector; 8] {
        [
            &self.assigned,
            &self.restoring,
            &self.lag,
            &self.watermark,
            &self.staleness,
            &self.checkpoint_age,
            &self.store_bytes,
            &self.cached_customers,
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
