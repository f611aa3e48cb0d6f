//! The stores of a process as the loop has them: checkpoints taken and fetched, damaged stores set aside.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tocsin::checkpoint::{Background, Settings};
use tocsin::service::DiskStores;
use tocsin::store::{RocksOptions, StoreError};
use tocsin::task::world::{Fetched, Stores as _};
use tocsin::telemetry::{Metrics, PartitionAssigned};

use super::faulty::{Fault, Faulty};
use super::stage::{APPLICATION, PARTITION, PREFIX, Stage, TOPIC, contents, facts, fill};

const DEADLINE: Duration = Duration::from_secs(30);

struct Machine {
    stores: DiskStores,
    background: Arc<Background>,
    metrics: Arc<Metrics>,
}

fn machine(stage: &Stage, directory: &Path) -> Machine {
    let metrics = Metrics::new().unwrap();
    drop(PartitionAssigned { worker: 0, topic: TOPIC, partition: PARTITION }.emit(&metrics));
    let settings = Settings { first_pause: Duration::from_millis(20), ..Settings::keeping(2) };
    let background = Arc::new(Background::start(stage.repository.clone(), settings, metrics.clone()).unwrap());
    let rocks = RocksOptions::new(16 << 20);
    let stores =
        DiskStores::new(directory.to_owned(), APPLICATION, TOPIC, rocks, Some(background.clone()), metrics.clone());
    Machine { stores, background, metrics }
}

impl Machine {
    fn fetch(&mut self, sequence: i64) -> Result<Fetched, StoreError> {
        let started = Instant::now();
        loop {
            match self.stores.fetch(PARTITION, sequence)? {
                Fetched::Pending => std::thread::sleep(Duration::from_millis(5)),
                done => return Ok(done),
            }
            assert!(started.elapsed() < DEADLINE);
        }
    }

