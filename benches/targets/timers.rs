//! Timers by the million: what memory they take, and how fast those that are due are judged.

use anyhow::ensure;
use clap::Args as Arguments;
use serde_json::json;
use tocsin::codec::rows::Position;
use tocsin::store::{Batch, Column, RocksOptions, RocksStore, Store};
use tocsin::task::cache::{CUSTOMER_BYTES, Cache};
use tocsin::task::timers::Timers;
use tocsin_benches::made::{Dice, Events, START};
use tocsin_benches::meter::{Meter, Table, resident};
use tocsin_benches::ready::{Judge, Ready};
use tocsin_core::time::{DAY, Millis};

#[derive(Debug, Arguments)]
pub struct Args {
    /// Timers that are set, in steps of a tenth: 24 bytes of disk each
    #[arg(long, default_value_t = 5_000_000)]
    timers: u64,

    /// Customers who fall silent, and are judged when their timers are due
    #[arg(long, default_value_t = 300_000)]
    customers: u64,
}

/// Of blocks and write buffers.
const BLOCKS: usize = 64 << 20;
const SILENCE: &str = "rules: [{id: quiet, let: {x: {silence: interaction}}, when: x >= days(60)}]";

pub fn measure(args: &Args, table: &mut Table) -> anyhow::Result<()> {
    memory(args, table)?;
    due(args, table)
}

/// Sets more and more, each written as a task writes them. What is in memory must not depend on how many there are.
fn memory(args: &Args, table: &mut Table) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut store = RocksStore::open(folder.path(), &RocksOptions::new(BLOCKS))?;
    let (mut timers, mut dice, mut number) = (Timers::default(), Dice(1), 0);
    for step in 1..=10 {
        let meter = Meter::new();
        let before = number;
        while number < args.timers * step / 10 {
            timers.arm(START + (dice.below(60 * DAY as u64)) as Millis, &format!("c-{number}"));
            number += 1;
            if number % 100_000 == 0 {
                write(&mut timers, &mut store)?;
            }
        }
        write(&mut timers, &mut store)?;
        if step == 1 || step == 5 || step == 10 {
            let cost = meter.read();
            let figures = [
                ("per CPU s", json!(cost.rate(number - before))),
                ("resident MB", json!(resident() / 1_000_000)),
                ("disk MB", json!(store.size_bytes() / 1_000_000)),
            ];
            table.row(format!("{number} timers set"), figures);
        }
    }
    // Those of a day and a half, taken from what lies on disk.
    let meter = Meter::new();
    let mut taken = 0;
    while timers.take_due(&store, START + 3 * DAY / 2)?.is_some() {
        taken += 1;
        if taken % 100_000 == 0 {
            write(&mut timers, &mut store)?;
        }
    }
    let cost = meter.read();
    let figures = [("per CPU s", json!(cost.rate(taken))), ("resident MB", json!(resident() / 1_000_000))];
    table.row(format!("{taken} of them taken, nobody judged"), figures);
    Ok(())
}

fn write(timers: &mut Timers, store: &mut RocksStore) -> anyhow::Result<()> {
    let mut batch = Batch::default();
    timers.write(&mut batch);
    Ok(store.write(batch)?)
}

/// All customers fall silent; what is due is judged with everybody in memory, and with nobody.
fn due(args: &Args, table: &mut Table) -> anyhow::Result<()> {
    let ready = Ready::new(SILENCE);
    let fields = |_| r#""type":"interaction","channel":"app","agent_id":"a-7""#.to_owned();
    let events = Events::even(&ready, 5 * args.customers, args.customers, DAY / args.customers as Millis, fields);
    for (name, cached, target) in [("cached", usize::MAX, 100_000), ("cold", 0, 40_000)] {
        let folder = tempfile::tempdir()?;
        let fill = {
            let store = RocksStore::open(folder.path(), &RocksOptions::new(BLOCKS))?;
            let mut judge = Judge::new(&ready, Cache::new(store, usize::MAX, None));
            events.iter(0).for_each(|event| judge.take(&event));
            judge.cache.write_back(&Position::default())?;
            check_postponed(&judge, judge.cache.len())?;
            judge
        };
        let (watermark, customers) = (fill.partition.watermark, fill.cache.len() as u64);
        let mut judge = if cached == 0 {
            drop(fill);
            let store = RocksStore::open(folder.path(), &RocksOptions::new(BLOCKS))?;
            Judge::new(&ready, Cache::new(store, 20_000 * CUSTOMER_BYTES, None))
        } else {
            fill
        };
        judge.partition.watermark = watermark;
        let (meter, mut at, mut rounds) = (Meter::new(), START + 59 * DAY, 0);
        // In small steps, as time goes, and written like a running task: when the cache is crowded, or now and then.
        while at < START + 70 * DAY {
            at += DAY / 200;
            judge.advance(at);
            rounds += 1;
            if judge.cache.is_crowded() || rounds % 100 == 0 {
                judge.cache.write_back(&Position::default())?;
            }
        }
        let cost = meter.read();
        ensure!(judge.transitions == customers, "{} of {customers} fired", judge.transitions);
        let figures = [
            ("per CPU s", json!(cost.rate(judge.transitions))),
            ("wall per s", json!(judge.transitions as f64 / cost.wall_s)),
            ("resident MB", json!(resident() / 1_000_000)),
            ("target", json!(target)),
        ];
        table.row(format!("{} due timers judged, {name}", judge.transitions), figures);
    }
    Ok(())
}

/// Everybody had some events, each of which moved the deadline; one timer was written for each customer, and no more.
fn check_postponed(judge: &Judge<RocksStore>, customers: usize) -> anyhow::Result<()> {
    let written = judge.cache.store().keys_after(Column::Timers, &[], 2 * customers)?.len();
    ensure!(written == customers, "{written} timers were written for {customers} customers");
    Ok(())
}
