//! The newest checkpoints of partitions that others have, kept on this disk: whoever takes one of them over links its tables
//! and downloads next to nothing.
//!
//! ```text
//! SHELF/PARTITION-SEQUENCE      files of the newest checkpoint that has been seen
//!      /PARTITION.next          files of a newer one, under way
//! ```

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::archive::Repository;
use super::fetch::{Fetched, Progress, Search, Wanted, fetch};
use super::{CheckpointError, remove};

/// The partitions that this process has: nothing is fetched ahead for them.
#[derive(Clone, Debug, Default)]
pub struct Owned(Arc<Mutex<BTreeSet<i32>>>);

impl Owned {
    pub fn add(&self, partition: i32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(partition);
    }

    pub fn remove(&self, partition: i32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }

    #[must_use]
    pub fn contains(&self, partition: i32) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&partition)
    }
}

/// A directory with one checkpoint for each partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    directory: PathBuf,
}

impl Shelf {
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The directories of a partition's checkpoints, with their journal sequences; the newest comes last. More than one only
    /// if the process ended before it removed an older one.
    #[must_use]
    pub fn places(&self, partition: i32) -> Vec<(i64, PathBuf)> {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let of = |name: &str| {
            let (number, sequence) = name.split_once('-')?;
            Some(sequence.parse().ok()?).filter(|_: &i64| number == partition.to_string())
        };
        let sequence = |path: PathBuf| Some((of(path.file_name()?.to_str()?)?, path));
        let mut places: Vec<_> = entries.filter_map(|entry| sequence(entry.path())).collect();
        places.sort_unstable();
        places
    }

    /// Looks whether there is a newer checkpoint of the partition and if so puts it in the place of the one that is kept;
    /// `stores` are directories on this disk that may have some of its tables.
    ///
    /// # Errors
    /// As for [`fetch`].
    pub async fn renew(
        &self,
        repository: &Repository,
        (topic, partition): (&str, i32),
        stores: Vec<PathBuf>,
    ) -> Result<Fetched, CheckpointError> {
        std::fs::create_dir_all(&self.directory).map_err(CheckpointError::local("make", &self.directory))?;
        let places = self.places(partition);
        let sequence = places.last().map_or(0, |(sequence, _)| *sequence);
        let at_hand = places.iter().map(|(_, place)| place.clone()).chain(stores).collect();
        let target = self.directory.join(format!("{partition}.next"));
        remove(&target).map_err(CheckpointError::local("remove", &target))?;
        let wanted = Wanted::NewerThan { sequence, topic: Some(topic.to_owned()) };
        let search = Search { wanted, target: target.clone(), at_hand, progress: Progress::default() };
        let fetched = fetch(&repository.partition(partition), &search).await?;
        if let Some(found) = &fetched.found {
            let place = self.directory.join(format!("{partition}-{}", found.name.sequence));
            std::fs::rename(&target, &place).map_err(CheckpointError::local("rename", &target))?;
            for (_, older) in &places {
                remove(older).map_err(CheckpointError::local("remove", older))?;
            }
        }
        Ok(fetched)
    }
}

/// What fetching ahead needs to know.
#[derive(Clone, Debug)]
pub struct Prefetch {
    pub shelf: Shelf,
    pub topic: String,
    pub owned: Owned,
    /// Where the stores of this process are, each in a directory that is named by its partition.
    pub stores: PathBuf,
}

/// What a round brought for one partition.
#[derive(Debug)]
pub struct Renewed {
    pub partition: i32,
    pub fetched: Result<Fetched, CheckpointError>,
    pub took: std::time::Duration,
}

impl Prefetch {
    /// Goes over all partitions of others that have checkpoints, one after the other; tells `each` what it came to.
    ///
    /// # Errors
    /// [`CheckpointError::Unavailable`] if they cannot be listed.
    pub async fn round(&self, repository: &Repository, mut each: impl FnMut(Renewed)) -> Result<(), CheckpointError> {
        for partition in repository.partitions().await? {
            if self.owned.contains(partition) {
                continue;
            }
            let started = Instant::now();
            let stores = vec![self.stores.join(partition.to_string())];
            let fetched = self.shelf.renew(repository, (&self.topic, partition), stores).await;
            each(Renewed { partition, fetched, took: started.elapsed() });
        }
        Ok(())
    }
}
