//! What is open, moved from event to event: for large customers, whose events are not gone over again.
//!
//! States of before are kept at ever larger distances, as many as the logarithm of the moves. A late event begins again
//! at the latest one before it, so it costs about as much as has come after it.

use std::collections::BTreeMap;

use super::{Move, Opening};
use crate::event::Record;
use crate::rule::Tracker;
use crate::time::Millis;

/// Moves between two states that are kept, at least. With many open there are as many between them as those, so that a
/// copy costs little beside the moves.
const APART: u64 = 64;

/// What is open after all events up to an instant.
#[derive(Clone, Debug, PartialEq)]
struct Standing {
    at: Millis,
    /// How many moves have led here.
    moves: u64,
    /// By opening, those of one instant as they arrived, with their keys if there are any.
    open: BTreeMap<(Millis, u64), Option<Box<str>>>,
    /// Where the item of a key is in `open`.
    by_key: BTreeMap<Box<str>, (Millis, u64)>,
}

/// What is open now, and what was at some instants before.
#[derive(Clone, Debug, PartialEq)]
pub struct Trail {
    now: Standing,
    /// Oldest first.
    before: Vec<Standing>,
}

impl Standing {
    fn new(tracker: &Tracker, base: &[Opening], at: Millis) -> Self {
        let mut standing = Self { at, moves: 0, open: BTreeMap::new(), by_key: BTreeMap::new() };
        for opening in base {
            standing.open(tracker, opening.key.clone(), opening.at);
        }
        standing
    }

    fn apply(&mut self, tracker: &Tracker, moved: Move, at: Millis) {
        match moved {
            Move::Opens(key) => {
                self.retire(tracker, at);
                self.open(tracker, key, at);
            }
            // At the instant at which an item runs out a closing event is in time.
            Move::Closes(key) => {
                self.retire(tracker, at - 1);
                if let Some(key) = key {
                    let place = self.by_key.remove(&key);
                    place.map(|place| self.open.remove(&place));
                } else {
                    self.open.clear();
                    self.by_key.clear();
                }
            }
        }
        self.moves += 1;
    }

    fn open(&mut self, tracker: &Tracker, key: Box<str>, at: Millis) {
        let place = (at, self.moves);
        if !tracker.is_keyed() {
            self.open.insert(place, None);
        } else if !self.by_key.contains_key(&key) {
            self.by_key.insert(key.clone(), place);
            self.open.insert(place, Some(key));
        }
        self.moves += 1;
    }

    /// Lets go of those that have lasted long enough by `at`.
    fn retire(&mut self, tracker: &Tracker, at: Millis) {
        while let Some(first) = self.open.first_entry()
            && tracker.end_of(first.key().0) <= at
        {
            if let Some(key) = first.remove() {
                self.by_key.remove(&key);
            }
        }
    }
}

impl Trail {
    /// What is open after all events up to `at`, of which `base` is what they left open.
    #[must_use]
    pub fn new(tracker: &Tracker, base: &[Opening], at: Millis) -> Self {
        Self { now: Standing::new(tracker, base, at), before: Vec::new() }
    }

    /// The instant up to which all events have been taken in.
    #[must_use]
    pub fn at(&self) -> Millis {
        self.now.at
    }

    /// Takes in the events between [`Trail::at`] and `through`, in their order.
    pub fn advance<'a>(
        &mut self,
        tracker: &Tracker,
        events: impl Iterator<Item = (Millis, Record<'a>)>,
        through: Millis,
    ) {
        for (at, record) in events {
            let Some(moved) = tracker.reads(record) else { continue };
            if at > self.now.at {
                self.keep();
            }
            self.now.at = at;
            self.now.apply(tracker, moved, at);
        }
        self.now.retire(tracker, through);
        self.now.at = through;
    }

    /// Goes back to before an event that has come late. Returns whether anything is left to go on from.
    #[must_use]
    pub fn go_back(&mut self, before: Millis) -> bool {
        if self.now.at < before {
            return true;
        }
        while let Some(standing) = self.before.pop() {
            if standing.at < before {
                self.now = standing;
                return true;
            }
        }
        false
    }

    /// Lets go of states after which events may be missing now that those before `horizon` are gone.
    pub fn forget_before(&mut self, horizon: Millis) {
        self.before.retain(|standing| standing.at >= horizon - 1);
    }

    /// How many are open.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.now.open.len()
    }

    /// When the first of those that are open runs out.
    #[must_use]
    pub fn first_end(&self, tracker: &Tracker) -> Option<Millis> {
        self.now.open.first_key_value().map(|((at, _), _)| tracker.end_of(*at))
    }

    /// Keeps the present state if it is far enough from the one kept last, and thins out the older ones.
    fn keep(&mut self) {
        let kept_last = self.before.last().map_or(0, |standing| standing.moves);
        if self.now.moves - kept_last < APART.max(self.now.open.len() as u64) {
            return;
        }
        self.before.push(self.now.clone());
        let distance = |standing: &Standing| self.now.moves - standing.moves;
        let mut place = self.before.len().saturating_sub(2);
        while place > 0 {
            // Gone if its neighbours are no more than twice as far apart as the later one is from here.
            if distance(&self.before[place - 1]) <= 2 * distance(&self.before[place + 1]).max(APART) {
                self.before.remove(place);
            }
            place -= 1;
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
        let (mut kept, mut went_back, mut begun_again) = (0, 0, 0);
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
            let mut trail = Trail::new(&tracker, &[], Millis::MIN);
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
                went_back += usize::from(trail.at() >= at);
                let goes_on = trail.go_back(at);
                let horizon = if forgets { clock - keeps } else { Millis::MIN + 1 };
                if timeline.forget_before(horizon) {
                    trail.forget_before(horizon);
                }
                if !goes_on {
                    let base = tracker.sweep(&[], events(&all, Millis::MIN, horizon - 1), usize::MAX, horizon - 1);
                    let base: Vec<Opening> = base.open_items().cloned().collect();
                    begun_again += usize::from(!base.is_empty());
                    trail = Trail::new(&tracker, &base, horizon - 1);
                }
                trail.advance(&tracker, events(&timeline, trail.at(), clock), clock);
                let sweep = tracker.sweep(&[], events(&all, Millis::MIN, clock), usize::MAX, clock);
                let first_end = sweep.open_items().map(|opening| tracker.end_of(opening.at)).min();
                let expected = (sweep.open_count(), first_end);
                assert_eq!((trail.open_count(), trail.first_end(&tracker)), expected, "{round} {number}");
                kept = kept.max(trail.before.len());
            }
        }
        assert!((2..=12).contains(&kept) && went_back > 1_000, "{kept} {went_back}");
        assert!(begun_again > 50, "{begun_again}");
    }
}
