//! Several input topics: each partition is read by itself, from a queue of its own, so that whoever merges them reads what
//! it lacks, and librdkafka holds back the rest.
//!
//! The group is subscribed to the first topic. The partitions of the others are assigned by hand, to a consumer that is in
//! no group, from where they are to be read, when the partition of the first is started; and taken away when that one is
//! held, or goes. A subscribed consumer is not asked for that: what its rebalances give and take is all it has.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset as Position, TopicPartitionList};

use super::Group;
use crate::kafka::errors;
use crate::kafka::native::{BatchConsumer, Item};
use crate::kafka::quiet::QuietContext;
use crate::kafka::settings::KafkaSettings;
use crate::task::headers::Headers;
use crate::task::world::{Arrival, Input, Offset, PartitionId, Source, WorldError};

/// Records of a partition at a time, if many are wanted.
const LEAST: usize = 64;
/// There is no waiting for many queues at once: one is waited for, for so long, then another.
const NAP: Duration = Duration::from_millis(5);
/// Errors and log lines served at a time.
const EVENTS_AT_ONCE: usize = 16;

/// The further input topics of a member.
pub(super) struct Companions {
    client: BatchConsumer<QuietContext>,
    /// In the order of the settings, from the second on.
    topics: Vec<String>,
    /// The next offset of each topic, of the partitions that are read.
    running: BTreeMap<PartitionId, Vec<Offset>>,
}

/// A partition that brings nothing more.
struct Failed {
    code: RDKafkaErrorCode,
    message: String,
}

impl Companions {
    /// `None` if there is one input topic only.
    pub fn new(settings: &KafkaSettings) -> Result<Option<Self>, WorldError> {
        if settings.further_topics.is_empty() {
            return Ok(None);
        }
        let made = settings.companion_client().create_with_context(QuietContext);
        let consumer: BaseConsumer<QuietContext> = made.map_err(|error| errors::making("consumer", &error))?;
        let client = BatchConsumer::new(consumer)
            .ok_or_else(|| WorldError::Fatal("librdkafka has no memory for a queue".to_owned()))?;
        Ok(Some(Self { client, topics: settings.further_topics.clone(), running: BTreeMap::new() }))
    }

    /// Reads a partition of each topic from these offsets on.
    pub fn start(&mut self, partition: PartitionId, offsets: &[Offset]) -> Result<(), WorldError> {
        self.stop(&[partition]);
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (topic, offset) in self.topics.iter().zip(offsets) {
            list.add_partition_offset(topic, partition, Position::Offset(*offset))
                .map_err(|error| WorldError::Fatal(format!("offset {offset} of partition {partition}: {error}")))?;
        }
        // Before, so that no record takes another way; and after, as what ends an earlier assignment of the same
        // partition also ends its forwarding.
        let sources = sources(partition, self.topics.len());
        let ready = sources.iter().zip(&self.topics).all(|(source, topic)| self.client.set_apart(topic, *source));
        let assigned = self.client.consumer().incremental_assign(&list);
        assigned.map_err(|error| errors::asking("partitions of further topics are not taken", &error))?;
        let again = sources.iter().zip(&self.topics).all(|(source, topic)| self.client.set_apart_again(topic, *source));
        self.running.insert(partition, offsets.to_vec());
        if ready && again {
            return Ok(());
        }
        self.stop(&[partition]);
        Err(WorldError::Transient(format!("partition {partition} of a further topic has no queue")))
    }

    pub fn stop(&mut self, partitions: &[PartitionId]) {
        for &partition in partitions {
            if self.running.remove(&partition).is_none() {
                continue;
            }
            let mut list = TopicPartitionList::with_capacity(self.topics.len());
            for topic in &self.topics {
                list.add_partition(topic, partition);
            }
            if let Err(error) = self.client.consumer().incremental_unassign(&list) {
                tracing::debug!(partition, %error, "partitions of further topics are fetched on");
            }
            for source in sources(partition, self.topics.len()) {
                self.client.drop_apart(source);
            }
        }
    }

    /// Serves errors and log lines; whether a record came as well, past the queue of its partition.
    pub fn serve(&self) -> Result<bool, WorldError> {
        for _ in 0..EVENTS_AT_ONCE {
            match self.client.consumer().poll(Duration::ZERO) {
                None => break,
                Some(Ok(_)) => return Ok(true),
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(code) if code == RDKafkaErrorCode::PartitionEOF || errors::is_transport(code) => {}
                    _ => return Err(errors::asking("reading the further topics", &error)),
                },
            }
        }
        Ok(false)
    }
}

