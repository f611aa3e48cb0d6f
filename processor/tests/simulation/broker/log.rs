//! One partition of a topic: records, markers of transactions, and what a reader of committed records may see.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tocsin::task::world::Offset;
use tocsin_core::time::Millis;

use super::TxId;

/// A record, or a marker that ends a transaction here. Markers take an offset each, so offsets have gaps for readers.
#[derive(Clone, Debug, Hash)]
pub struct Entry {
    pub data: Option<Data>,
    /// What the record says.
    pub timestamp: Millis,
    /// When the broker wrote it, by its own clock.
    pub appended: Millis,
    pub tx: Option<TxId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Data {
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(Cow<'static, str>, Vec<u8>)>,
}

#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The first offset that retention has left; entries before it are kept for the checkers alone.
    pub start: Offset,
    pub entries: Vec<Entry>,
    /// Open transactions, with their first offset here.
    open: BTreeMap<TxId, Offset>,
    /// Those that were ended here, and whether they were committed.
    ended: BTreeMap<TxId, bool>,
}

impl Log {
    pub fn append(&mut self, entry: Entry) -> Offset {
        let offset = self.end();
        if let Some(tx) = entry.tx
            && entry.data.is_some()
        {
            self.open.entry(tx).or_insert(offset);
        }
        self.entries.push(entry);
        offset
    }

    /// Writes a transaction's marker.
    pub fn mark(&mut self, tx: TxId, committed: bool, now: Millis) {
        if self.open.remove(&tx).is_some() {
            self.ended.insert(tx, committed);
            self.append(Entry { data: None, timestamp: now, appended: now, tx: Some(tx) });
        }
    }

    /// The high watermark.
    pub fn end(&self) -> Offset {
        self.entries.len() as Offset
    }

    /// The last stable offset: where the first open transaction begins.
    pub fn stable(&self) -> Offset {
        self.open.values().copied().min().unwrap_or(self.end())
    }

    /// What a reader of committed records sees from an offset on.
    pub fn committed(&self, from: Offset) -> impl Iterator<Item = (Offset, &Entry)> {
        let stable = self.stable() as usize;
        let is_seen =
            |entry: &Entry| entry.data.is_some() && entry.tx.is_none_or(|tx| self.ended.get(&tx) == Some(&true));
        let places = (from.max(0) as usize).min(stable)..stable;
        places.map(|place| (place as Offset, &self.entries[place])).filter(move |(_, entry)| is_seen(entry))
    }
}
