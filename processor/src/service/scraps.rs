//! Stores for an audit: empty ones, and copies of checkpoints; their files go with them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::runtime::Runtime;

use crate::audit::{Base, Bases};
use crate::checkpoint::{self, Entry, Repository, Search, Wanted};
use crate::config::Config;
use crate::service::rocks_options;
use crate::store::{Batch, Between, Column, Each, RocksOptions, RocksStore, Store, StoreError};
use crate::task::SEMANTICS_VERSION;
use crate::task::world::{PartitionId, WorldError};

/// The stores of one audit.
#[derive(Debug)]
pub struct Scraps {
    folder: Folder,
    made: u64,
    rocks: RocksOptions,
    topics: Vec<String>,
    checkpoints: Option<Checkpoints>,
}

#[derive(Debug)]
struct Checkpoints {
    repository: Repository,
    runtime: Runtime,
}

impl Scraps {
    /// Stores in a new directory below `scratch`.
    ///
    /// # Errors
    /// If the directory cannot be made, or `checkpoint.url` cannot be used.
    pub fn new(scratch: &Path, config: &Config) -> anyhow::Result<Self> {
        let folder = scratch.join(format!("tocsin-audit-{}-{}", config.application, std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let folder = Folder(folder);
        let checkpoints = match &config.checkpoint.url {
            None => None,
            Some(url) => {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
                Some(Checkpoints { repository: checkpoint::connect(url, &config.application)?, runtime })
            }
        };
        let rocks = rocks_options(config);
        Ok(Self { folder, made: 0, rocks, topics: config.topics.events.clone(), checkpoints })
    }

    fn next(&mut self) -> Folder {
        self.made += 1;
        Folder(self.folder.0.join(self.made.to_string()))
    }
}

impl Checkpoints {
    /// Those of a topic that can be read; in the order of their positions.
    fn entries(&self, partition: PartitionId) -> Result<Vec<Entry>, WorldError> {
        let listing = self.runtime.block_on(self.repository.partition(partition).listing());
        Ok(listing.map_err(|error| WorldError::Transient(error.to_string()))?.entries)
    }
}

/// What an audit needs to know of a checkpoint; `None` if it cannot be used.
fn base(entry: &Entry, topics: &[String]) -> Option<Base> {
    let facts = &entry.manifest.as_ref().ok()?.facts;
    let next: Option<Vec<_>> = topics.iter().map(|topic| facts.inputs.get(topic).copied()).collect();
    let is_ours = topics.first() == Some(&facts.topic)
        && facts.inputs.len() == topics.len()
        && facts.semantics == SEMANTICS_VERSION;
    is_ours.then_some(Base {
        name: format!("the checkpoint of record number {}", facts.journal_sequence),
        journal_offset: facts.journal_offset,
        journal_sequence: facts.journal_sequence,
        next: next?,
    })
}

impl Bases for Scraps {
    type Store = Scrap;

    fn scratch(&mut self) -> Result<Scrap, StoreError> {
        Scrap::open(self.next(), &self.rocks)
    }

    fn list(&mut self, partition: PartitionId) -> Result<Vec<Base>, WorldError> {
        let Some(checkpoints) = &self.checkpoints else { return Ok(Vec::new()) };
        match checkpoints.entries(partition) {
            Ok(entries) => Ok(entries.iter().filter_map(|entry| base(entry, &self.topics)).collect()),
            Err(error) => {
                // Often none is needed; if one is, its lack will be told.
                tracing::warn!(partition, %error, "the checkpoints cannot be looked at: the audit does without");
                Ok(Vec::new())
            }
        }
    }

    fn open(&mut self, partition: PartitionId, wanted: &Base) -> Result<Scrap, WorldError> {
        let gone = |why: &str| {
            WorldError::Fatal(format!("partition {partition}: {} cannot be used: {why}; try again", wanted.name))
        };
        let folder = self.next();
        let Some(checkpoints) = &self.checkpoints else { return Err(gone("there are no checkpoints")) };
        let entries = checkpoints.entries(partition)?;
        let entry = entries.iter().find(|entry| base(entry, &self.topics).as_ref() == Some(wanted));
        let entry = entry.ok_or_else(|| gone("it is no longer there"))?;
        let search = Search {
            wanted: Wanted::Exactly(entry.name.clone()),
            target: folder.0.clone(),
            at_hand: Vec::new(),
            progress: checkpoint::Progress::default(),
        };
        let archive = checkpoints.repository.partition(partition);
        let fetched = checkpoints.runtime.block_on(checkpoint::fetch(&archive, &search));
        let fetched = fetched.map_err(|error| WorldError::Transient(error.to_string()))?;
        if let Some(refused) = fetched.refused.first() {
            return Err(gone(&refused.reason));
        }
        fetched.found.ok_or_else(|| gone("it is no longer there"))?;
        Scrap::open(folder, &self.rocks).map_err(|source| WorldError::Store { partition, source })
    }
}

/// A directory that goes with its owner.
#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // It may never have been made.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A store whose files go with it.
#[derive(Debug)]
pub struct Scrap {
    // In this order: closed, then removed.
    store: RocksStore,
    _folder: Folder,
}

impl Scrap {
    fn open(folder: Folder, rocks: &RocksOptions) -> Result<Self, StoreError> {
        Ok(Self { store: RocksStore::open(&folder.0, rocks)?, _folder: folder })
    }
}

impl Store for Scrap {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(column, key)
    }

    fn keys_after(&self, column: Column, after: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.store.keys_after(column, after, limit)
    }

    fn rows_between(&self, column: Column, keys: Between<'_>, each: &mut Each<'_>) -> Result<(), StoreError> {
        self.store.rows_between(column, keys, each)
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
