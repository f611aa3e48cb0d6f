//! What the publisher needs of a transactional producer, and as whom it publishes.
//!
//! librdkafka is behind it; the simulation puts a producer of its own there, so that the rules of [`super`] meet every way
//! in which a broker can answer.

use std::borrow::Cow;
use std::time::Duration;

use super::reports::{Mark, Reports};
use crate::kafka::clock::Moment;
use crate::kafka::settings::KafkaSettings;
use crate::task::world::{Offset, PartitionId, WorldError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// A transactional producer. Its calls mean what librdkafka's of the same name do.
pub trait Producer {
    /// As whom offsets are sent.
    type Membership;

    /// # Errors
    /// See [`Trouble`].
    fn init_transactions(&self, patience: Duration) -> Result<(), Trouble>;

    /// # Errors
    /// See [`Trouble`].
    fn begin_transaction(&self) -> Result<(), Trouble>;

    /// Hands a record over; what becomes of it is reported.
    ///
    /// # Errors
    /// [`RDKafkaErrorCode::QueueFull`] if it may be handed over later.
    fn send(&self, record: &Addressed<'_>) -> Result<(), Trouble>;

    /// Records that have no report yet, and what else there is to serve.
    fn in_flight(&self) -> usize;

    /// Serves reports, waiting up to `wait` for one.
    fn poll(&self, wait: Duration);

    /// Offsets of partitions of topics.
    ///
    /// # Errors
    /// See [`Trouble`].
    fn send_offsets(
        &self,
        offsets: &[(&str, PartitionId, Offset)],
        membership: &Self::Membership,
        patience: Duration,
    ) -> Result<(), Trouble>;

    /// # Errors
    /// See [`Trouble`].
    fn commit_transaction(&self, patience: Duration) -> Result<(), Trouble>;

    /// # Errors
    /// See [`Trouble`].
    fn abort_transaction(&self, patience: Duration) -> Result<(), Trouble>;

    fn reports(&self) -> &Reports;

    fn now(&self) -> Moment;
}

/// Makes producers.
pub trait Maker {
    type Producer: Producer;

    /// # Errors
    /// [`WorldError::Fatal`] if the settings cannot be used.
    fn make(&self, settings: &KafkaSettings) -> Result<Self::Producer, WorldError>;
}

/// The member of the group that publishes.
pub trait Member<M> {
    /// As whom to publish for these partitions, and the group's generation.
    ///
    /// # Errors
    /// Why not to.
    fn standing(&self, partitions: impl Iterator<Item = PartitionId>) -> Result<(M, i32), String>;

    /// Waits a while for our client to hear of another generation than this one.
    fn await_generation(&self, after: i32, patience: Duration);

    /// The broker says that another client is this member now.
    fn replaced(&mut self, message: &str);
}

/// A record and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Addressed<'a> {
    pub topic: &'a str,
    /// `None`: where the key belongs.
    pub partition: Option<PartitionId>,
    /// Empty: none.
    pub key: &'a [u8],
    pub payload: Option<&'a [u8]>,
    pub headers: &'a [(Cow<'static, str>, Vec<u8>)],
    pub mark: Mark,
}

/// Why a call failed, as far as that decides what comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub code: Option<RDKafkaErrorCode>,
    pub text: String,
    /// The transaction can be aborted, and the producer is then as good as before.
    pub requires_abort: bool,
    pub is_retriable: bool,
}

impl From<&KafkaError> for Trouble {
    fn from(error: &KafkaError) -> Self {
        let (requires_abort, is_retriable) = match error {
            KafkaError::Transaction(error) => (error.txn_requires_abort() && !error.is_fatal(), error.is_retriable()),
            _ => (false, false),
        };
        Self { code: error.rdkafka_error_code(), text: error.to_string(), requires_abort, is_retriable }
    }
}

impl From<KafkaError> for Trouble {
    fn from(error: KafkaError) -> Self {
        Self::from(&error)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
