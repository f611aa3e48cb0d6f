//! A task's timers: those in the store, read ahead in small runs, and those set since it was last written.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use compact_str::CompactString;
use tocsin_core::time::{HOUR, Millis};

use crate::codec::rows;
use crate::store::{Batch, Column, Store, StoreError};

/// When a customer is to be looked at again. Sorted by time, then customer.
pub type Timer = (Millis, CompactString);

/// Timers read ahead from the store at a time, at most.
const READ_AHEAD: usize = 1_024;

/// All timers of a task, in order, whatever their number in the bounded memory of a read-ahead.
#[derive(Debug, Default)]
pub struct Timers {
    /// Set since the last write; not in the store.
    fresh: Fresh,
    /// The store's next timers, in order.
    ahead: VecDeque<Timer>,
    /// How far the store has been read into `ahead`.
    read: ReadTo,
    /// Taken since the last write; still in the store.
    taken: Vec<Timer>,
    /// The last one taken: none at or before it is left, so the next scan starts here and not among what was deleted.
    last_taken: Option<Timer>,
}

/// A set of timers. Those of later hours lie unsorted by their hour until it is the first, so that setting one costs
/// little however many there are: the idea of a timing wheel (Varghese and Lauck, 1987), over a sorted map of hours.
#[derive(Debug, Default)]
struct Fresh {
    /// Those of the first hour and of any before it. Empty only if there are no others.
    near: BTreeSet<Timer>,
    /// The hour up to which timers are in `near`.
    hour: Millis,
    far: BTreeMap<Millis, Vec<Timer>>,
}

impl Fresh {
    fn insert(&mut self, timer: Timer) {
        let hour = timer.0.div_euclid(HOUR);
        if self.near.is_empty() {
            self.hour = hour;
        }
        if hour <= self.hour {
            self.near.insert(timer);
        } else {
            self.far.entry(hour).or_default().push(timer);
        }
    }

    fn first(&self) -> Option<&Timer> {
        self.near.first()
    }

    fn pop_first(&mut self) -> Option<Timer> {
        let first = self.near.pop_first();
        if self.near.is_empty()
            && let Some((hour, timers)) = self.far.pop_first()
        {
            self.hour = hour;
            self.near = timers.into_iter().collect();
        }
        first
    }

    /// The first ones, at most those of an hour, in order.
    fn upcoming(&self) -> impl Iterator<Item = &Timer> {
        self.near.iter()
    }
}

impl IntoIterator for Fresh {
    type Item = Timer;
    type IntoIter = std::iter::Chain<
        std::collections::btree_set::IntoIter<Timer>,
        std::iter::Flatten<std::collections::btree_map::IntoValues<Millis, Vec<Timer>>>,
    >;

    /// All of them, in no order.
    fn into_iter(self) -> Self::IntoIter {
        self.near.into_iter().chain(self.far.into_values().flatten())
    }
}

/// The part of the store's timers that is in `ahead` or was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum ReadTo {
    /// None but those taken.
    #[default]
    Nothing,
    /// All up to this one.
    Timer(Timer),
    /// All there are.
    End,
}

impl Timers {
    /// Timers of a store in which none at or before `last_taken` is left.
    #[must_use]
    pub fn after(last_taken: Option<Timer>) -> Self {
        Self { last_taken, ..Self::default() }
    }

    /// Sets a timer.
    pub fn arm(&mut self, at: Millis, customer_id: &str) {
        self.fresh.insert((at, customer_id.into()));
    }

