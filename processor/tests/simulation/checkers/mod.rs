//! What must hold, one file an invariant. Some are held at every step, where the broker and the disks call them; the others
//! when the members have come to rest.

pub mod nothing_doubled;
pub mod nothing_lost;
pub mod one_owner;
pub mod same_bytes;
pub mod store_behind_journal;
pub mod timers_complete;
pub mod true_ticks;

use std::rc::Rc;

use crate::sim::Sim;
use crate::truth;

/// All that is held at rest.
pub fn at_rest(sim: &Rc<Sim>) {
    for partition in 0..sim.plan.partitions {
        let journal = truth::journal(sim, partition);
        nothing_doubled::journal(partition, &journal);
        let truth = truth::of(sim, partition, &journal);
        nothing_lost::check(sim, partition, &journal, &truth);
        true_ticks::check(sim, partition, &truth);
    }
    nothing_doubled::check(sim);
    timers_complete::at_rest(sim);
    same_bytes::check(sim);
}
