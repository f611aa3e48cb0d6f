//! How a task comes back: its store, then the journal from there on, replayed with outputs withheld.
//!
//! The order matters. Fence first, so that no earlier instance can still publish; then the committed offset, which is
//! answered only once no transaction is open; then the journal from the store's position to an end that nothing hides. The
//! store may be behind the journal but never ahead of it.

use tocsin_core::partition::Drained;

use super::Shared;
use super::cache::Cache;
use super::partition_task::{Audience, Task};
use super::world::{Logged, PartitionId, World, WorldError};
use crate::codec::journal::{JournalRecord, Step};
use crate::codec::rows::Position;
use crate::store::Store;
use crate::telemetry::ReplayDiverged;

/// Brings a partition's task to where the journal ends; also returns how many offsets were replayed.
///
/// # Errors
/// [`WorldError::Fatal`] if store, journal, committed offset and input do not fit together, saying how.
pub fn restore<W: World>(
    world: &mut W,
    shared: &Shared,
    partition: PartitionId,
) -> Result<(Task<W::Store>, u64), WorldError> {
    let committed = world.committed(partition)?;
    let store = world.open(partition)?;
    let known = Cache::position(&store)?;
    let journal_offset = known.as_ref().map_or(-1, |position| position.journal_offset);
    let journal = world.journal_after(partition, journal_offset)?;
    let position = match known {
        Some(position) => position,
        None => first_position(world, shared, partition, &journal)?,
    };
    check_position(shared, partition, &position)?;
    let mut task = Task::new(partition, shared, store, &position, world.now());
    let before = task.next;
    for logged in &journal {
        replay_record(world, shared, &mut task, logged)?;
    }
    let replayed = u64::try_from(task.next - before).unwrap_or(0);
    match committed {
        Some(committed) if committed != task.next => Err(WorldError::Fatal(format!(
            "partition {partition}: the journal ends at offset {}, but the group's committed offset is {committed}. The \
             journal is the truth: set the group's offset back to {}, or, to start anew, use another `application` id",
            task.next, task.next
        ))),
        None if task.journal_offset() >= 0 => {
            tracing::warn!(
                partition,
                offset = task.next,
                "the group has no committed offset; the journal's end is taken"
            );
            Ok((task, replayed))
        }
        _ => Ok((task, replayed)),
    }
}

/// Where a partition without a store begins: where its journal does, else at the start of its log.
fn first_position<W: World>(
    world: &mut W,
    shared: &Shared,
    partition: PartitionId,
    journal: &[Logged],
) -> Result<Position, WorldError> {
    let start = match journal.first() {
        Some(first) => {
            let from = read(partition, first)?.from.next(&shared.topic);
            from.ok_or_else(|| WorldError::Fatal(other_topic(partition, &shared.topic)))?
        }
        None => world.start_of(partition)?,
    };
    Ok(Position {
        inputs: vec![(shared.topic.as_str().into(), start)],
        journal_offset: -1,
        rules: shared.rules_fingerprint.clone(),
        context: shared.context.hash(),
        ..Position::default()
    })
}

fn other_topic(partition: PartitionId, topic: &str) -> String {
    format!(
        "partition {partition}: the journal is of another topic than `{topic}`. Give this one another `application` id"
    )
}

fn check_position(shared: &Shared, partition: PartitionId, position: &Position) -> Result<(), WorldError> {
    if let Some((topic, _)) = position.inputs.first().filter(|(topic, _)| **topic != *shared.topic) {
        return Err(WorldError::Fatal(format!(
            "partition {partition}: the store belongs to the topic `{topic}`, not `{}`. Name that topic, or give this one \
             another `application` id or `state_dir`",
            shared.topic
        )));
    }
    if position.rules != shared.rules_fingerprint {
        return Err(WorldError::Fatal(format!(
            "partition {partition}: the rules have changed since this state was made (then {}, now {}). Changing rules under \
             a running state is not supported yet: put the old ones back, or start anew with another `application` id",
            position.rules, shared.rules_fingerprint
        )));
    }
    if position.context != shared.context.hash() {
        return Err(WorldError::Fatal(format!(
            "partition {partition}: schemas, or settings of `time` or `partitioner`, have changed since this state was made. \
             Changing them under a running state is not supported yet: put the old ones back, or start anew with another \
             `application` id"
        )));
    }
    Ok(())
}

