//! The broker: topics, the transaction coordinator, the group coordinator.
//!
//! It fences as Kafka's does, and no better: offsets of a transaction are taken from any member of the present generation,
//! whether it owns the partitions or not; a transaction without offsets is not checked against the group at all; and an
//! `EndTxn` carries no more than producer and epoch, so that a copy that is late ends whatever transaction is open then.

pub mod group;
pub mod log;
mod transactions;

use std::collections::BTreeMap;

use tocsin::task::world::{PartitionId, Source};
use tocsin_core::time::Millis;

use crate::plan::Plan;
use crate::reached::Reached;
use crate::rng::Rng;
use crate::sim::Me;
pub use group::{Group, MemberId};
use log::{Data, Entry, Log};
pub use transactions::{Late, Refusal, Transactions};

/// Number of a transaction, over all producers.
pub type TxId = usize;

/// A partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Events(Source),
    Journal(PartitionId),
    Alerts,
    Letters,
}

#[derive(Debug)]
pub struct Broker {
    pub now: Millis,
    pub events: BTreeMap<Source, Log>,
    pub journal: Vec<Log>,
    pub alerts: Log,
    pub letters: Log,
    pub transactions: Transactions,
    pub group: Group,
    /// When each process last went live with a partition, and who published for it last, by a count of such moments.
    pub went_live: BTreeMap<(PartitionId, Me), u64>,
    pub published: BTreeMap<PartitionId, (Me, u64)>,
    moments: u64,
}

impl Broker {
    pub fn new(plan: &Plan, now: Millis) -> Self {
        let logs = || (0..plan.partitions).map(|_| Log::default()).collect();
        Self {
            now,
            events: plan.sources().map(|source| (source, Log::default())).collect(),
            journal: logs(),
            alerts: Log::default(),
            letters: Log::default(),
            transactions: Transactions::default(),
            group: Group::new(plan.partitions),
            went_live: BTreeMap::new(),
            published: BTreeMap::new(),
            moments: 0,
        }
    }

    /// A process has restored a partition and begins to read on.
    pub fn goes_live(&mut self, partition: PartitionId, me: Me) {
        let moment = self.moment();
        self.went_live.insert((partition, me), moment);
    }

    pub fn moment(&mut self) -> u64 {
        self.moments += 1;
        self.moments
    }

    pub fn log(&mut self, place: Place) -> &mut Log {
        match place {
            Place::Events(source) => self.events.get_mut(&source).unwrap(),
            Place::Journal(partition) => &mut self.journal[partition as usize],
            Place::Alerts => &mut self.alerts,
            Place::Letters => &mut self.letters,
        }
    }

    /// Writes a record outside of any of our transactions.
    pub fn append(&mut self, place: Place, data: Data, timestamp: Millis, tx: Option<TxId>) {
        let appended = self.now;
        self.log(place).append(Entry { data: Some(data), timestamp, appended, tx });
    }

    /// What happens by itself as time goes on.
    pub fn step(&mut self, plan: &Plan, rng: &mut Rng, reached: &mut Reached) {
        self.arrive(plan, rng, reached);
        self.time_out(plan, rng, reached);
        self.write_markers();
        self.group.step(self.now, plan, rng, reached);
    }
}
