//! What is published, or not.

use std::time::Duration;

use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tocsin::kafka::{KafkaSettings, KafkaWorld};
use tocsin::partitioner::Partitioner;
use tocsin::task::world::{Logged, OpenOnly, Outgoing, PartitionId, Source, World, WorldError};

use super::common;
use super::stage::{
    Asked as _, Seen, Stage, alert, assert_fatal, assigned, empty_store, own_broker, read_all, shared, start_assigned,
    transaction,
};

#[test]
fn what_is_published_is_there_once_and_in_its_place() {
    let Some(broker) = shared("what_is_published_is_there_once_and_in_its_place") else { return };
    let stage = Stage::new(&broker, "roundtrip", 2);
    let upstream = stage.upstream(None);
    for partition in [0, 1] {
        stage.produce(&upstream, partition, 0..100);
    }
    let mut world = stage.world("a");
    assert_eq!(start_assigned(&mut world), [0, 1]);
    let mut seen = Seen::default();
    seen.until(&mut world, |seen| seen.ends.len() == 2);
    for partition in [0, 1] {
        assert_eq!(seen.records[&partition], (0..100).collect::<Vec<_>>());
        assert_eq!(seen.ends[&partition], 100);
        assert_eq!(world.end_of(Source::first(partition)).unwrap(), 100);
        assert_eq!(world.committed_offset(partition).unwrap(), None);
        assert_eq!(world.journal_after(partition, -1).unwrap(), []);
    }

    let mut first = transaction(&[(0, 100), (1, 60)], "first");
    let customers = ["Ann", "Bob", "Cem", "Dora", "Eve"];
    first.alerts = customers.iter().map(|customer| alert(customer)).collect();
    first.dead_letters = vec![Outgoing { payload: Some(b"{".to_vec()), ..Outgoing::default() }];
    assert_eq!(world.publish(&first).unwrap(), [0, 0]);
    // The control record of the first transaction lies between.
    assert_eq!(world.publish(&transaction(&[(1, 100)], "second")).unwrap(), [2]);

    assert_eq!(world.committed_offset(0).unwrap(), Some(100));
    assert_eq!(world.committed_offset(1).unwrap(), Some(100));
    let logged = |offset, payload: &str| Logged { offset, payload: payload.as_bytes().to_vec() };
    assert_eq!(world.journal_after(1, -1).unwrap(), [logged(0, "first"), logged(2, "second")]);
    assert_eq!(world.journal_after(1, 0).unwrap(), [logged(2, "second")]);
    assert_eq!(world.journal_after(1, 2).unwrap(), []);
    assert_eq!(world.journal_after(0, -1).unwrap(), [logged(0, "first")]);
    let skew = world.broker_clock_skew().expect("the journal has the broker's times");
    assert!(skew.abs() < 1_000, "{skew}");

    let alerts = read_all(&stage.settings, &stage.settings.alerts_topic, 2);
    assert_eq!(alerts.len(), customers.len());
    for message in alerts {
        let key = message.key().unwrap();
        assert_eq!(message.partition(), Partitioner::Murmur2.partition(key, 2));
        assert_eq!(message.headers().unwrap().get(0).value, Some(b"application/json".as_slice()));
    }
    let letters = read_all(&stage.settings, &stage.settings.dead_letters_topic, 2);
    assert_eq!(
        letters.iter().map(|letter| (letter.key(), letter.payload())).collect::<Vec<_>>(),
        [(None, Some(b"{".as_slice()))]
    );
}

