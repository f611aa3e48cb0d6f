use super::*;
use crate::store::MemoryStore;

fn random(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// Short keys of few different bytes, so that they meet, extend each other and sort by bytes beyond 127.
fn key(state: &mut u64) -> Vec<u8> {
    let length = 1 + random(state, 4);
    (0..length).map(|_| [0, 1, 127, 255][random(state, 4) as usize]).collect()
}

fn batch(seed: u64) -> Batch {
    let (mut state, mut batch) = (seed, Batch::default());
    for _ in 0..random(&mut state, 40) {
        let column = Column::ALL[random(&mut state, 3) as usize];
        let key = key(&mut state);
        if random(&mut state, 3) == 0 {
            batch.delete(column, key);
        } else {
            let value = vec![b'v'; random(&mut state, 100) as usize];
            batch.put(column, key, value);
        }
    }
    batch
}

fn assert_alike(rocks: &RocksStore, memory: &MemoryStore, state: &mut u64) {
    for column in Column::ALL {
        for _ in 0..10 {
            let key = key(state);
            assert_eq!(rocks.get(column, &key).unwrap(), memory.get(column, &key).unwrap());
            for limit in [1, 3, 1_000] {
                let found = rocks.keys_after(column, &key, limit).unwrap();
                assert_eq!(found, memory.keys_after(column, &key, limit).unwrap(), "{column:?} after {key:?}");
            }
        }
        let (low, high) = (&key(state), &key(state));
        let between = |store: &dyn Store| {
            let mut rows = Vec::new();
            let (low, high) = (low.min(high), low.max(high));
            store
                .rows_between(column, (low, high), &mut |key, value| rows.push((key.to_vec(), value.to_vec())))
                .unwrap();
            rows
        };
        assert_eq!(between(rocks), between(memory), "{column:?} {low:?} {high:?}");
        assert_eq!(rocks.keys_after(column, &[], 1_000).unwrap(), memory.keys_after(column, &[], 1_000).unwrap());
    }
}

#[test]
fn behaves_like_the_one_in_memory_and_keeps_everything() {
    let directory = tempfile::tempdir().unwrap();
    let options = RocksOptions::new(8 << 20);
    let mut rocks = RocksStore::open(directory.path(), &options).unwrap();
    let (mut memory, mut state) = (MemoryStore::default(), 1);
    for seed in 0..120 {
        rocks.write(batch(seed)).unwrap();
        memory.write(batch(seed)).unwrap();
        assert_alike(&rocks, &memory, &mut state);
        if seed % 40 == 39 {
            rocks.sync().unwrap();
            rocks.compact();
            assert_alike(&rocks, &memory, &mut state);
            drop(rocks);
            rocks = RocksStore::open(directory.path(), &options).unwrap();
            assert_alike(&rocks, &memory, &mut state);
        }
    }
    assert!(rocks.size_bytes() > 0);
}

#[test]
fn what_was_packed_one_way_is_read_and_merged_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let mut state = 5;
    let mut row = |number: u32| -> Vec<u8> {
        let text = |word: u64| ["interaction ", "purchase ", "EUR ", "web ", "opened "][word as usize].as_bytes();
        let words = (0..40).flat_map(|_| text(random(&mut state, 5)).to_vec());
        number.to_be_bytes().into_iter().chain(words).collect()
    };
    let rows: Vec<Vec<u8>> = (0..4_000).map(&mut row).collect();
    let mut sizes = Vec::new();
    for (is_dense, part) in [(false, &rows[..3_000]), (true, &rows[3_000..])] {
        let mut store = RocksStore::open(directory.path(), &RocksOptions::new(8 << 20).dense(is_dense)).unwrap();
        let mut batch = Batch::default();
        for row in part {
            batch.put(Column::Customers, &row[..4], row);
        }
        store.write(batch).unwrap();
        store.compact();
        sizes.push(store.size_bytes());
    }
    assert!(sizes[1] < sizes[0], "more rows, packed better: {sizes:?}");
    let store = RocksStore::open(directory.path(), &RocksOptions::new(8 << 20)).unwrap();
    for row in &rows {
        assert_eq!(store.get(Column::Customers, &row[..4]).unwrap().as_ref(), Some(row));
    }
}

