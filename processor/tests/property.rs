//! The engine against the naive model: same rules, same events, same alert records in the same order.
//!
//! `TOCSIN_PROPERTY_CASES` (default 20,000) random cases of each family from `TOCSIN_PROPERTY_SEED` on; one case again, by its seed:
//! `TOCSIN_PROPERTY_CASES=1 TOCSIN_PROPERTY_SEED=<seed>`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "model/engine.rs"]
mod engine;
#[path = "model/engine_changing.rs"]
mod engine_changing;
mod model;

use model::coverage::{Coverage, REQUIRED, REQUIRED_OF_CHANGES, Seen};
use model::{BASE_MS, Case, compare, coverage_required, event, generate, render, shrink, world};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

const DEFAULT_CASES: u64 = 20_000;
const DEFAULT_SEED: u64 = 2_026_000_000;
/// Fewer cases than this say nothing on what the generator reaches.
const TELLING_CASES: u64 = 10_000;

#[test]
fn the_engine_agrees_with_the_model() {
    agree(generate::case, &REQUIRED);
}

#[test]
fn the_engine_agrees_when_rules_change() {
    agree(generate::changing_case, &REQUIRED_OF_CHANGES);
}

#[test]
fn the_engine_agrees_on_values() {
    agree(generate::case_with_values, &coverage_required::OF_VALUES);
}

#[test]
fn the_engine_agrees_on_items() {
    agree(generate::case_with_items, &coverage_required::OF_ITEMS);
}

#[test]
fn the_engine_agrees_on_dates() {
    agree(generate::case_with_dates, &coverage_required::OF_DATES);
}

#[test]
fn the_engine_agrees_when_rules_of_all_kinds_change() {
    agree(generate::changing_case_with_all, &coverage_required::OF_CHANGES);
}

type Generate = fn(u64) -> Case;

fn agree(generate: Generate, required: &[(&str, u64)]) {
    let cases = setting("TOCSIN_PROPERTY_CASES", DEFAULT_CASES);
    let first = setting("TOCSIN_PROPERTY_SEED", DEFAULT_SEED);
    let threads = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let results: Vec<(Coverage, Option<u64>)> = thread::scope(|scope| {
        let seeds = |start| (first + start..first + cases).step_by(threads as usize);
        let compare = |start| move || compare_all(seeds(start), generate);
        let workers: Vec<_> = (0..threads).map(|start| scope.spawn(compare(start))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    if let Some(seed) = results.iter().filter_map(|(_, failed)| *failed).min() {
        panic!("{}", report(seed, generate));
    }
    let mut coverage = Coverage::default();
    for (reached, _) in &results {
        coverage.merge(reached);
    }
    println!("{}", coverage.report());
    if cases >= TELLING_CASES {
        assert_eq!(coverage.blind_spots(required), [""; 0], "the generator hardly reaches this any more");
    }
}

#[test]
fn the_engine_agrees_on_the_written_cases() {
    let cases = model::cases::all();
    let different = |(name, case): &(&'static str, Case)| {
        difference(case).map(|difference| format!("{name}\n{}\n{difference}", as_files(case)))
    };
    let failures: Vec<String> = cases.iter().filter_map(different).collect();
    assert!(failures.is_empty(), "{} of {} cases:\n\n{}", failures.len(), cases.len(), failures.join("\n\n"));
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: not a number: {text}")))
}

/// Up to the first failure.
fn compare_all(seeds: impl Iterator<Item = u64>, generate: Generate) -> (Coverage, Option<u64>) {
    let mut coverage = Coverage::default();
    for seed in seeds {
        let case = generate(seed);
        let outcome = world::run(&case);
        match difference_to(&outcome, &case) {
            Ok(seen) => coverage.add([&outcome.seen, &seen], outcome.records.len()),
            Err(_) => return (coverage, Some(seed)),
        }
    }
    (coverage, None)
}

fn difference(case: &Case) -> Option<String> {
    difference_to(&world::run(case), case).err()
}

/// What the engine's side reached; or what differs between the two sides, or how the engine broke down.
fn difference_to(outcome: &world::Outcome, case: &Case) -> Result<Seen, String> {
    let events: Vec<String> = case.events.iter().map(event::Event::json).collect();
    let engine = || match case.changes[..] {
        [] => (engine::run_engine(&render::rules(&case.rules), &events, &case.settings), Seen::default()),
        _ => engine_changing::run_engine(case),
    };
    match catch_unwind(AssertUnwindSafe(engine)) {
        Ok((records, seen)) => {
            let different = if case.interleaving.is_none() {
                compare::first_difference(&outcome.records, &records)
            } else {
                compare::first_difference(&compare::by_customer(&outcome.records), &compare::by_customer(&records))
            };
            different.map_or(Ok(seen), Err)
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(format!("the engine broke down: {}", text.unwrap_or_default()))
        }
    }
}

fn report(seed: u64, generate: Generate) -> String {
    let case = generate(seed);
    let broke_down = |difference: &str| difference.starts_with("the engine broke down");
    let kind = difference(&case).map(|difference| broke_down(&difference));
    // A difference must not shrink into a rule set that is merely refused.
    let small = shrink::shrink(case, &|case| difference(case).map(|difference| broke_down(&difference)) == kind);
    format!("seed {seed}, made as small as it gets:\n{}\n{}", as_files(&small), difference(&small).unwrap_or_default())
}

/// Ready to be pasted into files.
fn as_files(case: &Case) -> String {
    let events: Vec<String> = case.events.iter().map(event::Event::json).collect();
    let settings = &case.settings;
    let change = |change: &model::change::Change| {
        format!("--- rules.yaml from before line {} on\n{}", change.place + 1, render::rules(&change.rules))
    };
    format!(
        "--- rules.yaml\n{}{}--- events.jsonl\n{}\n--- max_out_of_orderness {}, history {}, max_open_items {}, interleaving {:?}, until {}",
        render::rules(&case.rules),
        case.changes.iter().map(change).collect::<String>(),
        events.join("\n"),
        render::duration(settings.max_out_of_orderness_ms),
        render::duration(settings.history_ms),
        settings.max_open_items,
        case.interleaving,
        settings.until_ms.map_or("none".to_owned(), |until| {
            format!("{} (base + {} ms)", event::time_text(until), until - BASE_MS)
        }),
    )
}
