//! Does an event cost the same whatever there is beside it?

use std::fmt::Write as _;

use clap::Args as Arguments;
use serde_json::json;
use tocsin::codec::rows::Position;
use tocsin::generate::Settings;
use tocsin::store::{RocksOptions, RocksStore};
use tocsin::task::cache::{CUSTOMER_BYTES, Cache};
use tocsin_benches::PEERS;
use tocsin_benches::made::{Dice, Events};
use tocsin_benches::meter::{Meter, Table};
use tocsin_benches::ready::{Judge, Ready};
use tocsin_core::alert::Judged;
use tocsin_core::customer::Customer;
use tocsin_core::engine::Engine;
use tocsin_core::event::Event;
use tocsin_core::time::{DAY, MINUTE, Millis, SECOND};

use crate::engine::take_all;

#[derive(Debug, Arguments)]
pub struct Args {
    /// Events with three rules, and with a hundred more of other types
    #[arg(long, default_value_t = 500_000)]
    events: u64,

    /// Events of the large customer in one window
    #[arg(long, default_value_t = 1_000_000)]
    window: u64,

    /// Customers beyond the cache; then ten times as many
    #[arg(long, default_value_t = 20_000)]
    customers: u64,

    /// Runs of each, in turns; the median is told
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// Only what has this in its name
    #[arg(long, default_value = "")]
    only: String,
}

impl Args {
    fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }
}

