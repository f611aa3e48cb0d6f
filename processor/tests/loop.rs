//! The loop itself, worker and tasks as they run, over a world in memory that fails in every way the real one may.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "loop_cases/audit.rs"]
mod audit;
#[path = "loop_cases/behind.rs"]
mod behind;
#[path = "loop_cases/idle.rs"]
mod idle;
#[path = "loop_cases/letters.rs"]
mod letters;
#[path = "common/memory_world.rs"]
mod memory_world;
#[path = "loop_cases/merging.rs"]
mod merging;
#[cfg(feature = "rocksdb")]
#[path = "loop_cases/on_disk.rs"]
mod on_disk;
#[path = "loop_cases/random.rs"]
mod random;
#[path = "loop_cases/refusals.rs"]
mod refusals;
#[allow(dead_code, reason = "shared with the other tests")]
#[path = "model/rng.rs"]
mod rng;
#[path = "loop_cases/setup.rs"]
mod setup;
