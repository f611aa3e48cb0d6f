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

use super::producer::Trouble;
use crate::kafka::{clock, log};
use crate::task::world::{Offset, PartitionId};

/// Mark of a record: 0 for outputs, for journal records their place in the transaction plus one.
pub type Mark = usize;

/// The mark of all records whose offset nobody asks for.
pub(super) const OUTPUT: Mark = 0;

/// A journal record that the broker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub offset: Offset,
    /// By the broker's clock, if it stamps the topic's records.
    pub appended: Option<Millis>,
    /// By ours, when we heard of it.
    pub reported: Millis,
}

/// A record that the broker does not have, or that nobody knows of.
#[derive(Clone, Debug)]
pub struct Undelivered {
    pub topic: String,
    pub partition: PartitionId,
    pub bytes: usize,
    pub trouble: Trouble,
}

/// What has become of the records of a transaction, and of the connections meanwhile.
#[derive(Debug, Default)]
pub struct Reports {
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

    /// A record was written.
    pub fn delivered(&self, mark: Mark, delivered: Delivered) {
        let mut state = self.state();
        let place = mark.checked_sub(1).and_then(|index| state.journal.get_mut(index));
        if let Some(place) = place {
            *place = Some(delivered);
        }
    }

    /// A record was not written, as far as we know.
    pub fn lost(&self, undelivered: Undelivered) {
        self.state().undelivered.get_or_insert(undelivered);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection broke.
    pub fn troubled(&self, what: &str) {
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
        match result {
            Ok(message) => {
                let appended = match message.timestamp() {
                    Timestamp::LogAppendTime(time) => Some(time),
                    Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
                };
                self.delivered(mark, Delivered { offset: message.offset(), appended, reported: clock::now() });
            }
            Err((error, message)) => self.lost(Undelivered {
                topic: message.topic().to_owned(),
                partition: message.partition(),
                bytes: message.payload_len() + message.key_len(),
                trouble: error.into(),
            }),
        }
    }
}