    /// Takes out the first timer if it is at or before `through`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn take_due(&mut self, store: &impl Store, through: Millis) -> Result<Option<Timer>, StoreError> {
        if self.ahead.is_empty() {
            self.read_ahead(store)?;
        }
        let from_store = match (self.ahead.front(), self.fresh.first()) {
            (Some(stored), Some(fresh)) => stored <= fresh,
            (stored, _) => stored.is_some(),
        };
        let next = if from_store { self.ahead.front() } else { self.fresh.first() };
        if next.is_none_or(|(at, _)| *at > through) {
            return Ok(None);
        }
        let timer = if from_store { self.ahead.pop_front() } else { self.fresh.pop_first() };
        if from_store {
            // It may have been set again since it was written.
            if self.fresh.first() == timer.as_ref() {
                self.fresh.pop_first();
            }
            self.taken.extend(timer.clone());
        }
        self.last_taken.clone_from(&timer);
        Ok(timer)
    }

    /// The earliest timer.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn first(&mut self, store: &impl Store) -> Result<Option<&Timer>, StoreError> {
        if self.ahead.is_empty() {
            self.read_ahead(store)?;
        }
        Ok(self.ahead.front().into_iter().chain(self.fresh.first()).min())
    }

    /// Customers of the next timers up to this instant, as far as they are at hand.
    pub fn upcoming(&self, through: Millis) -> impl Iterator<Item = &str> {
        let is_due = move |(at, _): &&Timer| *at <= through;
        let (stored, fresh) = (self.ahead.iter(), self.fresh.upcoming());
        stored.take_while(is_due).chain(fresh.take_while(is_due)).map(|(_, customer_id)| customer_id.as_str())
    }

    /// The last timer taken.
    #[must_use]
    pub fn last_taken(&self) -> Option<&Timer> {
        self.last_taken.as_ref()
    }

    /// Puts what has changed into a batch; the batch must then be written.
    pub fn write(&mut self, batch: &mut Batch) {
        for (at, customer_id) in self.taken.drain(..) {
            batch.delete(Column::Timers, rows::timer_key(at, &customer_id));
        }
        for timer in std::mem::take(&mut self.fresh) {
            batch.put(Column::Timers, rows::timer_key(timer.0, &timer.1), Vec::new());
            if self.read.covers(&timer) {
                let place = self.ahead.partition_point(|other| *other < timer);
                if self.ahead.get(place) != Some(&timer) {
                    self.ahead.insert(place, timer);
                }
            }
        }
        if self.ahead.len() > 2 * READ_AHEAD {
            self.ahead.truncate(READ_AHEAD);
            self.read = self.ahead.back().map_or(ReadTo::Nothing, |last| ReadTo::Timer(last.clone()));
        }
    }

    fn read_ahead(&mut self, store: &impl Store) -> Result<(), StoreError> {
        let after = match &self.read {
            ReadTo::End => return Ok(()),
            ReadTo::Timer(timer) => Some(timer),
            ReadTo::Nothing => self.last_taken.as_ref(),
        };
        let after = after.map_or_else(Vec::new, |(at, customer_id)| rows::timer_key(*at, customer_id));
        for key in store.keys_after(Column::Timers, &after, READ_AHEAD)? {
            let timer = rows::read_timer_key(&key)
                .map_err(|source| StoreError::Damaged { place: store.place().to_owned(), source })?;
            self.ahead.push_back(timer);
        }
        self.read = match self.ahead.back() {
            Some(last) if self.ahead.len() == READ_AHEAD => ReadTo::Timer(last.clone()),
            _ => ReadTo::End,
        };
        Ok(())
    }
}

impl ReadTo {
    fn covers(&self, timer: &Timer) -> bool {
        match self {
            Self::Nothing => false,
            Self::Timer(last) => timer <= last,
            Self::End => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn write(timers: &mut Timers, store: &mut MemoryStore) {
        let mut batch = Batch::default();
        timers.write(&mut batch);
        store.write(batch).unwrap();
    }

    /// Timers armed, taken and written in every interleaving of a small pseudo-random walk equal a sorted set.
    #[test]
    fn equals_a_sorted_set_whatever_is_written_when() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..20 {
            let (mut timers, mut store, mut model) = (Timers::default(), MemoryStore::default(), BTreeSet::new());
            let mut now = 0;
            for _ in 0..3_000 {
                match random(10) {
                    0 => write(&mut timers, &mut store),
                    1..=6 => {
                        let timer = (now + 1 + random(5_000) as Millis, CompactString::from(random(500).to_string()));
                        timers.arm(timer.0, &timer.1);
                        model.insert(timer);
                    }
                    _ => {
                        now += random(40) as Millis;
                        while let Some(timer) = timers.take_due(&store, now).unwrap() {
                            assert_eq!(Some(timer), model.pop_first());
                        }
                        assert!(model.first().is_none_or(|(at, _)| *at > now));
                    }
                }
            }
            write(&mut timers, &mut store);
            let mut again = Timers::after(timers.last_taken().cloned());
            while let Some(timer) = again.take_due(&store, Millis::MAX).unwrap() {
                assert_eq!(Some(timer), model.pop_first());
            }
            assert!(model.is_empty());
        }
    }

    #[test]
    fn the_read_ahead_stays_bounded() {
        let (mut timers, mut store) = (Timers::default(), MemoryStore::default());
        assert_eq!(timers.first(&store).unwrap(), None);
        for at in 0..10_000 {
            timers.arm(at, "c");
        }
        write(&mut timers, &mut store);
        assert!(timers.ahead.len() <= 2 * READ_AHEAD);
        for at in 0..10_000 {
            assert_eq!(timers.take_due(&store, Millis::MAX).unwrap().map(|(at, _)| at), Some(at));
        }
    }
}
