//! One partition: its customers, its watermark, its place in the log.

use tocsin_core::alert::{Detail, Judged, Transition};
use tocsin_core::partition::{Drained, Partition};
use tocsin_core::time::Millis;

use super::adoption::Rules;
use super::cache::{Cache, Written};
use super::inbox::Inbox;
use super::outbox::{Outbox, Progress};
use super::timers::Timer;
use super::world::{CheckpointFacts, Offset, Outgoing, PartitionId, Source, Stores, TopicId};
use super::{SEMANTICS_VERSION, Shared};
use crate::codec::decode::Decoder;
use crate::codec::journal::{self, JournalRecord, Step, TopicOffset};
use crate::codec::rows::Position;
use crate::partitioner::PartitionerSample;
use crate::store::{Store, StoreError};
use crate::telemetry::ItemRefused;

/// Records whose customers are fetched from memory at a time.
const FETCHED: usize = 64;
/// Customers judged before the task looks whether it is time to publish, at most.
const DRAIN_BUDGET: usize = 1_000;

/// The state of one partition, live or being restored.
#[derive(Debug)]
pub struct Task<S> {
    pub(super) partition: PartitionId,
    pub(super) core: Partition,
    pub(super) rules: Rules,
    pub(super) cache: Cache<S>,
    pub(super) decoder: Decoder,
    /// Next offset to take in, of each input topic.
    pub(super) next: Vec<Offset>,
    /// Whether timers at or before the watermark are left to judge.
    pub(super) draining: bool,
    pub(super) progress: Progress,
    /// Where the last journal record ended.
    published: Published,
    /// Hash of the context: of long texts, and asked for with every transaction.
    context: u64,
    /// Whether the journal does not say yet under which context it goes on.
    context_is_new: bool,
    pub(super) sample: PartitionerSample,
    pub(super) judged: Judged,
    /// Whether the task has come further than its store.
    unwritten: bool,
    /// When a checkpoint was last taken, or the task was made.
    pub(super) last_checkpoint: Millis,
}

/// How far the journal has come.
#[derive(Clone, Debug)]
struct Published {
    place: journal::Position,
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
    /// To somebody who compares it with what has been published.
    Audit(&'a mut Found),
}

impl Audience<'_> {
    /// Where judging puts what it finds, in as much detail as this audience asks for.
    pub(super) fn asks<'j>(&self, judged: &'j mut Judged) -> &'j mut Judged {
        judged.detail = match self {
            Self::Live { .. } | Self::Audit(_) => Detail::Full,
            Self::Replay => Detail::TransitionsOnly,
        };
        judged
    }
}

/// What judging has brought.
#[derive(Debug, Default)]
pub struct Found {
    pub transitions: Vec<Transition>,
    pub dead_letters: Vec<Outgoing>,
}

impl<S: Store> Task<S> {
    /// A task at the position its store was written at, under the rules that were in force there.
    pub fn new(
        partition: PartitionId,
        shared: &Shared,
        store: S,
        position: &Position,
        rules: Rules,
        now: Millis,
    ) -> Self {
        let next: Vec<_> = position.inputs.iter().map(|(_, offset)| *offset).collect();
        let mut inputs = position.watermarks.clone();
        if shared.merges() {
            inputs.resize(shared.topics.len(), None);
        }
        let core = Partition {
            watermark: position.watermark,
            inputs,
            generation: position.generation,
            sweep: position.sweep.clone(),
            gates: position.gates.clone(),
        };
        let place = place(shared, &next, &core);
        let context = shared.context.hash();
        Self {
            partition,
            core,
            rules,
            cache: Cache::new(store, shared.cached_bytes, position.drained.clone()),
            decoder: Decoder::new(shared.schemas.clone()),
            next,
            draining: position.draining,
            progress: Progress::default(),
            published: Published {
                place,
                journal_offset: position.journal_offset,
                sequence: position.journal_sequence,
            },
            context,
            context_is_new: position.journal_sequence == 0 || position.context != context,
            sample: PartitionerSample::default(),
            judged: Judged::default(),
            unwritten: false,
            last_checkpoint: now,
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
        let judged = audience.asks(&mut self.judged);
        let drained = self.core.drain(self.rules.in_force(), &mut self.cache, budget, judged)?;
        self.draining = drained == Drained::More;
        self.hand_over(shared, audience);
        Ok(drained)
    }

    /// Judges what is due up to and including the timer at which an earlier drain was cut.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn drain_through(
        &mut self,
        shared: &Shared,
        timer: &Timer,
        audience: &mut Audience<'_>,
    ) -> Result<(), StoreError> {
        while self.cache.last_taken().is_none_or(|last| last < timer) {
            let judged = audience.asks(&mut self.judged);
            let drained = self.core.drain(self.rules.in_force(), &mut self.cache, 1, judged)?;
            self.hand_over(shared, audience);
            if drained == Drained::Done {
                self.draining = false;
                break;
            }
        }
        Ok(())
    }

