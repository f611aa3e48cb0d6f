//! Each part of the engine alone, by criterion. `benches/parts` runs this and gathers what it finds.

mod backtest;
mod decode;
mod rows;
mod rules;
mod store;
mod timeline;
mod timers;
mod values;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// Short: there are many of them, and they are compared by their order of magnitude.
fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(1_200))
}

criterion_group! {
    name = parts;
    config = short();
    targets = decode::bench, timeline::append, timeline::read, values::bench, rules::bench, timers::bench, rows::bench,
        store::bench, backtest::bench
}
criterion_main!(parts);
