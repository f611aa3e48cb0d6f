//! Aggregates over windows, exact and incremental.
//!
//! A small customer's window is added up from its few events when it is asked for. A larger one's is held and *slid*:
//! what has entered since the last instant is added, what has left is taken away. Totals are integers, so a value
//! depends only on which events are in the window, never on the path to it.

use crate::decimal::units_to_f64;
use crate::event::{FieldValue, Record};
use crate::rule::{Aggregate, Window};
use crate::time::Millis;
use crate::timeline::Timeline;

/// What has been added up over the events of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    events: i64,
    /// Ten-thousandths.
    sum: i128,
}

/// A window's total as it stood at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    at: Millis,
    total: Total,
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

impl Total {
    /// The value that conditions see.
    #[must_use]
    pub fn value(&self, aggregate: Aggregate) -> f64 {
        match aggregate {
            Aggregate::Count => self.events as f64,
            Aggregate::Sum => units_to_f64(self.sum),
            _ => f64::NAN,
        }
    }

    fn add(&mut self, window: &Window, record: Record<'_>, sign: i64) {
        let Some(selected) = window.selector.select(record) else { return };
        self.events += sign;
        if let Some(units) = selected.field.and_then(|field| record.raw_field(field)).and_then(FieldValue::decimal) {
            self.sum += i128::from(sign) * i128::from(units.0);
        }
    }

    fn add_range(&mut self, window: &Window, timeline: &Timeline, (after, through): (Millis, Millis), sign: i64) {
        for entry in timeline.range(after, through) {
            if let Some(record) = wanted(window, entry) {
                self.add(window, record, sign);
            }
        }
    }
}

fn wanted<'a>(window: &Window, entry: crate::timeline::Entry<'a>) -> Option<Record<'a>> {
    entry.type_id().filter(|type_id| window.selector.selects_type(*type_id)).and_then(|_| entry.record())
}

/// The total at `at`, from the events alone.
#[must_use]
pub fn total(window: &Window, timeline: &Timeline, at: Millis) -> Total {
    let mut total = Total::default();
    total.add_range(window, timeline, window.bounds(at), 1);
    total
}

/// The total at `at`, from the one held; `held` is moved there. Time only moves forward.
pub fn slide(window: &Window, timeline: &Timeline, held: &mut Option<Held>, at: Millis) -> Total {
    let (low, high) = window.bounds(at);
    let slid = match *held {
        Some(Held { at: before, total }) if before <= at && window.bounds(before).1 >= low => {
            let (old_low, old_high) = window.bounds(before);
            let mut total = total;
            total.add_range(window, timeline, (old_high, high), 1);
            total.add_range(window, timeline, (old_low, low), -1);
            total
        }
        _ => total(window, timeline, at),
    };
    *held = Some(Held { at, total: slid });
    slid
}

impl Held {
    /// Takes in an event that has just been added to the timeline, if the window as it is held reaches it.
    pub fn insert(&mut self, window: &Window, occurred_at: Millis, record: Record<'_>) {
        let (low, high) = window.bounds(self.at);
        if low < occurred_at && occurred_at <= high {
            self.total.add(window, record, 1);
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
    let (low, high) = window.bounds(at);
    let first_after = |bound: Millis, until: Millis| {
        let mut events = timeline.range(bound, until);
        events.find(|entry| wanted(window, *entry).is_some_and(|record| window.selector.select(record).is_some()))
    };
    let leaves = first_after(low, high).map(|entry| entry.occurred_at + (at - low));
    let enters = first_after(high, Millis::MAX).map(|entry| entry.occurred_at + (at - high));
    leaves.into_iter().chain(enters).min()
}
