//! Coming back must not take longer because there is more state: killed under half load with so and so much of it, and
//! taken over by a machine that has none.
//!
//! A little of it here, so that this stays in working order; `make prove-restart SIZES="100 1000"` is the measurement, in
//! megabytes of state. It prints a line for each step. Only processes that it has started are ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chrono::DateTime;
use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

use crate::app::{self, App};
use crate::audit::audit;
use crate::data::Dice;
use crate::stage::{Stage, now_ms};

/// Of the free text in each of the events that make up the state: what is small becomes large with few of them.
const TEXT: usize = 4_000;
/// Events that are produced between two looks at the size of the state.
const CHUNK: u64 = 5_000;
const KILLS: usize = 3;
/// How long each step may take.
const LIMIT: Duration = Duration::from_mins(30);
/// What is recomputed in a reasonable time, in megabytes.
const AUDITED: u64 = 2_000;
/// The second purchase is one of the load, the first lies in the state.
const RULES: &str = "rules: [{id: again, let: {bought: {count: purchase, over: 30d}}, when: bought >= 2}]\n";

#[test]
fn coming_back_takes_no_longer_with_more_state() {
    let Some(stage) = Stage::open("live-size") else { return };
    let asked = std::env::var("TOCSIN_STATE_MB").ok().map(|text| text.parse().unwrap());
    let megabytes: u64 = asked.unwrap_or(15);
    let rules = stage.write("rules.yaml", RULES);
    let mut upstream = Upstream::new(&stage);
    let home = stage.path("state");
    let run = |folder: &Path, more: &[(&str, &str)]| {
        let own = [
            ("state_dir", folder.to_str().unwrap()),
            ("time.idle_after", "never"),
            ("workers", "2"),
            ("kafka.session_timeout", "10s"),
            ("log.filter", "info,tocsin::service::disk_stores=debug"),
        ];
        App::start(&stage, &rules, &[&own, more].concat())
    };

    let app = run(&home, &[]);
    let started = Instant::now();
    while bytes_of(&home) < megabytes * 1_000_000 {
        upstream.fill(CHUNK);
        await_all(&app, &upstream, 0);
    }
    let customers = upstream.customers;
    thread::sleep(Duration::from_secs(2));
    app.stop();
    println!("state: {} MB, {customers} customers, filled in {:?}", bytes_of(&home) / 1_000_000, started.elapsed());

    // What it does at most with events that concern this state, so that half of that is half load.
    let backlog = if asked.is_some() { 60_000 } else { 5_000 };
    let before = upstream.sent.load(Relaxed);
    upstream.load(backlog);
    let app = run(&home, &[]);
    let began = first_live_event(&app);
    await_all(&app, &upstream, before);
    let rate = backlog as f64 / began.elapsed().as_secs_f64();
    println!("full load: {rate:.0} events/s; half load: {:.0}", rate / 2.0);
    app.stop();

    let mut app = run(&home, &[]);
    let load = Load::start(upstream, rate / 2.0);
    first_live_event(&app);
    for _ in 0..KILLS {
        thread::sleep(Duration::from_secs(3));
        app.kill();
        app = run(&home, &[]);
        let comeback = Comeback::of(&app);
        println!("killed, and back by itself: {comeback}");
        if asked.is_none() {
            // A machine that runs other tests besides cannot be held to more.
            assert!(comeback.live < Duration::from_secs(10), "{comeback}");
        }
    }

    let url = format!("file://{}", stage.path("checkpoints").display());
    let checkpoints =
        [("checkpoint.url", url.as_str()), ("checkpoint.interval", if asked.is_some() { "20s" } else { "5s" })];
    app.kill();
    app = run(&home, &checkpoints);
    let uploaded = || told(&app, "checkpoint uploaded").count();
    let started = Instant::now();
    until("checkpoints of all partitions", || uploaded() >= 3);
    println!("checkpoints of all partitions after {:?}", started.elapsed());
    app.kill();
    fs::remove_dir_all(&home).unwrap();
    let elsewhere = stage.path("elsewhere");
    let app = run(&elsewhere, &checkpoints[..1]);
    let comeback = Comeback::of(&app);
    println!("taken over without local state: {comeback}");
    let fetched = told(&app, "checkpoint fetched").filter_map(|line| line["took_ms"].as_u64()).max();
    println!("the slowest checkpoint was fetched in {fetched:?} ms");
    upstream = load.stop();
    let lag = Instant::now();
    let all = upstream.sent.load(Relaxed);
    let looker = looker(&stage);
    until("the end of the backlog", || committed(&stage, &looker) == all);
    println!("all {all} events are taken in {:?} after the last of them", lag.elapsed());
    // A clean stop takes a last checkpoint of each partition, which lasts as long as there is much that is new.
    let asked_to_stop = Instant::now();
    app.signal("-TERM");
    let (code, log) = app.await_end();
    assert_eq!(code, Some(0), "{log}");
    println!("stopped cleanly, with a last checkpoint of what is new, after {:?}", asked_to_stop.elapsed());
    if megabytes > AUDITED {
        println!("not audited: that would need as much disk again");
        return;
    }
    let started = Instant::now();
    let audited = audit(&app::config(&stage, &rules), &["--set", &format!("checkpoint.url={url}")]);
    let took = started.elapsed();
    audited.assert_equal();
    let (events, alerts) = (audited.count("/totals/events"), audited.count("/totals/alerts/equal"));
    assert_eq!(events, all);
    println!(
        "audit equal: {events} events, {alerts} alerts in {took:?}, {:.0} events/s",
        events as f64 / took.as_secs_f64()
    );
}

