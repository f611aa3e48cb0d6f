//! `count: TYPE`: how many such events are in the window?

use super::measure::{Held, Question, Selection, View, Window};
use super::value::Value;

#[derive(Clone, Debug)]
pub struct Count {
    pub selection: Selection,
    pub window: Window,
}

impl Question for Count {
    fn value(&self, view: &View<'_>) -> Value {
        Value::Number(self.evidence(view).len() as f64)
    }

    fn evidence<'a>(&self, view: &View<'a>) -> Vec<&'a Held> {
        self.window.of(&self.selection, view)
    }

    fn edges(&self, view: &View<'_>) -> Vec<i64> {
        self.window.edges(view)
    }
}
