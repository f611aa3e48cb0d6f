//! Customers in memory, over a store: read when they are wanted, written back together with the position.

use std::time::Instant;

use compact_str::CompactString;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;
use tocsin_core::customer::Customer;
use tocsin_core::fetch::fetch;
use tocsin_core::partition::States;
use tocsin_core::time::Millis;

use super::roll::Roll;
use super::timers::{Timer, Timers};
use crate::codec::rows::{self, Position};
use crate::store::{Batch, Column, Store, StoreError};

/// The engine's view of a task's store.
#[derive(Debug)]
pub struct Cache<S> {
    store: S,
    /// Short ids stand in the table itself: finding a customer reads one place less.
    customers: HashMap<CompactString, Box<Cached>, FixedState>,
    timers: Timers,
    roll: Roll,
    /// Those handed out since the last write: the only ones that may have changed.
    touched: Vec<CompactString>,
    /// Counts rounds, for finding out who has not been wanted for long.
    round: u32,
    /// Bytes of memory that may be taken, and that are: see [`Cached::measure`].
    capacity: usize,
    bytes: usize,
    /// Of those in `touched`.
    touched_bytes: usize,
    /// To be written with what comes next.
    new_catalog: Option<String>,
}

#[derive(Debug)]
struct Cached {
    customer: Customer,
    /// The round in which it was last wanted.
    round: u32,
    /// That it took when it was last measured.
    bytes: u32,
    /// Of them, what is derived from its events: that is measured at each write, not each time.
    held_bytes: u32,
    touched: bool,
    /// Whether it was handed out just once, when it was read.
    is_fresh: bool,
    /// Whether the store knows it.
    is_stored: bool,
}

/// Bytes that a customer without any event takes in a cache, about.
pub const CUSTOMER_BYTES: usize = size_of::<Cached>() + PLACE;
/// Beside itself: its entry in the table, its id, its place among the touched, what the allocator adds.
const PLACE: usize = 128;

impl Cached {
    fn new(customer: Customer, is_stored: bool, is_fresh: bool) -> Self {
        Self { customer, round: 0, bytes: 0, held_bytes: 0, touched: false, is_fresh, is_stored }
    }

    /// Bytes of memory that it takes, with all that hangs on it, about.
    fn measure(&mut self) -> usize {
        let rest = size_of::<Self>() - size_of::<Customer>() + PLACE;
        let bytes = self.customer.bytes() + rest + self.held_bytes as usize;
        self.bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes as usize
    }
}

/// What one write back came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Written {
    pub customers: usize,
    pub bytes: usize,
    pub seconds: f64,
}

impl<S: Store> Cache<S> {
    /// A cache that keeps customers of at most about `capacity` bytes between writes. No timer at or before `last_taken` is left
    /// in the store.
    pub fn new(store: S, capacity: usize, last_taken: Option<Timer>) -> Self {
        Self {
            store,
            customers: HashMap::default(),
            timers: Timers::after(last_taken),
            roll: Roll::default(),
            touched: Vec::new(),
            round: 0,
            capacity,
            bytes: 0,
            touched_bytes: 0,
            new_catalog: None,
        }
    }

