//! The program as it is shipped, against a real Kafka: events in, alerts out, and nothing lost, doubled or made up.
//!
//! A broker is started once, the binary is run as a user runs it, and what it publishes is read with another client
//! (Python's confluent-kafka, and kcat). What the alerts must be is what `tocsin backtest` says of the same events.
//!
//! Where no broker or no Python client can be had, each test says `skipped: <why>` on standard error and passes: the
//! test harness knows no third outcome.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

#[path = "live/app.rs"]
mod app;
#[path = "live/audit.rs"]
mod audit;
#[path = "live/backlog.rs"]
mod backlog;
#[path = "live/bad_records.rs"]
mod bad_records;
#[path = "common/broker.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;
#[path = "live/data.rs"]
mod data;
#[path = "live/generate.rs"]
mod generate;
#[path = "live/journal.rs"]
mod journal;
#[path = "live/membership.rs"]
mod membership;
#[path = "live/proof.rs"]
mod proof;
#[path = "live/restarts.rs"]
mod restarts;
#[path = "live/rules.rs"]
mod rules;
#[path = "live/same_as_backtest.rs"]
mod same_as_backtest;
#[path = "live/serving.rs"]
mod serving;
#[path = "live/silence.rs"]
mod silence;
#[path = "live/size.rs"]
mod size;
#[path = "live/stage.rs"]
mod stage;
#[path = "live/starting.rs"]
mod starting;
#[path = "live/topics.rs"]
mod topics;
#[path = "live/upstream.rs"]
mod upstream;
