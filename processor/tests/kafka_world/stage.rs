//! A corner of a broker for one test: its topics, its producers and its workers.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset as Position, TopicPartitionList};
use tocsin::kafka::topics::{self, NewTopics, TopicPolicy};
use tocsin::kafka::{KafkaSettings, KafkaWorld};
use tocsin::store::{MemoryStore, StoreError};
use tocsin::task::world::{
    Arrival, Logged, Offset, OpenOnly, Outgoing, PartitionId, Rebalance, Source, Transaction, World, WorldError,
};

use crate::common;
use crate::common::broker::{Broker, or_skip};

pub type TestWorld = KafkaWorld<OpenOnly<fn(PartitionId) -> Result<MemoryStore, StoreError>>>;

pub const PATIENCE: Duration = Duration::from_secs(30);
pub const WAIT: Duration = Duration::from_millis(50);
pub const SKEW: Duration = Duration::from_mins(5);

/// An application of its own on a broker: its topics, and its workers.
pub struct Stage {
    pub settings: KafkaSettings,
}

impl Stage {
    pub fn new(broker: &Broker, application: &str, partitions: i32) -> Self {
        Self::several(broker, application, partitions, 1)
    }

    /// With so many input topics.
    pub fn several(broker: &Broker, application: &str, partitions: i32, topics: usize) -> Self {
        let mut settings = KafkaSettings::new(&broker.bootstrap, application, "a", 0);
        settings.events_topic = format!("{application}.events");
        settings.further_topics = (1..topics).map(|topic| format!("{application}.events-{topic}")).collect();
        settings.alerts_topic = format!("{application}.alerts");
        settings.dead_letters_topic = format!("{application}.dead-letters");
        settings.session_timeout = Duration::from_secs(6);
        let create = Some(NewTopics { partitions, replication: None });
        let found = topics::check(&settings, &TopicPolicy { create, max_future_skew: SKEW });
        assert_eq!(found.unwrap().partitions, partitions);
        Self { settings }
    }

    pub fn world(&self, instance: &str) -> TestWorld {
        let mut settings = self.settings.clone();
        settings.transactional_id = format!("{}-{instance}-0", settings.group);
        KafkaWorld::new(settings, OpenOnly(empty_store as fn(PartitionId) -> _)).unwrap()
    }

    /// The same as a static member.
    pub fn named_world(&self, instance: &str) -> TestWorld {
        let mut settings = self.settings.clone();
        settings.group_instance_id = Some(format!("{}-{instance}-0", settings.group));
        Self { settings }.world(instance)
    }

    /// A producer of events. With an id it is transactional, and a transaction is begun.
    pub fn upstream(&self, transactional_id: Option<&str>) -> BaseProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.settings.bootstrap);
        if let Some(id) = transactional_id {
            config.set("transactional.id", id);
        }
        let producer: BaseProducer = config.create().unwrap();
        if transactional_id.is_some() {
            producer.init_transactions(PATIENCE).unwrap();
            producer.begin_transaction().unwrap();
        }
        producer
    }

    pub fn produce(&self, producer: &BaseProducer, partition: PartitionId, events: Range<usize>) {
        self.produce_to(producer, Source::first(partition), events);
    }

    pub fn produce_to(&self, producer: &BaseProducer, source: Source, events: Range<usize>) {
        let topic = self.settings.input_topics().nth(source.topic).unwrap();
        write(producer, topic, source.partition, events.map(|event| format!("event {event}")));
    }
}

#[allow(clippy::unnecessary_wraps, reason = "the world expects a result")]
pub fn empty_store(_: PartitionId) -> Result<MemoryStore, StoreError> {
    Ok(MemoryStore::default())
}

