//! What is read: live, from the journal, and again.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::AdminOptions;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset as Position, TopicPartitionList};
use tocsin::kafka::KafkaSettings;
use tocsin::task::world::{Offset, Rebalance, Source, World, WorldError};

use super::stage::{
    Asked as _, PATIENCE, Seen, Stage, admin, assert_fatal, shared, start_assigned, transaction, wait, write,
};

#[test]
fn a_replay_reads_exactly_the_stretch() {
    let Some(broker) = shared("a_replay_reads_exactly_the_stretch") else { return };
    let stage = Stage::new(&broker, "replay", 1);
    // Offsets 0..10, a control record, ten aborted ones with theirs, 22..32, a control record.
    let upstream = stage.upstream(Some("replay-upstream"));
    stage.produce(&upstream, 0, 0..10);
    upstream.commit_transaction(PATIENCE).unwrap();
    upstream.begin_transaction().unwrap();
    stage.produce(&upstream, 0, 10..20);
    upstream.abort_transaction(PATIENCE).unwrap();
    upstream.begin_transaction().unwrap();
    stage.produce(&upstream, 0, 20..30);
    upstream.commit_transaction(PATIENCE).unwrap();
    let mut world = stage.world("a");
    let mut check = |from: Offset, to: Offset, expected: &[Offset]| {
        let mut offsets = Vec::new();
        world.replay(Source::first(0), from, to, &mut |record| offsets.push(record.offset)).unwrap();
        assert_eq!(offsets, expected, "{from}..{to}");
    };
    check(0, 3, &[0, 1, 2]);
    check(3, 3, &[]);
    check(3, 11, &[3, 4, 5, 6, 7, 8, 9]);
    check(11, 22, &[]);
    check(22, 24, &[22, 23]);
    check(24, 33, &(24..32).collect::<Vec<_>>());
    check(5, 7, &[5, 6]);
    check(11, 23, &[22]);
    check(0, 33, &(0..10).chain(22..32).collect::<Vec<_>>());
}

#[test]
fn records_are_read_however_they_are_compressed() {
    let Some(broker) = shared("records_are_read_however_they_are_compressed") else { return };
    let stage = Stage::new(&broker, "squeezed", 1);
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for (number, codec) in codecs.into_iter().enumerate() {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &stage.settings.bootstrap)
            .set("compression.type", codec)
            .set("linger.ms", "50");
        let upstream: BaseProducer = config.create().unwrap();
        stage.produce(&upstream, 0, number * 10..number * 10 + 10);
    }
    let mut world = stage.world("a");
    start_assigned(&mut world);
    let mut seen = Seen::default();
    seen.until(&mut world, |seen| seen.ends.contains_key(&0));
    let written: Vec<_> = (0..codecs.len() * 10).map(|event| format!("event {event}")).collect();
    assert_eq!(seen.payloads, written);
}

#[test]
fn a_partition_that_is_started_anew_brings_nothing_from_before() {
    let Some(broker) = shared("a_partition_that_is_started_anew_brings_nothing_from_before") else { return };
    let stage = Stage::new(&broker, "again", 1);
    stage.produce(&stage.upstream(None), 0, 0..20_000);
    let mut world = stage.world("a");
    start_assigned(&mut world);
    for start in [0, 7, 15_000, 3, 3, 19_999] {
        // Most of what librdkafka has fetched by now is left in the queue.
        Seen::default().poll(&mut world, 10);
        thread::sleep(Duration::from_millis(100));
        world.start(&[(0, vec![start])]).unwrap();
        let mut seen = Seen::default();
        seen.until(&mut world, |seen| seen.count(0) >= 1);
        let offsets = &seen.records[&0];
        assert_eq!(*offsets, (start..start + offsets.len() as Offset).collect::<Vec<_>>());
    }
    let mut seen = Seen::default();
    world.start(&[(0, vec![19_990])]).unwrap();
    seen.until(&mut world, |seen| seen.ends.contains_key(&0));
    assert_eq!(seen.records[&0], (19_990..20_000).collect::<Vec<_>>());
}

