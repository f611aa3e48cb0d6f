//! Random events under random faults: what was published, once all is done, is what a backtest finds.
//!
//! `TOCSIN_LOOP_CASES` (default 600) cases from `TOCSIN_LOOP_SEED` on; a failure names its seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tocsin::store::MemoryStore;
use tocsin::task::world::{PartitionId, Source};
use tocsin_core::rule::RuleSet;
use tocsin_core::time::{HOUR, MINUTE, Millis};

use crate::memory_world::{Disk, Event, Fault, Log, SharedLog, rows};
use crate::rng::Rng;
use crate::setup::{self, BASE, HISTORY, LATER, Member, Options, alert, header, journal, json, log_of, member, round};

/// The wall clock while events come: so early that nothing is due by it.
pub const EARLY: Millis = BASE - 1_000_000 * MINUTE;
/// Rounds in which nothing is published until all is done: a restore takes one for each journal record.
const PATIENCE: usize = 600;
/// Input topics, as many as a case has.
const TOPICS: [&str; 3] = [setup::TOPIC, "answers", "more"];
/// And after them, when it makes due what is left.
pub const END: Millis = BASE + 100_000 * MINUTE;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn what_is_published_is_what_a_backtest_finds() {
    let (cases, first) = (setting("TOCSIN_LOOP_CASES", 600), setting("TOCSIN_LOOP_SEED", 2_026_000));
    let mut total = Reached::default();
    for seed in first..first + cases {
        let reached = catch_unwind(AssertUnwindSafe(|| Case::new(seed).run()));
        let reached = reached.unwrap_or_else(|_| panic!("the case of TOCSIN_LOOP_SEED={seed} failed, see above"));
        total.add(&reached);
    }
    println!("{total:?}");
    assert!(cases < 100 || total.is_telling(), "the cases hardly reach anything any more: {total:?}");
}

/// What cases came to, so that they do not quietly stop testing anything.
#[derive(Clone, Debug, Default)]
struct Reached {
    alerts: usize,
    dead_letters: usize,
    cut_drains: usize,
    restarts: usize,
    moves: usize,
    /// Alerts of cases with several topics, and topics that brought nothing for a while.
    merged: usize,
    away: usize,
}

impl Reached {
    fn add(&mut self, other: &Self) {
        self.alerts += other.alerts;
        self.dead_letters += other.dead_letters;
        self.cut_drains += other.cut_drains;
        self.restarts += other.restarts;
        self.moves += other.moves;
        self.merged += other.merged;
        self.away += other.away;
    }

    fn is_telling(&self) -> bool {
        let Self { alerts, dead_letters, cut_drains, restarts, moves, merged, away } = self;
        [alerts, dead_letters, cut_drains, restarts, moves, merged, away].iter().all(|count| **count > 100)
    }
}

struct Case {
    rng: Rng,
    log: SharedLog,
    options: Options,
    disks: [Disk; 2],
    members: [Member; 2],
    /// Copies of stores, as backups would be.
    copies: Vec<(PartitionId, MemoryStore)>,
    reached: Reached,
}

