//! What every kind of `let` must answer, and the two things they share: which events, and in which window.
//!
//! A further kind (`distinct`, `median_gap`, ...) is a file with a struct that answers [`Question`], and a line in [`Measure`].

use super::count::Count;
use super::event::Event;
use super::expr::{Expr, Name};
use super::silence::Silence;
use super::sum::Sum;
use super::value::Value;
use std::collections::BTreeSet;

/// An accepted event of one customer.
#[derive(Clone, Debug)]
pub struct Held {
    /// How many the partition had accepted before it: the tie-break of everything that goes by time.
    pub arrival: usize,
    pub event: Event,
    /// A profile that came too old to be anything but a source of attributes.
    pub attributes_only: bool,
    /// Silences that were first asked for when this was too old to be looked at.
    pub unseen_by: BTreeSet<String>,
}

impl Held {
    pub fn place(&self) -> (i64, usize) {
        (self.event.at, self.arrival)
    }
}

pub trait Question {
    fn value(&self, held: &[Held], at: i64) -> Value;

    /// The events that the value rests on.
    fn evidence<'a>(&self, held: &'a [Held], at: i64) -> Vec<&'a Held>;

    /// Every instant at which the value could change by itself, useful or not.
    fn edges(&self, held: &[Held]) -> Vec<i64>;

    /// For a running duration: the instant it counts from.
    fn running_since(&self, _held: &[Held], _at: i64) -> Option<i64> {
        None
    }
}

#[derive(Clone, Debug)]
pub enum Measure {
    Count(Count),
    Sum(Sum),
    Silence(Silence),
}

impl Measure {
    pub fn question(&self) -> &dyn Question {
        match self {
            Measure::Count(count) => count,
            Measure::Sum(sum) => sum,
            Measure::Silence(silence) => silence,
        }
    }

    pub fn selection_mut(&mut self) -> &mut Selection {
        match self {
            Measure::Count(count) => &mut count.selection,
            Measure::Sum(sum) => &mut sum.selection,
            Measure::Silence(silence) => &mut silence.selection,
        }
    }

    pub fn window_mut(&mut self) -> Option<&mut Window> {
        match self {
            Measure::Count(count) => Some(&mut count.window),
            Measure::Sum(sum) => Some(&mut sum.window),
            Measure::Silence(_) => None,
        }
    }
}

/// Events of the named types for which `where` is true.
#[derive(Clone, Debug)]
pub struct Selection {
    pub kinds: Vec<&'static str>,
    pub filter: Option<Expr>,
}

impl Selection {
    pub fn admits(&self, held: &Held) -> bool {
        let event = &held.event;
        let fields = |name: &Name| match name {
            Name::Field(field) => event.seen(field),
            _ => panic!("only event.* is known in `where`"),
        };
        !held.attributes_only
            && self.kinds.contains(&event.kind)
            && self.filter.as_ref().is_none_or(|filter| filter.value(&fields).is_true())
    }
}

/// `t - offset - over < occurred_at <= t - offset`
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub over: i64,
    pub offset: i64,
}

impl Window {
    pub fn holds(self, occurred_at: i64, at: i64) -> bool {
        at - self.offset - self.over < occurred_at && occurred_at <= at - self.offset
    }

    /// When an event enters, and when it leaves.
    pub fn edges(self, held: &[Held]) -> Vec<i64> {
        let enters = held.iter().map(|held| held.event.at + self.offset);
        let leaves = held.iter().map(|held| held.event.at + self.offset + self.over);
        enters.chain(leaves).collect()
    }
}
