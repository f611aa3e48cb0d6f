//! Who is next: a task's customers one by one, in the order of the store's keys, (length of id, id).

use std::collections::VecDeque;

use crate::codec::rows;
use crate::store::{Column, Store, StoreError};

/// Keys read ahead from the store at a time. A customer has two, and one more for every sealed chunk.
const READ_AHEAD: usize = 256;

/// A call of the roll, as far as it has come.
#[derive(Debug, Default)]
pub struct Roll {
    /// The store's next customers.
    ahead: VecDeque<Box<str>>,
    /// Those that the store did not know when the call began.
    unstored: VecDeque<Box<str>>,
    /// The last key read from the store.
    read_to: Vec<u8>,
    /// Whether the store has none behind it.
    read_all: bool,
    /// Who was called last.
    called: Option<Box<str>>,
}

impl Roll {
    /// The first customer after the given one. `unstored` are those who are in memory alone; they are looked at when the call
    /// begins, and those who come later need not be called.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn next<'a>(
        &mut self,
        store: &impl Store,
        unstored: impl Iterator<Item = &'a str>,
        after: Option<&str>,
    ) -> Result<Option<Box<str>>, StoreError> {
        if after.is_none() || self.called.as_deref() != after {
            self.begin(unstored, after);
        }
        if self.ahead.is_empty() {
            self.read_ahead(store)?;
        }
        let waiting = self.ahead.front().into_iter().chain(self.unstored.front());
        let first = waiting.min_by_key(|id| (id.len(), *id)).cloned();
        for waiting in [&mut self.ahead, &mut self.unstored] {
            if waiting.front() == first.as_ref() {
                waiting.pop_front();
            }
        }
        self.called.clone_from(&first);
        Ok(first)
    }

    fn begin<'a>(&mut self, unstored: impl Iterator<Item = &'a str>, after: Option<&str>) {
        let is_after = |id: &&str| after.is_none_or(|after| (id.len(), *id) > (after.len(), after));
        let mut unstored: Vec<Box<str>> = unstored.filter(is_after).map(Into::into).collect();
        unstored.sort_unstable_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        *self = Self {
            unstored: unstored.into(),
            read_to: after.map_or_else(Vec::new, rows::customer_end),
            called: after.map(Into::into),
            ..Self::default()
        };
    }

    /// Reads on until a customer is found or there are none.
    fn read_ahead(&mut self, store: &impl Store) -> Result<(), StoreError> {
        while self.ahead.is_empty() && !self.read_all {
            let keys = store.keys_after(Column::Customers, &self.read_to, READ_AHEAD)?;
            self.read_all = keys.len() < READ_AHEAD;
            for key in &keys {
                let (customer_id, is_head) = rows::read_customer_key(key)
                    .map_err(|source| StoreError::Damaged { place: store.place().to_owned(), source })?;
                if is_head {
                    self.ahead.push_back(customer_id.into());
                }
            }
            if let Some(last) = keys.into_iter().next_back() {
                self.read_to = last;
            }
        }
        Ok(())
    }
}
