//! How long is the way from an event that is produced to what a reader of committed records sees of it?
//!
//!     latency BOOTSTRAP EVENTS-TOPIC ALERTS-TOPIC RATE SECONDS
//!
//! Produces RATE events a second, of which one in a hundred is a complaint, and reads the alerts topic all the while. An
//! event's id is the instant at which it was handed to the producer, in microseconds, and whatever comes out names it. Prints
//! a line of JSON: how many came, and quantiles in milliseconds. The first third of the time is for warming up.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

const CUSTOMERS: u64 = 10_000;
const COMPLAINT_EVERY: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(30);
/// What has not come so long after the last event does not come any more.
const STRAGGLERS: Duration = Duration::from_secs(2);

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

/// Produces at a steady rate; how far it fell behind at the most.
fn produce(
    bootstrap: &str,
    topic: &str,
    rate: u64,
    length: Duration,
) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    // Without a millisecond of lingering each record is a request, and what is measured is a broker short of breath.
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("linger.ms", "1").create()?;
    // Else the first records wait for the topic to be known.
    producer.client().fetch_metadata(Some(topic), PATIENCE)?;
    let (started, mut sent, mut most_behind) = (Instant::now(), 0_u64, Duration::ZERO);
    while started.elapsed() < length {
        let due = (started.elapsed().as_secs_f64() * rate as f64) as u64;
        most_behind = most_behind.max(Duration::from_secs_f64(due.saturating_sub(sent) as f64 / rate as f64));
        while sent < due {
            let now = now_us();
            let customer = format!("c-{}", sent * 7_919 % CUSTOMERS);
            let rest = if sent.is_multiple_of(COMPLAINT_EVERY) {
                r#""type":"complaint","status":"opened""#
            } else {
                r#""type":"interaction","channel":"app""#
            };
            let event =
                format!(r#"{{"id":"e-{now}","customer_id":"{customer}","occurred_at":{},{rest}}}"#, now / 1_000);
            let record = BaseRecord::to(topic).key(&customer).payload(&event);
            producer.send(record).map_err(|(error, _)| error)?;
            sent += 1;
        }
        producer.poll(Duration::ZERO);
        thread::sleep(Duration::from_micros(200));
    }
    producer.flush(PATIENCE)?;
    Ok(most_behind)
}

/// The microseconds in the first id of a record, whichever record it is.
fn produced_us(payload: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(payload).ok()?;
    let digits = text.split(r#""e-"#).nth(1)?.split('"').next()?;
    digits.parse().ok()
}

/// The ways of all that comes until told to stop, each with the instant at which it began.
fn read(consumer: &BaseConsumer, stop: &AtomicBool) -> Result<Vec<(u64, u64)>, Box<dyn Error + Send + Sync>> {
    let mut ways = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if let Some(message) = consumer.poll(Duration::from_millis(50)) {
            let message = message?;
            let seen = now_us();
            let began = message.payload().and_then(produced_us).ok_or("a record that names no event")?;
            ways.push((began, seen.saturating_sub(began)));
        }
    }
    Ok(ways)
}

fn reader(bootstrap: &str, topic: &str) -> Result<BaseConsumer, Box<dyn Error>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "bench-latency")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "100")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let mut assignment = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions) {
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    Ok(consumer)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, events, alerts, rate, seconds] = arguments.as_slice() else {
        return Err("usage: latency BOOTSTRAP EVENTS-TOPIC ALERTS-TOPIC RATE SECONDS".into());
    };
    let (rate, length) = (rate.parse::<u64>()?.max(1), Duration::from_secs_f64(seconds.parse()?));
    let (consumer, stop) = (reader(bootstrap, alerts)?, Arc::new(AtomicBool::new(false)));
    let until = stop.clone();
    let reading = thread::spawn(move || read(&consumer, &until));
    let began = now_us();
    let behind = produce(bootstrap, events, rate, length).map_err(|error| error.to_string())?;
    thread::sleep(STRAGGLERS);
    stop.store(true, Ordering::Relaxed);
    let ways = reading.join().map_err(|_| "the reader panicked")?.map_err(|error| error.to_string())?;
    let warm = began + length.as_micros() as u64 / 3;
    let mut counted: Vec<u64> = ways.into_iter().filter(|(began, _)| *began >= warm).map(|(_, way)| way).collect();
    counted.sort_unstable();
    let at = |share: f64| {
        let place = ((counted.len() as f64 * share) as usize).min(counted.len().saturating_sub(1));
        counted.get(place).map_or(f64::NAN, |way| *way as f64 / 1e3)
    };
    let found = serde_json::json!({
        "count": counted.len(), "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "max_ms": at(1.0),
        "producer_behind_ms": behind.as_secs_f64() * 1e3,
    });
    println!("{found}");
    Ok(())
}
