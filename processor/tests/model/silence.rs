//! `silence: TYPE`: how long has it been since the latest such event?

use super::measure::{Held, Question, Selection};
use super::value::Value;

#[derive(Clone, Debug)]
pub struct Silence {
    pub selection: Selection,
    /// `since: first_seen`: without such an event it counts from the customer's first of any type.
    pub since_first_seen: bool,
}

impl Silence {
    fn latest<'a>(&self, held: &'a [Held], at: i64) -> Option<&'a Held> {
        let meaning = self.selection.meaning();
        let seen = held.iter().filter(|held| held.event.at <= at && !held.unseen_by.contains(&meaning));
        seen.filter(|held| self.selection.admits(held)).max_by_key(|held| held.place())
    }
}

impl Question for Silence {
    fn value(&self, held: &[Held], at: i64) -> Value {
        self.running_since(held, at).map_or(Value::Null, |since| Value::Duration((at - since) as f64))
    }

    /// The first-seen event is a place to count from, not something that the value found.
    fn evidence<'a>(&self, held: &'a [Held], at: i64) -> Vec<&'a Held> {
        self.latest(held, at).into_iter().collect()
    }

    /// It changes with every ms; when that matters is the comparison's affair (`due`).
    fn edges(&self, _held: &[Held]) -> Vec<i64> {
        vec![]
    }

    fn running_since(&self, held: &[Held], at: i64) -> Option<i64> {
        if let Some(latest) = self.latest(held, at) {
            return Some(latest.event.at);
        }
        let seen = held.iter().filter(|held| !held.attributes_only).map(|held| held.event.at);
        seen.min().filter(|_| self.since_first_seen)
    }
}