    /// The position the store was last written at; `None` if it is new.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn position(store: &S) -> Result<Option<Position>, StoreError> {
        let Some(bytes) = store.get(Column::Meta, rows::POSITION_KEY)? else { return Ok(None) };
        rows::read_position(&bytes).map(Some).map_err(|source| damaged(store, source))
    }

    /// The event types that the store was written under, as JSON; `None` if it does not say.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn catalog(store: &S) -> Result<Option<String>, StoreError> {
        let bytes = store.get(Column::Meta, rows::CATALOG_KEY)?;
        let text = bytes.map(|bytes| String::from_utf8(bytes).map_err(|_| rows::DamagedRow { row: "catalog" }));
        text.transpose().map_err(|source| damaged(store, source))
    }

    /// From the next write on the store is written under these event types.
    pub fn set_catalog(&mut self, catalog: String) {
        self.new_catalog = Some(catalog);
    }

    /// Begins a new round: to have been wanted before it is to have been wanted less recently. Lets go of customers if
    /// there are too many.
    pub fn next_round(&mut self) {
        self.round = self.round.wrapping_add(1);
        while self.bytes > self.capacity && self.evict() {}
    }

    /// Whether so much waits to be written that it is time: it may not be let go of before, and while it is written it is in
    /// memory three times, as customers, as rows, and as the store keeps them.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.touched_bytes > self.capacity / 2
    }

    /// Bytes of memory that the customers take, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes every changed customer, the timers and the position, in one batch; then lets go of customers that have
    /// not been wanted for long, if there are too many.
    ///
    /// # Errors
    /// If the store cannot be written. The cache is then of no further use.
    pub fn write_back(&mut self, position: &Position) -> Result<Written, StoreError> {
        let start = Instant::now();
        let mut batch = Batch::default();
        let mut customers = 0;
        // In the order of their keys, so that each has its place in the store next to that of the one before.
        self.touched.sort_unstable_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        for customer_id in self.touched.drain(..) {
            let Some(cached) = self.customers.get_mut(&customer_id) else { continue };
            cached.touched = false;
            let before = cached.bytes as usize;
            cached.held_bytes = u32::try_from(cached.customer.held.heap_bytes()).unwrap_or(u32::MAX);
            self.bytes = self.bytes - before + cached.measure();
            if cached.customer.changed {
                write_customer(&customer_id, &mut cached.customer, &mut batch);
                cached.is_stored = true;
                customers += 1;
            }
        }
        self.touched_bytes = 0;
        self.timers.write(&mut batch);
        batch.put(Column::Meta, rows::POSITION_KEY, rows::write_position(position));
        if let Some(catalog) = self.new_catalog.take() {
            batch.put(Column::Meta, rows::CATALOG_KEY, catalog);
        }
        let bytes = batch.bytes();
        self.store.write(batch)?;
        self.next_round();
        Ok(Written { customers, bytes, seconds: start.elapsed().as_secs_f64() })
    }

    /// The earliest timer.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn first_timer(&mut self) -> Result<Option<Millis>, StoreError> {
        Ok(self.timers.first(&self.store)?.map(|(at, _)| *at))
    }

    /// Brings these customers, and those of the timers up to `through`, close to the processor, all at once: fetched one by
    /// one when each is needed, they cost several times as much. Changes nothing.
    pub fn warm<'a>(&'a self, customers: impl Iterator<Item = &'a str>, through: Millis) {
        /// More would push one another out again.
        const TIMERS: usize = 64;
        let touched = customers.chain(self.timers.upcoming(through).take(TIMERS));
        // In steps, for each needs to know what the one before it has brought.
        let found: Vec<&Box<Cached>> = touched.filter_map(|id| self.customers.get(id)).collect();
        for cached in &found {
            fetch(&***cached);
        }
        for cached in &found {
            cached.customer.fetch_parts();
        }
        for cached in &found {
            cached.customer.fetch_events();
        }
    }

    /// The last timer taken.
    #[must_use]
    pub fn last_taken(&self) -> Option<&Timer> {
        self.timers.last_taken()
    }

    /// Customers in memory of whom any event was accepted.
    #[must_use]
    pub fn known_customers(&self) -> usize {
        self.customers.values().filter(|cached| !cached.customer.is_unknown()).count()
    }

    /// Customers in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.customers.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The store below, to sync it.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// Lets go of those not wanted for the most rounds, as far as the store knows them as they are. There is some room
    /// behind it, for each time all of them are looked through. Returns whether anybody went.
    fn evict(&mut self) -> bool {
        let round = self.round;
        let age = |cached: &Cached| round.wrapping_sub(cached.round);
        let idle = self.customers.values().filter(|cached| !cached.touched);
        let (mut ages, mut idle_bytes) = (Vec::new(), 0);
        for cached in idle {
            ages.push(age(cached));
            idle_bytes += cached.bytes as usize;
        }
        if ages.is_empty() {
            return false;
        }
        let mut excess = self.bytes - (self.capacity - self.capacity / 8).min(self.bytes);
        // So many if they were all alike; they are not, so the oldest go until it is enough.
        let wanted = (excess as f64 / idle_bytes as f64 * ages.len() as f64).ceil() as usize;
        let first = ages.len() - wanted.clamp(1, ages.len());
        let youngest = *ages.select_nth_unstable(first).1;
        let before = self.customers.len();
        self.customers.retain(|_, cached| {
            let goes = excess > 0 && !cached.touched && age(cached) >= youngest;
            if goes {
                excess = excess.saturating_sub(cached.bytes as usize);
                self.bytes -= cached.bytes as usize;
            }
            !goes
        });
        self.customers.len() < before
    }
}

impl<S: Store> States for Cache<S> {
    type Error = StoreError;

