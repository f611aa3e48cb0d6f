//! `silence: TYPE`: how long has it been since the latest such event?

use super::measure::{Held, Question, Selection, View};
use super::value::Value;

#[derive(Clone, Debug)]
pub struct Silence {
    pub selection: Selection,
    /// `since: first_seen`: without such an event it counts from the customer's first of any type.
    pub since_first_seen: bool,
}

impl Silence {
    fn latest<'a>(&self, view: &View<'a>) -> Option<&'a Held> {
        let meaning = self.selection.meaning();
        let seen = view.held.iter().filter(|held| held.event.at <= view.at && !held.unseen_by.contains(&meaning));
        seen.filter(|held| self.selection.admits(held)).max_by_key(|held| held.place())
    }
}

impl Question for Silence {
    fn value(&self, view: &View<'_>) -> Value {
        self.running_since(view).map_or(Value::Null, |since| Value::Duration((view.at - since) as f64))
    }

    /// The first-seen event is a place to count from, not something that the value found.
    fn evidence<'a>(&self, view: &View<'a>) -> Vec<&'a Held> {
        self.latest(view).into_iter().collect()
    }

    /// It changes with every ms; when that matters is the comparison's affair (`due`).
    fn edges(&self, _view: &View<'_>) -> Vec<i64> {
        vec![]
    }

    fn running_since(&self, view: &View<'_>) -> Option<i64> {
        if let Some(latest) = self.latest(view) {
            return Some(latest.event.at);
        }
        let seen = view.held.iter().filter(|held| !held.attributes_only).map(|held| held.event.at);
        seen.min().filter(|_| self.since_first_seen)
    }
}
