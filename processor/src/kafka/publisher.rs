//! The transactional producer: its making, its end, and the transactions in between.
//!
//! A producer is good until the first doubt. Then it is dropped, and its successor's `init_transactions` ends, on the
//! broker, whatever it had left open.

use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};
use tocsin_core::time::Millis;

use super::clock;
use super::errors::{self, Remedy, remedy};
use super::group::Group;
use super::settings::KafkaSettings;
use crate::task::world::{Offset, Transaction, WorldError};

mod attempt;
mod reports;

use attempt::{Attempt, Committed, Failure};
pub(in crate::kafka) use reports::Reports;

/// How long a transaction is tried again because the group moves on under it.
const GENERATION_PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries, unless our own client hears of the new generation before.
const GENERATION_PAUSE: Duration = Duration::from_millis(100);
/// Log lines served at a time while nothing is published.
const LINES_AT_ONCE: usize = 256;
/// How long `init_transactions` is tried.
const FENCE_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Publisher {
    settings: KafkaSettings,
    producer: Option<Live>,
    skew: Option<Millis>,
}

struct Live(BaseProducer<Reports>);

impl Publisher {
    pub fn new(settings: &KafkaSettings) -> Self {
        Self { settings: settings.clone(), producer: None, skew: None }
    }

    /// Our clock minus the broker's, as of the last transaction.
    pub fn skew(&self) -> Option<Millis> {
        self.skew
    }

    /// Ends what earlier producers of this id left open. Does nothing as long as the last producer is in good standing:
    /// then it was itself who did that, and none of its own transactions is open.
    pub fn fence(&mut self, keep_alive: &mut dyn FnMut() -> Result<(), WorldError>) -> Result<(), WorldError> {
        if self.producer.is_some() {
            return Ok(());
        }
        let started = Instant::now();
        let producer = self.make()?;
        init_transactions(&producer, &self.settings, keep_alive)?;
        let took_ms = started.elapsed().as_millis() as u64;
        tracing::info!(transactional_id = self.settings.transactional_id, took_ms, "producer ready");
        self.producer = Some(Live(producer));
        Ok(())
    }

    /// Serves what librdkafka has to tell while nothing is published, so that it does not pile up.
    pub fn tidy(&self) {
        let Some(Live(producer)) = &self.producer else { return };
        for _ in 0..LINES_AT_ONCE {
            if producer.in_flight_count() == 0 {
                break;
            }
            producer.poll(Duration::ZERO);
        }
    }

    /// Publishes a transaction, and returns the offsets of its journal records.
    pub fn publish(&mut self, group: &Group, transaction: &Transaction) -> Result<Vec<Offset>, WorldError> {
        if transaction.offsets.is_empty() {
            return Err(WorldError::Fatal(
                "a transaction without offsets would not be fenced: this is a mistake in tocsin, please report it"
                    .to_owned(),
            ));
        }
        let Some(Live(producer)) = self.producer.take() else {
            return Err(WorldError::Unsettled("there is no producer in good standing".to_owned()));
        };
        // Unless it is put back, the producer ends here.
        let outcome = self.try_generations(&producer, group, transaction);
        let (is_sound, outcome) = match outcome {
            Ok(offsets) => (true, Ok(offsets)),
            Err(Ended::Sound(message)) => (true, Err(WorldError::Unsettled(message))),
            Err(Ended::Broken(error)) => (false, Err(error)),
        };
        self.producer = is_sound.then_some(Live(producer));
        outcome
    }

    /// In a rebalance the broker refuses the generation of before, and the new one until it is complete. Our partitions
    /// are ours meanwhile: none goes before it is given back, and the metadata is checked anew each time.
    fn try_generations(
        &mut self,
        producer: &BaseProducer<Reports>,
        group: &Group,
        transaction: &Transaction,
    ) -> Result<Vec<Offset>, Ended> {
        let started = Instant::now();
        loop {
            let partitions = transaction.offsets.iter().map(|(partition, _)| *partition);
            let (metadata, generation) = group.standing(partitions).map_err(Ended::Sound)?;
            let attempt = Attempt::new(producer, &self.settings);
            match attempt.publish(transaction, &metadata) {
                Ok(committed) => return Ok(self.settle(&committed)),
                Err(Failure::Broken(error)) => return Err(Ended::Broken(error)),
                Err(Failure::Moved(message)) => {
                    Attempt::new(producer, &self.settings).abort().map_err(Ended::Broken)?;
                    if started.elapsed() > GENERATION_PATIENCE {
                        return Err(Ended::Sound(message));
                    }
                    tracing::info!(generation, "the group moved on: the transaction is published again as its member");
                    group.await_generation(generation, GENERATION_PAUSE);
                }
            }
        }
    }

    fn settle(&mut self, committed: &Committed) -> Vec<Offset> {
        let appended = committed.journal.iter().find_map(|record| Some((record.appended?, record.reported)));
        if let Some((appended, reported)) = appended {
            self.skew = Some(clock::skew(committed.journal_sent, appended, reported));
        }
        committed.journal.iter().map(|record| record.offset).collect()
    }

    fn make(&self) -> Result<BaseProducer<Reports>, WorldError> {
        let making = self.settings.publisher_client().create_with_context(Reports::default());
        let producer: BaseProducer<Reports> = making.map_err(|error| errors::making("producer", &error))?;
        // Else the first record of each topic waits for the topic to be known.
        for topic in [&self.settings.alerts_topic, &self.settings.dead_letters_topic, &self.settings.journal_topic] {
            if let Err(error) = producer.client().fetch_metadata(Some(topic), self.settings.request_timeout) {
                tracing::debug!(topic, %error, "topic not looked up in advance");
                break;
            }
        }
        Ok(producer)
    }
}

/// Takes the producer's transactional id: whatever another one has open is ended.
pub(super) fn init_transactions(
    producer: &BaseProducer<Reports>,
    settings: &KafkaSettings,
    keep_alive: &mut dyn FnMut() -> Result<(), WorldError>,
) -> Result<(), WorldError> {
    let started = Instant::now();
    loop {
        match producer.init_transactions(settings.request_timeout) {
            Ok(()) => return Ok(()),
            Err(error) if may_retry(&error) && started.elapsed() < FENCE_PATIENCE => {
                tracing::info!(%error, "waiting for the transaction coordinator");
            }
            Err(error) => {
                let what = format!("the transactional id `{}` was not taken", settings.transactional_id);
                return Err(errors::asking(what, &error));
            }
        }
        keep_alive()?;
    }
}

/// How an attempt ended that published nothing for sure.
enum Ended {
    /// Nothing was published, and the producer can go on.
    Sound(String),
    Broken(WorldError),
}

fn may_retry(error: &KafkaError) -> bool {
    let is_retriable = matches!(error, KafkaError::Transaction(error) if error.is_retriable());
    is_retriable
        || error.rdkafka_error_code().is_some_and(|code| remedy(code) == Remedy::Repeat && errors::is_transport(code))
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BaseProducer")
    }
}
