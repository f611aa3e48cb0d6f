//! Nothing is published twice.
//!
//! A consumer that reads committed records sees (`alert_id`, `sequence`) once, and a refused event's offset once among the
//! dead letters. Both follow if each event is judged once in the history that the journal tells: so its records must follow on
//! each other without a gap, by number and by place. It is a transaction that makes alerts and journal one: an alert without
//! its journal record would be published again by whoever restores from that journal.

use std::collections::BTreeSet;

use tocsin::codec::journal::JournalRecord;
use tocsin::task::world::{Offset, PartitionId};

use crate::sim::Sim;
use crate::truth::field;

pub fn journal(partition: PartitionId, journal: &[(Offset, JournalRecord)]) {
    let mut before: Option<&JournalRecord> = None;
    for (place, (offset, record)) in journal.iter().enumerate() {
        assert_eq!(
            record.sequence,
            place as i64 + 1,
            "partition {partition}: number of the journal record at {offset}"
        );
        assert!(
            before.is_none_or(|before| before.to == record.from),
            "partition {partition}: the journal record at {offset} does not begin where the one before it ends"
        );
        before = Some(record);
    }
}

pub fn check(sim: &Sim) {
    let broker = sim.broker.borrow();
    let mut seen = BTreeSet::new();
    for (_, entry) in broker.alerts.committed(0) {
        let record = entry.data.as_ref().unwrap().payload.as_deref().unwrap();
        let key = (field(record, "alert_id").to_vec(), field(record, "sequence").to_vec());
        assert!(seen.insert(key), "published twice: {}", String::from_utf8_lossy(record));
    }
    sim.reached.borrow_mut().add_many("alerts", seen.len() as u64);
    let mut letters = BTreeSet::new();
    for (_, entry) in broker.letters.committed(0) {
        let headers = &entry.data.as_ref().unwrap().headers;
        let header = |name| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let key = (header("tocsin.topic"), header("tocsin.partition"), header("tocsin.offset"));
        assert!(letters.insert(key.clone()), "a dead letter twice: {key:?}");
    }
    sim.reached.borrow_mut().add_many("dead letters", letters.len() as u64);
}