fn read(partition: PartitionId, logged: &Logged) -> Result<JournalRecord, WorldError> {
    JournalRecord::decode(&logged.payload).map_err(|error| {
        WorldError::Fatal(format!(
            "partition {partition}: the journal record at offset {} cannot be read: {error}",
            logged.offset
        ))
    })
}

fn replay_record<W: World>(
    world: &mut W,
    shared: &Shared,
    task: &mut Task<W::Store>,
    logged: &Logged,
) -> Result<(), WorldError> {
    let record = read(task.partition, logged)?;
    let wrong = |what: String| {
        WorldError::Fatal(format!(
            "partition {}: the journal record at offset {}: {what}",
            record.partition, logged.offset
        ))
    };
    let from = record.from.next(&shared.topic);
    if !task.is_next(&shared.topic, &record) {
        return Err(wrong(format!(
            "is number {} and starts at {from:?} with watermark {:?}, but before it comes number {}, which ends at {} with \
             watermark {:?}: a record is missing or was written twice",
            record.sequence,
            record.from.watermark,
            task.journal_sequence(),
            task.next,
            task.core.watermark
        )));
    }
    let rules = record.rules_fingerprint.as_deref();
    if record.context != shared.context.hash() || rules != Some(&*shared.rules_fingerprint) {
        return Err(wrong(
            "was made under other rules, schemas or settings. Start with those it was made under, stop cleanly, and only \
             then change them"
                .to_owned(),
        ));
    }
    for step in &record.steps {
        replay_step(world, shared, task, step)?;
    }
    if !matches!(record.steps.last(), Some(Step::Drain { .. })) {
        drain_all(shared, task)?;
    }
    let (transitions, hash) = (task.progress.transitions.count(), task.progress.transitions.finish());
    if (transitions, hash) != (record.transitions, record.hash) {
        let (topic, partition) = (shared.topic.as_str(), task.partition);
        ReplayDiverged { topic, partition, journal_offset: logged.offset }.emit(&shared.metrics);
        return Err(wrong(format!(
            "tells of {} transitions with hash {:016x}, but the replay found {transitions} with {hash:016x}: the input, the \
             store or the program is not what it was",
            record.transitions, record.hash
        )));
    }
    task.published(logged.offset);
    Ok(())
}

fn replay_step<W: World>(
    world: &mut W,
    shared: &Shared,
    task: &mut Task<W::Store>,
    step: &Step,
) -> Result<(), WorldError> {
    match step {
        Step::Run { to_offset, .. } => {
            let mut failed = None;
            world.replay(task.partition, task.next, *to_offset, &mut |record| {
                if failed.is_none() {
                    let taken = drain_all(shared, task)
                        .and_then(|()| task.take(shared, record, &mut Audience::Replay).map_err(WorldError::from));
                    failed = taken.err();
                }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            task.skip_to(shared, *to_offset);
            Ok(())
        }
        Step::Tick { watermark } => {
            drain_all(shared, task)?;
            task.tick(*watermark);
            Ok(())
        }
        Step::Drain { deadline, customer: Some(customer) } => {
            Ok(task.drain_through(shared, &(*deadline, customer.as_str().into()))?)
        }
        Step::Context(_) => Ok(()),
        other => Err(WorldError::Fatal(format!(
            "partition {}: the journal has a step that this version does not know how to repeat: {other:?}",
            task.partition
        ))),
    }
}

fn drain_all<S: Store>(shared: &Shared, task: &mut Task<S>) -> Result<(), WorldError> {
    while task.drain(shared, &mut Audience::Replay)? == Drained::More {}
    Ok(())
}
