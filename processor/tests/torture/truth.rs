//! What ought to have come out: the naive model over the committed events of each partition, in their order, with the
//! ticks and the changes of rules where the journal says they were. The ticks themselves are held against the log.
//!
//! What is found of a customer rests on his own events, on the watermark as it stood at each, and on the rules. So every
//! customer has a model of his own, which is moved on from look to look.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;
use tocsin::codec::journal::{JournalRecord, Step};

use crate::load::Made;
use crate::model::compare;
use crate::model::event::Event;
use crate::model::rule::Rule;
use crate::model::world::World;
use crate::reader::{Reader, Record};
use crate::rules::SETTINGS;

pub const PARTITIONS: usize = 12;
/// By how much a tick may be wrong when nothing was done to clocks and brokers: records take a moment to be replicated.
const SLACK_MS: i64 = 2_000;

/// A transaction that dealt with events of a partition.
#[derive(Clone, Debug)]
pub struct Commit {
    pub partition: i32,
    pub instance: String,
    /// When the broker appended its journal record, in milliseconds.
    pub appended: i64,
}

pub struct Truth {
    sets: &'static [Vec<Rule>],
    made: Made,
    /// Of each generation, from 1 on: which set it is.
    generations: Vec<usize>,
    events: Reader,
    journal: Reader,
    rules: Reader,
    topic: String,
    partitions: Vec<Partition>,
    customers: BTreeMap<String, Customer>,
    /// Read, and not yet followed.
    to_follow: VecDeque<Record>,
    /// By how much ticks may be wrong, in milliseconds: clocks were set off, or replicas took their time. In this round,
    /// and in the one before.
    slack_ms: [i64; 2],
    seen: BTreeSet<String>,
    pub ticks: u64,
    pub duplicates: u64,
    pub commits: Vec<Commit>,
}

#[derive(Default)]
struct Partition {
    /// Read, and not yet run by the journal.
    waiting: VecDeque<Waiting>,
    /// Behind the last event that was read.
    end: i64,
    /// The first offset that the journal has not dealt with.
    next: i64,
    watermark: Option<i64>,
    /// Each change of the rules, with the watermark of then.
    changes: Vec<(usize, Option<i64>)>,
    /// By its ticks: nothing that is still to come was appended before.
    nothing_before: i64,
}

struct Waiting {
    offset: i64,
    appended: i64,
    event: Event,
}

impl Partition {
    /// A tick says that nothing from before it is still to come.
    fn check_ticks(&self, number: usize) -> Result<(), String> {
        let passed_over = self.waiting.iter().find(|waiting| waiting.appended < self.nothing_before);
        passed_over.map_or(Ok(()), |waiting| {
            Err(format!(
                "a wrong tick: partition {number} at {} went on to {} (slack taken off), and offset {} lay there since {}",
                self.next, self.nothing_before, waiting.offset, waiting.appended
            ))
        })
    }
}

struct Customer {
    partition: usize,
    world: World<'static>,
    /// How many of its partition's changes it has seen.
    changes: usize,
    expected: Vec<Value>,
    found: Vec<Value>,
}

impl Truth {
    pub fn new(bootstrap: &str, application: &str, sets: &'static [Vec<Rule>], made: Made) -> Self {
        let topic = |role: &str| format!("{application}.{role}");
        Self {
            sets,
            made,
            generations: Vec::new(),
            events: Reader::new(bootstrap, &topic("events"), PARTITIONS),
            journal: Reader::new(bootstrap, &topic("journal"), PARTITIONS),
            rules: Reader::new(bootstrap, &topic("rules"), 1),
            topic: topic("events"),
            partitions: (0..PARTITIONS).map(|_| Partition::default()).collect(),
            customers: BTreeMap::new(),
            to_follow: VecDeque::new(),
            slack_ms: [SLACK_MS; 2],
            seen: BTreeSet::new(),
            ticks: 0,
            duplicates: 0,
            commits: Vec::new(),
        }
    }

    /// Distinct events that were read.
    pub fn events_seen(&self) -> usize {
        self.seen.len()
    }

