//! Static members: they keep their partitions while they are away, and leave none without an owner.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tocsin::task::world::{PartitionId, Rebalance, World, WorldError};

use super::stage::{PATIENCE, Seen, Stage, TestWorld, WAIT, shared, start_assigned, transaction};

/// Serves a world, answering everything at once; what it holds is kept up to date.
fn serve(world: &mut TestWorld, held: &mut BTreeSet<PartitionId>) {
    match Seen::default().poll(world, 1) {
        None => {}
        Some(Rebalance::Assigned(partitions)) => {
            world.fence().unwrap();
            world.start(&partitions.iter().map(|partition| (*partition, vec![0])).collect::<Vec<_>>()).unwrap();
            held.extend(partitions);
        }
        Some(Rebalance::Revoked { partitions, .. }) => {
            held.retain(|partition| !partitions.contains(partition));
            world.release(&partitions).unwrap();
        }
    }
}

/// Serves them until they hold all partitions; the time that it took.
fn until_all_are_owned(worlds: &mut [&mut TestWorld], partitions: PartitionId) -> Duration {
    let (started, mut held) = (Instant::now(), vec![BTreeSet::new(); worlds.len()]);
    while held.iter().flatten().count() < partitions as usize {
        assert!(started.elapsed() < PATIENCE, "nobody has some of them: {held:?}");
        for (world, held) in worlds.iter_mut().zip(&mut held) {
            serve(world, held);
        }
    }
    assert_eq!(held.iter().flatten().collect::<BTreeSet<_>>().len(), partitions as usize, "twice: {held:?}");
    started.elapsed()
}

/// A cooperative rebalance has two rounds: in the first a partition that moves leaves its owner, in the second it gets
/// the next. If the owner ends in between, the group is stable without it, and the broker gives those who come back by
/// their names what the first round gave them.
#[test]
fn a_partition_on_its_way_gets_an_owner_when_those_who_ended_come_back() {
    let Some(broker) = shared("a_partition_on_its_way_gets_an_owner") else { return };
    for ended in ["both", "the one that gives"] {
        let stage = Stage::new(&broker, if ended == "both" { "between-both" } else { "between-one" }, 3);
        let (mut one, mut other) = (stage.named_world("one"), stage.named_world("other"));
        assert_eq!(start_assigned(&mut one), [0, 1, 2]);
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < PATIENCE);
            assert_eq!(Seen::default().poll(&mut other, 1), None);
            match Seen::default().poll(&mut one, 1) {
                None => {}
                Some(Rebalance::Revoked { partitions, lost: false }) if partitions.len() == 1 => break,
                unexpected => panic!("{unexpected:?}"),
            }
        }
        // It is not given back, so the second round has not begun.
        drop(one);
        if ended == "both" {
            drop(other);
            other = stage.named_world("other");
        }
        let took = until_all_are_owned(&mut [&mut stage.named_world("one"), &mut other], 3);
        assert!(took < stage.settings.session_timeout, "{ended} ended: {took:?}");
        println!("{ended} ended: all are owned after {took:?}");
    }
}

#[test]
fn who_comes_back_goes_on_at_once_and_nobody_stops_for_it() {
    let Some(broker) = shared("who_comes_back_goes_on_at_once") else { return };
    let stage = Stage::new(&broker, "back", 2);
    let (mut one, mut other) = (stage.named_world("one"), stage.named_world("other"));
    let (started, mut first, mut kept) = (Instant::now(), BTreeSet::new(), BTreeSet::new());
    // Whoever comes first has both for a while.
    while first.len() != 1 || kept.len() != 1 {
        assert!(started.elapsed() < PATIENCE, "they do not share: {first:?} {kept:?}");
        serve(&mut one, &mut first);
        serve(&mut other, &mut kept);
    }
    for _ in 0..3 {
        drop(one);
        one = stage.named_world("one");
        let (started, mut held) = (Instant::now(), BTreeSet::new());
        while held.is_empty() {
            assert!(started.elapsed() < stage.settings.session_timeout, "it is not given anything");
            serve(&mut one, &mut held);
            // It may still be answering to the time before.
            serve(&mut other, &mut kept);
        }
        let took = started.elapsed();
        assert!(took < stage.settings.session_timeout / 3, "{took:?}");
        assert!(held.is_disjoint(&kept), "{held:?} {kept:?}");
        println!("back after {took:?}");
        // The rebalance that it asked for takes nothing from anybody, and both publish in the middle of it.
        let until = Instant::now() + Duration::from_secs(4);
        while Instant::now() < until {
            for (world, held) in [(&mut one, &held), (&mut other, &kept)] {
                assert_eq!(Seen::default().poll(world, 1), None);
                let offsets: Vec<_> = held.iter().map(|partition| (*partition, 0)).collect();
                world.publish(&transaction(&offsets, "meanwhile")).unwrap();
            }
        }
    }
}

#[test]
fn of_two_with_one_name_the_older_ends() {
    let Some(broker) = shared("of_two_with_one_name_the_older_ends") else { return };
    let stage = Stage::new(&broker, "namesake", 1);
    let mut older = stage.named_world("one");
    start_assigned(&mut older);
    let mut newer = stage.named_world("one");
    assert_eq!(start_assigned(&mut newer), [0]);
    // It takes the other one for a ghost of its own first, which would go within a session and half a minute.
    let (started, patience) = (Instant::now(), stage.settings.session_timeout + 2 * PATIENCE);
    let ended = loop {
        assert!(started.elapsed() < patience);
        assert_eq!(Seen::default().poll(&mut newer, 1), None);
        match older.poll(1, WAIT, None, &mut |_| ()) {
            Err(error) => break error,
            Ok(Some(Rebalance::Revoked { partitions, .. })) => older.release(&partitions).unwrap(),
            Ok(_) => {}
        }
    };
    let WorldError::Fenced(message) = ended else { panic!("{ended:?}") };
    for words in ["`namesake-one-0`", "give each instance a name of its own"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    newer.publish(&transaction(&[(0, 0)], "mine now")).unwrap();
}
