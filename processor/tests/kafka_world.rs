//! The Kafka world against a real broker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

#[path = "kafka_world/chaos.rs"]
mod chaos;
mod common;
#[path = "kafka_world/companions.rs"]
mod companions;
#[path = "kafka_world/generations.rs"]
mod generations;
#[path = "kafka_world/membership.rs"]
mod membership;
#[path = "kafka_world/publishing.rs"]
mod publishing;
#[path = "kafka_world/reading.rs"]
mod reading;
#[path = "kafka_world/rebalancing.rs"]
mod rebalancing;
#[path = "kafka_world/stage.rs"]
mod stage;
#[path = "kafka_world/topics.rs"]
mod topics;
