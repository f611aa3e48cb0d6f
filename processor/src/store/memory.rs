//! A store in memory: forgets everything when it goes.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Batch, Between, Column, Each, Store, StoreError};

/// Sorted maps, one a column.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    columns: [BTreeMap<Vec<u8>, Vec<u8>>; 3],
    bytes: u64,
}

impl Store for MemoryStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.columns[column as usize].get(key).cloned())
    }

    fn keys_after(&self, column: Column, after: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let range = (Bound::Excluded(after), Bound::Unbounded);
        Ok(self.columns[column as usize].range::<[u8], _>(range).take(limit).map(|(key, _)| key.clone()).collect())
    }

    fn rows_between(&self, column: Column, keys: Between<'_>, each: &mut Each<'_>) -> Result<(), StoreError> {
        if keys.0 >= keys.1 {
            return Ok(());
        }
        let range = (Bound::Excluded(keys.0), Bound::Excluded(keys.1));
        self.columns[column as usize].range::<[u8], _>(range).for_each(|(key, value)| each(key, value));
        Ok(())
    }

    fn write(&mut self, batch: Batch) -> Result<(), StoreError> {
        for (column, key, value) in batch.changes() {
            let rows = &mut self.columns[column as usize];
            let key_bytes = key.len() as u64;
            let (added, replaced) = match value {
                Some(value) => (key_bytes + value.len() as u64, rows.insert(key.to_vec(), value.to_vec())),
                None => (0, rows.remove(key)),
            };
            self.bytes += added;
            self.bytes -= replaced.map_or(0, |old| key_bytes + old.len() as u64);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.bytes
    }

    fn place(&self) -> &'static str {
        "memory"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_bytes_it_holds() {
        let mut store = MemoryStore::default();
        let mut batch = Batch::default();
        batch.put(Column::Meta, b"key", b"value");
        batch.put(Column::Meta, b"key", b"v");
        batch.put(Column::Timers, b"t", Vec::new());
        batch.delete(Column::Timers, b"never there");
        store.write(batch).unwrap();
        assert_eq!(store.size_bytes(), 5);
        let mut batch = Batch::default();
        batch.delete(Column::Meta, b"key");
        batch.delete(Column::Timers, b"t");
        store.write(batch).unwrap();
        assert_eq!(store.size_bytes(), 0);
        assert_eq!(store.keys_after(Column::Timers, &[], 10).unwrap(), [b""; 0]);
    }
}
