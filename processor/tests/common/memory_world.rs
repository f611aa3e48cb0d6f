//! A world in memory: a log with transactions, stores that survive a crash, a clock that is set by hand.
//!
//! It does what the loop relies on and no more: a transaction happens wholly or not at all, a journal can be read back, a
//! crash loses whatever was not in the log or in a store.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tocsin::store::{Batch, Column, MemoryStore, Store, StoreError};
use tocsin::task::world::{
    Arrival, Input, Logged, Offset, Outgoing, PartitionId, Rebalance, Transaction, World, WorldError,
};

/// What a publish does, beside what it is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It does not happen, and says that it does not know.
    LostBefore,
    /// It happens, and says that it does not know.
    LostAfter,
}

#[derive(Clone, Debug)]
pub struct Event {
    pub timestamp: i64,
    pub key: Vec<u8>,
    pub payload: Vec<u8>,
}

#[derive(Debug, Default)]
pub struct Log {
    pub input: BTreeMap<PartitionId, Vec<Event>>,
    pub alerts: Vec<Outgoing>,
    pub dead_letters: Vec<Outgoing>,
    pub journal: BTreeMap<PartitionId, Vec<Vec<u8>>>,
    pub committed: BTreeMap<PartitionId, Offset>,
    pub stores: BTreeMap<PartitionId, MemoryStore>,
    pub now: i64,
    /// An upstream transaction is open: readers of committed records stop here.
    pub open_at: BTreeMap<PartitionId, Offset>,
}

pub type SharedLog = Arc<Mutex<Log>>;

/// One member's view of the log.
#[derive(Debug)]
pub struct MemoryWorld {
    pub log: SharedLog,
    pub faults: VecDeque<Fault>,
    /// Records handed out at a poll, at most.
    pub batch: usize,
    pending: Option<Rebalance>,
    reading: BTreeMap<PartitionId, (Offset, bool)>,
}

impl MemoryWorld {
    /// A member that is assigned every partition.
    pub fn new(log: &SharedLog) -> Self {
        let partitions = log.lock().unwrap().input.keys().copied().collect();
        Self {
            log: log.clone(),
            faults: VecDeque::new(),
            batch: usize::MAX,
            pending: Some(Rebalance::Assigned(partitions)),
            reading: BTreeMap::new(),
        }
    }

    pub fn rebalance(&mut self, rebalance: Rebalance) {
        self.pending = Some(rebalance);
    }
}

/// Writes go to the log's copy, which survives.
#[derive(Debug)]
pub struct KeptStore {
    log: SharedLog,
    partition: PartitionId,
}

impl Store for KeptStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.log.lock().unwrap().stores.entry(self.partition).or_default().get(column, key)
    }

    fn keys_after(&self, column: Column, after: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.log.lock().unwrap().stores.entry(self.partition).or_default().keys_after(column, after, limit)
    }

    fn write(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.log.lock().unwrap().stores.entry(self.partition).or_default().write(batch)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        0
    }

    fn place(&self) -> &'static str {
        "the test's memory"
    }
}

fn input(partition: PartitionId, offset: usize, event: &Event) -> Input<'_> {
    Input {
        partition,
        offset: offset as Offset,
        timestamp: Some(event.timestamp),
        key: Some(&event.key),
        payload: Some(&event.payload),
    }
}

impl World for MemoryWorld {
    type Store = KeptStore;

    fn now(&self) -> i64 {
        self.log.lock().unwrap().now
    }

    fn poll(
        &mut self,
        max: usize,
        _wait: Duration,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<Option<Rebalance>, WorldError> {
        if let Some(rebalance) = self.pending.take() {
            return Ok(Some(rebalance));
        }
        let log = self.log.lock().unwrap();
        for (&partition, (next, at_end)) in &mut self.reading {
            let events = &log.input[&partition];
            let readable = log.open_at.get(&partition).map_or(events.len(), |open| *open as usize);
            let until = readable.min(*next as usize + max.min(self.batch));
            for (offset, event) in events.iter().enumerate().take(until).skip(*next as usize) {
                each(Arrival::Record(input(partition, offset, event)));
                *at_end = false;
            }
            *next = (*next).max(until as Offset);
            if until == readable && !*at_end {
                *at_end = true;
                each(Arrival::End { partition, offset: *next });
            }
        }
        Ok(None)
    }

    fn start(&mut self, partitions: &[(PartitionId, Offset)]) -> Result<(), WorldError> {
        self.reading.extend(partitions.iter().map(|(partition, offset)| (*partition, (*offset, false))));
        Ok(())
    }

    fn release(&mut self, partitions: &[PartitionId]) -> Result<(), WorldError> {
        self.reading.retain(|partition, _| !partitions.contains(partition));
        Ok(())
    }

    fn publish(&mut self, transaction: &Transaction) -> Result<Vec<Offset>, WorldError> {
        let fault = self.faults.pop_front().unwrap_or(Fault::None);
        if fault == Fault::LostBefore {
            return Err(WorldError::Unsettled("lost before".into()));
        }
        let mut log = self.log.lock().unwrap();
        log.alerts.extend(transaction.alerts.iter().cloned());
        log.dead_letters.extend(transaction.dead_letters.iter().cloned());
        log.committed.extend(transaction.offsets.iter().copied());
        let mut offsets = Vec::new();
        for (partition, record) in &transaction.journal {
            let journal = log.journal.entry(*partition).or_default();
            offsets.push(journal.len() as Offset);
            journal.push(record.clone());
        }
        if fault == Fault::LostAfter { Err(WorldError::Unsettled("lost after".into())) } else { Ok(offsets) }
    }

    fn fence(&mut self) -> Result<(), WorldError> {
        Ok(())
    }

    fn end_of(&mut self, partition: PartitionId) -> Result<Offset, WorldError> {
        Ok(self.log.lock().unwrap().input[&partition].len() as Offset)
    }

    fn start_of(&mut self, _partition: PartitionId) -> Result<Offset, WorldError> {
        Ok(0)
    }

    fn committed(&mut self, partition: PartitionId) -> Result<Option<Offset>, WorldError> {
        Ok(self.log.lock().unwrap().committed.get(&partition).copied())
    }

    fn replay(
        &mut self,
        partition: PartitionId,
        from: Offset,
        to: Offset,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), WorldError> {
        let events = self.log.lock().unwrap().input[&partition].clone();
        for (offset, event) in events.iter().enumerate().take(to as usize).skip(from as usize) {
            each(input(partition, offset, event));
        }
        Ok(())
    }

    fn journal_after(&mut self, partition: PartitionId, offset: Offset) -> Result<Vec<Logged>, WorldError> {
        let log = self.log.lock().unwrap();
        let records = log.journal.get(&partition).map_or(&[][..], Vec::as_slice);
        let logged = |(offset, payload): (usize, &Vec<u8>)| Logged { offset: offset as Offset, payload: payload.clone() };
        Ok(records.iter().enumerate().skip((offset + 1) as usize).map(logged).collect())
    }

    fn open(&mut self, partition: PartitionId) -> Result<KeptStore, WorldError> {
        Ok(KeptStore { log: self.log.clone(), partition })
    }
}
