//! An audit of a running application: its log, its rules, and stores to recompute with.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

#[cfg(feature = "rocksdb")]
use super::scraps::Scraps;
use super::{Ground, Plan, RuleMaker, kafka_settings};
use crate::audit::{self, Asked, Ends, Progress, Report};
use crate::codec::schemas::Schemas;
use crate::config::Config;
use crate::kafka::generations::GenerationsReader;
use crate::kafka::{Evidence, KafkaSettings};
use crate::task::rulebook::Rulebook;
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
    let ends = Ends::take(&mut evidence, config.topics.events.len(), settings.transaction_timeout + ABORT_MARGIN)?;
    // After the journal's ends, so that every generation that it adopts is there.
    let rulebook = rulebook(config, schemas, &settings)?;
    let plan = Plan { config: config.clone(), rules: None, schemas: schemas.clone() };
    let metrics = Metrics::new().context("the metrics")?;
    let partitions = ends.events.first().map_or(0, Vec::len) as i32;
    let ground = Ground { plan, metrics, rulebook, partitions };
    let mut shared = ground.shared();
    // One partition at a time has the memory of all.
    shared.cached_bytes = shared.cached_bytes.saturating_mul((partitions as usize).max(1));
    let mut stores = Scraps::new(scratch, config)?;
    let longest_commit = config.kafka.transaction_timeout + LONGEST_WAIT;
    let asked = Asked { longest_commit, ..*asked };
    Ok(audit::run(&shared, &mut evidence, &mut stores, &ends, &asked, watch)?)
}

fn rulebook(config: &Config, schemas: &Arc<Schemas>, settings: &KafkaSettings) -> anyhow::Result<Arc<Rulebook>> {
    let maker = RuleMaker::new(config, schemas.clone());
    let book = Rulebook::default();
    for published in GenerationsReader::new(settings)?.read_all()? {
        book.add(maker.make(&published).map_err(anyhow::Error::msg)?)?;
    }
    Ok(Arc::new(book))
}

#[cfg(not(feature = "rocksdb"))]
use in_memory::Scraps;

/// Stores for a build that has none on disk.
#[cfg(not(feature = "rocksdb"))]
mod in_memory {
    use std::path::Path;

    use crate::audit::{Base, Bases};
    use crate::config::Config;
    use crate::store::{MemoryStore, StoreError};
    use crate::task::world::{PartitionId, WorldError};

    #[derive(Debug)]
    pub struct Scraps;

    impl Scraps {
        #[allow(clippy::unnecessary_wraps, reason = "those on disk may fail")]
        pub fn new(_: &Path, _: &Config) -> anyhow::Result<Self> {
            Ok(Self)
        }
    }

    impl Bases for Scraps {
        type Store = MemoryStore;

        fn scratch(&mut self) -> Result<MemoryStore, StoreError> {
            Ok(MemoryStore::default())
        }

        fn list(&mut self, _: PartitionId) -> Result<Vec<Base>, WorldError> {
            Ok(Vec::new())
        }

        fn open(&mut self, partition: PartitionId, base: &Base) -> Result<MemoryStore, WorldError> {
            Err(WorldError::Fatal(format!("partition {partition}: {} cannot be used by this build", base.name)))
        }
    }
}