    /// A round begins.
    pub fn begin_round(&mut self) {
        self.slack_ms = [SLACK_MS, self.slack_ms[0]];
    }

    /// Ticks of this round and the next may be wrong by so much.
    pub fn allow(&mut self, slack_ms: i64) {
        self.slack_ms[0] = self.slack_ms[0].max(slack_ms);
    }

    pub fn read_events(&mut self) -> Result<(), String> {
        let mut touched = BTreeSet::new();
        for record in self.events.read()? {
            let event = self.event(&record)?;
            let partition = &mut self.partitions[record.partition as usize];
            if !self.seen.insert(event.id.clone()) {
                self.duplicates += 1;
            }
            partition.end = record.offset + 1;
            partition.waiting.push_back(Waiting { offset: record.offset, appended: record.appended, event });
            touched.insert(record.partition as usize);
        }
        touched.into_iter().try_for_each(|number| self.partitions[number].check_ticks(number))
    }

    fn event(&self, record: &Record) -> Result<Event, String> {
        let text = std::str::from_utf8(&record.payload).map_err(|error| error.to_string())?;
        let read: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let made = self.made.lock();
        let event = read["id"].as_str().and_then(|id| made.get(id));
        event.filter(|event| event.json() == text).cloned().ok_or_else(|| format!("nobody has made this event: {text}"))
    }

    /// Follows the journal to its end. Every customer is where the journal is then.
    pub fn follow_journal(&mut self) -> Result<(), String> {
        for record in self.rules.read()? {
            let read: Value = serde_json::from_slice(&record.payload).map_err(|error| error.to_string())?;
            let number = read["generation"].as_u64().ok_or("a generation without a number")? as usize;
            assert_eq!(number, self.generations.len() + 1, "generations are published in their order");
            let name = read["files"][0]["name"].as_str().unwrap_or_default();
            let set = name.strip_prefix("set-").and_then(|rest| rest.strip_suffix(".yaml")?.parse().ok());
            self.generations.push(set.ok_or_else(|| format!("a rule set of somebody else: {name}"))?);
        }
        self.to_follow.extend(self.journal.read()?);
        // What the journal has dealt with was there before.
        self.read_events()?;
        while let Some(record) = self.to_follow.pop_front() {
            let journal = JournalRecord::decode(&record.payload).map_err(|error| error.to_string())?;
            if journal.steps.iter().any(|step| matches!(step, Step::Run { .. })) {
                let (partition, appended) = (record.partition, record.appended);
                self.commits.push(Commit { partition, instance: journal.instance.clone(), appended });
            }
            for step in &journal.steps {
                self.step(record.partition as usize, step, record.appended)?;
            }
        }
        let names: Vec<String> = self.customers.keys().cloned().collect();
        for name in names {
            self.catch_up(&name);
        }
        Ok(())
    }

    fn step(&mut self, number: usize, step: &Step, appended: i64) -> Result<(), String> {
        match step {
            Step::Run { topic, to_offset } => {
                assert_eq!(*topic, self.topic);
                let partition = &mut self.partitions[number];
                partition.next = *to_offset;
                let mut run = Vec::new();
                while let Some(first) = partition.waiting.front()
                    && first.offset < *to_offset
                {
                    run.extend(partition.waiting.pop_front().map(|waiting| waiting.event));
                }
                for event in run {
                    self.take(number, &event);
                }
            }
            Step::Tick { watermark } => {
                self.ticks += 1;
                let partition = &mut self.partitions[number];
                let said = watermark + SETTINGS.max_out_of_orderness_ms - self.slack_ms[0].max(self.slack_ms[1]);
                if said > appended {
                    return Err(format!("a tick of the future: partition {number} to {watermark} at {appended}"));
                }
                partition.watermark = partition.watermark.max(Some(*watermark));
                partition.nothing_before = partition.nothing_before.max(said);
                partition.check_ticks(number)?;
            }
            Step::Rules { generation, .. } => {
                let set =
                    *self.generations.get(*generation as usize - 1).ok_or("a generation that nobody published")?;
                let partition = &mut self.partitions[number];
                partition.changes.push((set, partition.watermark));
            }
            Step::Drain { .. } | Step::Sweep { .. } | Step::Context(_) => {}
        }
        Ok(())
    }

