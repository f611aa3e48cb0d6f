//! One owner a partition.
//!
//! A process *goes live* with a partition when it has restored it and starts to read on. What it restored from is only right
//! for as long as nobody else adds to the journal. So a transaction that carries a journal record of a partition may be
//! committed only if nobody else's was since the process went live with it. The broker does not see to that: it takes offsets
//! from every member of the present generation, owner or not, and takes the end of a transaction from every producer of the
//! right epoch. (An owner of before may still finish while the next one restores: that one waits. And one that does not know
//! yet that it is none any more may go live; it may not publish.)
//!
//! And a transaction is whole: what is committed with alerts has the journal records and the offsets that belong to them.
//! Half of one is what a late `EndTxn` makes of the transaction after its own.

use std::collections::BTreeSet;

use tocsin::task::world::PartitionId;

use crate::broker::{Broker, Place, TxId};

/// The broker is about to commit a transaction.
pub fn at_commit(broker: &mut Broker, tx: TxId) {
    let moment = broker.moment();
    let tx = &broker.transactions.all[tx];
    let Some(by) = tx.by else { return };
    let journal: BTreeSet<PartitionId> = tx
        .touched
        .iter()
        .filter_map(|place| if let Place::Journal(partition) = place { Some(*partition) } else { None })
        .collect();
    for partition in &journal {
        let went_live = broker.went_live.get(&(*partition, by));
        let other = broker.published.get(partition).filter(|(other, at)| *other != by && Some(at) > went_live);
        assert!(other.is_none(), "partition {partition}: {by:?} publishes, but {other:?} has since it went live");
    }
    let offsets: BTreeSet<PartitionId> = tx.offsets.iter().map(|(source, _)| source.partition).collect();
    assert_eq!(journal, offsets, "{by:?}: a transaction is committed in half");
    broker.published.extend(journal.into_iter().map(|partition| (partition, (by, moment))));
}
