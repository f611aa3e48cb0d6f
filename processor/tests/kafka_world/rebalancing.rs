//! Partitions that come and go.

use std::thread;
use std::time::{Duration, Instant};

use tocsin::task::world::{Offset, Rebalance, World, WorldError};

use super::stage::{
    Asked as _, PATIENCE, Seen, Stage, WAIT, assigned, own_broker, rebalance_within, shared, start_assigned,
    transaction,
};

#[test]
fn what_is_revoked_stays_until_it_is_released() {
    let Some(broker) = shared("what_is_revoked_stays_until_it_is_released") else { return };
    let stage = Stage::new(&broker, "revoke", 2);
    let upstream = stage.upstream(None);
    for partition in [0, 1] {
        stage.produce(&upstream, partition, 0..10);
    }
    let (mut one, mut other) = (stage.world("one"), stage.world("other"));
    assert_eq!(start_assigned(&mut one), [0, 1]);
    Seen::default().until(&mut one, |seen| seen.ends.len() == 2);

    let started = Instant::now();
    let revoked = loop {
        assert!(started.elapsed() < PATIENCE);
        assert_eq!(Seen::default().poll(&mut other, 1), None);
        if let Some(rebalance) = Seen::default().poll(&mut one, 1) {
            break rebalance;
        }
    };
    let Rebalance::Revoked { partitions: gone, lost: false } = &revoked else { panic!("{revoked:?}") };
    assert_eq!(gone.len(), 1);
    // Not answered, it is told again; and nobody else is given the partition for longer than a session lasts.
    let unanswered = Instant::now();
    while unanswered.elapsed() < stage.settings.session_timeout + Duration::from_secs(1) {
        assert_eq!(Seen::default().poll(&mut one, 1).as_ref(), Some(&revoked));
        assert_eq!(Seen::default().poll(&mut other, 1), None);
    }
    // What was judged can still be published, as a member in good standing.
    one.publish(&transaction(&[(0, 10), (1, 10)], "last words")).unwrap();
    one.release(gone).unwrap();

    let started = Instant::now();
    let taken = loop {
        assert!(started.elapsed() < PATIENCE);
        assert_eq!(Seen::default().poll(&mut one, 1), None);
        if let Some(rebalance) = Seen::default().poll(&mut other, 1) {
            break rebalance;
        }
    };
    assert_eq!(taken, Rebalance::Assigned(gone.clone()));
    other.fence().unwrap();
    assert_eq!(other.committed_offset(gone[0]).unwrap(), Some(10));
    assert_eq!(other.journal_after(gone[0], -1).unwrap().len(), 1);
    other.start(&[(gone[0], vec![10])]).unwrap();
    other.publish(&transaction(&[(gone[0], 10)], "mine now")).unwrap();
    // The one that stayed goes on where it was, and so it does after a restart.
    let kept = 1 - gone[0];
    stage.produce(&upstream, kept, 10..12);
    let mut seen = Seen::default();
    seen.until(&mut one, |seen| seen.count(kept) == 2);
    assert_eq!(seen.records[&kept], [10, 11]);
    one.hold();
    assert_eq!(assigned(&mut one), [kept]);
    one.start(&[(kept, vec![11])]).unwrap();
    let mut seen = Seen::default();
    seen.until(&mut one, |seen| seen.ends.contains_key(&kept));
    assert_eq!(seen.records[&kept], [11]);
    // A member that goes says so: nobody waits for its session to end.
    drop(one);
    let started = Instant::now();
    assert_eq!(assigned(&mut other), [kept]);
    assert!(started.elapsed() < stage.settings.session_timeout);
}

