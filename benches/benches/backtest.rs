//! Whole backtests of the three rules that peers have as well: decoding, judging, and writing records.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use tocsin::backtest::{self, Settings};
use tocsin_benches::ready::Ready;
use tocsin_benches::{PEERS, lines};

const EVENTS: usize = 100_000;

pub fn bench(criterion: &mut Criterion) {
    let Ready { schemas, set, .. } = Ready::new(PEERS);
    let mut group = criterion.benchmark_group("backtest");
    group.throughput(Throughput::Elements(EVENTS as u64)).sample_size(10);
    for (customers, text) in [(1_000, lines(EVENTS, 1_000)), (50_000, lines(EVENTS, 50_000))] {
        for records in [false, true] {
            let what = if records { "records" } else { "transitions" };
            group.bench_function(format!("{customers} customers, {what}"), |bencher| {
                let settings = Settings { records, ..Settings::default() };
                bencher.iter(|| {
                    let mut out = std::io::sink();
                    let (input, rules) = (text.as_bytes(), set.clone());
                    black_box(backtest::run(rules, &schemas, &settings, input, &mut out, &mut |_| ()).is_ok())
                });
            });
        }
    }
    group.finish();
}
