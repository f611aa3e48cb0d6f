//! The topics, before anything else.

use std::thread;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewPartitions, NewTopic, TopicReplication};
use tocsin::kafka::KafkaSettings;
use tocsin::kafka::topics::{self, NewTopics, TopicPolicy, Watch};
use tocsin::task::world::WorldError;

use super::stage::{PATIENCE, SKEW, admin, assert_fatal, shared, wait};

#[test]
fn topics_are_created_or_named() {
    let Some(broker) = shared("topics_are_created_or_named") else { return };
    let mut settings = KafkaSettings::new(&broker.bootstrap, "topical", "a", 0);
    settings.events_topic = "topical.events".to_owned();
    settings.alerts_topic = "topical.alerts".to_owned();
    settings.dead_letters_topic = "topical.letters".to_owned();
    let policy = TopicPolicy { create: None, max_future_skew: SKEW };
    let fatal = |settings: &KafkaSettings, policy: &TopicPolicy, parts: &[&str]| {
        assert_fatal(topics::check(settings, policy), parts);
    };
    create(&settings, "topical.alerts", 1, &[]);
    fatal(
        &settings,
        &policy,
        &[
            "topical.events, topical.journal, topical.rules, topical.letters at",
            "--topic topical.events",
            "retention.ms=-1",
            "--topic topical.rules --partitions 1 --config cleanup.policy=compact",
        ],
    );

    create(&settings, "topical.events", 3, &[]);
    let creating = TopicPolicy { create: Some(NewTopics { partitions: 5, replication: Some(1) }), ..policy };
    let found = topics::check(&settings, &creating).unwrap();
    assert_eq!(found.created, ["topical.journal", "topical.rules", "topical.letters"]);
    assert_eq!(found.partitions, 3, "the journal follows the events");
    // The broker keeps everything, and lets producers stamp an hour ahead.
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    assert!(found.warnings[0].contains("1 h ahead"), "{:?}", found.warnings);
    assert_eq!(topics::check(&settings, &policy).unwrap().created, Vec::<String>::new());

    create(&settings, "topical.narrow", 2, &[]);
    let narrow = KafkaSettings { journal_topic: "topical.narrow".to_owned(), ..settings.clone() };
    fatal(&narrow, &policy, &["topical.narrow has 2 partitions, but topical.events has 3", "--partitions 3"]);
    let several = |topic: &str| KafkaSettings { further_topics: vec![topic.to_owned()], ..settings.clone() };
    let counts = ["topical.events has 3, topical.narrow has 2", "new topics with 3 partitions", "`application` id"];
    fatal(&several("topical.narrow"), &policy, &counts);
    let found = topics::check(&several("topical.further"), &creating).unwrap();
    assert_eq!(found.created, ["topical.further"]);
    assert_eq!(topics::check(&several("topical.further"), &policy).unwrap().partitions, 3, "as many as the others");
    create(&settings, "topical.compacted", 3, &[("cleanup.policy", "compact")]);
    let compacted = KafkaSettings { events_topic: "topical.compacted".to_owned(), ..settings.clone() };
    fatal(&compacted, &policy, &["topical.compacted has cleanup.policy=compact"]);
    create(&settings, "topical.forgetful", 1, &[("cleanup.policy", "compact,delete")]);
    let forgetful = KafkaSettings { rules_topic: "topical.forgetful".to_owned(), ..settings.clone() };
    fatal(&forgetful, &policy, &["topical.forgetful has cleanup.policy=compact,delete", "cleanup.policy=compact"]);
    let spread = KafkaSettings { rules_topic: "topical.narrow".to_owned(), ..settings.clone() };
    fatal(&spread, &policy, &["topical.narrow has 2 partitions", "topics.rules"]);
    let nowhere =
        KafkaSettings { bootstrap: "127.0.0.1:1".to_owned(), request_timeout: Duration::from_millis(500), ..settings };
    let unreachable = topics::check(&nowhere, &policy);
    assert!(matches!(unreachable, Err(WorldError::Transient(_))), "{unreachable:?}");
}

#[test]
fn partitions_that_are_added_while_it_runs_are_noticed() {
    let Some(broker) = shared("partitions_that_are_added_while_it_runs_are_noticed") else { return };
    let mut settings = KafkaSettings::new(&broker.bootstrap, "growing", "a", 0);
    settings.events_topic = "growing.events".to_owned();
    settings.further_topics = vec!["growing.answers".to_owned()];
    for topic in ["growing.events", "growing.answers"] {
        create(&settings, topic, 2, &[]);
    }
    let watch = Watch::new(&settings, 2).unwrap();
    watch.look().unwrap();
    let more = [NewPartitions::new("growing.answers", 3)];
    wait(admin(&settings).create_partitions(&more, &AdminOptions::new())).unwrap();
    let started = std::time::Instant::now();
    let found = loop {
        match watch.look() {
            Ok(()) if started.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(20)),
            found => break found,
        }
    };
    assert_fatal(found, &["partitions were added to the topic growing.answers", "it had 2, and has 3", "application"]);
}

fn create(settings: &KafkaSettings, topic: &str, partitions: i32, config: &[(&str, &str)]) {
    let topic =
        config.iter().fold(NewTopic::new(topic, partitions, TopicReplication::Fixed(1)), |topic, (key, value)| {
            topic.set(key, value)
        });
    let created = wait(admin(settings).create_topics([&topic], &AdminOptions::new())).unwrap();
    assert!(created.iter().all(Result::is_ok), "{created:?}");
    let admin = admin(settings);
    let has_leaders = || {
        let metadata = admin.inner().fetch_metadata(None, PATIENCE).unwrap();
        let found = metadata.topics().iter().find(|found| found.name() == topic.name);
        found.is_some_and(|found| found.partitions().iter().all(|partition| partition.leader() >= 0))
    };
    while !has_leaders() {
        thread::sleep(Duration::from_millis(20));
    }
}
