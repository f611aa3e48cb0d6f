//! Each event is judged once, whoever comes, goes, falls silent or is cut off meanwhile.
//!
//! Workers with a toy for an engine: of every partition, each fifth event raises an alert with its place and number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::message::Message;
use rdkafka::producer::Producer;
use tocsin::task::world::{Arrival, Offset, Outgoing, PartitionId, Rebalance, Source, Transaction, World, WorldError};

use super::stage::{Asked as _, PATIENCE, Stage, TestWorld, own_broker, read_all, settled};

const PARTITIONS: i32 = 4;

#[test]
fn each_event_is_judged_once() {
    chaos("each_event_is_judged_once", 1);
}

#[test]
fn each_event_of_two_topics_is_judged_once() {
    chaos("each_event_of_two_topics_is_judged_once", 2);
}

fn chaos(test: &str, topics: usize) {
    let Some(broker) = own_broker(test) else { return };
    let mut stage = Stage::several(&broker, "chaos", PARTITIONS, topics);
    stage.settings.session_timeout = Duration::from_secs(2);
    stage.settings.transaction_timeout = Duration::from_secs(2);
    let stage = Arc::new(stage);
    let (events, seconds) = (Running::start(&stage, produce), duration());
    let mut workers = vec![worker(&stage, "first", false), worker(&stage, "second", false)];
    let until = Instant::now() + seconds;
    for round in 0.. {
        if Instant::now() > until {
            break;
        }
        thread::sleep(Duration::from_millis(1_500));
        match round % 4 {
            // A member joins, and crashes in the next round but one: it publishes nothing more, and does not say that it goes.
            0 => workers.push(worker(&stage, &format!("passing-{round}"), true)),
            1 => workers.remove(0).stop(),
            2 => workers.push(worker(&stage, &format!("staying-{round}"), false)),
            _ => {
                broker.freeze();
                // Now shorter, now longer than a session and a transaction may last.
                thread::sleep(Duration::from_millis(if round % 8 == 3 { 1_000 } else { 4_000 }));
                broker.thaw();
                workers.remove(1).stop();
            }
        }
    }
    events.stop();
    for worker in workers {
        worker.stop();
    }
    let last = worker(&stage, "last", false);
    verify(&stage);
    last.stop();
}