pub fn write(producer: &BaseProducer, topic: &str, partition: PartitionId, payloads: impl Iterator<Item = String>) {
    for payload in payloads {
        let record = BaseRecord::to(topic).partition(partition).key("customer").payload(&payload);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// What a world has brought.
#[derive(Debug, Default)]
pub struct Seen {
    pub records: BTreeMap<PartitionId, Vec<Offset>>,
    pub ends: BTreeMap<PartitionId, Offset>,
    pub payloads: Vec<String>,
}

impl Seen {
    pub fn poll(&mut self, world: &mut TestWorld, max: usize) -> Option<Rebalance> {
        let polled = world.poll(max, WAIT, None, &mut |arrival| match arrival {
            Arrival::Record(record) => {
                self.ends.remove(&record.partition);
                self.records.entry(record.partition).or_default().push(record.offset);
                self.payloads.push(String::from_utf8_lossy(record.payload.unwrap_or_default()).into_owned());
            }
            Arrival::End { partition, offset, .. } => drop(self.ends.insert(partition, offset)),
        });
        // Who was given nothing hears that once; it changes nothing.
        polled.unwrap().filter(|rebalance| *rebalance != Rebalance::Assigned(Vec::new()))
    }

    /// Polls until something holds; no rebalance may come.
    pub fn until(&mut self, world: &mut TestWorld, done: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !done(self) {
            assert!(started.elapsed() < PATIENCE, "nothing more came: {self:?}");
            assert_eq!(self.poll(world, 1000), None);
        }
    }

    pub fn count(&self, partition: PartitionId) -> usize {
        self.records.get(&partition).map_or(0, Vec::len)
    }
}

/// Polls until the next rebalance, if one comes in time.
pub fn rebalance_within(world: &mut TestWorld, patience: Duration) -> Option<Rebalance> {
    let started = Instant::now();
    while started.elapsed() < patience {
        if let Some(rebalance) = Seen::default().poll(world, 1) {
            return Some(rebalance);
        }
    }
    None
}

pub fn assigned(world: &mut TestWorld) -> Vec<PartitionId> {
    match rebalance_within(world, PATIENCE) {
        Some(Rebalance::Assigned(partitions)) => partitions,
        other => panic!("{other:?}"),
    }
}

/// Takes what is assigned, from where the group left off.
pub fn start_assigned(world: &mut TestWorld) -> Vec<PartitionId> {
    let partitions = assigned(world);
    world.fence().unwrap();
    let starts: Vec<_> = partitions
        .iter()
        .map(|partition| {
            let committed = world.committed_offset(*partition).unwrap();
            let start = committed.unwrap_or_else(|| world.start_of(Source::first(*partition)).unwrap());
            (*partition, vec![start])
        })
        .collect();
    world.start(&starts).unwrap();
    partitions
}

/// What is asked until it is known.
pub fn settled<T>(mut ask: impl FnMut() -> Result<T, WorldError>) -> Result<T, WorldError> {
    let started = Instant::now();
    loop {
        match ask() {
            Err(WorldError::Pending(_)) if started.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(10));
            }
            known => return known,
        }
    }
}

/// Questions of a restore, in the form that tests want.
pub trait Asked: World {
    fn committed_offset(&mut self, partition: PartitionId) -> Result<Option<Offset>, WorldError> {
        settled(|| self.committed(Source::first(partition)))
    }

    fn journal_after(&mut self, partition: PartitionId, offset: Offset) -> Result<Vec<Logged>, WorldError> {
        let bounds = settled(|| self.journal_bounds(partition))?;
        self.journal(partition, offset + 1..bounds.end, usize::MAX)
    }
}

impl<W: World> Asked for W {}

pub fn transaction(offsets: &[(PartitionId, Offset)], journal: &str) -> Transaction {
    Transaction {
        offsets: offsets.iter().map(|(partition, next)| (Source::first(*partition), *next)).collect(),
        journal: offsets.iter().map(|(partition, _)| (*partition, journal.as_bytes().to_vec())).collect(),
        ..Transaction::default()
    }
}

/// All committed records of a topic.
pub fn read_all(settings: &KafkaSettings, topic: &str, partitions: i32) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.bootstrap)
        .set("group.id", "looker")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Position::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut found, mut ends) = (Vec::new(), 0);
    while ends < partitions {
        match consumer.poll(PATIENCE).expect("an answer in time") {
            Ok(message) => found.push(message.detach()),
            Err(KafkaError::PartitionEOF(_)) => ends += 1,
            Err(error) => panic!("{error}"),
        }
    }
    found
}

pub fn shared(test: &str) -> Option<Arc<Broker>> {
    common::show_log();
    or_skip(test, Broker::shared())
}

pub fn alert(customer: &str) -> Outgoing {
    Outgoing {
        key: customer.as_bytes().to_vec(),
        payload: Some(format!("alert for {customer}").into_bytes()),
        headers: vec![("content-type".into(), b"application/json".to_vec())],
    }
}

pub fn admin(settings: &KafkaSettings) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", &settings.bootstrap).create().unwrap()
}

pub fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Asserts that something failed for good, with all these words.
pub fn assert_fatal<T: std::fmt::Debug>(result: Result<T, WorldError>, parts: &[&str]) {
    match result {
        Err(WorldError::Fatal(message)) => {
            for part in parts {
                assert!(message.contains(part), "{part}: {message}");
            }
        }
        other => panic!("{other:?}"),
    }
}

pub fn own_broker(test: &str) -> Option<Broker> {
    common::show_log();
    or_skip(test, Broker::start())
}
