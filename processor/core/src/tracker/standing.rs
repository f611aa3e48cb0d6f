//! What is open, moved from event to event: for large customers, whose events are not gone over again.
//!
//! What each instant has changed is noted, so that a late event can be taken in where it belongs: the changes from its time
//! on are taken back, and made again with it. It costs as much as has come after it.

use std::collections::{BTreeMap, VecDeque};

use super::{Move, Opening};
use crate::event::Record;
use crate::rule::Tracker;
use crate::time::Millis;

/// What is open after all events up to an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    at: Millis,
    /// No event before this can be taken in any more.
    reaches: Millis,
    open: BTreeMap<Place, Option<Box<str>>>,
    /// Where the item of a key is in `open`.
    by_key: BTreeMap<Box<str>, Place>,
    /// Number of the next item.
    next: u64,
    /// What was changed, by the time at which it was.
    changes: VecDeque<(Millis, Change)>,
}

/// An item among those that are open: by opening, those of one instant as they arrived.
type Place = (Millis, u64);

#[derive(Clone, Debug, PartialEq)]
enum Change {
    Began(Place),
    /// With its key, if it has one.
    Ended(Place, Option<Box<str>>),
}

impl Standing {
    /// What is open after all events up to `at`, of which `base` is what they left open.
    #[must_use]
    pub fn new(tracker: &Tracker, base: &[Opening], at: Millis) -> Self {
        let mut standing = Self {
            at,
            reaches: at.saturating_add(1),
            open: BTreeMap::new(),
            by_key: BTreeMap::new(),
            next: 0,
            changes: VecDeque::new(),
        };
        for opening in base {
            standing.begin((opening.at, standing.next), tracker.is_keyed().then(|| opening.key.clone()));
            standing.next += 1;
        }
        standing
    }

