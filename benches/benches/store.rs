//! Batches for the store: customers who have changed are written to RocksDB; others are read from there and let go of.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use tocsin::codec::rows::Position;
use tocsin::generate::Settings;
use tocsin::store::{RocksOptions, RocksStore};
use tocsin::task::cache::Cache;
use tocsin_benches::PEERS;
use tocsin_benches::made::Events;
use tocsin_benches::ready::{Judge, Ready};
use tocsin_core::partition::States;

const MEMORY: usize = 256 << 20;

pub fn bench(criterion: &mut Criterion) {
    for customers in [100, 1_000, 10_000] {
        let load = Settings { events: 5 * customers, customers, density: 0.0, ..Settings::default() };
        let ready = Ready::new(PEERS);
        let made = Events::generated(&Settings { leaving: 0, complaining: 0, ..load }, &ready);
        let Ok(folder) = tempfile::tempdir() else { return };
        let open = || RocksStore::open(folder.path(), &RocksOptions::new(MEMORY)).ok();
        let mut group = criterion.benchmark_group("store");
        group.throughput(Throughput::Elements(made.customers().len() as u64)).sample_size(20);

        let Some(store) = open() else { return };
        let mut judge = Judge::new(&ready, Cache::new(store, usize::MAX, None));
        made.iter(0).for_each(|event| judge.take(&event));
        group.bench_function(format!("write {customers} customers of 5 events"), |bencher| {
            bencher.iter(|| {
                for id in made.customers() {
                    if let Ok(customer) = judge.cache.customer(id) {
                        customer.changed = true;
                    }
                }
                assert!(judge.cache.write_back(&Position::default()).is_ok());
            });
        });
        drop(judge);

        let Some(store) = open() else { return };
        let mut cache = Cache::new(store, 0, None);
        group.bench_function(format!("read {customers} customers of 5 events"), |bencher| {
            bencher.iter(|| {
                for id in made.customers() {
                    black_box(cache.customer(id).is_ok());
                }
                // None has changed, so nothing is written but the position, and all are let go of.
                assert!(cache.write_back(&Position::default()).is_ok() && cache.is_empty());
            });
        });
        group.finish();
    }
}
