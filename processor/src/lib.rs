//! The shells around the pure engine: Kafka, RocksDB, the file formats and the command line.

pub mod codec;
pub mod config;
pub mod http;
pub mod rules;
pub mod telemetry;
