//! What operators see: log lines and metrics.
//!
//! Whatever is worth noticing is a struct here, and its `emit` both writes the line and counts the metric, so that the
//! two cannot disagree. (Vector's internal events gave the idea.) What only has a size, such as the time a poll took,
//! is set on [`Metrics`] directly.
//!
//! Labels are bounded: they are static texts, or names taken from what the program itself holds, an [`EventType`] of
//! the catalog, a [`Rule`] of the rule set, an assigned partition. Nothing from an event becomes a label, and no
//! customer's id gets into a line. Lines that a flood of records could repeat are throttled; metrics count them all.
//!
//! [`EventType`]: tocsin_core::event::EventType
//! [`Rule`]: tocsin_core::rule::Rule

mod alerts;
mod assignment;
mod checkpoint;
mod idle;
mod input;
pub mod logging;
mod metrics;
mod partitions;
mod registrar;
mod rules;
mod store;
mod throttle;
mod transactions;

#[cfg(test)]
mod tests;

pub use alerts::{AlertPublished, ItemRefused};
pub use assignment::{PartitionAssigned, PartitionRevoked, Rebalanced, RestoreDone, WorkerDied};
pub use checkpoint::{
    CheckpointFailed, CheckpointFailure, CheckpointFetched, CheckpointPrefetched, CheckpointRefused,
    CheckpointSuperseded, CheckpointTaken, CheckpointUploaded,
};
pub use idle::{FeedBroken, FeedRestored, IdleAdvanced, IdleRefusal, IdleRefused, TopicLags};
pub use input::{
    DeadLettered, DuplicateEvent, EventCounters, FieldsIgnored, LateEvent, MixedPartitioners, TooOldEvent,
};
pub use metrics::Metrics;
pub use partitions::PartitionGauges;
pub use rules::{GenerationRead, RulesAdopted, RulesUnreachable, RulesUnusable};
pub use store::{ReplayDiverged, StoreBroken, StoreSetAside, StoreWritten};
pub use transactions::{FailedOutcome, TransactionCommitted, TransactionFailed};
