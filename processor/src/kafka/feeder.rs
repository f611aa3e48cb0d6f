//! A producer of events, for trials and measurements. Not for anybody's real events.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use tocsin_core::time::Millis;

use super::{KafkaSettings, errors, log};
use crate::partitioner::Partitioner;
use crate::task::world::WorldError;

/// How long the last records may take to be acknowledged.
const LAST_RECORDS: Duration = Duration::from_mins(1);
/// Records between two looks at what has been acknowledged.
const LOOK_EVERY: u32 = 1_000;

/// Sends records to the events topic, each to the partition of its customer.
pub struct Feeder<'a> {
    producer: BaseProducer<Deliveries>,
    topic: &'a str,
    partitions: i32,
    partitioner: Partitioner,
    unseen: u32,
}

impl<'a> Feeder<'a> {
    /// # Errors
    /// If the settings make no producer.
    pub fn new(settings: &'a KafkaSettings, partitions: i32, partitioner: Partitioner) -> Result<Self, WorldError> {
        let producer = BaseProducer::from_config_and_context(&settings.feeder_client(), Deliveries::default())
            .map_err(|error| errors::making("producer", &error))?;
        Ok(Self { producer, topic: &settings.events_topic, partitions, partitioner, unseen: 0 })
    }

    /// Hands an event over; waits while librdkafka has no room for it.
    ///
    /// # Errors
    /// If an earlier one could not be delivered, or this one is refused.
    pub fn send(&mut self, customer_id: &str, payload: &[u8], at: Millis) -> Result<(), WorldError> {
        let partition = self.partitioner.partition(customer_id.as_bytes(), self.partitions);
        let mut record =
            BaseRecord::to(self.topic).partition(partition).key(customer_id).payload(payload).timestamp(at);
        self.unseen += 1;
        if self.unseen == LOOK_EVERY {
            self.unseen = 0;
            self.look(Duration::ZERO)?;
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    self.look(Duration::from_millis(5))?;
                    record = again;
                }
                Err((error, _)) => return Err(errors::asking("an event was not produced", &error)),
            }
        }
    }

    /// Waits until every event is acknowledged.
    ///
    /// # Errors
    /// If one of them could not be delivered.
    pub fn finish(self) -> Result<(), WorldError> {
        let flushed = self.producer.flush(LAST_RECORDS);
        self.look(Duration::ZERO)?;
        flushed.map_err(|error| errors::asking("the last events were not acknowledged", &error))
    }

    fn look(&self, wait: Duration) -> Result<(), WorldError> {
        self.producer.poll(wait);
        let failed = self.producer.context().0.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), |error| Err(errors::asking("an event was not delivered", &error)))
    }
}

impl std::fmt::Debug for Feeder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feeder").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// Keeps the first failure until somebody asks.
#[derive(Debug, Default)]
struct Deliveries(Mutex<Option<KafkaError>>);

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log::forward(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = delivered {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}
