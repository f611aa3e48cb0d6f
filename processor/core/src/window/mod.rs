//! Aggregates over windows, exact and incremental.
//!
//! A small customer's window is added up from its few events when it is asked for. A larger one's is held and *slid*:
//! what has entered since the last instant is added, what has left is taken away. See [`tally`] for what is held.

mod gaps;
mod halves;
mod tally;

use crate::event::{FieldValue, Record};
use crate::rule::{Selected, Span, Window};
use crate::time::Millis;
use crate::timeline::{Entry, Timeline};
use crate::value::OwnedValue;
use tally::Tally;

/// The event that opened an item: what `prior` and `over: item` look from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor<'a> {
    pub at: Millis,
    pub event_id: &'a str,
}

impl Anchor<'_> {
    /// Whether it is this one.
    #[must_use]
    pub fn is(&self, entry: Entry<'_>) -> bool {
        entry.occurred_at == self.at && entry.record().is_some_and(|record| record.id() == self.event_id)
    }
}

/// A window's tally as it stood at an instant; of a window with `prior`, that of an item's trigger.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Its events are later than the first, and no later than the second.
    bounds: (Millis, Millis),
    tally: Tally,
    /// The earliest of them, which leaves next.
    leaves: First,
    /// The earliest event behind it, which enters next.
    enters: First,
}

/// The earliest of some events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Unknown,
    /// There is no event.
    None,
    At(Millis),
}

/// The value at `at`. `held` is what was held at an earlier instant, and is moved to this one.
///
/// `anchor` is the trigger of the item that is judged, if it is one.
#[must_use]
pub fn value(
    window: &Window,
    timeline: &Timeline,
    held: Option<&mut Option<Held>>,
    at: Millis,
    anchor: Option<Anchor<'_>>,
) -> OwnedValue {
    let tell = |tally: &Tally| tell(tally, window, timeline, anchor);
    let bounds = bounds(window, at, anchor);
    let Some(held) = held.filter(|held| held.as_ref().is_none_or(|held| held.bounds.1 <= bounds.1)) else {
        return tell(&added_up(window, timeline, at, anchor));
    };
    match (window.span, anchor) {
        (Span::Prior { .. }, Some(anchor)) => {
            let tally = slide(window, timeline, held, bounds, None);
            // What is at the trigger's instant and not before it.
            let after: Vec<_> = timeline
                .range(anchor.at - 1, bounds.1)
                .skip_while(|entry| !anchor.is(*entry))
                .filter_map(|entry| Some((entry.occurred_at, counted(window, entry)?)))
                .collect();
            for (at, value) in &after {
                tally.remove(*at, *value);
            }
            let value = tell(tally);
            for (at, value) in &after {
                tally.add(*at, *value);
            }
            value
        }
        _ => tell(slide(window, timeline, held, bounds, anchor)),
    }
}

/// The bounds of the window at `at`: after the first, up to and including the second.
fn bounds(window: &Window, at: Millis, anchor: Option<Anchor<'_>>) -> (Millis, Millis) {
    match (window.span, anchor) {
        (Span::Sliding { .. }, _) => window.bounds(at),
        (Span::Prior { .. }, Some(anchor)) => window.bounds(anchor.at),
        (Span::Item, Some(anchor)) => (anchor.at - 1, at),
        // Such a window belongs to an item.
        (Span::Prior { .. } | Span::Item, None) => (at, at),
    }
}

/// The events that the window reaches at `at`, oldest first.
pub fn reached<'a>(
    window: &Window,
    timeline: &'a Timeline,
    at: Millis,
    anchor: Option<Anchor<'a>>,
) -> impl Iterator<Item = Entry<'a>> {
    between(window, timeline, bounds(window, at, anchor), anchor)
}

