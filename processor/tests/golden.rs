//! Backtests whose every alert record is written down. A change of them is a change of what users get: look at the
//! difference, and if it is meant, write them anew with `TOCSIN_WRITE_GOLDEN=1 cargo test --test golden`.
//!
//! `golden/events.jsonl` is a cut (five customers, January to August 2017) of The Complete Journey 2.0, see
//! `deploy/demo/README.md` for origin and licence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "golden/transcript.rs"]
mod transcript;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tocsin::backtest::{self, Settings, Summary};
use tocsin::codec::schemas::Schemas;
use tocsin::rules::{self, Limits};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn run(input: impl BufRead, settings: &Settings) -> (String, Summary) {
    let schemas = Arc::new(Schemas::shipped());
    let sources = rules::read_sources(&folder().join("rules.yaml")).unwrap();
    let rules =
        rules::load(&sources, schemas.catalog(), &Limits { history: settings.engine.history, ..Limits::default() })
            .unwrap();
    let mut out = Vec::new();
    let summary = backtest::run(Arc::new(rules.set), &schemas, settings, input, &mut out, &mut |_| ()).unwrap();
    (String::from_utf8(out).unwrap(), summary)
}

/// Compares with the file of that name, or writes it.
fn check(name: &str, found: &str) {
    check_file(&folder().join(name), found);
}

fn check_file(path: &Path, found: &str) {
    if std::env::var_os("TOCSIN_WRITE_GOLDEN").is_some() {
        fs::write(path, found).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap();
    let (mut expected_lines, mut found_lines) = (expected.lines(), found.lines());
    for line in 1.. {
        match (expected_lines.next(), found_lines.next()) {
            (None, None) => break,
            (expected, found) => assert_eq!(expected, found, "{}:{line}", path.display()),
        }
    }
}

/// One for each feature of the language; what is expected was worked out from the contract.
#[test]
fn every_transcript() {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder().join("transcripts")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut stories = 0;
    for path in paths {
        stories += check_stories(&path);
    }
    assert!(stories >= 70, "only {stories}");
}

#[test]
fn every_example_of_the_manual() {
    let stories = check_stories(&folder().join("../../../rules/README.md"));
    assert!(stories >= 20, "only {stories}");
}

fn check_stories(path: &Path) -> usize {
    let told = transcript::tell(&path.display().to_string(), &fs::read_to_string(path).unwrap());
    check_file(path, &told.text);
    told.stories
}

#[test]
fn every_alert_of_a_small_cut() {
    let until = 1_506_816_000_000; // 2017-10-01: the silences of the last weeks end in alerts too.
    let settings = Settings { until: Some(until), ..Settings::default() };
    let (alerts, summary) = run(BufReader::new(File::open(folder().join("events.jsonl")).unwrap()), &settings);
    assert!(summary.alerts.len() >= 6, "the cut shows several kinds of transitions: {:?}", summary.alerts);
    check("alerts.jsonl", &alerts);
}

#[test]
fn partitions_have_watermarks_of_their_own() {
    let settings = Settings { partitions: 3, ..Settings::default() };
    let (alerts, _) = run(BufReader::new(File::open(folder().join("events.jsonl")).unwrap()), &settings);
    check("alerts-of-3-partitions.jsonl", &alerts);
}

/// The whole sets, where they are at hand: how many transitions of each kind.
#[test]
fn counts_over_the_whole_sets() {
    let mut counts = String::new();
    for name in ["cdnow", "complete_journey"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../shared/data/{name}.jsonl.zst"));
        let Ok(file) = File::open(&path) else {
            // Past the runner's capture, so that it is seen and counted.
            writeln!(std::io::stderr(), "skipped: the data set {name} is not at hand").unwrap();
            return;
        };
        let input = BufReader::new(zstd::Decoder::new(file).unwrap());
        let (_, summary) = run(input, &Settings { records: false, ..Settings::default() });
        writeln!(counts, "{name}: {} events, {} customers", summary.events, summary.customers).unwrap();
        for ((rule, kind, severity), count) in &summary.alerts {
            writeln!(counts, "  {rule} {} {}: {count}", kind.name(), severity.name()).unwrap();
        }
    }
    check("counts.txt", &counts);
}
