//! Which items are open: the sweep over a customer's events, from the earliest on.
//!
//! ```text
//!   event ──> closes?  those of its key that are open, or all of them
//!        └──> opens?   not while its key is open, not beyond the limit
//!   time  ──> an item that has lasted long enough is open no longer
//! ```
//!
//! An event that is one of those that close never opens. At the instant at which an item runs out a closing event is in
//! time, and an event of its key opens the next.

mod standing;

pub use standing::Standing;

use crate::attributes::Attributes;
use crate::event::{Record, TypeId};
use crate::expr::Scope;
use crate::rule::{Mover, Tracker};
use crate::time::Millis;
use crate::value::Value;

/// What opened an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The key; without `by` the triggering event's id.
    pub key: Box<str>,
    pub at: Millis,
    pub event_id: Box<str>,
}

impl Opening {
    /// Whether it is the event of this time and id.
    #[must_use]
    pub fn is(&self, at: Millis, event_id: &str) -> bool {
        self.at == at && *self.event_id == *event_id
    }
}

/// What an event does to items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    Opens(Box<str>),
    /// Those of the key, or all.
    Closes(Option<Box<str>>),
}

/// How an item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Closed,
    RanOut,
}

/// From an item's opening to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub opening: Opening,
    /// `None`: it is open.
    pub end: Option<(Millis, End)>,
    /// Events that would have opened one of its key while it was open.
    pub passed: Vec<(Millis, Box<str>)>,
}

/// All items there have been, by opening.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    pub spans: Vec<Span>,
    /// Events that found as many open as there may be.
    pub refused: Vec<(Millis, Box<str>)>,
    /// Places of those that are open.
    open: Vec<usize>,
}

impl Mover {
    /// The key under which the event moves items, if it does.
    #[allow(clippy::option_option, reason = "outside: does it move items; inside: is there a key")]
    fn takes(&self, record: Record<'_>) -> Option<Option<Box<str>>> {
        if self.type_id != record.type_id() {
            return None;
        }
        let attributes = Attributes::default();
        let scope = Scope { at: 0, lets: &[], attributes: &attributes, event: Some(record), trigger: None };
        if self.filter.as_ref().is_some_and(|filter| !filter.holds(&scope)) {
            return None;
        }
        let Some(by) = &self.by else { return Some(None) };
        Some(Some(match by.of(record) {
            Value::Text(text) => text.into(),
            // Adding zero takes the sign from a negative one.
            Value::Number(x) => (x + 0.0).to_string().into(),
            Value::Bool(b) => if b { "true" } else { "false" }.into(),
            Value::Null | Value::Undefined | Value::Duration(_) => return None,
        }))
    }
}

impl Tracker {
    /// Whether events of this type may open or close something.
    #[must_use]
    pub fn concerns(&self, type_id: TypeId) -> bool {
        self.opens.type_id == type_id || self.closes.iter().any(|mover| mover.type_id == type_id)
    }

    /// What this event does.
    #[must_use]
    pub fn reads(&self, record: Record<'_>) -> Option<Move> {
        if let Some(key) = self.closes.iter().find_map(|mover| mover.takes(record)) {
            return Some(Move::Closes(key));
        }
        let key = self.opens.takes(record)?;
        Some(Move::Opens(key.unwrap_or_else(|| record.id().into())))
    }

    /// Whether an item shuts out others of its key.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        self.opens.by.is_some()
    }

    /// When an item that opened at `opened_at` runs out.
    #[must_use]
    pub fn end_of(&self, opened_at: Millis) -> Millis {
        opened_at.saturating_add(self.lasts)
    }

    /// Goes over events, which come in their order, after those that left `base` open. At most `limit` items are open at
    /// once.
    pub fn sweep<'a>(
        &self,
        base: &[Opening],
        events: impl Iterator<Item = (Millis, Record<'a>)>,
        limit: usize,
        through: Millis,
    ) -> Sweep {
        let spans =
            base.iter().map(|opening| Span { opening: opening.clone(), end: None, passed: Vec::new() }).collect();
        let mut sweep = Sweep { spans, refused: Vec::new(), open: (0..base.len()).collect() };
        for (at, record) in events {
            match self.reads(record) {
                Some(Move::Closes(key)) => sweep.close(self, at, key.as_deref()),
                Some(Move::Opens(key)) => {
                    let event_id = record.id().into();
                    sweep.open(self, Opening { key, at, event_id }, limit);
                }
                None => {}
            }
        }
        sweep.retire(self, through);
        sweep
    }
}

impl Sweep {
    /// The items that are open, by opening.
    pub fn open_items(&self) -> impl Iterator<Item = &Opening> {
        self.open.iter().map(|place| &self.spans[*place].opening)
    }

    /// How many are open.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// The item that this event opened, or would have opened had it not been open.
    #[must_use]
    pub fn item_of(&self, at: Millis, event_id: &str) -> Option<&Span> {
        let passed = |span: &Span| span.passed.iter().any(|(time, id)| *time == at && **id == *event_id);
        self.spans.iter().find(|span| span.opening.is(at, event_id) || passed(span))
    }

    fn close(&mut self, tracker: &Tracker, at: Millis, key: Option<&str>) {
        let spans = &mut self.spans;
        self.open.retain(|place| {
            let span = &mut spans[*place];
            let is_closed = key.is_none_or(|key| *span.opening.key == *key) && tracker.end_of(span.opening.at) >= at;
            if is_closed {
                span.end = Some((at, End::Closed));
            }
            !is_closed
        });
    }

    fn open(&mut self, tracker: &Tracker, opening: Opening, limit: usize) {
        self.retire(tracker, opening.at);
        let event = (opening.at, opening.event_id.clone());
        let same = |place: &&usize| tracker.is_keyed() && self.spans[**place].opening.key == opening.key;
        if let Some(&place) = self.open.iter().find(same) {
            self.spans[place].passed.push(event);
        } else if self.open.len() >= limit {
            self.refused.push(event);
        } else {
            self.open.push(self.spans.len());
            self.spans.push(Span { opening, end: None, passed: Vec::new() });
        }
    }

    /// Ends those that have lasted long enough by `at`.
    fn retire(&mut self, tracker: &Tracker, at: Millis) {
        let spans = &mut self.spans;
        self.open.retain(|place| {
            let end = tracker.end_of(spans[*place].opening.at);
            if end <= at {
                spans[*place].end = Some((end, End::RanOut));
            }
            end > at
        });
    }
}
