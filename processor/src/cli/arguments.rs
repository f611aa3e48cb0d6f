//! Arguments that several subcommands take.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use chrono::DateTime;
use chrono_tz::Tz;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tocsin::codec::generation::RulesFile;
use tocsin::codec::schemas::Schemas;
use tocsin::config::{Config, FILE_VARIABLE, Flag, Given, Log, Sources};
use tocsin::partitioner::Partitioner;
use tocsin::rules::{self, Limits, Source};
use tocsin::telemetry::logging;
use tocsin_core::rule::RuleSet;
use tocsin_core::time::{Duration, Millis, parse_duration};

use super::failure::Failure;

/// Where the configuration is from, for all subcommands that have to do with a running application.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Configuration file (YAML)
    #[arg(long, value_name = "FILE", env = FILE_VARIABLE, global = true)]
    config: Option<PathBuf>,

    /// Set one setting, such as --set commit.interval=50ms; may be repeated
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    set: Vec<String>,

    /// Kafka brokers to start from [setting: `kafka.bootstrap`]
    #[arg(long, value_name = "HOST:PORT,...", global = true)]
    bootstrap: Option<String>,
}

impl ConfigArgs {
    /// Reads file, environment and flags; `named` are further flags of settings: flag, setting, value.
    pub fn given(&self, named: &[(&'static str, &'static str, &Option<String>)]) -> Given {
        let named = [("--bootstrap", "kafka.bootstrap", &self.bootstrap)].into_iter().chain(named.iter().copied());
        let named = named.filter_map(|(flag, key, value)| Some(Flag::Named { flag, key, value: value.clone()? }));
        Given::read(&Sources {
            file: self.config.clone(),
            environment: std::env::vars_os().collect(),
            flags: self.set.iter().cloned().map(Flag::Set).chain(named).collect(),
        })
    }

    pub fn read(&self) -> anyhow::Result<Config> {
        Ok(self.given(&[]).config()?)
    }

    /// The configuration, for a tool that looks or does one thing and ends: the log shows what is wrong only, unless
    /// `log.filter` was given.
    pub fn for_tool(&self) -> anyhow::Result<Config> {
        self.for_tool_with(&[])
    }

    /// The same with further flags, as [`Self::given`] takes them.
    pub fn for_tool_with(&self, named: &[(&'static str, &'static str, &Option<String>)]) -> anyhow::Result<Config> {
        let given = self.given(named);
        let config = given.config()?;
        let filter = if given.get("log.filter").is_some() { config.log.filter.clone() } else { "warn".to_owned() };
        logging::init(&Log { format: config.log.format, filter })?;
        Ok(config)
    }
}

pub fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
}

/// An instant such as `2026-01-01T00:00:00Z`.
pub fn instant(text: &str) -> Result<Millis, String> {
    let parsed = DateTime::parse_from_rfc3339(text).map_err(|error| {
        format!("{error}; write an instant with its offset, such as 2026-01-01T00:00:00Z or 2026-01-01T08:00:00+08:00")
    })?;
    Ok(parsed.timestamp_millis())
}

pub fn timezone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| "there is no such time zone; write an IANA name, such as Asia/Shanghai".to_owned())
}

pub fn partitioner() -> impl TypedValueParser<Value = Partitioner> {
    PossibleValuesParser::new(Partitioner::ALL.map(Partitioner::name)).try_map(|text| text.parse())
}

/// The shipped event types, and those of a folder.
pub fn schemas(folder: Option<&Path>) -> anyhow::Result<Arc<Schemas>> {
    let Some(folder) = folder else { return Ok(Arc::new(Schemas::shipped())) };
    let what = || format!("the event schemas of {} cannot be used", folder.display());
    let schemas = Schemas::load(folder).map_err(|error| Failure::unusable(what()).caused_by(error))?;
    Ok(Arc::new(schemas))
}

/// The rules of a file or of a folder, checked.
pub fn rules(path: &Path, schemas: &Schemas, limits: &Limits) -> anyhow::Result<Arc<RuleSet>> {
    Ok(checked(path, schemas, limits)?.1)
}

/// As [`rules`], with the texts as they are published: named by their way below the folder.
pub fn rule_files(path: &Path, schemas: &Schemas, limits: &Limits) -> anyhow::Result<(Vec<RulesFile>, Arc<RuleSet>)> {
    let (sources, set) = checked(path, schemas, limits)?;
    let file = |source: &Source| RulesFile { name: source.name_below(path), text: source.text.clone() };
    Ok((sources.iter().map(file).collect(), set))
}

fn checked(path: &Path, schemas: &Schemas, limits: &Limits) -> anyhow::Result<(Vec<Source>, Arc<RuleSet>)> {
    let what = || format!("the rules of {} cannot be used", path.display());
    let sources = rules::read_sources(path).map_err(|error| Failure::unusable(what()).caused_by(error))?;
    let loaded = rules::load(&sources, schemas.catalog(), limits);
    let set = loaded.map_err(|error| Failure::unusable(what()).caused_by(error))?.set;
    Ok((sources, Arc::new(set)))
}

pub fn wall_clock() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as Millis
}