    /// Bytes that it takes beside itself, about.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        /// Of a sorted map, key and value with their share of a node, and a key's text.
        const ENTRY: usize = 64;
        (self.open.len() + self.by_key.len()) * ENTRY + self.changes.capacity() * size_of::<(Millis, Change)>()
    }

    /// The instant up to which all events have been taken in.
    #[must_use]
    pub fn at(&self) -> Millis {
        self.at
    }

    /// Takes in the events between [`Standing::at`] and `through`, in their order.
    pub fn advance<'a>(
        &mut self,
        tracker: &Tracker,
        events: impl Iterator<Item = (Millis, Record<'a>)>,
        through: Millis,
    ) {
        for (at, record) in events {
            match tracker.reads(record) {
                Some(Move::Opens(key)) => {
                    self.retire(tracker, at, at);
                    let key = tracker.is_keyed().then_some(key);
                    if key.as_ref().is_none_or(|key| !self.by_key.contains_key(key)) {
                        let place = (at, self.next);
                        self.next += 1;
                        self.begin(place, key);
                        self.changes.push_back((at, Change::Began(place)));
                    }
                }
                Some(Move::Closes(key)) => {
                    // At the instant at which an item runs out a closing event is in time.
                    self.retire(tracker, at - 1, at);
                    match key {
                        Some(key) => {
                            if let Some(place) = self.by_key.get(&key).copied() {
                                self.end(place, at);
                            }
                        }
                        None => {
                            while let Some((place, _)) = self.open.first_key_value() {
                                self.end(*place, at);
                            }
                        }
                    }
                }
                None => {}
            }
        }
        self.retire(tracker, through, through);
        self.at = through;
    }

    /// Goes back to before an event that has come late. Returns whether it could: without, it is of no more use.
    #[must_use]
    pub fn go_back(&mut self, before: Millis) -> bool {
        while let Some((at, change)) = self.changes.pop_back() {
            if at < before {
                self.changes.push_back((at, change));
                break;
            }
            match change {
                Change::Began(place) => {
                    if let Some(Some(key)) = self.open.remove(&place) {
                        self.by_key.remove(&key);
                    }
                }
                Change::Ended(place, key) => self.begin(place, key),
            }
        }
        self.at = self.at.min(before - 1);
        before >= self.reaches
    }

    /// No event before `horizon` will come.
    pub fn forget_before(&mut self, horizon: Millis) {
        self.reaches = self.reaches.max(horizon);
        while self.changes.front().is_some_and(|(at, _)| *at < horizon) {
            self.changes.pop_front();
        }
    }

    /// How many are open.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// When the first of those that are open runs out.
    #[must_use]
    pub fn first_end(&self, tracker: &Tracker) -> Option<Millis> {
        self.open.first_key_value().map(|((at, _), _)| tracker.end_of(*at))
    }

    fn begin(&mut self, place: Place, key: Option<Box<str>>) {
        if let Some(key) = &key {
            self.by_key.insert(key.clone(), place);
        }
        self.open.insert(place, key);
    }

    fn end(&mut self, place: Place, at: Millis) {
        let Some(key) = self.open.remove(&place) else { return };
        if let Some(key) = &key {
            self.by_key.remove(key);
        }
        self.changes.push_back((at, Change::Ended(place, key)));
    }

    /// At `now`, ends those that have lasted long enough by `at`.
    fn retire(&mut self, tracker: &Tracker, at: Millis, now: Millis) {
        while let Some((place, _)) = self.open.first_key_value()
            && tracker.end_of(place.0) <= at
        {
            self.end(*place, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Catalog, FieldValue, RecordWriter};
    use crate::expr::FieldRef;
    use crate::rule::Mover;
    use crate::testing::random;
    use crate::timeline::Timeline;

    fn mover(name: &str, is_keyed: bool) -> Mover {
        let by = is_keyed.then_some(FieldRef::Slot(0));
        Mover { type_id: Catalog::type_id(name), filter: None, by }
    }

    fn events(timeline: &Timeline, after: Millis, through: Millis) -> impl Iterator<Item = (Millis, Record<'_>)> {
        timeline.range(after, through).map(|entry| (entry.occurred_at, entry.record().unwrap()))
    }

    /// Moved on, back and on again with events in any order, of which the oldest are let go of, it knows what a sweep over
    /// all of them finds.
    #[test]
    fn agrees_with_a_sweep() {
        let mut state = 3;
        let (mut went_back, mut begun_again) = (0, 0);
        for round in 0..60 {
            let is_keyed = random(&mut state, 2) == 0;
            let lasts = 1 + random(&mut state, 300) as Millis;
            let closes = vec![mover("closes", is_keyed)];
            let tracker = Tracker { key: 0, opens: mover("opens", is_keyed), closes, lasts };
            let (keys, lateness) = (1 + random(&mut state, 40), 1 + random(&mut state, 100));
            let closing = 1 + random(&mut state, 30);
            let keeps = lasts.max(lateness as Millis) + random(&mut state, 50) as Millis;
            let forgets = random(&mut state, 3) > 0;
            let (mut all, mut timeline, mut writer) =
                (Timeline::default(), Timeline::default(), RecordWriter::default());
            let mut standing = Standing::new(&tracker, &[], -1_000);
            let mut clock = 0;
            for number in 0..800 {
                clock += random(&mut state, 3) as Millis;
                let at =
                    if random(&mut state, 5) == 0 { clock - random(&mut state, lateness) as Millis } else { clock };
                let name = if random(&mut state, closing) == 0 { "closes" } else { "opens" };
                writer.begin(Catalog::type_id(name), &number.to_string());
                writer.field(0, FieldValue::Text(&random(&mut state, keys).to_string()));
                all.insert(at, writer.record().unwrap());
                timeline.insert(at, writer.record().unwrap());
                if standing.at() >= at {
                    went_back += 1;
                    assert!(standing.go_back(at));
                }
                let horizon = if forgets { clock - keeps } else { -1_000 };
                if timeline.forget_before(horizon) {
                    standing.forget_before(horizon);
                }
                if random(&mut state, 50) == 0 {
                    let base = tracker.sweep(&[], events(&all, Millis::MIN, horizon - 1), usize::MAX, horizon - 1);
                    let base: Vec<Opening> = base.open_items().cloned().collect();
                    begun_again += usize::from(!base.is_empty());
                    standing = Standing::new(&tracker, &base, horizon - 1);
                    assert!(!standing.go_back(horizon - 1), "what is before it is not known");
                    standing = Standing::new(&tracker, &base, horizon - 1);
                }
                standing.advance(&tracker, events(&timeline, standing.at(), clock), clock);
                let sweep = tracker.sweep(&[], events(&all, Millis::MIN, clock), usize::MAX, clock);
                let first_end = sweep.open_items().map(|opening| tracker.end_of(opening.at)).min();
                let expected = (sweep.open_count(), first_end);
                assert_eq!((standing.open_count(), standing.first_end(&tracker)), expected, "{round} {number}");
            }
        }
        assert!(went_back > 1_000 && begun_again > 50, "{went_back} {begun_again}");
    }
}
