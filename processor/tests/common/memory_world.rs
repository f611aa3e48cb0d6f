//! A world in memory: a log with transactions, stores that survive a crash, a clock that is set by hand.
//!
//! It does what the loop relies on and no more. A transaction happens wholly or not at all, and not for a member that
//! does not own what it touches; what was told of partitions is told again until it is answered; a crash loses whatever
//! was not in the log or on the member's disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tocsin::store::{Batch, Between, Column, Each, MemoryStore, Store, StoreError};
use tocsin::task::headers::Headers;
use tocsin::task::world::{
    Arrival, CheckpointFacts, Fetched, Input, Logged, Offset, Outgoing, PartitionId, Rebalance, Source, Stores,
    Transaction, World, WorldError,
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

/// A record of the events topic.
#[derive(Clone, Debug)]
pub struct Event {
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
}

/// What all members see.
#[derive(Debug, Default)]
pub struct Log {
    /// Of the first input topic.
    pub input: BTreeMap<PartitionId, Vec<Event>>,
    /// Of the others.
    pub further: BTreeMap<Source, Vec<Event>>,
    pub alerts: Vec<Outgoing>,
    pub dead_letters: Vec<Outgoing>,
    pub journal: BTreeMap<PartitionId, Vec<Vec<u8>>>,
    /// The first offset that retention has left of a journal.
    pub journal_start: BTreeMap<PartitionId, Offset>,
    /// The same of the events.
    pub input_start: BTreeMap<PartitionId, Offset>,
    pub committed: BTreeMap<Source, Offset>,
    /// The member that may publish for a partition.
    pub owners: BTreeMap<PartitionId, usize>,
    pub now: i64,
    /// By how much the wall clock is ahead of that.
    pub set_ahead: i64,
    /// An upstream transaction is open: readers of committed records stop here.
    pub open_at: BTreeMap<Source, Offset>,
    /// Nobody gets anything of these, not even that they are at their end.
    pub away: BTreeSet<Source>,
}

impl Log {
    pub fn events(&self, source: Source) -> &Vec<Event> {
        static NONE: Vec<Event> = Vec::new();
        let Source { topic, partition } = source;
        if topic == 0 { &self.input[&partition] } else { self.further.get(&source).unwrap_or(&NONE) }
    }
}

pub type SharedLog = Arc<Mutex<Log>>;
/// The stores of one machine.
pub type Disk = Arc<Mutex<Shelf>>;

/// What is kept, and what is open: as with a database, one store opens once at a time.
#[derive(Debug, Default)]
pub struct Shelf {
    pub kept: BTreeMap<PartitionId, MemoryStore>,
    /// What was set aside, and why.
    pub aside: Vec<(PartitionId, String)>,
    /// Batches that were written.
    pub writes: usize,
    open: BTreeSet<PartitionId>,
}

/// The stores of a disk, and checkpoints that all machines share.
#[derive(Clone, Debug, Default)]
pub struct DiskStores {
    pub disk: Disk,
    pub checkpoints: Checkpoints,
}

/// The newest checkpoint of each partition, with the number of its journal record.
pub type Checkpoints = Arc<Mutex<BTreeMap<PartitionId, (i64, MemoryStore)>>>;

impl Stores for DiskStores {
    type Store = KeptStore;

    fn open(&mut self, partition: PartitionId) -> Result<KeptStore, StoreError> {
        KeptStore::open(&self.disk, partition)
    }

    fn set_aside(&mut self, partition: PartitionId, reason: &str) -> Result<(), StoreError> {
        let mut disk = self.disk.lock().unwrap();
        assert!(!disk.open.contains(&partition), "an open store is set aside");
        disk.kept.remove(&partition);
        disk.aside.push((partition, reason.to_owned()));
        Ok(())
    }

    fn fetch(&mut self, partition: PartitionId, newer_than: i64) -> Result<Fetched, StoreError> {
        let checkpoints = self.checkpoints.lock().unwrap();
        let Some((_, store)) = checkpoints.get(&partition).filter(|(sequence, _)| *sequence > newer_than) else {
            return Ok(Fetched::None);
        };
        let mut disk = self.disk.lock().unwrap();
        assert!(!disk.open.contains(&partition), "an open store is replaced");
        disk.kept.insert(partition, store.clone());
        Ok(Fetched::Ready)
    }

    fn take_checkpoint(&mut self, partition: PartitionId, _store: &mut KeptStore, facts: CheckpointFacts<'_>) {
        let copy = self.disk.lock().unwrap().kept.get(&partition).cloned().unwrap_or_default();
        let mut checkpoints = self.checkpoints.lock().unwrap();
        let newest = checkpoints.entry(partition).or_default();
        if facts.position.journal_sequence > newest.0 {
            *newest = (facts.position.journal_sequence, copy);
        }
    }
}

/// How a member holds a partition; see the same in `kafka/assignment.rs`.
#[derive(Clone, Debug)]
enum Held {
    Waiting,
    /// Of each input topic the next offset, and whether its end has been told.
    Running {
        next: Vec<(Offset, bool)>,
    },
    Leaving {
        lost: bool,
    },
}

/// One member's view of the log, with its stores.
#[derive(Debug)]
pub struct MemoryWorld<T> {
    pub log: SharedLog,
    pub member: usize,
    pub faults: VecDeque<Fault>,
    /// Whether the next questions to the broker fail.
    pub hiccups: VecDeque<bool>,
    /// Records of a partition handed out at a poll, at most.
    pub batch: usize,
    /// Whether earlier instances have been shut out since partitions came.
    is_fenced: bool,
    stores: T,
    held: BTreeMap<PartitionId, Held>,
}

impl<T> MemoryWorld<T> {
    /// A member that is to be assigned what the log says it owns.
    pub fn new(log: &SharedLog, member: usize, stores: T) -> Self {
        let owned = log.lock().unwrap().owners.clone().into_iter().filter(|(_, owner)| *owner == member);
        Self {
            log: log.clone(),
            member,
            faults: VecDeque::new(),
            hiccups: VecDeque::new(),
            batch: usize::MAX,
            is_fenced: false,
            stores,
            held: owned.map(|(partition, _)| (partition, Held::Waiting)).collect(),
        }
    }

    pub fn assign(&mut self, partition: PartitionId) {
        self.held.insert(partition, Held::Waiting);
    }

    pub fn revoke(&mut self, partition: PartitionId, lost: bool) {
        if let Some(held) = self.held.get_mut(&partition) {
            *held = Held::Leaving { lost };
        }
    }

    pub fn holds(&self, partition: PartitionId) -> bool {
        self.held.contains_key(&partition)
    }

    /// What the member has to answer first.
    fn tell(&self) -> Option<Rebalance> {
        let leaving = |held: &Held| matches!(held, Held::Leaving { .. });
        let lost = self.held.values().any(|held| matches!(held, Held::Leaving { lost: true }));
        let partitions = |which: &dyn Fn(&Held) -> bool| -> Vec<PartitionId> {
            self.held.iter().filter(|(_, held)| which(held)).map(|(partition, _)| *partition).collect()
        };
        match (partitions(&leaving), partitions(&|held| matches!(held, Held::Waiting))) {
            (gone, _) if !gone.is_empty() => Some(Rebalance::Revoked { partitions: gone, lost }),
            (_, come) if !come.is_empty() => Some(Rebalance::Assigned(come)),
            _ => None,
        }
    }

    fn hiccup(&mut self) -> Result<(), WorldError> {
        let fails = self.hiccups.pop_front().unwrap_or(false);
        if fails { Err(WorldError::Transient("the broker does not answer".into())) } else { Ok(()) }
    }
}

/// A store that writes straight to the disk.
#[derive(Debug)]
pub struct KeptStore {
    disk: Disk,
    partition: PartitionId,
}

impl KeptStore {
    pub fn open(disk: &Disk, partition: PartitionId) -> Result<Self, StoreError> {
        if disk.lock().unwrap().open.insert(partition) {
            return Ok(Self { disk: disk.clone(), partition });
        }
        let message = format!("the lock of partition {partition} is held");
        Err(StoreError::Failed { place: "the test's memory".into(), action: "open", message })
    }

    fn with<T>(&self, work: impl FnOnce(&mut MemoryStore) -> T) -> T {
        work(self.disk.lock().unwrap().kept.entry(self.partition).or_default())
    }
}

impl Drop for KeptStore {
    fn drop(&mut self) {
        // While a test fails, the disk may be locked or poisoned, and nobody cares.
        if let Ok(mut disk) = self.disk.try_lock() {
            disk.open.remove(&self.partition);
        }
    }
}

impl Store for KeptStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|store| store.get(column, key))
    }

    fn keys_after(&self, column: Column, after: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.with(|store| store.keys_after(column, after, limit))
    }

    fn rows_between(&self, column: Column, keys: Between<'_>, each: &mut Each<'_>) -> Result<(), StoreError> {
        self.with(|store| store.rows_between(column, keys, each))
    }

    fn write(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.disk.lock().unwrap().writes += 1;
        self.with(|store| store.write(batch))
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

/// Every row of a store.
pub fn rows(disk: &Disk, partition: PartitionId) -> Vec<(Column, Vec<u8>, Vec<u8>)> {
    let store = disk.lock().unwrap().kept.get(&partition).cloned().unwrap_or_default();
    let all = |column| store.keys_after(column, &[], 1_000_000).unwrap().into_iter().map(move |key| (column, key));
    let value = |(column, key): (Column, Vec<u8>)| (column, key.clone(), store.get(column, &key).unwrap().unwrap());
    Column::ALL.into_iter().flat_map(all).map(value).collect()
}

fn input(source: Source, offset: usize, event: &Event) -> Input<'_> {
    let Source { topic, partition } = source;
    Input {
        topic,
        partition,
        offset: offset as Offset,
        timestamp: Some(event.timestamp),
        key: event.key.as_deref(),
        payload: event.payload.as_deref(),
        headers: Headers::default(),
    }
}

