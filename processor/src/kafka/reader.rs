//! Reads chosen stretches of partitions, committed records only: the journal for a restore, and events for a replay.
//!
//! A restore replays journal record by journal record, so mostly one stretch begins where the last one ended; the
//! reader then just reads on.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset as Position, TopicPartitionList};

use super::edges::{self, Edges};
use super::errors;
use super::native::{BatchConsumer, Item, Record};
use super::quiet::QuietContext;
use super::settings::KafkaSettings;
use crate::task::world::{Offset, PartitionId, WorldError};

const BATCH: usize = 10_000;
const WAIT: Duration = Duration::from_millis(100);
/// How long a stretch may bring nothing, with the broker there to be asked.
const PATIENCE: Duration = Duration::from_secs(30);
/// Log lines served at a time while nothing is read.
const LINES_AT_ONCE: usize = 16;
/// Between two lines about a long read.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Called now and then while a read goes on.
pub(super) type KeepAlive<'a> = &'a mut dyn FnMut() -> Result<(), WorldError>;

/// A stretch of a partition: from the first offset up to, not including, the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch<'a> {
    pub topic: &'a str,
    pub partition: PartitionId,
    pub from: Offset,
    pub to: Offset,
}

pub(super) struct Reader {
    client: BatchConsumer<QuietContext>,
    cursor: Option<Cursor>,
    /// Topics that the client has asked a broker about.
    known: BTreeSet<String>,
    settings: KafkaSettings,
}

/// Where the reader stands: the next item of its queue is the first at or after `position`.
#[derive(Debug)]
struct Cursor {
    topic: String,
    partition: PartitionId,
    position: Offset,
    started: Instant,
    reported: Instant,
    records: u64,
}

/// Where a read ended.
#[derive(Clone, Copy, Debug)]
enum Reached {
    End,
    /// As many records as were wanted; more may follow.
    Max,
}

impl Reader {
    pub fn new(settings: &KafkaSettings) -> Result<Self, WorldError> {
        let made = settings.reader_client().create_with_context(QuietContext);
        let consumer: BaseConsumer<QuietContext> = made.map_err(|error| errors::making("reader", &error))?;
        let client = BatchConsumer::new(consumer)
            .ok_or_else(|| WorldError::Fatal("librdkafka has no memory for a queue".to_owned()))?;
        Ok(Self { client, cursor: None, known: BTreeSet::new(), settings: settings.clone() })
    }

    /// Reads a stretch whose end is known to be stable. Offsets have gaps, so records are those at or after `from` and
    /// before `to`.
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if its beginning is gone, or its end is not there.
    pub fn read(
        &mut self,
        stretch: Stretch<'_>,
        edges: &Edges,
        keep_alive: KeepAlive<'_>,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), WorldError> {
        self.read_some(stretch, usize::MAX, edges, keep_alive, each)
    }

