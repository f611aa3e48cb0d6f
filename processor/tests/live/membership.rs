//! Static members, as processes: killed and started again they go on at once, and no partition is left without an owner.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::json;

use crate::app::{App, config as config_of};
use crate::audit::audit;
use crate::data::{Dice, Event};
use crate::stage::{Stage, repository, wait_until};

const SESSION: &str = "10s";
const SESSION_LASTS: Duration = Duration::from_secs(10);
const START: i64 = 1_700_000_000_000;

fn purchase(number: i64) -> Event {
    let (id, customer) = (number.to_string(), format!("c{number}"));
    Event::new("purchase", &id, &customer, START + number, &json!({"amount": 1}))
}

#[test]
fn a_killed_process_that_comes_back_goes_on_at_once() {
    let Some(stage) = Stage::open("live-back") else { return };
    let rules = repository().join("deploy/demo/rules.yaml");
    let settings = [("time.idle_after", "never"), ("kafka.session_timeout", SESSION), ("workers", "2")];
    stage.produce(3, "murmur2_random", (0..30).map(|number| purchase(number).record()));
    let mut app = App::start_ready(&stage, &rules, &settings);
    // More may come than was produced last: what was judged and not published is judged again.
    let all = |app: &App| wait_until("all events", || app.taken_in() >= 30);
    all(&app);
    for round in 1..4 {
        app.kill();
        stage.produce(3, "murmur2_random", (0..30).map(|number| purchase(100 * round + number).record()));
        let started = Instant::now();
        app = App::start(&stage, &rules, &settings);
        wait_until("the first live event", || app.taken_in() > 0);
        let took = started.elapsed();
        println!("from the start of the process to the first live event: {took:?}");
        assert!(took < SESSION_LASTS / 2, "{took:?}");
        all(&app);
    }
    app.stop();
}

/// Killed in the middle of their rebalances, again and again: whoever comes back, all partitions have an owner soon.
#[test]
fn processes_killed_in_a_rebalance_leave_no_partition_without_an_owner() {
    let Some(stage) = Stage::open("live-rebalance") else { return };
    let rules = repository().join("deploy/demo/rules.yaml");
    let mut dice = Dice(11);
    stage.produce(3, "murmur2_random", []);
    let start = |name: &str| {
        let folder = stage.path(&format!("state-{name}"));
        let settings = [
            ("instance", name),
            ("state_dir", folder.to_str().unwrap()),
            ("time.idle_after", "never"),
            ("kafka.session_timeout", SESSION),
        ];
        App::start(&stage, &rules, &settings)
    };
    let mut one = start("one");
    wait_until("all partitions", || one.get("/readyz").0 == 200);
    for round in 0..4 {
        let two = start("two");
        if round == 0 {
            let is_giving = |line: &serde_json::Value| line["message"] == "partitions to be given back";
            wait_until("the first round of the rebalance", || one.lines().iter().any(is_giving));
        } else {
            thread::sleep(Duration::from_millis(dice.below(1_500) as u64));
        }
        one.kill();
        two.kill();
        let started = Instant::now();
        one = start("one");
        let two = start("two");
        let assigned = || one.metric("tocsin_partitions_assigned", "") + two.metric("tocsin_partitions_assigned", "");
        wait_until("all partitions to have owners", || {
            assigned() >= 3.0 && [&one, &two].iter().all(|app| app.get("/readyz").0 == 200)
        });
        let took = started.elapsed();
        println!("all partitions are owned and ready {took:?} after both were started again");
        assert!(took < SESSION_LASTS, "{took:?}");
        two.kill();
    }
}

/// One that was frozen, and another that was started by its name elsewhere: the older one ends when it wakes up, says
/// why, and has not done any harm.
#[test]
fn a_process_that_wakes_up_to_its_successor_ends_and_says_so() {
    let Some(stage) = Stage::open("live-zombie") else { return };
    let rules = repository().join("deploy/demo/rules.yaml");
    stage.produce(3, "murmur2_random", (0..30).map(|number| purchase(number).record()));
    let start = |place: &str| {
        let folder = stage.path(&format!("state-{place}"));
        let settings = [
            ("state_dir", folder.to_str().unwrap()),
            ("time.idle_after", "never"),
            ("kafka.session_timeout", SESSION),
            ("workers", "2"),
        ];
        App::start_ready(&stage, &rules, &settings)
    };
    let older = start("here");
    wait_until("all events", || older.taken_in() >= 30);
    for round in 1..4 {
        stage.produce(3, "murmur2_random", (0..300).map(|number| purchase(1_000 * round + number).record()));
        if round == 1 {
            older.signal("-STOP");
        }
    }
    let newer = start("there");
    wait_until("the successor to go on", || newer.taken_in() > 0);
    older.signal("-CONT");
    let (code, log) = older.await_end();
    assert_eq!(code, Some(1), "{log}");
    for words in ["another instance took over", "live-zombie-live-", "give each instance a name of its own"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    let before = newer.taken_in();
    stage.produce(3, "murmur2_random", (0..30).map(|number| purchase(9_000 + number).record()));
    wait_until("the successor to go on and on", || newer.taken_in() >= before + 30);
    newer.stop();
    audit(&config_of(&stage, &rules), &[]).assert_equal();
}

/// The broker says that the member was replaced, and nobody is there: it is not the end of the process.
#[test]
fn a_member_replaced_by_a_ghost_takes_its_place_again() {
    let Some(stage) = Stage::open("live-ghost") else { return };
    let rules = repository().join("deploy/demo/rules.yaml");
    let settings = [("time.idle_after", "never"), ("kafka.session_timeout", "3s")];
    stage.produce(3, "murmur2_random", (0..30).map(|number| purchase(number).record()));
    let app = App::start_ready(&stage, &rules, &settings);
    wait_until("all events", || app.taken_in() >= 30);
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &stage.broker.bootstrap)
        .set("group.id", stage.name)
        .set("group.instance.id", format!("{}-live-0", stage.name))
        .set("client.id", "a ghost")
        // Offsets without a journal would be taken for what they are: a mistake that ends the process.
        .set("enable.auto.commit", "false")
        .set("session.timeout.ms", "3000")
        .set("partition.assignment.strategy", "cooperative-sticky");
    let ghost: BaseConsumer = config.create().unwrap();
    ghost.subscribe(&[&stage.topic("events")]).unwrap();
    let told = |message: &str| app.lines().iter().any(|line| line["message"] == message);
    wait_until("the ghost to be taken for the member", || {
        drop(ghost.poll(Duration::from_millis(50)));
        app.log().contains("the consumer has ended")
    });
    // A static member says nothing when it goes.
    drop(ghost);
    stage.produce(3, "murmur2_random", (30..60).map(|number| purchase(number).record()));
    wait_until("the client to be made anew", || told("the consumer is made anew"));
    wait_until("all other events", || app.taken_in() >= 60);
    app.stop();
    audit(&config_of(&stage, &rules), &[]).assert_equal();
}