    fn customer(&mut self, customer_id: &str) -> Result<&mut Customer, StoreError> {
        let cached = match self.customers.entry_ref(customer_id) {
            EntryRef::Occupied(entry) => {
                let cached = entry.into_mut();
                cached.is_fresh = false;
                cached
            }
            EntryRef::Vacant(entry) => {
                let stored = read_customer(&self.store, customer_id)?;
                let is_stored = stored.is_some();
                let cached = Cached::new(stored.unwrap_or_default(), is_stored, true);
                entry.insert_with_key(customer_id.into(), Box::new(cached))
            }
        };
        cached.round = self.round;
        // As it stands before it changes again: how it was left is seen the next time, or when it is written.
        let before = cached.bytes as usize;
        let bytes = cached.measure();
        self.bytes = self.bytes - before + bytes;
        if cached.touched {
            self.touched_bytes = self.touched_bytes - before + bytes;
        } else {
            cached.touched = true;
            self.touched_bytes += bytes;
            self.touched.push(customer_id.into());
        }
        Ok(&mut cached.customer)
    }

    fn arm(&mut self, at: Millis, customer_id: &str) {
        self.timers.arm(at, customer_id);
    }

    fn take_due(&mut self, through: Millis) -> Result<Option<Timer>, StoreError> {
        self.timers.take_due(&self.store, through)
    }

    fn next_customer(&mut self, after: Option<&str>) -> Result<Option<Box<str>>, StoreError> {
        let unstored = self.customers.iter().filter(|(_, cached)| !cached.is_stored).map(|(id, _)| id.as_str());
        self.roll.next(&self.store, unstored, after)
    }

    fn pass_over(&mut self, customer_id: &str) {
        if self.customers.get(customer_id).is_none_or(|cached| !cached.is_fresh || cached.customer.changed) {
            return;
        }
        if let Some(gone) = self.customers.remove(customer_id) {
            self.bytes -= gone.bytes as usize;
            self.touched_bytes -= gone.bytes as usize;
        }
        if self.touched.last().is_some_and(|touched| touched == customer_id) {
            self.touched.pop();
        }
    }
}

fn damaged(store: &impl Store, source: rows::DamagedRow) -> StoreError {
    StoreError::Damaged { place: store.place().to_owned(), source }
}

/// Reads all rows of a customer; `None` if there are none.
fn read_customer(store: &impl Store, customer_id: &str) -> Result<Option<Customer>, StoreError> {
    let Some(bytes) = store.get(Column::Customers, &rows::head_key(customer_id))? else { return Ok(None) };
    let head = rows::read_head(&bytes).map_err(|source| damaged(store, source))?;
    let missing = |row| damaged(store, rows::DamagedRow { row });
    let attributes = if head.has_attributes {
        let bytes = store.get(Column::Customers, &rows::attributes_key(customer_id))?;
        let bytes = bytes.ok_or_else(|| missing("attributes"))?;
        rows::read_attributes(&bytes).map_err(|source| damaged(store, source))?
    } else {
        tocsin_core::attributes::Attributes::default()
    };
    let mut sealed = Vec::new();
    if head.sealed > 0 {
        let [before, behind] = rows::chunk_keys(customer_id);
        store.rows_between(Column::Customers, (&before, &behind), &mut |key, value| {
            sealed.push(rows::read_chunk(key, value));
        })?;
    }
    let sealed: Result<_, _> = sealed.into_iter().collect();
    let customer = sealed.and_then(|sealed| rows::assemble(head, attributes, sealed));
    customer.map(Some).map_err(|source| damaged(store, source))
}

/// Puts the changed rows of a customer into a batch: always the head with the tail, and what else differs.
fn write_customer(customer_id: &str, customer: &mut Customer, batch: &mut Batch) {
    batch.put_with(Column::Customers, rows::head_key(customer_id), |out| rows::put_head(out, customer));
    if customer.attributes_changed {
        let row = rows::write_attributes(&customer.attributes);
        batch.put(Column::Customers, rows::attributes_key(customer_id), row);
    }
    if let Some((_tail, sealed)) = customer.timeline.chunks().split_last() {
        for chunk in sealed.iter().filter(|chunk| chunk.changed) {
            batch.put(Column::Customers, rows::chunk_key(customer_id, chunk.key()), rows::write_chunk(chunk));
        }
    }
    for key in customer.timeline.written() {
        batch.delete(Column::Customers, rows::chunk_key(customer_id, key));
    }
    (customer.changed, customer.attributes_changed) = (false, false);
}

#[cfg(test)]
mod tests;
