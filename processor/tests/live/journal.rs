//! `tocsin journal show`: what the journal of a running processor says, and where it is broken.

use serde_json::{Value, json};

use crate::app::{App, config_without_rules, ended, tocsin};
use crate::bad_records::BUYERS;
use crate::data::Event;
use crate::stage::{Stage, now_ms, wait_until};
use crate::upstream::Written;

const AT: i64 = 1_700_000_000_000;

fn show(stage: &Stage, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = tocsin();
    command.args(["journal", "show"]).args(arguments).arg("--config").arg(config_without_rules(stage));
    ended(&mut command)
}

/// The records as JSON.
fn records(stage: &Stage, arguments: &[&str]) -> Vec<Value> {
    let (code, told, error) = show(stage, &[&["--json"], arguments].concat());
    assert_eq!(code, Some(0), "{error}");
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_journal_of_a_running_processor_is_told_and_checked() {
    let Some(stage) = Stage::open("live-journal") else { return };
    let rules = stage.write("rules.yaml", BUYERS);
    let app = App::start_ready(&stage, &rules, &[("time.idle_after", "never")]);
    let buy = |number: i64| {
        let customer = format!("c-{number}");
        Event::new("purchase", &format!("p-{number}"), &customer, AT + number, &json!({})).record()
    };
    stage.produce(3, "murmur2_random", (0..60).map(buy));
    app.await_input(60);
    wait_until("the journal to hold all events", || {
        let ends = records(&stage, &[]);
        let last = |partition| {
            ends.iter()
                .rev()
                .find(|record| record["partition"] == partition)
                .map_or(0, |record| record["to"]["offsets"]["live-journal.events"].as_i64().unwrap())
        };
        (0..3).map(last).sum::<i64>() == 60
    });
    let between = now_ms();
    std::thread::sleep(std::time::Duration::from_millis(5));
    stage.produce(3, "murmur2_random", (60..90).map(buy));
    app.await_input(90);
    wait_until("alerts of all events", || app.metric("tocsin_alerts_total", "fired") == 90.0);

    let all = records(&stage, &[]);
    let told: i64 = all.iter().map(|record| record["transitions"].as_i64().unwrap()).sum();
    assert_eq!(told, 90, "every alert is accounted for");
    for partition in 0..3 {
        let of: Vec<_> = all.iter().filter(|record| record["partition"] == partition).collect();
        for (place, record) in of.iter().enumerate() {
            assert_eq!(record["sequence"], place + 1);
            assert_eq!(record["problems"], json!([]));
        }
        assert!(of.len() > 1 && of[0]["steps"][0]["context"].is_object(), "{of:?}");
        let at = |places: std::ops::Range<usize>| of[places].iter().map(|record| (*record).clone()).collect::<Vec<_>>();
        let number = partition.to_string();
        let part = |arguments: &[&str]| records(&stage, &[&["--partition", &number], arguments].concat());
        assert_eq!(part(&["--limit", "1"]), at(0..1));
        let second = of[1]["offset"].to_string();
        assert_eq!(part(&["--from", &second]), at(1..of.len()));
        assert_eq!(part(&["--until", &second]), at(0..1));
    }
    let time = chrono::DateTime::from_timestamp_millis(between).unwrap().to_rfc3339();
    let (before, after) = (records(&stage, &["--until", &time]), records(&stage, &["--from", &time]));
    assert_eq!(before.len() + after.len(), all.len());
    let sum = |records: &[Value]| records.iter().map(|record| record["transitions"].as_i64().unwrap()).sum::<i64>();
    assert_eq!((sum(&before), sum(&after)), (60, 30));

    let (code, text, _) = show(&stage, &[]);
    assert_eq!(code, Some(0));
    assert_eq!(text.lines().filter(|line| line.starts_with("partition ")).count(), all.len());
    assert!(text.contains("took in live-journal.events up to offset") && !text.contains("!!!"), "{text}");
    app.stop();
}

#[test]
fn a_journal_that_is_not_whole_says_where() {
    let Some(stage) = Stage::open("live-broken") else { return };
    let app = App::start_ready(&stage, &stage.write("rules.yaml", BUYERS), &[("time.idle_after", "never")]);
    stage.produce(3, "murmur2_random", [Event::new("purchase", "p-1", "c-1", AT, &json!({})).record()]);
    app.await_input(1);
    app.stop();
    let (code, told, _) = show(&stage, &[]);
    assert!(code == Some(0) && !told.contains("!!!"), "{told}");
    let (code, _, error) = show(&stage, &["--partition", "3"]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("live-broken.journal has no partition 3"), "{error}");

    // The last record once more, and then what is no record at all.
    let records = stage.read("journal");
    let last = records.last().unwrap();
    let partition = last["partition"].as_i64().unwrap();
    let value = |value: &Value| Written(json!({"value": value, "timestamp": now_ms(), "partition": partition}));
    stage.produce_to("journal", [value(&last["value"]), value(&json!("no record"))]);
    let (code, told, error) = show(&stage, &[]);
    assert_eq!(code, Some(1), "{error}");
    let wrong: Vec<_> = told.lines().filter(|line| line.starts_with("!!!")).collect();
    let number = records.iter().filter(|record| record["partition"] == partition).count();
    let expected = [
        format!("it is number {number} after number {number}: it was written again"),
        "it does not begin where the one before ended: offsets ".to_owned(),
        "not a journal record".to_owned(),
    ];
    assert_eq!(wrong.len(), expected.len(), "{told}");
    for (line, part) in wrong.iter().zip(&expected) {
        assert!(line.starts_with(&format!("!!! partition {partition}  offset ")) && line.contains(part), "{line}");
    }
    assert!(error.contains("live-broken.journal is not whole: 2 of the records"), "{error}");
    let (code, _, error) = show(&stage, &["--set", "topics.journal=nowhere"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("there is no topic nowhere"), "{error}");
}
