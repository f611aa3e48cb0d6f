//! What is remembered of one rule and one customer from one judged instant to the next.

use super::calendar::Date;
use super::episode::Episode;
use super::measure::Held;
use std::collections::BTreeSet;

#[derive(Clone, Debug, Default)]
pub struct State {
    /// Of a condition.
    pub episode: Episode,
    /// Of items with `until`: those open at the last judged instant, by their opening.
    pub items: Vec<Item>,
    /// Of items judged once: the triggers that have been judged, by arrival.
    pub judged: BTreeSet<usize>,
    /// Of dates: those that have fired.
    pub dates: BTreeSet<Date>,
    /// Nothing at or before it is ever judged once, or on a date: the clock when the rule was new.
    pub gate: Option<i64>,
    /// All firings there have been, also of former rules of the id.
    pub fired: Vec<Fired>,
    /// Of those the latest of this very rule.
    pub latest_firing: Option<i64>,
}

#[derive(Clone, Debug)]
pub struct Item {
    pub trigger: Held,
    pub key: String,
    pub episode: Episode,
}

#[derive(Clone, Debug)]
pub struct Fired {
    pub item: Option<String>,
    pub at: i64,
}

impl State {
    pub fn new(gate: Option<i64>, fired: Vec<Fired>) -> State {
        State { gate, fired, ..State::default() }
    }

    pub fn is_after_the_gate(&self, at: i64) -> bool {
        self.gate.is_none_or(|gate| at > gate)
    }

    /// The firings of an item, or of the customer, in the order of judging.
    pub fn firings(&self, item: Option<&str>) -> Vec<i64> {
        self.fired.iter().filter(|fired| fired.item.as_deref() == item).map(|fired| fired.at).collect()
    }

    /// How many of them were at this instant.
    pub fn further(&self, item: Option<&str>, at: i64) -> usize {
        self.firings(item).into_iter().filter(|fired| *fired == at).count()
    }

    pub fn note_firing(&mut self, item: Option<&str>, at: i64) {
        self.fired.push(Fired { item: item.map(str::to_owned), at });
        self.latest_firing = self.latest_firing.max(Some(at));
    }

    /// A cooldown that counts from the latest firing: "a firing before that plus `cooldown` is dropped, not postponed".
    pub fn is_cooling(&self, at: i64, cooldown_ms: i64) -> bool {
        cooldown_ms > 0 && self.latest_firing.is_some_and(|latest| at < latest + cooldown_ms)
    }
}
