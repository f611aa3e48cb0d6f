//! Full verification: every block against its checksum, every row against its format.

use super::{Column, RocksStore, Store, StoreError};
use crate::codec::rows::{Position, RowChecker};

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub customers: u64,
    pub timers: u64,
    pub rows: u64,
    pub bytes: u64,
    /// How far it has come; a store that was never written to has none.
    pub position: Option<Position>,
}

/// Reads everything. `progress` is told the bytes of each thousand rows or so.
///
/// # Errors
/// [`StoreError::Corrupt`] or [`StoreError::Damaged`] with the first thing that is wrong; [`StoreError::Failed`].
pub fn survey(store: &RocksStore, progress: &mut dyn FnMut(u64)) -> Result<Contents, StoreError> {
    const TOLD: u64 = 1 << 20;
    let mut contents = Contents::default();
    let damaged = |source| StoreError::Damaged { place: store.place().to_owned(), source };
    let mut checker = RowChecker::default();
    for column in Column::ALL {
        let mut since = 0;
        store.scan(column, &mut |key, value| {
            match column {
                Column::Customers => checker.customer(key, value),
                Column::Timers => checker.timer(key),
                Column::Meta => checker.meta(key, value),
            }
            .map_err(damaged)?;
            let bytes = (key.len() + value.len()) as u64;
            contents.rows += 1;
            contents.bytes += bytes;
            since += bytes;
            if since >= TOLD {
                progress(std::mem::take(&mut since));
            }
            Ok(())
        })?;
        progress(since);
    }
    checker.finish().map_err(damaged)?;
    contents.customers = checker.customers;
    contents.timers = checker.timers;
    contents.position = checker.position;
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use tocsin_core::customer::Customer;

    use super::*;
    use crate::codec::rows::{POSITION_KEY, head_key, timer_key, write_head, write_position};
    use crate::store::{Batch, RocksOptions};

    #[test]
    fn every_row_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = RocksStore::open(directory.path(), &RocksOptions::new(8 << 20)).unwrap();
        assert_eq!(survey(&store, &mut |_| {}).unwrap(), Contents::default());
        let position = Position { journal_sequence: 4, ..Position::default() };
        let mut batch = Batch::default();
        for id in ["a", "b", "c"] {
            batch.put(Column::Customers, head_key(id), write_head(&Customer::default()));
            batch.put(Column::Timers, timer_key(7, id), Vec::new());
        }
        batch.put(Column::Meta, POSITION_KEY, write_position(&position));
        store.write(batch).unwrap();
        let mut told = 0;
        let contents = survey(&store, &mut |bytes| told += bytes).unwrap();
        assert_eq!((contents.customers, contents.timers, contents.rows), (3, 3, 7));
        assert_eq!((contents.position, contents.bytes), (Some(position), told));

        let mut batch = Batch::default();
        batch.put(Column::Customers, head_key("b"), b"garbage");
        store.write(batch).unwrap();
        let error = survey(&store, &mut |_| {}).unwrap_err();
        assert!(error.is_damage() && error.to_string().contains("customer row is damaged"), "{error}");
    }
}
