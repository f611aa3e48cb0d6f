//! Checkpoints over real stores: in a directory, and in a server that speaks S3 (moto).
//!
//! What must hold of both is in `suite`; each test there runs over both. Where no S3 server can be had, those tests say
//! `skipped: <why>` on standard error and pass.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

#[path = "common/broker.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;
#[path = "checkpoints/command.rs"]
mod command;
#[path = "checkpoints/disk.rs"]
mod disk;
#[path = "checkpoints/faults.rs"]
mod faults;
#[path = "checkpoints/faulty.rs"]
mod faulty;
#[path = "checkpoints/s3.rs"]
mod s3;
#[path = "common/s3_server.rs"]
mod s3_server;
#[path = "checkpoints/stage.rs"]
mod stage;
#[path = "checkpoints/suite.rs"]
mod suite;
