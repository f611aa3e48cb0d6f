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

/// Bytes of a batch that lie in one piece of memory: a batch may be large, and to let one piece grow is to hold it twice.
const PIECE: usize = 1 << 20;

/// Changes that are written together or not at all. Their keys and values lie one behind the other in a few pieces of memory.
#[derive(Debug, Default)]
pub struct Batch {
    pieces: Vec<Vec<u8>>,
    changes: Vec<Change>,
}

/// The piece in which a key lies, its length, and unless it is deleted that of its value, which follows it.
#[derive(Clone, Copy, Debug)]
struct Change {
    column: Column,
    piece: usize,
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
        let (piece, bytes) = self.piece();
        bytes.extend_from_slice(key);
        let start = bytes.len();
        write(bytes);
        let value = Some(bytes.len() - start);
        self.changes.push(Change { column, piece, key: key.len(), value });
    }

    pub fn delete(&mut self, column: Column, key: impl AsRef<[u8]>) {
        let key = key.as_ref();
        let (piece, bytes) = self.piece();
        bytes.extend_from_slice(key);
        self.changes.push(Change { column, piece, key: key.len(), value: None });
    }

    /// The piece that the next change goes into.
    fn piece(&mut self) -> (usize, &mut Vec<u8>) {
        if self.pieces.last().is_none_or(|last| last.len() >= PIECE) {
            // The first grows as it needs to: most batches are small.
            let room = if self.pieces.is_empty() { 0 } else { PIECE + PIECE / 16 };
            self.pieces.push(Vec::with_capacity(room));
        }
        let last = self.pieces.len() - 1;
        (last, &mut self.pieces[last])
    }

    /// Bytes of keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// The changes, in the order they were made: a key, and its value unless it is deleted.
    #[must_use]
    pub fn changes(&self) -> impl ExactSizeIterator<Item = (Column, &[u8], Option<&[u8]>)> {
        let (mut place, mut rest) = (0, self.pieces.first().map_or(&[][..], Vec::as_slice));
        self.changes.iter().map(move |change| {
            if change.piece != place {
                (place, rest) = (change.piece, &self.pieces[change.piece]);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_batch_is_in_pieces_and_reads_as_it_was_made() {
        let key = |number: usize| format!("key-{number}");
        let value = |number: usize| vec![number as u8; number % 5 * 300];
        let mut batch = Batch::default();
        for number in 0..10_000 {
            match number % 3 {
                0 => batch.delete(Column::Timers, key(number)),
                _ => batch.put(Column::Customers, key(number), value(number)),
            }
        }
        batch.put(Column::Meta, "large", vec![7; 3 * PIECE]);
        batch.delete(Column::Meta, "after");
        assert!(batch.pieces.len() > 3);
        let changes: Vec<_> = batch.changes().collect();
        let bytes: usize = changes.iter().map(|(_, key, value)| key.len() + value.map_or(0, <[u8]>::len)).sum();
        assert_eq!(batch.bytes(), bytes);
        assert_eq!(changes.len(), 10_002);
        for (number, (column, found, stored)) in changes.iter().take(10_000).enumerate() {
            let deleted = number % 3 == 0;
            assert_eq!(*column, if deleted { Column::Timers } else { Column::Customers });
            assert_eq!(*found, key(number).as_bytes());
            assert_eq!(stored.map(<[u8]>::to_vec), (!deleted).then(|| value(number)));
        }
        assert_eq!(changes[10_000], (Column::Meta, &b"large"[..], Some(vec![7; 3 * PIECE].as_slice())));
        assert_eq!(changes[10_001], (Column::Meta, &b"after"[..], None));
    }
}
