//! The store is never ahead of the journal.
//!
//! The journal is all that is left after a crash, and it is replayed from where the store stands. A store that holds the
//! outcome of a step the journal does not have would have that step done twice, or done though it never was published. So
//! whenever a batch reaches a disk, the position in it must be that of a journal record whose commit is decided, by offset,
//! number, input, watermark and generation; and no batch may lack its position, or rows and position part ways. Checkpoints are
//! copies of such stores, so the same holds for them (the disk compares them with the position they are said to be of).

use tocsin::codec::journal::JournalRecord;
use tocsin::codec::rows::{self, Position};
use tocsin::store::Column;
use tocsin::task::world::PartitionId;

use crate::sim::Sim;

type Changes = [(Column, Vec<u8>, Option<Vec<u8>>)];

pub fn at_write(sim: &Sim, partition: PartitionId, changes: &Changes) {
    let position = changes.iter().find(|(column, key, _)| *column == Column::Meta && key == rows::POSITION_KEY);
    let position = position.and_then(|(_, _, value)| value.as_ref()).expect("a batch without a position");
    check(sim, partition, &rows::read_position(position).unwrap());
}

fn check(sim: &Sim, partition: PartitionId, position: &Position) {
    let broker = sim.broker.borrow();
    let log = &broker.journal[partition as usize];
    let place = usize::try_from(position.journal_offset).expect("a store is written before the first journal record");
    let entry = log.entries.get(place);
    let decided = entry.and_then(|entry| entry.tx).is_some_and(|tx| broker.transactions.is_committed(tx));
    assert!(decided, "partition {partition}: the store is at journal offset {place}, which is not committed");
    let payload = entry.and_then(|entry| entry.data.as_ref()?.payload.as_deref());
    let record = JournalRecord::decode(payload.expect("a store is at a marker")).unwrap();
    let next: Vec<_> = position.inputs.iter().map(|(topic, next)| (topic.to_string(), *next)).collect();
    let read: Vec<_> = record.to.offsets.iter().map(|offset| (offset.topic.clone(), offset.next)).collect();
    let said = (record.sequence, read, record.to.watermark, record.to.rules);
    let stored = (position.journal_sequence, next, position.watermark, position.generation);
    assert_eq!(stored, said, "partition {partition}: the store and the journal record it was written behind");
}