impl Case {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let partitions = rng.range(1, 3) as i32;
        let topics = rng.pick(&[1, 1, 2, 3]);
        let input: BTreeMap<_, _> = (0..partitions).map(|partition| (partition, events(&mut rng, partition))).collect();
        let (input, further) = if topics > 1 { spread(&mut rng, input, topics) } else { (input, BTreeMap::new()) };
        let log = log_of(input, EARLY);
        log.lock().unwrap().further = further;
        let options = Options {
            max_batch: rng.pick(&[1, 2, 3, 5, 40]),
            interval: rng.pick(&[0, 0, 20]),
            write_behind: rng.pick(&[0, 0, 30, 200]),
            cached_customers: rng.pick(&[0, 2, 1_000]),
            idle_after: Some(0),
            partitions,
            topics: TOPICS[..topics].iter().map(|topic| (*topic).to_owned()).collect(),
            // Nobody goes on without the others, so that the order is that of a backtest.
            merge_wait: HOUR * 1_000_000,
            ..Options::default()
        };
        let disks = [Disk::default(), Disk::default()];
        let members = [0, 1].map(|number| member(number, &log, &disks[number], &options));
        Self { rng, log, options, disks, members, copies: Vec::new(), reached: Reached::default() }
    }

    fn run(mut self) -> Reached {
        for _ in 0..self.rng.range(5, 40) {
            self.disturb();
            self.rounds(4);
        }
        self.settle();
        // The wall clock may now be far ahead: whatever is left is due, much of it at the same instants.
        self.log.lock().unwrap().now = END;
        for _ in 0..self.rng.range(0, 10) {
            self.disturb();
            self.rounds(2);
        }
        self.settle();
        self.check();
        crate::audit::check_equal(&self.log, &self.options);
        self.reached
    }

    fn disturb(&mut self) {
        let number = self.rng.range(0, 1) as usize;
        match self.rng.range(0, 9) {
            _ if self.options.topics.len() > 1 && self.rng.chance(30) => self.send_away(),
            0 | 1 => self.crash(number),
            2 => self.copy(number),
            3 | 4 => self.move_partition(),
            5 | 6 => {
                let fault = self.rng.pick(&[Fault::LostBefore, Fault::LostAfter]);
                let later = self.rng.range(0, 2) as usize;
                let faults = &mut self.members[number].world().faults;
                faults.extend(vec![Fault::None; later]);
                faults.push_back(fault);
            }
            7 => {
                let hiccups: Vec<bool> = (0..6).map(|_| self.rng.chance(40)).collect();
                self.members[number].world().hiccups.extend(hiccups);
            }
            _ => {}
        }
    }

    /// Some rounds of either member, at a clock that hardly moves.
    fn rounds(&mut self, most: i64) {
        for _ in 0..self.rng.range(0, most) {
            let number = self.rng.range(0, 1) as usize;
            self.members[number].world().batch = self.rng.pick(&[1, 2, 7, 100]);
            round(&mut self.members[number]);
            let mut log = self.log.lock().unwrap();
            if log.now < BASE {
                log.now += self.rng.range(0, 20);
            }
        }
    }

    /// The process is gone and comes back: with its stores, without one, or with an old one.
    fn crash(&mut self, number: usize) {
        self.members[number] = member(number, &self.log, &self.disks[number], &self.options);
        for partition in 0..self.options.partitions {
            let mut disk = self.disks[number].lock().unwrap();
            if self.rng.chance(15) {
                disk.kept.remove(&partition);
            } else if self.rng.chance(25) {
                let copies: Vec<_> = self.copies.iter().filter(|(of, _)| *of == partition).collect();
                if !copies.is_empty() {
                    disk.kept.insert(partition, self.rng.pick(&copies).1.clone());
                }
            }
        }
        self.reached.restarts += 1;
    }

    /// A topic brings nothing for a while, or comes back.
    fn send_away(&mut self) {
        let topic = self.rng.range(0, self.options.topics.len() as i64 - 1) as usize;
        let partition = self.rng.range(0, i64::from(self.options.partitions) - 1) as PartitionId;
        let mut log = self.log.lock().unwrap();
        if !log.away.insert(Source { topic, partition }) {
            log.away.clear();
        }
        self.reached.away += 1;
    }

    fn copy(&mut self, number: usize) {
        let disk = self.disks[number].lock().unwrap();
        self.copies.extend(disk.kept.iter().map(|(partition, store)| (*partition, store.clone())));
    }

    /// A partition goes to the other member: given back in order, or taken away before its owner has heard of it.
    fn move_partition(&mut self) {
        let partition = self.rng.range(0, i64::from(self.options.partitions) - 1) as PartitionId;
        let from = self.log.lock().unwrap().owners[&partition];
        let to = 1 - from;
        if self.members[to].world().holds(partition) {
            return;
        }
        self.reached.moves += 1;
        let lost = self.rng.chance(50);
        if lost {
            self.log.lock().unwrap().owners.insert(partition, to);
            self.members[to].world().assign(partition);
            self.rounds(6);
        }
        self.members[from].world().revoke(partition, lost);
        while self.members[from].world().holds(partition) {
            round(&mut self.members[from]);
        }
        if !lost {
            self.log.lock().unwrap().owners.insert(partition, to);
            self.members[to].world().assign(partition);
        }
    }

    /// No more faults, and rounds until nothing is left to do.
    fn settle(&mut self) {
        for member in &mut self.members {
            let world = member.world();
            world.faults.clear();
            world.hiccups.clear();
        }
        self.log.lock().unwrap().away.clear();
        // At the end the clock stands still, and whoever waits to ask again would wait for ever.
        if self.log.lock().unwrap().now >= BASE {
            for number in [0, 1] {
                self.members[number] = member(number, &self.log, &self.disks[number], &self.options);
            }
        }
        let mut still = 0;
        let mut records = 0;
        while still < PATIENCE {
            self.members.iter_mut().for_each(round);
            let mut log = self.log.lock().unwrap();
            let now: usize = log.journal.values().map(Vec::len).sum();
            still = if now == records { still + 1 } else { 0 };
            records = now;
            log.now += if log.now < BASE { 20 } else { 0 };
            // At the end the clock must stand still, but last commits wait for it.
            if log.now >= BASE && self.options.interval > 0 && still == PATIENCE - 1 {
                drop(log);
                self.options.interval = 0;
                for number in [0, 1] {
                    self.members[number] = member(number, &self.log, &self.disks[number], &self.options);
                }
                still = 0;
            }
        }
    }

    fn check(&mut self) {
        let partitions = self.options.partitions;
        let mut published: BTreeMap<PartitionId, Vec<serde_json::Value>> = BTreeMap::new();
        let mut keys = BTreeSet::new();
        for record in &self.log.lock().unwrap().alerts {
            let alert = alert(record.payload.as_deref().unwrap());
            assert_eq!(record.key, alert["customer_id"].as_str().unwrap().as_bytes());
            let key = (alert["alert_id"].to_string(), alert["sequence"].to_string());
            assert!(keys.insert(key), "published twice: {alert}");
            published.entry(partition_of(&record.key)).or_default().push(alert);
        }
        self.reached.alerts += keys.len();
        for partition in 0..partitions {
            let merged = merged(&self.log.lock().unwrap(), partition, self.options.topics.len());
            let events: Vec<Event> = merged.iter().map(|(_, _, event)| event.clone()).collect();
            let (mut expected, refused) = backtest(&events);
            let mut found = published.remove(&partition).unwrap_or_default();
            if self.options.topics.len() > 1 {
                // The watermark comes later, so what one customer's timers bring may come after another's events.
                let customer = |alert: &serde_json::Value| alert["customer_id"].to_string();
                expected.sort_by_key(customer);
                found.sort_by_key(customer);
                self.reached.merged += found.len();
            }
            for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(found, expected, "partition {partition}, alert {place}");
            }
            assert_eq!(found.len(), expected.len(), "partition {partition}: alerts published");
            let refused = refused.into_iter().map(|place| (merged[place].0, merged[place].1)).collect();
            self.check_dead_letters(partition, refused);
            self.check_journal(partition);
        }
        self.check_replay();
    }

    /// Topic and offset of those that are refused, in order.
    fn check_dead_letters(&mut self, partition: PartitionId, mut refused: Vec<(usize, usize)>) {
        let log = self.log.lock().unwrap();
        let of = |letter: &&_| header(letter, "tocsin.partition") == partition.to_string();
        let letters = log.dead_letters.iter().filter(of);
        let topic = |name: &str| TOPICS.iter().position(|topic| *topic == name).unwrap();
        let place = |letter| (topic(&header(letter, "tocsin.topic")), header(letter, "tocsin.offset").parse().unwrap());
        let mut found: Vec<(usize, usize)> = letters.map(place).collect();
        if self.options.topics.len() > 1 {
            // What has no event time is taken as soon as it comes.
            found.sort_unstable();
            refused.sort_unstable();
        }
        assert_eq!(found, refused, "partition {partition}: dead letters");
        self.reached.dead_letters += found.len();
    }

    fn check_journal(&mut self, partition: PartitionId) {
        let journal = journal(&self.log, partition);
        let mut end = None;
        for (place, record) in journal.iter().enumerate() {
            assert_eq!((record.sequence, record.partition), (place as i64 + 1, partition));
            assert!(end.is_none_or(|end| record.from == end), "partition {partition}, record {place}: a gap");
            end = Some(record.to.clone());
        }
        let is_cut = |step: &_| matches!(step, tocsin::codec::journal::Step::Drain { .. });
        self.reached.cut_drains += journal.iter().filter(|record| record.steps.last().is_some_and(is_cut)).count();
        let log = self.log.lock().unwrap();
        for (topic, name) in self.options.topics.iter().enumerate() {
            let source = Source { topic, partition };
            let next = end.as_ref().map(|end| end.next(name).unwrap());
            assert_eq!(log.committed.get(&source).copied(), next);
            assert_eq!(next.unwrap_or(0), log.events(source).len() as i64);
        }
        let told: u64 = journal.iter().map(|record| record.transitions).sum();
        let of = |alert: &&tocsin::task::world::Outgoing| partition_of(&alert.key) == partition;
        assert_eq!(told, log.alerts.iter().filter(of).count() as u64);
    }

    /// Journal and input alone lead to the same rows.
    fn check_replay(&mut self) {
        let log = self.log.clone();
        let owners = log.lock().unwrap().owners.clone();
        for (partition, owner) in &owners {
            self.members[*owner].world().revoke(*partition, false);
            while self.members[*owner].world().holds(*partition) {
                round(&mut self.members[*owner]);
            }
            log.lock().unwrap().owners.insert(*partition, 2);
        }
        let disk = Disk::default();
        let options = Options { write_behind: 0, ..self.options.clone() };
        let mut fresh = member(2, &log, &disk, &options);
        let before: usize = log.lock().unwrap().journal.values().map(Vec::len).sum();
        // One journal record a round is replayed, and what was restored is written.
        for _ in 0..=PATIENCE {
            round(&mut fresh);
        }
        assert_eq!(log.lock().unwrap().journal.values().map(Vec::len).sum::<usize>(), before, "nothing was left to do");
        for (partition, owner) in owners {
            let (fresh, kept) = (rows(&disk, partition), rows(&self.disks[owner], partition));
            for (fresh, kept) in fresh.iter().zip(&kept) {
                assert_eq!(fresh, kept, "partition {partition}, {}", String::from_utf8_lossy(&kept.1));
            }
            assert_eq!(fresh.len(), kept.len(), "partition {partition}: rows");
        }
    }
}

