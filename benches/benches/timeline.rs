//! A customer's events: added in order and late, read forwards and backwards, looked up, of few events and of many. The
//! oldest goes with each that comes, so that there are always as many.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use tocsin_benches::made::Dice;
use tocsin_core::event::{FieldValue, RecordWriter};
use tocsin_core::time::{MINUTE, Millis};
use tocsin_core::timeline::Timeline;

const SIZES: [(&str, Millis); 2] = [("20 events", 20), ("100,000 events", 100_000)];

fn write(writer: &mut RecordWriter, number: Millis) {
    writer.begin(1, &format!("e-{number}"));
    writer.field(0, FieldValue::Text("app"));
    writer.field(2, FieldValue::Text("support"));
}

fn insert(timeline: &mut Timeline, writer: &mut RecordWriter, number: Millis, at: Millis) {
    write(writer, number);
    if let Some(record) = writer.record() {
        timeline.insert(at, record);
    }
}

fn filled(events: Millis) -> Timeline {
    let (mut timeline, mut writer) = (Timeline::default(), RecordWriter::default());
    for number in 0..events {
        insert(&mut timeline, &mut writer, number, number * MINUTE);
    }
    timeline
}

pub fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timeline, append");
    group.throughput(Throughput::Elements(1));
    for (size, events) in SIZES {
        for (order, late) in [("in order", false), ("late by up to all of it", true)] {
            let (mut timeline, mut writer) = (filled(events), RecordWriter::default());
            let (mut number, mut dice) = (events, Dice(1));
            group.bench_function(format!("{size}, {order}"), |bencher| {
                bencher.iter(|| {
                    let back = if late { dice.below(events as u64) as Millis } else { 0 };
                    insert(&mut timeline, &mut writer, number, (number - back) * MINUTE);
                    timeline.forget_before((number - events) * MINUTE);
                    number += 1;
                });
            });
        }
    }
    group.finish();
}

pub fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timeline, read");
    for (size, events) in SIZES {
        let timeline = filled(events);
        group.throughput(Throughput::Elements(events as u64));
        group.bench_function(format!("{size}, all"), |bencher| {
            bencher.iter(|| timeline.range(Millis::MIN, Millis::MAX).filter_map(|entry| entry.type_id()).count());
        });
        group.throughput(Throughput::Elements(10));
        group.bench_function(format!("{size}, the latest ten"), |bencher| {
            bencher.iter(|| timeline.backwards(Millis::MAX).take(10).filter_map(|entry| entry.record()).count());
        });
        group.throughput(Throughput::Elements(1));
        let mut dice = Dice(1);
        group.bench_function(format!("{size}, is one there"), |bencher| {
            bencher.iter(|| {
                let number = dice.below(events as u64) as Millis;
                black_box(timeline.contains(number * MINUTE, "e-none"))
            });
        });
    }
    group.finish();
}
