//! The stores of a process on its disk, with their checkpoints: what the loop asks of [`crate::task::world`], kept.
//!
//! ```text
//! STATE/PARTITION                        the store
//!      /PARTITION.set-aside-UTC-TIME     one that could not be used; never deleted by this program
//!      /checkpoints-tmp/take-PARTITION-N   hard links that are being uploaded
//!      /checkpoints-tmp/fetch-PARTITION    files that are being fetched
//!      /checkpoints-ahead/                 checkpoints of partitions that other members have
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::checkpoint::{
    Background, CheckpointError, Facts, FetchHandle, Owned, Prefetch, Progress, RulesInForce, Search, Shelf, Taken,
    Wanted, remove,
};
use crate::config::{Config, StateCompression};
use crate::service::Shares;
use crate::store::{RocksOptions, RocksStore, StoreError};
use crate::task::world::{CheckpointFacts, Fetched, PartitionId, Stores};
use crate::telemetry::{CheckpointFailed, CheckpointFailure, CheckpointTaken, Metrics, StoreSetAside};

/// What the stores of a process share, as its configuration has it.
#[must_use]
pub fn rocks_options(config: &Config) -> RocksOptions {
    RocksOptions::new(Shares::of(config).rocks as usize).dense(config.state_compression == StateCompression::Zstd)
}

/// Where hard links and half-fetched files are, below the state directory.
const TEMPORARY: &str = "checkpoints-tmp";
/// Where checkpoints of partitions are that other members have, below the state directory.
const AHEAD: &str = "checkpoints-ahead";

/// The stores of one worker; the other workers' are clones of it, which share cache and uploader.
#[derive(Debug)]
pub struct DiskStores {
    state: PathBuf,
    application: String,
    topic: String,
    rocks: RocksOptions,
    /// `None`: there are no checkpoints.
    background: Option<Arc<Background>>,
    metrics: Arc<Metrics>,
    owned: Owned,
    shelf: Shelf,
    /// Distinguishes the checkpoints that this process takes.
    taken: Arc<AtomicU64>,
    fetching: BTreeMap<PartitionId, FetchHandle>,
}

impl Clone for DiskStores {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            application: self.application.clone(),
            topic: self.topic.clone(),
            rocks: self.rocks.clone(),
            background: self.background.clone(),
            metrics: self.metrics.clone(),
            owned: self.owned.clone(),
            shelf: self.shelf.clone(),
            taken: self.taken.clone(),
            // What one worker is looking for is its own affair.
            fetching: BTreeMap::new(),
        }
    }
}

impl DiskStores {
    /// Stores below `state`, a directory that belongs to this application and topic.
    #[must_use]
    pub fn new(
        state: PathBuf,
        application: &str,
        topic: &str,
        rocks: RocksOptions,
        background: Option<Arc<Background>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (taken, fetching) = (Arc::default(), BTreeMap::new());
        let (owned, shelf) = (Owned::default(), Shelf::new(state.join(AHEAD)));
        Self {
            state,
            application: application.to_owned(),
            topic: topic.to_owned(),
            rocks,
            background,
            metrics,
            owned,
            shelf,
            taken,
            fetching,
        }
    }

    /// Keeps the newest checkpoints of partitions that this process does not have on its disk, from now on: looks for newer
    /// ones every so often.
    pub fn prefetch(&self, every: Duration) {
        let Some(background) = &self.background else { return };
        let prefetch = Prefetch {
            shelf: self.shelf.clone(),
            topic: self.topic.clone(),
            owned: self.owned.clone(),
            stores: self.state.clone(),
        };
        background.prefetch(prefetch, every);
    }

