//! One partition: its customers, its watermark, its place in the log.

use tocsin_core::alert::Transition;
use tocsin_core::engine::Outcome;
use tocsin_core::partition::{Drained, Partition, Taken};
use tocsin_core::time::Millis;

use super::Shared;
use super::cache::{Cache, Written};
use super::outbox::{DeadLetter, Outbox, Progress};
use super::world::{Input, Offset, PartitionId};
use crate::codec::decode::Decoder;
use crate::codec::journal::{JournalRecord, Step};
use crate::codec::rows::Position;
use crate::partitioner::PartitionerSample;
use crate::store::{Store, StoreError};
use crate::telemetry::events;

/// Customers judged before the task looks whether it is time to publish.
const DRAIN_BUDGET: usize = 1_000;

/// The state of one partition, live or being restored.
#[derive(Debug)]
pub struct Task<S> {
    pub(super) partition: PartitionId,
    pub(super) core: Partition,
    pub(super) cache: Cache<S>,
    decoder: Decoder,
    /// Next offset to take in.
    pub(super) next: Offset,
    /// Offset of the journal record up to which everything is published; -1 before the first.
    pub(super) journal_offset: Offset,
    /// Whether timers at or before the watermark are left to judge.
    pub(super) draining: bool,
    pub(super) progress: Progress,
    /// Where `progress` begins.
    pub(super) from: Offset,
    /// The partition's end, if it was read that far.
    pub(super) end: Option<Offset>,
    pub(super) last_arrival: Millis,
    sample: PartitionerSample,
    transitions: Vec<Transition>,
    /// Whether the task has come further than its store.
    pub(super) unwritten: bool,
}

/// Where the outcome of judging goes.
#[derive(Debug)]
pub enum Audience<'a> {
    /// To the outbox.
    Live { outbox: &'a mut Outbox, now: Millis },
    /// Nowhere: all of it has been published before.
    Replay,
}

impl<S: Store> Task<S> {
    /// A task at the position its store was written at.
    pub fn new(partition: PartitionId, shared: &Shared, store: S, position: &Position, now: Millis) -> Self {
        let next = position.inputs.first().map_or(0, |(_, offset)| *offset);
        Self {
            partition,
            core: Partition { watermark: position.watermark },
            cache: Cache::new(store, shared.cached_customers, position.drained.clone()),
            decoder: Decoder::new(shared.schemas.clone()),
            next,
            journal_offset: position.journal_offset,
            draining: position.draining,
            progress: Progress::default(),
            from: next,
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
        let refused = self.judge(shared, record, audience)?;
        if let (Some((reason, message)), Audience::Live { outbox, .. }) = (refused, audience) {
            let letter = DeadLetter { reason, message: &message, topic: &shared.topic, record };
            outbox.dead_letter(&letter);
            events::DeadLettered { reason, message: &message, partition: record.partition, offset: record.offset }
                .emit(&shared.metrics);
        }
        self.next = record.offset + 1;
        self.progress.ran(&shared.topic, self.next);
        self.draining = true;
        Ok(())
    }

    /// Judges a record; returns why it is refused, if it is.
    fn judge(
        &mut self,
        shared: &Shared,
        record: Input<'_>,
        audience: &mut Audience<'_>,
    ) -> Result<Option<(&'static str, String)>, StoreError> {
        let Some(payload) = record.payload else {
            return Ok(Some(("empty", "the record has no value".to_owned())));
        };
        let event = match self.decoder.decode(payload) {
            Ok(event) => event,
            Err(malformed) => return Ok(Some((malformed.reason, malformed.message))),
        };
        if record.key != Some(event.customer_id.as_bytes()) {
            let key = record.key.map_or("no key".into(), String::from_utf8_lossy);
            let message = format!("the key must be the customer_id `{}`, but it is `{key}`", event.customer_id);
            return Ok(Some(("misplaced", message)));
        }
        if let Some(message) = misplaced(shared, &mut self.sample, record, event.customer_id) {
            return Ok(Some(("misplaced", message)));
        }
        let (engine, transitions) = (&shared.engine, &mut self.transitions);
        let taken = self.core.take(engine, &shared.time, &mut self.cache, &event, record.timestamp, transitions)?;
        if let Audience::Live { .. } = audience {
            events::EventTaken { event_type: shared.schemas.type_name(event.record.type_id()), taken }
                .emit(&shared.metrics);
        }
        let refused = match taken {
            Taken::Future => Some(("future", format!("it lies more than {} ms ahead of its record's timestamp", shared.time.max_future_skew))),
            Taken::Judged(Outcome::TooOld) => Some(("too_old", "it lies further back than `history`".to_owned())),
            Taken::Judged(_) => None,
        };
        self.publish_transitions(shared, audience);
        Ok(refused)
    }

    /// Judges what is due; stops after a while, so that what was found can be published.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn drain(&mut self, shared: &Shared, audience: &mut Audience<'_>) -> Result<Drained, StoreError> {
        if !self.draining {
            return Ok(Drained::Done);
        }
        let drained = self.core.drain(&shared.engine, &mut self.cache, DRAIN_BUDGET, &mut self.transitions)?;
        self.draining = drained == Drained::More;
        self.publish_transitions(shared, audience);
        Ok(drained)
    }