    /// Has the customers of the next records, which are this partition's, close to the processor, of at most so many; of how
    /// many arrivals. A record's key is its customer, and where it is not, nothing comes of it.
    pub(super) fn fetch(&self, inbox: &Inbox, most: usize) -> usize {
        let mut arrivals = 0;
        self.cache.warm(inbox.keys().take(most.min(FETCHED)).inspect(|_| arrivals += 1).flatten(), Millis::MIN);
        arrivals
    }

    /// The log has nothing between the last record and this offset but what is no event.
    pub(super) fn skip_to(&mut self, shared: &Shared, topic: TopicId, offset: Offset) {
        if let Some(next) = self.next.get_mut(topic) {
            *next = offset.max(*next);
            self.progress.ran(shared.topic_name(topic), *next);
        }
    }

    /// Moves the watermark by the wall clock.
    pub fn tick(&mut self, to: Millis) {
        self.core.advance(to);
        self.progress.steps.push(Step::Tick { watermark: to });
        self.draining = true;
    }

    pub(super) fn hand_over(&mut self, shared: &Shared, audience: &mut Audience<'_>) {
        for rule in self.judged.refused.drain(..) {
            if let Audience::Live { .. } = audience {
                ItemRefused { rule: &rule, partition: self.partition }.emit(&shared.metrics);
            }
        }
        for transition in self.judged.transitions.drain(..) {
            self.progress.transitions.add(&transition);
            match audience {
                Audience::Live { outbox, now } => {
                    outbox.alert(&shared.writer, shared.alerts_format, &transition, *now);
                }
                Audience::Replay => {}
                Audience::Audit(found) => found.transitions.push(transition),
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
    pub fn unpublished(&self, shared: &Shared) -> usize {
        let read = |(topic, next): (&String, &Offset)| next - self.published.place.next(topic).unwrap_or(*next);
        usize::try_from(shared.topics.iter().zip(&self.next).map(read).sum::<Offset>()).unwrap_or(0)
    }

    /// The next offset of each input topic.
    pub(super) fn offsets(&self) -> impl Iterator<Item = (Source, Offset)> + '_ {
        let source = |topic| Source { topic, partition: self.partition };
        self.next.iter().enumerate().map(move |(topic, next)| (source(topic), *next))
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

    /// Where the task is, as the journal says it.
    #[must_use]
    pub(super) fn place(&self, shared: &Shared) -> journal::Position {
        place(shared, &self.next, &self.core)
    }

    /// Where the latest journal record ended.
    #[must_use]
    pub(super) fn published_place(&self) -> &journal::Position {
        &self.published.place
    }

    /// Hash of the context that this process judges under.
    #[must_use]
    pub(super) fn context(&self) -> u64 {
        self.context
    }

    /// Whether the journal's next record must say under which context it goes on.
    #[must_use]
    pub(super) fn context_is_new(&self) -> bool {
        self.context_is_new
    }

    /// The journal record of what has been done since the last one.
    #[must_use]
    pub fn journal_record(&self, shared: &Shared, worker: usize, now: Millis) -> JournalRecord {
        let mut steps = Vec::with_capacity(self.progress.steps.len() + 2);
        if self.context_is_new {
            steps.push(Step::Context(shared.context.clone()));
        }
        steps.extend_from_slice(&self.progress.steps);
        if self.draining
            && let Some((deadline, customer)) = self.cache.last_taken()
        {
            steps.push(Step::Drain { deadline: *deadline, customer: Some(customer.to_string()) });
        }
        JournalRecord {
            application: shared.application.clone(),
            partition: self.partition,
            partitions: shared.partitions,
            sequence: self.published.sequence + 1,
            from: self.published.place.clone(),
            to: self.place(shared),
            steps,
            transitions: self.progress.transitions.count(),
            dead_letters: self.progress.dead_letters,
            hash: self.progress.transitions.finish(),
            rules_fingerprint: Some(self.rules.current().fingerprint.to_string()),
            context: self.context,
            instance: shared.instance.clone(),
            worker: worker as i32,
            committed_at: now,
        }
    }

    /// The journal record is published, at this offset.
    pub fn published(&mut self, shared: &Shared, journal_offset: Offset) {
        self.progress = Progress::default();
        self.published = Published { place: self.place(shared), journal_offset, sequence: self.published.sequence + 1 };
        self.context_is_new = false;
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
        let position = self.position(shared);
        let written = self.cache.write_back(&position)?;
        self.unwritten = false;
        Ok(Some(written))
    }

    /// Keeps within its memory in a long replay, at a moment when everything is published.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub(super) fn make_room(&mut self, shared: &Shared) -> Result<(), StoreError> {
        if self.cache.is_crowded() {
            self.write_back(shared)?;
        }
        self.cache.next_round();
        Ok(())
    }

    /// Where the task is, at a moment when everything is published.
    fn position(&self, shared: &Shared) -> Position {
        Position {
            inputs: shared.topics.iter().map(|topic| topic.as_str().into()).zip(self.next.iter().copied()).collect(),
            watermark: self.core.watermark,
            watermarks: self.core.inputs.clone(),
            drained: self.cache.last_taken().cloned(),
            draining: self.draining,
            journal_offset: self.published.journal_offset,
            journal_sequence: self.published.sequence,
            generation: self.core.generation,
            sweep: self.core.sweep.clone(),
            gates: self.core.gates.clone(),
            rules: self.rules.current().fingerprint.clone(),
            context: self.context,
        }
    }

    /// Takes a checkpoint of the store, which has just been written.
    pub(super) fn checkpoint<T: Stores<Store = S>>(&mut self, shared: &Shared, stores: &mut T, now: Millis) {
        debug_assert!(!self.unwritten, "a checkpoint is of what was written");
        self.last_checkpoint = now;
        if self.published.sequence > 0 {
            let position = self.position(shared);
            let facts =
                CheckpointFacts { position: &position, rules: self.rules.current(), semantics: SEMANTICS_VERSION };
            stores.take_checkpoint(self.partition, self.cache.store_mut(), facts);
        }
    }
}

/// A place in the log, as the journal says it.
fn place(shared: &Shared, next: &[Offset], core: &Partition) -> journal::Position {
    let judged = |sweep: &tocsin_core::partition::Sweep| sweep.judged.as_deref().unwrap_or_default().to_owned();
    let topics = shared.topics.iter().zip(next);
    let offsets = topics.map(|(topic, next)| TopicOffset { topic: topic.clone(), next: *next });
    journal::Position {
        offsets: offsets.collect(),
        watermark: core.watermark,
        rules: core.generation,
        sweep: core.sweep.as_ref().map(judged),
    }
}
