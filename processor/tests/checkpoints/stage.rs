//! A store with rows, and a place for its checkpoints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use tempfile::TempDir;
use tocsin::checkpoint::{
    Archive, CheckpointError, Facts, Fetched, FileEntry, KnownHashes, Progress, Repository, RulesInForce, Search,
    Uploaded, Wanted, fetch, upload,
};
use tocsin::codec::rows::{self, Position};
use tocsin::store::{Batch, Column, Contents, RocksOptions, RocksStore, Store, survey};
use tocsin_core::customer::Customer;
use tocsin_core::time::Millis;

pub const PARTITION: i32 = 3;
pub const APPLICATION: &str = "care";
pub const TOPIC: &str = "events";
/// Below this in the object store.
pub const PREFIX: &str = "some/prefix";

/// Everything of one test; directories go when it does.
pub struct Stage {
    pub directory: TempDir,
    pub objects: Arc<dyn ObjectStore>,
    pub repository: Repository,
    pub archive: Archive,
    /// Where the objects are, if they are in a directory.
    pub kept: Option<TempDir>,
    prefix: ObjectPath,
    known: Arc<Mutex<KnownHashes>>,
}

impl Stage {
    pub fn new(objects: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        let prefix = ObjectPath::from(prefix);
        let repository = Repository::new(objects.clone(), prefix.clone(), APPLICATION);
        let archive = repository.partition(PARTITION);
        let directory = tempfile::tempdir().unwrap();
        Self { directory, objects, repository, archive, kept: None, prefix, known: Arc::default() }
    }

    pub fn in_a_directory() -> Self {
        let kept = tempfile::tempdir().unwrap();
        let objects = LocalFileSystem::new_with_prefix(kept.path()).unwrap();
        Self { kept: Some(kept), ..Self::new(Arc::new(objects), PREFIX) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Uploads the store as it is.
    pub async fn upload(&self, store: &RocksStore, sequence: i64, now: Millis) -> Result<Uploaded, CheckpointError> {
        let directory = self.path(&format!("taken-{sequence}-{now}"));
        store.checkpoint(&directory).unwrap();
        let uploaded = upload(&self.archive, &directory, facts(sequence), &self.known, now).await;
        std::fs::remove_dir_all(&directory).unwrap();
        uploaded
    }

    /// Looks for the newest checkpoint behind a sequence; its files go to `name`.
    pub async fn fetch(&self, name: &str, sequence: i64) -> Result<Fetched, CheckpointError> {
        self.fetch_with(name, sequence, &[]).await
    }

    pub async fn fetch_with(&self, name: &str, sequence: i64, at_hand: &[PathBuf]) -> Result<Fetched, CheckpointError> {
        let search = Search {
            wanted: Wanted::NewerThan { sequence, topic: Some(TOPIC.to_owned()) },
            target: self.path(name),
            at_hand: at_hand.to_vec(),
            progress: Progress::default(),
        };
        fetch(&self.archive, &search).await
    }

    /// Sequences of all checkpoints, each with whether it is verified.
    pub async fn listed(&self) -> Vec<(i64, bool)> {
        let listing = self.archive.listing().await.unwrap();
        listing.entries.iter().map(|entry| (entry.name.sequence, entry.verified)).collect()
    }

    pub fn place(&self, kind: &str, name: &str) -> ObjectPath {
        let base = self.prefix.clone().join(APPLICATION).join(PARTITION.to_string());
        base.join(kind).join(name)
    }

    /// Names of objects of a kind: blobs, manifests, verified, retired.
    pub async fn names(&self, kind: &str) -> Vec<String> {
        let place = self.prefix.clone().join(APPLICATION).join(PARTITION.to_string()).join(kind);
        let objects: Vec<_> = self.objects.list(Some(&place)).try_collect().await.unwrap();
        let mut names: Vec<_> = objects.iter().map(|object| object.location.filename().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    pub async fn delete(&self, kind: &str, name: &str) {
        self.objects.delete(&self.place(kind, name)).await.unwrap();
    }

    /// Replaces what is stored by what `change` makes of it.
    pub async fn tamper(&self, kind: &str, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let place = self.place(kind, name);
        let mut content = self.objects.get(&place).await.unwrap().bytes().await.unwrap().to_vec();
        change(&mut content);
        self.objects.put(&place, content.into()).await.unwrap();
    }
}

pub fn facts(journal_sequence: i64) -> Facts {
    Facts {
        application: APPLICATION.to_owned(),
        topic: TOPIC.to_owned(),
        partition: PARTITION,
        journal_offset: journal_sequence * 2,
        journal_sequence,
        inputs: BTreeMap::from([(TOPIC.to_owned(), journal_sequence * 100)]),
        watermark: Some(5),
        rules: RulesInForce { generation: 1, fingerprint: "f".to_owned(), document: "{}".to_owned() },
        semantics: 1,
        context: "00".to_owned(),
    }
}

pub fn open(path: &Path) -> RocksStore {
    RocksStore::open(path, &RocksOptions::new(16 << 20)).unwrap()
}

/// Writes customers, and the position that belongs to them.
pub fn fill(store: &mut RocksStore, customers: std::ops::Range<u32>, sequence: i64) {
    let mut batch = Batch::default();
    for number in customers {
        // Names that do not pack well, so that sizes say something.
        let id = format!("c-{:016x}", u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let customer = Customer { latest: i64::from(number).into(), ..Customer::default() };
        batch.put(Column::Customers, rows::head_key(&id), rows::write_head(&customer));
    }
    let position = Position { journal_sequence: sequence, journal_offset: sequence * 2, ..Position::default() };
    batch.put(Column::Meta, rows::POSITION_KEY, rows::write_position(&position));
    store.write(batch).unwrap();
}

pub fn contents(path: &Path) -> Contents {
    survey(&open(path), &mut |_| {}).unwrap()
}

pub fn now() -> Millis {
    chrono::Utc::now().timestamp_millis()
}

/// Whether a file holds rows.
pub fn is_table(file: &FileEntry) -> bool {
    Path::new(&file.name).extension().is_some_and(|extension| extension == "sst")
}