/// The events of each partition over several topics, each in the order of their times.
fn spread(
    rng: &mut Rng,
    input: BTreeMap<PartitionId, Vec<Event>>,
    topics: usize,
) -> (BTreeMap<PartitionId, Vec<Event>>, BTreeMap<Source, Vec<Event>>) {
    let (mut first, mut further) = (BTreeMap::new(), BTreeMap::new());
    for (partition, mut events) in input {
        events.sort_by_key(event_time);
        let mut lanes = vec![Vec::new(); topics];
        // Of one kind mostly, as topics are.
        for event in events {
            let kind =
                event.payload.as_ref().map_or(0, |payload| payload.iter().position(|byte| *byte == b'p').unwrap_or(0));
            let topic = if rng.chance(70) { kind } else { rng.range(0, 99) as usize } % topics;
            lanes[topic].push(event);
        }
        let mut lanes = lanes.into_iter().enumerate();
        first.insert(partition, lanes.next().unwrap().1);
        further.extend(lanes.map(|(topic, events)| (Source { topic, partition }, events)));
    }
    (first, further)
}

/// When an event occurred; 0 of what is none.
fn event_time(event: &Event) -> Millis {
    let event: Option<serde_json::Value> = serde_json::from_slice(event.payload.as_deref().unwrap_or_default()).ok();
    let at = event.and_then(|event| Some(event["occurred_at"].as_str()?.to_owned()));
    at.map_or(0, |at| chrono::DateTime::parse_from_rfc3339(&at).unwrap().timestamp_millis())
}