impl<T: Stores> World for MemoryWorld<T> {
    type Stores = T;

    fn stores(&mut self) -> &mut T {
        &mut self.stores
    }

    fn now(&self) -> i64 {
        let log = self.log.lock().unwrap();
        log.now + log.set_ahead
    }

    fn steady(&self) -> i64 {
        self.log.lock().unwrap().now
    }

    fn poll(
        &mut self,
        max: usize,
        _wait: Duration,
        wanted: Option<&[Source]>,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<Option<Rebalance>, WorldError> {
        if let Some(rebalance) = self.tell() {
            self.is_fenced &= !matches!(rebalance, Rebalance::Assigned(_));
            return Ok(Some(rebalance));
        }
        let log = self.log.lock().unwrap();
        let mut left = max;
        for (&partition, held) in &mut self.held {
            let Held::Running { next } = held else { continue };
            for (topic, (next, at_end)) in next.iter_mut().enumerate() {
                let source = Source { topic, partition };
                if wanted.is_some_and(|wanted| !wanted.contains(&source)) || log.away.contains(&source) {
                    continue;
                }
                let events = log.events(source);
                let readable = log.open_at.get(&source).map_or(events.len(), |open| *open as usize);
                let until = readable.min(*next as usize + left.min(self.batch));
                for (offset, event) in events.iter().enumerate().take(until).skip(*next as usize) {
                    each(Arrival::Record(input(source, offset, event)));
                    (*at_end, left) = (false, left - 1);
                }
                *next = (*next).max(until as Offset);
                if until == readable && !*at_end {
                    *at_end = true;
                    each(Arrival::End { topic, partition, offset: *next, is_all: readable == events.len() });
                }
            }
        }
        Ok(None)
    }

    fn start(&mut self, partitions: &[(PartitionId, Vec<Offset>)]) -> Result<(), WorldError> {
        for (partition, offsets) in partitions {
            match self.held.get_mut(partition) {
                Some(Held::Leaving { .. }) | None => {}
                Some(held) => *held = Held::Running { next: offsets.iter().map(|offset| (*offset, false)).collect() },
            }
        }
        Ok(())
    }

    fn release(&mut self, partitions: &[PartitionId]) -> Result<(), WorldError> {
        self.held.retain(|partition, _| !partitions.contains(partition));
        Ok(())
    }

    fn publish(&mut self, transaction: &Transaction) -> Result<Vec<Offset>, WorldError> {
        let mut log = self.log.lock().unwrap();
        assert_eq!(
            transaction.offsets.iter().map(|(source, _)| source.partition).collect::<BTreeSet<_>>(),
            transaction.journal.iter().map(|(partition, _)| *partition).collect::<BTreeSet<_>>(),
            "what is touched has an offset and a journal record"
        );
        assert!(!transaction.offsets.is_empty(), "a transaction without offsets is not fenced");
        let owned =
            transaction.offsets.iter().all(|(source, _)| log.owners.get(&source.partition) == Some(&self.member));
        let fault = self.faults.pop_front().unwrap_or(Fault::None);
        let mut offsets = Vec::new();
        if owned && fault != Fault::LostBefore {
            log.alerts.extend(transaction.alerts.iter().cloned());
            log.dead_letters.extend(transaction.dead_letters.iter().cloned());
            log.committed.extend(transaction.offsets.iter().copied());
            for (partition, record) in &transaction.journal {
                let journal = log.journal.entry(*partition).or_default();
                offsets.push(journal.len() as Offset);
                journal.push(record.clone());
            }
        }
        if owned && fault == Fault::None {
            return Ok(offsets);
        }
        drop(log);
        // What ran is held until it is started anew.
        self.hold();
        Err(WorldError::Unsettled(format!("{fault:?}, owned: {owned}")))
    }

    fn fence(&mut self) -> Result<(), WorldError> {
        self.hiccup()?;
        self.is_fenced = true;
        Ok(())
    }

    fn check_clock(&mut self, _: PartitionId) -> Result<(), WorldError> {
        Ok(())
    }

    fn end_of(&mut self, source: Source) -> Result<Offset, WorldError> {
        self.hiccup()?;
        Ok(self.log.lock().unwrap().events(source).len() as Offset)
    }

    fn start_of(&mut self, source: Source) -> Result<Offset, WorldError> {
        self.hiccup()?;
        let log = self.log.lock().unwrap();
        let start = log.input_start.get(&source.partition).filter(|_| source.topic == 0);
        Ok(start.copied().unwrap_or(0))
    }

    fn committed(&mut self, source: Source) -> Result<Option<Offset>, WorldError> {
        assert!(self.is_fenced, "what an earlier instance may still change is read");
        self.hiccup()?;
        Ok(self.log.lock().unwrap().committed.get(&source).copied())
    }

    fn replay(
        &mut self,
        source: Source,
        from: Offset,
        to: Offset,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), WorldError> {
        let events = self.log.lock().unwrap().events(source).clone();
        for (offset, event) in events.iter().enumerate().take(to as usize).skip(from as usize) {
            each(input(source, offset, event));
        }
        self.hiccup()
    }

    fn hold(&mut self) {
        let running = self.held.values_mut().filter(|held| matches!(held, Held::Running { .. }));
        running.for_each(|held| *held = Held::Waiting);
    }

    fn journal_bounds(&mut self, partition: PartitionId) -> Result<Range<Offset>, WorldError> {
        self.hiccup()?;
        let log = self.log.lock().unwrap();
        let first = log.journal_start.get(&partition).copied().unwrap_or(0);
        Ok(first..log.journal.get(&partition).map_or(0, |records| records.len() as Offset))
    }

    fn journal(
        &mut self,
        partition: PartitionId,
        within: Range<Offset>,
        max: usize,
    ) -> Result<Vec<Logged>, WorldError> {
        self.hiccup()?;
        let log = self.log.lock().unwrap();
        let records = log.journal.get(&partition).map_or(&[][..], Vec::as_slice);
        let logged =
            |(offset, payload): (usize, &Vec<u8>)| Logged { offset: offset as Offset, payload: payload.clone() };
        let records = records.iter().enumerate().map(logged);
        Ok(records.filter(|record| within.contains(&record.offset)).take(max).collect())
    }
}
