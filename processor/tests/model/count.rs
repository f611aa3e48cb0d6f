//! `count: TYPE`: how many such events are in the window?

use super::measure::{Held, Question, Selection, Window};
use super::value::Value;

#[derive(Clone, Debug)]
pub struct Count {
    pub selection: Selection,
    pub window: Window,
}

impl Question for Count {
    fn value(&self, held: &[Held], at: i64) -> Value {
        Value::Number(self.evidence(held, at).len() as f64)
    }

    fn evidence<'a>(&self, held: &'a [Held], at: i64) -> Vec<&'a Held> {
        held.iter().filter(|held| self.window.holds(held.event.at, at) && self.selection.admits(held)).collect()
    }

    fn edges(&self, held: &[Held]) -> Vec<i64> {
        self.window.edges(held)
    }
}