/// Of the events in `bounds` those on the right side of the anchor.
fn between<'a>(
    window: &Window,
    timeline: &'a Timeline,
    (low, high): (Millis, Millis),
    anchor: Option<Anchor<'a>>,
) -> impl Iterator<Item = Entry<'a>> {
    let stop = anchor.filter(|_| matches!(window.span, Span::Prior { .. }));
    let start = anchor.filter(|anchor| window.span == Span::Item && low < anchor.at);
    let mut begun = start.is_none();
    timeline.range(low, high).take_while(move |entry| !stop.is_some_and(|anchor| anchor.is(*entry))).filter(
        move |entry| {
            let is_inside = begun;
            begun |= start.is_some_and(|anchor| anchor.is(*entry));
            is_inside
        },
    )
}

/// The field that the window is about, if the event is counted at all.
#[allow(clippy::option_option, reason = "outside: is it counted; inside: is there a field")]
#[must_use]
pub fn counted<'a>(window: &Window, entry: Entry<'a>) -> Option<Option<FieldValue<'a>>> {
    entry.type_id().filter(|type_id| window.selector.selects_type(*type_id))?;
    counted_record(window, entry.record()?)
}

#[allow(clippy::option_option, reason = "as above")]
fn counted_record<'a>(window: &Window, record: Record<'a>) -> Option<Option<FieldValue<'a>>> {
    window.selector.select(record).map(|selected| field(selected, record))
}

fn field<'a>(selected: &Selected, record: Record<'a>) -> Option<FieldValue<'a>> {
    selected.field.and_then(|field| record.raw_field(field))
}

/// The tally at `at`, from the events alone.
fn added_up(window: &Window, timeline: &Timeline, at: Millis, anchor: Option<Anchor<'_>>) -> Tally {
    let mut tally = Tally::new(window.aggregate);
    let mut add = |entry: Entry<'_>| {
        if let Some(value) = counted(window, entry) {
            tally.add(entry.occurred_at, value);
        }
    };
    if anchor.is_none() {
        let (low, high) = bounds(window, at, None);
        timeline.visit(low, high, add);
    } else {
        reached(window, timeline, at, anchor).for_each(&mut add);
    }
    tally
}

fn tell(tally: &Tally, window: &Window, timeline: &Timeline, anchor: Option<Anchor<'_>>) -> OwnedValue {
    tally.value(window.aggregate, |instant, first| {
        let events = between(window, timeline, (instant - 1, instant), anchor);
        let mut values = events.filter_map(|entry| counted(window, entry));
        match if first { values.next() } else { values.last() }.flatten() {
            // Numbers are seen as the decimals that they are taken over.
            Some(number @ (FieldValue::Decimal(_) | FieldValue::Number(_))) => {
                number.decimal().map_or(OwnedValue::Null, |decimal| OwnedValue::Number(decimal.to_f64()))
            }
            Some(value) => value.value().to_owned(),
            None => OwnedValue::Null,
        }
    })
}

/// Moves what is held to these bounds, which are not before its own.
fn slide<'h>(
    window: &Window,
    timeline: &Timeline,
    held: &'h mut Option<Held>,
    (low, high): (Millis, Millis),
    anchor: Option<Anchor<'_>>,
) -> &'h mut Tally {
    let overlapping = held.take().filter(|held| held.bounds.0 <= low && low <= held.bounds.1);
    let held = held.insert(overlapping.unwrap_or_else(|| Held {
        bounds: (low, low),
        tally: Tally::new(window.aggregate),
        leaves: First::None,
        enters: First::Unknown,
    }));
    let (old_low, old_high) = held.bounds;
    if held.enters.may_be_by(high) {
        let is_new = old_low == old_high;
        for entry in between(window, timeline, (old_high, high), anchor.filter(|_| is_new)) {
            if let Some(value) = counted(window, entry) {
                held.add(entry.occurred_at, value);
            }
        }
        held.enters = First::Unknown;
    }
    held.bounds = (old_low, high);
    held.leave(window, timeline, low);
    &mut held.tally
}

impl Held {
    fn add(&mut self, at: Millis, value: Option<FieldValue<'_>>) {
        self.tally.add(at, value);
        self.leaves.heard_of(at);
    }

