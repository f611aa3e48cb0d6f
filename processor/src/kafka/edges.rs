//! Where partitions begin and end, as their brokers have it now.
//!
//! What a client takes for the end depends on its isolation level. Asked by a reader of committed records, the broker
//! answers with the last stable offset; the high watermark it tells only to those who would read everything.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::errors;
use super::quiet::QuietContext;
use super::settings::KafkaSettings;
use crate::task::world::{Offset, PartitionId, WorldError};

/// Log lines served at a time.
const LINES_AT_ONCE: usize = 16;

/// How long brokers may take to tell of a topic anew.
const REFRESH: Duration = Duration::from_secs(1);

/// First offset that is kept, and the one after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub first: Offset,
    /// The high watermark: open transactions included.
    pub end: Offset,
}

pub(super) struct Edges {
    client: BaseConsumer<QuietContext>,
    timeout: Duration,
}

impl Edges {
    pub fn new(settings: &KafkaSettings) -> Result<Self, WorldError> {
        let made = settings.edges_client().create_with_context(QuietContext);
        let client = made.map_err(|error| errors::making("client that asks for offsets", &error))?;
        Ok(Self { client, timeout: settings.request_timeout })
    }

    /// Serves log lines and errors, none of which needs an answer, so that they do not pile up.
    pub fn tidy(&self) {
        for _ in 0..LINES_AT_ONCE {
            drop(self.client.poll(Duration::ZERO));
        }
    }

    pub fn of(&self, topic: &str, partition: PartitionId) -> Result<Bounds, WorldError> {
        match watermarks(&self.client, topic, partition, self.timeout) {
            Ok((first, end)) => Ok(Bounds { first, end }),
            Err(error) => Err(errors::asking(format_args!("the bounds of partition {partition} of {topic}"), &error)),
        }
    }
}

/// The first offset of a partition, and its end as the client sees it.
///
/// librdkafka goes by what it was last told of the topic. A broker that has just come up may have told of a partition
/// without a leader, or not of all partitions, and librdkafka believes that for minutes, or for ever if the topic is not one
/// that the client reads. So where that may be why it fails, it is told to ask again before the next try.
pub(super) fn watermarks<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    topic: &str,
    partition: PartitionId,
    timeout: Duration,
) -> Result<(Offset, Offset), KafkaError> {
    let error = match client.fetch_watermarks(topic, partition, timeout) {
        Ok(bounds) => return Ok(bounds),
        Err(error) => error,
    };
    let is_answer = error.rdkafka_error_code().is_none_or(|code| {
        !errors::is_missing(code)
            && !matches!(code, RDKafkaErrorCode::LeaderNotAvailable | RDKafkaErrorCode::NotLeaderForPartition)
            && !errors::is_transport(code)
    });
    if !is_answer && let Err(error) = client.fetch_metadata(Some(topic), timeout.min(REFRESH)) {
        tracing::debug!(topic, %error, "nobody tells of the topic");
    }
    Err(error)
}

impl std::fmt::Debug for Edges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edges")
    }
}
