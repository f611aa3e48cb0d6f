//! Which items do the accepted events open and close? Always found out from all of them, from the first one on.

use super::event::{Event, Field};
use super::expr::Expr;
use super::measure::{Held, matches};

/// What makes items: `trigger`, `where`, `by` and `until`.
#[derive(Clone, Debug)]
pub struct Making {
    pub trigger: &'static str,
    pub filter: Option<Expr>,
    pub by: Option<&'static str>,
    /// Types with their conditions.
    pub until: Vec<(&'static str, Option<Expr>)>,
}

impl Making {
    pub fn opens(&self, held: &Held) -> bool {
        // What both closes and opens only closes.
        !held.attributes_only
            && held.event.kind == self.trigger
            && matches(self.filter.as_ref(), &held.event)
            && self.names_a_key(&held.event)
            && !self.closes(held)
    }

    pub fn closes(&self, held: &Held) -> bool {
        let one =
            |(kind, filter): &(&str, Option<Expr>)| held.event.kind == *kind && matches(filter.as_ref(), &held.event);
        !held.attributes_only && self.names_a_key(&held.event) && self.until.iter().any(one)
    }

    /// An event without the `by` field opens and closes none.
    fn names_a_key(&self, event: &Event) -> bool {
        self.by.is_none_or(|by| key_in(event, by).is_some())
    }

    /// The key of the item that this event opens.
    pub fn key(&self, event: &Event) -> String {
        match self.by {
            Some(by) => key_in(event, by).expect("whoever opens an item names its key"),
            None => event.id.clone(),
        }
    }
}

fn key_in(event: &Event, by: &str) -> Option<String> {
    event.fields.iter().find(|(name, _)| *name == by).and_then(|(_, value)| match value {
        Field::Text(text) => Some(text.clone()),
        Field::Null => None,
        _ => panic!("cases have texts for keys"),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Closed,
    /// Or judged, if that is what it was there for.
    RanOut,
}

/// An item, from the event that opened it on.
#[derive(Clone, Debug)]
pub struct Span<'a> {
    pub trigger: &'a Held,
    pub key: String,
    /// Further triggers of the key while it was open, by arrival.
    pub swallowed: Vec<usize>,
    /// None while it is open.
    pub end: Option<End>,
}

impl Span<'_> {
    pub fn contains(&self, arrival: usize) -> bool {
        self.trigger.arrival == arrival || self.swallowed.contains(&arrival)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Sweeping<'a> {
    pub making: &'a Making,
    /// From the trigger on: up to, not including, the instant at which the item expires or is judged.
    pub lasts_ms: i64,
    pub max_open: usize,
}

impl Sweeping<'_> {
    /// All items that the events up to an instant have opened, by their opening, and how each stands at it.
    pub fn sweep<'a>(&self, held: &'a [Held], at: i64) -> Vec<Span<'a>> {
        let mut events: Vec<&Held> = held.iter().filter(|held| held.event.at <= at).collect();
        events.sort_by_key(|held| held.place());
        let mut spans: Vec<Span<'a>> = vec![];
        for event in events {
            let now = event.event.at;
            if self.making.closes(event) {
                // In time at the very instant at which the item runs out, too.
                let in_time = |span: &&mut Span| span.end.is_none() && now <= self.runs_out(span);
                for span in spans.iter_mut().filter(in_time) {
                    let of_its_key =
                        self.making.by.is_none_or(|by| key_in(&event.event, by).as_ref() == Some(&span.key));
                    if of_its_key {
                        span.end = Some(End::Closed);
                    }
                }
            } else if self.making.opens(event) {
                self.open(event, &mut spans);
            }
        }
        for span in &mut spans {
            if span.end.is_none() && self.runs_out(span) <= at {
                span.end = Some(End::RanOut);
            }
        }
        spans
    }

    fn open<'a>(&self, event: &'a Held, spans: &mut Vec<Span<'a>>) {
        let key = self.making.key(&event.event);
        let now = event.event.at;
        let is_open = |span: &Span| span.end.is_none() && now < self.runs_out(span);
        // Without `by` there is one per event.
        let same = spans.iter_mut().find(|span| is_open(span) && span.key == key && self.making.by.is_some());
        if let Some(span) = same {
            span.swallowed.push(event.arrival);
        } else if spans.iter().filter(|span| is_open(span)).count() < self.max_open {
            spans.push(Span { trigger: event, key, swallowed: vec![], end: None });
        }
    }

    fn runs_out(&self, span: &Span) -> i64 {
        span.trigger.event.at + self.lasts_ms
    }
}
