//! Where does a restore begin: the store, the newest checkpoint, or the beginning of the journal?
//!
//! A store is of use if it is of this topic and stands at a record of this journal. Else it is set aside, never deleted, and
//! the newest checkpoint takes its place, or the replay begins where the journal does.

use std::cmp::Ordering;

use tocsin_core::time::Millis;

use super::cache::Cache;
use super::partition_task::Task;
use super::restore::{self, Log};
use super::world::{Fetched, Logged, Offset, PartitionId, Source, StoreOf, Stores, World, WorldError};
use super::{Shared, partitions_added};
use crate::codec::journal::{self, JournalRecord};
use crate::codec::rows::Position;
use crate::codec::schemas::{catalog_from_json, catalog_to_json, compatible};
use crate::store::{Store, StoreError};

/// What is wrong with a store.
enum Objection {
    /// It is not a store of this application's log.
    Unfit(String),
    /// It is, but what followed it is gone from the log.
    Gap(String),
    /// Retention has taken the journal to its end, so that nothing tells whether it was the last one written.
    Doubt,
}

/// The task at the place from which the journal is to be replayed. `suspect` is why the store that is there may not be used.
///
/// # Errors
/// As for [`restore::Restore::step`].
pub fn find<W: World>(
    world: &mut W,
    shared: &Shared,
    partition: PartitionId,
    log: &Log,
    suspect: &mut Option<String>,
) -> Result<Task<StoreOf<W>>, WorldError> {
    // Once for what is there, once for a blank one in its place, once for a checkpoint.
    for _ in 0..3 {
        if let Some(reason) = suspect.take() {
            world.stores().set_aside(partition, &reason).map_err(|error| unusable(partition, &error))?;
        }
        let (store, position) = match open(world, partition)? {
            Ok(opened) => opened,
            Err(reason) => {
                *suspect = Some(reason);
                continue;
            }
        };
        let Some(position) = position else {
            // Closed, so that a checkpoint can take its place.
            drop(store);
            if fetched(world, partition, 0)? {
                continue;
            }
            let (store, _) = open(world, partition)?.map_err(WorldError::Fatal)?;
            let position = beginning(world, shared, partition, log)?;
            return task(shared, partition, store, &position, world.steady());
        };
        match objection(world, shared, partition, log, &position)? {
            None => return task(shared, partition, store, &position, world.steady()),
            Some(Objection::Unfit(reason)) => *suspect = Some(reason),
            Some(Objection::Gap(message)) => {
                drop(store);
                if !fetched(world, partition, position.journal_sequence)? {
                    return Err(WorldError::Fatal(message));
                }
            }
            Some(Objection::Doubt) => {
                drop(store);
                // Retention takes nothing that the newest checkpoint needs: if that one is not newer, this is the last.
                if !fetched(world, partition, position.journal_sequence)? {
                    let (store, _) = open(world, partition)?.map_err(WorldError::Fatal)?;
                    return task(shared, partition, store, &position, world.steady());
                }
            }
        }
    }
    Err(WorldError::Fatal(format!(
        "partition {partition}: neither the local store nor the newest checkpoint fits its journal, and both are set aside; \
         the lines before say why"
    )))
}

type Opened<S> = (S, Option<Position>);

/// Opens the store and reads its position; the inner error is why it must be set aside.
fn open<W: World>(world: &mut W, partition: PartitionId) -> Result<Result<Opened<StoreOf<W>>, String>, WorldError> {
    let opened = world.stores().open(partition).and_then(|store| {
        let position = Cache::position(&store)?;
        // Read here as well, so that damage to it is seen as such.
        Cache::catalog(&store)?;
        Ok((store, position))
    });
    match opened {
        Ok(opened) => Ok(Ok(opened)),
        Err(error) if error.is_damage() => Ok(Err(error.to_string())),
        Err(error) => Err(unusable(partition, &error)),
    }
}