#[test]
fn an_open_transaction_upstream_is_no_end() {
    let Some(broker) = shared("an_open_transaction_upstream_is_no_end") else { return };
    let stage = Stage::new(&broker, "openend", 1);
    stage.produce(&stage.upstream(None), 0, 0..3);
    let mut world = stage.world("a");
    start_assigned(&mut world);
    let mut seen = Seen::default();
    seen.until(&mut world, |seen| seen.ends.get(&0) == Some(&3));
    assert_eq!(world.end_of(Source::first(0)).unwrap(), 3);

    let upstream = stage.upstream(Some("openend-upstream"));
    stage.produce(&upstream, 0, 3..8);
    for _ in 0..5 {
        assert_eq!(seen.poll(&mut world, 10), None);
    }
    assert_eq!(
        (seen.count(0), world.end_of(Source::first(0)).unwrap()),
        (3, 8),
        "read to what is stable, and there is more"
    );

    upstream.commit_transaction(PATIENCE).unwrap();
    // The control record of the commit has offset 8.
    seen.until(&mut world, |seen| seen.ends.get(&0) == Some(&9));
    assert_eq!((seen.count(0), world.end_of(Source::first(0)).unwrap()), (8, 9));

    upstream.begin_transaction().unwrap();
    stage.produce(&upstream, 0, 8..10);
    upstream.abort_transaction(PATIENCE).unwrap();
    seen.until(&mut world, |seen| seen.ends.get(&0) == Some(&12));
    assert_eq!(
        (seen.count(0), world.end_of(Source::first(0)).unwrap()),
        (8, 12),
        "nothing came of it, but the end is where it is"
    );
}

#[test]
fn what_another_producer_left_open_is_waited_for() {
    let Some(broker) = shared("what_another_producer_left_open_is_waited_for") else { return };
    let stage = Stage::new(&broker, "zombie", 1);
    // A zombie of another instance: it has sent its offset and its journal record, and no more.
    let zombie = stage.upstream(Some("zombie-z-0"));
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &stage.settings.bootstrap)
        .set("group.id", "zombie")
        .create()
        .unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&stage.settings.events_topic, 0, Position::Offset(0)).unwrap();
    zombie.send_offsets_to_transaction(&offsets, &consumer.group_metadata().unwrap(), PATIENCE).unwrap();
    write(&zombie, &stage.settings.journal_topic, 0, std::iter::once("from a zombie".to_owned()));
    let ending = thread::spawn(move || {
        thread::sleep(Duration::from_secs(7));
        zombie.commit_transaction(PATIENCE).unwrap();
    });
    let mut world = stage.world("a");
    world.fence().unwrap();
    let started = Instant::now();
    assert_eq!(world.committed_offset(0).unwrap(), Some(0));
    let waited = started.elapsed();
    assert_eq!(world.journal_after(0, -1).unwrap().len(), 1);
    assert!(waited > Duration::from_secs(4), "the offset was known after {waited:?}");
    ending.join().unwrap();

    let upstream = stage.upstream(Some("zombie-y-0"));
    write(&upstream, &stage.settings.journal_topic, 0, std::iter::once("from another".to_owned()));
    let ending = thread::spawn(move || {
        thread::sleep(Duration::from_secs(2));
        upstream.abort_transaction(PATIENCE).unwrap();
    });
    let started = Instant::now();
    let bounds = world.journal_bounds(0);
    assert!(matches!(bounds, Err(WorldError::Pending(_))), "{bounds:?}");
    assert_eq!(world.journal_after(0, -1).unwrap().len(), 1);
    assert!(started.elapsed() > Duration::from_secs(1));
    ending.join().unwrap();
}