#[test]
fn the_second_of_one_name_fences_the_first() {
    let Some(broker) = shared("the_second_of_one_name_fences_the_first") else { return };
    let stage = Stage::new(&broker, "fenced", 1);
    let mut first = stage.world("a");
    start_assigned(&mut first);
    first.publish(&transaction(&[(0, 0)], "x")).unwrap();
    let mut second = stage.world("a");
    second.fence().unwrap();
    match first.publish(&transaction(&[(0, 0)], "y")) {
        Err(WorldError::Fenced(message)) => assert!(message.contains("fenced-a-0"), "{message}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(second.journal_after(0, -1).unwrap().len(), 1);
}

#[test]
fn what_no_repetition_mends_is_fatal() {
    let Some(broker) = shared("what_no_repetition_mends_is_fatal") else { return };
    let stage = Stage::new(&broker, "hopeless", 1);
    let mut world = stage.world("a");
    start_assigned(&mut world);
    let mut transaction = transaction(&[(0, 0)], "x");
    transaction.alerts = vec![Outgoing { payload: Some(vec![0; 2_000_000]), ..alert("Ann") }];
    assert_fatal(world.publish(&transaction), &["2000003 bytes to hopeless.alerts", "max.message.bytes"]);
    let mut settings = stage.settings.clone();
    settings.transaction_timeout = Duration::from_hours(1);
    let mut greedy = KafkaWorld::new(settings, OpenOnly(empty_store)).unwrap();
    assert_fatal(greedy.fence(), &["transaction.max.timeout.ms"]);
}

#[test]
fn a_broker_that_does_not_answer_leaves_nothing_behind() {
    let Some(broker) = own_broker("a_broker_that_does_not_answer_leaves_nothing_behind") else { return };
    let mut stage = Stage::new(&broker, "frozen", 1);
    stage.settings.transaction_timeout = Duration::from_secs(1);
    stage.settings.session_timeout = Duration::from_secs(30);
    stage.produce(&stage.upstream(None), 0, 0..5_000);
    let mut world = stage.world("a");
    start_assigned(&mut world);
    Seen::default().poll(&mut world, 100);
    world.publish(&transaction(&[(0, 100)], "one")).unwrap();

    Seen::default().poll(&mut world, 100);
    broker.freeze();
    let failed = world.publish(&transaction(&[(0, 200)], "two"));
    assert!(matches!(failed, Err(WorldError::Unsettled(_))), "{failed:?}");
    let again = world.publish(&transaction(&[(0, 200)], "two"));
    assert!(matches!(again, Err(WorldError::Unsettled(_))), "there is no producer before fence(): {again:?}");
    broker.thaw();

    world.fence().unwrap();
    assert_eq!(assigned(&mut world), [0], "all must be started anew");
    assert_eq!(world.committed_offset(0).unwrap(), Some(100));
    assert_eq!(world.journal_after(0, -1).unwrap().len(), 1);
    world.start(&[(0, vec![100])]).unwrap();
    let mut seen = Seen::default();
    seen.until(&mut world, |seen| seen.ends.contains_key(&0));
    assert_eq!(seen.records[&0], (100..5_000).collect::<Vec<_>>());
    world.publish(&transaction(&[(0, 5_000)], "three")).unwrap();
    assert_eq!(world.committed_offset(0).unwrap(), Some(5_000));
}

/// Against librdkafka's own mock: only that can be told to break a connection at a certain request.
#[test]
fn a_commit_whose_answer_was_lost_ends_the_producer() {
    common::show_log();
    let cluster = MockCluster::new(1).unwrap();
    let mut settings = KafkaSettings::new(&cluster.bootstrap_servers(), "mocked", "a", 0);
    settings.session_timeout = Duration::from_secs(6);
    for topic in [&settings.events_topic, &settings.alerts_topic, &settings.dead_letters_topic, &settings.journal_topic]
    {
        cluster.create_topic(topic, 1, 1).unwrap();
    }
    let mut world = KafkaWorld::new(settings, OpenOnly(empty_store as fn(PartitionId) -> _)).unwrap();
    start_assigned(&mut world);
    for round in 0..3 {
        world.publish(&transaction(&[(0, round)], "x")).unwrap();
    }
    // librdkafka repeats the request and tells of success: a late copy could end the next transaction.
    cluster.request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT]);
    match world.publish(&transaction(&[(0, 3)], "x")) {
        Err(WorldError::Unsettled(message)) => assert!(message.contains("it was committed, but"), "{message}"),
        other => panic!("{other:?}"),
    }
    world.fence().unwrap();
    assert_eq!(assigned(&mut world), [0]);
    world.start(&[(0, vec![0])]).unwrap();
    world.publish(&transaction(&[(0, 4)], "x")).unwrap();
}
