//! The running program: topics checked, rules published and followed, a thread for each worker, health and metrics
//! beside them.

mod audit;
mod memory;
pub mod rulebook;

#[cfg(feature = "rocksdb")]
mod disk_stores;
#[cfg(feature = "rocksdb")]
mod scraps;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tocsin_core::engine::Engine;
use tocsin_core::partition::TimeSettings;

use crate::codec::alert::AlertWriter;
use crate::codec::decode::REASONS;
use crate::codec::journal::Context;
use crate::codec::schemas::Schemas;
use crate::config::Config;
use crate::http::{self, Handles, Health, Server, WorkerHealth};
use crate::kafka::generations::GenerationsReader;
use crate::kafka::topics::{self, Findings, NewTopics, TopicPolicy, Watch};
use crate::kafka::{KafkaSettings, KafkaWorld};
use crate::task::rulebook::{Generation, NO_GENERATION, Rulebook};
use crate::task::world::{Stores, WorldError};
use crate::task::{CommitSettings, IdleSettings, REFUSALS, SEMANTICS_VERSION, Shared, Stop, Worker};
use crate::telemetry::{Metrics, WorkerDied};

pub use audit::audit;
#[cfg(feature = "rocksdb")]
pub use disk_stores::{DiskStores, rocks_options};
pub use memory::Shares;
pub use rulebook::{OwnRules, RuleMaker};

/// A worker that does not go round for this long counts as dead.
const STUCK_AFTER: Duration = Duration::from_mins(1);
/// Between two looks at the partitions of the input topics.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long a thread that waits may take to notice that it is to stop.
const STOP_LATENCY: Duration = Duration::from_millis(200);

/// All that is needed to run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub config: Config,
    /// Checked. `None`: whatever the rules topic has, now or later.
    pub rules: Option<OwnRules>,
    pub schemas: Arc<Schemas>,
}

/// A running program. Stops when it is told to, or when a worker cannot go on.
#[derive(Debug)]
pub struct Service {
    stop: Stop,
    /// Workers, and who watches the rules and the topics.
    threads: Vec<JoinHandle<Result<(), String>>>,
    server: Server,
    metrics: Arc<Metrics>,
}

/// Checks the topics and starts. Every worker has a copy of `stores`, which tell of themselves by the same `metrics`.
///
/// # Errors
/// What the topics must not be; an address that is taken.
pub fn start<T>(plan: &Plan, metrics: Arc<Metrics>, stop: Stop, stores: &T) -> anyhow::Result<Service>
where
    T: Stores + Clone + Send + 'static,
{
    let config = &plan.config;
    metrics.expect_dead_letters(&REASONS);
    metrics.expect_dead_letters(&REFUSALS);
    let findings = check_topics(config)?;
    if let Some(kept) = findings.log_retention() {
        metrics.set_log_retention(kept);
    }
    let maker = RuleMaker::new(config, plan.schemas.clone());
    let (rulebook, reader) = rulebook::open(&kafka_settings(config, 0), &maker, plan.rules.as_ref(), &metrics)?;
    let health = Health::new(config.workers, STUCK_AFTER);
    let server = http::serve(config.http.listen, Handles { metrics: metrics.clone(), health: health.clone() })?;
    let address = server.local_addr().to_string();
    tracing::info!(address, application = config.application, workers = config.workers, "started");
    let mut threads = Vec::new();
    let ground = Arc::new(Ground { plan: plan.clone(), metrics, rulebook, partitions: findings.partitions });
    for number in 0..config.workers {
        let (ground, stop, stores) = (ground.clone(), stop.clone(), stores.clone());
        let health = health.worker(number).context("a worker without a place")?;
        let run = move || work(number, &ground, &stop, health, stores);
        let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(run);
        threads.push(thread.context("the thread of a worker")?);
    }
    threads.push(watch_rules(&ground, reader, &stop)?);
    threads.push(watch_topics(&ground, &stop)?);
    Ok(Service { stop, threads, server, metrics: ground.metrics.clone() })
}

/// What all threads stand on.
#[derive(Debug)]
struct Ground {
    plan: Plan,
    metrics: Arc<Metrics>,
    rulebook: Arc<Rulebook>,
    /// Of the events topic.
    partitions: i32,
}

