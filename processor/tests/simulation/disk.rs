//! Disks and the object store. A batch is atomic. A process that dies takes nothing of what was acknowledged; a loss of power
//! takes what was not synced, from the end. A store may be damaged, or be another one than the process left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher};
use std::rc::Rc;

use tocsin::codec::rows::{self, DamagedRow, Position};
use tocsin::store::{Batch, Between, Column, Each, MemoryStore, Store, StoreError};
use tocsin::task::world::{CheckpointFacts, Fetched, PartitionId, Stores};
use tocsin_core::time::{Millis, SECOND};

use crate::checkers;
use crate::rng::Rng;
use crate::sim::{Me, Sim};

/// A row of a store.
pub type Row = (Column, Vec<u8>, Vec<u8>);
type Changes = Vec<(Column, Vec<u8>, Option<Vec<u8>>)>;

#[derive(Debug, Default)]
pub struct Disk {
    pub full_until: Millis,
    stores: BTreeMap<PartitionId, Kept>,
    open: BTreeSet<PartitionId>,
    /// Copies that somebody made.
    copies: Vec<(PartitionId, MemoryStore)>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    rows: MemoryStore,
    /// What a loss of power leaves, and the batches after that.
    synced: MemoryStore,
    unsynced: Vec<Changes>,
    is_unreadable: bool,
    /// Rows that are not what was written.
    damaged: BTreeSet<(u8, Vec<u8>)>,
}

fn batch(changes: &Changes) -> Batch {
    let mut batch = Batch::default();
    for (column, key, value) in changes {
        match value {
            Some(value) => batch.put(*column, key.clone(), value.clone()),
            None => batch.delete(*column, key.clone()),
        }
    }
    batch
}

impl Kept {
    fn of(rows: MemoryStore) -> Self {
        Self { synced: rows.clone(), rows, ..Self::default() }
    }

    fn lose_power(&mut self, rng: &mut Rng) {
        let kept = rng.range(0, self.unsynced.len() as i64) as usize;
        for changes in self.unsynced.drain(..).take(kept) {
            self.synced.write(batch(&changes)).unwrap();
        }
        self.rows = self.synced.clone();
    }

    fn sync(&mut self) {
        self.synced = self.rows.clone();
        self.unsynced.clear();
    }
}

impl Disk {
    /// Every row of a store.
    pub fn rows(&self, partition: PartitionId) -> Vec<Row> {
        self.stores.get(&partition).map_or_else(Vec::new, |kept| rows_of(&kept.rows))
    }

    pub fn hash(&self, partition: PartitionId, hasher: &mut impl Hasher) {
        for (column, key, value) in self.rows(partition) {
            (column as u8, key, value).hash(hasher);
        }
    }

    pub fn store(&self, partition: PartitionId) -> Option<&MemoryStore> {
        self.stores.get(&partition).map(|kept| &kept.rows)
    }

    /// Somebody verifies the stores: what is damaged in a place that nobody has read yet is found. Whether there was any.
    pub fn verify(&mut self) -> bool {
        let mut found = false;
        for kept in self.stores.values_mut().filter(|kept| !kept.damaged.is_empty()) {
            (kept.is_unreadable, found) = (true, true);
        }
        found
    }

    pub fn wipe(&mut self) {
        self.stores.clear();
    }
}

pub fn rows_of(store: &MemoryStore) -> Vec<Row> {
    let all = |column| store.keys_after(column, &[], 1_000_000).unwrap().into_iter().map(move |key| (column, key));
    let value = |(column, key): (Column, Vec<u8>)| (column, key.clone(), store.get(column, &key).unwrap().unwrap());
    Column::ALL.into_iter().flat_map(all).map(value).collect()
}

pub fn position_of(store: &MemoryStore) -> Option<Position> {
    store.get(Column::Meta, rows::POSITION_KEY).unwrap().map(|bytes| rows::read_position(&bytes).unwrap())
}

