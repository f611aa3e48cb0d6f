//! Several input topics: what comes of which, from where, and who has it.

use std::collections::BTreeMap;
use std::time::Instant;

use rdkafka::producer::Producer as _;
use tocsin::task::world::{Arrival, Offset, PartitionId, Rebalance, Source, Transaction, World as _};

use super::stage::{Asked as _, PATIENCE, Stage, TestWorld, WAIT, assert_fatal, assigned, settled, shared};

const TOPICS: usize = 3;

fn source(topic: usize, partition: PartitionId) -> Source {
    Source { topic, partition }
}

fn sources(partitions: &[PartitionId]) -> Vec<Source> {
    partitions.iter().flat_map(|partition| (0..TOPICS).map(|topic| source(topic, *partition))).collect()
}

/// Where the topics of some partitions end.
fn ends(partitions: &[PartitionId], ends: [Offset; TOPICS]) -> Vec<(Source, Offset)> {
    sources(partitions).into_iter().map(|source| (source, ends[source.topic])).collect()
}

/// What a world has brought, and where it was read to the end; whether that was said to be all.
#[derive(Debug, Default)]
struct Seen {
    records: BTreeMap<Source, Vec<Offset>>,
    ends: BTreeMap<Source, (Offset, bool)>,
}

impl Seen {
    fn poll(&mut self, world: &mut TestWorld, max: usize, wanted: &[Source]) -> Option<Rebalance> {
        let polled = world.poll(max, WAIT, Some(wanted), &mut |arrival| {
            let source = arrival.source();
            assert!(wanted.contains(&source), "{source:?} was not asked for");
            match arrival {
                Arrival::Record(record) => {
                    self.ends.remove(&source);
                    self.records.entry(source).or_default().push(record.offset);
                }
                Arrival::End { offset, is_all, .. } => drop(self.ends.insert(source, (offset, is_all))),
            }
        });
        polled.unwrap().filter(|rebalance| *rebalance != Rebalance::Assigned(Vec::new()))
    }

    /// Reads these to their ends, which lie there; no rebalance may come.
    fn read_to_the_end(&mut self, world: &mut TestWorld, ends: &[(Source, Offset)]) {
        let (started, wanted) = (Instant::now(), ends.iter().map(|(source, _)| *source).collect::<Vec<_>>());
        while !ends.iter().all(|(source, end)| self.ends.get(source) == Some(&(*end, true))) {
            assert!(started.elapsed() < PATIENCE, "nothing more came: {self:?}");
            assert_eq!(self.poll(world, 1000, &wanted), None);
        }
    }

    fn offsets(&self, source: Source) -> &[Offset] {
        self.records.get(&source).map_or(&[], Vec::as_slice)
    }
}

fn range(from: Offset, to: Offset) -> Vec<Offset> {
    (from..to).collect()
}

/// The next offset of every topic of each partition, and a journal record.
fn transaction(partitions: &[(PartitionId, [Offset; TOPICS])]) -> Transaction {
    let next = |(partition, next): &(PartitionId, [Offset; TOPICS])| {
        let partition = *partition;
        next.iter().enumerate().map(move |(topic, next)| (source(topic, partition), *next)).collect::<Vec<_>>()
    };
    Transaction {
        offsets: partitions.iter().flat_map(next).collect(),
        journal: partitions.iter().map(|(partition, _)| (*partition, b"x".to_vec())).collect(),
        ..Transaction::default()
    }
}

fn started(world: &mut TestWorld, starts: &[(PartitionId, [Offset; TOPICS])]) {
    let starts: Vec<_> = starts.iter().map(|(partition, offsets)| (*partition, offsets.to_vec())).collect();
    world.start(&starts).unwrap();
}