fn duration() -> Duration {
    let seconds = std::env::var("TOCSIN_CHAOS_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(15))
}

/// A thread that goes on until it is told to stop.
struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(stage: &Arc<Stage>, run: impl FnOnce(&Stage, &AtomicBool) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stage, told) = (Arc::clone(stage), Arc::clone(&stop));
        Self { stop, thread: thread::spawn(move || run(&stage, &told)) }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// Transactions of events, one in five of which is aborted.
fn produce(stage: &Stage, stop: &AtomicBool) {
    let upstream = stage.upstream(Some("chaos-upstream"));
    let mut number = 0;
    for round in 0.. {
        for source in sources(stage) {
            stage.produce_to(&upstream, source, number..number + 3 + round % 7);
            number += 3 + round % 7;
        }
        if round % 5 == 4 {
            upstream.abort_transaction(PATIENCE).unwrap();
        } else {
            upstream.commit_transaction(PATIENCE).unwrap();
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
        upstream.begin_transaction().unwrap();
        thread::sleep(Duration::from_millis(20));
    }
}

/// The partitions of all input topics.
fn sources(stage: &Stage) -> impl Iterator<Item = Source> {
    (0..stage.settings.input_topics().count())
        .flat_map(|topic| (0..PARTITIONS).map(move |partition| Source { topic, partition }))
}

fn worker(stage: &Arc<Stage>, name: &str, crashes: bool) -> Running {
    let name = name.to_owned();
    Running::start(stage, move |stage, stop| {
        let topics = stage.settings.input_topics().count();
        let mut worker = Worker { topics, world: stage.world(&name), tasks: BTreeMap::new(), alerts: Vec::new() };
        worker.run(stop);
        if !crashes {
            worker.close();
        }
    })
}

#[derive(Debug, Default)]
struct Task {
    from: Offset,
    next: Offset,
    judged: u64,
}

impl Task {
    fn judge(&mut self, Source { topic, partition }: Source, offset: Offset) -> Option<Outgoing> {
        if offset < self.next {
            return None;
        }
        self.next = offset + 1;
        self.judged += 1;
        self.judged.is_multiple_of(5).then(|| Outgoing {
            key: format!("{partition}").into_bytes(),
            payload: Some(format!("{topic} {partition} {offset} {}", self.judged).into_bytes()),
            ..Outgoing::default()
        })
    }
}

struct Worker {
    topics: usize,
    world: TestWorld,
    tasks: BTreeMap<Source, Task>,
    alerts: Vec<Outgoing>,
}

impl Worker {
    fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            match self.round() {
                Ok(()) | Err(WorldError::Transient(_)) => {}
                Err(WorldError::Unsettled(_)) => self.forget(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn round(&mut self) -> Result<(), WorldError> {
        self.world.fence()?;
        let (tasks, alerts) = (&mut self.tasks, &mut self.alerts);
        let running: Vec<Source> = tasks.keys().copied().collect();
        let wanted = (self.topics > 1).then_some(&*running);
        let rebalance = self.world.poll(500, Duration::from_millis(20), wanted, &mut |arrival| {
            if let Arrival::Record(record) = arrival
                && let Some(task) = tasks.get_mut(&arrival.source())
            {
                alerts.extend(task.judge(arrival.source(), record.offset));
            }
        })?;
        match rebalance {
            None => self.publish(),
            Some(Rebalance::Assigned(partitions)) => self.restore(&partitions),
            Some(Rebalance::Revoked { partitions, lost }) => self.revoked(&partitions, lost),
        }
    }

    fn revoked(&mut self, partitions: &[PartitionId], lost: bool) -> Result<(), WorldError> {
        if !lost {
            self.publish()?;
        }
        self.tasks.retain(|source, _| !partitions.contains(&source.partition));
        self.world.release(partitions)?;
        if lost {
            self.forget();
            self.world.hold();
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.tasks.clear();
        self.alerts.clear();
    }

    fn restore(&mut self, partitions: &[PartitionId]) -> Result<(), WorldError> {
        for &partition in partitions {
            let sources: Vec<Source> = (0..self.topics).map(|topic| Source { topic, partition }).collect();
            let committed = sources.iter().map(|source| settled(|| self.world.committed(*source)));
            let committed = committed.collect::<Result<Vec<_>, _>>()?;
            let mut tasks: Vec<Task> = sources.iter().map(|_| Task::default()).collect();
            for logged in self.world.journal_after(partition, -1)? {
                let text = String::from_utf8(logged.payload).unwrap();
                for ((line, source), task) in text.lines().zip(&sources).zip(&mut tasks) {
                    let numbers: Vec<i64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
                    assert_eq!(numbers[0], task.next, "the journal of {source:?} goes on where it was");
                    self.world.replay(*source, numbers[0], numbers[1], &mut |record| {
                        task.judge(*source, record.offset);
                    })?;
                    task.next = numbers[1];
                    assert_eq!(numbers[2], task.judged as i64, "a replay of {source:?} judges as often");
                }
            }
            let next: Vec<_> = tasks.iter().map(|task| task.next).collect();
            let committed: Vec<_> = committed.into_iter().map(|committed| committed.unwrap_or(0)).collect();
            assert_eq!(committed, next, "journal and offsets of {partition} agree");
            self.world.start(&[(partition, next)])?;
            for (source, mut task) in sources.into_iter().zip(tasks) {
                task.from = task.next;
                self.tasks.insert(source, task);
            }
        }
        Ok(())
    }

    fn publish(&mut self) -> Result<(), WorldError> {
        let moved = self.tasks.iter().filter(|(_, task)| task.next > task.from);
        let touched: BTreeSet<PartitionId> = moved.map(|(source, _)| source.partition).collect();
        let mut transaction = Transaction { alerts: std::mem::take(&mut self.alerts), ..Transaction::default() };
        for partition in touched {
            let of = |topic| Source { topic, partition };
            let tasks: Vec<_> = (0..self.topics).map(|topic| (of(topic), &self.tasks[&of(topic)])).collect();
            let line = |task: &Task| format!("{} {} {}", task.from, task.next, task.judged);
            let journal: Vec<_> = tasks.iter().map(|(_, task)| line(task)).collect();
            transaction.offsets.extend(tasks.iter().map(|(source, task)| (*source, task.next)));
            transaction.journal.push((partition, journal.join("\n").into_bytes()));
        }
        if transaction.offsets.is_empty() {
            return Ok(());
        }
        self.world.publish(&transaction)?;
        for task in self.tasks.values_mut() {
            task.from = task.next;
        }
        Ok(())
    }

    fn close(&mut self) {
        while let Err(error) = self.publish() {
            assert!(matches!(error, WorldError::Unsettled(_)), "{error}");
            // Whoever comes next finds it not done.
            self.forget();
        }
        let partitions: BTreeSet<_> = self.tasks.keys().map(|source| source.partition).collect();
        let partitions: Vec<_> = partitions.into_iter().collect();
        self.world.release(&partitions).unwrap();
    }
}

/// Waits until the alerts are those that one look at all events finds.
fn verify(stage: &Stage) {
    let mut expected = Vec::new();
    let mut events = 0;
    for (number, topic) in stage.settings.input_topics().enumerate() {
        let mut tasks: BTreeMap<Source, Task> = BTreeMap::new();
        let mut records = read_all(&stage.settings, topic, PARTITIONS);
        records.sort_by_key(|event| (event.partition(), event.offset()));
        events += records.len();
        for event in &records {
            let source = Source { topic: number, partition: event.partition() };
            let alert = tasks.entry(source).or_default().judge(source, event.offset());
            expected.extend(alert.map(|alert| String::from_utf8(alert.payload.unwrap()).unwrap()));
        }
    }
    expected.sort_unstable();
    let started = Instant::now();
    loop {
        let alerts = read_all(&stage.settings, &stage.settings.alerts_topic, PARTITIONS);
        let mut found: Vec<_> =
            alerts.iter().map(|alert| String::from_utf8_lossy(alert.payload().unwrap()).into_owned()).collect();
        found.sort_unstable();
        let done = found.len() >= expected.len();
        if done || started.elapsed() > PATIENCE * 2 {
            assert_eq!(found, expected, "of {events} events");
            assert!(!expected.is_empty());
            return;
        }
        thread::sleep(Duration::from_millis(200));
    }
}