fn unusable(partition: PartitionId, error: &StoreError) -> WorldError {
    WorldError::Fatal(format!("partition {partition}: {error}"))
}

fn fetched<W: World>(world: &mut W, partition: PartitionId, newer_than: i64) -> Result<bool, WorldError> {
    let fetched = world.stores().fetch(partition, newer_than);
    match fetched.map_err(|error| WorldError::Transient(format!("its newest checkpoint: {error}")))? {
        Fetched::Ready => Ok(true),
        Fetched::None => Ok(false),
        Fetched::Pending => Err(WorldError::Pending("its newest checkpoint is being fetched".to_owned())),
    }
}

/// A task at a position, under the rules that were in force there.
///
/// # Errors
/// [`WorldError::Pending`] if the rules topic has not been read that far; [`WorldError::Fatal`] if it has others there, or
/// the store was written under event types that are not the ones of now.
pub fn task<S: Store>(
    shared: &Shared,
    partition: PartitionId,
    store: S,
    position: &Position,
    now: Millis,
) -> Result<Task<S>, WorldError> {
    let rules = restore::rules(shared, position.generation, position.sweep.is_some())?;
    if rules.current().fingerprint != position.rules {
        return Err(WorldError::Fatal(format!(
            "partition {partition}: generation {} of the rules has the fingerprint {}, but this state was made under {}: the \
             rules topic is not what it was. Bring its records back, or start anew with another `application` id",
            position.generation,
            rules.current().fingerprint,
            position.rules
        )));
    }
    let catalog = catalog_to_json(shared.schemas.catalog());
    let held = Cache::catalog(&store).map_err(|error| unusable(partition, &error))?;
    if let Some(held) = &held {
        let other = |reason| {
            WorldError::Fatal(format!(
                "partition {partition}: the store was written under other event schemas: {reason}"
            ))
        };
        let was = catalog_from_json(held).map_err(other)?;
        compatible(&was, shared.schemas.catalog()).map_err(other)?;
    }
    let mut task = Task::new(partition, shared, store, position, rules, now);
    if held.as_deref() != Some(&*catalog) {
        task.cache.set_catalog(catalog);
    }
    Ok(task)
}

/// Where a partition without a store begins: where its journal does, else at the start of its log.
fn beginning<W: World>(
    world: &mut W,
    shared: &Shared,
    partition: PartitionId,
    log: &Log,
) -> Result<Position, WorldError> {
    let first = world.journal(partition, log.journal.clone(), 1)?;
    let log_starts = starts(world, shared, partition)?;
    let Some(first) = first.first() else {
        look_beside(world, shared, partition)?;
        return Ok(nothing_done(shared, &log_starts));
    };
    let record = read(shared, partition, first)?;
    if !is_of(&record.from, shared) {
        return Err(WorldError::Fatal(other_topics(partition, &record.from, shared)));
    }
    if record.sequence != 1 {
        let what = format!("its journal begins at record number {}: retention has taken those before", record.sequence);
        return Err(WorldError::Fatal(gap(partition, &what, &shared.topics.join(" and "))));
    }
    let begins: Vec<Offset> = record.from.offsets.iter().map(|offset| offset.next).collect();
    if let Some((topic, begins, log_start)) = first_gone(shared, &begins, &log_starts) {
        let what = format!("its events from offset {begins} to {log_start} are gone");
        return Err(WorldError::Fatal(gap(partition, &what, topic)));
    }
    Ok(nothing_done(shared, &begins))
}

/// A partition that has no journal may be one that was added while nothing ran: the journal of the first one tells. If there
/// is a transaction under way, somebody has that partition, and has looked.
fn look_beside<W: World>(world: &mut W, shared: &Shared, partition: PartitionId) -> Result<(), WorldError> {
    const FIRST: PartitionId = 0;
    if partition == FIRST {
        return Ok(());
    }
    let bounds = match world.journal_bounds(FIRST) {
        Err(WorldError::Pending(_)) => return Ok(()),
        bounds => bounds?,
    };
    let found = world.journal(FIRST, bounds, 1)?;
    found.first().map_or(Ok(()), |found| read(shared, FIRST, found).map(drop))
}

