//! One journal record again: the same steps, with outputs withheld; then number and hash of the transitions must agree.

use std::sync::Arc;

use tocsin_core::partition::Drained;

use super::Shared;
use super::base::read;
use super::inbox::Inbox;
use super::partition_task::{Audience, Task};
use super::rulebook::Generation;
use super::world::{Arrival, Input, Logged, Offset, PartitionId, Source, TopicId, World, WorldError};
use crate::codec::journal::{JournalRecord, Step};
use crate::store::{Store, StoreError};
use crate::telemetry::ReplayDiverged;

/// Where events are read again.
pub trait Events {
    /// Committed events of a partition, from the first offset up to, not including, the second.
    ///
    /// # Errors
    /// As for [`World::replay`].
    fn again(
        &mut self,
        source: Source,
        from: Offset,
        to: Offset,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), WorldError>;
}

impl<W: World> Events for W {
    fn again(
        &mut self,
        source: Source,
        from: Offset,
        to: Offset,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), WorldError> {
        self.replay(source, from, to, each)
    }
}

/// Records read before the first of them is judged, so that their customers are fetched from memory all at once.
const READ_AHEAD: usize = 256;

/// Repeats what a journal record tells. `done` counts its steps that are done; after an error that passes, the next call goes
/// on from there.
///
/// # Errors
/// [`WorldError::Fatal`] if it does not follow on what the task has done, was made under another context, or brings other
/// transitions.
pub fn record<W: World, S: Store>(
    world: &mut W,
    shared: &Shared,
    task: &mut Task<S>,
    logged: &Logged,
    done: &mut usize,
) -> Result<(), WorldError> {
    let record = read(shared, task.partition, logged)?;
    let wrong = |what: String| {
        WorldError::Fatal(format!(
            "partition {}: the journal record at offset {}: {what}",
            record.partition, logged.offset
        ))
    };
    // Offsets alone would not tell: a drain moves none.
    if record.sequence != task.journal_sequence() + 1 || record.from != *task.published_place() {
        return Err(wrong(format!(
            "is number {} and starts at {:?}, but before it comes number {}, which ends at {:?}: a record is missing or was \
             written twice",
            record.sequence,
            record.from,
            task.journal_sequence(),
            task.published_place()
        )));
    }
    let goes_on = !task.context_is_new() || matches!(record.steps.first(), Some(Step::Context(_)));
    if record.context != task.context() || !goes_on {
        return Err(wrong(
            "was made under other schemas or settings, or by another version's semantics. Start with those it was made under, \
             stop cleanly, and only then change them"
                .to_owned(),
        ));
    }
    perform(world, shared, task, &record, done, &mut Audience::Replay)?;
    let partition = task.partition;
    if record.rules_fingerprint.as_deref() != Some(&*task.rules.current().fingerprint) {
        return Err(wrong("was made under rules that the rules topic does not have under that number".to_owned()));
    }
    let (transitions, hash) = (task.progress.transitions.count(), task.progress.transitions.finish());
    if (transitions, hash) != (record.transitions, record.hash) {
        let topic = shared.topic();
        ReplayDiverged { topic, partition, journal_offset: logged.offset }.emit(&shared.metrics);
        return Err(wrong(format!(
            "tells of {} transitions with hash {:016x}, but the replay found {transitions} with {hash:016x}: the input, the \
             store or the program is not what it was",
            record.transitions, record.hash
        )));
    }
    if record.to != task.place(shared) {
        return Err(wrong(format!("ends at {:?}, but the replay came to {:?}", record.to, task.place(shared))));
    }
    task.published(shared, logged.offset);
    Ok(())
}

/// Does what a record tells, but for the steps that are `done`, which it counts on. It must follow on what the task has done; what comes of it is the caller's to compare.
///
/// # Errors
/// What keeps it from being done: events that are gone, rules that are not known, a store that fails.
pub fn perform<E: Events, S: Store>(
    events: &mut E,
    shared: &Shared,
    task: &mut Task<S>,
    record: &JournalRecord,
    done: &mut usize,
    audience: &mut Audience<'_>,
) -> Result<(), WorldError> {
    // Nothing of a record is done before all of it can be.
    for step in &record.steps {
        if let Step::Rules { generation, fingerprint } = step {
            check_rules(shared, task.partition, *generation, fingerprint)?;
        }
    }
    let mut lanes = if shared.merges() { fetch(events, shared, task, record)? } else { Vec::new() };
    for step in record.steps.iter().skip(*done) {
        // Half a run goes on by itself: what was taken in is behind.
        match step {
            Step::Run { topic, to_offset } => {
                let id = shared.topic_id(topic).ok_or_else(|| unknown_topic(task.partition, topic))?;
                match lanes.get_mut(id) {
                    Some(lane) => judge(lane, shared, task, *to_offset, audience)?,
                    None => run(events, shared, task, *to_offset, audience)?,
                }
                task.skip_to(shared, id, *to_offset);
            }
            step => replay_step(shared, task, step, audience)?,
        }
        *done += 1;
    }
    let partition = task.partition;
    if !matches!(record.steps.last(), Some(Step::Drain { .. })) {
        drain_all(shared, task, audience).map_err(|source| WorldError::Store { partition, source })?;
    }
    Ok(())
}

