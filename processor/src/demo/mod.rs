//! A first look: the real processor on a small broker in the same process, over real purchases at many times their speed.
//!
//! The broker is librdkafka's mock cluster. It speaks Kafka's protocol on a real socket, so that any client can look, but it
//! keeps everything in memory, has no transactions to speak of and forgets all of it at the end: good for trying out, no
//! proof of anything. State is in memory too.

mod feed;
mod screen;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use tocsin_core::rule::RuleSet;
use tocsin_core::time::Millis;

use crate::backtest;
use crate::codec::decode::Decoder;
use crate::codec::generation::RulesFile;
use crate::codec::schemas::Schemas;
use crate::config::{Flag, Given, Sources};
use crate::partitioner::Partitioner;
use crate::rules;
use crate::service::{self, OwnRules, Plan, RuleMaker, Service};
use crate::store::MemoryStore;
use crate::task::Stop;
use crate::task::world::OpenOnly;
use crate::telemetry::Metrics;
use feed::FeedEvent;
use screen::Screen;

const SAMPLE: &[u8] = include_bytes!("../../../deploy/demo/events.jsonl.zst");
const SAMPLE_RULES: &str = include_str!("../../../deploy/demo/rules.yaml");

const PARTITIONS: i32 = 4;
const EVENTS: &str = "events";
const ALERTS: &str = "alerts";
/// Events that the processor may be behind the feeder: the mock broker silently drops what it has no room for.
const MOST_BEHIND: u64 = 2_000;
/// With nothing new for so long, everything that was fed has been judged and published.
const QUIET: Duration = Duration::from_millis(1_500);
/// Longest time without any progress.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the demonstration is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seconds of event time in a second.
    pub speed: u64,
    /// Stay up at the end.
    pub stay: bool,
    /// Other events than the sample's.
    pub events: Option<PathBuf>,
    /// Other rules than the sample's.
    pub rules: Option<PathBuf>,
}

/// Plays the events and shows the alerts; returns whether they equal those of a backtest.
///
/// # Errors
/// If the events or rules cannot be used, or the processor stops.
pub fn run(options: &Options, stop: &Stop) -> anyhow::Result<bool> {
    let schemas = Arc::new(Schemas::shipped());
    let (events, made_up) = events(options, &schemas)?;
    let files = rule_files(options)?;
    let rules = Arc::new(RuleMaker::standard(schemas.clone()).load(&files)?);
    let cluster = MockCluster::new(1).context("the small broker")?;
    for topic in [EVENTS, ALERTS, "dead-letters", "demo.journal"] {
        cluster.create_topic(topic, PARTITIONS, 1).with_context(|| format!("the topic {topic}"))?;
    }
    cluster.create_topic("demo.rules", 1, 1).context("the topic demo.rules")?;
    let bootstrap = cluster.bootstrap_servers();
    let service = start(&bootstrap, files, schemas.clone())?;
    let screen = Screen::new();
    screen.open(&bootstrap, service.address(), options.speed, events.len(), made_up);
    let alerts = play(&bootstrap, &events, options.speed, &service, stop, &screen);
    let alerts = match alerts {
        Ok(alerts) => alerts,
        Err(error) => return Err(stop_after(service, error)),
    };
    let equal = compare(&events, rules, &schemas, &alerts)?;
    screen.close(&alerts, equal, stop.load(Ordering::Relaxed));
    if options.stay && !stop.load(Ordering::Relaxed) {
        Screen::stay(&bootstrap, service.address());
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    service.stop();
    service.wait()?;
    Ok(equal)
}

fn stop_after(service: Service, error: anyhow::Error) -> anyhow::Error {
    service.stop();
    match service.wait() {
        Ok(()) => error,
        // Why the processor stopped says more than that nothing came any more.
        Err(reason) => reason,
    }
}

/// The events to be fed, by time, and how many of them are made up.
fn events(options: &Options, schemas: &Arc<Schemas>) -> anyhow::Result<(Vec<FeedEvent>, usize)> {
    let mut decoder = Decoder::new(schemas.clone());
    if let Some(path) = &options.events {
        let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let events = feed::read(&bytes, &mut decoder).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        return Ok((events, 0));
    }
    let mut events = feed::read(SAMPLE, &mut decoder).map_err(|error| anyhow!("the sample: {error}"))?;
    let complaints = feed::complaints(&events);
    let made_up = complaints.len();
    events.extend(complaints);
    events.sort_by_key(|event| event.at);
    Ok((events, made_up))
}

fn rule_files(options: &Options) -> anyhow::Result<Vec<RulesFile>> {
    let Some(path) = &options.rules else {
        return Ok(vec![RulesFile { name: "demo.yaml".to_owned(), text: SAMPLE_RULES.to_owned() }]);
    };
    let files = rules::read_sources(path)?.into_iter().map(|source| RulesFile { name: source.name, text: source.text });
    Ok(files.collect())
}

/// The processor as `tocsin run` would start it, but for the store.
fn start(bootstrap: &str, files: Vec<RulesFile>, schemas: Arc<Schemas>) -> anyhow::Result<Service> {
    let settings = [
        ("application", "demo"),
        ("instance", "demo"),
        ("kafka.bootstrap", bootstrap),
        ("http.listen", "127.0.0.1:0"),
        // Nobody comes back to a broker that is gone, and the mock begins each rebalance with a pause.
        ("kafka.static_membership", "false"),
        // The wall clock is years ahead of these events.
        ("time.idle_after", "never"),
        ("commit.interval", "50ms"),
    ];
    let flags = settings.map(|(key, value)| Flag::Set(format!("{key}={value}"))).to_vec();
    let config = Given::read(&Sources { file: None, environment: Vec::new(), flags }).config()?;
    let stop: Stop = Arc::new(AtomicBool::new(false));
    let rules = Some(OwnRules { files, applied_by: "tocsin-demo".to_owned() });
    let metrics = Metrics::new().context("the metrics")?;
    service::start(&Plan { config, rules, schemas }, metrics, stop, &OpenOnly(|_| Ok(MemoryStore::default())))
}

/// Feeds the events at their pace and shows what comes out; returns all alert records.
fn play(
    bootstrap: &str,
    events: &[FeedEvent],
    speed: u64,
    service: &Service,
    stop: &Stop,
    screen: &Screen,
) -> anyhow::Result<Vec<Value>> {
    let fed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed_all(bootstrap, events, speed, service, stop, &fed));
        let shown = show_all(bootstrap, service, &fed, events.len() as u64, stop, screen);
        match feeder.join() {
            Ok(fed) => fed.and(shown),
            Err(_) => bail!("the feeder panicked"),
        }
    })
}

