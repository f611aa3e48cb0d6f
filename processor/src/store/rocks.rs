//! RocksDB: one database per task, a column family per column.
//!
//! Its tables are merged by their sizes (universal compaction) and not by levels. Customers are written in no order, and a
//! process with many partitions has little memory for each, so what it writes at a time is a small part of a store: with levels
//! every few of these parts have all tables of the next level written again. The price is room on disk, for what is not merged
//! yet: as much as for what is.
//!
//! The write-ahead log is on, so that a batch over several column families is kept whole after a process crash, and
//! never synced on its own: what a power loss takes, the journal in Kafka brings back.

use std::num::NonZero;
use std::path::Path;

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BlockBasedOptions, BottommostLevelCompaction, Cache, ColumnFamily, ColumnFamilyDescriptor, CompactOptions, DB,
    DBCompactionStyle, DBCompressionType, Direction, Env, ErrorKind, FlushOptions, IteratorMode, Options, ReadOptions,
    UniversalCompactOptions, WriteBatch, WriteBufferManager, WriteOptions,
};

use super::{Batch, Between, Column, Each, Store, StoreError};

/// Buffers of a store that are worth a table.
const LARGE_BUFFERS: u64 = 1 << 20;
/// Of a table. Its index and its filter are read as a whole, so they must be small beside the cache.
const TABLE_BYTES: u64 = 8 << 20;
/// How much larger, in percent, the next run of tables may be than those that are merged to go with them.
const SIZE_RATIO: i32 = 20;
/// Room for what is not merged yet, in percent of what is.
const SPARE_ROOM: i32 = 100;
/// zstd's usual one.
const ZSTD_LEVEL: i32 = 3;
/// Of zstd, in each table of customers on the lowest level; trained on the rows in it.
const DICTIONARY_BYTES: i32 = 16 << 10;

/// What all stores of a process share: one block cache and one bound on write buffers.
#[derive(Clone)]
pub struct RocksOptions {
    cache: Cache,
    write_buffers: WriteBufferManager,
    is_dense: bool,
}

impl std::fmt::Debug for RocksOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksOptions").field("cached_bytes", &self.cache.get_usage()).finish_non_exhaustive()
    }
}

impl RocksOptions {
    /// `cache_bytes` for blocks, write buffers included.
    #[must_use]
    pub fn new(cache_bytes: usize) -> Self {
        let cache = Cache::new_lru_cache(cache_bytes);
        let write_buffers =
            WriteBufferManager::new_write_buffer_manager_with_cache(cache_bytes / 4, false, cache.clone());
        // All stores of a process have the same threads. One that merges a whole store must not keep smaller merges waiting, for
        // which in the end writers wait.
        if let Ok(mut threads) = Env::new() {
            threads.set_bottom_priority_background_threads(1);
        }
        Self { cache, write_buffers, is_dense: false }
    }

    /// With zstd instead of LZ4 for the oldest run of tables, where most rows are: less room on disk, more time for every row
    /// that is read from there or merged into it. What is there already stays readable, and as it is until it is merged.
    #[must_use]
    pub fn dense(self, is_dense: bool) -> Self {
        Self { is_dense, ..self }
    }

    fn database(&self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_write_buffer_manager(&self.write_buffers);
        options.set_max_open_files(512);
        options.set_keep_log_file_num(2);
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        options.set_max_background_jobs((cores / 2).max(2) as i32);
        options.set_bytes_per_sync(1 << 20);
        // Opening after a crash reads the log: about 10 ms a megabyte.
        options.set_max_total_wal_size(256 << 20);
        options
    }

    fn column(&self, column: Column) -> Options {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&self.cache);
        // Else indexes and filters, which grow with the state, would lie outside of the bound.
        table.set_cache_index_and_filter_blocks(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table.set_block_size(4 * 1024);
        table.set_format_version(6);
        let mut options = Options::default();
        options.set_compaction_style(DBCompactionStyle::Universal);
        let mut merging = UniversalCompactOptions::default();
        merging.set_size_ratio(SIZE_RATIO);
        merging.set_max_size_amplification_percent(SPARE_ROOM);
        options.set_universal_compaction_options(&merging);
        options.set_target_file_size_base(TABLE_BYTES);
        // What is young is soon merged again.
        options.set_compression_type(DBCompressionType::None);
        options.set_bottommost_compression_type(DBCompressionType::Lz4);
        if column == Column::Customers {
            table.set_bloom_filter(10.0, false);
            options.set_write_buffer_size(32 << 20);
            options.set_arena_block_size(256 << 10);
        } else {
            options.set_write_buffer_size(8 << 20);
            // Each column of each store has at least one: with a mebibyte, as by default, many partitions' buffers would be
            // full with nothing in them.
            options.set_arena_block_size(32 << 10);
        }
        if self.is_dense {
            options.set_bottommost_compression_type(DBCompressionType::Zstd);
            if column == Column::Customers {
                // A block has a few customers, too few to find in it what most of them have in common.
                options.set_bottommost_compression_options(-14, ZSTD_LEVEL, 0, DICTIONARY_BYTES, true);
                options.set_bottommost_zstd_max_train_bytes(64 * DICTIONARY_BYTES, true);
            }
        }
        options.set_block_based_table_factory(&table);
        options
    }
}