/// How a process came back, all times from its start.
#[derive(Debug)]
struct Comeback {
    /// It was given partitions.
    joined: Duration,
    /// The first live event was taken in.
    live: Duration,
    /// All partitions run.
    ready: Duration,
    /// How long the slowest store took to open.
    opened_ms: u64,
    replayed: u64,
}

impl Comeback {
    fn of(app: &App) -> Self {
        let live = first_live_event(app).duration_since(app.started);
        until("all partitions to run", || app.get("/readyz").0 == 200);
        let ready = app.started.elapsed();
        let first = told(app, "partitions assigned").find(|line| line["partitions"] != "[]").unwrap();
        let at = DateTime::parse_from_rfc3339(first["timestamp"].as_str().unwrap()).unwrap().timestamp_millis();
        let since_start = u64::try_from(now_ms() - at).unwrap_or(0);
        let joined = app.started.elapsed().saturating_sub(Duration::from_millis(since_start));
        Self {
            joined,
            live,
            ready,
            opened_ms: told(app, "store opened").filter_map(|line| line["took_ms"].as_u64()).max().unwrap_or(0),
            replayed: told(app, "partition restored, running").filter_map(|line| line["replayed"].as_u64()).sum(),
        }
    }
}

impl std::fmt::Display for Comeback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { joined, live, ready, opened_ms, replayed } = self;
        let from_joined = live.saturating_sub(*joined);
        write!(
            f,
            "joined {joined:.2?} after its start; from there to the first live event {from_joined:.2?}; all partitions run \
             after {ready:.2?}; slowest store open {opened_ms} ms; {replayed} events replayed"
        )
    }
}

fn told<'a>(app: &App, message: &'a str) -> impl Iterator<Item = Value> + use<'a> {
    app.lines().into_iter().filter(move |line| line["message"] == message)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn first_live_event(app: &App) -> Instant {
    until("the first live event", || app.taken_in() > 0);
    Instant::now()
}

/// Waits until it has taken in what was sent, but for as many as were taken in before it started.
fn await_all(app: &App, upstream: &Upstream, before: u64) {
    let wanted = (upstream.sent.load(Relaxed) - before) as usize;
    until("all events", || app.taken_in() >= wanted);
}

