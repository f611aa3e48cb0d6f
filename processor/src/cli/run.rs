//! `tocsin run`: the service.

use std::io::{self, Write};

use clap::Args;
use tocsin::codec::schemas::Schemas;
use tocsin::config::Config;
use tocsin::service::{self, OwnRules, Plan};
#[cfg(not(feature = "rocksdb"))]
use tocsin::store::MemoryStore;
use tocsin::store::StoreError;
#[cfg(feature = "rocksdb")]
use tocsin::store::{RocksOptions, RocksStore};
use tocsin::task::world::{OpenOnly, PartitionId};
use tocsin::telemetry::logging;

use super::arguments::{self, ConfigArgs};
use super::failure::Failure;

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
fn start(config: Config) -> anyhow::Result<()> {
    let schemas = arguments::schemas(config.schemas.as_deref())?;
    let rules = own_rules(&config, &schemas)?;
    let stop = service::stop_on_signals()?;
    let open = open_stores(&config)?;
    service::start(&Plan { config, rules, schemas }, stop, &OpenOnly(open))?.wait()
}

/// The rules that the configuration names, if it names any, to be published at start.
fn own_rules(config: &Config, schemas: &Schemas) -> anyhow::Result<Option<OwnRules>> {
    let Some(path) = &config.rules else { return Ok(None) };
    let (files, _) = arguments::rule_files(path, schemas, config.time.history)?;
    Ok(Some(OwnRules { files, applied_by: format!("tocsin-run@{}", config.instance) }))
}

/// How the store of a partition is opened: a directory of its own below the state directory.
#[cfg(feature = "rocksdb")]
fn open_stores(
    config: &Config,
) -> anyhow::Result<impl Fn(PartitionId) -> Result<RocksStore, StoreError> + Clone + Send + 'static> {
    let folder = config.application_dir().join(&config.topics.events);
    std::fs::create_dir_all(&folder).map_err(|error| {
        let what = format!("the state directory {} cannot be made", folder.display());
        Failure::failed(what).caused_by(error).hint("set state_dir to a directory that this user may write")
    })?;
    // The other half of the budget is for decoded customers.
    let shared = RocksOptions::new((config.memory_budget / 3) as usize);
    Ok(move |partition: PartitionId| RocksStore::open(&folder.join(partition.to_string()), &shared))
}

#[cfg(not(feature = "rocksdb"))]
fn open_stores(_: &Config) -> anyhow::Result<fn(PartitionId) -> Result<MemoryStore, StoreError>> {
    let what = "this build has no RocksDB, so it cannot keep state";
    Err(Failure::failed(what).hint("build it with its default features: make build").into())
}

fn print(text: &str) -> io::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // The reader has seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