/// What is done with each row: its key and its value.
pub type EachRow<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// A database on disk.
pub struct RocksStore {
    db: DB,
    place: String,
    write_buffers: WriteBufferManager,
}

impl std::fmt::Debug for RocksStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksStore").field("place", &self.place).finish_non_exhaustive()
    }
}

impl RocksStore {
    /// Opens the store in `path`, or makes one.
    ///
    /// Cheap: nothing but the files' own directory is read. [`super::survey`] reads all.
    ///
    /// # Errors
    /// [`StoreError::Failed`], for one if another process has it open; [`StoreError::Corrupt`].
    pub fn open(path: &Path, shared: &RocksOptions) -> Result<Self, StoreError> {
        let place = path.display().to_string();
        let failed = |error: std::io::Error| StoreError::Failed {
            place: place.clone(),
            action: "open",
            message: error.to_string(),
        };
        std::fs::create_dir_all(path).map_err(failed)?;
        if has_lost_its_head(path).map_err(failed)? {
            let message = "it has tables but no CURRENT, which says what they are".to_owned();
            return Err(StoreError::Corrupt { place, action: "open", message });
        }
        let columns = Column::ALL.map(|column| ColumnFamilyDescriptor::new(column.name(), shared.column(column)));
        match DB::open_cf_descriptors(&shared.database(), path, columns) {
            Ok(db) => Ok(Self { db, place, write_buffers: shared.write_buffers.clone() }),
            Err(error) => Err(classified(place, "open", error)),
        }
    }

    /// Puts a copy of the store as it is now into a directory, which must not be there yet: hard links to its tables, and
    /// small files of its own. Everything written is in the tables, so the copy has no log to read.
    ///
    /// # Errors
    /// As for [`Store::write`]. Across file systems the tables are copied, not linked.
    pub fn checkpoint(&self, directory: &Path) -> Result<(), StoreError> {
        let made = Checkpoint::new(&self.db).and_then(|checkpoint| checkpoint.create_checkpoint(directory));
        made.map_err(|error| self.classified("make a checkpoint", error))
    }

    /// Every row of a column, in order of keys; each block is checked against its checksum, and none is cached.
    ///
    /// # Errors
    /// [`StoreError::Failed`], [`StoreError::Corrupt`], and what `each` says.
    pub fn scan(&self, column: Column, each: &mut EachRow<'_>) -> Result<(), StoreError> {
        let mut options = ReadOptions::default();
        options.set_verify_checksums(true);
        options.fill_cache(false);
        options.set_readahead_size(2 << 20);
        for row in self.db.iterator_cf_opt(self.family(column)?, options, IteratorMode::Start) {
            let (key, value) = row.map_err(|error| self.classified("scan", error))?;
            each(&key, &value)?;
        }
        Ok(())
    }

    /// Brings every row to the lowest level, so that sizes can be compared.
    pub fn compact(&self) {
        for column in Column::ALL {
            if let Some(family) = self.db.cf_handle(column.name()) {
                let mut options = CompactOptions::default();
                options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
                self.db.compact_range_cf_opt(family, None::<&[u8]>, None::<&[u8]>, &options);
            }
        }
    }

    /// Has this store's buffers written if they are large and those of all stores are over their bound: RocksDB begins to write
    /// them by itself, but takes further batches meanwhile, and large ones come faster than it writes.
    fn make_room(&self) -> Result<(), StoreError> {
        if self.write_buffers.get_usage() <= self.write_buffers.get_buffer_size() || self.buffered() < LARGE_BUFFERS {
            return Ok(());
        }
        let families = Column::ALL.iter().map(|column| self.family(*column)).collect::<Result<Vec<_>, _>>()?;
        let flushed = self.db.flush_cfs_opt(&families, &FlushOptions::default());
        flushed.map_err(|error| self.classified("write its buffers", error))
    }

