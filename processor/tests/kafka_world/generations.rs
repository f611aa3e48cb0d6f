//! The rules topic: one writer at a time, readers that follow, and nothing in it but generations.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseRecord, Producer};
use tocsin::codec::generation::{RulesDocument, RulesFile};
use tocsin::kafka::KafkaSettings;
use tocsin::kafka::generations::{
    GenerationsError, GenerationsReader, GenerationsWriter, PublishedGeneration, RulesDraft,
};
use tocsin::task::world::WorldError;

use super::stage::{PATIENCE, Stage, assert_fatal, own_broker, read_all, shared};

fn draft(text: &str) -> RulesDraft {
    RulesDraft {
        fingerprint: "0123456789abcdef".to_owned(),
        applied_by: "ann@desk".to_owned(),
        files: vec![RulesFile { name: "a.yaml".to_owned(), text: text.to_owned() }],
    }
}

/// As the writer would write it.
fn document(generation: i64, text: &str) -> String {
    let RulesDraft { fingerprint, applied_by, files } = draft(text);
    let applied_at = 1_767_225_600_000;
    RulesDocument { generation, fingerprint, applied_at, applied_by, files }.encode().unwrap()
}

fn publish(settings: &KafkaSettings, text: &str) -> PublishedGeneration {
    GenerationsWriter::open(settings).unwrap().publish(draft(text)).unwrap()
}

/// What is new, as soon as there is something: a commit is told of a moment before readers see it.
fn await_news(follower: &mut GenerationsReader) -> Vec<PublishedGeneration> {
    let started = Instant::now();
    loop {
        match follower.read_new() {
            Ok(found) if !found.is_empty() => return found,
            Ok(_) | Err(GenerationsError::World(WorldError::Transient(_))) => thread::sleep(Duration::from_millis(20)),
            Err(error) => panic!("{error}"),
        }
        assert!(started.elapsed() < PATIENCE, "nothing new comes");
    }
}

/// Number and text of each.
fn told(generations: &[PublishedGeneration]) -> Vec<(i64, &str)> {
    let told = |one: &PublishedGeneration| (one.document.generation, one.offset);
    assert!(generations.is_sorted_by_key(told));
    generations.iter().map(|one| (one.document.generation, one.document.files[0].text.as_str())).collect()
}

