//! `tocsin audit`: was published what had to be, all of it, once, and nothing else?

mod table;

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tocsin::audit::{Asked, Progress, Report};
use tocsin::service;
use tocsin_core::time::Millis;

use super::arguments::{self, ConfigArgs};
use super::failure::Failure;

const EXAMPLES: &str = "\
Judges the events again as the journal says they were, and compares alerts and dead letters with what is in their topics, \
byte for byte but for `detected_at`. It reads committed records only, joins no group and writes nothing to Kafka, so it may \
run while the application does; then it audits what was committed when it began.

With --from and --until it is transactions committed in that time that are judged. It begins at the newest checkpoint before \
them, or else at the beginning.

What retention has taken cannot be judged: that is told, and never counted as missing.

Examples:
  tocsin audit --config tocsin.yaml
  tocsin audit --config tocsin.yaml --from 2026-03-01T00:00:00+08:00 --until 2026-03-02T00:00:00+08:00
  tocsin audit --config tocsin.yaml --json | jq '.findings[] | select(.problem == \"missing\")'

Exit codes: 0 equal, as far as it can be judged; 1 not equal, or the audit failed; 2 unusable arguments or configuration";

/// Recompute what was published from the log, and compare
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AuditArgs {
    /// Audit what was committed at or after this instant only, such as 2026-03-01T00:00:00Z
    #[arg(long, value_name = "INSTANT", value_parser = arguments::instant)]
    from: Option<Millis>,

    /// Audit what was committed up to this instant only
    #[arg(long, value_name = "INSTANT", value_parser = arguments::instant)]
    until: Option<Millis>,

    /// Tell at most so many findings one by one
    #[arg(long, value_name = "N", default_value_t = 20)]
    show: usize,

    /// The topics of alerts and dead letters belong to other applications too: what this one's journal does not explain is
    /// theirs
    #[arg(long)]
    shared_topics: bool,

    /// Where states are kept while they are recomputed; removed at the end [default: the system's directory for such]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,

    /// Write the outcome as one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

pub fn execute(args: &AuditArgs) -> anyhow::Result<()> {
    if let (Some(from), Some(until)) = (args.from, args.until)
        && from > until
    {
        return Err(Failure::unusable("--from is later than --until").hint("exchange them").into());
    }
    let config = args.config.for_tool()?;
    let schemas = arguments::schemas(config.schemas.as_deref())?;
    let stop = service::stop_on_signals()?;
    let bar = bar();
    let mut watch = |progress: Progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        bar.set_message(progress.doing);
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let Asked { longest_commit, .. } = Asked::default();
    let AuditArgs { from, until, show, shared_topics, .. } = *args;
    let asked = Asked { from, until, show, shared_topics, longest_commit };
    let scratch = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let done = service::audit(&config, &schemas, &scratch, &asked, &mut watch);
    bar.finish_and_clear();
    let report = done?;
    let text = if args.json { serde_json::to_string_pretty(&report)? + "\n" } else { table::text(&report) };
    match io::stdout().lock().write_all(text.as_bytes()) {
        // The reader has seen enough, as `head` does.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    verdict(&report)
}

fn verdict(report: &Report) -> anyhow::Result<()> {
    if report.equal {
        return Ok(());
    }
    let what =
        format!("what was published is not what the log says: {} found", table::counted(report.wrong(), "difference"));
    let hint = "if another application, or an earlier one, wrote these topics as well: --shared-topics, or --from the time at \
                which this one began";
    let failure = Failure::failed(what);
    let unexplained = report.alerts_topic.unexplained + report.dead_letters_topic.unexplained;
    Err(if unexplained > 0 { failure.hint(hint) } else { failure }.into())
}

/// Shown on a terminal only.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent}% {msg} {elapsed} (about {eta} left)");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
