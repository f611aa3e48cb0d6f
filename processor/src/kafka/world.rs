//! The real world behind the loop: Kafka's log, a store for each partition, the machine's clock.

use std::ops::Range;
use std::time::{Duration, Instant};

use tocsin_core::time::Millis;

use super::clock::{self, Moment};
use super::edges::Edges;
use super::group::Group;
use super::publisher::{Librdkafka, Publisher};
use super::reader::{Reader, Stretch};
use super::settings::KafkaSettings;
use crate::task::headers::Headers;
use crate::task::world::{
    Arrival, Input, Logged, Offset, PartitionId, Rebalance, Source, Stores, Transaction, World, WorldError,
};

const TIDY_EVERY: Duration = Duration::from_secs(5);

/// One worker's view of Kafka. `T` has the stores of its partitions.
///
/// It tells again what was not answered: [`Rebalance::Assigned`] until [`World::start`], [`Rebalance::Revoked`] until
/// [`World::release`]. After [`WorldError::Unsettled`], which [`World::poll`] may return as well, all partitions count
/// as not started; and only then is a partition told as assigned that was started before.
pub struct KafkaWorld<T> {
    settings: KafkaSettings,
    // The producer goes first when all this is dropped: what it left open is then ended before others take over.
    publisher: Publisher<Librdkafka>,
    group: Group,
    /// Of the journal, and of the first input topic.
    reader: Reader,
    /// Of the further input topics: a replay goes through all of them side by side.
    further: Vec<Reader>,
    edges: Edges,
    tidied: Instant,
    stores: T,
}

impl<T> KafkaWorld<T> {
    /// Makes the clients. No broker is asked before the first call, and the group is joined by the first
    /// [`World::poll`].
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if the settings cannot be used.
    pub fn new(settings: KafkaSettings, stores: T) -> Result<Self, WorldError> {
        settings.check()?;
        Ok(Self {
            publisher: Publisher::new(&settings, Librdkafka),
            group: Group::new(&settings)?,
            reader: Reader::new(&settings)?,
            further: settings.further_topics.iter().map(|_| Reader::new(&settings)).collect::<Result<_, _>>()?,
            edges: Edges::new(&settings)?,
            tidied: Instant::now(),
            settings,
            stores,
        })
    }

    /// Our clock minus the broker's, in milliseconds, as little as the evidence allows: the times at which the broker
    /// appended the journal records of the last transaction. `None` before the first, and if the journal's topic does
    /// not have `message.timestamp.type=LogAppendTime`.
    pub fn broker_clock_skew(&self) -> Option<Millis> {
        self.publisher.skew().map(|skew| skew.at(&Moment::now()))
    }

    /// Log lines come through queues, also those of clients that nobody asks anything for days.
    fn tidy(&mut self) {
        if self.tidied.elapsed() > TIDY_EVERY {
            self.tidied = Instant::now();
            self.publisher.tidy();
            self.reader.tidy();
            self.further.iter().for_each(Reader::tidy);
            self.edges.tidy();
        }
    }

    /// The beginning of a partition to be started must still be there, and its end not before it.
    fn check_start(&self, source: Source, offset: Offset) -> Result<(), WorldError> {
        let (topic, partition) = (self.settings.input_topic(source.topic), source.partition);
        let bounds = self.edges.of(topic, partition)?;
        if (bounds.first..=bounds.end).contains(&offset) {
            return Ok(());
        }
        Err(WorldError::Fatal(format!(
            "partition {partition} of {topic} holds offsets {} to {}, but {offset} is to be read next: {}, or start anew \
             with another application name",
            bounds.first,
            bounds.end,
            if offset < bounds.first {
                "retention has taken events that were never judged; raise retention.ms of the topic"
            } else {
                "was the topic made anew? Bring its records back"
            }
        )))
    }
}

impl<T: Stores> World for KafkaWorld<T> {
    type Stores = T;

