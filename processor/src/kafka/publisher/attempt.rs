//! One attempt to publish a transaction.
//!
//! ```text
//! begin ─> alerts, dead letters ─> drain ─> offsets ─> journal ─> drain ─> commit
//! ```
//!
//! Offsets go before the journal: a worker that the group has given up fails there, and cannot reach the journal of a
//! partition that has a new owner. Everything is drained before it is waited for: `commit_transaction` would sleep 100 ms
//! for a single report that is outstanding.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use tocsin_core::time::Millis;

use super::producer::{Addressed, Producer, Trouble};
use super::reports::{Delivered, Mark, OUTPUT, Reports, Undelivered};
use crate::kafka::clock::Moment;
use crate::kafka::errors::{Remedy, remedy};
use crate::kafka::settings::KafkaSettings;
use crate::task::world::{Outgoing, PartitionId, Transaction, WorldError};

/// Beyond the transaction timeout, so that the broker's verdict on a late transaction still reaches us.
const GRACE: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(1);

/// Why a transaction was not published.
#[derive(Debug)]
pub(super) enum Failure {
    /// The group has another generation by now. The transaction can be aborted, and the producer is sound.
    Moved(String),
    /// The group takes another client for the member that we are. The transaction can be aborted, and the producer is sound.
    Replaced(String),
    /// The producer is of no more use.
    Broken(WorldError),
}

/// What is known of a transaction whose records the broker has.
#[derive(Debug)]
pub(super) struct Appended {
    pub journal: Vec<Delivered>,
    /// By our clock, before the first journal record was handed over.
    pub journal_sent: Millis,
    /// When all of it was known.
    pub found: Moment,
}

pub(super) struct Attempt<'a, P> {
    producer: &'a P,
    settings: &'a KafkaSettings,
    began: Moment,
}

impl<'a, P: Producer> Attempt<'a, P> {
    pub fn new(producer: &'a P, settings: &'a KafkaSettings) -> Self {
        Self { producer, settings, began: producer.now() }
    }

    pub fn publish(&self, transaction: &Transaction, group: &P::Membership) -> Result<Appended, Failure> {
        // Reports and troubles of before must not be taken for this transaction's.
        self.serve()?;
        self.reports().begin(transaction.journal.len());
        self.producer.begin_transaction().map_err(|error| self.failed("begin the transaction", &error))?;
        for alert in &transaction.alerts {
            self.send_output(&self.settings.alerts_topic, alert)?;
        }
        for letter in &transaction.dead_letters {
            self.send_output(&self.settings.dead_letters_topic, letter)?;
        }
        self.drain()?;
        self.send_offsets(transaction, group)?;
        let journal_sent = self.producer.now().wall;
        for (index, (partition, payload)) in transaction.journal.iter().enumerate() {
            self.send_journal(*partition, payload, index + 1)?;
        }
        self.drain()?;
        self.producer
            .commit_transaction(self.remaining())
            .map_err(|error| self.failed("commit the transaction", &error))?;
        self.drain()?;
        if let Some(trouble) = self.reports().trouble() {
            return Err(self.unsettled(format!("it was committed, but a connection broke meanwhile: {trouble}")));
        }
        let journal = self.reports().journal();
        let journal =
            journal.ok_or_else(|| self.unsettled("the broker did not report every journal record".to_owned()))?;
        Ok(Appended { journal, journal_sent, found: self.producer.now() })
    }

    /// Has the broker stamp a record that no reader of committed records will see.
    pub fn probe(&self, partition: PartitionId) -> Result<Appended, Failure> {
        self.serve()?;
        self.reports().begin(1);
        self.producer.begin_transaction().map_err(|error| self.failed("begin the transaction", &error))?;
        let journal_sent = self.producer.now().wall;
        self.send_journal(partition, &[], 1)?;
        self.drain()?;
        let (journal, found) = (self.reports().journal(), self.producer.now());
        let journal = journal.ok_or_else(|| self.unsettled("the broker did not report the record".to_owned()))?;
        self.abort().map_err(Failure::Broken)?;
        Ok(Appended { journal, journal_sent, found })
    }

