//! What librdkafka calls back for the producer: what became of each record, and broken connections.
//!
//! librdkafka repeats a request whose connection broke before the answer, `EndTxn` among them, and says nothing. Without
//! KIP-890 a copy that is late can end the *next* transaction. Its error events are no help: a connection that is closed
//! under a request raises none, and identical ones are held back for 30 s. So the producer runs with `debug=broker`,
//! and each of its `FAIL` lines counts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, Timestamp};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tocsin_core::time::Millis;

use crate::kafka::{clock, log};
use crate::task::world::{Offset, PartitionId};

/// Mark of a record: 0 for outputs, for journal records their place in the transaction plus one.
pub(in crate::kafka) type Mark = usize;

/// The mark of all records whose offset nobody asks for.
pub(super) const OUTPUT: Mark = 0;

/// A journal record that the broker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kafka) struct Delivered {
    pub offset: Offset,
    /// By the broker's clock, if it stamps the topic's records.
    pub appended: Option<Millis>,
    /// By ours, when we heard of it.
    pub reported: Millis,
}

/// A record that the broker does not have, or that nobody knows of.
#[derive(Clone, Debug)]
pub(in crate::kafka) struct Undelivered {
    pub topic: String,
    pub partition: PartitionId,
    pub bytes: usize,
    pub error: KafkaError,
}

#[derive(Debug, Default)]
pub(in crate::kafka) struct Reports {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    journal: Vec<Option<Delivered>>,
    undelivered: Option<Undelivered>,
    trouble: Option<String>,
}

impl Reports {
    /// Forgets what came before; a transaction with so many journal records begins.
    pub fn begin(&self, journal_records: usize) {
        *self.state() = State { journal: vec![None; journal_records], ..State::default() };
    }

    /// The first record that was not delivered.
    pub fn undelivered(&self) -> Option<Undelivered> {
        self.state().undelivered.clone()
    }

    /// The first connection that broke.
    pub fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    /// The journal records in the order they were given, if all were delivered.
    pub fn journal(&self) -> Option<Vec<Delivered>> {
        self.state().journal.iter().copied().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn troubled(&self, what: &str) {
        self.state().trouble.get_or_insert_with(|| what.to_owned());
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "FAIL" {
            self.troubled(message);
        }
        log::forward(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        log::statistics(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // A fatal error is the outcome of a call as well, and told apart there.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::Fatal) {
            self.troubled(reason);
        }
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Mark;

    fn delivery(&self, result: &DeliveryResult<'_>, mark: Mark) {
        let mut state = self.state();
        match result {
            Ok(message) => {
                let Some(place) = mark.checked_sub(1).and_then(|index| state.journal.get_mut(index)) else { return };
                let appended = match message.timestamp() {
                    Timestamp::LogAppendTime(time) => Some(time),
                    Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
                };
                *place = Some(Delivered { offset: message.offset(), appended, reported: clock::now() });
            }
            Err((error, message)) => {
                state.undelivered.get_or_insert_with(|| Undelivered {
                    topic: message.topic().to_owned(),
                    partition: message.partition(),
                    bytes: message.payload_len() + message.key_len(),
                    error: error.clone(),
                });
            }
        }
    }
}
