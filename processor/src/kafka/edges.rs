//! Where partitions begin and end, as their brokers have it now.
//!
//! What a client takes for the end depends on its isolation level. Asked by a reader of committed records, the broker
//! answers with the last stable offset; the high watermark it tells only to those who would read everything.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::errors;
use super::quiet::QuietContext;
use super::settings::KafkaSettings;
use crate::task::world::{Offset, PartitionId, WorldError};

/// Log lines served at a time.
const LINES_AT_ONCE: usize = 16;

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
        match self.client.fetch_watermarks(topic, partition, self.timeout) {
            Ok((first, end)) => Ok(Bounds { first, end }),
            Err(error) => Err(errors::asking(format_args!("the bounds of partition {partition} of {topic}"), &error)),
        }
    }
}

impl std::fmt::Debug for Edges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edges")
    }
}
