//! The loop as it is, in one thread, in a world made of a seed that goes wrong in every way the real one may.
//!
//! `make simulate SEEDS=100000` runs many; `TOCSIN_SIMULATION_SEED=n` one, with everything it did (`TOCSIN_SIMULATION_SHOW=1`).
//! Every seed runs twice and must give the same bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "simulation/broker/mod.rs"]
mod broker;
#[path = "simulation/checkers/mod.rs"]
mod checkers;
#[path = "simulation/client.rs"]
mod client;
#[path = "simulation/disk.rs"]
mod disk;
#[path = "simulation/input.rs"]
mod input;
#[path = "simulation/plan.rs"]
mod plan;
#[path = "simulation/producer.rs"]
mod producer;
#[path = "simulation/reached.rs"]
mod reached;
#[path = "simulation/refusals.rs"]
mod refusals;
#[allow(dead_code, reason = "shared with the other tests")]
#[path = "model/rng.rs"]
mod rng;
#[path = "simulation/rules.rs"]
mod rules;
#[path = "simulation/sim.rs"]
mod sim;
#[path = "simulation/truth.rs"]
mod truth;
#[path = "simulation/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use reached::Reached;
use sim::Sim;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Runs a seed, and returns what it came to and a hash of all it left behind.
fn run(seed: u64, is_shown: bool) -> (Reached, u64) {
    let sim = Sim::new(seed, is_shown);
    sim.run();
    checkers::at_rest(&sim);
    let hash = sim.hash();
    let reached = sim.reached.borrow().clone();
    sim.end();
    (reached, hash)
}

#[test]
fn whatever_goes_wrong_every_alert_is_published_once() {
    let (seeds, is_shown) = (setting("TOCSIN_SIMULATION_SEEDS"), setting("TOCSIN_SIMULATION_SHOW").is_some());
    let one = setting("TOCSIN_SIMULATION_SEED");
    let (first, many) = (one.unwrap_or(1), seeds.unwrap_or(if one.is_some() { 1 } else { 300 }));
    let (started, mut total) = (Instant::now(), Reached::default());
    for seed in first..first + many {
        let twice = catch_unwind(AssertUnwindSafe(|| (run(seed, is_shown), run(seed, false))));
        let Ok(((reached, hash), (_, again))) = twice else {
            panic!(
                "the seed TOCSIN_SIMULATION_SEED={seed} failed, see above; TOCSIN_SIMULATION_SHOW=1 tells what it did"
            );
        };
        assert_eq!(hash, again, "TOCSIN_SIMULATION_SEED={seed} did not come to the same twice");
        total.merge(&reached);
        let done = seed - first + 1;
        if done.is_multiple_of(1_000) {
            println!("{done} seeds, {:.0} a second", done as f64 / started.elapsed().as_secs_f64());
        }
    }
    println!("{total}{many} seeds in {:.1} s", started.elapsed().as_secs_f64());
    if many >= 300 {
        for what in EXPECTED {
            assert!(total.of(what) > 0, "the seeds do not reach this any more: {what}");
        }
    }
}

/// What a few hundred seeds must come to, so that they do not quietly stop testing it.
const EXPECTED: [&str; 29] = [
    "alerts",
    "dead letters",
    "crashes",
    "pauses",
    "clean stops",
    "sessions expired",
    "assignments lost",
    "members back under another name with what they held",
    "members cut off",
    "static members fenced",
    "static members that joined twice",
    "processes fenced",
    "commits that nobody told of",
    "late EndTxn refused",
    "open transactions ended by a successor",
    "transactions timed out by the broker",
    "transactions published again in a new generation",
    "offsets of another generation refused",
    "requests of fenced producers refused",
    "upstream transactions",
    "ticks",
    "drains that were cut",
    "changes from one topic to another",
    "sweeps that were cut",
    "stores after a loss of power",
    "stores set aside",
    "checkpoints fetched",
    "retention up to a checkpoint",
    "replays compared",
];
