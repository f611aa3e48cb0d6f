//! What ought to have come out: each partition's committed events, one after the other, judged by the core alone. The rules
//! change, and the wall clock moves the watermark, where the journal says; a change is adopted by everybody at once.

use std::collections::BTreeMap;

use std::sync::Arc;
use tocsin::codec::alert::AlertWriter;
use tocsin::codec::decode::Decoder;
use tocsin::codec::journal::{JournalRecord, Step};
use tocsin::store::MemoryStore;
use tocsin::task::cache::Cache;
use tocsin::task::rulebook::Generation;
use tocsin::task::world::{Offset, PartitionId, Source, TopicId};
use tocsin_core::alert::Judged;
use tocsin_core::engine::{Change, Outcome};
use tocsin_core::partition::{InForce, Origin, Partition, Taken};

use crate::broker::log::Entry;
use crate::rules::{self, TIME, TOPICS};
use crate::sim::Sim;

/// A tick of the journal: the watermark, and the first offset that had not been read then, of each topic whose events had
/// not come so far.
#[derive(Clone, Debug)]
pub struct Tick {
    pub watermark: i64,
    pub next: Vec<(Source, Offset)>,
}

#[derive(Debug, Default)]
pub struct Truth {
    /// Alert records without `detected_at`, by customer, in order.
    pub alerts: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    /// All of them in the order of judging; of no meaning if rules changed by a sweep, where the order between customers is free.
    pub ordered: Vec<Vec<u8>>,
    pub has_sweeps: bool,
    /// Topics and offsets of events that are refused.
    pub letters: Vec<(TopicId, Offset)>,
    pub ticks: Vec<Tick>,
}

/// The journal of a partition as it is committed.
pub fn journal(sim: &Sim, partition: PartitionId) -> Vec<(Offset, JournalRecord)> {
    let broker = sim.broker.borrow();
    let records = broker.journal[partition as usize].committed(0);
    let decode =
        |entry: &Entry| JournalRecord::decode(entry.data.as_ref().unwrap().payload.as_deref().unwrap()).unwrap();
    records.map(|(offset, entry)| (offset, decode(entry))).collect()
}

struct Run {
    core: Partition,
    cache: Cache<MemoryStore>,
    rules: Arc<Generation>,
    decoder: Decoder,
    writer: AlertWriter,
    judged: Judged,
    truth: Truth,
}

pub fn of(sim: &Sim, partition: PartitionId, journal: &[(Offset, JournalRecord)]) -> Truth {
    let mut run = Run {
        core: Partition {
            inputs: if sim.plan.topics > 1 { vec![None; sim.plan.topics] } else { Vec::new() },
            ..Partition::default()
        },
        cache: Cache::new(MemoryStore::default(), usize::MAX, None),
        rules: rules::no_rules(),
        decoder: Decoder::new(rules::schemas()),
        writer: AlertWriter::new(rules::schemas()),
        judged: Judged::default(),
        truth: Truth::default(),
    };
    let broker = sim.broker.borrow();
    let sources: Vec<Source> = sim.plan.sources_of(partition).collect();
    let events: Vec<Vec<(Offset, &Entry)>> =
        sources.iter().map(|source| broker.events[source].committed(0).collect()).collect();
    let (mut next, mut place) = (vec![0; sources.len()], vec![0; sources.len()]);
    for (_, record) in journal {
        for step in &record.steps {
            match step {
                Step::Run { topic, to_offset } => {
                    let topic = TOPICS.iter().position(|name| name == topic).unwrap();
                    let (events, place) = (&events[topic], &mut place[topic]);
                    while let Some((offset, entry)) = events.get(*place).filter(|(offset, _)| offset < to_offset) {
                        run.take(topic, *offset, entry);
                        *place += 1;
                    }
                    next[topic] = *to_offset;
                }
                Step::Tick { watermark } => {
                    let is_behind = |topic: &usize| run.core.inputs.get(*topic).is_none_or(|at| *at < Some(*watermark));
                    let next =
                        (0..sources.len()).filter(is_behind).map(|topic| (sources[topic], next[topic])).collect();
                    run.truth.ticks.push(Tick { watermark: *watermark, next });
                    run.core.advance(*watermark);
                    run.drain();
                }
                Step::Rules { generation, .. } => run.change(Arc::new(rules::generation(sim, *generation))),
                Step::Sweep { .. } => run.truth.has_sweeps = true,
                Step::Drain { .. } | Step::Context(_) => {}
            }
        }
    }
    run.truth
}

impl Run {
    fn take(&mut self, topic: TopicId, offset: Offset, entry: &Entry) {
        let data = entry.data.as_ref().unwrap();
        let event = data.payload.as_deref().map(|payload| self.decoder.decode(payload));
        let Some(Ok(event)) = event else { return self.truth.letters.push((topic, offset)) };
        if data.key.as_deref() != Some(event.customer_id.as_bytes()) {
            return self.truth.letters.push((topic, offset));
        }
        let (rules, at) =
            (InForce::steady(&self.rules.engine), Origin { input: topic, recorded_at: Some(entry.timestamp) });
        let taken = self.core.take(rules, &TIME, &mut self.cache, &event, at, &mut self.judged).unwrap();
        if matches!(taken, Taken::Future | Taken::Judged(Outcome::TooOld)) {
            self.truth.letters.push((topic, offset));
        }
        self.drain();
    }

    fn drain(&mut self) {
        self.core.drain(InForce::steady(&self.rules.engine), &mut self.cache, usize::MAX, &mut self.judged).unwrap();
        self.write();
    }

    fn change(&mut self, generation: Arc<Generation>) {
        let change = Change::between(&self.rules.engine, &generation.engine);
        self.core.adopt(generation.number, &change);
        let rules = InForce { engine: &generation.engine, change: Some((&self.rules.engine, &change)) };
        self.core.sweep(rules, &mut self.cache, usize::MAX, &mut self.judged).unwrap();
        self.rules = generation;
        self.write();
        self.drain();
    }

    fn write(&mut self) {
        for transition in self.judged.transitions.drain(..) {
            let mut record = Vec::with_capacity(1_024);
            self.writer.json(&transition, 0, &mut record);
            let record = timeless(&record);
            self.truth.ordered.push(record.clone());
            self.truth.alerts.entry(transition.customer_id.as_bytes().to_vec()).or_default().push(record);
        }
    }
}

/// An alert record without the one field that may differ.
pub fn timeless(record: &[u8]) -> Vec<u8> {
    let name = b"\"detected_at\":\"";
    let start = record.windows(name.len()).position(|window| window == name).expect("an alert has a detected_at");
    let length = record[start + name.len()..].iter().position(|byte| *byte == b'"').unwrap();
    [&record[..start], &record[start + name.len() + length + 1..]].concat()
}

/// The text of a field of an alert record, or its number.
pub fn field<'a>(record: &'a [u8], name: &str) -> &'a [u8] {
    let name = format!("\"{name}\":");
    let start =
        record.windows(name.len()).position(|window| window == name.as_bytes()).expect("an alert has this field");
    let rest = &record[start + name.len()..];
    let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
    &rest[..end]
}
