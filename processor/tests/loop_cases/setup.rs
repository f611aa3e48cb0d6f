//! What every case needs: rules, what tasks share, events, members that go round.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use tocsin::codec::alert::AlertWriter;
use tocsin::codec::journal::{Context, JournalRecord};
use tocsin::codec::schemas::Schemas;
use tocsin::config::AlertsFormat;
use tocsin::partitioner::Partitioner;
use tocsin::rules::{Limits, Source};
use tocsin::task::cache::CUSTOMER_BYTES;
use tocsin::task::rulebook::{Generation, Rulebook};
use tocsin::task::world::{Outgoing, PartitionId, WorldError};
use tocsin::task::{CommitSettings, IdleSettings, Shared, Worker};
use tocsin::telemetry::Metrics;
use tocsin_core::engine::{Engine, Settings as EngineSettings};
use tocsin_core::partition::TimeSettings;
use tocsin_core::rule::RuleSet;
use tocsin_core::time::{HOUR, MINUTE, Millis, SECOND};

use crate::memory_world::{Disk, DiskStores, Event, Log, MemoryWorld, SharedLog};

/// 2026-01-01T00:00:00Z.
pub const BASE: Millis = 1_767_225_600_000;
pub const HISTORY: Millis = 12 * HOUR;
/// Timestamp of records whose events no clock may hold back.
pub const LATER: Millis = BASE + 1_000 * HOUR;
pub const TOPIC: &str = "events";

const RULES: &str = r#"
rules:
  - id: burst
    scope: customer.status != "closed"
    let: {complaints: {count: complaint, where: event.status == "opened", over: 2h}}
    levels: {medium: complaints >= 2, high: complaints >= 4}
    resolve_when: complaints < 1
    cooldown: 30m
  - id: drop
    let:
      recent: {sum: purchase.amount, over: 2h}
      before: {sum: purchase.amount, over: 4h, offset: 2h}
    levels: {low: recent < before, high: recent < before / 2}
    for: 10m
    keep_firing_for: 20m
  - id: quiet
    let: {quiet: {silence: [purchase, interaction], since: first_seen}}
    levels: {low: quiet >= hours(1), medium: quiet >= hours(2), high: quiet >= hours(5)}
  - id: gold
    scope: customer.tier == "gold"
    let: {n: {count: [purchase, feedback], over: 1h}, spent: {sum: purchase.amount, over: 1h}}
    require: spent >= 0
    when: n >= 2
"#;

pub type Member = Worker<MemoryWorld<DiskStores>>;

/// What cases differ in.
#[derive(Clone, Debug)]
pub struct Options {
    pub max_batch: usize,
    pub interval: Millis,
    pub write_behind: Millis,
    pub cached_customers: usize,
    pub idle_after: Option<Millis>,
    pub feed_timeout: Option<Millis>,
    pub checkpoint_interval: Option<Millis>,
    pub partitions: i32,
    pub partitioner: Option<Partitioner>,
    pub topics: Vec<String>,
    /// `None`: [`RULES`].
    pub rules: Option<&'static str>,
    pub merge_wait: Millis,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_batch: 100,
            interval: 0,
            write_behind: 0,
            cached_customers: 1_000,
            idle_after: None,
            feed_timeout: None,
            checkpoint_interval: None,
            partitions: 1,
            partitioner: None,
            topics: vec![TOPIC.into()],
            rules: None,
            merge_wait: 5 * SECOND,
        }
    }
}

pub fn schemas() -> Arc<Schemas> {
    static SCHEMAS: OnceLock<Arc<Schemas>> = OnceLock::new();
    SCHEMAS.get_or_init(|| Arc::new(Schemas::shipped())).clone()
}

pub fn rules() -> Arc<RuleSet> {
    static RULE_SET: OnceLock<Arc<RuleSet>> = OnceLock::new();
    RULE_SET.get_or_init(|| loaded(RULES)).clone()
}

pub fn loaded(text: &str) -> Arc<RuleSet> {
    let source = Source { name: "rules.yaml".into(), text: text.into() };
    let limits = Limits { history: HISTORY, ..Limits::default() };
    Arc::new(tocsin::rules::load(&[source], schemas().catalog(), &limits).unwrap_or_else(|e| panic!("{e}")).set)
}