    /// Moves a store out of the way; returns where it is now, if there was one.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn move_aside(&mut self, partition: PartitionId, reason: &str) -> Result<Option<PathBuf>, StoreError> {
        let place = self.place(partition);
        let failed = |error: std::io::Error| failed(&place, "be set aside", &error);
        if !place.try_exists().map_err(failed)? {
            return Ok(None);
        }
        // A second one within a millisecond would be refused by the rename, for the first is not empty.
        let time = Utc::now().format("%Y%m%dT%H%M%S%.3fZ");
        let path = self.state.join(format!("{partition}.set-aside-{time}"));
        std::fs::rename(&place, &path).map_err(failed)?;
        StoreSetAside { partition, path: &path, reason }.emit(&self.metrics);
        Ok(Some(path))
    }

    /// Takes a checkpoint of a store as it is now and has it uploaded. Returns when it is on this disk.
    pub fn take(&self, partition: PartitionId, store: &RocksStore, facts: Facts) {
        let Some(background) = self.background.clone() else { return };
        let started = Instant::now();
        // The store is further on than what was at hand for it.
        for (_, ahead) in self.shelf.places(partition) {
            background.remove(ahead);
        }
        let number = self.taken.fetch_add(1, Relaxed);
        let directory = self.temporary(&format!("take-{partition}-{number}"));
        let made = remove(&directory)
            .and_then(|()| std::fs::create_dir_all(self.state.join(TEMPORARY)))
            .map_err(|error| failed(&directory, "be made", &error))
            .and_then(|()| store.checkpoint(&directory));
        let topic = self.topic.as_str();
        if let Err(error) = made {
            let (stage, error) = (CheckpointFailure::Take, &*error.to_string());
            CheckpointFailed { topic, partition, stage, error }.emit(&self.metrics);
            background.remove(directory);
            return;
        }
        let sequence = facts.journal_sequence;
        background.submit(Taken { facts, directory });
        CheckpointTaken { topic, partition, sequence, took: started.elapsed() }.emit(&self.metrics);
    }

    fn facts(&self, partition: PartitionId, facts: CheckpointFacts<'_>) -> Facts {
        let CheckpointFacts { position, rules, semantics } = facts;
        Facts {
            application: self.application.clone(),
            topic: self.topic.clone(),
            partition,
            journal_offset: position.journal_offset,
            journal_sequence: position.journal_sequence,
            inputs: position.inputs.iter().map(|(topic, next)| (topic.to_string(), *next)).collect(),
            watermark: position.watermark,
            rules: RulesInForce {
                generation: rules.number,
                fingerprint: rules.fingerprint.to_string(),
                document: rules.document.to_string(),
            },
            semantics,
            context: format!("{:016x}", position.context),
        }
    }

    fn place(&self, partition: PartitionId) -> PathBuf {
        self.state.join(partition.to_string())
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.state.join(TEMPORARY).join(name)
    }

    /// Stores and checkpoints of the partition on this disk, usable or not.
    fn at_hand(&self, partition: PartitionId) -> Vec<PathBuf> {
        let prefix = format!("{partition}.set-aside-");
        let mut found = vec![self.place(partition)];
        found.extend(self.shelf.places(partition).into_iter().map(|(_, place)| place));
        let entries = std::fs::read_dir(&self.state).into_iter().flatten().flatten();
        found.extend(
            entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).map(|entry| entry.path()),
        );
        found
    }

    /// Removes checkpoints of the partition that nobody will upload any more.
    fn clear(&self, partition: PartitionId) {
        let prefix = format!("take-{partition}-");
        let Some(background) = &self.background else { return };
        let entries = std::fs::read_dir(self.state.join(TEMPORARY)).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)) {
            if !background.holds(&entry.path()) {
                background.remove(entry.path());
            }
        }
    }
}

impl Stores for DiskStores {
    type Store = RocksStore;

    fn open(&mut self, partition: PartitionId) -> Result<RocksStore, StoreError> {
        let started = Instant::now();
        self.owned.add(partition);
        let store = RocksStore::open(&self.place(partition), &self.rocks)?;
        tracing::debug!(partition, took_ms = started.elapsed().as_millis() as u64, "store opened");
        // From here on nobody else has this partition's store, so what others have left is of no use.
        self.clear(partition);
        if let Some(background) = &self.background {
            background.look(&self.topic, partition);
        }
        Ok(store)
    }

    fn set_aside(&mut self, partition: PartitionId, reason: &str) -> Result<(), StoreError> {
        self.move_aside(partition, reason).map(drop)
    }

    fn fetch(&mut self, partition: PartitionId, sequence: i64) -> Result<Fetched, StoreError> {
        let Some(background) = &self.background else { return Ok(Fetched::None) };
        let target = self.temporary(&format!("fetch-{partition}"));
        let Some(handle) = self.fetching.get_mut(&partition) else {
            let search = Search {
                wanted: Wanted::NewerThan { sequence, topic: Some(self.topic.clone()) },
                at_hand: self.at_hand(partition),
                target,
                progress: Progress::default(),
            };
            // Of a process that ended before it could be used.
            remove(&search.target).map_err(|error| failed(&search.target, "be removed", &error))?;
            self.fetching.insert(partition, background.fetch(partition, search));
            return Ok(Fetched::Pending);
        };
        let Poll::Ready(done) = handle.poll() else { return Ok(Fetched::Pending) };
        self.fetching.remove(&partition);
        let fetched = done.map_err(|error| from_checkpoint(&target, &error))?;
        if fetched.found.is_none() {
            return Ok(Fetched::None);
        }
        let place = self.place(partition);
        if is_blank(&place) {
            // What opening has made, on a machine without state; there is nothing in it to keep.
            remove(&place).map_err(|error| failed(&place, "make way", &error))?;
        }
        self.set_aside(partition, "a checkpoint that is further on takes its place")?;
        std::fs::rename(&target, &place).map_err(|error| failed(&place, "be put in place", &error))?;
        Ok(Fetched::Ready)
    }

    fn give_up(&mut self, partition: PartitionId) {
        self.fetching.remove(&partition);
        self.owned.remove(partition);
    }

    fn take_checkpoint(&mut self, partition: PartitionId, store: &mut RocksStore, facts: CheckpointFacts<'_>) {
        self.take(partition, store, self.facts(partition, facts));
    }
}

/// Whether a store was made and never written to: it has no table, and nothing in a log. In doubt it was.
fn is_blank(store: &Path) -> bool {
    let Ok(mut entries) = std::fs::read_dir(store) else { return false };
    entries.all(|entry| {
        let Ok(entry) = entry else { return false };
        let path = entry.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("sst" | "blob") => false,
            Some("log") => entry.metadata().is_ok_and(|metadata| metadata.len() == 0),
            _ => true,
        }
    })
}

fn failed(place: &Path, action: &'static str, error: &std::io::Error) -> StoreError {
    StoreError::Failed { place: place.display().to_string(), action, message: error.to_string() }
}

fn from_checkpoint(place: &Path, error: &CheckpointError) -> StoreError {
    StoreError::Failed { place: place.display().to_string(), action: "be fetched", message: error.to_string() }
}
