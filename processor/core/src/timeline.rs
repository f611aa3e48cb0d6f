//! A customer's events, packed, in the order (`occurred_at`, arrival).
//!
//! The timeline is a list of chunks. Only the last one, the *tail*, grows at its end; a full tail is *sealed* and a
//! new one begun. A late event is inserted where it belongs and changes one chunk, so a customer with a million events
//! costs no more to write than one with ten. In memory a chunk is the bytes that go to disk.
//!
//! Layout of a chunk: for each event `length: varint | time: zigzag varint, ms from the chunk's base | record`, where
//! `length` covers what follows it.

use crate::event::Record;
use crate::time::Millis;
use crate::varint::{self, Reader};

/// Events in a chunk when it is sealed. The tail is written with the customer's head at every change: with 32 a customer
/// with 60 events costs about half the bytes of 64, and reads as fast.
pub const SEALED_EVENTS: usize = 32;
/// Events in a chunk, swollen by late ones, when it is split in two.
const SPLIT_EVENTS: usize = 4 * SEALED_EVENTS;

/// An event of the timeline.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub occurred_at: Millis,
    bytes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The event's record. The timeline holds only records that were read before, so this fails on damaged rows alone.
    #[must_use]
    pub fn record(&self) -> Option<Record<'a>> {
        Record::parse(self.bytes)
    }

    #[must_use]
    pub fn type_id(&self) -> Option<u16> {
        Record::peek_type(self.bytes)
    }
}

/// A run of neighbouring events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its place among the customer's rows; never used twice.
    pub number: u32,
    /// What the times in `bytes` are counted from.
    pub base: Millis,
    pub first: Millis,
    pub last: Millis,
    pub events: usize,
    pub bytes: Vec<u8>,
    /// Whether it differs from its row. The tail lives in the head's row and is written with it.
    pub changed: bool,
}

impl Chunk {
    fn new(number: u32, base: Millis) -> Self {
        Self { number, base, first: base, last: base, events: 0, bytes: Vec::new(), changed: true }
    }

    /// A chunk from its row, if the bytes are one: every record readable, times in order.
    #[must_use]
    pub fn unpack(number: u32, base: Millis, bytes: Vec<u8>) -> Option<Self> {
        let mut chunk = Self { number, base, first: base, last: base, events: 0, bytes, changed: false };
        let mut entries = chunk.entries();
        let (mut events, mut first, mut last) = (0, None, Millis::MIN);
        for entry in entries.by_ref() {
            entry.record()?;
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
        Some(chunk)
    }

    /// The events, oldest first.
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        Entries { reader: Reader::new(&self.bytes), base: self.base }
    }

    /// Puts an event behind all that are not later than it.
    fn insert(&mut self, occurred_at: Millis, record: &[u8]) {
        let mut packed = Vec::with_capacity(record.len() + 12);
        let mut time = Vec::with_capacity(10);
        varint::put_signed(&mut time, occurred_at - self.base);
        varint::put(&mut packed, (time.len() + record.len()) as u64);
        packed.extend_from_slice(&time);
        packed.extend_from_slice(record);
        if self.events == 0 || occurred_at >= self.last {
            self.bytes.extend_from_slice(&packed);
        } else {
            let place = self.place_after(occurred_at);
            self.bytes.splice(place..place, packed);
        }
        self.first = if self.events == 0 { occurred_at } else { self.first.min(occurred_at) };
        self.last = if self.events == 0 { occurred_at } else { self.last.max(occurred_at) };
        self.events += 1;
        self.changed = true;
    }

    /// Where in `bytes` the first event later than `occurred_at` begins.
    fn place_after(&self, occurred_at: Millis) -> usize {
        let mut entries = self.entries();
        let mut place = 0;
        while let Some(entry) = entries.next() {
            if entry.occurred_at > occurred_at {
                break;
            }
            place = self.bytes.len() - entries.reader.rest().len();
        }
        place
    }

    /// Moves the later half into a new chunk.
    fn split(&mut self, number: u32) -> Self {
        let mut entries = self.entries();
        let keep = self.events / 2;
        let last_kept = entries.by_ref().take(keep).last().map_or(self.first, |entry| entry.occurred_at);
        let place = self.bytes.len() - entries.reader.rest().len();
        let first_moved = entries.clone().next().map_or(self.last, |entry| entry.occurred_at);
        let later = Self {
            number,
            base: self.base,
            first: first_moved,
            last: self.last,
            events: self.events - keep,
            bytes: self.bytes.split_off(place),
            changed: true,
        };
        (self.last, self.events, self.changed) = (last_kept, keep, true);
        later
    }

