//! Where a task keeps its rows: RocksDB, or memory for backtests, trials and simulation.
//!
//! A store knows bytes in three columns, nothing of what they mean: [`crate::codec::rows`] does. It knows nothing of
//! Kafka either; that what it holds belongs to a position is the task's care, which writes both in one batch.

mod memory;
#[cfg(feature = "rocksdb")]
mod rocks;
#[cfg(feature = "rocksdb")]
mod survey;

pub use memory::MemoryStore;
#[cfg(feature = "rocksdb")]
pub use rocks::{RocksOptions, RocksStore};
#[cfg(feature = "rocksdb")]
pub use survey::{Contents, survey};

/// The parts of a store. Each is sorted by key on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Customers,
    Timers,
    Meta,
}

impl Column {
    pub const ALL: [Self; 3] = [Self::Customers, Self::Timers, Self::Meta];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Timers => "timers",
            Self::Meta => "meta",
        }
    }
}

/// What went wrong with a store, by what is to be done about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the library below failed; opening the store again may do.
    #[error("the store in {place} failed to {action}: {message}")]
    Failed { place: String, action: &'static str, message: String },
    /// What is on the disk is not what was written: a file is missing, or its content fails its checksum. The store must
    /// be rebuilt.
    #[error("the store in {place} is damaged, it failed to {action}: {message}")]
    Corrupt { place: String, action: &'static str, message: String },
    /// A row cannot be read; the store must be rebuilt.
    #[error("the store in {place} holds a row that cannot be read: {source}")]
    Damaged { place: String, source: crate::codec::rows::DamagedRow },
}

impl StoreError {
    /// Whether the store is to be set aside and rebuilt, rather than opened again.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Damaged { .. })
    }
}

/// Changes that are written together or not at all. Their keys and values lie one behind the other in one piece of memory.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    changes: Vec<Change>,
}

/// Lengths of a key and, unless it is deleted, of its value.
#[derive(Clone, Copy, Debug)]
struct Change {
    column: Column,
    key: usize,
    value: Option<usize>,
}

impl Batch {
    pub fn put(&mut self, column: Column, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.put_with(column, key, |out| out.extend_from_slice(value.as_ref()));
    }

    /// Puts the value that `write` appends.
    pub fn put_with(&mut self, column: Column, key: impl AsRef<[u8]>, write: impl FnOnce(&mut Vec<u8>)) {
        let key = key.as_ref();
        self.bytes.extend_from_slice(key);
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.changes.push(Change { column, key: key.len(), value: Some(self.bytes.len() - start) });
    }

    pub fn delete(&mut self, column: Column, key: impl AsRef<[u8]>) {
        let key = key.as_ref();
        self.bytes.extend_from_slice(key);
        self.changes.push(Change { column, key: key.len(), value: None });
    }

    /// Bytes of keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The changes, in the order they were made: a key, and its value unless it is deleted.
    #[must_use]
    pub fn changes(&self) -> impl ExactSizeIterator<Item = (Column, &[u8], Option<&[u8]>)> {
        let mut rest = self.bytes.as_slice();
        self.changes.iter().map(move |change| {
            let mut next = |length| {
                let (bytes, behind) = rest.split_at(length);
                rest = behind;
                bytes
            };
            (change.column, next(change.key), change.value.map(next))
        })
    }
}

/// Two keys, and what lies between them.
pub type Between<'a> = (&'a [u8], &'a [u8]);

/// What is done with each row: its key and its value.
pub type Each<'a> = dyn FnMut(&[u8], &[u8]) + 'a;

/// Rows sorted by key, in three columns.
pub trait Store: std::fmt::Debug {
    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The first keys greater than `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn keys_after(&self, column: Column, after: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Hands out the rows between two keys, in order.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn rows_between(&self, column: Column, keys: Between<'_>, each: &mut Each<'_>) -> Result<(), StoreError>;

    /// Makes all changes of a batch, or none.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; what is in the store is then unknown until it is opened again.
    fn write(&mut self, batch: Batch) -> Result<(), StoreError>;

    /// Makes what was written survive the loss of power.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Bytes it takes, on disk or in memory.
    fn size_bytes(&self) -> u64;

    /// Where it is, for messages.
    fn place(&self) -> &str;
}
