//! One owner a partition.
//!
//! A process *goes live* with a partition when it has restored it and starts to read on. What it restored from is only right
//! if nobody else adds to the journal after that. So a transaction that carries a journal record of a partition may be
//! committed by the process alone that went live with it last. The broker does not see to that: it takes offsets from every
//! member of the present generation, owner or not, and takes the end of a transaction from every producer of the right epoch.
//! (Before the next owner goes live, the old one may still finish: the next one waits for it.)
//!
//! And a transaction is whole: what is committed with alerts has the journal records and the offsets that belong to them.
//! Half of one is what a late `EndTxn` makes of the transaction after its own.

use std::collections::BTreeSet;

use tocsin::task::world::PartitionId;

use crate::broker::{Broker, Place, TxId};

/// The broker is about to commit a transaction.
pub fn at_commit(broker: &Broker, tx: TxId) {
    let tx = &broker.transactions.all[tx];
    let Some(by) = tx.by else { return };
    let journal: BTreeSet<PartitionId> = tx
        .touched
        .iter()
        .filter_map(|place| if let Place::Journal(partition) = place { Some(*partition) } else { None })
        .collect();
    for partition in &journal {
        let live = broker.live.get(partition);
        assert!(live == Some(&by), "partition {partition}: {by:?} publishes, but {live:?} is live");
    }
    let offsets: BTreeSet<PartitionId> = tx.offsets.iter().map(|(partition, _)| *partition).collect();
    assert_eq!(journal, offsets, "{by:?}: a transaction is committed in half");
}
