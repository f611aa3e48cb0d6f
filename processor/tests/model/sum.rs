//! `sum: TYPE.field`: what do such events in the window add up to, exactly?

use super::measure::{Held, Question, Selection, View, Window};
use super::value::Value;

#[derive(Clone, Debug)]
pub struct Sum {
    pub selection: Selection,
    /// The field to add, for each of the selection's types.
    pub fields: Vec<&'static str>,
    pub window: Window,
}

impl Sum {
    /// In 1/10,000. Events that lack the field are left out.
    fn term(&self, held: &Held) -> Option<i64> {
        let kind = self.selection.kinds.iter().position(|kind| *kind == held.event.kind)?;
        held.event.summed(self.fields[kind])
    }
}

impl Question for Sum {
    fn value(&self, view: &View<'_>) -> Value {
        let sum: i64 = self.evidence(view).into_iter().filter_map(|held| self.term(held)).sum();
        Value::Number(sum as f64 / 10_000.0)
    }

    fn evidence<'a>(&self, view: &View<'a>) -> Vec<&'a Held> {
        let mut found = self.window.of(&self.selection, view);
        found.retain(|held| self.term(held).is_some());
        found
    }

    fn edges(&self, view: &View<'_>) -> Vec<i64> {
        self.window.edges(view)
    }
}
