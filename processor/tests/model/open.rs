//! `open: TYPE`: how many items are open?

use super::items::{Making, Sweeping};
use super::measure::{Held, Question, View};
use super::value::Value;

#[derive(Clone, Debug)]
pub struct Open {
    pub making: Making,
    /// Left out: as long as the history.
    pub expire_ms: Option<i64>,
}

impl Open {
    fn expire_ms(&self, view: &View<'_>) -> i64 {
        self.expire_ms.unwrap_or(view.settings.history_ms)
    }
}

impl Question for Open {
    fn value(&self, view: &View<'_>) -> Value {
        Value::Number(self.evidence(view).len() as f64)
    }

    /// The events that opened them.
    fn evidence<'a>(&self, view: &View<'a>) -> Vec<&'a Held> {
        // "A rule holds at most `max_open_items`": a value holds as many as there are.
        let sweeping = Sweeping { making: &self.making, lasts_ms: self.expire_ms(view), max_open: usize::MAX };
        let spans = sweeping.sweep(view.held, view.at);
        spans.into_iter().filter(|span| span.end.is_none()).map(|span| span.trigger).collect()
    }

    fn edges(&self, view: &View<'_>) -> Vec<i64> {
        view.held.iter().map(|held| held.event.at + self.expire_ms(view)).collect()
    }
}
