//! `tocsin rules`: the generations of the rules of an application.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use tocsin::codec::timestamp;
use tocsin::config::Config;
use tocsin::kafka::generations::{GenerationsReader, GenerationsWriter, PublishedGeneration};
use tocsin::kafka::topics::{self, NewTopics};
use tocsin::kafka::{Browser, KafkaSettings};
use tocsin::rules::Changes;
use tocsin::service::{self, RuleMaker, rulebook};
use tocsin::task::world::WorldError;
use tocsin_core::rule::RuleSet;
use tocsin_core::time::Millis;

use super::arguments::{self, ConfigArgs};
use super::failure::Failure;
use super::history;

const EXAMPLES: &str = "\
Rules in force are in the topic `topics.rules`, as numbered generations. Every process of the application follows it and \
adopts new generations without a restart, each partition at a place in its log of its own.

Examples:
  tocsin rules apply rules/ --config tocsin.yaml --dry-run
  tocsin rules apply rules/ --config tocsin.yaml
  tocsin rules history --config tocsin.yaml";

const APPLY_EXAMPLES: &str = "\
Checked with the event schemas and the `time.history` of the configuration, which must be those of the running processes. \
One rule that does not check refuses all of them. Nothing is published if the texts are those of the newest generation.

Examples:
  tocsin rules apply rules/ --config tocsin.yaml --dry-run      what would change
  tocsin rules apply rules/ --config tocsin.yaml
  tocsin rules apply care.yaml --bootstrap localhost:9092 --set application=customer-care

Exit codes: 0 published or nothing to publish, 1 failed, 2 the rules or the configuration cannot be used";

const HISTORY_EXAMPLES: &str = "\
Examples:
  tocsin rules history --config tocsin.yaml
  tocsin rules history --config tocsin.yaml --show 3 > then.yaml     the texts of a generation
  tocsin rules history --config tocsin.yaml --json | jq .changed";

/// Publish the rules of an application, or see what was published
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    Apply(ApplyArgs),
    History(HistoryArgs),
}

/// Check rules and publish them as the next generation
#[derive(Debug, Args)]
#[command(after_help = APPLY_EXAMPLES)]
struct ApplyArgs {
    /// A rule file, or a directory of rule files: the whole set
    #[arg(value_name = "DIR|FILE")]
    path: PathBuf,

    /// Say what would change, and publish nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// List the generations: when, by whom, what changed
#[derive(Debug, Args)]
#[command(after_help = HISTORY_EXAMPLES)]
struct HistoryArgs {
    /// Write the files of this generation, each after a comment with its name
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    show: Option<i64>,

