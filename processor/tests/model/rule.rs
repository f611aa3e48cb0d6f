//! A rule as data.

use super::calendar::Zone;
use super::expr::Expr;
use super::items::Making;
use super::measure::Measure;
use super::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

pub const LADDER: [Severity; 5] = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

impl Severity {
    pub fn name(self) -> &'static str {
        ["info", "low", "medium", "high", "critical"][self as usize]
    }
}

#[derive(Clone, Debug)]
pub enum Condition {
    /// `when: EXPR`, with `severity` given or not.
    When(Expr, Option<Severity>),
    Levels(Vec<(Severity, Expr)>),
    /// Neither: always true. Items and dates only.
    Always(Option<Severity>),
}

const TRUE: &Expr = &Expr::Is(Value::Bool(true));

/// What is judged: the customer, each item, or a date.
#[derive(Clone, Debug)]
pub enum Kind {
    Condition,
    Item(ItemRule),
    Date(DateRule),
}

#[derive(Clone, Debug)]
pub struct ItemRule {
    /// Without `until` an item is judged once.
    pub making: Making,
    pub after_ms: i64,
    /// Left out: as long as the history.
    pub expire_ms: Option<i64>,
}

#[derive(Clone, Debug)]
pub struct DateRule {
    /// `date: customer.X`
    pub attribute: &'static str,
    /// In calendar days.
    pub lead_days: i64,
    /// Of the local day; 0 is left out.
    pub at_minutes: i64,
    /// Left out: UTC.
    pub zone: Option<Zone>,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub id: String,
    pub kind: Kind,
    pub scope: Option<Expr>,
    pub lets: Vec<(String, Measure)>,
    pub require: Option<Expr>,
    pub condition: Condition,
    pub hold_ms: i64,
    pub resolve_when: Option<Expr>,
    pub keep_firing_ms: i64,
    pub cooldown_ms: i64,
    /// A text beside it all: `labels: {note: ...}`, if it is not 0.
    pub note: u32,
}

impl Rule {
    /// Each level with its expression. "The severity is `medium` unless given."
    pub fn levels(&self) -> Vec<(Severity, &Expr)> {
        match &self.condition {
            Condition::When(expr, severity) => vec![(severity.unwrap_or(Severity::Medium), expr)],
            Condition::Always(severity) => vec![(severity.unwrap_or(Severity::Medium), TRUE)],
            Condition::Levels(levels) => levels.iter().map(|(severity, expr)| (*severity, expr)).collect(),
        }
    }

    /// Every expression whose truth the alert depends on.
    pub fn expressions(&self) -> Vec<&Expr> {
        let optional = [&self.scope, &self.require, &self.resolve_when].into_iter().flatten();
        self.levels().into_iter().map(|(_, expr)| expr).chain(optional).collect()
    }

    /// The item's rule with `until`, or that of items judged once.
    pub fn items(&self) -> Option<&ItemRule> {
        if let Kind::Item(items) = &self.kind { Some(items) } else { None }
    }

    pub fn is_judged_once(&self) -> bool {
        self.items().is_some_and(|items| items.making.until.is_empty())
    }

    pub fn measure(&self, name: &str) -> &Measure {
        let found = self.lets.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("{} has no value {name}", self.id)).1
    }
}