    /// Bytes in this store's buffers.
    fn buffered(&self) -> u64 {
        let buffered = |column: Column| {
            let family = self.family(column).ok()?;
            self.db.property_int_value_cf(family, "rocksdb.cur-size-all-mem-tables").ok()?
        };
        Column::ALL.into_iter().filter_map(buffered).sum()
    }

    fn family(&self, column: Column) -> Result<&ColumnFamily, StoreError> {
        let missing = || self.failed("find the column", column.name().to_owned());
        self.db.cf_handle(column.name()).ok_or_else(missing)
    }

    fn failed(&self, action: &'static str, message: String) -> StoreError {
        StoreError::Failed { place: self.place.clone(), action, message }
    }

    fn classified(&self, action: &'static str, error: rocksdb::Error) -> StoreError {
        classified(self.place.clone(), action, error)
    }
}

/// Whether trying again is of any use. A file that is gone or whose sectors cannot be read does not come back; a full
/// disk, a lock or a missing permission may be seen to.
fn classified(place: String, action: &'static str, error: rocksdb::Error) -> StoreError {
    let kind = error.kind();
    let message = error.into_string();
    let is_gone = || ["No such file or directory", "Input/output error"].iter().any(|what| message.contains(what));
    match kind {
        ErrorKind::Corruption => StoreError::Corrupt { place, action, message },
        ErrorKind::IOError if is_gone() => StoreError::Corrupt { place, action, message },
        _ => StoreError::Failed { place, action, message },
    }
}

/// RocksDB would take a directory without this file for an empty one, and remove the tables in it.
fn has_lost_its_head(path: &Path) -> std::io::Result<bool> {
    if path.join("CURRENT").try_exists()? {
        return Ok(false);
    }
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.extension().is_some_and(|extension| extension == "sst") || name.starts_with("MANIFEST-") {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Store for RocksStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(self.family(column)?, key).map_err(|error| self.classified("read", error))
    }

    fn keys_after(&self, column: Column, after: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut options = ReadOptions::default();
        // Deleted timers lie before this bound; without it the scan would step over every one of them.
        options.set_iterate_lower_bound(after);
        let mode = IteratorMode::From(after, Direction::Forward);
        let mut keys = Vec::new();
        for row in self.db.iterator_cf_opt(self.family(column)?, options, mode) {
            let (key, _) = row.map_err(|error| self.classified("scan", error))?;
            if *key != *after {
                keys.push(key.into_vec());
            }
            if keys.len() == limit {
                break;
            }
        }
        Ok(keys)
    }

    fn rows_between(&self, column: Column, keys: Between<'_>, each: &mut Each<'_>) -> Result<(), StoreError> {
        let (after, before) = keys;
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(before);
        let mode = IteratorMode::From(after, Direction::Forward);
        for row in self.db.iterator_cf_opt(self.family(column)?, options, mode) {
            let (key, value) = row.map_err(|error| self.classified("scan", error))?;
            if *key != *after {
                each(&key, &value);
            }
        }
        Ok(())
    }

    fn write(&mut self, batch: Batch) -> Result<(), StoreError> {
        let changes = batch.changes();
        // Beside key and value a row takes its kind, its column and two lengths.
        let mut rows = WriteBatch::with_capacity_bytes(batch.bytes() + 12 * changes.len());
        for (column, key, value) in changes {
            let family = self.family(column)?;
            match value {
                Some(value) => rows.put_cf(family, key, value),
                None => rows.delete_cf(family, key),
            }
        }
        drop(batch);
        let mut options = WriteOptions::default();
        options.set_sync(false);
        self.db.write_opt(rows, &options).map_err(|error| self.classified("write", error))?;
        self.make_room()
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.db.flush_wal(true).map_err(|error| self.classified("sync", error))
    }

    fn size_bytes(&self) -> u64 {
        let size = |name: &str| {
            self.db.property_int_value_cf(self.db.cf_handle(name)?, "rocksdb.total-sst-files-size").ok()?
        };
        Column::ALL.iter().filter_map(|column| size(column.name())).sum()
    }

    fn place(&self) -> &str {
        &self.place
    }
}

#[cfg(test)]
mod tests;