/// Who asks for the group's offsets, and is no member of it.
fn looker(stage: &Stage) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &stage.broker.bootstrap).set("group.id", stage.name);
    config.create().unwrap()
}

/// Events before the group's offsets.
fn committed(stage: &Stage, looker: &BaseConsumer) -> u64 {
    let mut list = TopicPartitionList::new();
    list.add_partition_range(&stage.topic("events"), 0, 2);
    let Ok(found) = looker.committed_offsets(list, Duration::from_secs(5)) else { return 0 };
    found.elements().iter().filter_map(|element| element.offset().to_raw()).map(|offset| offset.max(0) as u64).sum()
}

fn bytes_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    // Files come and go under a running process.
    let size = |path: PathBuf| match fs::metadata(&path) {
        Ok(found) if found.is_dir() => bytes_of(&path),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(|entry| size(entry.path())).sum()
}

/// A producer of events, fast enough to make gigabytes.
struct Upstream {
    producer: BaseProducer,
    topic: String,
    dice: Dice,
    /// Those with an event in the state.
    customers: u64,
    sent: Arc<AtomicU64>,
}

impl Upstream {
    fn new(stage: &Stage) -> Self {
        stage.produce(3, "murmur2_random", []);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &stage.broker.bootstrap).set("partitioner", "murmur2_random");
        config.set("linger.ms", "5").set("enable.idempotence", "true").set("queue.buffering.max.kbytes", "65536");
        let (producer, topic) = (config.create().unwrap(), stage.topic("events"));
        Self { producer, topic, dice: Dice(5), customers: 0, sent: Arc::default() }
    }

    /// Large events of customers that nobody knew.
    fn fill(&mut self, count: u64) {
        for _ in 0..count {
            let text: String = (0..TEXT / 8).map(|_| self.word()).collect();
            let customer = self.customers;
            self.customers += 1;
            self.send(customer, &format!(r#""order_id":"{text}""#));
        }
        self.producer.flush(LIMIT).unwrap();
    }

    /// Eight characters that do not compress.
    fn word(&mut self) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut bits = self.dice.below(1 << 48);
        let mut word = String::with_capacity(8);
        for _ in 0..8 {
            word.push(char::from(DIGITS[(bits & 63) as usize]));
            bits >>= 6;
        }
        word
    }

    /// Small events of customers that are in the state.
    fn load(&mut self, count: u64) {
        for _ in 0..count {
            let customer = self.dice.below(self.customers as i64) as u64;
            self.send(customer, r#""amount":1"#);
        }
        self.producer.flush(LIMIT).unwrap();
    }

    fn send(&mut self, customer: u64, field: &str) {
        let (number, at) = (self.sent.fetch_add(1, Relaxed), now_ms());
        let customer = format!("customer-{customer}");
        let event =
            format!(r#"{{"id":"{number}","type":"purchase","customer_id":"{customer}","occurred_at":{at},{field}}}"#);
        let mut record = BaseRecord::to(&self.topic).key(&customer).payload(&event).timestamp(at);
        while let Err((error, refused)) = self.producer.send(record) {
            assert!(error.to_string().contains("QueueFull"), "{error}");
            self.producer.poll(Duration::from_millis(10));
            record = refused;
        }
        self.producer.poll(Duration::ZERO);
    }
}

/// Events that go on coming while others come and go.
struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Upstream>,
}

impl Load {
    fn start(mut upstream: Upstream, rate: f64) -> Self {
        let stop: Arc<AtomicBool> = Arc::default();
        let until = stop.clone();
        let thread = thread::spawn(move || {
            let (started, mut sent) = (Instant::now(), 0);
            while !until.load(Relaxed) {
                let due = (started.elapsed().as_secs_f64() * rate) as u64;
                upstream.load(due.saturating_sub(sent));
                sent = due.max(sent);
                thread::sleep(Duration::from_millis(5));
            }
            upstream
        });
        Self { stop, thread }
    }

    fn stop(self) -> Upstream {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}
