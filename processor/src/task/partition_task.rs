//! One partition: its customers, its watermark, its place in the log.

use tocsin_core::alert::Transition;
use tocsin_core::engine::Outcome;
use tocsin_core::event::TypeId;
use tocsin_core::partition::{Drained, InForce, Partition, Taken};
use tocsin_core::time::Millis;

use super::Shared;
use super::cache::{Cache, Written};
use super::outbox::{DeadLetter, Outbox, Progress};
use super::world::{Input, Offset, PartitionId};
use crate::codec::decode::Decoder;
use crate::codec::journal::{self, JournalRecord, Step, TopicOffset};
use crate::codec::rows::Position;
use crate::partitioner::PartitionerSample;
use crate::store::{Store, StoreError};
use crate::telemetry::{
    AlertPublished, DeadLettered, DuplicateEvent, FieldsIgnored, LateEvent, MixedPartitioners, TooOldEvent,
};

/// Customers judged before the task looks whether it is time to publish, at most.
const DRAIN_BUDGET: usize = 1_000;

/// Why records are dead letters, beside the reasons of the decoder.
pub const REFUSALS: [&str; 3] = ["misplaced", "future", "too_old"];

/// The state of one partition, live or being restored.
#[derive(Debug)]
pub struct Task<S> {
    pub(super) partition: PartitionId,
    pub(super) core: Partition,
    pub(super) cache: Cache<S>,
    decoder: Decoder,
    /// Next offset to take in.
    pub(super) next: Offset,
    /// Whether timers at or before the watermark are left to judge.
    pub(super) draining: bool,
    pub(super) progress: Progress,
    /// Where the last journal record ended.
    published: Published,
    /// The partition's end, if it was read that far.
    pub(super) end: Option<Offset>,
    pub(super) last_arrival: Millis,
    sample: PartitionerSample,
    transitions: Vec<Transition>,
    /// Whether the task has come further than its store.
    unwritten: bool,
}

/// How far the journal has come.
#[derive(Clone, Copy, Debug)]
struct Published {
    next: Offset,
    watermark: Option<Millis>,
    /// Of the latest journal record; -1 before the first.
    journal_offset: Offset,
    /// Of the latest journal record; 0 before the first.
    sequence: i64,
}

/// Where the outcome of judging goes.
#[derive(Debug)]
pub enum Audience<'a> {
    /// To the outbox.
    Live { outbox: &'a mut Outbox, now: Millis },
    /// Nowhere: all of it has been published before.
    Replay,
}

/// Why a record is refused.
struct Refusal {
    reason: &'static str,
    message: String,
}

impl<S: Store> Task<S> {
    /// A task at the position its store was written at.
    pub fn new(partition: PartitionId, shared: &Shared, store: S, position: &Position, now: Millis) -> Self {
        let next = position.inputs.first().map_or(0, |(_, offset)| *offset);
        Self {
            partition,
            core: Partition { watermark: position.watermark, ..Partition::default() },
            cache: Cache::new(store, shared.cached_customers, position.drained.clone()),
            decoder: Decoder::new(shared.schemas.clone()),
            next,
            draining: position.draining,
            progress: Progress::default(),
            published: Published {
                next,
                watermark: position.watermark,
                journal_offset: position.journal_offset,
                sequence: position.journal_sequence,
            },
            end: None,
            last_arrival: now,
            sample: PartitionerSample::default(),
            transitions: Vec::new(),
            unwritten: false,
        }
    }