/// The events of a partition as one file, each with its topic and its offset: merged by their times, if there are several.
pub fn merged(log: &Log, partition: PartitionId, topics: usize) -> Vec<(usize, usize, Event)> {
    let of = |topic| log.events(Source { topic, partition }).iter().cloned().enumerate();
    let mut all: Vec<_> =
        (0..topics).flat_map(|topic| of(topic).map(move |(offset, event)| (topic, offset, event))).collect();
    if topics > 1 {
        all.sort_by_key(|(topic, offset, event)| (event_time(event), *topic, *offset));
    }
    all
}

fn partition_of(customer: &[u8]) -> PartitionId {
    i32::from(customer[1] - b'0')
}

/// The alerts of a partition's events as a backtest finds them, and the offsets of those it refuses.
pub fn backtest(events: &[Event]) -> (Vec<serde_json::Value>, Vec<usize>) {
    backtest_by(&setup::rules(), events)
}

/// As [`backtest`], by rules of one's own.
pub fn backtest_by(rules: &Arc<RuleSet>, events: &[Event]) -> (Vec<serde_json::Value>, Vec<usize>) {
    let mut settings = tocsin::backtest::Settings { until: Some(END - MINUTE), ..Default::default() };
    settings.engine.history = HISTORY;
    let run = |lines: &[&Event]| {
        let payloads: Vec<&[u8]> = lines.iter().filter_map(|event| event.payload.as_deref()).collect();
        let text = payloads.join(&b'\n');
        let mut out = Vec::new();
        let summary = tocsin::backtest::run(
            rules.clone(),
            &setup::schemas(),
            &settings,
            Cursor::new(text),
            &mut out,
            &mut |_| (),
        );
        (summary.unwrap(), out)
    };
    let all: Vec<&Event> = events.iter().collect();
    let (summary, out) = run(&all);
    let alerts = out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(alert).collect();
    let mut refused: Vec<usize> = summary.bad_lines.iter().map(|bad| bad.line as usize - 1).collect();
    let refusals = |summary: &tocsin::backtest::Summary| {
        let too_old = summary.outcomes.get(&tocsin_core::engine::Outcome::TooOld).copied().unwrap_or(0);
        too_old + summary.refused.values().sum::<u64>()
    };
    if refusals(&summary) > refused.len() as u64 {
        // Those that are too old are told by number only: each is the last one of a shorter run.
        let counts: Vec<u64> = (0..=all.len()).map(|end| refusals(&run(&all[..end]).0)).collect();
        refused = (0..all.len()).filter(|place| counts[place + 1] > counts[*place]).collect();
    }
    (alerts, refused)
}