    /// Lets the events up to `low` leave.
    fn leave(&mut self, window: &Window, timeline: &Timeline, low: Millis) {
        let (old_low, high) = self.bounds;
        self.bounds.0 = low;
        if !self.leaves.may_be_by(low) {
            return;
        }
        self.leaves = First::None;
        for entry in timeline.range(old_low, high) {
            let Some(value) = counted(window, entry) else { continue };
            if entry.occurred_at > low {
                self.leaves = First::At(entry.occurred_at);
                break;
            }
            self.tally.remove(entry.occurred_at, value);
        }
    }

    /// Takes in an event that has just been added to the timeline, if the window as it is held reaches it.
    pub fn insert(&mut self, window: &Window, occurred_at: Millis, record: Record<'_>) {
        let (low, high) = self.bounds;
        if low < occurred_at
            && let Some(value) = counted_record(window, record)
        {
            if occurred_at <= high {
                self.add(occurred_at, value);
            } else if self.enters == First::None && window.ends_now() {
                // It is about to be looked at from there, and nothing else enters until then.
                self.bounds.1 = occurred_at;
                self.add(occurred_at, value);
            } else {
                self.enters.heard_of(occurred_at);
            }
        }
    }

    /// Bytes that it takes beside itself, about.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.tally.heap_bytes()
    }

    /// Events before `horizon` are about to be let go of: what is held does without them, or is of no use any more.
    #[must_use]
    pub fn forgetting(mut self, window: &Window, timeline: &Timeline, horizon: Millis) -> Option<Self> {
        let (low, high) = self.bounds;
        if low < horizon - 1 {
            if high < horizon - 1 {
                return None;
            }
            self.leave(window, timeline, horizon - 1);
        }
        Some(self)
    }
}

impl First {
    /// Whether it may be at this instant or before.
    fn may_be_by(self, instant: Millis) -> bool {
        match self {
            Self::Unknown => true,
            Self::None => false,
            Self::At(at) => at <= instant,
        }
    }

    /// There is an event at `at` as well.
    fn heard_of(&mut self, at: Millis) {
        *self = match *self {
            Self::Unknown => Self::Unknown,
            Self::None => Self::At(at),
            Self::At(first) => Self::At(first.min(at)),
        };
    }

    /// The instant; looked up only if it is not known.
    fn at(&mut self, find: impl FnOnce() -> Option<Millis>) -> Option<Millis> {
        if *self == Self::Unknown {
            *self = find().map_or(Self::None, Self::At);
        }
        if let Self::At(at) = *self { Some(at) } else { None }
    }
}

/// How many events are in the window at `at` or enter it later, if none is added.
#[must_use]
pub fn ever_counted(window: &Window, timeline: &Timeline, at: Millis) -> usize {
    let (low, _) = window.bounds(at);
    timeline.range(low, Millis::MAX).filter(|entry| counted(window, *entry).is_some()).count()
}

/// The first instant after `at` at which an event enters or leaves the window, if none is added. `held` is what is held
/// at `at`.
#[must_use]
pub fn next_change(
    window: &Window,
    timeline: &Timeline,
    held: Option<&mut Option<Held>>,
    at: Millis,
) -> Option<Millis> {
    if !matches!(window.span, Span::Sliding { .. }) {
        return None;
    }
    let (low, high) = window.bounds(at);
    let first_after = |bound: Millis, until: Millis| {
        let mut entries = timeline.range(bound, until);
        entries.find(|entry| counted(window, *entry).is_some()).map(|entry| entry.occurred_at)
    };
    let (leaves, enters) = match held.and_then(Option::as_mut).filter(|held| held.bounds == (low, high)) {
        Some(held) => (held.leaves.at(|| first_after(low, high)), held.enters.at(|| first_after(high, Millis::MAX))),
        None => (first_after(low, high), first_after(high, Millis::MAX)),
    };
    leaves.map(|leaves| leaves + (at - low)).into_iter().chain(enters.map(|enters| enters + (at - high))).min()
}
