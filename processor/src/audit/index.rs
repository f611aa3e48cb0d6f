//! What was published, by what it says it is: in memory as long as there is room, and on disk what comes then.
//!
//! A row on disk is all in its key: who it is, where it lies, what it holds in short. So rows are added without being looked for
//! first, and those of one key lie side by side, however many they are.

use std::collections::HashSet;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use tocsin_core::time::Millis;

use crate::codec::alert::AlertForm;
use crate::store::{Batch, Column, Store, StoreError};
use crate::task::world::{Offset, PartitionId};

/// Rows written at a time.
const BATCH: usize = 10_000;
/// Rows read at a time.
const PAGE: usize = 1_000;
const COLUMN: Column = Column::Customers;
/// Bytes that a record takes in memory, with its place in the table, about.
pub const HELD_BYTES: usize = 2 * size_of::<(Key, Held)>();

/// The records of a key. Nearly always there is one.
type Held = SmallVec<[Entry; 1]>;

/// What a published record says it is: of an alert its id and sequence, of a dead letter partition and offset of what it
/// came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub id: u128,
    pub sequence: i64,
}

/// A published record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    pub partition: PartitionId,
    pub offset: Offset,
    pub form: AlertForm,
    pub digest: u128,
    /// When it was found, as it says itself.
    pub detected_at: Millis,
    /// The partition of the input that it must come from, if that is known.
    pub home: Option<PartitionId>,
}

/// Published records that nothing has explained yet.
#[derive(Debug)]
pub struct Index<S> {
    /// The first ones, in memory.
    held: HashMap<Key, Held, FixedState>,
    /// So many more may come there.
    room: usize,
    /// Whether there are others, in the store.
    is_spilled: bool,
    store: S,
    batch: Batch,
    rows: usize,
    /// Keys whose rows the batch deletes.
    taken: HashSet<Key>,
}

impl<S: Store> Index<S> {
    /// An index that holds so many records in memory, and the rest in a new store.
    #[must_use]
    pub fn new(store: S, room: usize) -> Self {
        Self {
            held: HashMap::default(),
            room,
            is_spilled: false,
            store,
            batch: Batch::default(),
            rows: 0,
            taken: HashSet::new(),
        }
    }

    /// Adds a record. All of them are to be added before the first is taken.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn add(&mut self, entry: &Entry) -> Result<(), StoreError> {
        if self.room > 0 {
            self.room -= 1;
            self.held.entry(entry.key).or_default().push(*entry);
            return Ok(());
        }
        self.is_spilled = true;
        self.batch.put(COLUMN, encode(entry), Vec::new());
        self.count()
    }

    /// Takes out all records of a key.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub fn take(&mut self, key: Key) -> Result<Held, StoreError> {
        let mut entries = self.held.remove(&key).unwrap_or_default();
        if !self.is_spilled || self.taken.contains(&key) {
            return Ok(entries);
        }
        let prefix = prefix(key);
        let held = entries.len();
        let mut after = prefix.clone();
        loop {
            // Nearly always there is one.
            let rows = self.store.keys_after(COLUMN, &after, 2)?;
            let of_key = rows.iter().take_while(|row| row.starts_with(&prefix)).count();
            for row in rows.into_iter().take(of_key) {
                entries.push(decode(&row).ok_or_else(|| self.unreadable())?);
                after.clone_from(&row);
                self.batch.delete(COLUMN, row);
                self.rows += 1;
            }
            if of_key < 2 {
                break;
            }
        }
        if entries.len() > held {
            self.taken.insert(key);
        }
        if self.rows >= BATCH {
            self.flush()?;
        }
        Ok(entries)
    }

    /// Writes what has been added or taken so far. To be called between adding and taking.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        self.store.write(std::mem::take(&mut self.batch))?;
        self.rows = 0;
        self.taken.clear();
        Ok(())
    }

    /// All that are left, in the order of their keys.
    ///
    /// # Errors
    /// If the store cannot be read or written; what `each` says.
    pub fn rest<E: From<StoreError>>(&mut self, mut each: impl FnMut(Entry) -> Result<(), E>) -> Result<(), E> {
        for entry in self.held.drain().flat_map(|(_, entries)| entries) {
            self.batch.put(COLUMN, encode(&entry), Vec::new());
        }
        self.flush()?;
        let mut after = Vec::new();
        loop {
            let rows = self.store.keys_after(COLUMN, &after, PAGE)?;
            let Some(last) = rows.last() else { return Ok(()) };
            after.clone_from(last);
            for row in &rows {
                each(decode(row).ok_or_else(|| self.unreadable())?)?;
            }
        }
    }

    fn count(&mut self) -> Result<(), StoreError> {
        self.rows += 1;
        if self.rows >= BATCH { self.flush() } else { Ok(()) }
    }

    fn unreadable(&self) -> StoreError {
        let message = "a row of the index is not as it was written".to_owned();
        StoreError::Failed { place: self.store.place().to_owned(), action: "be read", message }
    }
}

