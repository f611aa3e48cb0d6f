//! `tocsin checkpoint`: what is in the object store, is it whole, and how to have it as a store on this disk.

#[cfg(feature = "rocksdb")]
mod list;
#[cfg(feature = "rocksdb")]
mod restore;
#[cfg(feature = "rocksdb")]
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::arguments::ConfigArgs;
#[cfg(not(feature = "rocksdb"))]
use super::failure::Failure;

const EXAMPLES: &str = "\
A running application takes checkpoints by itself, every checkpoint.interval and when it ends, and a machine without state \
starts from the newest. These subcommands are for looking after them, also while it runs.

Examples:
  tocsin checkpoint list --config tocsin.yaml
  tocsin checkpoint verify --config tocsin.yaml                     the newest of each partition
  tocsin checkpoint verify --config tocsin.yaml --all --partition 3
  tocsin checkpoint restore --config tocsin.yaml --partition 3 --to /tmp/store-3

Exit codes: 0 done, 1 failed or damaged, 2 the configuration or an argument cannot be used";

const LIST_EXAMPLES: &str = "\
Examples:
  tocsin checkpoint list --config tocsin.yaml
  tocsin checkpoint list --config tocsin.yaml --partition 3 --json";

const VERIFY_EXAMPLES: &str = "\
What is damaged no longer counts as kept, and the next upload replaces the damaged content. Files go to the system's \
temporary directory (TMPDIR), one checkpoint at a time, and are removed.

Examples:
  tocsin checkpoint verify --config tocsin.yaml
  tocsin checkpoint verify --config tocsin.yaml --all
  TMPDIR=/mnt/scratch tocsin checkpoint verify --config tocsin.yaml --partition 3";

const RESTORE_EXAMPLES: &str = "\
The directory is then a store that `tocsin run` can go on from, as STATE_DIR/APPLICATION/TOPIC/PARTITION, while the \
application does not run.

Examples:
  tocsin checkpoint restore --config tocsin.yaml --partition 3 --to /tmp/store-3
  tocsin checkpoint restore --config tocsin.yaml --partition 3 --sequence 118234 --to /tmp/store-3";

/// List, verify and restore checkpoints of the stores.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckpointArgs {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(ListArgs),
    Verify(VerifyArgs),
    Restore(RestoreArgs),
}

/// Show the checkpoints of every partition.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
struct ListArgs {
    /// Only this partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,

    /// As JSON: an array with an object for each checkpoint
    #[arg(long)]
    json: bool,
}

/// Download checkpoints, check every hash, open the stores and read every row.
#[derive(Debug, Args)]
#[command(after_help = VERIFY_EXAMPLES)]
struct VerifyArgs {
    /// Only this partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,

    /// All checkpoints [default: the newest of each partition]
    #[arg(long)]
    all: bool,
}

/// Put a checkpoint into a directory.
#[derive(Debug, Args)]
#[command(after_help = RESTORE_EXAMPLES)]
struct RestoreArgs {
    /// The partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: i32,

    /// The directory: a new or an empty one
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    /// The checkpoint with this sequence, whole or not at all [default: the newest that is whole]
    #[arg(long, value_name = "SEQUENCE")]
    sequence: Option<i64>,
}

#[cfg(not(feature = "rocksdb"))]
pub fn execute(args: &CheckpointArgs) -> anyhow::Result<()> {
    args.config.read()?;
    let what = format!("this build has no RocksDB, so it cannot {:?}", args.action);
    Err(Failure::failed(what).hint("build it with its default features: make build").into())
}

#[cfg(feature = "rocksdb")]
pub use with_stores::execute;

#[cfg(feature = "rocksdb")]
mod with_stores {
    use std::time::Duration;

    use anyhow::Context;
    use indicatif::{ProgressBar, ProgressStyle};
    use tocsin::checkpoint::{self, Archive, Entry, Progress, Repository};

    use super::super::failure::Failure;
    use super::{Action, CheckpointArgs, list, restore, verify};

    /// The object store of an application, and where it is, for messages.
    pub struct Place {
        pub repository: Repository,
        pub url: String,
        pub application: String,
    }

    pub fn execute(args: &CheckpointArgs) -> anyhow::Result<()> {
        let config = args.config.read()?;
        let Some(url) = config.checkpoint.url else {
            let hint = "set checkpoint.url in the file, by TOCSIN_CHECKPOINT__URL or by --set checkpoint.url=...";
            return Err(Failure::unusable("the configuration says of no place for checkpoints").hint(hint).into());
        };
        let repository = checkpoint::connect(&url, &config.application).map_err(|error| {
            Failure::unusable("the checkpoints cannot be reached").caused_by(error).hint("correct checkpoint.url")
        })?;
        let place = Place { repository, url, application: config.application };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.context("starting threads")?;
        runtime.block_on(async {
            match &args.action {
                Action::List(args) => list::execute(&place, args).await,
                Action::Verify(args) => verify::execute(&place, args).await,
                Action::Restore(args) => restore::execute(&place, args).await,
            }
        })
    }

    impl Place {
        /// The partitions that are meant: one, or all that there are.
        pub async fn partitions(&self, only: Option<i32>) -> anyhow::Result<Vec<i32>> {
            match only {
                Some(partition) => Ok(vec![partition]),
                None => self.repository.partitions().await.map_err(|error| self.unreachable(error)),
            }
        }

        /// The checkpoints of a partition, the oldest position first.
        pub async fn entries(&self, partition: i32) -> anyhow::Result<(Archive, Vec<Entry>)> {
            let archive = self.repository.partition(partition);
            let listing = archive.listing().await.map_err(|error| self.unreachable(error))?;
            Ok((archive, listing.entries))
        }

        pub fn unreachable(&self, error: checkpoint::CheckpointError) -> anyhow::Error {
            Failure::failed(format!("the checkpoints in {} cannot be read", self.url))
                .caused_by(error)
                .hint("is the object store up, and may this user read it? S3 takes its credentials from AWS_... variables")
                .into()
        }
    }

    /// Waits for `work` and shows how far it is.
    pub async fn with_bar<T>(what: String, progress: &Progress, work: impl Future<Output = T>) -> T {
        let style = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} (about {eta} left)");
        let bar =
            ProgressBar::new(0).with_message(what).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        tokio::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = tick.tick() => {
                    let (bytes, total) = progress.get();
                    bar.set_length(total);
                    bar.set_position(bytes);
                }
            }
        };
        bar.finish_and_clear();
        done
    }
}
