//! A customer's events, packed, in the order (`occurred_at`, arrival).
//!
//! The timeline is a list of chunks. Only the last one, the *tail*, grows at its end; a full tail is *sealed* and a
//! new one begun. A late event is inserted where it belongs and changes one chunk, so a customer with a million events
//! costs no more to write than one with ten. In memory a chunk is the bytes that go to disk. A sealed chunk is found by its
//! row's key, which is in the order of time: there is no index to be written beside it.

use smallvec::SmallVec;
use thin_vec::ThinVec;

use crate::event::Record;
use crate::fetch::fetch;
use crate::time::Millis;

mod chunk;

pub use chunk::{Chunk, ChunkKey, Entries, Entry, SEALED_EVENTS};

/// Events in a chunk, swollen by late ones, when it is split in two.
const SPLIT_EVENTS: u32 = 4 * SEALED_EVENTS;

/// All events of a customer that are kept.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// One, the tail, stands in the customer itself: most have no other.
    chunks: SmallVec<[Chunk; 1]>,
    /// How many of the first are gone, and empty: they make room when they are half of all, for to move up the others costs
    /// the more the more there are.
    gone: u32,
    /// Of all chunks' events.
    bytes: usize,
    /// Rows of chunks that are gone, to be deleted with the next write.
    dropped: ThinVec<ChunkKey>,
}

impl PartialEq for Timeline {
    fn eq(&self, other: &Self) -> bool {
        self.chunks() == other.chunks() && self.dropped == other.dropped
    }
}

impl Eq for Timeline {}

impl Timeline {
    /// A timeline from its chunks, oldest first.
    #[must_use]
    pub fn from_chunks(chunks: impl IntoIterator<Item = Chunk>) -> Self {
        let chunks: SmallVec<[Chunk; 1]> = chunks.into_iter().collect();
        let bytes = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        Self { chunks, bytes, ..Self::default() }
    }

    /// Adds an event behind all that are not later than it.
    pub fn insert(&mut self, occurred_at: Millis, record: Record<'_>) {
        let is_full = |tail: &Chunk| {
            tail.events >= SEALED_EVENTS
                && (tail.last < occurred_at || (tail.last == occurred_at && tail.is_one_instant()))
        };
        if self.chunks().last().is_none_or(is_full) {
            let same = self.chunks().last().filter(|tail| tail.base == occurred_at);
            let rank = same.map_or(0, |tail| tail.rank + 1);
            if let Some(sealed) = self.chunks.last_mut() {
                sealed.bytes.shrink_to_fit();
            }
            self.chunks.push(Chunk::new((occurred_at, rank)));
        }
        let first = self.gone as usize;
        let place = first_that(self.chunks(), |chunk| chunk.first > occurred_at).saturating_sub(1) + first;
        let before = self.chunks[place].bytes.len();
        self.chunks[place].insert(occurred_at, record.bytes());
        self.bytes += self.chunks[place].bytes.len() - before;
        if self.chunks[place].events >= SPLIT_EVENTS {
            let key = self.chunks[place].key();
            let whole = std::mem::replace(&mut self.chunks[place], Chunk::new(key));
            self.bytes -= whole.bytes.len();
            let (earlier, later) = whole.split();
            // Times are counted from another base.
            self.bytes += earlier.bytes.len() + later.bytes.len();
            self.chunks[place] = earlier;
            self.chunks.insert(place + 1, later);
        }
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

    /// Whether [`Timeline::forget_before`] lets go of anything.
    #[must_use]
    pub fn forgets(&self, horizon: Millis) -> bool {
        match self.chunks() {
            [] => false,
            [tail] => tail.first < horizon,
            [first, ..] => first.last < horizon,
        }
    }

    /// Lets go of events before `horizon`: sealed chunks as a whole once their last event is, the tail one by one.
    /// Returns whether anything went.
    pub fn forget_before(&mut self, horizon: Millis) -> bool {
        if !self.forgets(horizon) {
            return false;
        }
        for chunk in &mut self.chunks[self.gone as usize..] {
            if chunk.last >= horizon {
                break;
            }
            self.dropped.push(chunk.key());
            self.bytes -= std::mem::take(&mut chunk.bytes).len();
            self.gone += 1;
        }
        let gone = self.gone as usize;
        if 2 * gone >= self.chunks.len() {
            self.chunks.drain(..gone);
            self.gone = 0;
        }
        if let [tail] = &mut self.chunks[self.gone as usize..]
            && tail.first < horizon
        {
            let before = tail.bytes.len();
            tail.trim(horizon);
            self.bytes -= before - tail.bytes.len();
        }
        true
    }

    /// Lets go of every event before `horizon`, of those in a sealed chunk with later ones, too. Returns whether anything
    /// went.
    pub fn cut_before(&mut self, horizon: Millis) -> bool {
        let forgot = self.forget_before(horizon);
        let Some(first) = self.chunks.get_mut(self.gone as usize).filter(|first| first.first < horizon) else {
            return forgot;
        };
        let before = first.bytes.len();
        first.trim(horizon);
        self.bytes -= before - first.bytes.len();
        true
    }

    /// The events with `after < occurred_at <= through`, oldest first.
    pub fn range(&self, after: Millis, through: Millis) -> impl Iterator<Item = Entry<'_>> {
        let chunks = self.chunks();
        chunks[first_that(chunks, |chunk| chunk.last > after)..]
            .iter()
            .take_while(move |chunk| chunk.first <= through)
            .flat_map(move |chunk| chunk.later_than(after))
            .take_while(move |entry| entry.occurred_at <= through)
    }

