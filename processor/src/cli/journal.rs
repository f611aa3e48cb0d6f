//! `tocsin journal show`: what was done, for people.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;

use clap::{Args, Subcommand};
use tocsin::codec::journal::{Chain, JournalRecord};
use tocsin::config::Config;
use tocsin::kafka::{Browser, Extent};
use tocsin::service;
use tocsin::task::world::{Input, Offset, PartitionId};
use tocsin_core::time::Millis;

use super::arguments::{self, ConfigArgs};
use super::failure::Failure;
use super::journal_record;

const EXAMPLES: &str = "\
The journal says what each transaction did to each partition, so that a replay can do it again.

Examples:
  tocsin journal show --config tocsin.yaml";

const SHOW_EXAMPLES: &str = "\
Partition after partition, committed records only, up to where the journal ends by now; the processor may run meanwhile. On \
the way it is checked that each record has the next number and begins where the one before ended; where not, a line that \
begins with !!! says so.

Examples:
  tocsin journal show --config tocsin.yaml --partition 3 | less
  tocsin journal show --config tocsin.yaml --from 2026-01-01T00:00:00Z --until 2026-01-01T01:00:00Z
  tocsin journal show --config tocsin.yaml --partition 3 --from 1200 --limit 5       from an offset of the journal
  tocsin journal show --config tocsin.yaml --json | jq 'select(.transitions > 0)'

Exit codes: 0 the journal is whole, 1 it is not or could not be read, 2 unusable arguments or configuration";

/// Look into the journal
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct JournalArgs {
    #[command(subcommand)]
    command: JournalCommand,
}

#[derive(Debug, Subcommand)]
enum JournalCommand {
    Show(ShowArgs),
}

/// Print journal records, and check that they follow on each other
#[derive(Debug, Args)]
#[command(after_help = SHOW_EXAMPLES)]
struct ShowArgs {
    /// Only this partition [default: all of them]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<PartitionId>,

    /// Begin with the record at this offset of the journal, or the first of this instant [default: the oldest]
    #[arg(long, value_name = "OFFSET|RFC3339", value_parser = place)]
    from: Option<Place>,

    /// Stop before this offset of the journal, or before the first record of this instant [default: the newest]
    #[arg(long, value_name = "OFFSET|RFC3339", value_parser = place)]
    until: Option<Place>,

    /// Records of each partition, at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,

    /// One JSON object a record; `problems` holds what is wrong
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// A place in the journal of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Offset(Offset),
    Instant(Millis),
}

fn place(text: &str) -> Result<Place, String> {
    match text.parse::<Offset>() {
        Ok(offset) if offset >= 0 => Ok(Place::Offset(offset)),
        _ => arguments::instant(text).map(Place::Instant).map_err(|error| format!("{error}, or an offset")),
    }
}

pub fn execute(args: &JournalArgs) -> anyhow::Result<()> {
    let JournalCommand::Show(args) = &args.command;
    let config = args.config.for_tool()?;
    let topic = config.topics.journal.as_str();
    let mut browser = Browser::new(&service::kafka_settings(&config, 0))?;
    let partitions = partitions(args, topic, browser.partitions(topic)?)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut broken = 0;
    for partition in partitions {
        let mut show = Show { args, partition, chain: Chain::new(&config.application, partition), shown: 0, broken: 0 };
        match show.all(&mut browser, &config, &mut out) {
            Err(error) if is_broken_pipe(&error) => return Ok(()),
            done => done?,
        }
        broken += show.broken;
    }
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    if broken > 0 {
        let what =
            format!("the journal {topic} is not whole: {broken} of the records shown do not follow on the ones before");
        let hint =
            "where, stands above behind !!!; keep the topic for an inquiry, and do not restore from before that place";
        return Err(Failure::failed(what).hint(hint).into());
    }
    Ok(())
}

/// The reader has seen enough, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn partitions(args: &ShowArgs, topic: &str, found: Option<i32>) -> anyhow::Result<Vec<PartitionId>> {
    let Some(found) = found else {
        let what = format!("there is no topic {topic}, or this principal may not see it");
        return Err(Failure::failed(what).hint("check `application`, `topics.journal` and `kafka.bootstrap`").into());
    };
    match args.partition {
        None => Ok((0..found).collect()),
        Some(partition) if partition < found => Ok(vec![partition]),
        Some(partition) => {
            let what = format!("{topic} has no partition {partition}; it has {found}, counted from 0");
            Err(Failure::unusable(what).into())
        }
    }
}

/// One partition on its way to the screen.
struct Show<'a> {
    args: &'a ShowArgs,
    partition: PartitionId,
    chain: Chain,
    shown: u64,
    /// Records with something wrong.
    broken: u64,
}

impl Show<'_> {
    fn all(&mut self, browser: &mut Browser, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
        let topic = config.topics.journal.as_str();
        let extent = browser.extent(topic, self.partition)?;
        let from = self.resolve(browser, topic, self.args.from, extent)?.unwrap_or(extent.first);
        let until = self.resolve(browser, topic, self.args.until, extent)?.unwrap_or(extent.end);
        let mut failed = None;
        browser.read(topic, self.partition, (from, until), &mut |record| {
            if self.args.limit.is_some_and(|limit| self.shown >= limit) {
                return ControlFlow::Break(());
            }
            match self.one(record, out) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        browser.rest();
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn resolve(
        &self,
        browser: &Browser,
        topic: &str,
        place: Option<Place>,
        Extent { first, end }: Extent,
    ) -> anyhow::Result<Option<Offset>> {
        let offset = match place {
            None => return Ok(None),
            Some(Place::Offset(offset)) => offset,
            Some(Place::Instant(at)) => browser.offset_at(topic, self.partition, at)?.unwrap_or(end),
        };
        Ok(Some(offset.clamp(first, end)))
    }

    fn one(&mut self, record: Input<'_>, out: &mut impl Write) -> io::Result<()> {
        let decoded = JournalRecord::decode(record.payload.unwrap_or_default());
        let problems = match &decoded {
            Ok(journal) => self.chain.follow(journal),
            Err(error) => vec![error.to_string()],
        };
        if let (0, None, Ok(journal)) = (self.shown, self.args.from, &decoded)
            && journal.sequence > 1
        {
            let (partition, sequence) = (self.partition, journal.sequence);
            eprintln!("partition {partition}: begins with record {sequence}; what came before is no longer kept");
        }
        self.shown += 1;
        self.broken += u64::from(!problems.is_empty());
        let journal = decoded.ok();
        let text = if self.args.json {
            journal_record::as_json(record, journal.as_ref(), &problems)
        } else {
            journal_record::as_text(record, journal.as_ref(), &problems)
        };
        out.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_offset_or_an_instant() {
        assert_eq!(place("0"), Ok(Place::Offset(0)));
        assert_eq!(place("123456789012"), Ok(Place::Offset(123_456_789_012)));
        assert_eq!(place("1970-01-01T01:00:00+01:00"), Ok(Place::Instant(0)));
        for wrong in ["-1", "yesterday", "", "99999999999999999999"] {
            assert!(place(wrong).is_err_and(|error| error.ends_with("or an offset")), "{wrong}");
        }
    }
}
