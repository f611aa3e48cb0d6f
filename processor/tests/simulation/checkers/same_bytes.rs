//! The same bytes on replay.
//!
//! All members write their stores and stop. A machine that has never seen any of it then restores every partition, from the
//! oldest journal record that is left or the newest checkpoint, by replay. It must come to the very rows that the owners'
//! stores hold (but for a number that means nothing, see below), through whatever crashes, moves, cut drains and half-written stores those have come; and it must find nothing
//! that is left to do. Both ways of restoring are tried where retention has left both. (That the same seed gives the same bytes
//! twice is checked over everything by the driver: it would show any use of a clock, of chance or of an unordered map.)

use std::collections::BTreeMap;
use std::rc::Rc;

use tocsin::codec::rows;
use tocsin::task::world::PartitionId;

use crate::broker::log::Log;
use crate::disk::Row;
use crate::sim::{Me, Sim};

pub fn check(sim: &Rc<Sim>) {
    let owners = sim.owners(&sim.broker.borrow());
    for slot in 0..sim.plan.machines {
        sim.stop(slot);
    }
    let is_whole = {
        let broker = sim.broker.borrow();
        broker.journal.iter().chain(broker.events.values()).all(|log| log.start == 0)
    };
    sim.no_idle.set(true);
    restore(sim, &owners, "from checkpoints");
    if is_whole && sim.plan.objects {
        sim.objects.borrow_mut().down_until = 0;
        sim.objects.borrow_mut().forget();
        restore(sim, &owners, "from the journal alone");
    }
}

fn restore(sim: &Rc<Sim>, owners: &BTreeMap<PartitionId, Me>, how: &str) {
    let size = || sim.broker.borrow().journal.iter().map(Log::end).sum::<i64>();
    let before = size();
    let slot = sim.checker();
    sim.slots[slot].disk.borrow_mut().wipe();
    sim.start(slot);
    sim.rest();
    assert_eq!(size(), before, "{how}: a machine that restored found something left to do");
    sim.stop(slot);
    for (partition, owner) in owners {
        let rows = |slot: usize| sim.slots[slot].disk.borrow().rows(*partition);
        let (fresh, kept) = (rows(slot), rows(owner.slot));
        for (fresh, kept) in fresh.iter().zip(&kept) {
            let is_same = fresh == kept || is_same_head(fresh, kept);
            assert!(
                is_same,
                "{how}: partition {partition}, row {}: {fresh:?} is not {kept:?}",
                String::from_utf8_lossy(&kept.1)
            );
        }
        assert_eq!(fresh.len(), kept.len(), "{how}: partition {partition}: rows");
    }
    sim.count("replays compared");
}

/// A sweep that changes nothing of a customer leaves the number of the generation in the row alone if the row need not be
/// written for another reason, which is a matter of when stores are written. Without a sweep that number means nothing.
fn is_same_head(one: &Row, other: &Row) -> bool {
    let without = |row: &Row| {
        let mut head = rows::read_head(&row.2).ok()?;
        head.customer.generation = 0;
        Some(format!("{head:?}"))
    };
    (one.0, &one.1) == (other.0, &other.1)
        && one.1.last() == Some(&0)
        && without(one).is_some_and(|one| Some(one) == without(other))
}