fn prefix(key: Key) -> Vec<u8> {
    let mut row = Vec::with_capacity(65);
    row.extend_from_slice(&key.id.to_be_bytes());
    row.extend_from_slice(&key.sequence.to_be_bytes());
    row
}

fn encode(entry: &Entry) -> Vec<u8> {
    let mut row = prefix(entry.key);
    row.extend_from_slice(&entry.partition.to_be_bytes());
    row.extend_from_slice(&entry.offset.to_be_bytes());
    row.push(u8::from(entry.form == AlertForm::Avro));
    row.extend_from_slice(&entry.digest.to_be_bytes());
    row.extend_from_slice(&entry.detected_at.to_be_bytes());
    row.extend_from_slice(&entry.home.unwrap_or(-1).to_be_bytes());
    row
}

fn decode(row: &[u8]) -> Option<Entry> {
    let mut rest = row;
    let id = u128::from_be_bytes(next(&mut rest)?);
    let sequence = i64::from_be_bytes(next(&mut rest)?);
    let partition = PartitionId::from_be_bytes(next(&mut rest)?);
    let offset = Offset::from_be_bytes(next(&mut rest)?);
    let [form] = next::<1>(&mut rest)?;
    let digest = u128::from_be_bytes(next(&mut rest)?);
    let detected_at = Millis::from_be_bytes(next(&mut rest)?);
    let home = PartitionId::from_be_bytes(next(&mut rest)?);
    let form = if form == 0 { AlertForm::Json } else { AlertForm::Avro };
    let home = (home >= 0).then_some(home);
    rest.is_empty().then_some(Entry { key: Key { id, sequence }, partition, offset, form, digest, detected_at, home })
}

fn next<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn entry(id: u128, offset: Offset) -> Entry {
        Entry {
            key: Key { id, sequence: 3 },
            partition: 2,
            offset,
            form: AlertForm::Avro,
            digest: u128::MAX - 7,
            detected_at: -5,
            home: id.is_multiple_of(2).then_some(1),
        }
    }

    fn rest(index: &mut Index<MemoryStore>) -> Vec<Entry> {
        let mut rest = Vec::new();
        let keep = |entry| {
            rest.push(entry);
            Ok::<_, StoreError>(())
        };
        index.rest(keep).unwrap();
        rest
    }

    #[test]
    fn records_of_one_key_are_taken_together_and_once() {
        for room in [0, 1, 2, 3, 100] {
            records_of_one_key(room);
        }
    }

    fn records_of_one_key(room: usize) {
        let mut index = Index::new(MemoryStore::default(), room);
        let expected: Vec<_> = (0..7).map(|offset| entry(4, offset)).collect();
        for added in [entry(3, 0), entry(5, 9)].iter().chain(&expected) {
            index.add(added).unwrap();
        }
        index.flush().unwrap();
        let key = expected[0].key;
        assert_eq!(index.take(key).unwrap().to_vec(), expected, "{room}");
        assert_eq!(index.take(key).unwrap().to_vec(), [], "before the batch is written");
        index.flush().unwrap();
        assert_eq!(index.take(key).unwrap().to_vec(), [], "and after");
        assert_eq!(index.take(Key { sequence: 2, ..key }).unwrap().to_vec(), []);
        assert_eq!(rest(&mut index), [entry(3, 0), entry(5, 9)]);
    }

    #[test]
    fn many_records_go_through_several_batches() {
        let mut index = Index::new(MemoryStore::default(), 7);
        let count = 2 * BATCH as u128 + 5;
        for id in 0..count {
            index.add(&entry(id, 0)).unwrap();
        }
        index.flush().unwrap();
        for id in (0..count).filter(|id| id % 3 > 0) {
            assert_eq!(index.take(entry(id, 0).key).unwrap().to_vec(), [entry(id, 0)]);
        }
        let expected: Vec<_> = (0..count).filter(|id| id % 3 == 0).map(|id| entry(id, 0)).collect();
        assert!(rest(&mut index) == expected);
    }
}
