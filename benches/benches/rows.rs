//! Rows: a customer's head with the tail, and a sealed chunk, to bytes and back.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use tocsin::codec::rows;
use tocsin::generate::Settings;
use tocsin_benches::PEERS;
use tocsin_benches::made::Events;
use tocsin_benches::ready::Ready;
use tocsin_core::partition::States;

pub fn bench(criterion: &mut Criterion) {
    for (name, events) in [("5 events", 5), ("20 events", 20), ("1,000 events", 1_000)] {
        let load = Settings { events, customers: 1, leaving: 0, complaining: 0, profiles: true, ..Settings::default() };
        let ready = Ready::new(PEERS);
        let made = Events::generated(&load, &ready);
        let mut judge = ready.partition();
        made.iter(0).for_each(|event| judge.take(&event));
        let Some(event) = made.iter(0).next() else { return };
        let Ok(customer) = judge.cache.customer(event.customer_id) else { return };
        let mut group = criterion.benchmark_group("rows");
        let (head, mut out) = (rows::write_head(customer), Vec::new());
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("write the head, {name}, {} bytes", head.len()), |bencher| {
            bencher.iter(|| {
                out.clear();
                rows::put_head(&mut out, customer);
            });
        });
        group.bench_function(format!("read the head, {name}, {} bytes", head.len()), |bencher| {
            bencher.iter(|| black_box(rows::read_head(&head).is_ok()));
        });
        if let [chunk, .., _tail] = customer.timeline.chunks() {
            let (key, row) = (rows::chunk_key(event.customer_id, chunk.key()), rows::write_chunk(chunk));
            group.bench_function(format!("write a chunk, {} bytes", row.len()), |bencher| {
                bencher.iter(|| rows::write_chunk(chunk));
            });
            group.bench_function(format!("read a chunk, {} bytes", row.len()), |bencher| {
                bencher.iter(|| black_box(rows::read_chunk(&key, &row).is_ok()));
            });
        }
        group.finish();
    }
}
