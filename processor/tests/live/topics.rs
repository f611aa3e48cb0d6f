//! Several input topics: complaints in one, answers in the other, months of both. Judged in the order in which they were
//! made, nobody is said to be without an answer who got one, whatever happens to the program meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Instant;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use serde_json::{Value, json};
use tocsin::partitioner::Partitioner;

use crate::app::{self, App, backtest, ended, tocsin};
use crate::audit::audit;
use crate::data::{self, DAY, Dice, Event};
use crate::stage::{PATIENCE, Stage, wait_until};
use crate::upstream::Written;

const START: i64 = 1_700_000_000_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const TICKETS: usize = 4_000;
const RULES: &str = r#"
rules:
  - id: unanswered
    trigger: complaint
    where: event.status == "opened"
    by: ticket_id
    until: [{complaint: 'event.status == "answered"'}]
    levels: {medium: age >= hours(24), high: age >= hours(72)}
  - id: often
    let: {complaints: {count: complaint, where: event.status == "opened", over: 7d}}
    when: complaints >= 4
"#;

/// The topic of an event, and the event.
type Placed = (&'static str, Event);

/// Tickets of half a year, by the times of what happened; at the end something in each partition of both topics, so that
/// both bring the watermark to the same place.
fn history() -> Vec<Placed> {
    let mut dice = Dice(5);
    let mut events: Vec<Placed> = Vec::new();
    for ticket in 0..TICKETS {
        let customer = format!("c{}", dice.below(500));
        let opened = START + ticket as i64 * 180 * DAY / TICKETS as i64;
        let mut add = |topic, status: &str, at| {
            let fields = json!({"ticket_id": format!("t{ticket}"), "status": status});
            events.push((topic, Event::new("complaint", &format!("{status}-{ticket}"), &customer, at, &fields)));
        };
        add("events", "opened", opened);
        // Most within a day, some late, some never.
        match dice.below(20) {
            0 => {}
            1..=3 => add("answers", "answered", opened + 25 * HOUR + dice.below(100 * HOUR)),
            _ => add("answers", "answered", opened + MINUTE + dice.below(23 * HOUR)),
        }
    }
    let end = START + 190 * DAY;
    for (number, topic) in ["events", "answers"].into_iter().enumerate() {
        for partition in 0..3 {
            let names = (0..).map(|name| format!("last-{number}-{name}"));
            let is_there = |name: &String| Partitioner::Murmur2.partition(name.as_bytes(), 3) == partition;
            let customer = names.take(1_000).find(is_there).unwrap();
            events.push((topic, Event::new("interaction", &customer.clone(), &customer, end, &json!({}))));
        }
    }
    events.sort_by_key(|(topic, event)| (event.at, *topic == "answers"));
    events
}

/// Writes each event to its topic.
fn produce(stage: &Stage, events: &[Placed]) {
    for topic in ["events", "answers"] {
        let records = events.iter().filter(|(of, _)| *of == topic).map(|(_, event)| event.record());
        write(stage, topic, records);
    }
}

fn write(stage: &Stage, topic: &str, records: impl Iterator<Item = Written>) {
    use std::io::Write as _;
    let mut command = stage.tool("produce.py", topic);
    command.args(["--create", "3", "--partitioner", "murmur2_random"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = std::io::BufWriter::new(child.stdin.take().unwrap());
    records.for_each(|record| writeln!(lines, "{}", record.0).unwrap());
    drop(lines);
    assert!(child.wait().unwrap().success(), "the records could not be written");
}

fn topics(stage: &Stage) -> String {
    format!("{},{}", stage.topic("events"), stage.topic("answers"))
}

/// Alerts by customer, in order.
fn by_customer(alerts: impl IntoIterator<Item = String>) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for alert in alerts {
        let parsed: Value = serde_json::from_str(&alert).unwrap();
        found.entry(parsed["customer_id"].as_str().unwrap().to_owned()).or_default().push(data::undated(&alert));
    }
    found
}

#[test]
fn complaints_and_answers_in_two_topics_are_judged_as_if_in_one() {
    let Some(stage) = Stage::open("live-topics") else { return };
    let rules = stage.write("rules.yaml", RULES);
    let (events, mut dice) = (history(), Dice(crate::stage::now_ms() as u64));
    let merged: Vec<Event> = events.iter().map(|(_, event)| event.clone()).collect();
    let expected = backtest(&stage, &rules, &data::lines(&merged), &[]);
    let unanswered = expected
        .iter()
        .filter(|alert| alert.contains("unanswered") && alert.contains(r#""transition":"fired""#))
        .count();
    assert!(unanswered > 300 && unanswered < TICKETS / 4, "the data says too little: {unanswered}");
    let topics = topics(&stage);
    let settings = [
        ("topics.events", topics.as_str()),
        ("time.idle_after", "never"),
        // However busy this machine is: the order is that of the times.
        ("time.merge_wait", "1m"),
        ("commit.max_batch", "50"),
        ("commit.write_behind", "300ms"),
        ("workers", "2"),
    ];
    let flag = format!("topics.events={topics}");
    let config = app::config(&stage, &rules);
    let mut chunks = events.chunks(events.len() / 4 + 1);
    for chunk in chunks.by_ref().take(3) {
        produce(&stage, chunk);
        let app = App::start(&stage, &rules, &settings);
        let point = dice.below(chunk.len() as i64) as usize;
        wait_until("some events to be taken in", || app.taken_in() >= point);
        app.kill();
        audit(&config, &["--set", &flag]).assert_equal();
    }
    produce(&stage, chunks.next().unwrap());
    let app = App::start_ready(&stage, &rules, &settings);
    stage.await_records("alerts", expected.len());
    wait_until("nothing to be left", || {
        let lag = |topic: &str| app.metric("tocsin_lag_records", &format!("topic=\"{}\"", stage.topic(topic)));
        // Each partition of each topic has a line of its own, as soon as it was asked for.
        let lines = |metrics: &str| metrics.lines().filter(|line| line.starts_with("tocsin_lag_records{")).count();
        lag("events") + lag("answers") == 0.0 && lines(&app.get("/metrics").1) == 6
    });
    app.stop();
    let audited = audit(&config, &["--set", &flag]);
    audited.assert_equal();
    assert_eq!(audited.count("/totals/alerts/equal"), expected.len() as u64);
    let published: Vec<String> =
        stage.read("alerts").iter().map(|record| record["value"].as_str().unwrap().to_owned()).collect();
    let (found, wanted) = (by_customer(published), by_customer(expected));
    for (customer, wanted) in &wanted {
        assert_eq!(found.get(customer), Some(wanted), "{customer}");
    }
    assert_eq!(found.len(), wanted.len());

    let mut show = tocsin();
    show.args(["journal", "show", "--partition", "0", "--config"]).arg(&config).args(["--set", &flag]);
    let (code, text, told) = ended(&mut show);
    assert_eq!(code, Some(0), "{told}");
    let taken: BTreeSet<&str> = text.lines().filter_map(|line| line.split("took in ").nth(1)).map(name_of).collect();
    assert_eq!(taken, BTreeSet::from([&*stage.topic("events"), &*stage.topic("answers")]));
}

fn name_of(step: &str) -> &str {
    step.split(' ').next().unwrap()
}

#[test]
fn partitions_added_to_a_further_topic_stop_the_program() {
    let Some(stage) = Stage::open("live-grown") else { return };
    let rules = stage.write("rules.yaml", RULES);
    produce(&stage, &history()[..100]);
    let topics = topics(&stage);
    let app = App::start_ready(&stage, &rules, &[("topics.events", &topics)]);
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &stage.broker.bootstrap).create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answers = stage.topic("answers");
    let added = runtime.block_on(admin.create_partitions(&[NewPartitions::new(&answers, 4)], &AdminOptions::new()));
    assert!(added.unwrap().iter().all(Result::is_ok));
    let (code, log) = app.await_end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("partitions were added to the topic live-grown.answers: it had 3, and has 4"), "{log}");

    // Nor does it start again.
    let started = Instant::now();
    let mut run = tocsin();
    run.arg("run").arg("--config").arg(app::config(&stage, &rules)).args(["--set", &format!("topics.events={topics}")]);
    let (code, _, told) = ended(&mut run);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("live-grown.events has 3, live-grown.answers has 4"), "{told}");
    assert!(started.elapsed() < PATIENCE);

    // Nor if they are added everywhere while it is down: by then only the journal knows.
    for topic in ["events", "answers", "journal"] {
        let topic = stage.topic(topic);
        let more = NewPartitions::new(&topic, 5);
        let added = runtime.block_on(admin.create_partitions(&[more], &AdminOptions::new()));
        assert!(added.unwrap().iter().all(Result::is_ok), "{topic}");
    }
    let mut run = tocsin();
    run.arg("run").arg("--config").arg(app::config(&stage, &rules)).args(["--set", &format!("topics.events={topics}")]);
    let (code, _, told) = ended(&mut run);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("partitions were added to the topic live-grown.events: it had 3, and has 5"), "{told}");
}