/// Now and then a disk is full, somebody copies a store, the system writes back; retention runs; the object store is down.
pub fn turn(sim: &Sim) {
    let slot = sim.range(0, sim.plan.machines as i64 - 1) as usize;
    if sim.plan.disk > 0 && sim.chance(3) {
        sim.slots[slot].disk.borrow_mut().full_until = sim.now() + sim.pick(&[100, 5 * SECOND]);
        sim.count("disks full");
    }
    if sim.chance(5) {
        let mut disk = sim.slots[slot].disk.borrow_mut();
        disk.stores.values_mut().for_each(Kept::sync);
        let whole = disk.stores.iter().filter(|(_, kept)| kept.damaged.is_empty() && !kept.is_unreadable);
        let copies: Vec<_> = whole.map(|(partition, kept)| (*partition, kept.rows.clone())).collect();
        disk.copies = copies;
    }
    if sim.plan.objects_down > 0 && sim.chance(sim.plan.objects_down) {
        sim.objects.borrow_mut().down_until = sim.now() + sim.pick(&[SECOND, 60 * SECOND]);
    }
    if sim.plan.retention > 0 && sim.chance(sim.plan.retention) {
        retain(sim);
    }
}

/// Retention takes what the newest checkpoint does not need.
fn retain(sim: &Sim) {
    let partition = sim.range(0, i64::from(sim.plan.partitions) - 1) as PartitionId;
    let now = sim.now();
    let objects = sim.objects.borrow();
    let Some(newest) = objects.newest(partition, now) else { return };
    let position = &newest.position;
    let mut broker = sim.broker.borrow_mut();
    // The record that the checkpoint was taken behind may go as well. With no record left there is nothing that could tell a
    // strange store, so then that one stays.
    let keep = position.journal_offset + i64::from(sim.plan.strange_store == 0 && sim.chance(50));
    let journal = &mut broker.journal[partition as usize];
    journal.start = journal.start.max(keep);
    for (source, (_, next)) in sim.plan.sources_of(partition).zip(&position.inputs) {
        let events = broker.events.get_mut(&source).unwrap();
        events.start = events.start.max(*next);
    }
    drop(broker);
    sim.count("retention up to a checkpoint");
}

/// What a machine's disk looks like when the next process starts on it.
pub fn after_crash(sim: &Sim, slot: usize) {
    if sim.is_up(slot) || sim.is_calm.get() {
        return;
    }
    let mut disk = sim.slots[slot].disk.borrow_mut();
    let rng = &mut *sim.rng.borrow_mut();
    let plan = &sim.plan;
    let mut reached = sim.reached.borrow_mut();
    let lost_power = rng.chance(plan.power_loss);
    for partition in 0..plan.partitions {
        let copies: Vec<_> =
            disk.copies.iter().filter(|(of, _)| *of == partition).map(|(_, rows)| rows.clone()).collect();
        let Some(kept) = disk.stores.get_mut(&partition) else { continue };
        if lost_power {
            reached.add("stores after a loss of power");
            kept.lose_power(rng);
        }
        if rng.chance(plan.disk_loss) {
            reached.add("stores lost");
            disk.stores.remove(&partition);
        } else if rng.chance(plan.damage) {
            reached.add("stores damaged");
            damage(kept, rng);
        } else if rng.chance(plan.strange_store) {
            reached.add("stores of another time or place");
            if let (Some(copy), true) = (copies.first(), rng.chance(50)) {
                *kept = Kept::of(copy.clone());
            } else {
                estrange(kept, rng);
            }
        }
    }
}

fn damage(kept: &mut Kept, rng: &mut Rng) {
    if rng.chance(30) {
        kept.is_unreadable = true;
        return;
    }
    let rows = rows_of(&kept.rows);
    let rows: Vec<_> = rows.into_iter().filter(|(column, _, _)| *column != Column::Timers).collect();
    if !rows.is_empty() {
        let (column, key, _) = rng.pick(&rows);
        let mut batch = Batch::default();
        kept.damaged.insert((column as u8, key.clone()));
        batch.put(column, key, b"\xff");
        kept.rows.write(batch).unwrap();
        kept.sync();
    }
}

/// A store that is not where its journal is, as one of another journal would be.
fn estrange(kept: &mut Kept, rng: &mut Rng) {
    let Some(mut position) =
        kept.rows.get(Column::Meta, rows::POSITION_KEY).unwrap().and_then(|bytes| rows::read_position(&bytes).ok())
    else {
        return;
    };
    match rng.range(0, 2) {
        0 => position.journal_offset += rng.range(1_000, 2_000),
        1 => position.journal_sequence += rng.range(1, 3),
        _ => position.inputs.last_mut().unwrap().1 += rng.range(1, 3),
    }
    let mut batch = Batch::default();
    batch.put(Column::Meta, rows::POSITION_KEY, rows::write_position(&position));
    kept.rows.write(batch).unwrap();
    kept.sync();
}

