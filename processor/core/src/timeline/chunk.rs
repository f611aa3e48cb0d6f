//! A run of neighbouring events: the bytes that go to disk, and where to look in them.
//!
//! For each event `length: varint | time: zigzag varint, ms from the chunk's base | record`, where `length` covers what follows
//! it.

use crate::event::Record;
use crate::time::Millis;
use crate::varint::{self, Reader};

/// Events in a chunk when it is sealed. The tail is written with the customer's head at every change: with 32 a customer
/// with 60 events costs about half the bytes of 64, and reads as fast.
pub const SEALED_EVENTS: u32 = 32;
/// From one mark of a chunk to the next, in events.
const STRIDE: u32 = 8;
/// Where in a chunk every eighth event begins, up to the number at which it is sealed; 0: it has no such event. So a window
/// that begins in the middle of a chunk is found without reading what is before it.
type Marks = [u32; (SEALED_EVENTS / STRIDE) as usize - 1];

/// An event of the timeline.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub occurred_at: Millis,
    bytes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The event's record. The timeline holds only records that were parsed before.
    #[inline]
    #[must_use]
    pub fn record(&self) -> Option<Record<'a>> {
        Record::scan(self.bytes)
    }

    #[must_use]
    pub fn type_id(&self) -> Option<u16> {
        Record::peek_type(self.bytes)
    }
}

/// Where a chunk stands among the customer's rows: its base, and its rank among those of the same.
pub type ChunkKey = (Millis, u32);

/// A run of neighbouring events.
///
/// Events of one instant stand in one chunk, or in several that hold nothing else before the last; so chunks keep their
/// order when it is told by (`base`, `rank`) alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// What the times in `bytes` are counted from; with `rank` its place among the customer's rows. Never changes.
    pub base: Millis,
    /// Tells chunks of one base apart.
    pub rank: u32,
    pub first: Millis,
    pub last: Millis,
    pub events: u32,
    pub bytes: Vec<u8>,
    /// Whether it differs from its row. The tail lives in the head's row and is written with it.
    pub changed: bool,
    marks: Marks,
}

impl Chunk {
    pub(super) fn new((base, rank): ChunkKey) -> Self {
        Self {
            base,
            rank,
            first: base,
            last: base,
            events: 0,
            bytes: Vec::new(),
            changed: true,
            marks: Marks::default(),
        }
    }

    /// A chunk from its row, if the bytes are one: every record readable, times in order.
    #[must_use]
    pub fn unpack((base, rank): ChunkKey, bytes: Vec<u8>) -> Option<Self> {
        let marks = Marks::default();
        let mut chunk = Self { base, rank, first: base, last: base, events: 0, bytes, changed: false, marks };
        let mut entries = chunk.entries();
        let (mut events, mut first, mut last) = (0, None, Millis::MIN);
        for entry in entries.by_ref() {
            Record::parse(entry.bytes)?;
            if entry.occurred_at < last {
                return None;
            }
            first = first.or(Some(entry.occurred_at));
            last = entry.occurred_at;
            events += 1;
        }
        if !entries.reader.is_empty() || events == 0 {
            return None;
        }
        (chunk.events, chunk.first, chunk.last) = (events, first?, last);
        chunk.mark();
        Some(chunk)
    }

    /// Its place among the customer's rows.
    #[must_use]
    pub fn key(&self) -> ChunkKey {
        (self.base, self.rank)
    }

