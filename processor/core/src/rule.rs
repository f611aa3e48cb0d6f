//! Checked rules, ready to be judged: what the loader hands to the engine.
//!
//! Everything is resolved: fields and attributes to slots, durations to milliseconds, conditions to [`Expr`]. Windows
//! and silences that several rules ask for are held once for all of them.

use std::sync::Arc;

use crate::alert::Severity;
use crate::event::{FieldId, Record, TypeId, stable_hash};
use crate::expr::{Expr, Scope};
use crate::time::{Duration, Millis};

/// All rules in force, in the order in which they are judged: files by name, then position.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    pub rules: Vec<Arc<Rule>>,
    /// The windows the rules ask for, each once.
    pub windows: Vec<Window>,
    /// The silences the rules ask for, each once.
    pub silences: Vec<Silence>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub id: Box<str>,
    /// Stands for the id in stored rows; two rules of one set never share it.
    pub key: RuleKey,
    /// Hash of all that decides when the rule fires and resolves, in hexadecimal.
    pub version: Box<str>,
    pub description: Option<Box<str>>,
    /// Over attributes only; `None`: every customer.
    pub scope: Option<Expr>,
    pub lets: Vec<Let>,
    pub require: Option<Expr>,
    /// Highest severity first. A rule written with `when` has one.
    pub levels: Vec<(Severity, Expr)>,
    pub hold: Duration,
    pub resolve_when: Option<Expr>,
    pub keep_firing_for: Duration,
    /// After a resolve, no new firing for this long.
    pub cooldown: Duration,
    pub presentation: Presentation,
}

/// A rule's number in stored rows: a hash of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleKey(pub u32);

impl RuleKey {
    #[must_use]
    pub fn of(rule_id: &str) -> Self {
        let hash = stable_hash(rule_id);
        Self((hash ^ (hash >> 32)) as u32)
    }
}

/// A named value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Let {
    pub name: Box<str>,
    pub value: LetSource,
}

/// Where a named value comes from: a place in [`RuleSet::windows`] or [`RuleSet::silences`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetSource {
    Window(usize),
    Silence(usize),
}

/// An aggregate over the events with `t - offset - over < occurred_at <= t - offset`.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    pub aggregate: Aggregate,
    pub selector: Selector,
    pub over: Duration,
    pub offset: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    Count,
    Sum,
}

/// Time since the latest event that the selector takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    pub selector: Selector,
    /// Whether, without such an event, it counts from the customer's first event of any type.
    pub since_first_seen: bool,
    /// Stands for the selector in stored rows: a hash of its types and condition as the rule writes them.
    pub key: u64,
}

/// Which events a value is about. Conditions are resolved for each type, so that a field is a slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    pub types: Vec<Selected>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Selected {
    pub type_id: TypeId,
    /// The field that is aggregated; events that lack it are left out. `None` for `count` and `silence`.
    pub field: Option<FieldId>,
    pub filter: Option<Expr>,
}

impl Selector {
    #[inline]
    #[must_use]
    pub fn selects_type(&self, type_id: TypeId) -> bool {
        self.types.iter().any(|selected| selected.type_id == type_id)
    }

    /// The part that takes this record, if any does: type and condition match and the aggregated field is there.
    #[inline]
    #[must_use]
    pub fn select(&self, record: Record<'_>) -> Option<&Selected> {
        self.types.iter().find(|selected| selected.type_id == record.type_id() && selected.takes(record))
    }
}

impl Selected {
    fn takes(&self, record: Record<'_>) -> bool {
        if let Some(field) = self.field
            && record.raw_field(field).is_none()
        {
            return false;
        }
        let Some(filter) = &self.filter else { return true };
        let attributes = crate::attributes::Attributes::default();
        filter.holds(&Scope { at: 0, lets: &[], attributes: &attributes, event: Some(record), trigger: None })
    }
}

impl Window {
    /// The bounds of the window at `t`: after the first, up to and including the second.
    #[inline]
    #[must_use]
    pub fn bounds(&self, t: Millis) -> (Millis, Millis) {
        (t - self.offset - self.over, t - self.offset)
    }
}

impl Rule {
    /// Whether an event of this type can change what the rule's conditions say.
    #[must_use]
    pub fn concerns(&self, type_id: TypeId, set: &RuleSet) -> bool {
        let selects = |source: LetSource| match source {
            LetSource::Window(place) => set.windows[place].selector.selects_type(type_id),
            LetSource::Silence(place) => set.silences[place].selector.selects_type(type_id),
        };
        self.lets.iter().any(|named| selects(named.value)) || (self.reads_attributes() && is_profile(type_id))
    }

    /// Every condition of the rule.
    pub fn conditions(&self) -> impl Iterator<Item = &Expr> {
        let levels = self.levels.iter().map(|(_, condition)| condition);
        self.scope.iter().chain(&self.require).chain(levels).chain(&self.resolve_when)
    }

    fn reads_attributes(&self) -> bool {
        let mut reads = false;
        for condition in self.conditions() {
            condition.visit(&mut |expr| reads |= matches!(expr, Expr::Attribute(_)));
        }
        reads
    }
}

fn is_profile(type_id: TypeId) -> bool {
    type_id == crate::event::Catalog::type_id(crate::event::PROFILE)
}

/// What a record says beside the facts. None of it decides when an alert fires, so none of it is in the version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Presentation {
    /// In the order of the rule.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// Language (`en`, `zh`) and text, in the order of the rule.
    pub summary: Vec<(Box<str>, Template)>,
    pub notify: Vec<Notify>,
    pub task: Option<Task>,
}

/// Who is to be told, through what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// Empty: at every level.
    pub levels: Vec<Severity>,
    pub roles: Vec<Box<str>>,
    pub channels: Vec<Box<str>>,
}

/// What is to be done, by whom, by when.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub title: Vec<(Box<str>, Template)>,
    pub assignee: Option<Box<str>>,
    pub due: Option<Duration>,
}

/// A text with holes: `{{ complaints }} complaints`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    pub parts: Vec<TemplatePart>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TemplatePart {
    Text(Box<str>),
    /// A named value of the rule, by its place.
    Let(usize),
    /// An attribute of the customer.
    Attribute(crate::expr::AttributeRef),
    /// The severity of the record, the customer's id, the rule's id.
    Severity,
    CustomerId,
    RuleId,
}