#[track_caller]
fn assert_damaged<T: std::fmt::Debug>(result: Result<T, GenerationsError>, parts: &[&str]) {
    match result {
        Err(GenerationsError::Damaged(message)) => {
            for part in parts {
                assert!(message.contains(part), "{part}: {message}");
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn generations_are_read_in_order_by_who_is_there_and_by_who_comes_later() {
    let Some(broker) = shared("generations_are_read_in_order_by_who_is_there_and_by_who_comes_later") else { return };
    let settings = Stage::new(&broker, "ruled", 1).settings;
    let mut follower = GenerationsReader::new(&settings).unwrap();
    assert_eq!(told(&follower.read_all().unwrap()), []);
    assert_eq!(told(&follower.read_new().unwrap()), []);

    let first = publish(&settings, "one");
    assert_eq!((first.offset, first.document.generation), (0, 1));
    assert_eq!(await_news(&mut follower), [first], "what was written is what is read");
    assert_eq!(told(&follower.read_new().unwrap()), [], "each comes once");

    // The markers of the transactions lie between.
    assert_eq!(publish(&settings, "two").offset, 2);
    assert_eq!(publish(&settings, "three").offset, 4);
    assert_eq!(told(&follower.read_all().unwrap()), [(2, "two"), (3, "three")]);
    let all = GenerationsReader::new(&settings).unwrap().read_all().unwrap();
    assert_eq!(told(&all), [(1, "one"), (2, "two"), (3, "three")]);
    assert_eq!(GenerationsWriter::open(&settings).unwrap().generations(), all);
    let keys: Vec<_> = read_all(&settings, &settings.rules_topic, 1)
        .iter()
        .map(|record| String::from_utf8(rdkafka::Message::key(record).unwrap().to_vec()).unwrap())
        .collect();
    assert_eq!(keys, ["1", "2", "3"], "as many keys as generations, for compaction to keep all");
}

#[test]
fn of_two_writers_at_one_time_the_later_one_publishes() {
    let Some(broker) = shared("of_two_writers_at_one_time_the_later_one_publishes") else { return };
    let settings = Stage::new(&broker, "contested", 1).settings;
    publish(&settings, "one");
    let earlier = GenerationsWriter::open(&settings).unwrap();
    let later = GenerationsWriter::open(&settings).unwrap();
    assert_eq!((earlier.next_number(), later.next_number()), (2, 2));
    let fenced = earlier.publish(draft("earlier"));
    assert!(matches!(fenced, Err(WorldError::Fenced(_))), "{fenced:?}");
    assert_eq!(later.publish(draft("later")).unwrap().document.generation, 2);
    let all = GenerationsReader::new(&settings).unwrap().read_all().unwrap();
    assert_eq!(told(&all), [(1, "one"), (2, "later")]);
}

#[test]
fn what_a_writer_that_died_left_open_is_ended_by_the_next() {
    let Some(broker) = shared("what_a_writer_that_died_left_open_is_ended_by_the_next") else { return };
    let stage = Stage::new(&broker, "halfway", 1);
    let settings = &stage.settings;
    publish(settings, "one");
    let died = stage.upstream(Some("halfway.rules"));
    let text = document(2, "half");
    write(&died, settings, "2", &text);
    let mut follower = GenerationsReader::new(settings).unwrap();
    assert_eq!(told(&await_news(&mut follower)), [(1, "one")]);
    assert_eq!(told(&follower.read_new().unwrap()), [], "an open transaction is not waited for");

    assert_eq!(publish(settings, "two").document.generation, 2);
    assert_eq!(told(&await_news(&mut follower)), [(2, "two")]);
    drop(died);
}

#[test]
fn what_is_no_generation_is_an_error_that_names_its_offset() {
    let Some(broker) = shared("what_is_no_generation_is_an_error_that_names_its_offset") else { return };
    let numbered = |generation| document(generation, "x");
    // The broker itself takes no record without a key: the topic is compacted.
    for (name, key, text, part) in [
        ("spoilt-garbage", "2", "rules: []".to_owned(), "is no generation of rules"),
        ("spoilt-key", "two", numbered(2), "has the key `two`, but holds generation 2"),
        ("spoilt-again", "1", numbered(1), "holds generation 1, which comes again: generation 2 is due"),
        ("spoilt-gap", "3", numbered(3), "holds generation 3, which comes too early: generation 2 is due"),
    ] {
        let stage = Stage::new(&broker, name, 1);
        let settings = &stage.settings;
        publish(settings, "one");
        let mut follower = GenerationsReader::new(settings).unwrap();
        follower.read_all().unwrap();
        write(&stage.upstream(None), settings, key, &text);
        let parts = [&format!("{name}.rules is damaged: the record at offset 2 "), part];
        assert_damaged(GenerationsReader::new(settings).unwrap().read_all(), &parts);
        assert_damaged(follower.read_new(), &parts);
        assert_damaged(follower.read_new(), &parts);
        assert_damaged(GenerationsWriter::open(settings), &parts);
    }
}

fn write(producer: &rdkafka::producer::BaseProducer, settings: &KafkaSettings, key: &str, payload: &str) {
    let record = BaseRecord::to(&settings.rules_topic).partition(0).key(key).payload(payload);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
}

#[test]
fn a_set_that_is_too_large_names_the_settings_to_raise() {
    let Some(broker) = shared("a_set_that_is_too_large_names_the_settings_to_raise") else { return };
    let mut settings = Stage::new(&broker, "bulky", 1).settings;
    let parts =
        ["bytes does not fit into a record of bulky.rules", "max.message.bytes", "kafka.properties.message.max"];
    let bulky = || draft(&"#".repeat(1_500_000));
    assert_fatal(GenerationsWriter::open(&settings).unwrap().publish(bulky()), &parts);
    // Now the broker refuses it.
    settings.properties.insert("message.max.bytes".to_owned(), "2000000".to_owned());
    assert_fatal(GenerationsWriter::open(&settings).unwrap().publish(bulky()), &parts);
    assert_eq!(publish(&settings, "small").document.generation, 1);
}

#[test]
fn a_follower_outlives_a_broker_that_does_not_answer() {
    let Some(broker) = own_broker("a_follower_outlives_a_broker_that_does_not_answer") else { return };
    let mut settings = Stage::new(&broker, "patient", 1).settings;
    settings.request_timeout = Duration::from_secs(1);
    publish(&settings, "one");
    let mut follower = GenerationsReader::new(&settings).unwrap();
    assert_eq!(told(&follower.read_all().unwrap()), [(1, "one")]);
    broker.freeze();
    for _ in 0..3 {
        let failed = follower.read_new();
        assert!(matches!(failed, Err(GenerationsError::World(WorldError::Transient(_)))), "{failed:?}");
    }
    broker.thaw();
    publish(&settings, "two");
    assert_eq!(told(&await_news(&mut follower)), [(2, "two")], "nothing is skipped or read twice");
}
