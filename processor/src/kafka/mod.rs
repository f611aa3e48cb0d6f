//! Kafka: the log that is the truth.
//!
//! ```text
//!  settings ── what a user may and may not set, and each client's settings
//!  topics ──── at start: are they there, and set up so that nothing is lost?
//!  world ───── what the loop sees of it all
//!    ├ group ────── the member of the consumer group: partitions that come and go, and their records
//!    ├ publisher ── the transactional producer
//!    ├ reader ───── journal and events, read again
//!    └ edges ────── where partitions begin and end
//!  browser ─── topics from outside, for tools
//!  feeder ──── made-up events into the events topic, for trials
//!  generations ── the topic of the rules: read, followed, written by one at a time
//!  native ──── reading in batches: librdkafka's C interface
//! ```
//!
//! What is not obvious, each told where it matters:
//! - librdkafka waits for the answer to a rebalance: partitions stay ours until they are released (`group::rebalance`).
//! - A batch with an end of partition in it makes librdkafka skip a record at the next rebalance (`group::rebalance`).
//! - A member that the group gave up can be back as another one, with partitions it owns no longer (`group::standing`).
//! - librdkafka repeats `EndTxn` in silence; only a debug line tells (`publisher::reports`).
//! - The broker fences a transaction that ran out of time as if another producer had come (`publisher::attempt`).
//! - Who reads committed records is told the last stable offset for the end (`edges`).

mod browser;
mod clock;
mod edges;
mod errors;
mod evidence;
pub mod feeder;
pub mod generations;
mod group;
mod log;
mod native;
mod publisher;
mod quiet;
mod reader;
mod settings;
pub mod topics;
mod world;

/// What decides without asking librdkafka, so that a simulation can run it over a broker of its own.
pub mod protocol {
    pub use super::clock::Moment;
    pub use super::group::assignment::Assignment;
    pub use super::group::standing::objection;
    pub use super::native::Membership;
    pub use super::publisher::{
        Addressed, Delivered, Maker, Mark, Member, Producer, Publisher, Reports, Trouble, Undelivered,
    };
}

pub use browser::{Browser, Extent};
pub use evidence::Evidence;
pub use settings::KafkaSettings;
pub use world::KafkaWorld;