pub fn measure(args: &Args, table: &mut Table) -> anyhow::Result<()> {
    if args.wants("a hundred rules") {
        further_rules(args, table);
    }
    for (name, source, most) in VALUES {
        for late in [false, true] {
            let order = if late { "out of order" } else { "in order" };
            let name = format!("{name}, {order}");
            if args.wants(&name) {
                large_customer(args, &name, &Value { source, late, most }, table);
            }
        }
    }
    if args.wants("customers beyond the cache") {
        more_customers(args, table)?;
    }
    Ok(())
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// A hundred further rules about types of which no event comes.
fn further_rules(args: &Args, table: &mut Table) {
    let mut more = PEERS.to_owned();
    for number in 0..100 {
        let kind = ["feedback", "score"][number % 2];
        // Writing to a text cannot fail.
        _ = writeln!(
            more,
            "  - {{id: further-{number}, let: {{x: {{count: {kind}, over: {}d}}}}, when: x >= 3}}",
            7 + number
        );
    }
    let customers = args.events / 5;
    let load = Settings { events: args.events, customers, ..Settings::default() }.with_usual_planted();
    let sets = [Ready::new(PEERS), Ready::new(&more)];
    let events = Events::generated(&load, &sets[0]);
    let mut costs = [Vec::new(), Vec::new()];
    for round in 0..args.rounds {
        for turn in [round % 2, 1 - round % 2] {
            let mut judge = sets[turn].partition();
            let meter = Meter::new();
            take_all(&mut judge, events.iter(0));
            costs[turn].push(meter.read().each_ns(args.events));
        }
    }
    let [few, many] = costs.map(median);
    table.row("three rules and a hundred rules of other types", figures(few, many, 1.05));
}

/// What `few` there are costs, what many do, and how many times as much that may be.
fn figures(few: f64, many: f64, most: f64) -> [(&'static str, serde_json::Value); 4] {
    [("ns/event", json!(few)), ("with more", json!(many)), ("times", json!(many / few)), ("target", json!(most))]
}

/// Name, what stands under `let`, and how many times as much the large customer may cost.
const VALUES: [(&str, &str, f64); 6] = [
    ("count", "{count: purchase, over: 30d}", 3.0),
    ("sum", "{sum: purchase.amount, over: 30d}", 3.0),
    ("avg", "{avg: purchase.amount, over: 30d}", 3.0),
    ("silence", "{silence: purchase}", 3.0),
    ("median", "{median: purchase.amount, over: 30d}", 10.0),
    ("distinct", "{distinct: purchase.amount, over: 30d}", 10.0),
];

struct Value {
    source: &'static str,
    late: bool,
    most: f64,
}

/// One customer, whose oldest event leaves the window and is let go of with each that comes.
fn large_customer(args: &Args, name: &str, value: &Value, table: &mut Table) {
    let bound = if value.source.contains("silence") { "days(4000)" } else { "1000000000" };
    let rules = format!("rules: [{{id: bench, let: {{x: {}}}, when: x > {bound}}}]", value.source);
    let ready = Ready::new(&rules).keeping(30 * DAY);
    let cost = |events: u64| {
        let gap = 30 * DAY / events as Millis - SECOND / 4;
        let measured = 200_000;
        let all = events + measured;
        let made = Events::even(&ready, all, 1, gap, |number| {
            let (units, cents) = (number * 7_919 % 211, number % 100);
            format!(r#""type":"purchase","amount":{units}.{cents:02},"currency":"EUR","status":"completed""#)
        });
        let mut one = One::new(ready.engine(), if value.late { 29 * DAY } else { 0 });
        // The last of them in order, so that the customer's clock is where the measured ones begin.
        made.iter(0).take(events as usize).for_each(|event| one.apply(&event, 0));
        let meter = Meter::new();
        made.iter_from(events as usize, 0).for_each(|event| one.apply_late(&event));
        meter.read().each_ns(measured)
    };
    let few = median((0..args.rounds).map(|_| cost(10)).collect());
    table.row(format!("10 and {} events, {name}", args.window), figures(few, cost(args.window), value.most));
}

struct One {
    engine: Engine,
    customer: Customer,
    judged: Judged,
    dice: Dice,
    late_by: Millis,
}

impl One {
    fn new(engine: Engine, late_by: Millis) -> Self {
        Self { engine, customer: Customer::default(), judged: Judged::default(), dice: Dice(3), late_by }
    }

    fn apply(&mut self, event: &Event<'_>, back: Millis) {
        let event = Event { occurred_at: event.occurred_at - back, ..*event };
        let watermark = self.customer.latest.get().map(|latest| latest - MINUTE);
        self.engine.apply(&mut self.customer, &event, watermark, &mut self.judged);
    }

    /// Every other one is late, by anything up to `late_by`; the others move the customer's time on.
    fn apply_late(&mut self, event: &Event<'_>) {
        let random = self.dice.next() >> 33;
        let back =
            if self.late_by > 0 && random.is_multiple_of(2) { (random >> 1) as Millis % self.late_by } else { 0 };
        self.apply(event, back);
    }
}

/// Ten times the customers, of whom the cache holds a tenth and a hundredth.
fn more_customers(args: &Args, table: &mut Table) -> anyhow::Result<()> {
    let cost = |customers: u64| -> anyhow::Result<f64> {
        let load =
            Settings { events: 6 * customers, customers, density: 0.0, ..Settings::default() }.with_usual_planted();
        let ready = Ready::new(PEERS);
        let events = Events::generated(&load, &ready);
        let folder = tempfile::tempdir()?;
        // The cache of blocks holds a part of what lies on disk, as well.
        let store = RocksStore::open(folder.path(), &RocksOptions::new(8 << 20))?;
        let mut judge =
            Judge::new(&ready, Cache::new(store, args.customers as usize / 10 * (CUSTOMER_BYTES + 500), None));
        // As many as there are customers: what is written behind comes due in long waves.
        let measured = customers as usize;
        let fill = events.len() - measured;
        let mut take = |events: &mut dyn Iterator<Item = Event<'_>>| -> anyhow::Result<()> {
            for (number, event) in events.enumerate() {
                judge.take(&event);
                if judge.cache.is_crowded() || number % 64 == 63 {
                    if judge.cache.is_crowded() {
                        judge.cache.write_back(&Position::default())?;
                    }
                    judge.cache.next_round();
                }
            }
            Ok(())
        };
        take(&mut events.iter(0).take(fill))?;
        let meter = Meter::new();
        take(&mut events.iter_from(fill, 0))?;
        Ok(meter.read().each_ns(measured as u64))
    };
    let (few, many) = (cost(args.customers)?, cost(10 * args.customers)?);
    let name = format!("{} and ten times the customers, beyond the cache", args.customers);
    table.row(name, figures(few, many, 1.3));
    Ok(())
}
