//! librdkafka's transactional producer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as Librd};
use rdkafka::{Offset as Position, TopicPartitionList};

use super::clerk::Clerk;
use super::producer::{Addressed, Maker, Producer, Trouble};
use super::reports::{Mark, Reports};
use crate::kafka::clock::Moment;
use crate::kafka::errors;
use crate::kafka::settings::KafkaSettings;
use crate::task::world::{Offset, PartitionId, WorldError};

/// Between two looks for reports.
const NAP: Duration = Duration::from_micros(200);

/// Beyond the time that it is given, for a call to return.
const GRACE: Duration = Duration::from_secs(1);

/// A producer, and who sends its offsets.
pub struct Client {
    offsets: Clerk<Offsets, Result<(), KafkaError>>,
    producer: Arc<BaseProducer<Reports>>,
}

/// Offsets to be sent.
struct Offsets {
    list: TopicPartitionList,
    membership: Arc<ConsumerGroupMetadata>,
    patience: Duration,
}

/// Makes librdkafka's producers.
#[derive(Clone, Copy, Debug)]
pub struct Librdkafka;

impl Maker for Librdkafka {
    type Producer = Client;

    fn make(&self, settings: &KafkaSettings) -> Result<Client, WorldError> {
        let making = settings.publisher_client().create_with_context(Reports::default());
        let producer: BaseProducer<Reports> = making.map_err(|error| errors::making("producer", &error))?;
        // Else the first record of each topic waits for the topic to be known.
        for topic in [&settings.alerts_topic, &settings.dead_letters_topic, &settings.journal_topic] {
            if let Err(error) = producer.client().fetch_metadata(Some(topic), settings.request_timeout) {
                tracing::debug!(topic, %error, "topic not looked up in advance");
                break;
            }
        }
        let producer = Arc::new(producer);
        let sender = producer.clone();
        let offsets = Clerk::new("offsets", move |Offsets { list, membership, patience }| {
            sender.send_offsets_to_transaction(&list, &membership, patience)
        });
        let offsets =
            offsets.map_err(|error| WorldError::Fatal(format!("there is no thread for the producer: {error}")))?;
        Ok(Client { offsets, producer })
    }
}

impl Producer for Client {
    type Membership = Arc<ConsumerGroupMetadata>;

    fn init_transactions(&self, patience: Duration) -> Result<(), Trouble> {
        Ok(Librd::init_transactions(&*self.producer, patience)?)
    }

    fn begin_transaction(&self) -> Result<(), Trouble> {
        Ok(Librd::begin_transaction(&*self.producer)?)
    }

    fn send(&self, record: &Addressed<'_>) -> Result<(), Trouble> {
        let Addressed { topic, partition, key, payload, headers, mark } = *record;
        let mut message: BaseRecord<'_, [u8], [u8], Mark> = BaseRecord::with_opaque_to(topic, mark);
        (message.key, message.payload, message.partition) =
            (Some(key).filter(|key| !key.is_empty()), payload, partition);
        if !headers.is_empty() {
            let add = |owned: OwnedHeaders, (key, value): &(Cow<'_, str>, Vec<u8>)| {
                owned.insert(Header { key, value: Some(value) })
            };
            message.headers = Some(headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), add));
        }
        self.producer.send(message).map_err(|(error, _)| error.into())
    }

    fn in_flight(&self) -> usize {
        usize::try_from(self.producer.in_flight_count()).unwrap_or(0)
    }

    /// rdkafka would sit the time out, whatever comes, and spin through its last millisecond.
    fn poll(&self, wait: Duration) {
        let (until, outstanding) = (Instant::now() + wait, Producer::in_flight(self));
        self.producer.poll(Duration::ZERO);
        while Producer::in_flight(self) == outstanding && Instant::now() < until {
            std::thread::sleep(NAP);
            self.producer.poll(Duration::ZERO);
        }
    }

    fn send_offsets(
        &self,
        offsets: &[(&str, PartitionId, Offset)],
        membership: &Arc<ConsumerGroupMetadata>,
        patience: Duration,
    ) -> Result<(), Trouble> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (topic, partition, offset) in offsets {
            list.add_partition_offset(topic, *partition, Position::Offset(*offset))?;
        }
        let sent = self.offsets.have_done(Offsets { list, membership: membership.clone(), patience }, patience + GRACE);
        let is_stuck = || Trouble {
            code: Some(RDKafkaErrorCode::OperationTimedOut),
            text: format!("librdkafka has not returned after {} s", (patience + GRACE).as_secs()),
            requires_abort: false,
            is_retriable: false,
        };
        Ok(sent.ok_or_else(is_stuck)??)
    }

    fn commit_transaction(&self, patience: Duration) -> Result<(), Trouble> {
        Ok(Librd::commit_transaction(&*self.producer, patience)?)
    }

    fn abort_transaction(&self, patience: Duration) -> Result<(), Trouble> {
        Ok(Librd::abort_transaction(&*self.producer, patience)?)
    }

    fn reports(&self) -> &Reports {
        self.producer.context()
    }

    fn now(&self) -> Moment {
        Moment::now()
    }
}
