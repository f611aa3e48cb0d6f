//! Kafka: the log that is the truth.
//!
//! ```text
//!  settings ── one file for what a user may and may not set
//!  topics ──── at start: are they there, and set up so that nothing is lost?  (topic_rules)
//!  world ───── what the loop sees of it all
//!    ├ group ────── the member of the consumer group    (group_context, assignment, standing; native: unsafe)
//!    ├ publisher ── the transactional producer          (attempt, reports; clock)
//!    ├ reader ───── journal and events, read again
//!    └ edges ────── where partitions begin and end
//! ```
//!
//! What is not obvious, each told where it matters:
//! - librdkafka waits for the answer to a rebalance, so partitions stay ours until they are released ([`world`]).
//! - A member that the group gave up can be back, as another member, with partitions it no longer owns (`standing`).
//! - librdkafka repeats `EndTxn` in silence; only a debug line tells (`reports`).
//! - The broker fences a transaction that ran out of time as if another producer had come (`attempt`).
//! - Who reads committed records is told the last stable offset for the end (`edges`).

mod assignment;
mod attempt;
mod clock;
mod edges;
mod errors;
mod group;
mod group_context;
mod log;
mod native;
mod publisher;
mod reader;
mod reports;
mod settings;
mod standing;
mod topic_rules;
pub mod topics;
mod world;

pub use settings::KafkaSettings;
pub use world::KafkaWorld;