    fn metric(&self, name: &str) -> Option<f64> {
        let text = self.metrics.render().unwrap();
        text.lines().filter(|line| line.starts_with(name)).find_map(|line| line.rsplit_once(' ')?.1.parse().ok())
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_machine_without_state_starts_from_the_newest_checkpoint() {
    let stage = Stage::in_a_directory();
    let mut first = machine(&stage, &stage.path("first"));
    let mut store = first.stores.open(PARTITION).unwrap();
    for sequence in 1..=3 {
        fill(&mut store, 0..1_000 * sequence as u32, sequence);
        first.stores.take(PARTITION, &store, facts(sequence));
    }
    assert!(first.background.finish(DEADLINE));
    assert!(first.metric("tocsin_checkpoint_age_seconds{").unwrap() < 60.0);
    assert_eq!(names(&stage.path("first/checkpoints-tmp")), [""; 0], "links are removed");

    let mut second = machine(&stage, &stage.path("second"));
    // Whether there is a store is seen by opening it.
    drop(second.stores.open(PARTITION).unwrap());
    assert_eq!(second.fetch(0).unwrap(), Fetched::Ready);
    drop(second.stores.open(PARTITION).unwrap());
    let found = contents(&stage.path("second/3"));
    assert_eq!((found.customers, found.position.unwrap().journal_sequence), (3_000, 3));
    assert_eq!(names(&stage.path("second")), ["3", "checkpoints-tmp"], "an empty store need not be kept");
    assert_eq!(second.fetch(3).unwrap(), Fetched::None);
    assert_eq!(second.metric("tocsin_checkpoint_fetch_duration_seconds_count"), Some(1.0));
}

#[test]
fn a_checkpoint_that_is_further_on_takes_the_place_of_a_store() {
    let stage = Stage::in_a_directory();
    let mut one = machine(&stage, &stage.path("one"));
    let mut store = one.stores.open(PARTITION).unwrap();
    fill(&mut store, 0..20_000, 1);
    one.stores.take(PARTITION, &store, facts(1));
    assert!(one.background.finish(DEADLINE));
    // Another machine is at 1, then stays behind.
    let mut other = machine(&stage, &stage.path("other"));
    assert_eq!(other.fetch(0).unwrap(), Fetched::Ready);
    let one = machine(&stage, &stage.path("one"));
    fill(&mut store, 0..10, 2);
    one.stores.take(PARTITION, &store, facts(2));
    assert!(one.background.finish(DEADLINE));

    let before = other.metric("tocsin_checkpoint_fetched_bytes_total").unwrap();
    assert_eq!(other.fetch(1).unwrap(), Fetched::Ready);
    let fetched = other.metric("tocsin_checkpoint_fetched_bytes_total").unwrap() - before;
    assert!(fetched < before / 10.0, "{fetched} of {before}: what was at hand is not downloaded again");
    assert_eq!(contents(&stage.path("other/3")).position.unwrap().journal_sequence, 2);
    let names = names(&stage.path("other"));
    assert_eq!(names.len(), 3, "{names:?}");
    let aside = names.iter().find(|name| name.starts_with("3.set-aside-")).unwrap();
    assert_eq!(contents(&stage.path("other").join(aside)).position.unwrap().journal_sequence, 1);
}

#[test]
fn checkpoints_of_others_are_at_hand_when_a_partition_is_taken_over() {
    let stage = Stage::in_a_directory();
    let mut store = machine(&stage, &stage.path("owner")).stores.open(PARTITION).unwrap();
    let take = |store: &mut _, customers, sequence| {
        let owner = machine(&stage, &stage.path("owner"));
        fill(store, customers, sequence);
        owner.stores.take(PARTITION, store, facts(sequence));
        assert!(owner.background.finish(DEADLINE));
    };
    take(&mut store, 0..20_000, 1);
    let mut other = machine(&stage, &stage.path("other"));
    let ahead = stage.path("other/checkpoints-ahead");
    let wait = |what: &str, is_so: &dyn Fn() -> bool| {
        let started = Instant::now();
        while !is_so() {
            assert!(started.elapsed() < DEADLINE, "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    other.stores.prefetch(Duration::from_millis(20));
    wait("the first", &|| ahead.exists() && names(&ahead) == ["3-1"]);
    assert_eq!(contents(&ahead.join("3-1")).position.unwrap().journal_sequence, 1);
    let downloaded = |machine: &Machine| machine.metric("tocsin_checkpoint_prefetched_bytes_total").unwrap();
    let whole = downloaded(&other);
    take(&mut store, 0..10, 2);
    wait("the second, and nothing else", &|| names(&ahead) == ["3-2"]);
    assert!(downloaded(&other) - whole < whole / 10.0, "{whole}, then {}", downloaded(&other));
    assert_eq!(other.metric("tocsin_checkpoints_prefetched_total"), Some(2.0));

    drop(other.stores.open(PARTITION).unwrap());
    assert_eq!(other.fetch(0).unwrap(), Fetched::Ready);
    assert_eq!(contents(&stage.path("other/3")).position.unwrap().journal_sequence, 2);
    let fetched = other.metric("tocsin_checkpoint_fetched_bytes_total").unwrap();
    assert!(fetched < whole / 10.0, "{fetched} of {whole}");
    // The store is further on with its first checkpoint, until it is given up.
    let mut store = other.stores.open(PARTITION).unwrap();
    fill(&mut store, 0..10, 3);
    other.stores.take(PARTITION, &store, facts(3));
    wait("room to be made", &|| names(&ahead).is_empty());
    drop(store);
    other.stores.give_up(PARTITION);
    wait("it to be fetched ahead again", &|| names(&ahead) == ["3-3"]);
}

#[test]
fn a_store_is_set_aside_and_kept() {
    let stage = Stage::in_a_directory();
    let mut machine = machine(&stage, &stage.path("state"));
    assert_eq!(machine.stores.move_aside(PARTITION, "nothing there").unwrap(), None);
    for round in 1..=2 {
        let mut store = machine.stores.open(PARTITION).unwrap();
        fill(&mut store, 0..10, round);
        drop(store);
        let path = machine.stores.move_aside(PARTITION, "a test says so").unwrap().unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.starts_with("3.set-aside-20") && name.ends_with('Z'), "{name}");
        assert_eq!(contents(&path).position.unwrap().journal_sequence, round);
        assert!(!stage.path("state/3").exists());
    }
    assert_eq!(machine.metric("tocsin_stores_set_aside_total"), Some(2.0));
}

#[test]
fn what_another_process_left_is_removed_and_what_is_under_way_is_not() {
    let stage = Stage::in_a_directory();
    let faulty = Faulty::new(stage.objects.clone());
    faulty.set(Fault::Hangs);
    let mut slow = Stage::new(Arc::new(faulty.clone()), PREFIX);
    slow.repository = slow.repository.with_patience(Duration::from_millis(200));
    let mut machine = machine(&slow, &stage.path("state"));
    let temporary = stage.path("state/checkpoints-tmp");
    for name in ["take-3-77", "take-33-1"] {
        std::fs::create_dir_all(temporary.join(name)).unwrap();
    }
    let mut store = machine.stores.open(PARTITION).unwrap();
    let started = Instant::now();
    while temporary.join("take-3-77").exists() {
        assert!(started.elapsed() < DEADLINE);
        std::thread::sleep(Duration::from_millis(5));
    }
    fill(&mut store, 0..10, 1);
    machine.stores.take(PARTITION, &store, facts(1));
    drop(store);
    drop(machine.stores.open(PARTITION).unwrap());
    faulty.set(Fault::None);
    assert!(machine.background.finish(DEADLINE));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(runtime.block_on(stage.listed()), [(1, true)]);
    assert_eq!(names(&temporary), ["take-33-1"], "another partition's is another's");
}

#[test]
fn without_checkpoints_there_are_none() {
    let stage = Stage::in_a_directory();
    let metrics = Metrics::new().unwrap();
    let mut stores =
        DiskStores::new(stage.path("state"), APPLICATION, TOPIC, RocksOptions::new(16 << 20), None, metrics);
    let store = stores.open(PARTITION).unwrap();
    stores.take(PARTITION, &store, facts(1));
    drop(store);
    assert_eq!(stores.fetch(PARTITION, 0).unwrap(), Fetched::None);
    assert_eq!(names(&stage.path("state")), ["3"]);
}
