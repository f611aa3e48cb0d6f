//! How a rule stands with a customer at an instant: which level holds, and if none, why.

use super::Settings;
use super::attributes::attribute;
use super::expr::{Expr, Name};
use super::measure::{Held, View};
use super::rule::{Rule, Severity};
use super::value::Value;

/// One rule, one customer's events, one instant: all that an expression may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    pub rule: &'a Rule,
    pub held: &'a [Held],
    pub at: i64,
    /// What opened the item that is judged.
    pub trigger: Option<&'a Held>,
    pub settings: &'a Settings,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    OutOfScope,
    InsufficientData,
    NoLevel { resolve_when: bool },
    Level(Severity),
}

impl<'a> Moment<'a> {
    pub fn view(&self) -> View<'a> {
        View { held: self.held, at: self.at, trigger: self.trigger, settings: self.settings }
    }

    /// For a running duration: the instant it counts from.
    pub fn running_since(&self, name: &Name) -> Option<i64> {
        match name {
            Name::Let(name) => self.rule.measure(name).question().running_since(&self.view()),
            Name::Age => self.trigger.map(|trigger| trigger.event.at),
            _ => None,
        }
    }

    pub fn value(&self, expr: &Expr) -> Value {
        expr.value(&|name| match name {
            Name::Let(name) => self.rule.measure(name).question().value(&self.view()),
            Name::Attribute(name) => attribute(self.held, name, self.at),
            Name::Trigger(name) => self.item().event.seen(name),
            Name::Age => Value::Duration((self.at - self.item().event.at) as f64),
            Name::Field(_) => panic!("event.* is known in `where` only"),
        })
    }

    fn item(&self) -> &Held {
        self.trigger.expect("only an item's rule knows `trigger` and `age`")
    }

    pub fn standing(&self) -> Standing {
        let holds = |expr: &Option<Expr>| expr.as_ref().is_none_or(|expr| self.value(expr).is_true());
        if !holds(&self.rule.scope) {
            return Standing::OutOfScope;
        }
        if !holds(&self.rule.require) {
            return Standing::InsufficientData;
        }
        let levels = self.rule.levels();
        match levels.into_iter().filter(|(_, expr)| self.value(expr).is_true()).map(|(severity, _)| severity).max() {
            Some(level) => Standing::Level(level),
            None => Standing::NoLevel { resolve_when: holds(&self.rule.resolve_when) },
        }
    }

    /// Whether an expression of the rule is undefined as a whole: for the coverage report only.
    pub fn meets_undefined(&self) -> bool {
        self.rule.expressions().into_iter().any(|expr| self.value(expr) == Value::Undefined)
    }
}
