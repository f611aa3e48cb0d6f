//! `median_gap: TYPE`: how long does the customer usually take from one such event to the next?

use super::measure::{Held, Question, Selection, View, Window};
use super::value::Value;

#[derive(Clone, Debug)]
pub struct MedianGap {
    pub selection: Selection,
    pub window: Window,
}

impl Question for MedianGap {
    fn value(&self, view: &View<'_>) -> Value {
        let mut times: Vec<i64> = self.evidence(view).into_iter().map(|held| held.event.at).collect();
        times.sort_unstable();
        let mut gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_unstable();
        let middle = gaps.len() / 2;
        match gaps.len() {
            // Below three events.
            0 | 1 => Value::Null,
            n if n % 2 == 0 => Value::Duration((gaps[middle - 1] + gaps[middle]) as f64 / 2.0),
            _ => Value::Duration(gaps[middle] as f64),
        }
    }

    fn evidence<'a>(&self, view: &View<'a>) -> Vec<&'a Held> {
        self.window.of(&self.selection, view)
    }

    fn edges(&self, view: &View<'_>) -> Vec<i64> {
        self.window.edges(view)
    }
}
