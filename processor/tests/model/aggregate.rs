//! `distinct`, `avg`, `min`, `max`, `median`, `first`, `last`, `stddev: TYPE.field`: what can be said of the values that such
//! events in the window carry?

use super::measure::{Held, Question, Selection, View, Window};
use super::rational::quotient;
use super::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Distinct,
    Avg,
    Min,
    Max,
    Median,
    First,
    Last,
    Stddev,
}

impl What {
    pub fn key(self) -> &'static str {
        match self {
            What::Distinct => "distinct",
            What::Avg => "avg",
            What::Min => "min",
            What::Max => "max",
            What::Median => "median",
            What::First => "first",
            What::Last => "last",
            What::Stddev => "stddev",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Aggregate {
    pub what: What,
    pub selection: Selection,
    /// The field to look at, for each of the selection's types.
    pub fields: Vec<&'static str>,
    pub window: Window,
}

/// Decimals have four fraction digits.
const ONE: i128 = 10_000;

impl Aggregate {
    /// Numbers of all kinds are taken as the same rounded decimals. Null if the event lacks the field.
    fn term(&self, held: &Held) -> Value {
        let kind = self.selection.kinds.iter().position(|kind| *kind == held.event.kind);
        kind.map_or(Value::Null, |kind| held.event.aggregated(self.fields[kind]))
    }

    /// By event time, then arrival.
    fn terms(&self, view: &View<'_>) -> Vec<Value> {
        let mut found = self.evidence(view);
        found.sort_by_key(|held| held.place());
        found.into_iter().map(|held| self.term(held)).collect()
    }

    /// In 1/10,000, smallest first.
    fn decimals(&self, view: &View<'_>) -> Vec<i128> {
        let field = |held: &Held| self.selection.kinds.iter().position(|kind| *kind == held.event.kind);
        let decimal = |held: &Held| held.event.summed(self.fields[field(held)?]);
        let mut found: Vec<i128> = self.evidence(view).into_iter().filter_map(decimal).map(i128::from).collect();
        found.sort_unstable();
        found
    }
}

impl Question for Aggregate {
    fn value(&self, view: &View<'_>) -> Value {
        let or_null = |n: Option<f64>| n.map_or(Value::Null, Value::Number);
        match self.what {
            What::Distinct => {
                let mut different: Vec<Value> = vec![];
                for term in self.terms(view) {
                    if !different.contains(&term) {
                        different.push(term);
                    }
                }
                Value::Number(different.len() as f64)
            }
            What::First => self.terms(view).first().cloned().unwrap_or(Value::Null),
            What::Last => self.terms(view).last().cloned().unwrap_or(Value::Null),
            What::Min => or_null(self.decimals(view).first().map(|n| quotient(*n, ONE))),
            What::Max => or_null(self.decimals(view).last().map(|n| quotient(*n, ONE))),
            What::Avg => or_null(average(&self.decimals(view))),
            What::Median => or_null(median(&self.decimals(view))),
            What::Stddev => or_null(stddev(&self.decimals(view))),
        }
    }

    fn evidence<'a>(&self, view: &View<'a>) -> Vec<&'a Held> {
        let mut found = self.window.of(&self.selection, view);
        found.retain(|held| self.term(held) != Value::Null);
        found
    }

    fn edges(&self, view: &View<'_>) -> Vec<i64> {
        self.window.edges(view)
    }
}

fn average(decimals: &[i128]) -> Option<f64> {
    let n = decimals.len() as i128;
    (n > 0).then(|| quotient(decimals.iter().sum(), n * ONE))
}

/// Of an even number: the mean of the middle two.
fn median(decimals: &[i128]) -> Option<f64> {
    let (n, middle) = (decimals.len(), decimals.len() / 2);
    match n % 2 {
        _ if n == 0 => None,
        0 => Some(quotient(decimals[middle - 1] + decimals[middle], 2 * ONE)),
        _ => Some(quotient(decimals[middle], ONE)),
    }
}

/// Of a sample: the squares are divided by n - 1. One rounding, and one square root.
fn stddev(decimals: &[i128]) -> Option<f64> {
    let n = decimals.len() as i128;
    let sum: i128 = decimals.iter().sum();
    let squares: i128 = decimals.iter().map(|x| x * x).sum();
    (n > 1).then(|| quotient(n * squares - sum * sum, n * (n - 1) * ONE * ONE).sqrt())
}