/// A generation of rules; its number stands for its text.
pub fn generation(number: i64, rules: Arc<RuleSet>) -> Generation {
    let settings = EngineSettings { history: HISTORY, ..EngineSettings::default() };
    Generation {
        number,
        fingerprint: format!("{number:016x}").into(),
        document: "".into(),
        engine: Engine::new(rules, schemas().catalog(), settings),
    }
}

pub fn shared(options: &Options) -> Arc<Shared> {
    static METRICS: OnceLock<Arc<Metrics>> = OnceLock::new();
    let metrics = METRICS.get_or_init(|| Metrics::new().unwrap()).clone();
    let (schemas, rules) = (schemas(), options.rules.map_or_else(rules, loaded));
    Arc::new(Shared {
        application: "test".into(),
        instance: "test-0".into(),
        rulebook: Arc::new(Rulebook::of([generation(1, rules)]).unwrap()),
        no_rules: Arc::new(generation(0, Arc::default())),
        context: Context::default(),
        schemas: schemas.clone(),
        writer: AlertWriter::new(schemas.clone()),
        alerts_format: AlertsFormat::Json,
        counters: metrics.event_counters(schemas.catalog()),
        metrics,
        time: TimeSettings { max_out_of_orderness: MINUTE, max_future_skew: 5 * MINUTE },
        idle: IdleSettings { idle_after: options.idle_after, feed_timeout: options.feed_timeout },
        commit: CommitSettings {
            interval: options.interval,
            min_interval: options.interval / 2,
            max_batch: options.max_batch,
            write_behind: options.write_behind,
        },
        topics: options.topics.clone(),
        merge_wait: options.merge_wait,
        partitions: options.partitions,
        partitioner: options.partitioner,
        checkpoint_interval: options.checkpoint_interval,
        cached_bytes: options.cached_customers * (CUSTOMER_BYTES + 200),
    })
}

/// A member as it starts: with what its disk and the log hold.
pub fn member(number: usize, log: &SharedLog, disk: &Disk, options: &Options) -> Member {
    member_with(number, log, DiskStores { disk: disk.clone(), ..DiskStores::default() }, options)
}

pub fn member_with(number: usize, log: &SharedLog, stores: DiskStores, options: &Options) -> Member {
    Worker::new(number, MemoryWorld::new(log, number, stores), shared(options))
}

/// One round; a call that may succeed if it is repeated will be, in the next.
pub fn round(member: &mut Member) {
    match member.round() {
        Ok(()) | Err(WorldError::Transient(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

/// A log of these partitions' events, all owned by member 0.
pub fn log_of(input: BTreeMap<PartitionId, Vec<Event>>, now: Millis) -> SharedLog {
    let owners = input.keys().map(|partition| (*partition, 0)).collect();
    Arc::new(Mutex::new(Log { input, owners, now, ..Log::default() }))
}

pub fn time(at: Millis) -> String {
    chrono::DateTime::from_timestamp_millis(at).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// An event as JSON; `rest` is more members, each with a comma before it.
pub fn json(id: &str, kind: &str, customer: &str, at: Millis, rest: &str) -> String {
    let at = time(at);
    format!(r#"{{"id":"{id}","type":"{kind}","customer_id":"{customer}","occurred_at":"{at}"{rest}}}"#)
}

pub fn event(customer: &str, payload: &str, timestamp: Millis) -> Event {
    Event { timestamp, key: Some(customer.into()), payload: Some(payload.into()) }
}

pub fn journal(log: &SharedLog, partition: PartitionId) -> Vec<JournalRecord> {
    let log = log.lock().unwrap();
    let records = log.journal.get(&partition).map_or(&[][..], Vec::as_slice);
    records.iter().map(|bytes| JournalRecord::decode(bytes).unwrap()).collect()
}

/// An alert as it reads, without the one field that may differ.
pub fn alert(record: &[u8]) -> serde_json::Value {
    let mut alert: serde_json::Value = serde_json::from_slice(record).unwrap();
    alert.as_object_mut().unwrap().remove("detected_at").unwrap();
    alert
}

pub fn header(letter: &Outgoing, name: &str) -> String {
    let found = letter.headers.iter().find(|(header, _)| *header == name);
    found.map(|(_, value)| String::from_utf8(value.clone()).unwrap()).unwrap_or_default()
}