#[test]
fn what_is_gone_is_named() {
    let Some(broker) = shared("what_is_gone_is_named") else { return };
    let stage = Stage::new(&broker, "gone", 1);
    stage.produce(&stage.upstream(None), 0, 0..10);
    let mut world = stage.world("a");
    start_assigned(&mut world);
    for round in 0..3 {
        world.publish(&transaction(&[(0, round)], "x")).unwrap();
    }
    delete_before(&stage.settings, &[(&stage.settings.journal_topic, 4), (&stage.settings.events_topic, 6)]);
    assert_eq!(world.journal_after(0, 3).unwrap().len(), 1);
    assert_eq!(world.journal_after(0, 5).unwrap(), [], "its control record is behind the last record");
    assert_fatal(world.journal_after(0, 0), &["gone.journal", "begins at offset 4", "offset 1 is wanted"]);
    assert_fatal(
        world.replay(Source::first(0), 5, 10, &mut |_| ()),
        &["gone.events", "begins at offset 6", "offset 5 is wanted"],
    );
    assert_fatal(world.start(&[(0, vec![5])]), &["gone.events", "holds offsets 6 to 10", "5 is to be read"]);
    assert_fatal(world.start(&[(0, vec![11])]), &["gone.events", "holds offsets 6 to 10", "11 is to be read"]);
    assert_eq!(world.start_of(Source::first(0)).unwrap(), 6);
    world.start(&[(0, vec![6])]).unwrap();
}

/// A reader whose next record is gone is not told to die for it: its client may be wrong. Another one looks.
#[test]
fn a_reader_that_has_lost_its_place_gets_another_client() {
    let Some(broker) = shared("a_reader_that_has_lost_its_place_gets_another_client") else { return };
    let mut stage = Stage::new(&broker, "astray", 1);
    // One record at a time, so that there is no record at hand for long.
    for (name, value) in [("fetch.message.max.bytes", "1000"), ("queued.min.messages", "1")] {
        stage.settings.properties.insert(name.to_owned(), value.to_owned());
    }
    let (upstream, topic) = (stage.upstream(None), stage.settings.events_topic.clone());
    for number in 0..20 {
        write(&upstream, &topic, 0, std::iter::once(format!("{number} {}", "x".repeat(5_000))));
    }
    let mut world = stage.world("a");
    start_assigned(&mut world);
    let mut seen = Seen::default();
    seen.until(&mut world, |seen| seen.count(0) >= 1);
    thread::sleep(Duration::from_secs(1));
    delete_before(&stage.settings, &[(&topic, 15)]);
    let until = Instant::now() + PATIENCE;
    let lost = loop {
        match seen.poll(&mut world, 1) {
            Some(Rebalance::Revoked { partitions, lost: true }) => break partitions,
            other => assert_eq!(other, None),
        }
        assert!(Instant::now() < until, "it goes on: {:?}", seen.records);
    };
    world.release(&lost).unwrap();
    let next = seen.records[&0].last().unwrap() + 1;
    assert!(next < 15, "it was too quick: {next}");
    let told = loop {
        match seen.poll(&mut world, 1) {
            Some(Rebalance::Assigned(partitions)) if !partitions.is_empty() => break partitions,
            other => assert!(Instant::now() < until, "no partition: {other:?}"),
        }
    };
    assert_eq!(told, [0]);
    assert_fatal(world.start(&[(0, vec![next])]), &["astray.events", "holds offsets 15 to 20", "to be read next"]);
    world.start(&[(0, vec![15])]).unwrap();
    seen.until(&mut world, |seen| seen.records[&0].ends_with(&[15, 16, 17, 18, 19]));
}

fn delete_before(settings: &KafkaSettings, offsets: &[(&str, Offset)]) {
    let mut list = TopicPartitionList::new();
    for (topic, offset) in offsets {
        list.add_partition_offset(topic, 0, Position::Offset(*offset)).unwrap();
    }
    let deleted = wait(admin(settings).delete_records(&list, &AdminOptions::new())).unwrap();
    assert!(deleted.elements().iter().all(|element| element.error().is_ok()));
}
