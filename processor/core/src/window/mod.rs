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
    at: Millis,
    tally: Tally,
}

/// What is held of one customer's windows, by their place in a rule set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeldWindows {
    of: u64,
    held: Vec<Option<Held>>,
}

impl HeldWindows {
    /// What is held of the windows known by this number: nothing, if those held last were others.
    pub fn of(&mut self, windows: u64) -> &mut Vec<Option<Held>> {
        if self.of != windows {
            self.of = windows;
            self.held.clear();
        }
        &mut self.held
    }
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
    let Some(held) = held else { return tell(&added_up(window, timeline, at, anchor)) };
    match (window.span, anchor) {
        (Span::Sliding { .. }, _) => tell(slide(window, timeline, held, at)),
        (Span::Prior { .. }, Some(anchor)) if held.as_ref().is_none_or(|held| held.at <= anchor.at) => {
            let tally = slide(window, timeline, held, anchor.at);
            // What is at the trigger's instant and not before it.
            let after: Vec<_> = timeline
                .range(anchor.at - 1, window.bounds(anchor.at).1)
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
        _ => tell(&added_up(window, timeline, at, anchor)),
    }
}

/// The events that the window reaches at `at`, oldest first.
pub fn reached<'a>(
    window: &Window,
    timeline: &'a Timeline,
    at: Millis,
    anchor: Option<Anchor<'a>>,
) -> impl Iterator<Item = Entry<'a>> {
    let (low, high) = match (window.span, anchor) {
        (Span::Sliding { .. }, _) => window.bounds(at),
        (Span::Prior { .. }, Some(anchor)) => window.bounds(anchor.at),
        (Span::Item, Some(anchor)) => (anchor.at - 1, at),
        // Such a window belongs to an item.
        (Span::Prior { .. } | Span::Item, None) => (at, at),
    };
    between(window, timeline, (low, high), anchor)
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
    for entry in reached(window, timeline, at, anchor) {
        if let Some(value) = counted(window, entry) {
            tally.add(entry.occurred_at, value);
        }
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

/// Moves what is held to `at`, which is not before it.
fn slide<'h>(window: &Window, timeline: &Timeline, held: &'h mut Option<Held>, at: Millis) -> &'h mut Tally {
    let (low, high) = window.bounds(at);
    let tally = match held.take() {
        Some(Held { at: before, mut tally }) if before <= at && window.bounds(before).1 >= low => {
            let (old_low, old_high) = window.bounds(before);
            for entry in timeline.range(old_high, high) {
                if let Some(value) = counted(window, entry) {
                    tally.add(entry.occurred_at, value);
                }
            }
            for entry in timeline.range(old_low, low) {
                if let Some(value) = counted(window, entry) {
                    tally.remove(entry.occurred_at, value);
                }
            }
            tally
        }
        _ => {
            let mut tally = Tally::new(window.aggregate);
            for entry in timeline.range(low, high) {
                if let Some(value) = counted(window, entry) {
                    tally.add(entry.occurred_at, value);
                }
            }
            tally
        }
    };
    &mut held.insert(Held { at, tally }).tally
}

impl Held {
    /// Takes in an event that has just been added to the timeline, if the window as it is held reaches it.
    pub fn insert(&mut self, window: &Window, occurred_at: Millis, record: Record<'_>) {
        let (low, high) = window.bounds(self.at);
        if low < occurred_at
            && occurred_at <= high
            && let Some(value) = counted_record(window, record)
        {
            self.tally.add(occurred_at, value);
        }
    }

    /// Whether sliding on may need an event before `horizon`.
    #[must_use]
    pub fn reaches(&self, window: &Window, horizon: Millis) -> bool {
        window.bounds(self.at).0 < horizon - 1
    }
}

/// The first instant after `at` at which an event enters or leaves the window, if none is added.
#[must_use]
pub fn next_change(window: &Window, timeline: &Timeline, at: Millis) -> Option<Millis> {
    if !matches!(window.span, Span::Sliding { .. }) {
        return None;
    }
    let (low, high) = window.bounds(at);
    let first_after =
        |bound: Millis, until: Millis| timeline.range(bound, until).find(|entry| counted(window, *entry).is_some());
    let leaves = first_after(low, high).map(|entry| entry.occurred_at + (at - low));
    let enters = first_after(high, Millis::MAX).map(|entry| entry.occurred_at + (at - high));
    leaves.into_iter().chain(enters).min()
}