/// The stores of one process.
pub struct SimStores {
    pub sim: Rc<Sim>,
    pub me: Me,
}

/// An open store.
pub struct SimStore {
    sim: Rc<Sim>,
    me: Me,
    partition: PartitionId,
}

fn failed(partition: PartitionId, action: &'static str) -> StoreError {
    StoreError::Failed {
        place: format!("the simulated disk, {partition}"),
        action,
        message: "input/output error".into(),
    }
}

impl SimStore {
    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(self.sim.slots[self.me.slot].disk.borrow_mut().stores.entry(self.partition).or_default())
    }

    fn fails(&self, action: &'static str, point: bool) -> Result<(), StoreError> {
        if point {
            self.sim.point(self.me, action);
        }
        let plan = &self.sim.plan;
        if !self.sim.is_calm.get() && plan.disk > 0 && self.sim.range(0, 999) < plan.disk {
            self.sim.count("failures of a disk");
            return Err(failed(self.partition, action));
        }
        Ok(())
    }
}

impl std::fmt::Debug for SimStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the store of partition {} for {:?}", self.partition, self.me)
    }
}

impl Drop for SimStore {
    fn drop(&mut self) {
        if let Ok(mut disk) = self.sim.slots[self.me.slot].disk.try_borrow_mut() {
            disk.open.remove(&self.partition);
        }
    }
}

impl Store for SimStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.fails("read", false)?;
        self.with(|kept| kept.rows.get(column, key))
    }

    fn keys_after(&self, column: Column, after: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.fails("scan", false)?;
        self.with(|kept| kept.rows.keys_after(column, after, limit))
    }

    fn rows_between(&self, column: Column, keys: Between<'_>, each: &mut Each<'_>) -> Result<(), StoreError> {
        self.fails("scan", false)?;
        self.with(|kept| kept.rows.rows_between(column, keys, each))
    }

    fn write(&mut self, batch_given: Batch) -> Result<(), StoreError> {
        self.sim.point(self.me, "store write");
        let owned = |bytes: &[u8]| bytes.to_vec();
        let changes: Changes =
            batch_given.changes().map(|(column, key, value)| (column, owned(key), value.map(owned))).collect();
        checkers::store_behind_journal::at_write(&self.sim, self.partition, &changes);
        let is_full = self.sim.slots[self.me.slot].disk.borrow().full_until > self.sim.now();
        if is_full {
            return Err(failed(self.partition, "write"));
        }
        let outcome = self.fails("write", false);
        // After a failure it is there or not.
        if outcome.is_ok() || self.sim.chance(50) {
            self.with(|kept| {
                for (column, key, _) in &changes {
                    kept.damaged.remove(&(*column as u8, key.clone()));
                }
                kept.rows.write(batch(&changes)).unwrap();
                kept.unsynced.push(changes);
            });
        }
        outcome?;
        self.sim.point(self.me, "store written");
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.fails("sync", true)?;
        self.with(Kept::sync);
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        0
    }

    fn place(&self) -> &'static str {
        "the simulated disk"
    }
}

impl Stores for SimStores {
    type Store = SimStore;

    fn open(&mut self, partition: PartitionId) -> Result<SimStore, StoreError> {
        self.sim.point(self.me, "store open");
        let mut disk = self.sim.slots[self.me.slot].disk.borrow_mut();
        assert!(!disk.open.contains(&partition), "a store is opened twice");
        if disk.stores.get(&partition).is_some_and(|kept| kept.is_unreadable) {
            let source = DamagedRow { row: "manifest" };
            return Err(StoreError::Damaged { place: "the simulated disk".into(), source });
        }
        disk.open.insert(partition);
        Ok(SimStore { sim: self.sim.clone(), me: self.me, partition })
    }

    fn set_aside(&mut self, partition: PartitionId, reason: &str) -> Result<(), StoreError> {
        self.sim.point(self.me, "set aside");
        self.sim.note(Some(self.me), reason, 0);
        let mut disk = self.sim.slots[self.me.slot].disk.borrow_mut();
        assert!(!disk.open.contains(&partition), "an open store is set aside");
        disk.stores.remove(&partition);
        self.sim.count("stores set aside");
        Ok(())
    }

