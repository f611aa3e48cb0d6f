//! `tocsin audit` of the running program, and of one whose topics somebody has tampered with.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tocsin::codec::alert::hash_transitions;
use tocsin::codec::journal::{JournalRecord, Step};

use crate::app::{self, App, ended, tocsin};
use crate::data;
use crate::stage::{Stage, repository, wait_until};
use crate::upstream::{Written, bytes};

const EVENTS: usize = 6_000;
/// Small transactions, so that there are many.
const SETTINGS: [(&str, &str); 3] = [("time.idle_after", "never"), ("commit.max_batch", "50"), ("workers", "2")];

/// The outcome of an audit.
#[derive(Debug)]
pub struct Audited {
    pub code: Option<i32>,
    pub report: Value,
    pub told: String,
}

impl Audited {
    pub fn count(&self, path: &str) -> u64 {
        self.report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path}: {}", self.report))
    }

    #[track_caller]
    pub fn assert_equal(&self) {
        assert_eq!(self.code, Some(0), "{:#}\n{}", self.report, self.told);
        assert_eq!(self.report["equal"], true);
        assert_eq!(self.count("/totals/alerts/missing") + self.count("/alerts_topic/unexplained"), 0);
    }

    /// One thing is wrong, and this is it.
    #[track_caller]
    fn assert_found(&self, count: &str, subject: &str, problem: &str) -> &Value {
        assert_eq!(self.code, Some(1), "{:#}\n{}", self.report, self.told);
        assert_eq!((self.count(count), self.report["equal"].as_bool()), (1, Some(false)), "{:#}", self.report);
        assert!(self.told.contains("1 difference found"), "{}", self.told);
        let finding = &self.report["findings"][0];
        assert_eq!((&finding["subject"], &finding["problem"]), (&json!(subject), &json!(problem)), "{finding:#}");
        finding
    }
}

/// Runs the audit as an operator does.
pub fn audit(config: &Path, flags: &[&str]) -> Audited {
    let mut command = tocsin();
    command.arg("audit").arg("--json").arg("--config").arg(config).args(flags);
    let (code, text, told) = ended(&mut command);
    let report = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{code:?}: {text}\n{told}"));
    Audited { code, report, told }
}

fn rules() -> PathBuf {
    repository().join("deploy/demo/rules.yaml")
}

/// All events of a shop, dealt with by a program that is gone; and its configuration.
fn done(stage: &Stage) -> PathBuf {
    let events = data::shop(EVENTS);
    let bad = Written(json!({"key": "c", "value": "no event", "timestamp": 1_700_000_000_000_i64, "partition": 2,
        "headers": [["traceparent", "00-01"]]}));
    stage.produce(3, "murmur2_random", events.iter().map(data::Event::record).chain([bad]));
    let app = App::start_ready(stage, &rules(), &SETTINGS);
    app.await_input(EVENTS + 1);
    app.stop();
    app::config(stage, &rules())
}

#[test]
fn an_audit_agrees_while_the_program_runs_and_after() {
    let Some(stage) = Stage::open("live-audit") else { return };
    let events = data::shop(EVENTS);
    let config = app::config(&stage, &rules());
    let (first, rest) = events.split_at(EVENTS / 2);
    stage.produce(3, "murmur2_random", first.iter().map(data::Event::record));
    let app = App::start_ready(&stage, &rules(), &SETTINGS);
    wait_until("some events to be taken in", || app.taken_in() > 500);
    let mut seen = Vec::new();
    for part in rest.chunks(EVENTS / 6) {
        stage.produce(3, "murmur2_random", part.iter().map(data::Event::record));
        let audited = audit(&config, &[]);
        audited.assert_equal();
        seen.push(audited.count("/totals/alerts/equal"));
    }
    assert!(seen.is_sorted() && seen[0] > 0, "{seen:?}");
    app.await_input(EVENTS);
    app.stop();
    let audited = audit(&config, &[]);
    audited.assert_equal();
    let alerts = stage.read("alerts").len() as u64;
    assert!(seen[0] < alerts, "it was done before the first audit: {seen:?}");
    assert_eq!((audited.count("/totals/alerts/equal"), audited.count("/totals/events")), (alerts, EVENTS as u64));
    assert_eq!(audited.report["hidden"], json!([]));
    // It leaves nothing behind, neither on the disk nor in the group.
    let told = ended(tocsin().arg("audit").arg("--config").arg(&config).arg("--scratch").arg(stage.path("scratch")));
    assert_eq!(told.0, Some(0), "{}", told.2);
    assert!(told.1.ends_with("\nEqual.\n"), "{}", told.1);
    assert_eq!(std::fs::read_dir(stage.path("scratch")).unwrap().count(), 0);
}