/// The position before the first journal record, with nothing of the input dealt with before these offsets.
#[must_use]
pub fn nothing_done(shared: &Shared, begins: &[Offset]) -> Position {
    Position {
        inputs: shared.topics.iter().map(|topic| topic.as_str().into()).zip(begins.iter().copied()).collect(),
        journal_offset: -1,
        rules: shared.no_rules.fingerprint.clone(),
        context: shared.context.hash(),
        ..Position::default()
    }
}

/// What is missing, and the ways out.
fn gap(partition: PartitionId, what: &str, topic: &str) -> String {
    format!(
        "partition {partition} cannot be restored: {what}, and there is no store and no checkpoint that goes on from there. Put \
         back a store directory or a checkpoint (`tocsin checkpoint list`), or start anew from what is left of {topic} with \
         another `application` id; and raise retention.ms of both topics"
    )
}

/// Why a store may not be used, if so.
fn objection<W: World>(
    world: &mut W,
    shared: &Shared,
    partition: PartitionId,
    log: &Log,
    position: &Position,
) -> Result<Option<Objection>, WorldError> {
    let unfit = |reason: String| Ok(Some(Objection::Unfit(reason)));
    if !position.inputs.iter().map(|(topic, _)| &**topic).eq(shared.topics.iter().map(String::as_str)) {
        // Is it the store that is another's, or are the topics not those that the application began with?
        let first = world.journal(partition, log.journal.clone(), 1)?;
        let record = first.first().map(|first| read(shared, partition, first)).transpose()?;
        if let Some(record) = record.filter(|record| !is_of(&record.from, shared)) {
            return Err(WorldError::Fatal(other_topics(partition, &record.from, shared)));
        }
        let topics: Vec<_> = position.inputs.iter().map(|(topic, _)| &**topic).collect();
        return unfit(format!("it belongs to {}, not to {}", named(&topics), named(&shared.topics)));
    }
    let (offset, sequence) = (position.journal_offset, position.journal_sequence);
    if offset >= log.journal.end {
        if offset < world.journal_bounds(partition)?.end {
            // A checkpoint of somebody who owns the partition by now: what we know of the log is old.
            let what = format!("partition {partition} was published for by another member while it was restored here");
            return Err(WorldError::Unsettled(what));
        }
        return unfit(format!(
            "it was written behind the journal record at offset {offset}, but the journal ends at {}: it is of another \
             journal, or that one was made anew",
            log.journal.end
        ));
    }
    // The record it was written behind if that is still there, else the first one that is.
    let records = world.journal(partition, offset.max(log.journal.start)..log.journal.end, 1)?;
    let first = records.first().map(|first| read(shared, partition, first)).transpose()?;
    match (&first, records.first().is_some_and(|first| first.offset == offset)) {
        (Some(record), true) if !is_at(record, shared, position) => {
            return unfit(format!("the journal record at offset {offset} is not the one it was written behind"));
        }
        (Some(record), false)
            if record.sequence <= sequence || (record.sequence != sequence + 1 && offset >= log.journal.start) =>
        {
            return unfit(format!("the journal has no record at offset {offset}, behind which it was written"));
        }
        (Some(record), false) if record.sequence != sequence + 1 => {
            let what = format!(
                "its journal goes on at record number {}, and the local store ends at number {sequence}",
                record.sequence
            );
            return Ok(Some(Objection::Gap(gap(partition, &what, &shared.topics.join(" and ")))));
        }
        (Some(record), false) if !agrees(&record.from, shared, position) => {
            return unfit(format!("journal record number {} does not begin where it ends", record.sequence));
        }
        // Behind a record comes the marker of its transaction; if there is more, it may have been a record.
        (None, _) if offset < log.journal.start && offset + 2 < log.journal.end => return Ok(Some(Objection::Doubt)),
        _ => {}
    }
    let (next, log_starts): (Vec<_>, _) =
        (position.inputs.iter().map(|(_, next)| *next).collect(), starts(world, shared, partition)?);
    if let Some((topic, next, log_start)) = first_gone(shared, &next, &log_starts) {
        let what =
            format!("its events from offset {next} to {log_start} are gone, and the local store ends before them");
        return Ok(Some(Objection::Gap(gap(partition, &what, topic))));
    }
    Ok(None)
}

