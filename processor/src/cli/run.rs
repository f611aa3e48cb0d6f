//! `tocsin run`: the service.

use std::io::{self, Write};
#[cfg(feature = "rocksdb")]
use std::sync::Arc;
#[cfg(feature = "rocksdb")]
use std::time::Duration;

#[cfg(feature = "rocksdb")]
use anyhow::Context as _;
use clap::Args;
#[cfg(feature = "rocksdb")]
use tocsin::checkpoint::{self, Background, Settings};
use tocsin::codec::schemas::Schemas;
use tocsin::config::Config;
use tocsin::rules::Limits;
use tocsin::service::OwnRules;
#[cfg(feature = "rocksdb")]
use tocsin::service::{self, DiskStores, Plan};
#[cfg(feature = "rocksdb")]
use tocsin::telemetry::Metrics;
use tocsin::telemetry::logging;

use super::arguments::{self, ConfigArgs};
use super::failure::Failure;

/// How long the end of the process waits for checkpoints to be uploaded.
#[cfg(feature = "rocksdb")]
const LAST_UPLOADS: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Settings come from three places, each over the ones before it: the file of --config, the environment, and flags. Every \
setting has one name; `kafka.bootstrap` is the key `bootstrap` of the section `kafka` in the file, the variable \
TOCSIN_KAFKA__BOOTSTRAP, and --set kafka.bootstrap=... as a flag.

Without `rules`, the rules are those that `tocsin rules apply` published, and it waits for a first generation. With \
`rules`, they are published at start if they are not the newest generation: meant for a single process.

Examples:
  tocsin run --bootstrap localhost:9092 --rules rules/
  tocsin run --config tocsin.yaml --set workers=4 --set log.filter=debug
  tocsin run --config tocsin.yaml --print-config    all settings, explained
  TOCSIN_KAFKA__PROPERTIES__SASL__PASSWORD=... tocsin run --config tocsin.yaml

Exit codes: 0 ended as it was told to, 1 failed, 2 the configuration or the rules cannot be used";

/// Judge the rules over the events in Kafka and publish alerts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Where the stores are kept [setting: `state_dir`]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<String>,

    /// A rule file, or a directory of rule files, to be published at start [setting: `rules`]
    #[arg(long, value_name = "FILE|DIR")]
    rules: Option<String>,

    /// Print the configuration that would be used, with comments and without secrets, and exit
    #[arg(long)]
    print_config: bool,
}

pub fn execute(args: &RunArgs) -> anyhow::Result<()> {
    let named = [("--state-dir", "state_dir", &args.state_dir), ("--rules", "rules", &args.rules)];
    let given = args.config.given(&named);
    if args.print_config {
        print(&given.to_yaml())?;
        // Also of use while something is still missing, but then not a success.
        given.config()?;
        return Ok(());
    }
    let config = given.config()?;
    logging::init(&config.log)?;
    start(config)
}

/// Runs until told to end. Logging is set up, the configuration is checked.
#[cfg(feature = "rocksdb")]
fn start(config: Config) -> anyhow::Result<()> {
    let schemas = arguments::schemas(config.schemas.as_deref())?;
    let rules = own_rules(&config, &schemas)?;
    let stop = service::stop_on_signals()?;
    let metrics = Metrics::new().context("the metrics")?;
    let checkpoints = checkpoints(&config, &metrics)?;
    let stores = stores(&config, checkpoints.clone(), &metrics)?;
    let ended = service::start(&Plan { config, rules, schemas }, metrics, stop, &stores)?.wait();
    if let Some(checkpoints) = checkpoints
        && !checkpoints.finish(LAST_UPLOADS)
    {
        tracing::warn!("the last checkpoints are not uploaded: the next start of this process goes on all the same");
    }
    ended
}

#[cfg(not(feature = "rocksdb"))]
#[allow(clippy::needless_pass_by_value, reason = "the one with stores keeps it")]
fn start(config: Config) -> anyhow::Result<()> {
    let schemas = arguments::schemas(config.schemas.as_deref())?;
    own_rules(&config, &schemas)?;
    let what = "this build has no RocksDB, so it cannot keep state";
    Err(Failure::failed(what).hint("build it with its default features: make build").into())
}

/// The threads that upload checkpoints, if there are to be any.
#[cfg(feature = "rocksdb")]
fn checkpoints(config: &Config, metrics: &Arc<Metrics>) -> anyhow::Result<Option<Arc<Background>>> {
    let Some(url) = &config.checkpoint.url else { return Ok(None) };
    let repository = checkpoint::connect(url, &config.application).map_err(|error| {
        Failure::unusable("checkpoints cannot be kept").caused_by(error).hint("correct checkpoint.url, or take it out")
    })?;
    let settings = Settings::keeping(config.checkpoint.keep);
    let background = Background::start(repository, settings, metrics.clone()).context("starting threads")?;
    Ok(Some(Arc::new(background)))
}

/// The stores: a directory for each partition, below the state directory.
#[cfg(feature = "rocksdb")]
fn stores(config: &Config, checkpoints: Option<Arc<Background>>, metrics: &Arc<Metrics>) -> anyhow::Result<DiskStores> {
    let folder = config.application_dir().join(config.topics.first_input());
    std::fs::create_dir_all(&folder).map_err(|error| {
        let what = format!("the state directory {} cannot be made", folder.display());
        Failure::failed(what).caused_by(error).hint("set state_dir to a directory that this user may write")
    })?;
    let shared = service::rocks_options(config);
    let stores =
        DiskStores::new(folder, &config.application, config.topics.first_input(), shared, checkpoints, metrics.clone());
    if config.checkpoint.prefetch {
        // Twice for each checkpoint that others take.
        stores.prefetch(Duration::from_millis((config.checkpoint.interval / 2) as u64));
    }
    Ok(stores)
}

/// The rules that the configuration names, if it names any, to be published at start.
fn own_rules(config: &Config, schemas: &Schemas) -> anyhow::Result<Option<OwnRules>> {
    let Some(path) = &config.rules else { return Ok(None) };
    let limits = Limits { history: config.time.history, timezone: config.time.timezone };
    let (files, _) = arguments::rule_files(path, schemas, &limits)?;
    Ok(Some(OwnRules { files, applied_by: format!("tocsin-run@{}", config.instance) }))
}

pub fn print(text: &str) -> io::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // The reader has seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
