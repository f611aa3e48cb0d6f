//! Exactly once, shown on the program as it is shipped: killed at random points, and frozen for longer than its group
//! waits for it in the middle of everything it does. After each, `tocsin audit` finds what was published equal, and an
//! independent client finds every (`alert_id`, `sequence`) once.
//!
//! A few kills here; `make prove` has fifty (`TOCSIN_KILLS`), with the session timeout that brokers allow by default.
//! `TOCSIN_KILL_SEED` repeats the points, as far as a clock can.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{self, App, backtest, ended, tocsin};
use crate::audit::audit;
use crate::data::{self, Dice, Event};
use crate::stage::{Stage, repository, wait_until};

/// Events for each kill.
const CHUNK: usize = 1_500;
/// Small transactions, so that there are many places to be killed at; and a store that lags behind.
const SETTINGS: [(&str, &str); 4] =
    [("time.idle_after", "never"), ("commit.max_batch", "20"), ("commit.write_behind", "300ms"), ("workers", "2")];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// What an independent client sees: no (`alert_id`, `sequence`) twice.
fn assert_once(records: &[Value]) {
    let mut identities = BTreeSet::new();
    for record in records {
        let alert: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
        let identity = (alert["alert_id"].as_str().unwrap().to_owned(), alert["sequence"].as_i64());
        assert!(identities.insert(identity), "twice: {record}");
    }
}

#[test]
fn killed_at_random_points_it_publishes_everything_once() {
    let Some(stage) = Stage::open("live-proof") else { return };
    let kills = number("TOCSIN_KILLS").unwrap_or(3) as usize;
    let seed = number("TOCSIN_KILL_SEED").unwrap_or_else(|| crate::stage::now_ms() as u64);
    println!("TOCSIN_KILL_SEED={seed}");
    let mut dice = Dice(seed);
    let rules = repository().join("deploy/demo/rules.yaml");
    let config = app::config(&stage, &rules);
    let events = data::shop((kills + 1) * CHUNK);
    let expected = backtest(&stage, &rules, &data::lines(&events), &[]);
    let mut chunks = events.chunks(CHUNK);
    for _ in 0..kills {
        stage.produce(3, "murmur2_random", chunks.next().unwrap().iter().map(Event::record));
        let app = App::start(&stage, &rules, &SETTINGS);
        if dice.below(2) == 0 {
            // By the clock: it may be joining, restoring, judging or publishing.
            thread::sleep(Duration::from_millis(dice.below(2_500) as u64));
        } else {
            let point = dice.below(CHUNK as i64 / 2) as usize;
            wait_until("some events to be taken in", || app.taken_in() >= point);
        }
        app.kill();
        audit(&config, &[]).assert_equal();
        assert_once(&stage.read("alerts"));
    }
    stage.produce(3, "murmur2_random", chunks.next().unwrap().iter().map(Event::record));
    let app = App::start_ready(&stage, &rules, &SETTINGS);
    stage.await_records("alerts", expected.len());
    app.stop();
    let audited = audit(&config, &[]);
    audited.assert_equal();
    assert_eq!(audited.count("/totals/alerts/equal"), expected.len() as u64);
    let alerts = stage.read("alerts");
    assert_once(&alerts);
    data::check(&data::published(&alerts), &data::expected(&expected));
}

/// Customers of the freezes: so many that a sweep takes long in `make prove`.
fn customers() -> usize {
    if number("TOCSIN_KILLS").is_some() { 10_000 } else { 1_500 }
}

const START: i64 = 1_700_000_000_000;
const FIRST_RULES: &str = "rules:\n\
    - {id: buyer, let: {bought: {count: purchase, over: 1d}}, when: bought >= 1}\n\
    - {id: quiet, let: {quiet: {silence: purchase}}, when: quiet >= days(2)}\n";
/// All alerts of the rules before resolve in the sweep; what is new fires only by the wall clock.
const NEXT_RULES: &str = "rules:\n- {id: asleep, let: {quiet: {silence: purchase}}, when: quiet >= days(100)}\n";

/// Two instances, of which one is frozen again and again.
struct Pair<'s> {
    stage: &'s Stage,
    rules: &'s Path,
    session: &'static str,
    apps: [App; 2],
}