#[test]
fn tampering_with_the_alerts_is_found() {
    let Some(stage) = Stage::open("live-tampered") else { return };
    let config = done(&stage);
    audit(&config, &[]).assert_equal();
    let alerts = stage.read("alerts");
    let all = alerts.len() as u64;

    // Retention hides, and hides no more than it has taken.
    let (kept, gone) = (&alerts[40], &alerts[39]);
    assert_eq!((kept["partition"].as_i64(), gone["partition"].as_i64()), (Some(0), Some(0)));
    stage.delete_records("alerts", 0, kept["offset"].as_i64().unwrap());
    let audited = audit(&config, &[]);
    audited.assert_equal();
    assert_eq!((audited.count("/totals/alerts/hidden"), audited.count("/totals/alerts/equal")), (40, all - 40));

    // The record that is gone comes back, with another severity.
    let changed = changed(gone, |alert| alert["severity"] = json!("critical"));
    stage.produce_to("alerts", [changed]);
    let audited = audit(&config, &[]);
    let finding = audited.assert_found("/totals/alerts/different", "alert", "different");
    assert_eq!(finding["differences"][0]["field"], "severity");
    assert_eq!(finding["differences"][0]["found"], "\"critical\"");
    // Which cannot be taken back; so from here on there is one difference more.
    let before = audited.count("/totals/alerts/different");

    // An alert twice.
    stage.produce_to("alerts", [Written(json!({"key": kept["key"], "value": kept["value"], "partition": 0}))]);
    let audited = audit(&config, &["--show", "5"]);
    assert_eq!((audited.code, audited.count("/totals/alerts/doubled")), (Some(1), 1));
    assert_eq!(audited.count("/totals/alerts/different"), before);
    let at = audited.report["findings"].as_array().unwrap().iter().find(|one| one["problem"] == "doubled").unwrap();
    assert_eq!(at["at"][0], json!([0, kept["offset"]]));

    // One that nobody ever found.
    stage.produce_to("alerts", [self::changed(kept, |alert| alert["sequence"] = json!(77))]);
    let audited = audit(&config, &["--show", "0"]);
    assert_eq!((audited.code, audited.count("/alerts_topic/unexplained")), (Some(1), 1));
    assert_eq!(audited.report["findings"], json!([]));
    assert!(
        audited.told.contains("3 differences found") && audited.told.contains("--shared-topics"),
        "{}",
        audited.told
    );
    let (code, table, _) = ended(tocsin().arg("audit").arg("--config").arg(&config));
    assert_eq!(code, Some(1));
    for part in ["Not equal.", "severity: expected", "unexplained alert", " 77 (", "doubled alert"] {
        assert!(table.contains(part), "{part}: {table}");
    }
}

/// What a program that forgets one alert and publishes another twice would have left behind.
#[test]
fn what_a_broken_program_publishes_is_found() {
    let Some(stage) = Stage::open("live-broken") else { return };
    let config = done(&stage);
    let mut alerts = stage.read("alerts");
    let forgotten = alerts.remove(30);
    alerts.insert(61, alerts[60].clone());
    let topic = stage.topic("alerts-of-it");
    stage.produce_anew("alerts-of-it", alerts.into_iter().map(Written));
    let audited = audit(&config, &["--show", "5", "--set", &format!("topics.alerts={topic}")]);
    assert_eq!((audited.code, audited.report["equal"].as_bool()), (Some(1), Some(false)), "{:#}", audited.report);
    assert_eq!((audited.count("/totals/alerts/missing"), audited.count("/totals/alerts/doubled")), (1, 1));
    assert_eq!((audited.count("/totals/alerts/different"), audited.count("/alerts_topic/unexplained")), (0, 0));
    let findings = audited.report["findings"].as_array().unwrap();
    let missing = findings.iter().find(|one| one["problem"] == "missing").unwrap();
    let alert: Value = serde_json::from_str(forgotten["value"].as_str().unwrap()).unwrap();
    assert!(missing.to_string().contains(alert["alert_id"].as_str().unwrap()), "{missing:#}");
    audit(&config, &[]).assert_equal();
}

/// A record of the alerts topic, changed, to be appended to it.
fn changed(record: &Value, change: impl FnOnce(&mut Value)) -> Written {
    let mut alert: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
    let id = alert["alert_id"].clone();
    change(&mut alert);
    assert_eq!(alert["alert_id"], id);
    Written(json!({"key": record["key"], "value": alert.to_string(), "partition": record["partition"]}))
}