#[test]
fn each_topic_is_read_as_far_as_is_asked_and_from_where_it_is_started() {
    let Some(broker) = shared("each_topic_is_read_as_far_as_is_asked_and_from_where_it_is_started") else { return };
    let stage = Stage::several(&broker, "several", 2, TOPICS);
    let upstream = stage.upstream(None);
    for source in sources(&[0, 1]) {
        stage.produce_to(&upstream, source, 0..100 * (source.topic + 1));
    }
    let mut world = stage.world("a");
    assert_eq!(assigned(&mut world), [0, 1]);
    world.fence().unwrap();
    for source in sources(&[0, 1]) {
        assert_eq!(
            (world.end_of(source).unwrap(), world.start_of(source).unwrap()),
            (100 * (source.topic as i64 + 1), 0)
        );
        assert_eq!(settled(|| world.committed(source)).unwrap(), None);
    }
    assert_fatal(
        world.start(&[(0, vec![0, 0, 301])]),
        &["partition 0 of several.events-2 holds offsets 0 to 300", "301 is to be read"],
    );
    started(&mut world, &[(0, [0, 0, 0]), (1, [90, 150, 300])]);

    // One of them alone: the others stay where they are.
    let mut seen = Seen::default();
    seen.read_to_the_end(&mut world, &[(source(1, 0), 200)]);
    assert_eq!(seen.offsets(source(1, 0)), range(0, 200));
    assert_eq!(seen.records.len(), 1);
    seen.read_to_the_end(&mut world, &ends(&[0, 1], [100, 200, 300]));
    let expected =
        [(0, 0, 0, 100), (1, 0, 0, 200), (2, 0, 0, 300), (0, 1, 90, 100), (1, 1, 150, 200), (2, 1, 300, 300)];
    for (topic, partition, from, to) in expected {
        assert_eq!(seen.offsets(source(topic, partition)), range(from, to), "topic {topic}, partition {partition}");
        assert_eq!(seen.ends[&source(topic, partition)], (to, true));
    }

    // Their offsets go with the transaction, and it goes on with what comes.
    world.publish(&transaction(&[(0, [100, 200, 300]), (1, [95, 160, 300])])).unwrap();
    for (topic, expected) in [100, 200, 300].into_iter().enumerate() {
        assert_eq!(settled(|| world.committed(source(topic, 0))).unwrap(), Some(expected));
    }
    stage.produce_to(&upstream, source(2, 1), 0..5);
    seen.read_to_the_end(&mut world, &[(source(2, 1), 305)]);
    assert_eq!(seen.offsets(source(2, 1)), range(300, 305));

    // Held, and started anew at other places: nothing comes of before.
    stage.produce_to(&upstream, source(0, 0), 0..5);
    world.hold();
    let mut seen = Seen::default();
    assert_eq!(assigned(&mut world), [0, 1]);
    started(&mut world, &[(0, [104, 10, 299]), (1, [95, 160, 300])]);
    seen.read_to_the_end(&mut world, &[ends(&[0], [105, 200, 300]), ends(&[1], [100, 200, 305])].concat());
    let expected =
        [(0, 0, 104, 105), (1, 0, 10, 200), (2, 0, 299, 300), (0, 1, 95, 100), (1, 1, 160, 200), (2, 1, 300, 305)];
    for (topic, partition, from, to) in expected {
        assert_eq!(seen.offsets(source(topic, partition)), range(from, to), "topic {topic}, partition {partition}");
    }
    let mut replayed = BTreeMap::<usize, Vec<Offset>>::new();
    for (topic, from, to) in [(1, 5, 9), (2, 0, 3), (1, 9, 12), (0, 100, 105), (2, 3, 4)] {
        world
            .replay(source(topic, 0), from, to, &mut |record| {
                replayed.entry(record.topic).or_default().push(record.offset);
            })
            .unwrap();
    }
    assert_eq!(replayed, BTreeMap::from([(0, range(100, 105)), (1, range(5, 12)), (2, range(0, 4))]));
}

