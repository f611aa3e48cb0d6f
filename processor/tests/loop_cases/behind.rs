//! When stores are written; how soon they catch up.

use std::collections::BTreeMap;

use tocsin::codec::rows::{POSITION_KEY, read_position};
use tocsin::store::{Column, Store as _};
use tocsin_core::time::{HOUR, MINUTE};

use crate::memory_world::Disk;
use crate::setup::{BASE, LATER, Options, event, journal, json, log_of, member, round};

/// The next offset that the store knows of, after 20 customers came one after the other within the write-behind interval; and
/// how often a member has written who restored them all without a store.
fn written(cached_customers: usize) -> (i64, usize) {
    let purchase = |number: i64| {
        let customer = format!("c{number}");
        event(&customer, &json(&format!("e{number}"), "purchase", &customer, BASE + number * MINUTE, ""), LATER)
    };
    let log = log_of(BTreeMap::from([(0, (0..20).map(purchase).collect())]), BASE);
    let disk = Disk::default();
    let options = Options { max_batch: 2, write_behind: HOUR, cached_customers, ..Options::default() };
    let mut member = member(0, &log, &disk, &options);
    (0..60).for_each(|_| round(&mut member));
    drop(member);
    let fresh = Disk::default();
    let mut second = self::member(0, &log, &fresh, &options);
    (0..60).for_each(|_| round(&mut second));
    let writes = fresh.lock().unwrap().writes;
    (next_offset(&disk), writes)
}

fn next_offset(disk: &Disk) -> i64 {
    let disk = disk.lock().unwrap();
    let position = disk.kept.get(&0).and_then(|store| store.get(Column::Meta, POSITION_KEY).unwrap());
    position.map_or(0, |row| read_position(&row).unwrap().inputs[0].1)
}

#[test]
fn a_store_is_written_before_its_time_when_there_is_no_room_left() {
    assert_eq!(written(1_000), (0, 0));
    // Once half of the room is taken.
    let (live, writes) = written(4);
    assert!(live >= 16, "{live}");
    // Not once at the end of the replay: that may be long.
    assert!((5..=10).contains(&writes), "{writes}");
}

/// While other partitions are at work each round: a round takes a while, and a restore has many steps.
#[test]
fn a_restore_is_done_in_a_few_rounds() {
    let purchases = |count: i64| {
        let purchase =
            |number: i64| event("c", &json(&format!("e{number}"), "purchase", "c", BASE + number, ""), LATER);
        (0..count).map(purchase).collect::<Vec<_>>()
    };
    let log = log_of(BTreeMap::from([(0, purchases(200)), (1, Vec::new())]), BASE);
    let options = Options { max_batch: 2, partitions: 2, ..Options::default() };
    let mut first = member(0, &log, &Disk::default(), &options);
    (0..300).for_each(|_| round(&mut first));
    drop(first);
    assert!(journal(&log, 0).len() >= 100);
    // On another machine, without a store.
    let mut second = member(0, &log, &Disk::default(), &options);
    log.lock().unwrap().input.get_mut(&0).unwrap().extend(purchases(1));
    let before = journal(&log, 0).len();
    (0..20).for_each(|_| round(&mut second));
    assert_eq!(journal(&log, 0).len(), before + 1, "it is live again");
}
