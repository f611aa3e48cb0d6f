//! Publishes a generation of the rules, one writer at a time.
//!
//! A writer first takes the transactional id that all of them share. That ends whatever an earlier one had begun, so that
//! the topic has an end that nothing hides; and should another writer come before this one has committed, this one is
//! fenced. So between reading the newest generation and publishing the next one nobody else can have published.
//!
//! A producer publishes at most one generation. So what can spoil the next transaction of a producer that lives on (see
//! `publisher::reports`) is no concern here: a late `EndTxn` finds a producer of an older epoch.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::{GenerationsError, GenerationsReader, PARTITION, PublishedGeneration};
use crate::codec::generation::{RulesDocument, RulesFile};
use crate::kafka::clock;
use crate::kafka::errors::{self, Remedy, remedy};
use crate::kafka::publisher::{self, Reports, Trouble};
use crate::kafka::settings::KafkaSettings;
use crate::task::world::WorldError;

const TICK: Duration = Duration::from_millis(1);
/// Of the one journal-like record whose offset is asked for; see [`Reports`].
const MARK: usize = 1;

/// Rules that are to be published. Number and time are the writer's to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesDraft {
    pub fingerprint: String,
    /// `user@host`.
    pub applied_by: String,
    pub files: Vec<RulesFile>,
}

/// The right to publish the next generation, until another writer takes it.
pub struct GenerationsWriter {
    settings: KafkaSettings,
    producer: BaseProducer<Reports>,
    generations: Vec<PublishedGeneration>,
}

impl GenerationsWriter {
    /// Takes the right from whoever has it, and reads what has been published.
    ///
    /// # Errors
    /// If no broker answers, or the topic is damaged.
    pub fn open(settings: &KafkaSettings) -> Result<Self, GenerationsError> {
        let mut settings = settings.clone();
        settings.transactional_id = format!("{}.rules", settings.group);
        settings.check()?;
        let making = settings.publisher_client().create_with_context(Reports::default());
        let producer: BaseProducer<Reports> = making.map_err(|error| errors::making("producer of rules", &error))?;
        let init = |patience| Ok(producer.init_transactions(patience)?);
        publisher::init_transactions(init, Instant::now, &settings, &mut || Ok(()))?;
        let generations = GenerationsReader::new(&settings)?.read_all()?;
        Ok(Self { settings, producer, generations })
    }

    /// All generations, the newest last.
    #[must_use]
    pub fn generations(&self) -> &[PublishedGeneration] {
        &self.generations
    }

    /// Number of the generation that is published next.
    #[must_use]
    pub fn next_number(&self) -> i64 {
        self.generations.last().map_or(0, |newest| newest.document.generation) + 1
    }

    /// Publishes the next generation.
    ///
    /// # Errors
    /// [`WorldError::Fenced`] if another writer came in between: nothing is published. [`WorldError::Fatal`] if the
    /// record is too large, or must not be written. [`WorldError::Unsettled`] if nobody knows whether it was published.
    pub fn publish(self, draft: RulesDraft) -> Result<PublishedGeneration, WorldError> {
        let RulesDraft { fingerprint, applied_by, files } = draft;
        let (generation, applied_at) = (self.next_number(), clock::now());
        let document = RulesDocument { generation, fingerprint, applied_at, applied_by, files };
        let text = document.encode().map_err(|error| WorldError::Fatal(error.to_string()))?;
        let started = Instant::now();
        self.producer.context().begin(MARK);
        self.producer.begin_transaction().map_err(|error| self.failed("begin the transaction", &error.into()))?;
        let (topic, key) = (&self.settings.rules_topic, document.key());
        let record = BaseRecord::with_opaque_to(topic, MARK).partition(PARTITION).key(&key).payload(&text);
        if let Err((error, _)) = self.producer.send(record) {
            return Err(self.unsent(text.len(), &error.into()));
        }
        self.drain(started)?;
        if let Some(undelivered) = self.producer.context().undelivered() {
            return Err(self.unsent(text.len(), &undelivered.trouble));
        }
        let remaining = self.settings.transaction_timeout.saturating_sub(started.elapsed()).max(Duration::from_secs(1));
        self.producer
            .commit_transaction(remaining)
            .map_err(|error| self.failed("commit the transaction", &error.into()))?;
        let delivered = self.producer.context().journal().and_then(|records| records.first().copied());
        let offset = delivered.map_or(-1, |delivered| delivered.offset);
        Ok(PublishedGeneration { offset, document, text: text.into() })
    }

    /// Waits for the broker to have taken what was sent; `commit_transaction` would sleep for a report.
    fn drain(&self, started: Instant) -> Result<(), WorldError> {
        while self.producer.in_flight_count() > 0 {
            if started.elapsed() > self.settings.transaction_timeout {
                let seconds = started.elapsed().as_secs();
                return Err(WorldError::Transient(format!("the broker took no record within {seconds} s")));
            }
            self.producer.poll(TICK);
        }
        Ok(())
    }

    fn unsent(&self, bytes: usize, error: &Trouble) -> WorldError {
        let topic = &self.settings.rules_topic;
        match error.code {
            Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge) => {
                WorldError::Fatal(format!(
                    "a rule set of {bytes} bytes does not fit into a record of {topic}: raise max.message.bytes of that topic, \
                     and kafka.properties.message.max.bytes here, above that"
                ))
            }
            _ => self.failed(&format!("write to {topic}"), error),
        }
    }

    fn failed(&self, action: &str, error: &Trouble) -> WorldError {
        // What a call says of a producer that was fenced may only be that its records were thrown away.
        let fatal = self.producer.client().fatal_error();
        let (code, told) = match fatal {
            Some((code, told)) => (Some(code), told),
            None => (error.code, error.to_string()),
        };
        let what = format!("could not {action}: {told}");
        match code.map(remedy) {
            Some(Remedy::Yield) => WorldError::Fenced(what),
            Some(Remedy::Somebody(advice)) => WorldError::Fatal(format!("{what}: {advice}")),
            _ => WorldError::Unsettled(what),
        }
    }
}

impl std::fmt::Debug for GenerationsWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GenerationsWriter").field("next", &self.next_number()).finish_non_exhaustive()
    }
}
