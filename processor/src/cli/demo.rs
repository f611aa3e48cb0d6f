//! `tocsin demo`: a first look, with nothing installed.

use std::path::PathBuf;

use clap::Args;
use tocsin::config::{Log, LogFormat};
use tocsin::demo::{self, Options};
use tocsin::service;
use tocsin::telemetry::logging;

use super::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  tocsin demo                                   four months of grocery customers, in under two minutes
  tocsin demo --speed 1000 --stay               slower, and metrics stay up at the end
  tocsin demo --rules my.yaml --events my.jsonl";

/// Play four months of real purchases, or your own events, and show the alerts as they fire.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DemoArgs {
    /// How many times faster than the events' own time
    #[arg(long, value_name = "FACTOR", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub speed: u64,

    /// Stay up when the events are over, until interrupted
    #[arg(long)]
    pub stay: bool,

    /// Events as JSON, one a line, plain or packed with zstd [default: a sample of The Complete Journey, with synthetic complaints]
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,

    /// A rule file, or a directory of rule files [default: rules made for the sample]
    #[arg(long, value_name = "FILE|DIR")]
    pub rules: Option<PathBuf>,
}

pub fn execute(args: &DemoArgs) -> anyhow::Result<()> {
    logging::init(&Log { format: LogFormat::Auto, filter: "error".to_owned() })?;
    let options =
        Options { speed: args.speed, stay: args.stay, events: args.events.clone(), rules: args.rules.clone() };
    if demo::run(&options, &service::stop_on_signals()?)? {
        return Ok(());
    }
    Err(Failure::failed("the alerts differ from those of a backtest").into())
}