    /// One JSON object for each generation; with --show, the document as it was published
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

pub fn execute(args: &RulesArgs) -> anyhow::Result<()> {
    let told = match &args.command {
        RulesCommand::Apply(args) => apply(args)?,
        RulesCommand::History(args) => history_of(args)?,
    };
    match io::stdout().lock().write_all(told.as_bytes()) {
        // The reader has seen enough, as `head` does.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn maker(config: &Config) -> anyhow::Result<RuleMaker> {
    Ok(RuleMaker::new(config, arguments::schemas(config.schemas.as_deref())?))
}

fn apply(args: &ApplyArgs) -> anyhow::Result<String> {
    let config = args.config.for_tool()?;
    let maker = maker(&config)?;
    let (files, set) = arguments::rule_files(&args.path, &maker.schemas, &maker.limits)?;
    let settings = service::kafka_settings(&config, 0);
    if args.dry_run {
        let generations = without_writing(&config, &settings)?;
        let Some(changes) = to_publish(&maker, &generations, &files, &set) else {
            return Ok(nothing_to_do(generations.last()));
        };
        let number = generations.len() + 1;
        return Ok(format!(
            "{changes}generation {number} of {} would be published, and was not\n",
            settings.rules_topic
        ));
    }
    let (warnings, created) = topics::check_rules(&settings, new_topics(&config))?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let created = if created { format!("topic {} created\n", settings.rules_topic) } else { String::new() };
    let writer = GenerationsWriter::open(&settings)?;
    let Some(changes) = to_publish(&maker, writer.generations(), &files, &set) else {
        return Ok(nothing_to_do(writer.generations().last()));
    };
    let published = writer.publish(rulebook::draft(&files, &set, &whoami())).map_err(not_published)?;
    let document = &published.document;
    Ok(format!(
        "{created}{changes}generation {} published to {}: fingerprint {}, by {}\n",
        document.generation, settings.rules_topic, document.fingerprint, document.applied_by
    ))
}

fn new_topics(config: &Config) -> Option<NewTopics> {
    let replication = config.topics.replication.map(|replication| replication as i32);
    config.kafka.create_topics.then_some(NewTopics { partitions: 1, replication })
}

/// The generations there are, for who would not even create their topic.
fn without_writing(config: &Config, settings: &KafkaSettings) -> anyhow::Result<Vec<PublishedGeneration>> {
    if config.kafka.create_topics && Browser::new(settings)?.partitions(&settings.rules_topic)?.is_none() {
        return Ok(Vec::new());
    }
    topics::check_rules(settings, None)?;
    Ok(GenerationsReader::new(settings)?.read_all()?)
}

/// What changes against the newest generation; `None` if not a letter does.
fn to_publish(
    maker: &RuleMaker,
    generations: &[PublishedGeneration],
    files: &[tocsin::codec::generation::RulesFile],
    set: &Arc<RuleSet>,
) -> Option<String> {
    if rulebook::is_newest(generations, files) {
        return None;
    }
    let old = match generations.last().map(|newest| (newest, maker.load(&newest.document.files))) {
        None => RuleSet::default(),
        Some((_, Ok(old))) => old,
        Some((newest, Err(errors))) => {
            return Some(format!(
                "what changes is not known: generation {} does not load with these schemas and settings\n{errors}\n",
                newest.document.generation
            ));
        }
    };
    Some(history::changes(&Changes::between(&old, set)))
}

fn nothing_to_do(newest: Option<&PublishedGeneration>) -> String {
    let Some(PublishedGeneration { document, .. }) = newest else { return String::new() };
    let (number, at, by) = (document.generation, text_of(document.applied_at), &document.applied_by);
    format!("nothing to publish: these are the texts of generation {number}, the newest, applied at {at} by {by}\n")
}

fn not_published(error: WorldError) -> anyhow::Error {
    let again = "look at `tocsin rules history`, then try again";
    match error {
        WorldError::Fenced(_) => Failure::failed("somebody else applied rules at the same time").hint(again).into(),
        WorldError::Unsettled(why) => {
            Failure::failed(format!("nobody knows whether the rules were published: {why}")).hint(again).into()
        }
        other => other.into(),
    }
}

/// `user@host`, as far as the machine tells.
fn whoami() -> String {
    let variable = |name| std::env::var(name).ok().filter(|user| !user.is_empty());
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "somebody".to_owned());
    format!("{user}@{}", rustix::system::uname().nodename().to_string_lossy())
}

fn history_of(args: &HistoryArgs) -> anyhow::Result<String> {
    let config = args.config.for_tool()?;
    let settings = service::kafka_settings(&config, 0);
    topics::check_rules(&settings, None)?;
    let generations = GenerationsReader::new(&settings)?.read_all()?;
    let Some(number) = args.show else {
        let entries = history::entries(&maker(&config)?, &generations);
        return Ok(if args.json { history::as_json(&entries) } else { history::table(&entries) });
    };
    let place = usize::try_from(number - 1).ok();
    let Some(shown) = place.and_then(|place| generations.get(place)) else {
        let newest = generations.len();
        let what = format!("there is no generation {number} in {}; the newest is {newest}", settings.rules_topic);
        return Err(Failure::unusable(what).into());
    };
    if args.json {
        return Ok(format!("{}\n", shown.text));
    }
    let file =
        |file: &tocsin::codec::generation::RulesFile| format!("# file: {}\n{}\n", file.name, file.text.trim_end());
    Ok(shown.document.files.iter().map(file).collect::<Vec<_>>().join("\n"))
}

/// An instant for people.
pub fn text_of(at: Millis) -> String {
    let mut text = Vec::new();
    timestamp::write(&mut text, at);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::failure::{exit_code, report};
    use super::*;

    #[track_caller]
    fn check(error: WorldError, expected: &str) {
        let error = not_published(error);
        assert_eq!((exit_code(&error), report(&error).as_str()), (1, expected));
    }

    #[test]
    fn who_could_not_publish_is_told_what_to_do() {
        let again = "  hint: look at `tocsin rules history`, then try again\n";
        check(
            WorldError::Fenced("x".to_owned()),
            &format!("error: somebody else applied rules at the same time\n{again}"),
        );
        check(
            WorldError::Unsettled("no answer".to_owned()),
            &format!("error: nobody knows whether the rules were published: no answer\n{again}"),
        );
        check(WorldError::Fatal("too large: raise x".to_owned()), "error: too large: raise x\n");
    }
}
