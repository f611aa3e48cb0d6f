//! Stopped, killed, robbed of its state: it goes on where it was, and nothing is lost or doubled.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::app::{App, backtest};
use crate::data::{self, Event};
use crate::stage::{Stage, repository, wait_until};

const EVENTS: usize = 6_000;
/// After so many events of a run comes its end.
const RUN: usize = 800;
const INTERRUPTIONS: usize = 4;

/// Small transactions, so that there are many places to be interrupted at; and a store that lags behind.
const SETTINGS: [(&str, &str); 4] =
    [("time.idle_after", "never"), ("commit.max_batch", "20"), ("commit.write_behind", "500ms"), ("workers", "2")];

/// Runs it for a while; there must be more to do then.
fn run_for_a_while(stage: &Stage, rules: &Path) -> App {
    let app = App::start(stage, rules, &SETTINGS);
    wait_until("some events to be taken in", || app.taken_in() >= RUN);
    assert!(app.taken_in() < 2 * RUN, "it is too fast to be interrupted");
    app
}

/// Interrupts a run several times; the last one shall bring it to its end.
fn check(stage: &Stage, mut interrupt: impl FnMut(usize, &Path)) {
    let rules = repository().join("deploy/demo/rules.yaml");
    let events = data::shop(EVENTS);
    let expected = backtest(stage, &rules, &data::lines(&events), &[]);
    stage.produce(3, "murmur2_random", events.iter().map(Event::record));
    for time in 0..INTERRUPTIONS {
        interrupt(time, &rules);
    }
    let app = App::start_ready(stage, &rules, &SETTINGS);
    stage.await_records("alerts", expected.len());
    app.stop();
    let alerts = stage.read("alerts");
    let mut identities = BTreeSet::new();
    for alert in &alerts {
        let alert: Value = serde_json::from_str(alert["value"].as_str().unwrap()).unwrap();
        let identity = (alert["alert_id"].as_str().unwrap().to_owned(), alert["sequence"].as_i64());
        assert!(identities.insert(identity), "twice: {alert}");
    }
    data::check(&data::published(&alerts), &data::expected(&expected));
}

/// How many events it had to go through again before it could go on.
fn replayed(app: &App) -> i64 {
    app.lines().iter().filter_map(|line| line["replayed"].as_i64()).sum()
}

#[test]
fn a_clean_stop_loses_and_doubles_nothing() {
    let Some(stage) = Stage::open("live-stopped") else { return };
    check(&stage, |_, rules| {
        let app = run_for_a_while(&stage, rules);
        assert_eq!(replayed(&app), 0, "a clean stop leaves nothing to be replayed");
        app.stop();
    });
}

#[test]
fn a_kill_loses_and_doubles_nothing() {
    let Some(stage) = Stage::open("live-killed") else { return };
    check(&stage, |_, rules| run_for_a_while(&stage, rules).kill());
}

#[test]
fn a_lost_state_directory_is_replayed() {
    let Some(stage) = Stage::open("live-robbed") else { return };
    check(&stage, |time, rules| {
        let app = run_for_a_while(&stage, rules);
        // One that is quick with the little it had may take in all that the test waits for.
        let restored = || app.lines().iter().filter(|line| line["replayed"].is_i64()).count();
        wait_until("every partition to be restored", || restored() >= 3);
        assert_eq!(replayed(&app) > 0, time > 0, "all that was done must be done again");
        if time % 2 == 0 {
            app.stop();
        } else {
            app.kill();
        }
        fs::remove_dir_all(stage.path("state")).unwrap();
    });
}

#[test]
fn partitions_that_move_to_another_instance_lose_and_double_nothing() {
    let Some(stage) = Stage::open("live-moved") else { return };
    let mut holder: Option<App> = None;
    check(&stage, |time, rules| {
        let (name, folder) = (format!("instance-{time}"), stage.path(&format!("state-{time}")));
        let own = [("instance", name.as_str()), ("state_dir", folder.to_str().unwrap())];
        // The others give some of their partitions away, and then, as they end, the rest.
        let next = App::start_ready(&stage, rules, &[&SETTINGS[..], &own].concat());
        match holder.replace(next) {
            Some(previous) if time % 2 == 0 => previous.kill(),
            Some(previous) => previous.stop(),
            None => {}
        }
        if time + 1 == INTERRUPTIONS {
            holder.take().unwrap().stop();
        }
    });
}
