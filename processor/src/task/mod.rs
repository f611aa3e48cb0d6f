//! The loop: poll, apply, publish, write behind; restore; idle.
//!
//! A *task* is one partition: its customers, its watermark, its place in the log. A *worker* is a thread with the tasks
//! that are assigned to it and one transaction at a time for all of them. Both see the rest of the world through
//! [`world::World`] alone, so that a simulated one can be put in its place.

mod adoption;
mod base;
pub mod cache;
pub mod headers;
mod idle;
pub mod inbox;
mod intake;
mod lanes;
pub mod outbox;
mod partition_task;
pub mod recount;
mod replay;
mod restore;
mod restoring;
mod roll;
pub mod rulebook;
pub mod timers;
mod worker;
pub mod world;

use std::sync::Arc;

use tocsin_core::partition::TimeSettings;
use tocsin_core::time::Duration;

pub use intake::REFUSALS;
pub use partition_task::{Audience, Found, Task};
pub use replay::Events;
use rulebook::{Generation, Rulebook};
pub use worker::{Stop, Worker};
use world::TopicId;

use crate::codec::alert::AlertWriter;
use crate::codec::journal::Context;
use crate::codec::schemas::Schemas;
use crate::config::AlertsFormat;
use crate::partitioner::Partitioner;
use crate::telemetry::{EventCounters, Metrics};

/// Version of what the engine answers; raised by any change that can change an answer. A replay needs the one that judged.
pub const SEMANTICS_VERSION: i32 = 1;

/// What all tasks of a process share.
#[derive(Debug)]
pub struct Shared {
    pub application: String,
    pub instance: String,
    pub rulebook: Arc<Rulebook>,
    /// What a partition judges by before it has adopted any generation: no rule.
    pub no_rules: Arc<Generation>,
    /// All else that can change an answer.
    pub context: Context,
    pub schemas: Arc<Schemas>,
    pub writer: AlertWriter,
    pub alerts_format: AlertsFormat,
    pub metrics: Arc<Metrics>,
    pub counters: EventCounters,
    pub time: TimeSettings,
    pub idle: IdleSettings,
    pub commit: CommitSettings,
    /// Names of the input topics; the group subscribes to the first.
    pub topics: Vec<String>,
    /// How long records of one topic wait for those of another that may be older.
    pub merge_wait: Duration,
    /// Number of partitions of each topic.
    pub partitions: i32,
    /// Where keys must lie; `None`: wherever they do.
    pub partitioner: Option<Partitioner>,
    /// Time between two checkpoints of a partition; `None`: none are taken.
    pub checkpoint_interval: Option<Duration>,
    /// Bytes of memory for the customers that a task keeps between writes, about.
    pub cached_bytes: usize,
}

impl Shared {
    /// The topic that a partition is called by.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.topics.first().map_or("", String::as_str)
    }

    #[must_use]
    pub fn topic_name(&self, topic: TopicId) -> &str {
        self.topics.get(topic).map_or("", String::as_str)
    }

    #[must_use]
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.topics.iter().position(|topic| topic == name)
    }

    /// Whether records of several topics are merged.
    #[must_use]
    pub fn merges(&self) -> bool {
        self.topics.len() > 1
    }
}

/// What is wrong when a topic has got more partitions, and what to do.
#[must_use]
pub fn partitions_added(topic: &str, before: i32, now: i32) -> String {
    format!(
        "partitions were added to the topic {topic}: it had {before}, and has {now} or more. Its keys lie in other partitions \
         now than their state, and partitions cannot be taken away again. Publish nothing more to it; make new input topics \
         with as many partitions as are wanted, copy the events into them by their keys, and start on those with another \
         `application` id: it comes to the state by replay"
    )
}

/// When a partition that brings nothing is taken to be idle.
#[derive(Clone, Copy, Debug)]
pub struct IdleSettings {
    /// `None`: never.
    pub idle_after: Option<Duration>,
    /// Silence of the whole input after which the feed is taken for broken and nothing advances. `None`: never.
    pub feed_timeout: Option<Duration>,
}

/// When to publish, and when to write behind.
#[derive(Clone, Copy, Debug)]
pub struct CommitSettings {
    /// With nothing to publish.
    pub interval: Duration,
    /// With something to publish.
    pub min_interval: Duration,
    /// Records read at a time, and alerts of one transaction, about.
    pub max_batch: usize,
    /// Between two writes of a store.
    pub write_behind: Duration,
}