    fn stores(&mut self) -> &mut T {
        &mut self.stores
    }

    fn now(&self) -> Millis {
        clock::now()
    }

    fn steady(&self) -> Millis {
        clock::steady()
    }

    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        wanted: Option<&[Source]>,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<Option<Rebalance>, WorldError> {
        self.tidy();
        self.group.poll(&self.settings, max, wait, wanted, each)
    }

    fn start(&mut self, partitions: &[(PartitionId, Vec<Offset>)]) -> Result<(), WorldError> {
        self.reader.rest();
        self.further.iter_mut().for_each(Reader::rest);
        for (partition, offsets) in partitions {
            for (topic, offset) in offsets.iter().enumerate() {
                self.check_start(Source { topic, partition: *partition }, *offset)?;
            }
        }
        self.group.start(partitions)
    }

    fn release(&mut self, partitions: &[PartitionId]) -> Result<(), WorldError> {
        self.group.release(partitions)
    }

    fn publish(&mut self, transaction: &Transaction) -> Result<Vec<Offset>, WorldError> {
        let published = self.publisher.publish(&mut self.group, transaction);
        if published.is_err() {
            self.group.hold();
        }
        published
    }

    fn fence(&mut self) -> Result<(), WorldError> {
        if self.group.has_ended() {
            // Another process may go by our name, and would be fenced. What is at hand is of before: only once it is dropped
            // does the loop come to hear of that.
            return Err(WorldError::Unsettled("the group's client has ended".to_owned()));
        }
        let group = &mut self.group;
        self.publisher.fence(&mut || group.keep_alive())
    }

    fn check_clock(&mut self, partition: PartitionId) -> Result<(), WorldError> {
        self.publisher.check_clock(partition)
    }

    fn end_of(&mut self, source: Source) -> Result<Offset, WorldError> {
        Ok(self.edges.of(self.settings.input_topic(source.topic), source.partition)?.end)
    }

    fn start_of(&mut self, source: Source) -> Result<Offset, WorldError> {
        Ok(self.edges.of(self.settings.input_topic(source.topic), source.partition)?.first)
    }

    fn hold(&mut self) {
        self.group.hold();
    }

    fn committed(&mut self, source: Source) -> Result<Option<Offset>, WorldError> {
        self.group.committed(self.settings.input_topic(source.topic), source.partition)
    }

    fn replay(
        &mut self,
        source: Source,
        from: Offset,
        to: Offset,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), WorldError> {
        let (group, Source { topic, partition }) = (&mut self.group, source);
        let stretch = Stretch { topic: self.settings.input_topic(topic), partition, from, to };
        let further = topic.checked_sub(1).and_then(|further| self.further.get_mut(further));
        let reader = further.unwrap_or(&mut self.reader);
        reader.read(stretch, &self.edges, &mut || group.keep_alive(), &mut |record| {
            each(Input {
                topic,
                partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key,
                payload: record.payload,
                headers: Headers::default(),
            });
        })
    }

    fn journal_bounds(&mut self, partition: PartitionId) -> Result<Range<Offset>, WorldError> {
        self.reader.settled_bounds(&self.settings.journal_topic, partition, &self.edges)
    }

    fn journal(
        &mut self,
        partition: PartitionId,
        within: Range<Offset>,
        max: usize,
    ) -> Result<Vec<Logged>, WorldError> {
        let group = &mut self.group;
        let stretch = Stretch { topic: &self.settings.journal_topic, partition, from: within.start, to: within.end };
        let mut journal = Vec::new();
        self.reader.read_some(stretch, max, &self.edges, &mut || group.keep_alive(), &mut |record| {
            let payload = record.payload.unwrap_or_default().to_vec();
            journal.push(Logged { offset: record.offset, payload });
        })?;
        Ok(journal)
    }
}

impl<T> std::fmt::Debug for KafkaWorld<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaWorld")
            .field("settings", &self.settings)
            .field("group", &self.group)
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}
