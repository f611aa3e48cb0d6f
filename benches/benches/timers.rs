//! Timers: set, postponed, and taken when they are due, from memory and from RocksDB.

use std::cell::Cell;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use tocsin::store::{Batch, MemoryStore, RocksOptions, RocksStore, Store};
use tocsin::task::timers::Timers;
use tocsin_benches::made::{Dice, Events};
use tocsin_benches::ready::Ready;
use tocsin_core::time::{DAY, Millis, SECOND};

const TIMERS: u64 = 100_000;
const SILENCE: &str = "rules: [{id: quiet, let: {x: {silence: interaction}}, when: x >= days(60)}]";

/// In no order, of days.
fn armed() -> Timers {
    let (mut timers, mut dice) = (Timers::default(), Dice(1));
    for number in 0..TIMERS {
        timers.arm((dice.below(30 * DAY as u64)) as Millis, &format!("c-{number}"));
    }
    timers
}

fn take_all(mut timers: Timers, store: &impl Store) {
    let mut taken = 0;
    while let Ok(Some(timer)) = timers.take_due(store, Millis::MAX) {
        black_box(timer);
        taken += 1;
    }
    assert_eq!(taken, TIMERS);
}

pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timers");
    group.throughput(Throughput::Elements(TIMERS)).sample_size(10);
    group.bench_function("arm", |bencher| bencher.iter(armed));
    group.bench_function("take from memory", |bencher| {
        bencher.iter_batched(armed, |timers| take_all(timers, &MemoryStore::default()), BatchSize::LargeInput);
    });
    let Ok(folder) = tempfile::tempdir() else { return };
    let Ok(mut store) = RocksStore::open(folder.path(), &RocksOptions::new(64 << 20)) else { return };
    let mut batch = Batch::default();
    armed().write(&mut batch);
    if store.write(batch).is_err() {
        return;
    }
    group.bench_function("take from RocksDB", |bencher| {
        bencher.iter(|| take_all(Timers::default(), &store));
    });
    group.finish();
    postponed(criterion);
}

/// Each event moves a deadline, and sets no timer.
fn postponed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timers");
    group.throughput(Throughput::Elements(10_000)).sample_size(20);
    let ready = Ready::new(SILENCE).keeping(10 * DAY);
    let fields = |_| r#""type":"interaction","channel":"app""#.to_owned();
    let events = Events::even(&ready, 10_000, 1_000, SECOND, fields);
    let (mut judge, round) = (ready.partition(), Cell::new(0));
    group.bench_function("an event that postpones one", |bencher| {
        bencher.iter(|| {
            events.iter(round.get() * events.span()).for_each(|event| judge.take(&event));
            round.set(round.get() + 1);
        });
    });
    group.finish();
}
