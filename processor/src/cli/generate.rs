//! `tocsin generate`: made-up events, to a file or into Kafka.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tocsin::generate::{Event, LineWriter, Load, Mix, Settings};
use tocsin::kafka::feeder::Feeder;
use tocsin::kafka::topics::{self, NewTopics};
use tocsin::partitioner::Partitioner;
use tocsin::service;
use tocsin_core::time::{DAY, Duration, Millis};

use super::arguments::{self, ConfigArgs};
use super::failure::Failure;

const EXAMPLES: &str = "\
The same options give the same bytes. Without any they give the reference load: 5,000,000 events of 1,000,000 customers in \
180 days. Steps of tickets, profiles and repeats count among the events; the mix is that of the events without profiles \
that go ahead.

Examples:
  tocsin generate --events 200000 --customers 40000 --output events.jsonl
  tocsin generate --leaving 500 --complaining 500 --truth truth.jsonl > events.jsonl
  tocsin generate --mix interaction=50,purchase=40,complaint=5,feedback=5 --profiles --duplicates 0.01 | zstd > events.jsonl.zst
  tocsin generate --kafka --bootstrap localhost:9092 --set kafka.create_topics=true

Into Kafka: the topic is the setting `topics.events`, the key the customer's id, the record's timestamp the event's time, so \
a topic that forgets by age forgets them soon; one that is created keeps all. The partition is that of Java clients, unless \
the setting `partitioner` says otherwise.

Exit codes: 0 done, 1 failed, 2 such a load cannot be had, or the configuration cannot be used";

/// Events between two movements of the progress bar.
const REPORT_EVERY: u64 = 8_192;

/// Make up events of customers, some of whom leave or complain in bursts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GenerateArgs {
    /// Events in all
    #[arg(long, value_name = "N", default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub events: u64,

    /// Customers whom they may be of; the rarest may have none
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    pub customers: u64,

    /// Days from the first event to the last
    #[arg(long, value_name = "N", default_value_t = 180, value_parser = clap::value_parser!(i64).range(1..=36_500))]
    pub days: i64,

    /// Weights of the event types: interaction, purchase, complaint, feedback, profile, score
    #[arg(long, value_name = "TYPE=WEIGHT,...", default_value = "interaction=60,purchase=32,complaint=8")]
    pub mix: Mix,

    /// The customer of rank r has events in proportion to r to the power of minus this; 0: all alike
    #[arg(long, value_name = "X", default_value_t = 0.5)]
    pub density: f64,

    /// How long after it happened an event arrives, at the most
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = arguments::duration)]
    pub disorder: Duration,

    /// Share of the events that repeat an earlier one, to the letter
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub duplicates: f64,

    /// Have a profile with name, owner, region and so on arrive ahead of each customer's first event
    #[arg(long)]
    pub profiles: bool,

    /// Customers who leave: no event from some day on [default: one in 1,000]
    #[arg(long, value_name = "N")]
    pub leaving: Option<u64>,

    /// Customers who open 3 to 6 complaints within 5 days [default: one in 1,000]
    #[arg(long, value_name = "N")]
    pub complaining: Option<u64>,

    /// Another number is another load
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Before the first event
    #[arg(long, value_name = "RFC3339", default_value = "2026-01-01T00:00:00Z", value_parser = arguments::instant)]
    pub start: Millis,

    /// Where the events go, as JSON, one a line; `-` is standard output
    #[arg(long, value_name = "FILE|-", default_value = "-", conflicts_with = "kafka")]
    pub output: PathBuf,

    /// Send them to the events topic instead
    #[arg(long)]
    pub kafka: bool,

    /// Where to write who leaves and who complains, as JSON, one customer a line
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,

    /// The topic that --kafka sends to [setting: `topics.events`]
    #[arg(long, value_name = "NAME", requires = "kafka")]
    pub topic: Option<String>,

    #[command(flatten)]
    config: ConfigArgs,
}