    /// Drops the events before `horizon` from a tail.
    fn trim(&mut self, horizon: Millis) {
        let place = self.place_after(horizon - 1);
        self.bytes.drain(..place);
        let mut entries = self.entries();
        let first = entries.next().map(|entry| entry.occurred_at);
        self.events = usize::from(first.is_some()) + entries.count();
        self.first = first.unwrap_or(self.last);
        self.changed = true;
    }
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

/// All events of a customer that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    chunks: Vec<Chunk>,
    /// Rows of chunks that are gone, to be deleted with the next write.
    dropped: Vec<u32>,
}

impl Timeline {
    /// A timeline from its chunks, oldest first.
    #[must_use]
    pub fn from_chunks(chunks: Vec<Chunk>) -> Self {
        Self { chunks, dropped: Vec::new() }
    }

    /// Adds an event behind all that are not later than it.
    pub fn insert(&mut self, occurred_at: Millis, record: Record<'_>) {
        if self.chunks.last().is_none_or(|tail| tail.events >= SEALED_EVENTS && tail.last <= occurred_at) {
            let number = self.next_number();
            self.chunks.push(Chunk::new(number, occurred_at));
        }
        let place = self.chunks.partition_point(|chunk| chunk.first <= occurred_at).saturating_sub(1);
        self.chunks[place].insert(occurred_at, record.bytes());
        if self.chunks[place].events >= SPLIT_EVENTS {
            let number = self.next_number();
            let later = self.chunks[place].split(number);
            self.chunks.insert(place + 1, later);
        }
    }

    fn next_number(&self) -> u32 {
        self.chunks
            .iter()
            .map(|chunk| chunk.number)
            .chain(self.dropped.iter().copied())
            .max()
            .map_or(0, |highest| highest + 1)
    }

