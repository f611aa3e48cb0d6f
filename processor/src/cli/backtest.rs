//! `tocsin backtest`: rules over a file of events, with no Kafka.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tocsin::backtest::{self, BacktestError, Settings};
use tocsin::partitioner::Partitioner;
use tocsin::rules::Limits;
use tocsin_core::engine::Settings as EngineSettings;
use tocsin_core::partition::TimeSettings;
use tocsin_core::time::{Duration, Millis};

use super::failure::Failure;
use super::{arguments, summary};

const EXAMPLES: &str = "\
The alerts are those that `tocsin run` would have published for the same events in the same order, but for the wall \
clock: nothing is idle, no record is ahead of its timestamp.

Examples:
  tocsin backtest --rules rules/ --events events.jsonl > alerts.jsonl
  tocsin backtest --rules new.yaml --events events.jsonl --output none        only the summary
  zcat 2026-*.jsonl.gz | tocsin backtest --rules rules/ --events - --until 2026-07-01T00:00:00Z

Exit codes: 0 done, 1 failed, 2 the rules or the events cannot be used";

/// Judge rules over a file of events and write the alerts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BacktestArgs {
    /// A rule file, or a directory of rule files
    #[arg(long, value_name = "FILE|DIR")]
    pub rules: PathBuf,

    /// Events as JSON, one a line, plain or packed with zstd, in the order of their arrival; `-` is standard input
    #[arg(long, value_name = "FILE|-")]
    pub events: PathBuf,

    /// Leave out later events, and judge what becomes due up to this instant [default: stop with the watermark]
    #[arg(long, value_name = "RFC3339", value_parser = arguments::instant)]
    pub until: Option<Millis>,

    /// Where the alerts go, as JSON, one a line; `none` writes only the summary [default: standard output]
    #[arg(long, value_name = "FILE|none", value_parser = output)]
    pub output: Option<Output>,

    /// How much later than its neighbours an event may come before the watermark has passed it
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = arguments::duration)]
    pub max_out_of_orderness: Duration,

    /// How far back events are kept and accepted; no window is longer
    #[arg(long, value_name = "DURATION", default_value = "400d", value_parser = arguments::duration)]
    pub history: Duration,

    /// Open items that one rule may hold for one customer
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_open_items: u32,

    /// Time zone of date rules that name none, such as Asia/Shanghai
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = arguments::timezone)]
    pub timezone: Tz,

    /// Partitions that the customers are spread over, each with its own watermark
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub partitions: u32,

    /// How customers are spread over the partitions: as Java clients do, or as librdkafka does
    #[arg(long, default_value = "murmur2", value_parser = arguments::partitioner())]
    pub partitioner: Partitioner,

    /// Stop at the first event that cannot be used, instead of counting it
    #[arg(long)]
    pub strict: bool,

    /// Avro schemas of further event types
    #[arg(long, value_name = "DIR")]
    pub schemas: Option<PathBuf>,
}

/// Where alerts go when not to standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    None,
    File(PathBuf),
}

#[allow(clippy::unnecessary_wraps, reason = "clap asks for a Result")]
fn output(text: &str) -> Result<Output, String> {
    Ok(if text == "none" { Output::None } else { Output::File(PathBuf::from(text)) })
}

pub fn execute(args: &BacktestArgs) -> anyhow::Result<()> {
    let schemas = arguments::schemas(args.schemas.as_deref())?;
    let limits = Limits { history: args.history, timezone: args.timezone };
    let rules = arguments::rules(&args.rules, &schemas, &limits)?;
    let settings = Settings {
        engine: EngineSettings { history: args.history, max_open_items: args.max_open_items as usize },
        time: TimeSettings { max_out_of_orderness: args.max_out_of_orderness, ..TimeSettings::default() },
        until: args.until,
        partitions: args.partitions as i32,
        partitioner: args.partitioner,
        strict: args.strict,
        records: args.output != Some(Output::None),
        detected_at: arguments::wall_clock(),
        ..Settings::default()
    };
    let (input, bar) = open(&args.events)?;
    let mut output = create(args.output.as_ref())?;
    let mut progress = |events| bar.set_message(format!("{events} events"));
    let done = backtest::run_and_keep(rules, &schemas, &settings, input, &mut output, &mut progress);
    bar.finish_and_clear();
    match done {
        Ok((summary, state)) => {
            // The program ends here; nobody needs the memory back piece by piece.
            std::mem::forget(state);
            eprint!("{}", summary::text(&summary));
            Ok(())
        }
        // The reader of the alerts has seen enough, as `head` does.
        Err(BacktestError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error @ (BacktestError::Input { .. } | BacktestError::Strict(_))) => {
            let what = format!("the events of {} cannot be used: {error}", args.events.display());
            Err(Failure::unusable(what)
                .hint("mend that line, or leave --strict out to count and skip such lines")
                .into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The events, unpacked if they are packed, and a bar that follows how far they have been read.
fn open(events: &Path) -> anyhow::Result<(Box<dyn BufRead>, ProgressBar)> {
    let unusable =
        |error: io::Error| Failure::unusable(format!("{} cannot be read", events.display())).caused_by(error);
    if events == Path::new("-") {
        return Ok((unpack(Box::new(io::stdin().lock())).map_err(unusable)?, ProgressBar::new_spinner()));
    }
    let file = File::open(events).map_err(unusable)?;
    let bytes = file.metadata().map_err(unusable)?.len();
    let style = ProgressStyle::with_template("{bar:40} {percent}% {msg} {elapsed} (about {eta} left)");
    let bar = ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let counted = bar.wrap_read(file);
    Ok((unpack(Box::new(BufReader::new(counted))).map_err(unusable)?, bar))
}

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

fn unpack(mut input: Box<dyn BufRead>) -> io::Result<Box<dyn BufRead>> {
    if input.fill_buf()?.starts_with(&ZSTD_MAGIC) {
        return Ok(Box::new(BufReader::with_capacity(1 << 20, zstd::Decoder::with_buffer(input)?)));
    }
    Ok(input)
}

fn create(output: Option<&Output>) -> anyhow::Result<Box<dyn Write>> {
    Ok(match output {
        None => Box::new(BufWriter::with_capacity(1 << 16, io::stdout().lock())),
        Some(Output::None) => Box::new(io::sink()),
        Some(Output::File(path)) => {
            let file = File::create(path);
            let failed = |error| Failure::failed(format!("{} cannot be written", path.display())).caused_by(error);
            Box::new(BufWriter::with_capacity(1 << 16, file.map_err(failed)?))
        }
    })
}
