//! The rules topic and its subcommands, and a process that follows it.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::app::{App, config, config_without_rules, ended, tocsin};
use crate::bad_records::BUYERS;
use crate::data::Event;
use crate::stage::{Stage, wait_until};

const CALLERS: &str = "rules: [{id: caller, let: {calls: {count: interaction, over: 1d}}, when: calls >= 1}]\n";
/// Of events of a type that does not ship.
const VISITORS: &str = "rules: [{id: visitor, let: {n: {count: visit, over: 1d}}, when: n >= 1}]\n";
const CUSTOMERS: usize = 40;
const AT: i64 = 1_700_000_000_000;

/// Runs `tocsin rules ...`.
fn rules(stage: &Stage, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = tocsin();
    command.arg("rules").args(arguments).arg("--config").arg(config_without_rules(stage));
    ended(command.env("USER", "ann"))
}

#[track_caller]
fn told(stage: &Stage, arguments: &[&str], parts: &[&str]) -> String {
    let (code, told, error) = rules(stage, arguments);
    assert_eq!(code, Some(0), "{error}");
    for part in parts {
        assert!(told.contains(part), "no `{part}` in:\n{told}");
    }
    told
}

#[track_caller]
fn refused(stage: &Stage, arguments: &[&str], expected: i32, parts: &[&str]) {
    let (code, _, error) = rules(stage, arguments);
    assert_eq!(code, Some(expected), "{error}");
    for part in parts {
        assert!(error.contains(part), "no `{part}` in:\n{error}");
    }
}

/// A folder of rule files.
fn folder(stage: &Stage, name: &str, files: &[(&str, &str)]) -> String {
    let folder = stage.path(name);
    fs::create_dir_all(&folder).unwrap();
    for (file, text) in files {
        fs::write(folder.join(file), text).unwrap();
    }
    folder.display().to_string()
}

