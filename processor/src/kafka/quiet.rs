//! What librdkafka calls back for clients that only ask and read.

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::log;

/// Passes log lines on, and leaves errors to those who ask.
#[derive(Debug, Default)]
pub(super) struct QuietContext;

impl ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log::forward(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        log::statistics(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::debug!(target: "librdkafka", "{error}: {reason}");
        }
    }
}

impl ConsumerContext for QuietContext {}
