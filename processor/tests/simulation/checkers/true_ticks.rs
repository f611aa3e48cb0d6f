//! Ticks are true.
//!
//! A tick says: nothing that was written before (the watermark plus the bound) is still to be read. It is made at a time of
//! the member's clock, which lies before the question to the broker, so whatever lies at or behind the position of the tick
//! must have been appended at that time or later, also if it was in an open transaction then and no reader saw it. (Of a
//! transaction that is aborted in the end, nothing was missed.)
//! With several topics that is asked of those whose own events had not come so far.
//! Else a silence may have been declared of a customer whose event already lay in the topic. Clocks are off by as much as the
//! seed lets them, which the program tolerates up to a minute.

use tocsin::task::world::PartitionId;
use tocsin_core::time::{Millis, SECOND};

use crate::rules::TIME;
use crate::sim::Sim;
use crate::truth::Truth;

/// A minute, and what questions to the broker may take.
const TOLERATED: Millis = 70 * SECOND;

pub fn check(sim: &Sim, partition: PartitionId, truth: &Truth) {
    let broker = sim.broker.borrow();
    for tick in &truth.ticks {
        // A clock that is set after it was last compared is known to be off all the same.
        let asked_at = tick.watermark + TIME.max_out_of_orderness - sim.plan.skew.min(TOLERATED);
        for (source, next) in &tick.next {
            for (offset, entry) in broker.events[source].committed(*next) {
                assert!(
                    entry.appended >= asked_at,
                    "partition {partition}: the tick to {} at offset {next} of topic {} passed over offset {offset}, which had \
                     been there for {} ms",
                    tick.watermark,
                    source.topic,
                    asked_at - entry.appended
                );
            }
        }
    }
}