    fn take(&mut self, number: usize, event: &Event) {
        self.customers.entry(event.customer.clone()).or_insert_with(|| Customer {
            partition: number,
            world: World::new(&[], &SETTINGS),
            changes: 0,
            expected: Vec::new(),
            found: Vec::new(),
        });
        let customer = self.catch_up(&event.customer);
        customer.world.arrive(event);
        let moved = event.at - SETTINGS.max_out_of_orderness_ms;
        let partition = &mut self.partitions[number];
        partition.watermark = partition.watermark.max(Some(moved));
    }

    /// Moves a customer to where its partition is.
    fn catch_up(&mut self, name: &str) -> &mut Customer {
        let customer = self.customers.get_mut(name).expect("who is known");
        let partition = &self.partitions[customer.partition];
        for (set, watermark) in &partition.changes[customer.changes..] {
            if let Some(watermark) = watermark {
                customer.world.follow(*watermark);
            }
            customer.world.change(&self.sets[*set]);
        }
        customer.changes = partition.changes.len();
        if let Some(watermark) = partition.watermark {
            customer.world.follow(watermark);
        }
        customer.expected.append(&mut customer.world.outcome.records);
        customer
    }

    /// Whether the journal has dealt with every event that was read, and every partition with the newest rules.
    pub fn is_caught_up(&self) -> bool {
        let newest = self.generations.last().copied();
        self.partitions
            .iter()
            .all(|partition| partition.next >= partition.end && partition.changes.last().map(|(set, _)| *set) == newest)
    }

    /// How far each partition is behind, for people.
    pub fn behind(&self) -> String {
        let behind = |(number, partition): (usize, &Partition)| {
            let rules = partition.changes.len();
            format!("{number}: {} to {} (rules {rules})", partition.next, partition.end)
        };
        let late = self.partitions.iter().enumerate().filter(|(_, partition)| partition.next < partition.end);
        late.map(behind).collect::<Vec<_>>().join(", ")
    }

    /// Alerts as they were published, in the order of each partition.
    pub fn found(&mut self, alerts: Vec<Value>) -> Result<(), String> {
        for alert in alerts {
            let name = alert["customer_id"].as_str().unwrap_or_default();
            let customer = self.customers.get_mut(name);
            customer.ok_or_else(|| format!("an alert of nobody: {alert}"))?.found.push(alert);
        }
        Ok(())
    }

    /// Alerts that there must be by now.
    pub fn expected(&self) -> BTreeMap<String, usize> {
        self.customers.iter().map(|(name, customer)| (name.clone(), customer.expected.len())).collect()
    }

    /// The first customer who lacks some of them.
    pub fn missing(&self, least: &BTreeMap<String, usize>) -> Option<String> {
        let (name, _) = least.iter().find(|(name, least)| self.customers[*name].found.len() < **least)?;
        Some(self.first_difference(name))
    }

    /// The first customer of whom something else was published than what the model says.
    pub fn difference(&mut self) -> Option<String> {
        let names: Vec<String> = self.customers.keys().cloned().collect();
        names.into_iter().find_map(|name| {
            let customer = &self.customers[&name];
            let found = customer.found.len();
            let same = found <= customer.expected.len()
                && compare::first_difference(&customer.expected[..found], &customer.found).is_none();
            (!same).then(|| self.first_difference(&name))
        })
    }

    fn first_difference(&self, name: &str) -> String {
        let customer = &self.customers[name];
        let held = customer.world.customers.get(name).map_or(&[][..], |customer| &customer.held);
        let lines: Vec<String> = held.iter().map(|held| held.event.json()).collect();
        format!(
            "customer {name}, partition {}: {}\nits events:\n{}",
            customer.partition,
            compare::first_difference(&customer.expected, &customer.found).unwrap_or_default(),
            lines.join("\n")
        )
    }

    pub fn alerts(&self) -> usize {
        self.customers.values().map(|customer| customer.found.len()).sum()
    }
}