fn history(stage: &Stage) -> Vec<Value> {
    let told = told(stage, &["history", "--json"], &[]);
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn rules_are_published_and_what_was_published_is_told() {
    let Some(stage) = Stage::open("live-rules") else { return };
    let bad = folder(&stage, "bad", &[("a.yaml", &BUYERS.replace("when:", "whn:")), ("b.yaml", CALLERS)]);
    refused(&stage, &["apply", &bad], 2, &["bad/a.yaml:1:", "did you mean `when`?"]);
    refused(&stage, &["apply", "nowhere"], 2, &["nowhere", "there is no such file or folder"]);

    let first = folder(&stage, "first", &[("a.yaml", BUYERS), ("b.yaml", CALLERS)]);
    let first = first.as_str();
    told(
        &stage,
        &["apply", first, "--dry-run"],
        &["new      buyer", "generation 1 of live-rules.rules would be published"],
    );
    let parts = ["topic live-rules.rules created", "new      buyer", "new      caller", "generation 1 published"];
    told(&stage, &["apply", first], &parts);
    told(&stage, &["apply", first], &["nothing to publish: these are the texts of generation 1", " by ann@"]);

    let remark = BUYERS.replace("buyer,", "buyer, description: all who buy,");
    let second = folder(&stage, "second", &[("a.yaml", &remark), ("c.yaml", &CALLERS.replace("caller", "guest"))]);
    let second = second.as_str();
    let changes = "new      guest\ngone     caller\ntexts    buyer\n";
    told(&stage, &["apply", second, "--dry-run"], &[changes, "generation 2 of live-rules.rules would be published"]);
    assert_eq!(history(&stage).len(), 1, "a dry run publishes nothing");
    told(&stage, &["apply", second], &[changes, "generation 2 published"]);
    told(&stage, &["apply", first], &["generation 3 published"]);

    let entries = history(&stage);
    let told_of = |name: &str| entries.iter().map(|entry| entry[name].clone()).collect::<Vec<_>>();
    assert_eq!(told_of("generation"), [1, 2, 3]);
    assert_eq!(told_of("new"), [json!(["buyer", "caller"]), json!(["guest"]), json!(["caller"])]);
    assert_eq!(told_of("gone"), [json!([]), json!(["caller"]), json!(["guest"])]);
    assert_eq!(told_of("texts"), [json!([]), json!(["buyer"]), json!(["buyer"])]);
    assert_eq!(
        told_of("files"),
        [json!(["a.yaml", "b.yaml"]), json!(["a.yaml", "c.yaml"]), json!(["a.yaml", "b.yaml"])]
    );
    assert_eq!(entries[0]["fingerprint"], entries[2]["fingerprint"]);
    let table = told(&stage, &["history"], &["generation  applied at"]);
    assert_eq!(table.lines().count(), 4, "{table}");
    let shown = told(&stage, &["history", "--show", "2"], &["# file: a.yaml", "# file: c.yaml"]);
    assert!(shown.contains(remark.trim_end()), "{shown}");
    refused(&stage, &["history", "--show", "4"], 2, &["there is no generation 4", "the newest is 3"]);

    // As anybody else reads the topic.
    let records = stage.read("rules");
    let keys: Vec<_> = records.iter().map(|record| record["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["1", "2", "3"]);
    let document: Value = serde_json::from_str(records[1]["value"].as_str().unwrap()).unwrap();
    assert_eq!((&document["generation"], &document["files"][0]["text"]), (&json!(2), &json!(remark)));
}

#[test]
fn a_set_too_large_for_a_record_names_the_setting() {
    let Some(stage) = Stage::open("live-rules-large") else { return };
    let large = folder(&stage, "large", &[("a.yaml", &format!("{BUYERS}{}", "# remark\n".repeat(150_000)))]);
    refused(&stage, &["apply", &large], 1, &["max.message.bytes", "kafka.properties.message.max.bytes"]);
    assert_eq!(history(&stage), [Value::Null; 0]);
    told(&stage, &["history"], &["there are no rules yet"]);
}

#[test]
fn a_process_without_rules_waits_for_them() {
    let Some(stage) = Stage::open("live-waiting") else { return };
    let app = App::start_with(&stage, &config_without_rules(&stage), &[("time.idle_after", "never")]);
    assert!(app.log().contains("waiting for a first generation"), "{}", app.log());
    assert_eq!((app.get("/healthz").0, app.get("/readyz").0), (200, 503));
    assert_eq!(app.metric("tocsin_rules_newest_generation", ""), 0.0);
    stage.produce(3, "murmur2_random", [buys("p-1")]);
    told(&stage, &["apply", &folder(&stage, "rules", &[("a.yaml", BUYERS)])], &["generation 1 published"]);
    app.await_input(1);
    assert_eq!(app.metric("tocsin_rules_newest_generation", ""), 1.0);
    wait_until("the alert", || app.metric("tocsin_alerts_total", "buyer") == 1.0);
    app.stop();
}

fn buys(id: &str) -> crate::upstream::Written {
    Event::new("purchase", id, "c-1", AT, &json!({})).record()
}

#[test]
fn a_process_with_rules_publishes_them_once() {
    let Some(stage) = Stage::open("live-own") else { return };
    let own = stage.write("own.yaml", BUYERS);
    for _ in 0..2 {
        App::start_ready(&stage, &own, &[]).stop();
        let entries = history(&stage);
        assert_eq!(entries.len(), 1, "{entries:?}");
        let files = &entries[0]["files"];
        assert_eq!((&entries[0]["applied_by"], files), (&json!("tocsin-run@live"), &json!(["own.yaml"])));
    }
    let bad = stage.write("bad.yaml", "rules: [{id: a}]\n");
    let (code, _, error) = ended(tocsin().arg("run").arg("--config").arg(config(&stage, &bad)));
    assert_eq!(code, Some(2), "{error}");
    assert_eq!(history(&stage).len(), 1, "what does not check is not published");
}

#[test]
fn a_running_process_adopts_what_is_applied() {
    let Some(stage) = Stage::open("live-adopting") else { return };
    let app = App::start_ready(&stage, &stage.write("own.yaml", BUYERS), &[("time.idle_after", "never")]);
    let events = (0..CUSTOMERS).flat_map(|number| {
        let event = |kind: &str, letter: &str| {
            let (id, customer) = (format!("{letter}-{number}"), format!("c-{number}"));
            Event::new(kind, &id, &customer, AT + number as i64, &json!({})).record()
        };
        [event("purchase", "p"), event("interaction", "i")]
    });
    stage.produce(3, "murmur2_random", events);
    app.await_input(2 * CUSTOMERS);
    wait_until("alerts by the first generation", || app.metric("tocsin_alerts_total", "fired") == CUSTOMERS as f64);
    told(&stage, &["apply", &folder(&stage, "next", &[("a.yaml", CALLERS)])], &["generation 2 published"]);
    let records = stage.await_records("alerts", 3 * CUSTOMERS);
    let mut alerts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in &records {
        let alert: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
        let text = |name: &str| alert[name].as_str().unwrap().to_owned();
        let told = [text("rule_id"), text("transition"), text("reason")].join(" ");
        alerts.entry(text("customer_id")).or_default().push(told);
    }
    assert_eq!(alerts.len(), CUSTOMERS);
    for told in alerts.values_mut() {
        assert_eq!(told[0], "buyer fired condition_met");
        told.sort();
        let expected = ["buyer fired condition_met", "buyer resolved rule_changed", "caller fired condition_met"];
        assert_eq!(*told, expected);
    }
    app.stop();

    let mut show = tocsin();
    show.args(["journal", "show", "--config"]).arg(config_without_rules(&stage));
    let (code, told, error) = ended(&mut show);
    assert_eq!(code, Some(0), "{told}{error}");
    assert!(told.contains("adopted generation 2 of the rules") && told.contains("the sweep is over"), "{told}");
    assert!(!told.contains("!!!"), "{told}");
}

#[test]
fn a_process_that_cannot_judge_by_a_generation_ends() {
    let Some(stage) = Stage::open("live-unusable") else { return };
    let app = App::start_ready(&stage, &stage.write("own.yaml", BUYERS), &[]);
    stage.produce(3, "murmur2_random", [buys("p-1")]);
    app.await_input(1);
    wait_until("the alert", || app.metric("tocsin_alerts_total", "fired") == 1.0);
    let (rules, schemas) = (folder(&stage, "visits", &[("a.yaml", VISITORS)]), visit_schema(&stage));
    told(&stage, &["apply", &rules, "--set", &format!("schemas={schemas}")], &["generation 2 published"]);
    let (code, log) = app.await_end();
    assert_eq!(code, Some(1), "{log}");
    let error = log.lines().find(|line| line.starts_with("error: ")).unwrap();
    for part in ["generation 2 of the rules", "by ann@", "cannot be used by this process", "a.yaml:1:", "`schemas`"] {
        assert!(error.contains(part), "no `{part}` in:\n{log}");
    }
    // Nor does one start that would have to.
    let mut run = tocsin();
    let (code, _, error) = ended(run.arg("run").arg("--config").arg(config_without_rules(&stage)));
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("generation 2 of the rules"), "{error}");

    // A third that would load does not help the partition that has to adopt the second before.
    let third = folder(&stage, "third", &[("a.yaml", CALLERS)]);
    told(&stage, &["apply", &third], &["what changes is not known: generation 2", "generation 3 published"]);
    let app = App::start_with(&stage, &config_without_rules(&stage), &[]);
    let (code, log) = app.await_end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("generation 2 of the rules"), "{log}");
}

#[test]
fn a_generation_that_nobody_has_to_adopt_need_not_load() {
    let Some(stage) = Stage::open("live-obsolete") else { return };
    let (rules, schemas) = (folder(&stage, "visits", &[("a.yaml", VISITORS)]), visit_schema(&stage));
    told(&stage, &["apply", &rules, "--set", &format!("schemas={schemas}")], &["generation 1 published"]);
    let own = stage.write("own.yaml", BUYERS);
    let app = App::start_ready(&stage, &own, &[("time.idle_after", "never")]);
    stage.produce(3, "murmur2_random", [buys("p-1")]);
    app.await_input(1);
    wait_until("the alert", || app.metric("tocsin_alerts_total", "fired") == 1.0);
    app.stop();
    let table = told(&stage, &["history"], &["generation 1 does not load with these schemas", "a.yaml:1:"]);
    assert!(table.lines().nth(1).unwrap().trim_end().ends_with('?'), "{table}");
}

/// A folder with the schema of an event type that does not ship.
fn visit_schema(stage: &Stage) -> String {
    let field = |name: &str| json!({"name": name, "type": "string"});
    let time = json!({"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-millis"}});
    let fields = [field("id"), field("type"), field("customer_id"), time];
    let schema = json!({"type": "record", "name": "visit", "fields": fields}).to_string();
    folder(stage, "schemas", &[("visit.avsc", &schema)])
}
