//! Events through the decoder alone, and through a whole backtest with transitions counted and with records written.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tocsin::backtest::{self, Settings};
use tocsin::codec::decode::Decoder;
use tocsin::codec::schemas::Schemas;
use tocsin::rules::{self, Limits, Source};
use tocsin_benches::{RULES, lines};
use tocsin_core::rule::RuleSet;

const EVENTS: usize = 100_000;

fn rule_set(schemas: &Schemas) -> Arc<RuleSet> {
    let source = Source { name: "bench.yaml".to_owned(), text: RULES.to_owned() };
    match rules::load(&[source], schemas.catalog(), &Limits::default()) {
        Ok(loaded) => Arc::new(loaded.set),
        Err(problems) => unreachable!("the rules of the bench load: {problems}"),
    }
}

fn decode(criterion: &mut Criterion) {
    let text = lines(1_000, 100);
    let mut decoder = Decoder::new(Arc::new(Schemas::shipped()));
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("json", |bencher| {
        bencher.iter(|| {
            for line in text.lines() {
                black_box(decoder.decode(line.as_bytes()).is_ok());
            }
        });
    });
    group.finish();
}

fn whole(criterion: &mut Criterion) {
    let schemas = Arc::new(Schemas::shipped());
    let set = rule_set(&schemas);
    let mut group = criterion.benchmark_group("backtest");
    group.throughput(Throughput::Elements(EVENTS as u64)).sample_size(10);
    for (customers, text) in [(1_000, lines(EVENTS, 1_000)), (50_000, lines(EVENTS, 50_000))] {
        for records in [false, true] {
            let what = if records { "records" } else { "transitions" };
            group.bench_function(format!("{customers} customers, {what}"), |bencher| {
                let settings = Settings { records, ..Settings::default() };
                bencher.iter(|| {
                    let mut out = std::io::sink();
                    let (input, rules, schemas) = (text.as_bytes(), set.clone(), schemas.clone());
                    black_box(backtest::run(rules, &schemas, &settings, input, &mut out, &mut |_| ()).is_ok())
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decode, whole);
criterion_main!(benches);
