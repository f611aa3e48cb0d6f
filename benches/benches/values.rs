//! Each value that a rule can look at, as what an event costs a customer: of ten events in the window, where it is added up,
//! and of ten thousand, where it is moved on. With each event that comes the oldest leaves. `none` is the same without a
//! value: what it costs to keep the event.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use tocsin_benches::made::{Events, START};
use tocsin_benches::ready::Ready;
use tocsin_core::alert::Judged;
use tocsin_core::customer::Customer;
use tocsin_core::time::{DAY, MINUTE, SECOND};

/// A name, and what stands under `let` and `when`.
const VALUES: [(&str, &str, &str); 13] = [
    ("none", "{count: complaint, over: 30d}", "x > 1000000000"),
    ("count", "{count: purchase, over: 30d}", "x > 1000000000"),
    ("sum", "{sum: purchase.amount, over: 30d}", "x > 1000000000"),
    ("avg", "{avg: purchase.amount, over: 30d}", "x > 1000000000"),
    ("stddev", "{stddev: purchase.amount, over: 30d}", "x > 1000000000"),
    ("min", "{min: purchase.amount, over: 30d}", "x > 1000000000"),
    ("max", "{max: purchase.amount, over: 30d}", "x > 1000000000"),
    ("median", "{median: purchase.amount, over: 30d}", "x > 1000000000"),
    ("distinct", "{distinct: purchase.amount, over: 30d}", "x > 1000000000"),
    ("first", "{first: purchase.amount, over: 30d}", "x > 1000000000"),
    ("last", "{last: purchase.amount, over: 30d}", "x > 1000000000"),
    ("median_gap", "{median_gap: purchase, over: 30d}", "x > days(4000)"),
    ("silence", "{silence: purchase}", "x > days(4000)"),
];
/// Each purchase is open until the next but so many.
const OPEN: &str = "{open: purchase, by: order_id, until: [{purchase: 'event.status == \"refunded\"'}], expire: 30d}";

fn rules(source: &str, when: &str) -> String {
    format!("rules: [{{id: bench, let: {{x: {source}}}, when: {when}}}]")
}

fn value(criterion: &mut Criterion, name: &str, source: &str, when: &str) {
    for (group, events) in [("value, added up of 10 events", 10), ("value, moved on with 10,000 events", 10_000)] {
        let ready = Ready::new(&rules(source, when)).keeping(30 * DAY);
        let gap = 30 * DAY / events - SECOND;
        // A multiple of what is held, so that a second round looks like the first.
        let made = Events::even(&ready, 20_000, 1, gap, |number| {
            let (units, cents) = (number * 7_919 % 211, number % 100);
            format!(
                r#""type":"purchase","amount":{units}.{cents:02},"order_id":"o-{number}","category":"toys","status":"completed""#
            )
        });
        let (engine, mut customer, mut judged) = (ready.engine(), Customer::default(), Judged::default());
        let mut apply = |first: usize, round: i64, wanted: usize| {
            let later = round * (made.span() + MINUTE);
            for event in made.iter_from(first, later).take(wanted) {
                let watermark = Some(event.occurred_at - MINUTE).max(Some(START));
                black_box(engine.apply(&mut customer, &event, watermark, &mut judged));
            }
        };
        apply(0, 0, made.len());
        let (mut next, mut round) = (0, 1);
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                apply(next, round, 1);
                next += 1;
                if next == made.len() {
                    (next, round) = (0, round + 1);
                }
            });
        });
        group.finish();
    }
}

pub fn bench(criterion: &mut Criterion) {
    for (name, source, when) in VALUES {
        value(criterion, name, source, when);
    }
    value(criterion, "open", OPEN, "x > 1000000000");
}
