//! Rules over the events of a thousand customers, with the table that they are found in, their timers and the watermark: no
//! rule, the three that peers have as well, and the packs that are shipped.

use criterion::{Criterion, Throughput};
use tocsin::generate::Settings;
use tocsin_benches::made::Events;
use tocsin_benches::ready::Ready;
use tocsin_benches::{PACKS, PEERS};
use tocsin_core::time::DAY;

const NONE: &str = "rules: []";

pub fn bench(criterion: &mut Criterion) {
    let sets = [("no rule", NONE), ("three rules", PEERS)].into_iter().chain(PACKS);
    let mut group = criterion.benchmark_group("rules");
    // 10 events of each customer in 40 days, which are kept for 400.
    let load = Settings { events: 10_000, customers: 1_000, span: 40 * DAY, profiles: true, ..Settings::default() };
    let load = Settings { leaving: 0, complaining: 0, ..load };
    group.throughput(Throughput::Elements(load.events)).sample_size(20);
    for (name, rules) in sets {
        let ready = Ready::new(rules);
        let events = Events::generated(&load, &ready);
        let (mut judge, mut round) = (ready.partition(), 0);
        let mut go_round = || {
            events.iter(round * events.span()).for_each(|event| judge.take(&event));
            round += 1;
        };
        // Until the first are let go of.
        (0..11).for_each(|_| go_round());
        group.bench_function(name, |bencher| bencher.iter(&mut go_round));
    }
    group.finish();
}
