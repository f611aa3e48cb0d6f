//! Timers are complete.
//!
//! A silence fires because somebody looks at its instant, and the only thing that makes anybody look is a timer in the store.
//! So in every store: a customer of whom something is due has a timer at or before that, and the head says which it is
//! (`armed`); and at rest nothing that is due at or before the watermark is left. A timer that was deleted too early, or armed
//! in memory alone, shows here long before the alert that it would have been is missed.

use std::collections::BTreeSet;

use tocsin::codec::rows;
use tocsin::store::{Column, MemoryStore};
use tocsin::task::timers::Timer;
use tocsin::task::world::PartitionId;

use crate::disk::{position_of, rows_of};
use crate::sim::Sim;

pub fn at_rest(sim: &Sim) {
    let broker = sim.broker.borrow();
    for (partition, owner) in sim.owners(&broker) {
        let disk = sim.slots[owner.slot].disk.borrow();
        if let Some(store) = disk.store(partition) {
            check(partition, store);
        }
    }
    for (partition, checkpoint) in sim.objects.borrow().all() {
        check(partition, &checkpoint.rows);
    }
}

fn check(partition: PartitionId, store: &MemoryStore) {
    let Some(position) = position_of(store) else { return };
    let mut timers = BTreeSet::new();
    let mut heads = Vec::new();
    for (column, key, value) in rows_of(store) {
        match column {
            Column::Timers => drop(timers.insert(rows::read_timer_key(&key).unwrap())),
            // The last byte says which row of the customer it is; ids are texts between.
            Column::Customers if key.last() == Some(&0) && key == rows::head_key(&id_of(&key)) => {
                heads.push((id_of(&key), rows::read_head(&value).unwrap().customer));
            }
            Column::Customers | Column::Meta => {}
        }
    }
    for (id, customer) in heads {
        let Some(due) = customer.due() else { continue };
        let armed = customer
            .armed
            .get()
            .unwrap_or_else(|| panic!("partition {partition}: {id} is due at {due} and has no timer"));
        assert!(armed <= due, "partition {partition}: {id} is due at {due}, the timer is at {armed}");
        assert!(
            timers.contains(&(armed, id.as_str().into())),
            "partition {partition}: {id}'s timer at {armed} is not stored"
        );
        // In the middle of a drain, what is due lies behind where it was cut; in a sweep, who was not adopted yet is judged then.
        let is_over = !position.draining && position.sweep.is_none();
        let is_left = is_over && position.watermark.is_some_and(|watermark| armed <= watermark);
        assert!(!is_left, "partition {partition}: {id} is due at {due}, the watermark {:?}", position.watermark);
    }
    let is_early = |timer: &Timer| position.drained.as_ref().is_some_and(|drained| timer <= drained);
    assert!(
        !timers.iter().any(is_early),
        "partition {partition}: timers before the last one taken would never be looked at"
    );
}

fn id_of(key: &[u8]) -> String {
    String::from_utf8_lossy(&key[3..key.len() - 1]).into_owned()
}
