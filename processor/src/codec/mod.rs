//! The formats in which events come in and alerts go out, and their way to and from the core's types.
//!
//! ```text
//! schemas     Avro schemas of the event types -> the core's catalog, and a plan for reading each
//! decode      a Kafka payload, JSON or Avro -> an event; or why it is none
//! encode      an event as Avro, for tests and demonstrations
//! alert       a transition -> the alert record, JSON or Avro
//! journal     what a transaction did <-> Avro
//! generation  the texts of a rule set, and who put them in force when <-> JSON
//! rows        a customer, a timer, a position <-> rows of the store
//! ```
//!
//! Avro's binary form is written and read by hand (`avro.rs`): the schemas in use are flat, the plan of each is fixed
//! when it is loaded, and the events of a year pass through here. The `apache-avro` crate parses the schemas, and in the
//! tests reads and writes the same bytes. Nothing here knows Kafka or the store.

mod avro;
pub mod timestamp;

pub mod alert;
pub mod decode;
pub mod encode;
pub mod generation;
pub mod journal;
pub mod rows;
pub mod schemas;

#[cfg(test)]
mod tests;
