//! What reads bytes that others wrote, each as a [`Target`]: something that must hold for whatever bytes there are, and
//! bytes to begin with.
//!
//! Two drivers feed them. `tests/short.rs` is part of every test run: so many cases, always the same, made by blind
//! changes to the seeds. `src/bin` are programs around libFuzzer, which keeps what reaches new code and goes on from
//! there; `make fuzz` runs them for as long as you like. What they find belongs into `found/TARGET/`, where the short
//! run tries it again for ever.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a target says what it found")]

mod decode;
mod rules;
mod seeds;

pub use decode::{AVRO, JSON, SCHEMA};
pub use rules::{JUDGE, RULES};
pub use seeds::write_seeds;

/// One thing that reads foreign bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub name: &'static str,
    /// Panics if something does not hold.
    pub run: fn(&[u8]),
    /// Inputs that reach much of the code.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many blind changes take some seconds.
    pub short: usize,
}