    /// Takes in one record of the input; what it makes due is judged by [`Task::drain`], which must come to its end
    /// before the next record.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn take(&mut self, shared: &Shared, record: Input<'_>, audience: &mut Audience<'_>) -> Result<(), StoreError> {
        debug_assert!(!self.draining, "an event may not be taken in before the drain is done");
        if record.offset < self.next {
            return Ok(());
        }
        if let Some(refusal) = self.judge(shared, record, audience)? {
            self.refuse(shared, record, &refusal, audience);
        }
        self.next = record.offset + 1;
        self.progress.ran(&shared.topic, self.next);
        self.draining = true;
        Ok(())
    }

    fn refuse(&mut self, shared: &Shared, record: Input<'_>, refusal: &Refusal, audience: &mut Audience<'_>) {
        self.progress.dead_letters += 1;
        if let Audience::Live { outbox, .. } = audience {
            let Refusal { reason, message } = refusal;
            outbox.dead_letter(&DeadLetter { reason, message, topic: &shared.topic, record });
            let (partition, offset) = (record.partition, record.offset);
            DeadLettered { reason, topic: &shared.topic, partition, offset, detail: message }.emit(&shared.metrics);
        }
    }

    /// Judges a record; returns why it is refused, if it is.
    fn judge(
        &mut self,
        shared: &Shared,
        record: Input<'_>,
        audience: &mut Audience<'_>,
    ) -> Result<Option<Refusal>, StoreError> {
        let refusal = |reason, message| Ok(Some(Refusal { reason, message }));
        let Some(payload) = record.payload else {
            return refusal("empty", "the record has no value".to_owned());
        };
        let ignored = self.decoder.ignored_fields();
        let event = match self.decoder.decode(payload) {
            Ok(event) => event,
            Err(malformed) => return refusal(malformed.reason, malformed.message),
        };
        if let Some(message) = misplaced(shared, &mut self.sample, record, event.customer_id) {
            return refusal("misplaced", message);
        }
        let type_id = event.record.type_id();
        let behind = self.core.watermark.map_or(0, |watermark| watermark - event.occurred_at);
        let (rules, transitions) = (InForce::steady(&shared.engine), &mut self.transitions);
        let taken = self.core.take(rules, &shared.time, &mut self.cache, &event, record.timestamp, transitions)?;
        if let Audience::Live { .. } = audience {
            let fields = self.decoder.ignored_fields() - ignored;
            count(shared, record, type_id, taken, behind, fields);
        }
        self.hand_over(shared, audience);
        match taken {
            Taken::Future => {
                let skew = shared.time.max_future_skew;
                refusal("future", format!("the event lies more than {skew} ms ahead of its record's timestamp"))
            }
            Taken::Judged(Outcome::TooOld) => {
                refusal("too_old", "the event lies further back than time.history".to_owned())
            }
            Taken::Judged(_) => Ok(None),
        }
    }

    /// Judges what is due; stops after a while, so that what was found can be published.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn drain(&mut self, shared: &Shared, audience: &mut Audience<'_>) -> Result<Drained, StoreError> {
        if !self.draining {
            return Ok(Drained::Done);
        }
        self.progress.drained = true;
        let budget = DRAIN_BUDGET.min(shared.commit.max_batch);
        let drained =
            self.core.drain(InForce::steady(&shared.engine), &mut self.cache, budget, &mut self.transitions)?;
        self.draining = drained == Drained::More;
        self.hand_over(shared, audience);
        Ok(drained)
    }

    /// Judges what is due up to and including the timer at which an earlier drain was cut.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn drain_through(&mut self, shared: &Shared, timer: &(Millis, Box<str>)) -> Result<(), StoreError> {
        while self.cache.last_taken().is_none_or(|last| last < timer) {
            let drained =
                self.core.drain(InForce::steady(&shared.engine), &mut self.cache, 1, &mut self.transitions)?;
            self.hand_over(shared, &mut Audience::Replay);
            if drained == Drained::Done {
                self.draining = false;
                break;
            }
        }
        Ok(())
    }

    /// The log has nothing between the last record and this offset but what is no event.
    pub(super) fn skip_to(&mut self, shared: &Shared, offset: Offset) {
        self.next = self.next.max(offset);
        self.progress.ran(&shared.topic, self.next);
    }

    /// Moves the watermark by the wall clock.
    pub fn tick(&mut self, to: Millis) {
        self.core.advance(to);
        self.progress.steps.push(Step::Tick { watermark: to });
        self.draining = true;
    }

    fn hand_over(&mut self, shared: &Shared, audience: &mut Audience<'_>) {
        for transition in self.transitions.drain(..) {
            self.progress.transitions.add(&transition);
            if let Audience::Live { outbox, now } = audience {
                outbox.alert(&shared.writer, shared.alerts_format, &transition, *now);
                AlertPublished { rule: &transition.rule, kind: transition.kind }.emit(&shared.metrics);
            }
        }
    }

    /// Whether something has been done since the last journal record.
    #[must_use]
    pub fn has_progress(&self) -> bool {
        !self.progress.is_empty()
    }

    /// How far the input has been read since the last journal record, in offsets.
    #[must_use]
    pub fn unpublished(&self) -> usize {
        usize::try_from(self.next - self.published.next).unwrap_or(0)
    }

    /// Offset of the latest journal record; -1 before the first.
    #[must_use]
    pub fn journal_offset(&self) -> Offset {
        self.published.journal_offset
    }

    /// Sequence number of the latest journal record; 0 before the first.
    #[must_use]
    pub(super) fn journal_sequence(&self) -> i64 {
        self.published.sequence
    }

    /// Whether this journal record follows on what this task has done. Offsets alone would not tell: a drain moves none.
    #[must_use]
    pub(super) fn is_next(&self, topic: &str, record: &JournalRecord) -> bool {
        record.sequence == self.published.sequence + 1
            && record.from.next(topic) == Some(self.published.next)
            && record.from.watermark == self.published.watermark
    }

    /// The journal record of what has been done since the last one.
    #[must_use]
    pub fn journal_record(&self, shared: &Shared, worker: usize, now: Millis) -> JournalRecord {
        let mut steps = Vec::with_capacity(self.progress.steps.len() + 2);
        if self.published.sequence == 0 {
            steps.push(Step::Context(shared.context.clone()));
        }
        steps.extend_from_slice(&self.progress.steps);
        if self.draining
            && let Some((deadline, customer)) = self.cache.last_taken()
        {
            steps.push(Step::Drain { deadline: *deadline, customer: Some(customer.to_string()) });
        }
        let place = |next, watermark| journal::Position {
            offsets: vec![TopicOffset { topic: shared.topic.clone(), next }],
            watermark,
            rules: 0,
            sweep: None,
        };
        JournalRecord {
            application: shared.application.clone(),
            partition: self.partition,
            sequence: self.published.sequence + 1,
            from: place(self.published.next, self.published.watermark),
            to: place(self.next, self.core.watermark),
            steps,
            transitions: self.progress.transitions.count(),
            dead_letters: self.progress.dead_letters,
            hash: self.progress.transitions.finish(),
            rules_fingerprint: Some(shared.rules_fingerprint.to_string()),
            context: shared.context.hash(),
            instance: shared.instance.clone(),
            worker: worker as i32,
            committed_at: now,
        }
    }

    /// The journal record is published, at this offset.
    pub fn published(&mut self, journal_offset: Offset) {
        self.progress = Progress::default();
        self.published = Published {
            next: self.next,
            watermark: self.core.watermark,
            journal_offset,
            sequence: self.published.sequence + 1,
        };
        self.unwritten = true;
    }

    /// Writes the store if it is behind, at a moment when everything is published.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn write_back(&mut self, shared: &Shared) -> Result<Option<Written>, StoreError> {
        debug_assert!(self.progress.is_empty(), "a store may not come further than the journal");
        if !self.unwritten {
            return Ok(None);
        }
        let position = Position {
            inputs: vec![(shared.topic.as_str().into(), self.next)],
            watermark: self.core.watermark,
            drained: self.cache.last_taken().cloned(),
            draining: self.draining,
            journal_offset: self.published.journal_offset,
            journal_sequence: self.published.sequence,
            rules: shared.rules_fingerprint.clone(),
            context: shared.context.hash(),
        };
        let written = self.cache.write_back(&position)?;
        self.unwritten = false;
        Ok(Some(written))
    }
}