    /// Judges what is due up to and including the timer at which an earlier drain was cut.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn drain_through(&mut self, shared: &Shared, timer: &(Millis, Box<str>)) -> Result<(), StoreError> {
        while self.cache.last_taken().is_none_or(|last| last < timer) {
            let drained = self.core.drain(&shared.engine, &mut self.cache, 1, &mut self.transitions)?;
            self.publish_transitions(shared, &mut Audience::Replay);
            if drained == Drained::Done {
                self.draining = false;
                return Ok(());
            }
        }
        Ok(())
    }

    /// The log has nothing between the last record and this offset but what is no event.
    pub(super) fn skip_to(&mut self, offset: Offset) {
        self.next = self.next.max(offset);
    }

    /// Moves the watermark by the wall clock.
    pub fn tick(&mut self, to: Millis) {
        self.core.advance(to);
        self.progress.steps.push(Step::Tick { watermark: to });
        self.draining = true;
    }

    fn publish_transitions(&mut self, shared: &Shared, audience: &mut Audience<'_>) {
        for transition in self.transitions.drain(..) {
            let rule = &shared.engine.rules().rules[transition.rule];
            self.progress.transitions += 1;
            self.progress.hash.add(&rule.id, &transition);
            if let Audience::Live { outbox, now } = audience {
                outbox.alert(&shared.writer, &transition, *now);
                events::AlertChanged { rule: &rule.id, transition: &transition }.emit(&shared.metrics);
            }
        }
    }

    /// Whether something has been done since the last journal record.
    #[must_use]
    pub fn has_progress(&self) -> bool {
        !self.progress.is_empty()
    }

    /// The journal record of what has been done since the last one.
    #[must_use]
    pub fn journal_record(&self, shared: &Shared) -> JournalRecord {
        let mut steps = self.progress.steps.clone();
        if self.draining && let Some((deadline, customer)) = self.cache.last_taken() {
            steps.push(Step::Drain { deadline: *deadline, customer_id: customer.to_string() });
        }
        JournalRecord {
            topic: shared.topic.to_string(),
            partition: self.partition,
            from_offset: self.from,
            to_offset: self.next,
            watermark: self.core.watermark,
            steps,
            transitions: self.progress.transitions,
            hash: self.progress.hash.finish(),
            context: shared.context.to_string(),
            semantics: super::SEMANTICS_VERSION,
        }
    }

    /// The journal record is published, at this offset.
    pub fn published(&mut self, journal_offset: Offset) {
        self.progress = Progress::default();
        self.from = self.next;
        self.journal_offset = journal_offset;
        self.unwritten = true;
    }

    /// Writes the store, at a moment when everything is published.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn write_back(&mut self, shared: &Shared) -> Result<Written, StoreError> {
        debug_assert!(self.progress.is_empty(), "a store may not come further than the journal");
        let position = self.position(shared);
        let written = self.cache.write_back(&position)?;
        self.unwritten = false;
        Ok(written)
    }

    fn position(&self, shared: &Shared) -> Position {
        Position {
            inputs: vec![(shared.topic.clone(), self.next)],
            watermark: self.core.watermark,
            drained: self.cache.last_taken().cloned(),
            draining: self.draining,
            journal_offset: self.journal_offset,
            rules: shared.context.clone(),
            topic: shared.topic.clone(),
        }
    }
}

/// Notices a customer in two partitions; returns the refusal if a partitioner is enforced and the record lies elsewhere.
fn misplaced(
    shared: &Shared,
    sample: &mut PartitionerSample,
    record: Input<'_>,
    customer_id: &str,
) -> Option<String> {
    let key = customer_id.as_bytes();
    if let Some(partitioner) = shared.partitioner {
        let place = partitioner.partition(key, shared.partitions);
        return (place != record.partition)
            .then(|| format!("{partitioner} puts customer `{customer_id}` in partition {place}, not {}", record.partition));
    }
    if sample.observe(key, record.partition, shared.partitions) {
        events::MixedPartitioners { topic: &shared.topic, partition: record.partition, sample }.emit(&shared.metrics);
    }
    None
}
