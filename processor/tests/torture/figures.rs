//! How long what takes: from a kill to the first live event of the partitions that others take over, and how much of the
//! time partitions stand still while three members are restarted one after the other, under load. Both are read off the
//! journal: who has dealt with events of which partition, by the broker's clock.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use crate::act::{Act, Archive, Ground, MACHINES, RECOVERY, SESSION, Settings};
use crate::load::now_ms;
use crate::model::rng::Rng;
use crate::truth::{Commit, PARTITIONS};

/// Events a second: 25 for each partition.
const RATE: f64 = 300.0;
const KILLS: usize = 6;
/// A partition that brings nothing for so long stands still. Its transactions follow on each other every 100 ms, or after
/// a second on a machine that has much else to do.
const STILL_MS: i64 = 2_000;

pub fn print(ground: &Ground, seed: u64) {
    let mut rng = Rng::new(seed);
    for (number, is_static) in [(1, true), (2, false)] {
        let settings =
            Settings { workers: 2, is_static, transaction_ms: 5_000, max_batch: 10_000, write_behind_ms: 1_000 };
        let mut act = Act::open(ground, number, Archive::Directory, &settings, &mut rng);
        let membership = if is_static { "static" } else { "dynamic" };
        println!("{membership} members, session {SESSION:?}, {RATE} events/s");
        takeover(&mut act).unwrap_or_else(|problem| panic!("takeover: {problem}"));
        rolling_restart(&mut act).unwrap_or_else(|problem| panic!("rolling restart: {problem}"));
        act.close().unwrap_or_else(|problem| panic!("the end: {problem}"));
    }
}

/// Killed, and others have its partitions: the first event that they deal with.
fn takeover(act: &mut Act<'_>) -> Result<(), String> {
    let mut all = Vec::new();
    for kill in 0..KILLS {
        let victim = kill % MACHINES;
        let load = act.start_load(RATE);
        thread::sleep(Duration::from_secs(4));
        let killed = now_ms();
        act.machines[victim].kill();
        thread::sleep(SESSION + Duration::from_secs(8));
        act.stop_load(load);
        act.machines[victim].start();
        act.verify()?;
        let name = &act.machines[victim].name;
        let mut took = taken_over(&act.truth.commits, name, killed);
        took.sort_unstable();
        println!("  killed: {} partitions taken over after {}", took.len(), spread(&took));
        all.append(&mut took);
    }
    all.sort_unstable();
    println!("  from kill to first live event, of {} partitions: {}, the session included", all.len(), spread(&all));
    Ok(())
}

/// After how many milliseconds somebody else went on with each partition of an instance.
fn taken_over(commits: &[Commit], instance: &str, killed: i64) -> Vec<i64> {
    let of = |partition: i32| commits.iter().filter(move |commit| commit.partition == partition);
    let owned = |partition: &i32| {
        let last = of(*partition).rfind(|commit| commit.appended <= killed);
        last.is_some_and(|commit| commit.instance == instance)
    };
    let next = |partition: i32| of(partition).find(|commit| commit.appended > killed && commit.instance != instance);
    let partitions = (0..PARTITIONS as i32).filter(owned);
    partitions.filter_map(|partition| Some(next(partition)?.appended - killed)).collect()
}

fn spread(sorted_ms: &[i64]) -> String {
    let at = |share: usize| sorted_ms.get((sorted_ms.len() - 1) * share / 100).map_or(0.0, |ms| *ms as f64 / 1_000.0);
    if sorted_ms.is_empty() {
        return "-".to_owned();
    }
    format!("{:.2} to {:.2} s, median {:.2} s", at(0), at(100), at(50))
}

/// All members, one after the other, stopped cleanly and started again.
fn rolling_restart(act: &mut Act<'_>) -> Result<(), String> {
    act.wait("all machines to be ready", RECOVERY, Act::is_ready)?;
    let load = act.start_load(RATE);
    thread::sleep(Duration::from_secs(3));
    let before = now_ms();
    thread::sleep(Duration::from_secs(8));
    let began = now_ms();
    for number in 0..MACHINES {
        let asked = Instant::now();
        if let Some(told) = act.machines[number].stop() {
            return Err(told);
        }
        let stopped = asked.elapsed();
        act.machines[number].start();
        act.wait("all machines to be ready", RECOVERY, Act::is_ready)?;
        println!(
            "  {} stopped in {stopped:.2?}, all ready {:.2?} after that",
            act.machines[number].name,
            asked.elapsed()
        );
    }
    let ended = now_ms();
    thread::sleep(Duration::from_secs(3));
    act.stop_load(load);
    act.verify()?;
    let commits = &act.truth.commits;
    println!(
        "  rolling restart of {MACHINES} members in {:.1} s: partitions stand still {} of the time ({} in the {:.0} s before)",
        (ended - began) as f64 / 1_000.0,
        still(commits, began, ended),
        still(commits, before, began),
        (began - before) as f64 / 1_000.0,
    );
    Ok(())
}

/// The share of a time in which partitions brought nothing, and the longest such pause.
fn still(commits: &[Commit], from: i64, to: i64) -> String {
    let mut latest: BTreeMap<i32, i64> = (0..PARTITIONS as i32).map(|partition| (partition, from)).collect();
    let (mut still, mut longest) = (0, 0);
    let end = (0..PARTITIONS as i32).map(|partition| (partition, to));
    let within = commits.iter().map(|commit| (commit.partition, commit.appended));
    for (partition, at) in within.filter(|(_, at)| (from..to).contains(at)).chain(end) {
        let pause = latest.insert(partition, at).map_or(0, |before| at - before);
        if pause > STILL_MS {
            still += pause;
            longest = longest.max(pause);
        }
    }
    let share = 100.0 * still as f64 / ((to - from).max(1) * PARTITIONS as i64) as f64;
    format!("{share:.1} %, at most {:.2} s at a time,", longest as f64 / 1_000.0)
}