    /// Visits what [`Timeline::range`] has: a loop is quicker than an iterator of iterators where every window is added up.
    #[inline]
    pub fn visit<'t>(&'t self, after: Millis, through: Millis, mut visit: impl FnMut(Entry<'t>)) {
        let chunks = self.chunks();
        for chunk in &chunks[first_that(chunks, |chunk| chunk.last > after)..] {
            if chunk.first > through {
                return;
            }
            for entry in chunk.entries_from(chunk.place_near(after)) {
                if entry.occurred_at > through {
                    return;
                }
                if entry.occurred_at > after {
                    visit(entry);
                }
            }
        }
    }

    /// The events at or before `through`, latest first.
    pub fn backwards(&self, through: Millis) -> impl Iterator<Item = Entry<'_>> {
        self.chunks().iter().rev().filter(move |chunk| chunk.first <= through).flat_map(move |chunk| {
            let mut entries: Vec<_> = chunk.entries().take_while(|entry| entry.occurred_at <= through).collect();
            entries.reverse();
            entries
        })
    }

    /// Asks for what tells where the latest events are, and the oldest: see [`crate::fetch`].
    pub fn fetch_chunks(&self) {
        let chunks = self.chunks();
        // Which chunk a window begins in is told by the one before it.
        fetch(&chunks[chunks.len().saturating_sub(2)..]);
        if let [first, _, _, ..] = chunks {
            fetch(first);
        }
    }

    /// Asks for the latest events themselves. What tells where they are should be at hand.
    pub fn fetch_latest(&self) {
        /// A short window's, and from the mark before it.
        const BYTES: usize = 384;
        if let Some(tail) = self.chunks().last() {
            fetch(&tail.bytes[tail.bytes.len().saturating_sub(BYTES)..]);
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks().is_empty()
    }

    /// Whether no event is earlier than this.
    #[must_use]
    pub fn starts_at(&self, instant: Millis) -> bool {
        self.chunks().first().is_none_or(|chunk| chunk.first >= instant)
    }

    /// Number of events held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks().iter().map(|chunk| chunk.events as usize).sum()
    }

    /// Bytes that it takes beside itself, about: vectors grow in steps. Without the keys of rows to delete, which the next write
    /// takes along.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let others = if self.chunks.spilled() { self.chunks.capacity() * size_of::<Chunk>() } else { 0 };
        self.bytes + self.bytes / 4 + others
    }

    /// Whether everything is in the tail: such a customer is one row, and reading all of it costs next to nothing.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.chunks().len() <= 1
    }

    /// The chunks, oldest first; the last one is the tail.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks[self.gone as usize..]
    }

    /// The rows to delete since the last call, and marks every sealed chunk as written. The tail has no row of its own
    /// and so goes on to differ from it until it is sealed and written.
    pub fn written(&mut self) -> ThinVec<ChunkKey> {
        if let Some((_tail, sealed)) = self.chunks[self.gone as usize..].split_last_mut() {
            for chunk in sealed {
                chunk.changed = false;
            }
        }
        std::mem::take(&mut self.dropped)
    }
}

