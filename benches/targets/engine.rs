//! The engine alone: events that are decoded already, customers in memory.

use clap::Args as Arguments;
use serde_json::json;
use tocsin::generate::Settings;
use tocsin_benches::made::Events;
use tocsin_benches::meter::{Meter, Table};
use tocsin_benches::ready::{Judge, Ready};
use tocsin_benches::{PACKS, PEERS};
use tocsin_core::event::Event;
use tocsin_core::time::DAY;

const COUNT: &str = "rules: [{id: often, let: {x: {count: purchase, over: 7d}}, when: x >= 6}]";

#[derive(Debug, Arguments)]
pub struct Args {
    /// Events with one count rule
    #[arg(long, default_value_t = 4_000_000)]
    events: u64,

    /// Events of each shipped pack; a fifth as many customers
    #[arg(long, default_value_t = 500_000)]
    pack_events: u64,

    /// Only what has this in its name
    #[arg(long, default_value = "")]
    only: String,
}

/// A customer buys every third day, so with more customers the same happens to each, in a shorter time.
pub fn measure(args: &Args, table: &mut Table) {
    for (customers, target) in [(10_000, 5_000_000), (1_000_000, 2_000_000)] {
        let name = format!("one count rule, {customers} customers");
        if !name.contains(&args.only) {
            continue;
        }
        let ready = Ready::new(COUNT);
        let events = Events::even(&ready, args.events, customers, 3 * DAY / customers as i64, |number| {
            let (units, cents) = (number * 7_919 % 211, number % 100);
            format!(r#""type":"purchase","amount":{units}.{cents:02},"currency":"EUR","status":"completed""#)
        });
        let figures = run(&ready, &events);
        table.row(name, figures.into_iter().chain([("target", json!(target))]));
    }
    let (all, customers) = (args.pack_events, args.pack_events / 5);
    let load = Settings { events: all, customers, profiles: true, ..Settings::default() }.with_usual_planted();
    for (name, rules) in [("three rules of the peers", PEERS)].into_iter().chain(PACKS) {
        if !name.contains(&args.only) {
            continue;
        }
        let ready = Ready::new(rules);
        let figures = run(&ready, &Events::generated(&load, &ready));
        table.row(format!("{name}, {customers} customers"), figures);
    }
}

/// The first quarter is not measured: most customers come into being in it.
fn run(ready: &Ready, events: &Events) -> Vec<(&'static str, serde_json::Value)> {
    let mut judge = ready.partition();
    let first = events.len() / 4;
    take_all(&mut judge, events.iter(0).take(first));
    let (meter, before) = (Meter::new(), judge.transitions);
    take_all(&mut judge, events.iter_from(first, 0));
    let cost = meter.read();
    let measured = (events.len() - first) as u64;
    vec![
        ("events/CPU s", json!(cost.rate(measured))),
        ("ns/event", json!(cost.each_ns(measured))),
        ("transitions/event", json!((judge.transitions - before) as f64 / measured as f64)),
    ]
}

/// Sixty-four at a time, as a backtest has them: their customers are fetched from memory all at once.
pub fn take_all<'e, S: tocsin::store::Store>(judge: &mut Judge<S>, events: impl Iterator<Item = Event<'e>>) {
    let mut batch: Vec<Event<'_>> = Vec::with_capacity(64);
    for event in events {
        batch.push(event);
        if batch.len() == 64 {
            judge.take_batch(&batch);
            batch.clear();
        }
    }
    judge.take_batch(&batch);
}
