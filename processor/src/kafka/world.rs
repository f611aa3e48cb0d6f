//! The real world behind the loop: Kafka's log, a store for each partition, the machine's clock.

use std::time::{Duration, Instant};

use tocsin_core::time::Millis;

use super::clock;
use super::edges::Edges;
use super::group::Group;
use super::publisher::Publisher;
use super::reader::{Reader, Stretch};
use super::settings::KafkaSettings;
use crate::store::{Store, StoreError};
use crate::task::world::{Arrival, Input, Logged, Offset, PartitionId, Rebalance, Transaction, World, WorldError};

/// How long, beyond the transaction timeout, another producer's transaction may hide a partition's offset: its broker
/// looks for those that have run out of time every ten seconds by default.
const ABORT_MARGIN: Duration = Duration::from_secs(20);

const TIDY_EVERY: Duration = Duration::from_secs(5);

/// One worker's view of Kafka. `O` opens the store of a partition.
///
/// It tells again what was not answered: [`Rebalance::Assigned`] until [`World::start`], [`Rebalance::Revoked`] until
/// [`World::release`]. After [`WorldError::Unsettled`], which [`World::poll`] may return as well, all partitions count
/// as not started; and only then is a partition told as assigned that was started before.
pub struct KafkaWorld<O> {
    settings: KafkaSettings,
    // The producer goes first when all this is dropped: what it left open is then ended before others take over.
    publisher: Publisher,
    group: Group,
    reader: Reader,
    edges: Edges,
    tidied: Instant,
    open: O,
}

impl<S, O> KafkaWorld<O>
where
    S: Store,
    O: FnMut(PartitionId) -> Result<S, StoreError>,
{
    /// Makes the clients. No broker is asked before the first call, and the group is joined by the first
    /// [`World::poll`].
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if the settings cannot be used.
    pub fn new(settings: KafkaSettings, open: O) -> Result<Self, WorldError> {
        settings.check()?;
        Ok(Self {
            publisher: Publisher::new(&settings),
            group: Group::new(&settings)?,
            reader: Reader::new(&settings)?,
            edges: Edges::new(&settings)?,
            tidied: Instant::now(),
            settings,
            open,
        })
    }

    /// Our clock minus the broker's, in milliseconds, as little as the evidence allows: the times at which the broker
    /// appended the journal records of the last transaction. `None` before the first, and if the journal's topic does
    /// not have `message.timestamp.type=LogAppendTime`.
    pub fn broker_clock_skew(&self) -> Option<Millis> {
        self.publisher.skew()
    }

    /// Counts all partitions as not started, so that they are told as assigned again: for a loop that has dropped its
    /// tasks for a reason of its own.
    pub fn restart(&mut self) {
        self.group.hold();
    }
}

impl<O> KafkaWorld<O> {
    /// Log lines come through queues, also those of clients that nobody asks anything for days.
    fn tidy(&mut self) {
        if self.tidied.elapsed() > TIDY_EVERY {
            self.tidied = Instant::now();
            self.publisher.tidy();
            self.reader.tidy();
            self.edges.tidy();
        }
    }

    /// The beginning of a partition to be started must still be there, and its end not before it.
    fn check_start(&self, partition: PartitionId, offset: Offset) -> Result<(), WorldError> {
        let bounds = self.edges.of(&self.settings.events_topic, partition)?;
        if (bounds.first..=bounds.end).contains(&offset) {
            return Ok(());
        }
        Err(WorldError::Fatal(format!(
            "partition {partition} of {} holds offsets {} to {}, but {offset} is to be read next: {}, or start anew with \
             another application name",
            self.settings.events_topic,
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

impl<S, O> World for KafkaWorld<O>
where
    S: Store,
    O: FnMut(PartitionId) -> Result<S, StoreError>,
{
    type Store = S;

    fn now(&self) -> Millis {
        clock::now()
    }

    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<Option<Rebalance>, WorldError> {
        self.tidy();
        self.group.poll(max, wait, each)
    }

    fn start(&mut self, partitions: &[(PartitionId, Offset)]) -> Result<(), WorldError> {
        self.reader.rest();
        for (partition, offset) in partitions {
            self.check_start(*partition, *offset)?;
        }
        self.group.start(partitions)
    }

    fn release(&mut self, partitions: &[PartitionId]) -> Result<(), WorldError> {
        self.group.release(partitions)
    }

    fn publish(&mut self, transaction: &Transaction) -> Result<Vec<Offset>, WorldError> {
        let published = self.publisher.publish(&self.group, transaction);
        if published.is_err() {
            self.group.hold();
        }
        published
    }

    fn fence(&mut self) -> Result<(), WorldError> {
        let group = &mut self.group;
        self.publisher.fence(&mut || group.keep_alive())
    }

    fn end_of(&mut self, partition: PartitionId) -> Result<Offset, WorldError> {
        if let Some(objection) = self.broker_clock_skew().and_then(clock::objection) {
            tracing::debug!(partition, objection, "the clock is off");
            return Err(WorldError::ClockOff);
        }
        Ok(self.edges.of(&self.settings.events_topic, partition)?.end)
    }

    fn start_of(&mut self, partition: PartitionId) -> Result<Offset, WorldError> {
        Ok(self.edges.of(&self.settings.events_topic, partition)?.first)
    }

    fn committed(&mut self, partition: PartitionId) -> Result<Option<Offset>, WorldError> {
        self.group.committed(partition, self.settings.transaction_timeout + ABORT_MARGIN)
    }

    fn replay(
        &mut self,
        partition: PartitionId,
        from: Offset,
        to: Offset,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), WorldError> {
        let group = &mut self.group;
        let stretch = Stretch { topic: &self.settings.events_topic, partition, from, to };
        self.reader.read(stretch, &self.edges, &mut || group.keep_alive(), &mut |record| {
            each(Input {
                partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key,
                payload: record.payload,
            });
        })
    }

    fn journal_after(&mut self, partition: PartitionId, offset: Offset) -> Result<Vec<Logged>, WorldError> {
        let started = Instant::now();
        let group = &mut self.group;
        let topic = &self.settings.journal_topic;
        let to = self.reader.stable_end(topic, partition, &self.edges, &mut || group.keep_alive())?;
        if offset >= to {
            return Err(WorldError::Fatal(format!(
                "partition {partition} of {topic} ends at offset {to}, but the store was written behind its record at \
                 {offset}: was the topic made anew? Bring its records back, or start anew with another application name"
            )));
        }
        let mut journal = Vec::new();
        let stretch = Stretch { topic, partition, from: offset + 1, to };
        self.reader.read(stretch, &self.edges, &mut || group.keep_alive(), &mut |record| {
            let payload = record.payload.unwrap_or_default().to_vec();
            journal.push(Logged { offset: record.offset, payload });
        })?;
        let took_ms = started.elapsed().as_millis() as u64;
        tracing::debug!(partition, after = offset, records = journal.len(), took_ms, "journal read");
        Ok(journal)
    }

    fn open(&mut self, partition: PartitionId) -> Result<S, WorldError> {
        Ok((self.open)(partition)?)
    }
}

impl<O> std::fmt::Debug for KafkaWorld<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaWorld")
            .field("settings", &self.settings)
            .field("group", &self.group)
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}