/// Whether a store at this position was written behind this journal record.
fn is_at(record: &JournalRecord, shared: &Shared, position: &Position) -> bool {
    record.sequence == position.journal_sequence && agrees(&record.to, shared, position)
}

fn agrees(place: &journal::Position, shared: &Shared, position: &Position) -> bool {
    let is_read_as_far = |(topic, next): &(Box<str>, Offset)| place.next(topic) == Some(*next);
    is_of(place, shared)
        && position.inputs.iter().all(is_read_as_far)
        && place.watermark == position.watermark
        && place.rules == position.generation
}

/// Whether a place is one in our input topics.
fn is_of(place: &journal::Position, shared: &Shared) -> bool {
    place.offsets.iter().map(|offset| &offset.topic).eq(&shared.topics)
}

fn other_topics(partition: PartitionId, place: &journal::Position, shared: &Shared) -> String {
    let topics: Vec<_> = place.offsets.iter().map(|offset| &offset.topic).collect();
    format!(
        "partition {partition}: the journal is of {}, not of {}. Give `topics.events` what the journal has, or, to start anew, \
         use another `application` id",
        named(&topics),
        named(&shared.topics)
    )
}

fn named<T: AsRef<str>>(topics: &[T]) -> String {
    let names: Vec<_> = topics.iter().map(|topic| format!("`{}`", topic.as_ref())).collect();
    match names.len() {
        0 => "no input topic".to_owned(),
        1 => format!("the topic {}", names[0]),
        _ => format!("the topics {}", names.join(", ")),
    }
}

/// The first offset that the log still has, of each input topic.
fn starts<W: World>(world: &mut W, shared: &Shared, partition: PartitionId) -> Result<Vec<Offset>, WorldError> {
    (0..shared.topics.len()).map(|topic| world.start_of(Source { topic, partition })).collect()
}

/// The first topic of which some is wanted that is gone: its name, what is wanted, and what there is.
fn first_gone<'a>(shared: &'a Shared, wanted: &[Offset], log_starts: &[Offset]) -> Option<(&'a str, Offset, Offset)> {
    let topics = shared.topics.iter().zip(wanted).zip(log_starts);
    let mut gone = topics.filter(|((_, wanted), start)| wanted < start);
    gone.next().map(|((topic, wanted), start)| (topic.as_str(), *wanted, *start))
}

/// # Errors
/// [`WorldError::Fatal`] if it is none that this version knows, or the input topics had another number of partitions.
pub fn read(shared: &Shared, partition: PartitionId, logged: &Logged) -> Result<JournalRecord, WorldError> {
    let record = JournalRecord::decode(&logged.payload).map_err(|error| {
        WorldError::Fatal(format!(
            "partition {partition}: the journal record at offset {} cannot be read: {error}",
            logged.offset
        ))
    })?;
    let (before, now) = (record.partitions, shared.partitions);
    match before.cmp(&now) {
        Ordering::Equal => Ok(record),
        Ordering::Less => Err(WorldError::Fatal(partitions_added(shared.topic(), before, now))),
        Ordering::Greater => Err(WorldError::Fatal(format!(
            "partition {partition}: the journal is of input topics with {before} partitions, and they have {now}: they were \
             made anew. Start on them with another `application` id"
        ))),
    }
}