    /// Gives up a transaction that the group did not take, so that the producer can begin another.
    pub fn abort(&self) -> Result<(), WorldError> {
        let aborted = self.producer.abort_transaction(self.remaining());
        let aborted = aborted.map_err(|error| self.failed("abort the transaction", &error));
        let aborted = aborted.and_then(|()| self.serve());
        match (aborted, self.reports().trouble()) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(trouble)) => Err(WorldError::Unsettled(format!("a connection broke: {trouble}"))),
            (Err(Failure::Broken(error)), _) => Err(error),
            (Err(Failure::Moved(message) | Failure::Replaced(message)), _) => Err(WorldError::Unsettled(message)),
        }
    }

    fn send_output(&self, topic: &str, record: &Outgoing) -> Result<(), Failure> {
        let Outgoing { key, payload, headers } = record;
        // Without a key any partition will do; an empty one would send all of them to the same.
        self.send(&Addressed { topic, partition: None, key, payload: payload.as_deref(), headers, mark: OUTPUT })
    }

    fn send_journal(&self, partition: PartitionId, payload: &[u8], mark: Mark) -> Result<(), Failure> {
        let topic = &self.settings.journal_topic;
        let (partition, payload) = (Some(partition), Some(payload));
        self.send(&Addressed { topic, partition, key: &[], payload, headers: &[], mark })
    }

    fn send(&self, record: &Addressed<'_>) -> Result<(), Failure> {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err(Trouble { code: Some(RDKafkaErrorCode::QueueFull), .. }) => {
                    self.check_time()?;
                    self.producer.poll(TICK);
                }
                Err(trouble) => {
                    return Err(self.undelivered(&Undelivered {
                        topic: record.topic.to_owned(),
                        partition: record.partition.unwrap_or(-1),
                        bytes: record.payload.map_or(0, <[u8]>::len) + record.key.len(),
                        trouble,
                    }));
                }
            }
        }
    }

    fn send_offsets(&self, transaction: &Transaction, group: &P::Membership) -> Result<(), Failure> {
        let named = transaction.offsets.iter().map(|(source, next)| {
            let topic = self.settings.input_topic(source.topic);
            (topic, source.partition, *next)
        });
        let offsets: Vec<_> = named.collect();
        self.producer
            .send_offsets(&offsets, group, self.remaining())
            .map_err(|error| self.failed("send the offsets", &error))
    }

    /// Waits until the broker has taken everything that was sent.
    fn drain(&self) -> Result<(), Failure> {
        self.serve()?;
        self.reports().undelivered().map_or(Ok(()), |undelivered| Err(self.undelivered(&undelivered)))
    }

    /// Waits until everything that was sent has its report, and serves what else librdkafka has to tell.
    fn serve(&self) -> Result<(), Failure> {
        while self.producer.in_flight() > 0 {
            self.check_time()?;
            self.producer.poll(TICK);
        }
        Ok(())
    }

    fn reports(&self) -> &Reports {
        self.producer.reports()
    }

    fn limit(&self) -> Duration {
        self.settings.transaction_timeout + GRACE
    }

    /// What is left of the time for this transaction; some, in any case, for a call that has no time never begins.
    fn remaining(&self) -> Duration {
        self.limit().saturating_sub(self.elapsed()).max(Duration::from_millis(100))
    }

    fn check_time(&self) -> Result<(), Failure> {
        if self.elapsed() <= self.limit() {
            return Ok(());
        }
        let seconds = self.elapsed().as_secs();
        Err(self.unsettled(format!("the broker did not answer within {seconds} s")))
    }

    fn elapsed(&self) -> Duration {
        self.producer.now().steady.duration_since(self.began.steady)
    }

    /// How long ago this began at the most: the wall clock goes on while a machine is suspended.
    fn age(&self) -> Duration {
        let by_wall_clock = u64::try_from(self.producer.now().wall - self.began.wall).unwrap_or(0);
        self.elapsed().max(Duration::from_millis(by_wall_clock))
    }

    fn unsettled(&self, message: String) -> Failure {
        tracing::debug!(transactional_id = self.settings.transactional_id, message, "transaction failed");
        Failure::Broken(WorldError::Unsettled(message))
    }

    fn undelivered(&self, undelivered: &Undelivered) -> Failure {
        let Undelivered { topic, partition, bytes, trouble } = undelivered;
        // librdkafka names no partition for what it refuses itself.
        let place = if *partition < 0 { topic.clone() } else { format!("partition {partition} of {topic}") };
        self.failed(&format!("write a record of {bytes} bytes to {place}"), trouble)
    }

    fn failed(&self, action: &str, error: &Trouble) -> Failure {
        let what = format!("could not {action}: {error}");
        let Some(code) = error.code else { return self.unsettled(what) };
        match remedy(code) {
            _ if code == RDKafkaErrorCode::FencedInstanceId && error.requires_abort => Failure::Replaced(what),
            Remedy::Somebody(advice) => Failure::Broken(WorldError::Fatal(format!("{what}: {advice}"))),
            // The broker fences a transaction that it has timed out just as one that another producer ended. Within
            // the timeout it can only be the latter.
            Remedy::Yield if self.age() < self.settings.transaction_timeout => {
                let id = &self.settings.transactional_id;
                Failure::Broken(WorldError::Fenced(format!(
                    "{what}: another producer uses the transactional id `{id}`: give each instance a name of its own"
                )))
            }
            Remedy::Rejoin if error.requires_abort => Failure::Moved(what),
            Remedy::Yield | Remedy::Rejoin | Remedy::Repeat => self.unsettled(what),
        }
    }
}

#[cfg(test)]
mod tests;
