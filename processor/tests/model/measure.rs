//! What every kind of `let` must answer, and the two things they share: which events, and in which window.
//!
//! A further kind is a file with a struct that answers [`Question`], and a line in [`Measure`].

use super::Settings;
use super::aggregate::Aggregate;
use super::count::Count;
use super::event::Event;
use super::expr::{Expr, Name};
use super::median_gap::MedianGap;
use super::open::Open;
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

/// From where a value looks at a customer's events.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub held: &'a [Held],
    pub at: i64,
    /// Of the item that is judged, if it is an item's rule.
    pub trigger: Option<&'a Held>,
    pub settings: &'a Settings,
}

pub trait Question {
    fn value(&self, view: &View<'_>) -> Value;

    /// The events that the value rests on.
    fn evidence<'a>(&self, view: &View<'a>) -> Vec<&'a Held>;

    /// Every instant at which the value could change by itself, useful or not.
    fn edges(&self, view: &View<'_>) -> Vec<i64>;

    /// For a running duration: the instant it counts from.
    fn running_since(&self, _view: &View<'_>) -> Option<i64> {
        None
    }
}

#[derive(Clone, Debug)]
pub enum Measure {
    Count(Count),
    Sum(Sum),
    Aggregate(Aggregate),
    MedianGap(MedianGap),
    Open(Open),
    Silence(Silence),
}

impl Measure {
    pub fn question(&self) -> &dyn Question {
        match self {
            Measure::Count(count) => count,
            Measure::Sum(sum) => sum,
            Measure::Aggregate(aggregate) => aggregate,
            Measure::MedianGap(gap) => gap,
            Measure::Open(open) => open,
            Measure::Silence(silence) => silence,
        }
    }

    /// `where` and what it is about; `open` has its own.
    pub fn selection_mut(&mut self) -> Option<&mut Selection> {
        match self {
            Measure::Count(count) => Some(&mut count.selection),
            Measure::Sum(sum) => Some(&mut sum.selection),
            Measure::Aggregate(aggregate) => Some(&mut aggregate.selection),
            Measure::MedianGap(gap) => Some(&mut gap.selection),
            Measure::Silence(silence) => Some(&mut silence.selection),
            Measure::Open(_) => None,
        }
    }

    /// Whether its window has to do with the trigger.
    pub fn is_relative(&self) -> bool {
        self.clone().window_mut().is_some_and(|window| window.stands != Stands::AtTheInstant)
    }

    pub fn window_mut(&mut self) -> Option<&mut Window> {
        match self {
            Measure::Count(count) => Some(&mut count.window),
            Measure::Sum(sum) => Some(&mut sum.window),
            Measure::Aggregate(aggregate) => Some(&mut aggregate.window),
            Measure::MedianGap(gap) => Some(&mut gap.window),
            Measure::Open(_) | Measure::Silence(_) => None,
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
        !held.attributes_only && self.kinds.contains(&held.event.kind) && matches(self.filter.as_ref(), &held.event)
    }
}

/// Whether a `where` is true of an event; one that is left out always is.
pub fn matches(filter: Option<&Expr>, event: &Event) -> bool {
    let fields = |name: &Name| match name {
        Name::Field(field) => event.seen(field),
        _ => panic!("only event.* is known in `where`"),
    };
    filter.is_none_or(|filter| filter.value(&fields).is_true())
}

/// Where a window stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// `over: 7d`
    AtTheInstant,
    /// `over: 7d, prior: true`: at the trigger's time, and only what is before the trigger.
    BeforeTheTrigger,
    /// `over: item`: from the trigger to the instant.
    SinceTheTrigger,
}

/// `t - offset - over < occurred_at <= t - offset`
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub over: i64,
    pub offset: i64,
    pub stands: Stands,
}

impl Window {
    pub fn holds(self, held: &Held, view: &View<'_>) -> bool {
        let around = |at: i64| at - self.offset - self.over < held.event.at && held.event.at <= at - self.offset;
        let trigger = || view.trigger.expect("only an item's rule has such windows");
        match self.stands {
            Stands::AtTheInstant => around(view.at),
            Stands::BeforeTheTrigger => held.place() < trigger().place() && around(trigger().event.at),
            Stands::SinceTheTrigger => held.place() > trigger().place() && held.event.at <= view.at,
        }
    }

    /// What is in it.
    pub fn of<'a>(self, selection: &Selection, view: &View<'a>) -> Vec<&'a Held> {
        view.held.iter().filter(|held| self.holds(held, view) && selection.admits(held)).collect()
    }

    /// When an event enters, and when it leaves. The windows of items move only when events arrive.
    pub fn edges(self, view: &View<'_>) -> Vec<i64> {
        if self.stands != Stands::AtTheInstant {
            return vec![];
        }
        let enters = view.held.iter().map(|held| held.event.at + self.offset);
        let leaves = view.held.iter().map(|held| held.event.at + self.offset + self.over);
        enters.chain(leaves).collect()
    }
}