#[test]
fn tampering_with_journal_and_dead_letters_is_found() {
    let Some(stage) = Stage::open("live-forged") else { return };
    let config = done(&stage);
    audit(&config, &[]).assert_equal();

    let letter = stage.read("dead-letters").remove(0);
    stage.produce_to("dead-letters", [Written(letter)]);
    audit(&config, &[]).assert_found("/totals/dead_letters/doubled", "dead_letter", "doubled");

    let last = stage.read("journal").into_iter().rfind(|record| record["partition"] == 1).unwrap();
    let mut record = JournalRecord::decode(&bytes(&last["value"])).unwrap();
    record.sequence += 1;
    record.from = record.to.clone();
    record.steps = vec![Step::Tick { watermark: record.to.watermark.unwrap() }];
    (record.transitions, record.dead_letters, record.hash) = (2, 0, hash_transitions(&[]));
    let mut forged = Vec::new();
    record.encode(&mut forged);
    stage.produce_to("journal", [Written::new("", &forged, data::DAY).with("partition", json!(1))]);
    let audited = audit(&config, &[]);
    assert_eq!((audited.code, audited.count("/totals/journal_wrong")), (Some(1), 1));
    let findings = audited.report["findings"].as_array().unwrap();
    let found = findings.iter().find(|one| one["subject"] == "journal").unwrap();
    assert!(found["what"].as_str().unwrap().contains("tells of 2 alerts"), "{found}");
    assert_eq!(found["partition"], 1);
}

#[test]
fn an_audit_begins_at_a_checkpoint_where_the_beginning_is_gone() {
    let Some(stage) = Stage::open("live-audit-base") else { return };
    let url = format!("file://{}", stage.path("checkpoints").display());
    let checkpoints = [&SETTINGS[..], &[("checkpoint.url", url.as_str())]].concat();
    let events = data::shop(EVENTS);
    let halves: Vec<_> = events.chunks(EVENTS / 2).collect();
    let mut sequences = Vec::new();
    for half in halves {
        stage.produce(3, "murmur2_random", half.iter().map(data::Event::record));
        let app = App::start_ready(&stage, &rules(), &checkpoints);
        app.await_input(half.len());
        // Each clean stop takes a checkpoint of every partition.
        app.stop();
        let offset = |record: &Value| JournalRecord::decode(&bytes(&record["value"])).unwrap();
        let last = stage.read("journal").into_iter().rfind(|record| record["partition"] == 1).unwrap();
        sequences.push((offset(&last), last["offset"].as_i64().unwrap()));
    }
    let (first, journal_offset) = &sequences[0];
    let config = app::config(&stage, &rules());
    let set = format!("checkpoint.url={url}");
    let audited = audit(&config, &["--set", &set]);
    audited.assert_equal();
    assert_eq!(audited.report["hidden"], json!([]));
    let all = audited.count("/partitions/1/alerts/equal");

    stage.delete_records("journal", 1, *journal_offset);
    stage.delete_records("events", 1, first.to.next(&stage.topic("events")).unwrap());
    let audited = audit(&config, &["--set", &set]);
    audited.assert_equal();
    let found = audited.count("/partitions/1/alerts/equal");
    assert!(0 < found && found < all, "{found} of {all}");
    let why = audited.report["hidden"][0].as_str().unwrap();
    assert!(why.contains(&format!("judged from the checkpoint of record number {}", first.sequence)), "{why}");
    // Without it, none of that partition can be judged; which is not to say that something is wrong.
    let audited = audit(&config, &[]);
    audited.assert_equal();
    assert_eq!(audited.count("/partitions/1/alerts/expected"), 0);
    assert!(audited.count("/alerts_topic/hidden") >= all);
}

#[test]
fn what_cannot_be_audited_is_said() {
    let Some(stage) = Stage::open("live-unaudited") else { return };
    let config = app::config(&stage, &rules());
    let (code, _, told) = ended(tocsin().arg("audit").arg("--config").arg(&config));
    assert_eq!(code, Some(1));
    assert!(told.contains("there is no topic live-unaudited."), "{told}");
    let span = ["--from", "2026-03-02T00:00:00Z", "--until", "2026-03-01T00:00:00Z"];
    let (code, _, told) = ended(tocsin().arg("audit").arg("--config").arg(&config).args(span));
    assert_eq!((code, told.contains("--from is later")), (Some(2), true), "{told}");
}
