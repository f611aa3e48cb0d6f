//! Events that are made up as they happen: of customers who come, do a few dozen things within seconds, and go.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::model::event::{COMPLAINT, Event, Field, INTERACTION, PROFILE, PURCHASE};
use crate::model::rng::Rng;

/// Customers who are there at a time, and what each of them does, about.
const PRESENT: i64 = 150;
const EVENTS_EACH: i64 = 24;
const PATIENCE: Duration = Duration::from_secs(90);

pub fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// Every event that was ever made, by its id.
#[derive(Clone, Debug, Default)]
pub struct Made(Arc<Mutex<HashMap<String, Event>>>);

impl Made {
    pub fn lock(&self) -> MutexGuard<'_, HashMap<String, Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes events up and sends them.
pub struct Upstream {
    producer: BaseProducer,
    topic: String,
    rng: Rng,
    name: String,
    made: Made,
    sent: Vec<String>,
}

impl Upstream {
    /// With a transactional id it sends nothing before a transaction is begun.
    pub fn new(bootstrap: &str, topic: &str, name: &str, seed: u64, made: Made, is_transactional: bool) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("partitioner", "murmur2_random")
            .set("enable.idempotence", "true")
            .set("linger.ms", "5");
        if is_transactional {
            config.set("transactional.id", name).set("transaction.timeout.ms", "60000");
        }
        let producer: BaseProducer = config.create().unwrap();
        if is_transactional {
            producer.init_transactions(PATIENCE).unwrap();
        }
        Self { producer, topic: topic.to_owned(), rng: Rng::new(seed), name: name.to_owned(), made, sent: Vec::new() }
    }

    pub fn begin(&self) {
        self.producer.begin_transaction().unwrap();
    }

    pub fn commit(&self) {
        self.producer.commit_transaction(PATIENCE).unwrap();
    }

    /// What was sent counts as never made.
    pub fn abort(&mut self) {
        self.producer.abort_transaction(PATIENCE).unwrap();
        let mut made = self.made.lock();
        for id in self.sent.drain(..) {
            made.remove(&id);
        }
    }

    pub fn flush(&self) {
        self.producer.flush(PATIENCE).expect("the brokers take all events");
    }

    pub fn send(&mut self, count: usize) {
        for _ in 0..count {
            let event = self.event();
            let line = event.json();
            let mut record = BaseRecord::to(&self.topic).key(&event.customer).payload(&line);
            while let Err((error, refused)) = self.producer.send(record) {
                assert!(error.to_string().contains("QueueFull"), "{error}");
                self.producer.poll(Duration::from_millis(10));
                record = refused;
            }
        }
        self.producer.poll(Duration::ZERO);
    }

    /// Some come late, now and then one comes twice.
    fn event(&mut self) -> Event {
        let made = self.made.clone();
        let mut made = made.lock();
        let rng = &mut self.rng;
        if !self.sent.is_empty() && rng.chance(2) {
            let recent = self.sent.len() as i64 - 1;
            let twin = &self.sent[rng.range((recent - 50).max(0), recent) as usize];
            return made[twin].clone();
        }
        let number = self.sent.len() as i64;
        let delay = match rng.range(1, 100) {
            1..=85 => 0,
            86..=95 => rng.range(1, 900),
            _ => rng.range(900, 7_000),
        };
        let first = made.len() as i64 / EVENTS_EACH;
        let customer = format!("c-{}", rng.range(first, first + PRESENT));
        let (kind, fields) = what(rng);
        let event = Event { id: format!("{}-{number}", self.name), kind, customer, at: now_ms() - delay, fields };
        self.sent.push(event.id.clone());
        made.insert(event.id.clone(), event.clone());
        event
    }
}

fn what(rng: &mut Rng) -> (&'static str, Vec<(&'static str, Field)>) {
    let text = |text: &str| Field::Text(text.to_owned());
    match rng.range(1, 100) {
        1..=6 => (PROFILE, vec![("tier", text(rng.pick(&["gold", "silver", "closed"])))]),
        7..=22 => (INTERACTION, vec![("channel", text("phone"))]),
        23..=45 => {
            let status = rng.weighted(&[(60, "opened"), (40, "answered")]);
            (COMPLAINT, vec![("ticket_id", Field::Text(format!("t-{}", rng.range(1, 3)))), ("status", text(status))])
        }
        _ => (PURCHASE, vec![("amount", Field::Millionths(rng.range(100, 6_000) * 10_000))]),
    }
}

/// Events that go on coming while others come and go.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Upstream>,
}

impl Load {
    /// So many a second.
    pub fn start(mut upstream: Upstream, rate: f64) -> Self {
        let stop: Arc<AtomicBool> = Arc::default();
        let until = stop.clone();
        let thread = thread::spawn(move || {
            let (started, mut sent) = (Instant::now(), 0);
            while !until.load(Relaxed) {
                let due = (started.elapsed().as_secs_f64() * rate) as usize;
                upstream.send(due - sent);
                sent = due;
                thread::sleep(Duration::from_millis(10));
            }
            upstream
        });
        Self { stop, thread }
    }

    pub fn stop(self) -> Upstream {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}
