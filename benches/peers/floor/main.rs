//! The floor of exactly-once: consume, transform, produce, in transactions, and no logic at all.
//!
//!     floor BOOTSTRAP EVENTS-TOPIC ALERTS-TOPIC GROUP EVERY
//!
//! Of every EVERY-th record the payload goes out again, with its key; so the output can be made as large as that of a
//! processor that thinks. It ends by SIGTERM, after the transaction that is open; how far it is, is on standard output.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

/// As often as Tocsin's default `commit.interval`, and Kafka Streams' under exactly-once.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// As many as Tocsin's default `commit.max_batch`.
const MOST: u64 = 10_000;
const PATIENCE: Duration = Duration::from_secs(30);

struct Floor {
    consumer: BaseConsumer,
    producer: BaseProducer,
    events: String,
    alerts: String,
    every: u64,
    taken: u64,
}

impl Floor {
    fn open(arguments: &[String]) -> Result<Self, Box<dyn Error>> {
        let [bootstrap, events, alerts, group, every] = arguments else {
            return Err("usage: floor BOOTSTRAP EVENTS-TOPIC ALERTS-TOPIC GROUP EVERY".into());
        };
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", group)
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.queue.backoff.ms", "20")
            .create()?;
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("transactional.id", group)
            .set("linger.ms", "0")
            .set("retry.backoff.ms", "10")
            .set("queue.buffering.max.messages", "1000000")
            .create()?;
        producer.init_transactions(PATIENCE)?;
        consumer.subscribe(&[events])?;
        let (events, alerts, every) = (events.clone(), alerts.clone(), every.parse::<u64>()?.max(1));
        Ok(Self { consumer, producer, events, alerts, every, taken: 0 })
    }

    /// One transaction, if anything comes.
    fn round(&mut self) -> Result<(), Box<dyn Error>> {
        let Some(first) = self.consumer.poll(COMMIT_EVERY) else { return Ok(()) };
        let started = Instant::now();
        self.producer.begin_transaction()?;
        let mut next = BTreeMap::new();
        let mut message = Some(first);
        let before = self.taken;
        while let Some(taken) = message {
            let taken = taken?;
            next.insert(taken.partition(), taken.offset() + 1);
            self.taken += 1;
            if self.taken.is_multiple_of(self.every) {
                let record = BaseRecord::<[u8], [u8]>::to(&self.alerts);
                let record = record.key(taken.key().unwrap_or_default()).payload(taken.payload().unwrap_or_default());
                self.producer.send(record).map_err(|(error, _)| error)?;
            }
            let is_full = self.taken - before >= MOST || started.elapsed() >= COMMIT_EVERY;
            message = if is_full { None } else { self.consumer.poll(Duration::ZERO) };
        }
        self.commit(&next)
    }

    fn commit(&self, next: &BTreeMap<i32, i64>) -> Result<(), Box<dyn Error>> {
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in next {
            offsets.add_partition_offset(&self.events, *partition, Offset::Offset(*offset))?;
        }
        let group = self.consumer.group_metadata().ok_or("no member of the group")?;
        self.producer.send_offsets_to_transaction(&offsets, &group, PATIENCE)?;
        // Else the commit itself would sleep for 100 ms while the last reports are outstanding.
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::from_millis(1));
        }
        self.producer.commit_transaction(PATIENCE)?;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, stop.clone())?;
    let mut floor = Floor::open(&std::env::args().skip(1).collect::<Vec<_>>())?;
    let mut told = 0;
    while !stop.load(Ordering::Relaxed) {
        floor.round()?;
        if floor.taken != told {
            told = floor.taken;
            println!("{told}");
            std::io::stdout().flush()?;
        }
    }
    Ok(())
}
