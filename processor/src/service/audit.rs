//! An audit of a running application: its log, its rules, and stores to recompute with.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::{Ground, Plan, RuleMaker, kafka_settings};
use crate::audit::{self, Asked, Base, Bases, Ends, Progress, Report};
use crate::codec::schemas::Schemas;
use crate::config::Config;
use crate::kafka::generations::GenerationsReader;
use crate::kafka::{Evidence, KafkaSettings};
use crate::store::StoreError;
use crate::task::rulebook::Rulebook;
use crate::task::world::{PartitionId, WorldError};
use crate::telemetry::Metrics;

/// The broker looks for transactions that have run out of time every ten seconds by default.
const ABORT_MARGIN: Duration = Duration::from_secs(20);
/// How long the output of a transaction may have waited for its beginning.
const LONGEST_WAIT: tocsin_core::time::Duration = 60_000;

/// Audits the application that has this configuration, up to what it has committed by now. Writes nothing but scraps below
/// `scratch`, which are gone when it returns.
///
/// # Errors
/// What kept it from coming to an outcome.
pub fn audit(
    config: &Config,
    schemas: &Arc<Schemas>,
    scratch: &Path,
    asked: &Asked,
    watch: &mut dyn FnMut(Progress) -> std::ops::ControlFlow<()>,
) -> anyhow::Result<Report> {
    let settings = KafkaSettings {
        // Only names clients in the brokers' logs: there is no producer, and no group is joined.
        transactional_id: format!("{}-audit", config.application),
        group_instance_id: None,
        ..kafka_settings(config, 0)
    };
    let mut evidence = Evidence::new(&settings)?;
    let ends = Ends::take(&mut evidence, settings.transaction_timeout + ABORT_MARGIN)?;
    // After the journal's ends, so that every generation that it adopts is there.
    let rulebook = rulebook(config, schemas, &settings)?;
    let plan = Plan { config: config.clone(), rules: None, schemas: schemas.clone() };
    let metrics = Metrics::new().context("the metrics")?;
    let ground = Ground { plan, metrics, rulebook, partitions: ends.events.len() as i32 };
    let mut shared = ground.shared();
    // One partition at a time has the memory of all.
    shared.cached_customers = shared.cached_customers.saturating_mul(ends.events.len().max(1));
    let mut stores = Scraps::new(scratch, config)?;
    let longest_commit = config.kafka.transaction_timeout + LONGEST_WAIT;
    let asked = Asked { longest_commit, ..*asked };
    Ok(audit::run(&shared, &mut evidence, &mut stores, &ends, &asked, watch)?)
}

fn rulebook(config: &Config, schemas: &Arc<Schemas>, settings: &KafkaSettings) -> anyhow::Result<Arc<Rulebook>> {
    let maker = RuleMaker { schemas: schemas.clone(), history: config.time.history };
    let book = Rulebook::default();
    for published in GenerationsReader::new(settings)?.read_all()? {
        book.add(maker.make(&published).map_err(anyhow::Error::msg)?)?;
    }
    Ok(Arc::new(book))
}

/// Stores that nobody needs afterwards.
#[derive(Debug)]
struct Scraps {
    folder: Folder,
    made: u64,
    #[cfg(feature = "rocksdb")]
    rocks: crate::store::RocksOptions,
}

impl Scraps {
    fn new(scratch: &Path, config: &Config) -> anyhow::Result<Self> {
        let folder = scratch.join(format!("tocsin-audit-{}-{}", config.application, std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self {
            folder: Folder(folder),
            made: 0,
            #[cfg(feature = "rocksdb")]
            rocks: crate::store::RocksOptions::new((config.memory_budget / 3) as usize),
        })
    }

    fn next(&mut self) -> Folder {
        self.made += 1;
        Folder(self.folder.0.join(self.made.to_string()))
    }
}

/// A directory that goes with its owner.
#[derive(Debug)]
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // It may never have been made.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

impl Bases for Scraps {
    type Store = scrap::Scrap;

    fn scratch(&mut self) -> Result<Self::Store, StoreError> {
        let folder = self.next();
        #[cfg(feature = "rocksdb")]
        let store = crate::store::RocksStore::open(&folder.0, &self.rocks)?;
        #[cfg(not(feature = "rocksdb"))]
        let store = crate::store::MemoryStore::default();
        Ok(scrap::Scrap::new(store, folder))
    }

    fn list(&mut self, _: PartitionId) -> Result<Vec<Base>, WorldError> {
        Ok(Vec::new())
    }

    fn open(&mut self, partition: PartitionId, base: &Base) -> Result<Self::Store, WorldError> {
        Err(WorldError::Fatal(format!("partition {partition}: {} is not known", base.name)))
    }
}

/// A store whose files go with it.
mod scrap {
    use super::Folder;
    #[cfg(not(feature = "rocksdb"))]
    use crate::store::MemoryStore as Inner;
    #[cfg(feature = "rocksdb")]
    use crate::store::RocksStore as Inner;
    use crate::store::{Batch, Column, Store, StoreError};

    #[derive(Debug)]
    pub struct Scrap {
        // In this order: closed, then removed.
        store: Inner,
        _folder: Folder,
    }

    impl Scrap {
        pub fn new(store: Inner, folder: Folder) -> Self {
            Self { store, _folder: folder }
        }
    }

    impl Store for Scrap {
        fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.store.get(column, key)
        }

        fn keys_after(&self, column: Column, after: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
            self.store.keys_after(column, after, limit)
        }

        fn write(&mut self, batch: Batch) -> Result<(), StoreError> {
            self.store.write(batch)
        }

        fn sync(&mut self) -> Result<(), StoreError> {
            // What is to be thrown away need not be safe.
            Ok(())
        }

        fn size_bytes(&self) -> u64 {
            self.store.size_bytes()
        }

        fn place(&self) -> &str {
            self.store.place()
        }
    }
}