fn feed_all(
    bootstrap: &str,
    events: &[FeedEvent],
    speed: u64,
    service: &Service,
    stop: &Stop,
    fed: &AtomicU64,
) -> anyhow::Result<()> {
    let producer: BaseProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("linger.ms", "5").create().context("the feeder")?;
    let (start, first) = (Instant::now(), events.first().map_or(0, |event| event.at));
    for event in events {
        while !stop.load(Ordering::Relaxed)
            && (pace(start, first, speed) < event.at
                || fed.load(Ordering::Relaxed) > service.metrics().events_counted() + MOST_BEHIND)
        {
            producer.poll(Duration::from_millis(1));
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        send(&producer, event)?;
        fed.fetch_add(1, Ordering::Relaxed);
    }
    producer.flush(PATIENCE).context("the last events could not be produced")
}

/// The instant of event time that it is now.
fn pace(start: Instant, first: Millis, speed: u64) -> Millis {
    first.saturating_add((start.elapsed().as_secs_f64() * speed as f64 * 1_000.0) as Millis)
}

fn send(producer: &BaseProducer<DefaultProducerContext>, event: &FeedEvent) -> anyhow::Result<()> {
    let partition = Partitioner::Murmur2.partition(event.customer_id.as_bytes(), PARTITIONS);
    let mut record =
        BaseRecord::to(EVENTS).partition(partition).key(&event.customer_id).payload(&event.line).timestamp(event.at);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                producer.poll(Duration::from_millis(1));
                record = again;
            }
            Err((error, _)) => return Err(error).context("an event could not be produced"),
        }
    }
}

/// Reads the alerts topic until everything that will be fed has been judged and nothing more comes.
fn show_all(
    bootstrap: &str,
    service: &Service,
    fed: &AtomicU64,
    total: u64,
    stop: &Stop,
    screen: &Screen,
) -> anyhow::Result<Vec<Value>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "demo-screen")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "50")
        .create()
        .context("the reader of the alerts")?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(ALERTS, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let (mut alerts, mut last_news, mut last_counted) = (Vec::new(), Instant::now(), 0);
    loop {
        if let Some(message) = consumer.poll(Duration::from_millis(50)) {
            let message = message.context("the alerts cannot be read")?;
            let alert = serde_json::from_slice(message.payload().unwrap_or_default()).context("an alert record")?;
            screen.alert(&alert);
            alerts.push(alert);
            last_news = Instant::now();
        }
        let counted = service.metrics().events_counted();
        if counted != last_counted {
            (last_counted, last_news) = (counted, Instant::now());
        }
        let is_fed = fed.load(Ordering::Relaxed) == total || stop.load(Ordering::Relaxed);
        let is_done = is_fed && counted >= fed.load(Ordering::Relaxed) && last_news.elapsed() > QUIET;
        if is_done {
            return Ok(alerts);
        }
        if last_news.elapsed() > PATIENCE && counted < fed.load(Ordering::Relaxed) {
            bail!("the processor has taken {counted} of {} events and goes no further", fed.load(Ordering::Relaxed));
        }
    }
}

/// Whether the alerts are those of a backtest over the same events.
fn compare(
    events: &[FeedEvent],
    rules: Arc<RuleSet>,
    schemas: &Arc<Schemas>,
    alerts: &[Value],
) -> anyhow::Result<bool> {
    let lines: Vec<&str> = events.iter().map(|event| event.line.as_str()).collect();
    let settings = backtest::Settings { partitions: PARTITIONS, ..backtest::Settings::default() };
    let mut out = Vec::new();
    backtest::run(rules, schemas, &settings, lines.join("\n").as_bytes(), &mut out, &mut |_| ())?;
    let expected = out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(serde_json::from_slice);
    let expected = expected.collect::<Result<Vec<Value>, _>>().context("an alert record of the backtest")?;
    Ok(by_identity(&expected) == by_identity(alerts))
}

/// Records by what makes them one, without the one field that may differ; and how often each came.
fn by_identity(alerts: &[Value]) -> BTreeMap<String, u32> {
    let mut counted = BTreeMap::new();
    for alert in alerts {
        let mut alert = alert.clone();
        if let Some(fields) = alert.as_object_mut() {
            fields.remove("detected_at");
        }
        *counted.entry(alert.to_string()).or_default() += 1;
    }
    counted
}
