//! The same with stores on disk: crashes, faults, and what is on disk afterwards.

use std::collections::BTreeMap;
use std::path::Path;

use tocsin::store::{RocksOptions, RocksStore, StoreError};
use tocsin::task::Worker;
use tocsin::task::world::{OpenOnly, PartitionId, WorldError};

use crate::memory_world::{Fault, MemoryWorld, SharedLog};
use crate::random::{EARLY, END, backtest, events};
use crate::rng::Rng;
use crate::setup::{Options, alert, journal, log_of, shared};

type Open = OpenOnly<Box<dyn FnMut(PartitionId) -> Result<RocksStore, StoreError>>>;

fn member(log: &SharedLog, directory: &Path, options: &Options) -> Worker<MemoryWorld<Open>> {
    let (directory, rocks) = (directory.to_owned(), RocksOptions::new(8 << 20));
    let open: Open =
        OpenOnly(Box::new(move |partition| RocksStore::open(&directory.join(partition.to_string()), &rocks)));
    Worker::new(0, MemoryWorld::new(log, 0, open), shared(options))
}

fn rounds(member: &mut Worker<MemoryWorld<Open>>, count: usize) {
    for _ in 0..count {
        match member.round() {
            Ok(()) | Err(WorldError::Transient(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn what_is_published_is_what_a_backtest_finds() {
    let mut rng = Rng::new(7);
    let directory = tempfile::tempdir().unwrap();
    let log = log_of(BTreeMap::from([0, 1].map(|partition| (partition, events(&mut rng, partition)))), EARLY);
    let options =
        Options { max_batch: 3, cached_customers: 2, idle_after: Some(0), partitions: 2, ..Options::default() };
    for now in [EARLY, END] {
        log.lock().unwrap().now = now;
        for fault in [Fault::LostBefore, Fault::LostAfter, Fault::None] {
            let mut member = member(&log, directory.path(), &options);
            member.world().hiccups.extend([false, false, false, true, false, true]);
            rounds(&mut member, 12);
            member.world().faults.extend([Fault::None, fault]);
            rounds(&mut member, 12);
        }
        rounds(&mut member(&log, directory.path(), &options), 400);
    }
    for partition in [0, 1] {
        let (expected, _) = backtest(&log.lock().unwrap().input[&partition]);
        let found: Vec<_> =
            log.lock().unwrap().alerts.iter().map(|record| alert(record.payload.as_deref().unwrap())).collect();
        let prefix = format!("c{partition}-");
        let of = |alert: &&serde_json::Value| alert["customer_id"].as_str().unwrap().starts_with(&prefix);
        assert_eq!(found.iter().filter(of).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        assert!(!expected.is_empty());
        // The stores are at the journal's end: whoever opens them next replays nothing.
        let records = journal(&log, partition);
        let place = directory.path().join(partition.to_string());
        let store = RocksStore::open(&place, &RocksOptions::new(1 << 20)).unwrap();
        let position = tocsin::task::cache::Cache::position(&store).unwrap().unwrap();
        assert_eq!(position.journal_sequence, records.last().unwrap().sequence);
    }
}