    /// The events, oldest first.
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        Entries { reader: Reader::new(&self.bytes), base: self.base }
    }

    /// The events from this place in `bytes` on.
    pub(super) fn entries_from(&self, place: usize) -> Entries<'_> {
        Entries { reader: Reader::new(self.bytes.get(place..).unwrap_or_default()), base: self.base }
    }

    /// Where an event begins, not later than `instant`, behind which few are to be read until those that are; or the first.
    pub(super) fn place_near(&self, instant: Millis) -> usize {
        let is_early =
            |place: &usize| self.entries_from(*place).next().is_some_and(|entry| entry.occurred_at <= instant);
        let marks = self.marks.iter().rev().map(|mark| *mark as usize).filter(|mark| *mark > 0);
        if self.first > instant { 0 } else { marks.into_iter().find(is_early).unwrap_or(0) }
    }

    /// The events later than `after`.
    pub(super) fn later_than(&self, after: Millis) -> impl Iterator<Item = Entry<'_>> {
        self.entries_from(self.place_near(after)).skip_while(move |entry| entry.occurred_at <= after)
    }

    /// Sets the marks anew.
    fn mark(&mut self) {
        let mut marks = Marks::default();
        let mut entries = self.entries();
        let mut number = 0;
        while let Some(mark) = marks.get_mut((number / STRIDE) as usize)
            && entries.next().is_some()
        {
            number += 1;
            if number % STRIDE == 0 && !entries.reader.is_empty() {
                *mark = (self.bytes.len() - entries.reader.rest().len()) as u32;
            }
        }
        self.marks = marks;
    }

    /// Puts an event behind all that are not later than it.
    pub(super) fn insert(&mut self, occurred_at: Millis, record: &[u8]) {
        if self.events == 0 || occurred_at >= self.last {
            let mark = (self.events / STRIDE).checked_sub(1).filter(|_| self.events.is_multiple_of(STRIDE));
            if let Some(mark) = mark.and_then(|mark| self.marks.get_mut(mark as usize)) {
                *mark = self.bytes.len() as u32;
            }
            pack(&mut self.bytes, occurred_at - self.base, record);
        } else {
            let place = self.place_after(occurred_at);
            let mut packed = Vec::with_capacity(record.len() + 12);
            pack(&mut packed, occurred_at - self.base, record);
            self.bytes.splice(place..place, packed);
            self.mark();
        }
        self.first = if self.events == 0 { occurred_at } else { self.first.min(occurred_at) };
        self.last = if self.events == 0 { occurred_at } else { self.last.max(occurred_at) };
        self.events += 1;
        self.changed = true;
    }

    /// Where in `bytes` the first event later than `occurred_at` begins.
    fn place_after(&self, occurred_at: Millis) -> usize {
        let mut place = self.place_near(occurred_at);
        let mut entries = self.entries_from(place);
        while let Some(entry) = entries.next() {
            if entry.occurred_at > occurred_at {
                break;
            }
            place = self.bytes.len() - entries.reader.rest().len();
        }
        place
    }

    pub(super) fn is_one_instant(&self) -> bool {
        self.first == self.last
    }

    /// Cuts it in two, near the middle and never within an instant unless there is but one. Returns the earlier and the
    /// later part; one of them keeps the place, so that no other chunk comes to stand between them.
    pub(super) fn split(self) -> (Self, Self) {
        let times: Vec<Millis> = self.entries().map(|entry| entry.occurred_at).collect();
        let middle = times.len() / 2;
        let borders = (1..times.len()).filter(|place| times[place - 1] < times[*place]);
        let place = borders.min_by_key(|place| place.abs_diff(middle)).unwrap_or(middle);
        let (first, cut) = (times[0], times[place]);
        let rank = if cut == self.base { self.rank + 1 } else { 0 };
        let (earlier_key, later_key) =
            if self.is_one_instant() || cut > self.base { (self.key(), (cut, rank)) } else { ((first, 0), self.key()) };
        let (mut earlier, mut later) = (Self::new(earlier_key), Self::new(later_key));
        for (number, entry) in self.entries().enumerate() {
            let half = if number < place { &mut earlier } else { &mut later };
            half.insert(entry.occurred_at, entry.bytes);
        }
        (earlier, later)
    }

    /// Drops the events before `horizon`, which is not later than its last one.
    pub(super) fn trim(&mut self, horizon: Millis) {
        let place = self.place_after(horizon - 1);
        self.bytes.drain(..place);
        let mut entries = self.entries();
        let first = entries.next().map(|entry| entry.occurred_at);
        self.events = u32::from(first.is_some()) + entries.count() as u32;
        self.first = first.unwrap_or(self.last);
        self.changed = true;
        self.mark();
    }
}

fn pack(out: &mut Vec<u8>, time: Millis, record: &[u8]) {
    // At once: a number's few bytes would be given a place that is too small for the record behind them.
    out.reserve(record.len() + 12);
    varint::put(out, (varint::signed_len(time) + record.len()) as u64);
    varint::put_signed(out, time);
    out.extend_from_slice(record);
}

/// Iterator over the events of a chunk.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    reader: Reader<'a>,
    base: Millis,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let mut inner = Reader::new(self.reader.bytes()?);
        let occurred_at = self.base.checked_add(inner.signed()?)?;
        Some(Entry { occurred_at, bytes: inner.rest() })
    }
}