impl<'s> Pair<'s> {
    fn start(stage: &'s Stage, rules: &'s Path, session: &'static str, idle: &str) -> Self {
        let start = |name: &str| {
            let folder = stage.path(&format!("state-{name}"));
            let settings = [
                ("instance", name),
                ("state_dir", folder.to_str().unwrap()),
                ("kafka.session_timeout", session),
                ("kafka.transaction_timeout", "3s"),
                ("time.idle_after", idle),
                ("commit.max_batch", "10"),
                ("commit.write_behind", "300ms"),
            ];
            App::start_ready(stage, rules, &settings)
        };
        let apps = [start("one"), start("two")];
        wait_until("both to have partitions", || {
            apps.iter().all(|app| app.metric("tocsin_partitions_assigned", "") > 0.0)
        });
        Self { stage, rules, session, apps }
    }

    /// Freezes the first of them to publish something of what is on its way, and is in the middle of it, until the other
    /// has done all of it and the group has long forgotten the frozen one.
    fn freeze(&self, what: &str, begin: impl FnOnce(), is_in_it: impl Fn(&App) -> bool, alerts: usize) {
        let published = || self.apps.each_ref().map(|app| app.metric("tocsin_alerts_total", ""));
        let before = published();
        begin();
        let mut busy = None;
        wait_until(what, || {
            let has_begun = |number: &usize| published()[*number] >= before[*number] + 20.0;
            busy = (0..2).find(|number| has_begun(number) && is_in_it(&self.apps[*number]));
            busy.is_some()
        });
        let frozen = &self.apps[busy.unwrap()];
        frozen.signal("-STOP");
        let done = self.stage.read("alerts").len();
        assert!(done < alerts, "{what}: it was over before it was frozen");
        println!("frozen in the middle of {what}, with {} alerts to come", alerts - done);
        // More than the session: else nobody would take its partitions.
        self.stage.await_records("alerts", alerts);
        frozen.signal("-CONT");
        wait_until("the one that was frozen to be back", || {
            frozen.get("/readyz").0 == 200 && frozen.metric("tocsin_partitions_assigned", "") > 0.0
        });
        let audited = audit(&app::config(self.stage, self.rules), &[]);
        audited.assert_equal();
        assert_eq!(audited.count("/totals/alerts/equal"), alerts as u64, "{what}, session {}", self.session);
        assert_once(&self.stage.read("alerts"));
    }

    fn stop(self) {
        self.apps.into_iter().for_each(App::stop);
    }
}

#[test]
fn frozen_past_its_session_it_publishes_everything_once() {
    let Some(stage) = Stage::open("live-frozen") else { return };
    // Brokers allow 6 s by default; ours, for the sake of the gate, less.
    let session = if number("TOCSIN_KILLS").is_some() { "6s" } else { "2s" };
    let customers = customers();
    let rules = stage.write("rules.yaml", FIRST_RULES);
    let purchase =
        |id: &str, customer: &str, at| Event::new("purchase", id, customer, at, &json!({"amount": 1})).record();
    stage.produce(3, "murmur2_random", []);
    let pair = Pair::start(&stage, &rules, session, "never");
    let batch = || {
        let buy = |number: usize| purchase(&number.to_string(), &format!("c{number}"), START + number as i64);
        stage.produce(3, "murmur2_random", (0..customers).map(buy));
    };
    pair.freeze("a batch", batch, |_| true, customers);
    // Ten days later: `buyer` resolves and `quiet` fires for everybody, at an event in each partition.
    let later = || {
        let movers = (0..3).map(|partition| {
            let customer = (0..1_000).map(|number| format!("mover-{number}")).find(|customer| {
                tocsin::partitioner::Partitioner::Murmur2.partition(customer.as_bytes(), 3) == partition
            });
            purchase("later", &customer.unwrap(), START + 10 * data::DAY)
        });
        stage.produce(3, "murmur2_random", movers);
    };
    let drained = 3 * customers + 3;
    pair.freeze("a drain", later, |_| true, drained);
    let apply = || {
        let next = stage.write("next.yaml", NEXT_RULES);
        let mut command = tocsin();
        command.args(["rules", "apply"]).arg(next).arg("--config").arg(app::config(&stage, &rules));
        let (code, _, told) = ended(&mut command);
        assert_eq!(code, Some(0), "{told}");
    };
    let swept = drained + customers + 3;
    // The metric is there while a sweep is under way, and says how far it is.
    let sweeps = |app: &App| {
        let judged = app.metric("tocsin_sweep_customers", "");
        0.0 < judged && judged < customers as f64 / 3.0
    };
    pair.freeze("a sweep", apply, sweeps, swept);
    pair.stop();
    // The wall clock is years ahead of all events: with the first tick everybody is asleep.
    let next = stage.path("next.yaml");
    let pair = Pair::start(&stage, &next, session, "4s");
    pair.freeze("an idle tick", || (), |_| true, swept + customers + 3);
    pair.stop();
}