#[test]
fn a_rebalance_does_not_disturb_those_who_publish() {
    let Some(broker) = shared("a_rebalance_does_not_disturb_those_who_publish") else { return };
    let stage = Stage::new(&broker, "busy", 4);
    let mut one = stage.world("one");
    start_assigned(&mut one);
    let worker = thread::spawn(move || {
        let (mut held, mut published) = (vec![0, 1, 2, 3], 0);
        let until = Instant::now() + Duration::from_secs(12);
        while Instant::now() < until {
            let offsets: Vec<_> = held.iter().map(|partition| (*partition, 0)).collect();
            one.publish(&transaction(&offsets, "round")).unwrap();
            published += 1;
            match one.poll(1, Duration::ZERO, None, &mut |_| ()).unwrap() {
                None => {}
                Some(Rebalance::Revoked { partitions, lost: false }) => {
                    held.retain(|partition| !partitions.contains(partition));
                    one.release(&partitions).unwrap();
                }
                Some(Rebalance::Assigned(partitions)) => {
                    one.start(&partitions.iter().map(|partition| (*partition, vec![0])).collect::<Vec<_>>()).unwrap();
                    held.extend(partitions);
                }
                Some(lost) => panic!("{lost:?}"),
            }
        }
        (held, published)
    });
    // Others come and go under it.
    for instance in ["two", "three", "four"] {
        let mut passing = stage.world(instance);
        let partitions = start_assigned(&mut passing);
        assert!(!partitions.is_empty());
        thread::sleep(Duration::from_millis(300));
        passing.poll(1, WAIT, None, &mut |_| ()).unwrap();
        drop(passing);
    }
    let (held, published) = worker.join().unwrap();
    assert_eq!(held.len(), 4, "all are back");
    assert!(published > 50, "{published}");
}

#[test]
fn a_member_that_the_group_gave_up_publishes_nothing() {
    let Some(broker) = own_broker("a_member_that_the_group_gave_up_publishes_nothing") else { return };
    let mut stage = Stage::new(&broker, "lost", 1);
    stage.settings.session_timeout = Duration::from_secs(2);
    let mut world = stage.world("a");
    start_assigned(&mut world);
    world.publish(&transaction(&[(0, 0)], "one")).unwrap();
    broker.freeze();
    thread::sleep(Duration::from_secs(4));
    broker.thaw();
    thread::sleep(Duration::from_secs(1));
    let failed = world.publish(&transaction(&[(0, 0)], "two"));
    assert!(matches!(failed, Err(WorldError::Unsettled(_))), "{failed:?}");
    let revoked = rebalance_within(&mut world, PATIENCE);
    assert_eq!(revoked, Some(Rebalance::Revoked { partitions: vec![0], lost: true }));
    world.release(&[0]).unwrap();
    start_assigned(&mut world);
    world.publish(&transaction(&[(0, 0)], "three")).unwrap();
    let payloads: Vec<_> = world.journal_after(0, -1).unwrap().into_iter().map(|logged| logged.payload).collect();
    assert_eq!(payloads, [b"one".to_vec(), b"three".to_vec()]);
}

/// librdkafka issue 4844: a batch with an end of partition moved the place to go on at, after a pause, one too far.
#[test]
fn no_record_is_lost_where_an_end_and_a_rebalance_meet() {
    let Some(broker) = shared("no_record_is_lost_where_an_end_and_a_rebalance_meet") else { return };
    let stage = Stage::new(&broker, "meet", 1);
    let upstream = stage.upstream(None);
    let mut world = stage.world("stays");
    start_assigned(&mut world);
    let (mut seen, mut produced) = (Seen::default(), 0);
    // Each of those who come and go makes two rebalances, in which the only partition stays where it is.
    for _ in 0..3 {
        seen.until(&mut world, |seen| seen.ends.get(&0) == Some(&(produced as Offset)));
        let mut passing = stage.world("passes");
        for present in [true, false] {
            let until = Instant::now() + Duration::from_secs(2);
            while Instant::now() < until {
                assert_eq!(seen.poll(&mut world, 10), None);
                if present {
                    assert_eq!(Seen::default().poll(&mut passing, 1), None);
                }
            }
            stage.produce(&upstream, 0, produced..produced + 1);
            produced += 1;
            seen.until(&mut world, |seen| seen.ends.get(&0) == Some(&(produced as Offset)));
        }
        drop(passing);
    }
    assert_eq!(seen.records[&0], (0..produced as Offset).collect::<Vec<_>>());
}