/// Whether the record lies where its customer does not belong, and why. Notices a topic that is written by two
/// partitioners, which splits customers.
fn misplaced(shared: &Shared, sample: &mut PartitionerSample, record: Input<'_>, customer_id: &str) -> Option<String> {
    let customer = customer_id.as_bytes();
    let Input { partition, offset, .. } = record;
    if record.key != Some(customer) {
        return Some(match record.key {
            Some(_) => "the record's key is not its customer_id".to_owned(),
            None => "the record has no key; it must be its customer_id".to_owned(),
        });
    }
    if let Some(partitioner) = shared.partitioner {
        let expected = partitioner.partition(customer, shared.partitions);
        return (expected != partition)
            .then(|| format!("{partitioner} puts this customer in partition {expected}, not {partition}"));
    }
    if let Some(expected_partition) = sample.observe(customer, partition, shared.partitions) {
        MixedPartitioners { topic: &shared.topic, partition, offset, expected_partition }.emit(&shared.metrics);
    }
    None
}

fn count(shared: &Shared, record: Input<'_>, type_id: TypeId, taken: Taken, late_by_ms: i64, ignored_fields: u64) {
    let Some(event_type) = shared.schemas.catalog().get(type_id) else { return };
    let (Input { partition, offset, .. }, metrics) = (record, &*shared.metrics);
    if ignored_fields > 0 {
        FieldsIgnored { event_type, partition, offset, fields: ignored_fields }.emit(metrics);
    }
    match taken {
        Taken::Judged(Outcome::Accepted | Outcome::AttributesOnly) => shared.counters.accepted(type_id, 1),
        Taken::Judged(Outcome::Late) => LateEvent { event_type, partition, offset, late_by_ms }.emit(metrics),
        Taken::Judged(Outcome::Duplicate) => DuplicateEvent { event_type, partition, offset }.emit(metrics),
        Taken::Judged(Outcome::TooOld) => TooOldEvent { event_type, partition, offset, late_by_ms }.emit(metrics),
        Taken::Future => {}
    }
}
