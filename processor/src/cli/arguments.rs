//! Arguments that several subcommands take.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use chrono::DateTime;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tocsin::codec::schemas::Schemas;
use tocsin::config::{Config, FILE_VARIABLE, Flag, Given, Sources};
use tocsin::partitioner::Partitioner;
use tocsin::rules::{self, Limits};
use tocsin_core::rule::RuleSet;
use tocsin_core::time::{Duration, Millis, parse_duration};

use super::failure::Failure;

/// The configuration of an application, for subcommands that look after one.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Configuration file (YAML) of the application, as for `tocsin run`
    #[arg(long, value_name = "FILE", env = FILE_VARIABLE, global = true)]
    config: Option<PathBuf>,

    /// Set one setting, such as --set checkpoint.url=file:///mnt/checkpoints; may be repeated
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    set: Vec<String>,
}

impl ConfigArgs {
    pub fn read(&self) -> anyhow::Result<Config> {
        let sources = Sources {
            file: self.config.clone(),
            environment: std::env::vars_os().collect(),
            flags: self.set.iter().cloned().map(Flag::Set).collect(),
        };
        Ok(Given::read(&sources).config()?)
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
pub fn rules(path: &Path, schemas: &Schemas, history: Duration) -> anyhow::Result<Arc<RuleSet>> {
    let what = || format!("the rules of {} cannot be used", path.display());
    let sources = rules::read_sources(path).map_err(|error| Failure::unusable(what()).caused_by(error))?;
    let loaded = rules::load(&sources, schemas.catalog(), &Limits { history });
    Ok(Arc::new(loaded.map_err(|error| Failure::unusable(what()).caused_by(error))?.set))
}

pub fn wall_clock() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as Millis
}