impl GenerateArgs {
    pub fn settings(&self) -> Settings {
        let usual = Settings {
            seed: self.seed,
            events: self.events,
            customers: self.customers,
            start: self.start,
            span: self.days * DAY,
            mix: self.mix.clone(),
            density: self.density,
            disorder: self.disorder,
            duplicates: self.duplicates,
            profiles: self.profiles,
            ..Settings::default()
        }
        .with_usual_planted();
        Settings {
            leaving: self.leaving.unwrap_or(usual.leaving),
            complaining: self.complaining.unwrap_or(usual.complaining),
            ..usual
        }
    }
}

pub fn execute(args: &GenerateArgs) -> anyhow::Result<()> {
    let unusable = |why: String| Failure::unusable(format!("such a load cannot be had: {why}"));
    let mut load = Load::new(args.settings()).map_err(unusable)?;
    // Opened before the work, lest it turn out to be in vain.
    let truth = args.truth.as_deref().map(create).transpose()?;
    let started = Instant::now();
    let bar = bar(args.events);
    let done = if args.kafka { into_kafka(args, &mut load, &bar) } else { into_file(args, &mut load, &bar) };
    bar.finish_and_clear();
    if !done? {
        return Ok(());
    }
    if let (Some(mut file), Some(path)) = (truth, &args.truth) {
        write_truth(&load, &mut file).map_err(|error| unwritable(path, error))?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let rate = load.made() as f64 / seconds.max(1e-9);
    eprintln!("{} events of {} customers ({rate:.0} a second, {seconds:.2} s)", load.made(), load.customers());
    Ok(())
}

fn bar(events: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent}% {human_pos} events {elapsed} (about {eta} left)");
    ProgressBar::new(events).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Writes every event; `false` if the reader had seen enough, as `head` does.
fn into_file(args: &GenerateArgs, load: &mut Load, bar: &ProgressBar) -> anyhow::Result<bool> {
    let mut output: Box<dyn Write> = if args.output == Path::new("-") {
        Box::new(BufWriter::with_capacity(1 << 18, io::stdout().lock()))
    } else {
        Box::new(create(&args.output)?)
    };
    let written = each(load, bar, |_, line| {
        line.push(b'\n');
        output.write_all(line)
    });
    let written = written.and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(unwritable(&args.output, error).into()),
        Ok(()) => Ok(true),
    }
}

fn into_kafka(args: &GenerateArgs, load: &mut Load, bar: &ProgressBar) -> anyhow::Result<bool> {
    let config = args.config.for_tool_with(&[("--topic", "topics.events", &args.topic)])?;
    if config.topics.events.len() > 1 {
        let what = format!("`topics.events` has {} topics", config.topics.events.len());
        return Err(Failure::unusable(what).hint("say with --topic which of them the events go to").into());
    }
    let settings = service::kafka_settings(&config, 0);
    let replication = config.topics.replication.map(|replication| replication as i32);
    let new = NewTopics { partitions: config.topics.partitions as i32, replication };
    let (partitions, created) = topics::check_events(&settings, config.kafka.create_topics.then_some(new))?;
    if created {
        bar.println(format!("topic {} created with {partitions} partitions", settings.events_topic));
    }
    let partitioner = config.partitioner.unwrap_or(Partitioner::Murmur2);
    let mut feeder = Feeder::new(&settings, partitions, partitioner)?;
    each(load, bar, |event, line| feeder.send(&event.customer_id(), line, event.at))?;
    feeder.finish()?;
    Ok(true)
}

fn each<E>(
    load: &mut Load,
    bar: &ProgressBar,
    mut take: impl FnMut(&Event, &mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let writer = LineWriter::new(load.settings().seed);
    let mut line = Vec::new();
    while let Some(event) = load.next() {
        writer.write(&event, &mut line);
        take(&event, &mut line)?;
        if load.made().is_multiple_of(REPORT_EVERY) {
            bar.set_position(load.made());
        }
    }
    Ok(())
}

fn write_truth(load: &Load, file: &mut impl Write) -> io::Result<()> {
    for truth in load.truth() {
        serde_json::to_writer(&mut *file, &truth)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::with_capacity(1 << 18, File::create(path).map_err(|error| unwritable(path, error))?))
}

fn unwritable(path: &Path, error: io::Error) -> Failure {
    Failure::failed(format!("{} cannot be written", path.display())).caused_by(error)
}
