//! `sum: TYPE.field`: what do such events in the window add up to, exactly?

use super::measure::{Held, Question, Selection, Window};
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
    fn value(&self, held: &[Held], at: i64) -> Value {
        let sum: i64 = self.evidence(held, at).into_iter().filter_map(|held| self.term(held)).sum();
        Value::Number(sum as f64 / 10_000.0)
    }

    fn evidence<'a>(&self, held: &'a [Held], at: i64) -> Vec<&'a Held> {
        held.iter()
            .filter(|held| self.window.holds(held.event.at, at))
            .filter(|held| self.selection.admits(held) && self.term(held).is_some())
            .collect()
    }

    fn edges(&self, held: &[Held]) -> Vec<i64> {
        self.window.edges(held)
    }
}