/// As stores were before their tables were merged by size.
#[test]
fn a_store_that_was_kept_in_levels_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let row = |number: u32, round: u32| (number.to_be_bytes(), vec![round as u8; 200]);
    let levels = || {
        let mut options = Options::default();
        options.set_target_file_size_base(64 << 10);
        options.set_max_bytes_for_level_base(256 << 10);
        options.set_level_compaction_dynamic_level_bytes(true);
        options
    };
    let mut database = levels();
    database.create_if_missing(true);
    database.create_missing_column_families(true);
    let columns = Column::ALL.map(|column| ColumnFamilyDescriptor::new(column.name(), levels()));
    let old = DB::open_cf_descriptors(&database, directory.path(), columns).unwrap();
    let family = old.cf_handle(Column::Customers.name()).unwrap();
    for round in 0..3u32 {
        for number in (0..20_000u32).filter(|number| number.is_multiple_of(round + 1)) {
            let (key, value) = row(number, round);
            old.put_cf(family, key, value).unwrap();
        }
        old.flush_cf(family).unwrap();
        if round < 2 {
            old.compact_range_cf(family, None::<&[u8]>, None::<&[u8]>);
        }
    }
    let files = old.live_files().unwrap();
    assert!(files.iter().any(|file| file.level == 0) && files.iter().any(|file| file.level > 0), "{files:?}");
    drop(old);

    let round_of = |number: u32| (0..3).rev().find(|round| number.is_multiple_of(round + 1)).unwrap_or(0);
    let options = RocksOptions::new(8 << 20);
    let mut store = RocksStore::open(directory.path(), &options).unwrap();
    for step in 0..3 {
        for number in 0..20_000 {
            let round = if step > 0 && number % 7 == 0 { 9 } else { round_of(number) };
            let (key, value) = row(number, round);
            assert_eq!(store.get(Column::Customers, &key).unwrap(), Some(value), "{number} in step {step}");
        }
        match step {
            0 => {
                let mut batch = Batch::default();
                for number in (0..20_000).step_by(7) {
                    let (key, value) = row(number, 9);
                    batch.put(Column::Customers, key, value);
                }
                store.write(batch).unwrap();
            }
            1 => store.compact(),
            _ => {}
        }
    }
}

#[test]
fn a_directory_is_opened_once_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let options = RocksOptions::new(1 << 20);
    let first = RocksStore::open(directory.path(), &options).unwrap();
    let message = RocksStore::open(directory.path(), &options).unwrap_err().to_string();
    assert!(message.starts_with(&format!("the store in {}", directory.path().display())), "{message}");
    assert!(message.contains("failed to open") && message.to_lowercase().contains("lock"), "{message}");
    drop(first);
    RocksStore::open(directory.path(), &options).unwrap();
}

#[test]
fn a_path_that_is_a_file_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let message = RocksStore::open(file.path(), &RocksOptions::new(1 << 20)).unwrap_err().to_string();
    assert!(message.contains("failed to open"), "{message}");
}

fn written(path: &Path, rows: std::ops::Range<u32>) -> RocksStore {
    let mut store = RocksStore::open(path, &RocksOptions::new(8 << 20)).unwrap();
    let mut batch = Batch::default();
    for row in rows {
        for column in Column::ALL {
            batch.put(column, row.to_be_bytes(), vec![row as u8; 100]);
        }
    }
    store.write(batch).unwrap();
    store
}

fn count(store: &RocksStore, column: Column) -> Result<usize, StoreError> {
    let mut count = 0;
    let mut each = |_: &[u8], _: &[u8]| {
        count += 1;
        Ok(())
    };
    store.scan(column, &mut each)?;
    Ok(count)
}

/// The first file, by name, of which this is true.
fn file(directory: &Path, is_it: impl Fn(&str) -> bool) -> std::path::PathBuf {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).filter(|name| is_it(name)).collect();
    names.sort();
    directory.join(names.first().expect("such a file"))
}