    /// As [`Reader::read`], but no more than the first `max` records.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn read_some(
        &mut self,
        stretch: Stretch<'_>,
        max: usize,
        edges: &Edges,
        keep_alive: KeepAlive<'_>,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), WorldError> {
        if stretch.from >= stretch.to || max == 0 {
            return Ok(());
        }
        let read = self.aim(stretch, edges).and_then(|()| self.read_on(stretch, max, edges, keep_alive, each));
        match (&mut self.cursor, &read) {
            (Some(cursor), Ok(Reached::End)) => cursor.position = stretch.to,
            (Some(_), Ok(Reached::Max)) => {}
            // What was taken from the queue does not come again by itself.
            _ => self.rest(),
        }
        read.map(drop)
    }

    /// The first offset and the end of a partition, once no open transaction hides a record before it.
    ///
    /// # Errors
    /// [`WorldError::Pending`] while one does.
    pub fn settled_bounds(
        &self,
        topic: &str,
        partition: PartitionId,
        edges: &Edges,
    ) -> Result<Range<Offset>, WorldError> {
        // In this order: what was open when the end was asked for is settled if the stable end has come that far.
        let bounds = edges.of(topic, partition)?;
        let stable = self.stable_offset(topic, partition)?;
        if stable >= bounds.end {
            return Ok(bounds.first..bounds.end);
        }
        Err(WorldError::Pending(format!(
            "an open transaction: partition {partition} of {topic} is stable up to offset {stable} only, of {}. If that stays \
             so, find it with kafka-transactions.sh find-hanging and abort it",
            bounds.end
        )))
    }

    /// Stops fetching, and gives back the memory of what was fetched in advance.
    pub fn rest(&mut self) {
        if self.cursor.take().is_some() {
            self.client.clear();
            if let Err(error) = self.client.consumer().unassign() {
                tracing::debug!(%error, "the reader keeps its partition");
            }
        }
    }

    /// Serves what librdkafka has to tell while nothing is read, so that it does not pile up.
    pub fn tidy(&self) {
        for _ in 0..LINES_AT_ONCE {
            drop(self.client.consumer().poll(Duration::ZERO));
        }
    }

    fn read_on(
        &mut self,
        stretch: Stretch<'_>,
        max: usize,
        edges: &Edges,
        keep_alive: KeepAlive<'_>,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Reached, WorldError> {
        let mut last_item = Instant::now();
        let mut left = max;
        loop {
            if let Some(reached) = self.take_batch(stretch, &mut left, each)? {
                return Ok(reached);
            }
            keep_alive()?;
            self.serve(stretch)?;
            self.report();
            if self.client.fill(BATCH, WAIT) > 0 {
                last_item = Instant::now();
            } else if last_item.elapsed() > PATIENCE {
                return Err(stalled(stretch, edges));
            }
        }
    }

    fn stable_offset(&self, topic: &str, partition: PartitionId) -> Result<Offset, WorldError> {
        Ok(self.stable_bounds(topic, partition)?.1)
    }

    /// The first offset of a partition, and its last stable one.
    pub fn stable_bounds(&self, topic: &str, partition: PartitionId) -> Result<(Offset, Offset), WorldError> {
        let bounds = edges::watermarks(self.client.consumer(), topic, partition, self.settings.request_timeout);
        bounds
            .map_err(|error| errors::asking(format_args!("the stable end of partition {partition} of {topic}"), &error))
    }

    /// To ask what does not concern what is being read.
    pub fn consumer(&self) -> &BaseConsumer<QuietContext> {
        self.client.consumer()
    }

    /// Makes the next item the first at or after the beginning of the stretch.
    fn aim(&mut self, stretch: Stretch<'_>, edges: &Edges) -> Result<(), WorldError> {
        let Stretch { topic, partition, from, .. } = stretch;
        let is_here = self.cursor.as_ref().is_some_and(|cursor| cursor.topic == topic && cursor.partition == partition);
        if is_here && self.cursor.as_ref().is_some_and(|cursor| cursor.position == from) {
            return Ok(());
        }
        let first = edges.of(topic, partition)?.first;
        if first > from {
            return Err(gone(stretch, first));
        }
        self.client.clear();
        if !self.known.contains(topic) {
            // The first fetch of a topic that the client does not know would wait for up to a second.
            self.stable_offset(topic, partition)?;
            self.known.insert(topic.to_owned());
        }
        let aimed = if is_here { self.seek(stretch) } else { self.assign(stretch) };
        aimed.map_err(|error| errors::asking(format_args!("reading partition {partition} of {topic}"), &error))?;
        let now = Instant::now();
        let topic = topic.to_owned();
        self.cursor = Some(Cursor { topic, partition, position: from, started: now, reported: now, records: 0 });
        Ok(())
    }

    fn assign(&mut self, stretch: Stretch<'_>) -> Result<(), KafkaError> {
        let Stretch { topic, partition, from, .. } = stretch;
        self.cursor = None;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Position::Offset(from))?;
        // Before, so that no record takes another way; and after, as what ends an earlier assignment of the same
        // partition also ends its forwarding, and comes before the new assignment at the latest.
        self.client.forward(topic, partition);
        self.client.consumer().assign(&list)?;
        self.client.forward(topic, partition);
        Ok(())
    }

    fn seek(&self, stretch: Stretch<'_>) -> Result<(), KafkaError> {
        let until = Instant::now() + self.settings.request_timeout;
        loop {
            let mut list = TopicPartitionList::with_capacity(1);
            list.add_partition_offset(stretch.topic, stretch.partition, Position::Offset(stretch.from))?;
            let list = self.client.consumer().seek_partitions(list, self.settings.request_timeout)?;
            match list.elements().iter().find_map(|element| element.error().err()) {
                None => return Ok(()),
                Some(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                Some(error) => return Err(error),
            }
        }
    }

    /// Hands out what has come; returns how far that is if it is far enough.
    fn take_batch(
        &mut self,
        stretch: Stretch<'_>,
        left: &mut usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Option<Reached>, WorldError> {
        while let Some(item) = self.client.peek() {
            match item {
                // It stays in the batch: the next stretch may begin with it.
                Item::Record(record) if record.offset >= stretch.to => return Ok(Some(Reached::End)),
                Item::Record(record) => {
                    let next = record.offset + 1;
                    let is_last = next == stretch.to;
                    if record.offset >= stretch.from {
                        *left -= 1;
                        each(record);
                    }
                    self.client.advance();
                    if let Some(cursor) = &mut self.cursor {
                        cursor.position = next;
                        cursor.records += 1;
                    }
                    if is_last {
                        return Ok(Some(Reached::End));
                    }
                    if *left == 0 {
                        return Ok(Some(Reached::Max));
                    }
                }
                Item::End { offset, .. } => {
                    self.client.advance();
                    if offset >= stretch.to {
                        return Ok(Some(Reached::End));
                    }
                }
                Item::Failed { partition, code, message } => {
                    // Some failures come late, of a place that was left long since.
                    let is_ours = partition == stretch.partition && !errors::is_passing(code);
                    let failed = is_ours.then(|| errors::reading(stretch.topic, partition, code, &message));
                    self.client.advance();
                    if let Some(error) = failed {
                        return Err(error);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Serves errors and log lines.
    fn serve(&self, stretch: Stretch<'_>) -> Result<(), WorldError> {
        match self.client.consumer().poll(Duration::ZERO) {
            None | Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => Ok(()),
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(code) if code == RDKafkaErrorCode::PartitionEOF || errors::is_transport(code) => Ok(()),
                _ => Err(errors::asking(format_args!("reading {}", stretch.topic), &error)),
            },
        }
    }

    fn report(&mut self) {
        let Some(cursor) = &mut self.cursor else { return };
        if cursor.reported.elapsed() < REPORT_EVERY {
            return;
        }
        cursor.reported = Instant::now();
        let Cursor { topic, partition, position, records, .. } = &*cursor;
        let per_second = *records as f64 / cursor.started.elapsed().as_secs_f64();
        tracing::info!(topic, partition, position, records, per_second = per_second.round(), "reading the log again");
    }
}

fn gone(stretch: Stretch<'_>, first: Offset) -> WorldError {
    let Stretch { topic, partition, from, .. } = stretch;
    WorldError::Fatal(format!(
        "partition {partition} of {topic} begins at offset {first}, but offset {from} is wanted: retention or a deletion has \
         taken what lies between. Put back a newer checkpoint or store that needs less, or start anew with another \
         application name; and raise retention.ms of {topic}"
    ))
}

fn stalled(stretch: Stretch<'_>, edges: &Edges) -> WorldError {
    let Stretch { topic, partition, to, .. } = stretch;
    match edges.of(topic, partition) {
        Ok(bounds) if bounds.end < to => WorldError::Fatal(format!(
            "partition {partition} of {topic} ends at offset {}, but what lies up to {to} was read before: was the topic made \
             anew, or did an unclean leader election lose its end? Bring the records back, or start anew with another \
             application name",
            bounds.end
        )),
        Ok(_) => WorldError::Transient(format!(
            "partition {partition} of {topic} has brought nothing for {} s, before offset {to}",
            PATIENCE.as_secs()
        )),
        Err(error) => error,
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}