fn sources(partition: PartitionId, many: usize) -> Vec<Source> {
    (1..=many).map(|topic| Source { topic, partition }).collect()
}

impl Group {
    /// Hands out what has come from these, at most about `max` records, waiting up to `wait` for the first.
    pub(super) fn read_apart(
        &mut self,
        max: usize,
        wait: Duration,
        wanted: &[Source],
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<(), WorldError> {
        if let Some(companions) = &self.companions
            && companions.serve()?
        {
            // What comes behind it would be read as if nothing were missing.
            self.hold();
            return Err(WorldError::Unsettled("a record of a further topic came past its queue".to_owned()));
        }
        let runs: Vec<Source> =
            wanted.iter().copied().filter(|source| self.assignment.runs(source.partition)).collect();
        let (share, until) = ((max / runs.len().max(1)).max(LEAST), Instant::now() + wait);
        for turn in 0.. {
            let mut any = false;
            for source in &runs {
                any |= self.read_source(*source, share, Duration::ZERO, each)?;
            }
            let left = until.saturating_duration_since(Instant::now()).min(NAP);
            if any || left.is_zero() {
                break;
            }
            match runs.get(turn % runs.len().max(1)) {
                Some(source) if self.read_source(*source, share, left, each)? => break,
                Some(_) => {}
                None => std::thread::sleep(left),
            }
        }
        Ok(())
    }

    /// Hands out what has come from one; whether that was anything.
    fn read_source(
        &mut self,
        source: Source,
        max: usize,
        wait: Duration,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<bool, WorldError> {
        let partition = source.partition;
        let Some(mut next) = self.assignment.next(partition) else { return Ok(false) };
        let further = source.topic.checked_sub(1);
        let (name, found) = if let (Some(companions), Some(further)) = (&mut self.companions, further) {
            let next = companions.running.get_mut(&partition).and_then(|running| running.get_mut(further));
            let (Some(next), Some(name)) = (next, companions.topics.get(further)) else { return Ok(false) };
            (name, hand_out(&mut companions.client, source, name, (max, wait), next, each))
        } else {
            let found = hand_out(&mut self.client, source, &self.topic, (max, wait), &mut next, each);
            self.assignment.advance(partition, next);
            (&self.topic, found)
        };
        let Failed { code, message } = match found {
            Ok(any) => return Ok(any),
            Err(failed) => failed,
        };
        let error = match further {
            None if errors::is_astray(code) => {
                self.stray(partition, &message);
                return Ok(false);
            }
            // It is assigned anew when the partition is started; that tells if anything is really gone.
            Some(_) if errors::is_astray(code) => WorldError::Unsettled(format!("reading {name}: {message}")),
            _ => errors::reading(name, partition, code, &message),
        };
        self.hold();
        Err(error)
    }
}

/// Hands out what the queue of one partition has; whether that was anything. `next` goes on with it.
fn hand_out<C: ConsumerContext>(
    client: &mut BatchConsumer<C>,
    source: Source,
    name: &str,
    (max, wait): (usize, Duration),
    next: &mut Offset,
    each: &mut dyn FnMut(Arrival<'_>),
) -> Result<bool, Failed> {
    let Source { topic, partition } = source;
    let count = client.fill_apart(source, max, wait);
    let (mut failed, mut headers, mut ended) = (None, Vec::new(), None);
    while let Some(item) = client.peek() {
        match item {
            // librdkafka may have skipped what it could not read.
            _ if failed.is_some() => {}
            Item::Record(record) => {
                (*next, ended) = (record.offset + 1, None);
                each(Arrival::Record(Input {
                    topic,
                    partition,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key,
                    payload: record.payload,
                    headers: Headers::pack(record.headers.iter(), &mut headers),
                }));
            }
            Item::End { offset, .. } => {
                *next = offset.max(*next);
                ended = Some(*next);
            }
            Item::Failed { code, message, .. } if errors::is_passing(code) => tracing::warn!(partition, "{message}"),
            Item::Failed { code, message, .. } => failed = Some(Failed { code, message }),
        }
        client.advance();
    }
    if let Some(failed) = failed {
        return Err(failed);
    }
    // The answer that brought the last record said where the end is, if nothing is behind it; librdkafka tells of the end
    // with the next answer only, for which others would have to wait.
    let is_all = count > 0 && client.end_seen(name, partition) == Some(*next);
    if is_all || ended.is_some() {
        each(Arrival::End { topic, partition, offset: *next, is_all });
    }
    Ok(count > 0)
}