/// The thread that adds new generations to the rule book. If it cannot go on the workers must not: a partition may have
/// to adopt just the generation that this process cannot judge by.
fn watch_rules(
    ground: &Arc<Ground>,
    reader: GenerationsReader,
    stop: &Stop,
) -> anyhow::Result<JoinHandle<Result<(), String>>> {
    let (ground, stop) = (ground.clone(), stop.clone());
    let run = move || {
        let watch = AssertUnwindSafe(|| rulebook::watch(reader, &ground.rulebook, &ground.metrics, &stop));
        let ended = catch_unwind(watch).unwrap_or_else(|_| Err("it panicked; the log has the place".to_owned()));
        if ended.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        ended.map_err(|reason| format!("the rules: {reason}"))
    };
    std::thread::Builder::new().name("rules".to_owned()).spawn(run).context("the thread that watches the rules")
}

/// The thread that looks whether partitions were added to an input topic. Then nobody may go on.
fn watch_topics(ground: &Ground, stop: &Stop) -> anyhow::Result<JoinHandle<Result<(), String>>> {
    let watch = Watch::new(&kafka_settings(&ground.plan.config, 0), ground.partitions)?;
    let stop = stop.clone();
    let run = move || {
        let mut looked = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(STOP_LATENCY);
            if looked.elapsed() < LOOK_EVERY {
                continue;
            }
            looked = Instant::now();
            match watch.look() {
                Ok(()) => {}
                Err(error @ WorldError::Fatal(_)) => {
                    tracing::error!("{error}");
                    stop.store(true, Ordering::Relaxed);
                    return Err(error.to_string());
                }
                Err(error) => tracing::debug!(%error, "the partitions of the input topics are not known"),
            }
        }
        Ok(())
    };
    std::thread::Builder::new().name("topics".to_owned()).spawn(run).context("the thread that watches the topics")
}

impl Service {
    /// Waits until it has stopped, by itself or because it was told to.
    ///
    /// # Errors
    /// Why a worker could not go on.
    pub fn wait(self) -> anyhow::Result<()> {
        let mut reason = None;
        for thread in self.threads {
            // What a thread panics with is caught in it.
            let ended = thread.join().unwrap_or_else(|_| Err("a thread panicked".to_owned()));
            reason = reason.or(ended.err());
        }
        self.server.shutdown();
        reason.map_or(Ok(()), |reason| Err(anyhow::anyhow!(reason)))
    }

    /// Tells the workers to publish what they have, write their stores and end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Where metrics and health are answered.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.server.local_addr()
    }

    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}

/// The life of a worker's thread. One that cannot go on stops the others: half a service hides that it is half.
fn work<T: Stores>(number: usize, ground: &Ground, stop: &Stop, health: WorkerHealth, stores: T) -> Result<(), String> {
    let metrics = ground.metrics.clone();
    let run = AssertUnwindSafe(|| -> Result<(), WorldError> {
        if !rulebook::await_first(&ground.rulebook, stop, || health.beat()) {
            return Ok(());
        }
        let world = KafkaWorld::new(kafka_settings(&ground.plan.config, number), stores)?;
        let mut worker = Worker::new(number, world, Arc::new(ground.shared()));
        let mut joined = false;
        worker.run(stop, |has_joined| {
            health.beat();
            if has_joined && !joined {
                joined = true;
                health.joined();
            }
        })
    });
    let ended = match catch_unwind(run) {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => Err("it panicked; the log has the place".to_owned()),
    };
    match &ended {
        Ok(()) => health.stopped(),
        Err(reason) => {
            WorkerDied { worker: number, reason }.emit(&metrics);
            health.died(reason);
            stop.store(true, Ordering::Relaxed);
        }
    }
    ended.map_err(|reason| format!("worker {number}: {reason}"))
}

fn check_topics(config: &Config) -> anyhow::Result<Findings> {
    let policy = TopicPolicy {
        create: config.kafka.create_topics.then(|| NewTopics {
            partitions: config.topics.partitions as i32,
            replication: config.topics.replication.map(|replication| replication as i32),
        }),
        max_future_skew: duration(config.time.max_future_skew),
    };
    let findings = topics::check(&kafka_settings(config, 0), &policy)?;
    for topic in &findings.created {
        tracing::info!(topic, "topic created");
    }
    for warning in &findings.warnings {
        tracing::warn!("{warning}");
    }
    Ok(findings)
}