fn unknown_topic(partition: PartitionId, topic: &str) -> WorldError {
    WorldError::Fatal(format!(
        "partition {partition}: the journal has events of the topic `{topic}`, which is none of `topics.events`: give it as it \
         was when the application began, or, to start anew, use another `application` id"
    ))
}

/// All events that a record tells of, by topic: its runs are short, and go from one topic to the other and back.
fn fetch<E: Events, S: Store>(
    events: &mut E,
    shared: &Shared,
    task: &Task<S>,
    record: &JournalRecord,
) -> Result<Vec<Inbox>, WorldError> {
    let lane = |(topic, (name, next)): (TopicId, (&String, &Offset))| {
        let to = |step: &Step| match step {
            Step::Run { topic, to_offset } if topic == name => Some(*to_offset),
            _ => None,
        };
        let mut inbox = Inbox::default();
        if let Some(to) = record.steps.iter().filter_map(to).max().filter(|to| to > next) {
            let source = Source { topic, partition: task.partition };
            events.again(source, *next, to, &mut |record| inbox.push(Arrival::Record(record)))?;
        }
        Ok(inbox)
    };
    shared.topics.iter().zip(&task.next).enumerate().map(lane).collect()
}

/// Judges records up to this offset.
fn judge<S: Store>(
    records: &mut Inbox,
    shared: &Shared,
    task: &mut Task<S>,
    to_offset: Offset,
    audience: &mut Audience<'_>,
) -> Result<(), WorldError> {
    let partition = task.partition;
    let next = |records: &Inbox| match records.peek() {
        Some(Arrival::Record(record)) if record.offset < to_offset => Some(record.offset),
        _ => None,
    };
    let mut fetched = 0;
    while let Some(offset) = next(records) {
        if fetched == 0 {
            // Of several topics a run is often short.
            fetched = task.fetch(records, usize::try_from(to_offset - offset).unwrap_or(usize::MAX));
        }
        fetched = fetched.saturating_sub(1);
        let Some(Arrival::Record(record)) = records.pop() else { break };
        let taken = drain_all(shared, task, audience).and_then(|()| task.take(shared, record, audience));
        taken.map_err(|source| WorldError::Store { partition, source })?;
    }
    Ok(())
}

fn replay_step<S: Store>(
    shared: &Shared,
    task: &mut Task<S>,
    step: &Step,
    audience: &mut Audience<'_>,
) -> Result<(), WorldError> {
    let partition = task.partition;
    let broken = |source: StoreError| WorldError::Store { partition, source };
    match step {
        Step::Tick { watermark } => {
            drain_all(shared, task, audience).map_err(broken)?;
            task.tick(*watermark);
            Ok(())
        }
        Step::Drain { deadline, customer: Some(customer) } => {
            task.drain_through(shared, &(*deadline, customer.as_str().into()), audience).map_err(broken)
        }
        Step::Rules { generation, fingerprint } => {
            drain_all(shared, task, audience).map_err(broken)?;
            task.adopt(check_rules(shared, partition, *generation, fingerprint)?);
            Ok(())
        }
        Step::Sweep { customer } => {
            drain_all(shared, task, audience).map_err(broken)?;
            task.sweep_through(shared, customer.as_deref(), audience).map_err(broken)
        }
        Step::Run { .. } | Step::Context(_) => Ok(()),
        Step::Drain { customer: None, .. } => Err(WorldError::Fatal(format!(
            "partition {partition}: the journal has a step that this version does not know how to repeat: {step:?}"
        ))),
    }
}

fn run<E: Events, S: Store>(
    events: &mut E,
    shared: &Shared,
    task: &mut Task<S>,
    to_offset: i64,
    audience: &mut Audience<'_>,
) -> Result<(), WorldError> {
    let (partition, from) = (task.partition, task.next.first().copied().unwrap_or(to_offset));
    let (mut records, mut judged) = (Inbox::default(), Ok(()));
    events.again(Source::first(partition), from, to_offset, &mut |record| {
        if judged.is_ok() {
            records.push(Arrival::Record(record));
        }
        if records.len() == READ_AHEAD {
            judged = judge(&mut records, shared, task, to_offset, audience);
            records.forget(|_| true);
            records.recycle();
        }
    })?;
    judged.and_then(|()| judge(&mut records, shared, task, to_offset, audience))
}

/// The rules topic must have what the journal adopts.
fn check_rules(
    shared: &Shared,
    partition: PartitionId,
    generation: i64,
    fingerprint: &str,
) -> Result<Arc<Generation>, WorldError> {
    let Some(rules) = shared.rulebook.get(generation) else {
        return Err(WorldError::Pending(format!("generation {generation} of the rules has not been read yet")));
    };
    if *rules.fingerprint != *fingerprint {
        return Err(WorldError::Fatal(format!(
            "partition {partition}: the journal adopts generation {generation} of the rules with the fingerprint {fingerprint}, \
             but the rules topic has {}: bring its records back, or start anew with another `application` id",
            rules.fingerprint
        )));
    }
    Ok(rules)
}

fn drain_all<S: Store>(shared: &Shared, task: &mut Task<S>, audience: &mut Audience<'_>) -> Result<(), StoreError> {
    while task.drain(shared, audience)? == Drained::More {}
    Ok(())
}
