//! Bytes: what an event has the store write, and what it takes on disk once all is compacted.

use clap::Args as Arguments;
use serde_json::json;
use tocsin::codec::rows::Position;
use tocsin::store::{RocksOptions, RocksStore, Store};
use tocsin::task::cache::Cache;
use tocsin_benches::PEERS;
use tocsin_benches::made::{Dice, Events};
use tocsin_benches::meter::{Meter, Table};
use tocsin_benches::ready::{Judge, Ready};
use tocsin_core::partition::States;
use tocsin_core::time::{DAY, Millis};

#[derive(Debug, Arguments)]
pub struct Args {
    #[arg(long, default_value_t = 20_000)]
    customers: u64,

    /// Of each customer, over 400 days; the more, the larger is the share of what is sealed
    #[arg(long, default_values_t = [5, 20, 60, 300])]
    events_each: Vec<u64>,
}

/// What an event's id cannot take less of: it is sixteen random hexadecimal digits.
const ID_BYTES: u64 = 8;

pub fn measure(args: &Args, table: &mut Table) -> anyhow::Result<()> {
    for is_dense in [false, true] {
        for &each in &args.events_each {
            let customers = if each > 100 { args.customers / 5 } else { args.customers };
            one(customers, each, is_dense, table)?;
        }
    }
    Ok(())
}

fn one(customers: u64, each: u64, is_dense: bool, table: &mut Table) -> anyhow::Result<()> {
    let ready = Ready::new(PEERS);
    let all = customers * each;
    let events = Events::even(&ready, all, customers, 390 * DAY / all as Millis, line);
    let folder = tempfile::tempdir()?;
    let store = RocksStore::open(folder.path(), &RocksOptions::new(256 << 20).dense(is_dense))?;
    let mut judge = Judge::new(&ready, Cache::new(store, usize::MAX, None));
    let (meter, mut batched) = (Meter::new(), 0);
    let mut single = 0;
    for (number, event) in events.iter(0).enumerate() {
        judge.take(&event);
        if number % 50 == 0
            && let Ok(customer) = judge.cache.customer(event.customer_id)
        {
            single += 50 * row_bytes(event.customer_id, customer);
        }
        // A write every five seconds at 20,000 events a second.
        if number % 100_000 == 99_999 {
            batched += judge.cache.write_back(&Position::default())?.bytes;
        }
    }
    batched += judge.cache.write_back(&Position::default())?.bytes;
    let written = meter.read().written;
    let customers = judge.cache.len();
    judge.cache.store().compact();
    let disk = judge.cache.store().size_bytes();
    let per_event = |bytes: f64| json!(bytes / all as f64);
    let figures = [
        ("rows, alone", per_event(single as f64)),
        ("rows, behind", per_event(batched as f64)),
        ("written", per_event(written as f64)),
        ("on disk", per_event(disk as f64)),
        ("but ids", per_event(disk as f64 - (all * ID_BYTES) as f64)),
        ("target", json!(16)),
    ];
    let how = if is_dense { "zstd" } else { "lz4" };
    table.row(format!("{customers} customers of {each} events, {how}"), figures);
    Ok(())
}

/// What the rows of an event's customer would take if they were written for it alone.
fn row_bytes(customer_id: &str, customer: &tocsin_core::customer::Customer) -> usize {
    let head = tocsin::codec::rows::write_head(customer).len() + tocsin::codec::rows::head_key(customer_id).len();
    // A tail that has just been begun means that a chunk was sealed.
    let chunks = customer.timeline.chunks();
    let sealed = match chunks {
        [.., sealed, tail] if tail.events == 1 => sealed.bytes.len() + customer_id.len() + 16,
        _ => 0,
    };
    head + sealed
}

/// Ids are random; all else is one of a few, but for amounts and times.
fn line(number: u64) -> String {
    let mut dice = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    dice.next();
    let channel = ["web", "app", "phone", "email", "shop"][dice.below(5) as usize];
    match dice.below(25) {
        0..15 => {
            let direction = ["inbound", "outbound"][dice.below(2) as usize];
            let purpose = ["support", "follow_up", "marketing", "advice"][dice.below(4) as usize];
            format!(
                r#""type":"interaction","channel":"{channel}","direction":"{direction}","purpose":"{purpose}","automatic":false"#
            )
        }
        15..23 => {
            let (units, cents) = (dice.below(200), dice.below(100));
            let category = ["garden", "kitchen", "toys", "books"][dice.below(4) as usize];
            format!(
                r#""type":"purchase","amount":{units}.{cents:02},"currency":"EUR","category":"{category}","channel":"{channel}","status":"completed""#
            )
        }
        _ => {
            let category = ["delivery", "quality", "billing", "service"][dice.below(4) as usize];
            format!(
                r#""type":"complaint","status":"opened","category":"{category}","priority":"normal","channel":"{channel}""#
            )
        }
    }
}