/// How a worker reaches Kafka. Tools that only read or publish rules take worker 0's.
#[must_use]
pub fn kafka_settings(config: &Config, worker: usize) -> KafkaSettings {
    let kafka = &config.kafka;
    let properties: BTreeMap<String, String> =
        kafka.properties.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    KafkaSettings {
        bootstrap: kafka.bootstrap.clone(),
        properties,
        group: config.group_id().to_owned(),
        transactional_id: config.transactional_id(worker),
        group_instance_id: kafka.static_membership.then(|| config.client_id(worker)),
        events_topic: config.topics.first_input().to_owned(),
        further_topics: config.topics.events.iter().skip(1).cloned().collect(),
        alerts_topic: config.topics.alerts.clone(),
        dead_letters_topic: config.topics.dead_letters.clone(),
        journal_topic: config.topics.journal.clone(),
        rules_topic: config.topics.rules.clone(),
        session_timeout: duration(kafka.session_timeout),
        transaction_timeout: duration(kafka.transaction_timeout),
        request_timeout: Duration::from_secs(5),
        read_ahead_bytes: Shares::of(config).read_ahead,
    }
}

impl Ground {
    /// What the tasks share.
    fn shared(&self) -> Shared {
        let Plan { config, schemas, .. } = &self.plan;
        let metrics = &self.metrics;
        let settings = RuleMaker::new(config, schemas.clone()).settings();
        let blank = Engine::new(Arc::default(), schemas.catalog(), settings);
        let no_rules = Generation { number: NO_GENERATION, fingerprint: "".into(), document: "".into(), engine: blank };
        Shared {
            application: config.application.clone(),
            instance: config.instance.clone(),
            rulebook: self.rulebook.clone(),
            no_rules: Arc::new(no_rules),
            checkpoint_interval: config.checkpoint.url.as_ref().map(|_| config.checkpoint.interval),
            context: context(config, schemas),
            schemas: schemas.clone(),
            writer: AlertWriter::new(schemas.clone()),
            alerts_format: config.alerts_format,
            metrics: metrics.clone(),
            counters: metrics.event_counters(schemas.catalog()),
            time: TimeSettings {
                max_out_of_orderness: config.time.max_out_of_orderness,
                max_future_skew: config.time.max_future_skew,
            },
            idle: IdleSettings { idle_after: config.time.idle_after, feed_timeout: config.time.feed_timeout },
            commit: CommitSettings {
                interval: config.commit.interval,
                min_interval: config.commit.min_interval,
                max_batch: config.commit.max_batch,
                write_behind: config.commit.write_behind,
            },
            topics: config.topics.events.clone(),
            merge_wait: config.time.merge_wait,
            partitions: self.partitions,
            partitioner: config.partitioner,
            // Should all partitions be here.
            cached_bytes: (Shares::of(config).cached / self.partitions.max(1) as u64) as usize,
        }
    }
}

/// All else that can change an answer.
fn context(config: &Config, schemas: &Schemas) -> Context {
    let time = &config.time;
    let partitioner = config.partitioner.map_or("null".to_owned(), |partitioner| partitioner.to_string());
    let settings = [
        ("time.max_out_of_orderness", time.max_out_of_orderness.to_string()),
        ("time.history", time.history.to_string()),
        ("time.max_future_skew", time.max_future_skew.to_string()),
        ("time.timezone", time.timezone.to_string()),
        ("max_open_items", config.max_open_items.to_string()),
        ("partitioner", partitioner),
    ];
    Context {
        semantics: SEMANTICS_VERSION,
        settings: settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        schemas: schemas.sources().map(str::to_owned).collect(),
        time_zone_data: chrono_tz::IANA_TZDB_VERSION.to_owned(),
    }
}

fn duration(ms: tocsin_core::time::Duration) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// A flag that is set by SIGTERM or SIGINT.
///
/// # Errors
/// If signals cannot be caught.
pub fn stop_on_signals() -> anyhow::Result<Stop> {
    let stop: Stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        // A second signal ends the process at once, for who cannot wait.
        signal_hook::flag::register_conditional_shutdown(signal, 1, stop.clone()).context("catching signals")?;
        signal_hook::flag::register(signal, stop.clone()).context("catching signals")?;
    }
    Ok(stop)
}