    /// The event with this time and id, if it is held.
    #[must_use]
    pub fn find(&self, occurred_at: Millis, id: &str) -> Option<Record<'_>> {
        self.range(occurred_at - 1, occurred_at).filter_map(|entry| entry.record()).find(|record| record.id() == id)
    }

    /// Whether an event with this time and id is held.
    #[must_use]
    pub fn contains(&self, occurred_at: Millis, id: &str) -> bool {
        self.find(occurred_at, id).is_some()
    }

    /// Lets go of events before `horizon`: sealed chunks as a whole once their last event is, the tail one by one.
    /// Returns whether anything went.
    pub fn forget_before(&mut self, horizon: Millis) -> bool {
        if self.chunks.first().is_none_or(|chunk| chunk.first >= horizon) {
            return false;
        }
        let whole = self.chunks.iter().take_while(|chunk| chunk.last < horizon).count();
        self.dropped.extend(self.chunks.drain(..whole).map(|chunk| chunk.number));
        let mut gone = whole > 0;
        if let [tail] = self.chunks.as_mut_slice()
            && tail.first < horizon
        {
            tail.trim(horizon);
            gone = true;
        }
        gone
    }

    /// The events with `after < occurred_at <= through`, oldest first.
    pub fn range(&self, after: Millis, through: Millis) -> impl Iterator<Item = Entry<'_>> {
        let start = self.chunks.partition_point(|chunk| chunk.last <= after);
        self.chunks[start..]
            .iter()
            .take_while(move |chunk| chunk.first <= through)
            .flat_map(Chunk::entries)
            .skip_while(move |entry| entry.occurred_at <= after)
            .take_while(move |entry| entry.occurred_at <= through)
    }

    /// The events at or before `through`, latest first.
    pub fn backwards(&self, through: Millis) -> impl Iterator<Item = Entry<'_>> {
        self.chunks.iter().rev().filter(move |chunk| chunk.first <= through).flat_map(move |chunk| {
            let mut entries: Vec<_> = chunk.entries().take_while(|entry| entry.occurred_at <= through).collect();
            entries.reverse();
            entries
        })
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Number of events held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.events).sum()
    }

    /// Whether everything is in the tail: such a customer is one row, and reading all of it costs next to nothing.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.chunks.len() <= 1
    }

    /// The chunks, oldest first; the last one is the tail.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The rows to delete since the last call, and marks every sealed chunk as written. The tail has no row of its own
    /// and so goes on to differ from it until it is sealed and written.
    pub fn written(&mut self) -> Vec<u32> {
        if let Some((_tail, sealed)) = self.chunks.split_last_mut() {
            for chunk in sealed {
                chunk.changed = false;
            }
        }
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RecordWriter;

    fn record(writer: &mut RecordWriter, id: usize) -> Record<'_> {
        writer.begin(1, &id.to_string());
        writer.record().unwrap()
    }

    /// Inserts at the given times and holds the timeline against a sorted list.
    fn check(times: &[Millis]) {
        let mut timeline = Timeline::default();
        let mut model: Vec<(Millis, usize)> = Vec::new();
        let mut writer = RecordWriter::default();
        for (arrival, &time) in times.iter().enumerate() {
            timeline.insert(time, record(&mut writer, arrival));
            let place = model.partition_point(|(other, _)| *other <= time);
            model.insert(place, (time, arrival));
        }
        let held = |entry: Entry<'_>| (entry.occurred_at, entry.record().unwrap().id().parse().unwrap());
        assert_eq!(timeline.len(), model.len());
        assert_eq!(timeline.range(Millis::MIN, Millis::MAX).map(held).collect::<Vec<_>>(), model);
        let (low, high) = (times.len() as Millis / 3, times.len() as Millis);
        let inside = model.iter().filter(|(time, _)| *time > low && *time <= high).copied().collect::<Vec<_>>();
        assert_eq!(timeline.range(low, high).map(held).collect::<Vec<_>>(), inside);
        let backwards = model.iter().rev().filter(|(time, _)| *time <= high).copied().collect::<Vec<_>>();
        assert_eq!(timeline.backwards(high).map(held).collect::<Vec<_>>(), backwards);
        for chunk in timeline.chunks() {
            let again = Chunk::unpack(chunk.number, chunk.base, chunk.bytes.clone()).unwrap();
            assert_eq!(Chunk { changed: true, ..again }, *chunk);
        }
        let mut numbers: Vec<_> = timeline.chunks().iter().map(|chunk| chunk.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), timeline.chunks().len());
        assert!(times.iter().enumerate().all(|(id, &time)| timeline.contains(time, &id.to_string())));
        assert!(!timeline.contains(times[0], "nobody"));
    }

    #[test]
    fn keeps_the_order_of_time_then_arrival() {
        check(&[5]);
        check(&(0..300).collect::<Vec<_>>());
        check(&(0..300).rev().collect::<Vec<_>>());
        check(&(0..500).map(|i| i * 7919 % 211).collect::<Vec<_>>());
        check(&[9; 200]);
        check(&(0..400).map(|i| if i % 3 == 0 { 50 } else { i / 2 }).collect::<Vec<_>>());
    }

    #[test]
    fn a_late_event_changes_one_chunk() {
        let mut timeline = Timeline::default();
        let mut writer = RecordWriter::default();
        for arrival in 0..1_000 {
            timeline.insert(arrival * 10, record(&mut writer, arrival as usize));
        }
        timeline.written();
        timeline.insert(3_005, record(&mut writer, 5_000));
        let (_tail, sealed) = timeline.chunks().split_last().unwrap();
        assert_eq!(sealed.iter().filter(|chunk| chunk.changed).count(), 1);
    }

    #[test]
    fn forgets_whole_chunks_and_trims_the_tail() {
        let mut timeline = Timeline::default();
        let mut writer = RecordWriter::default();
        for arrival in 0..200 {
            timeline.insert(arrival, record(&mut writer, arrival as usize));
        }
        assert!(timeline.forget_before(100));
        assert_eq!(timeline.range(Millis::MIN, Millis::MAX).next().unwrap().occurred_at, 96);
        assert!(timeline.forget_before(195));
        assert_eq!(
            timeline.range(Millis::MIN, Millis::MAX).map(|entry| entry.occurred_at).collect::<Vec<_>>(),
            (195..200).collect::<Vec<_>>()
        );
        assert!(!timeline.forget_before(195));
        assert_eq!(timeline.written(), [0, 1, 2, 3, 4, 5]);
    }
}