    fn fetch(&mut self, partition: PartitionId, newer_than: i64) -> Result<Fetched, StoreError> {
        self.sim.point(self.me, "fetch");
        let now = self.sim.now();
        let objects = self.sim.objects.borrow();
        if objects.down_until > now {
            return Ok(Fetched::Pending);
        }
        let Some(newest) = objects.newest(partition, now).filter(|found| found.position.journal_sequence > newer_than)
        else {
            return Ok(Fetched::None);
        };
        if !self.sim.is_calm.get() && self.sim.chance(40) {
            return Ok(Fetched::Pending);
        }
        let mut disk = self.sim.slots[self.me.slot].disk.borrow_mut();
        assert!(!disk.open.contains(&partition), "an open store is replaced");
        disk.stores.insert(partition, Kept::of(newest.rows.clone()));
        self.sim.note(Some(self.me), "FETCHED", newest.position.journal_sequence);
        self.sim.count("checkpoints fetched");
        Ok(Fetched::Ready)
    }

    fn take_checkpoint(&mut self, partition: PartitionId, store: &mut SimStore, facts: CheckpointFacts<'_>) {
        if store.fails("take a checkpoint", true).is_err() {
            return;
        }
        // Who takes checkpoints compares the checksums of what they hold.
        if store.with(|kept| !kept.damaged.is_empty()) {
            return self.sim.count("checkpoints refused of damaged stores");
        }
        let rows = store.with(|kept| kept.rows.clone());
        assert_eq!(position_of(&rows).as_ref(), Some(facts.position), "a checkpoint is of what was written");
        assert_eq!(facts.rules.number, facts.position.generation);
        let visible_at = self.sim.now() + self.sim.pick(&[0, 1_000, 30_000]);
        let taken = Checkpoint { position: facts.position.clone(), rows, visible_at, by: self.me };
        self.sim.objects.borrow_mut().add(partition, taken, self.sim.now());
        self.sim.count("checkpoints taken");
    }
}

/// A checkpoint: there once its manifest is.
#[derive(Debug)]
pub struct Checkpoint {
    pub position: Position,
    pub rows: MemoryStore,
    visible_at: Millis,
    by: Me,
}

impl Checkpoint {
    fn sequence(&self) -> i64 {
        self.position.journal_sequence
    }
}

#[derive(Debug, Default)]
pub struct Objects {
    pub down_until: Millis,
    kept: BTreeMap<PartitionId, Vec<Checkpoint>>,
}

impl Objects {
    /// Of those that are there, the newest two are kept.
    fn add(&mut self, partition: PartitionId, taken: Checkpoint, now: Millis) {
        let kept = self.kept.entry(partition).or_default();
        kept.push(taken);
        let mut there: Vec<i64> =
            kept.iter().filter(|taken| taken.visible_at <= now).map(Checkpoint::sequence).collect();
        there.sort_unstable();
        if let Some(oldest) = there.len().checked_sub(2).map(|place| there[place]) {
            kept.retain(|taken| taken.sequence() >= oldest);
        }
    }

    pub fn newest(&self, partition: PartitionId, now: Millis) -> Option<&Checkpoint> {
        let there = self.kept.get(&partition)?.iter().filter(|taken| taken.visible_at <= now);
        there.max_by_key(|taken| taken.position.journal_sequence)
    }

    /// What it was uploading is not there, or only just.
    pub fn uploader_died(&mut self, me: Me, now: Millis, rng: &mut Rng) {
        for kept in self.kept.values_mut() {
            kept.retain(|taken| taken.by != me || taken.visible_at <= now || rng.chance(50));
            kept.iter_mut()
                .filter(|taken| taken.by == me)
                .for_each(|taken| taken.visible_at = taken.visible_at.min(now));
        }
    }

    /// As if none had ever been taken.
    pub fn forget(&mut self) {
        self.kept.clear();
    }

    pub fn all(&self) -> impl Iterator<Item = (PartitionId, &Checkpoint)> {
        self.kept.iter().flat_map(|(partition, kept)| kept.iter().map(|taken| (*partition, taken)))
    }
}