#[test]
fn a_checkpoint_is_the_store_as_it_was_without_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let (place, copy) = (directory.path().join("store"), directory.path().join("copy"));
    let mut store = written(&place, 0..100);
    store.checkpoint(&copy).unwrap();
    let mut more = Batch::default();
    more.put(Column::Meta, b"later", b"1");
    store.write(more).unwrap();
    // Tables are shared with the store; a log, if there is one at all, is empty.
    let table = file(&copy, |name| Path::new(name).extension().is_some_and(|extension| extension == "sst"));
    assert_eq!(std::os::unix::fs::MetadataExt::nlink(&table.metadata().unwrap()), 2);
    for entry in std::fs::read_dir(&copy).unwrap().map(Result::unwrap) {
        let is_log = entry.path().extension().is_some_and(|extension| extension == "log");
        assert!(!is_log || entry.metadata().unwrap().len() == 0, "{entry:?}");
    }
    let opened = RocksStore::open(&copy, &RocksOptions::new(8 << 20)).unwrap();
    for column in Column::ALL {
        assert_eq!(count(&opened, column).unwrap(), 100, "{column:?}");
    }
    assert_eq!(count(&store, Column::Meta).unwrap(), 101);
    let message = store.checkpoint(&copy).unwrap_err();
    assert!(!message.is_damage(), "a directory that is there is the caller's mistake: {message}");
}

/// What is done to a store's files, in words and in deed.
type Spoil<'a> = (&'a str, Box<dyn Fn(&Path) + 'a>);

/// Makes a store, spoils it, and says what comes of opening and reading all of it.
fn spoiled(spoil: impl Fn(&Path)) -> Result<(), StoreError> {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path(), 0..10_000);
    store.compact();
    drop(store);
    spoil(directory.path());
    let store = RocksStore::open(directory.path(), &RocksOptions::new(8 << 20))?;
    Column::ALL.iter().try_for_each(|column| count(&store, *column).map(drop))
}

fn table(directory: &Path) -> std::path::PathBuf {
    file(directory, |name| Path::new(name).extension().is_some_and(|extension| extension == "sst"))
}

#[test]
fn damage_is_told_from_what_may_pass() {
    spoiled(|_| {}).unwrap();
    let remove = |path: std::path::PathBuf| std::fs::remove_file(path).unwrap();
    let flip = |path: std::path::PathBuf, at: usize| {
        let mut content = std::fs::read(&path).unwrap();
        content[at] ^= 1;
        std::fs::write(path, content).unwrap();
    };
    let damages: [Spoil<'_>; 8] = [
        ("a table is missing", Box::new(|path| remove(table(path)))),
        ("a block is garbled", Box::new(|path| flip(table(path), 100))),
        ("a table is cut short", Box::new(|path| std::fs::write(table(path), b"short").unwrap())),
        ("the list of tables is missing", Box::new(|path| remove(file(path, |name| name.starts_with("MANIFEST"))))),
        ("the list of tables is garbled", Box::new(|path| flip(file(path, |name| name.starts_with("MANIFEST")), 20))),
        ("CURRENT is missing", Box::new(|path| remove(path.join("CURRENT")))),
        (
            // As in a checkpoint that was not opened yet. RocksDB would begin an empty store here.
            "CURRENT is missing, and there is no log",
            Box::new(|path| {
                remove(path.join("CURRENT"));
                let is_log = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "log");
                remove(file(path, is_log));
            }),
        ),
        ("CURRENT is garbled", Box::new(|path| std::fs::write(path.join("CURRENT"), b"x").unwrap())),
    ];
    for (what, spoil) in damages {
        let error = spoiled(spoil).expect_err(what);
        assert!(error.is_damage(), "{what}: {error}");
    }
    let directory = tempfile::tempdir().unwrap();
    let _held = written(directory.path(), 0..1);
    let locked = RocksStore::open(directory.path(), &RocksOptions::new(1 << 20)).unwrap_err();
    assert!(!locked.is_damage(), "{locked}");
}

#[test]
fn a_table_goes_missing_under_an_open_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = written(directory.path(), 0..10_000);
    store.compact();
    drop(store);
    let store = RocksStore::open(directory.path(), &RocksOptions::new(8 << 20)).unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
        if entry.path().extension().is_some_and(|extension| extension == "sst") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    // Tables that are open already are read on; a checkpoint cannot be made of what is gone.
    let error = store.checkpoint(&directory.path().join("copy")).unwrap_err();
    assert!(error.is_damage(), "{error}");
}