/// Events of one partition, in the order of arrival: late ones, duplicates, refunds, bursts at one instant.
pub fn events(rng: &mut Rng, partition: PartitionId) -> Vec<Event> {
    let customers = rng.pick(&[1, 3, 3, 12]);
    let mut arrivals: Vec<(Millis, Event)> = Vec::new();
    let mut at = BASE;
    for number in 0..rng.range(3, 90) {
        // Many at one instant, so that much is due at one.
        at += MINUTE * rng.weighted(&[(40, 0), (30, 1), (20, 10), (9, 60), (1, 600)]);
        let delay = MINUTE * rng.weighted(&[(70, 0), (20, 3), (8, 100), (2, 1_000)]);
        let customer = format!("c{partition}-{}", rng.range(1, customers));
        let payload = if rng.chance(3) { "{\"not an event\":".into() } else { payload(rng, number, &customer, at) };
        let event = setup::event(&customer, &payload, LATER);
        if rng.chance(8) {
            arrivals.push((at + delay + MINUTE * rng.range(0, 100), event.clone()));
        }
        arrivals.push((at + delay, event));
    }
    arrivals.sort_by_key(|(arrives, _)| *arrives);
    arrivals.into_iter().map(|(_, event)| event).collect()
}

fn payload(rng: &mut Rng, number: i64, customer: &str, at: Millis) -> String {
    let (kind, rest) = match rng.range(0, 9) {
        0..=3 => ("purchase", format!(",\"amount\":{}", rng.pick(&["10", "20.5", "-10", "7.25", "100"]))),
        4 | 5 => ("complaint", format!(",\"status\":\"{}\"", rng.pick(&["opened", "opened", "resolved"]))),
        6 => ("interaction", String::new()),
        7 => ("feedback", ",\"score\":3".into()),
        _ => {
            let status = rng.pick(&["open", "open", "closed"]);
            let tier = rng.pick(&["gold", "gold", "silver"]);
            ("profile", rng.pick(&[format!(",\"tier\":\"{tier}\""), format!(",\"status\":\"{status}\",\"vip\":true")]))
        }
    };
    json(&format!("e{number}"), kind, customer, at, &rest)
}