/// The place of the first chunk of which this is true, as it is of all that follow. What is looked for is most often near the
/// end, so the steps go back from there, each twice as far as the one before (Bentley and Yao, 1976).
fn first_that(chunks: &[Chunk], is_so: impl Fn(&Chunk) -> bool) -> usize {
    let (mut known, mut step) = (chunks.len(), 1);
    while known > 0 {
        let place = known.saturating_sub(step);
        if !is_so(&chunks[place]) {
            return place + 1 + chunks[place + 1..known].partition_point(|chunk| !is_so(chunk));
        }
        (known, step) = (place, 2 * step);
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RecordWriter;

    fn record(writer: &mut RecordWriter, id: usize) -> Record<'_> {
        writer.begin(1, &id.to_string());
        writer.record().unwrap()
    }

    fn keys(timeline: &Timeline) -> Vec<ChunkKey> {
        timeline.chunks().iter().map(Chunk::key).collect()
    }

    #[test]
    fn the_first_chunk_that_is_so_is_found_wherever_it_is() {
        let chunks: Vec<Chunk> = (0..40).map(|base| Chunk::new((base, 0))).collect();
        for length in 0..=chunks.len() {
            for border in 0..=length {
                assert_eq!(
                    first_that(&chunks[..length], |chunk| chunk.base >= border as Millis),
                    border,
                    "of {length}"
                );
            }
        }
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
            let mut again = Chunk::unpack(chunk.key(), chunk.bytes.clone()).unwrap();
            again.changed = true;
            assert_eq!(again, *chunk);
        }
        // Read back in the order of their keys they are the same timeline.
        assert!(timeline.chunks().is_sorted_by(|a, b| a.key() < b.key()), "{:?}", keys(&timeline));
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

    /// Many at one instant, and then others before it, after it and at it again: whatever is split, the order holds.
    #[test]
    fn chunks_of_one_instant_keep_their_order() {
        let mut state = 7;
        let mut random = |below| crate::testing::random(&mut state, below);
        for _ in 0..300 {
            let (spread, crowd) = (1 + random(40), random(6));
            let mut times: Vec<Millis> = Vec::new();
            for _ in 0..=random(5) {
                let instant = random(spread) as Millis;
                let length = random(400);
                times.extend((0..length).map(|_| if random(6) < crowd { instant } else { random(spread) as Millis }));
            }
            if !times.is_empty() {
                check(&times);
            }
        }
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
        assert_eq!(timeline.written(), [0, 32, 64, 96, 128, 160].map(|base| (base, 0)));
    }

    #[test]
    fn cuts_at_the_instant_where_it_is_asked_to() {
        let mut whole = Timeline::default();
        let mut writer = RecordWriter::default();
        for arrival in 0..200 {
            whole.insert(arrival / 2, record(&mut writer, arrival as usize));
        }
        whole.written();
        for horizon in 0..=100 {
            let mut timeline = whole.clone();
            assert_eq!(timeline.cut_before(horizon), horizon > 0);
            let left = timeline.range(Millis::MIN, Millis::MAX).map(|entry| entry.occurred_at).collect::<Vec<_>>();
            assert_eq!(left, (2 * horizon..200).map(|arrival| arrival / 2).collect::<Vec<_>>());
            // Of the sealed ones at most one is written again.
            let sealed = timeline.chunks().split_last().map_or(&[][..], |(_tail, sealed)| sealed);
            let cut = sealed.iter().filter(|chunk| chunk.changed).count();
            assert_eq!(cut, sealed.iter().filter(|chunk| chunk.base < horizon).count());
            assert!(timeline.starts_at(horizon) && !timeline.cut_before(horizon));
        }
    }
}
