//! librdkafka's transactional producer.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as Librd};
use rdkafka::{Offset as Position, TopicPartitionList};

use super::producer::{Addressed, Maker, Producer, Trouble};
use super::reports::{Mark, Reports};
use crate::kafka::clock::Moment;
use crate::kafka::errors;
use crate::kafka::settings::KafkaSettings;
use crate::task::world::{Offset, PartitionId, WorldError};

/// Between two looks for reports.
const NAP: Duration = Duration::from_micros(200);

/// Makes librdkafka's producers.
#[derive(Clone, Copy, Debug)]
pub struct Librdkafka;

impl Maker for Librdkafka {
    type Producer = BaseProducer<Reports>;

    fn make(&self, settings: &KafkaSettings) -> Result<BaseProducer<Reports>, WorldError> {
        let making = settings.publisher_client().create_with_context(Reports::default());
        let producer: BaseProducer<Reports> = making.map_err(|error| errors::making("producer", &error))?;
        // Else the first record of each topic waits for the topic to be known.
        for topic in [&settings.alerts_topic, &settings.dead_letters_topic, &settings.journal_topic] {
            if let Err(error) = producer.client().fetch_metadata(Some(topic), settings.request_timeout) {
                tracing::debug!(topic, %error, "topic not looked up in advance");
                break;
            }
        }
        Ok(producer)
    }
}

impl Producer for BaseProducer<Reports> {
    type Membership = ConsumerGroupMetadata;

    fn init_transactions(&self, patience: Duration) -> Result<(), Trouble> {
        Ok(Librd::init_transactions(self, patience)?)
    }

    fn begin_transaction(&self) -> Result<(), Trouble> {
        Ok(Librd::begin_transaction(self)?)
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
        BaseProducer::send(self, message).map_err(|(error, _)| error.into())
    }

    fn in_flight(&self) -> usize {
        usize::try_from(self.in_flight_count()).unwrap_or(0)
    }

    /// rdkafka would sit the time out, whatever comes, and spin through its last millisecond.
    fn poll(&self, wait: Duration) {
        let (until, outstanding) = (Instant::now() + wait, Producer::in_flight(self));
        BaseProducer::poll(self, Duration::ZERO);
        while Producer::in_flight(self) == outstanding && Instant::now() < until {
            std::thread::sleep(NAP);
            BaseProducer::poll(self, Duration::ZERO);
        }
    }

    fn send_offsets(
        &self,
        topic: &str,
        offsets: &[(PartitionId, Offset)],
        membership: &ConsumerGroupMetadata,
        patience: Duration,
    ) -> Result<(), Trouble> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            list.add_partition_offset(topic, *partition, Position::Offset(*offset))?;
        }
        Ok(self.send_offsets_to_transaction(&list, membership, patience)?)
    }

    fn commit_transaction(&self, patience: Duration) -> Result<(), Trouble> {
        Ok(Librd::commit_transaction(self, patience)?)
    }

    fn abort_transaction(&self, patience: Duration) -> Result<(), Trouble> {
        Ok(Librd::abort_transaction(self, patience)?)
    }

    fn reports(&self) -> &Reports {
        self.context()
    }

    fn now(&self) -> Moment {
        Moment::now()
    }
}
