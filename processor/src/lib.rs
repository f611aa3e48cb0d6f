//! The shells around the pure engine: Kafka, RocksDB, the file formats and the command line.

pub mod audit;
pub mod backtest;
#[cfg(feature = "rocksdb")]
pub mod checkpoint;
pub mod codec;
pub mod config;
pub mod demo;
pub mod generate;
pub mod http;
pub mod kafka;
pub mod partitioner;
pub mod rules;
pub mod service;
pub mod store;
pub mod task;
pub mod telemetry;