#[test]
fn what_an_open_transaction_hides_in_a_further_topic_is_not_its_end() {
    let Some(broker) = shared("what_an_open_transaction_hides_in_a_further_topic_is_not_its_end") else { return };
    let stage = Stage::several(&broker, "hidden", 1, TOPICS);
    let (upstream, further) = (stage.upstream(Some("hidden-upstream")), source(1, 0));
    stage.produce_to(&stage.upstream(None), further, 0..3);
    stage.produce_to(&upstream, further, 0..4);
    let mut world = stage.world("a");
    assert_eq!(assigned(&mut world), [0]);
    world.fence().unwrap();
    started(&mut world, &[(0, [0, 0, 0])]);
    let (mut seen, started) = (Seen::default(), Instant::now());
    while seen.ends.get(&further) != Some(&(3, false)) {
        assert!(started.elapsed() < PATIENCE, "{seen:?}");
        seen.poll(&mut world, 1000, &sources(&[0]));
    }
    assert_eq!(world.end_of(further).unwrap(), 7);
    upstream.commit_transaction(PATIENCE).unwrap();
    seen.read_to_the_end(&mut world, &ends(&[0], [0, 8, 0]));
    assert_eq!(
        (seen.offsets(further), seen.ends[&further]),
        (&*range(0, 7), (8, true)),
        "the marker has an offset too"
    );
}

#[test]
fn the_further_topics_go_where_the_first_one_goes() {
    let Some(broker) = shared("the_further_topics_go_where_the_first_one_goes") else { return };
    let stage = Stage::several(&broker, "moving", 2, TOPICS);
    let upstream = stage.upstream(None);
    for source in sources(&[0, 1]) {
        stage.produce_to(&upstream, source, 0..10);
    }
    let mut one = stage.world("one");
    assert_eq!(assigned(&mut one), [0, 1]);
    one.fence().unwrap();
    started(&mut one, &[(0, [0; TOPICS]), (1, [0; TOPICS])]);
    let mut seen = Seen::default();
    seen.read_to_the_end(&mut one, &ends(&[0, 1], [10; TOPICS]));

    let mut other = stage.world("other");
    let began = Instant::now();
    let gone = loop {
        assert!(began.elapsed() < PATIENCE);
        assert_eq!(Seen::default().poll(&mut other, 1, &[]), None);
        match seen.poll(&mut one, 1, &sources(&[0, 1])) {
            None => {}
            Some(Rebalance::Revoked { partitions, lost: false }) => break partitions,
            other => panic!("{other:?}"),
        }
    };
    let [gone] = gone[..] else { panic!("{gone:?}") };
    let kept = 1 - gone;
    // What comes from now on is for the other.
    for source in sources(&[0, 1]) {
        stage.produce_to(&upstream, source, 0..10);
    }
    one.publish(&transaction(&[(0, [10; TOPICS]), (1, [10; TOPICS])])).unwrap();
    one.release(&[gone]).unwrap();
    let taken = loop {
        assert!(began.elapsed() < PATIENCE * 2);
        assert_eq!(seen.poll(&mut one, 1, &sources(&[kept])), None);
        if let Some(rebalance) = Seen::default().poll(&mut other, 1, &[]) {
            break rebalance;
        }
    };
    assert_eq!(taken, Rebalance::Assigned(vec![gone]));
    other.fence().unwrap();
    assert_eq!(other.journal_after(gone, -1).unwrap().len(), 1);
    let next: Vec<_> =
        (0..TOPICS).map(|topic| settled(|| other.committed(source(topic, gone))).unwrap().unwrap()).collect();
    assert_eq!(next, [10; TOPICS]);
    started(&mut other, &[(gone, [10; TOPICS])]);
    let mut there = Seen::default();
    there.read_to_the_end(&mut other, &ends(&[gone], [20; TOPICS]));
    seen.read_to_the_end(&mut one, &ends(&[kept], [20; TOPICS]));
    // The one that stays loses nothing by the rebalance.
    assert_eq!(seen.poll(&mut one, 1000, &sources(&[0, 1])), None);
    for topic in 0..TOPICS {
        assert_eq!(there.offsets(source(topic, gone)), range(10, 20));
        assert_eq!(seen.offsets(source(topic, kept)), range(0, 20));
        assert_eq!(seen.offsets(source(topic, gone)), range(0, 10));
    }
}
