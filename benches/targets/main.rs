//! What Tocsin promises of itself, measured beside what is promised: no broker, no files but of a store's own.
//!
//!     targets engine|flat|timers|state [OPTIONS]
//!
//! Each prints a table and writes JSON. Figures are CPU time of the whole process, RocksDB's threads included.

mod engine;
mod flat;
mod state;
mod timers;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use serde_json::json;
use tocsin_benches::meter::Table;

/// Measure what is promised
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,

    /// Where the figures go as well
    #[arg(long, value_name = "FILE", global = true)]
    json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Events per CPU second without Kafka, files and stores: one count rule, and the shipped packs
    Engine(engine::Args),
    /// Does an event cost the same whatever there is beside it: rules, events of its customer, customers
    Flat(flat::Args),
    /// Timers by the million: memory, and how fast those that are due are judged
    Timers(timers::Args),
    /// Bytes that an event writes, and that it takes on disk
    State(state::Args),
}

fn main() -> anyhow::Result<()> {
    let Arguments { what, json } = Arguments::parse();
    let mut table = Table::default();
    match &what {
        What::Engine(args) => engine::measure(args, &mut table),
        What::Flat(args) => flat::measure(args, &mut table)?,
        What::Timers(args) => timers::measure(args, &mut table)?,
        What::State(args) => state::measure(args, &mut table)?,
    }
    println!("{}", table.text());
    if let Some(path) = json {
        let told = json!({ "asked": format!("{what:?}"), "rows": table.json() });
        std::fs::write(&path, format!("{told:#}\n")).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
