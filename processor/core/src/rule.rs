//! Checked rules, ready to be judged: what the loader hands to the engine.
//!
//! Everything is resolved: fields and attributes to slots, durations to milliseconds, conditions to [`Expr`]. Windows
//! and silences that several rules ask for are held once for all of them.

use std::sync::Arc;

use crate::alert::Severity;
use crate::decimal::Decimal;
use crate::event::{FieldId, FieldValue, Record, TypeId, stable_hash};
use crate::expr::{AttributeRef, Expr, FieldRef, Scope};
use crate::time::{Duration, Millis};

/// All rules in force, in the order in which they are judged: files by name, then position.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    pub rules: Vec<Arc<Rule>>,
    /// The windows the rules ask for, each once.
    pub windows: Vec<Window>,
    /// The silences the rules ask for, each once.
    pub silences: Vec<Silence>,
    /// What the `open` values of the rules count, each once.
    pub openings: Vec<Tracker>,
}

impl RuleSet {
    /// How long before a customer's latest event the earliest one lies that any rule may look at. Not shorter than
    /// `history`, by which an event may come late; an item looks back from its trigger, or from an instant long after it.
    #[must_use]
    pub fn reach(&self, history: Duration) -> Duration {
        let openings = self.openings.iter().map(|tracker| tracker.lasts);
        let rules = self.rules.iter().map(|rule| match &rule.subject {
            Subject::Item(items) => items.tracker.lasts.max(history) + self.longest_window(rule),
            Subject::Customer | Subject::Date(_) => history,
        });
        openings.chain(rules).chain([history]).max().unwrap_or(history)
    }

    fn longest_window(&self, rule: &Rule) -> Duration {
        let window = |named: &Let| match named.value {
            LetSource::Window(place) => match self.windows[place].span {
                Span::Sliding { over, offset } | Span::Prior { over, offset } => over + offset,
                Span::Item => 0,
            },
            LetSource::Silence(_) => 0,
            LetSource::Open(place) => self.openings[place].lasts,
        };
        rule.lets.iter().map(window).max().unwrap_or(0)
    }
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
    /// What an alert of the rule is about.
    pub subject: Subject,
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

/// What an alert is about: the kind of the rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// A condition of the customer.
    Customer,
    /// A rule with a `trigger`: each of its items by itself.
    Item(Items),
    /// A rule with a `date`.
    Date(Occasion),
}

/// What makes the items of a rule with a `trigger`.
#[derive(Clone, Debug, PartialEq)]
pub struct Items {
    /// Its `lasts` is `expire`, or `after` of items that are judged once.
    pub tracker: Tracker,
    /// From its trigger's time plus this on an item is judged.
    pub after: Duration,
    /// Without `until`: judged at its instant, and never again.
    pub judged_once: bool,
}

/// What opens something, what closes it, and how long it stays open at most: items of a rule, or what an `open` value counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracker {
    /// Stands for it in stored rows: a hash of what opens and what closes, as the rule writes it.
    pub key: u64,
    pub opens: Mover,
    /// With `by`: an event of its key closes. Without: an event closes all that are open. Empty: nothing closes.
    pub closes: Vec<Mover>,
    /// An item is open up to, not including, its trigger's time plus this.
    pub lasts: Duration,
}

/// Events that open or close items.
#[derive(Clone, Debug, PartialEq)]
pub struct Mover {
    pub type_id: TypeId,
    pub filter: Option<Expr>,
    /// Where the item's key is found. `None`: there is no `by`, the key is the triggering event's id.
    pub by: Option<FieldRef>,
}

/// When a rule with a `date` fires: on the day that an attribute names, `lead_days` earlier, at a time of day somewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Occasion {
    pub attribute: AttributeRef,
    pub lead_days: u32,
    /// Milliseconds from midnight.
    pub at: Duration,
    pub zone: chrono_tz::Tz,
}

/// A named value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Let {
    pub name: Box<str>,
    pub value: LetSource,
}

/// Where a named value comes from: a place in [`RuleSet::windows`], [`RuleSet::silences`] or [`RuleSet::openings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetSource {
    Window(usize),
    Silence(usize),
    /// The number of items open.
    Open(usize),
}

/// An aggregate over some of a customer's events.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    pub aggregate: Aggregate,
    pub selector: Selector,
    pub span: Span,
}

/// Which events a window reaches, by time. Left-open, right-closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// `t - offset - over < occurred_at <= t - offset`
    Sliding { over: Duration, offset: Duration },
    /// `prior: true`: the same as of the item's trigger, and before it by (time, arrival).
    Prior { over: Duration, offset: Duration },
    /// `over: item`: after the item's trigger by (time, arrival), and up to t.
    Item,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    Count,
    Sum,
    /// Number of different values of a field.
    Distinct,
    Avg,
    Min,
    Max,
    Median,
    /// Value of a field, of any kind, in the first or the last event.
    First,
    Last,
    /// Of a sample.
    Stddev,
    /// Median of the times between neighbouring events.
    MedianGap,
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
    /// The field that is aggregated; events that lack it are left out. `None` for `count`, `median_gap` and `silence`.
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
        if let Some(field) = self.field {
            match record.raw_field(field) {
                None => return false,
                // Beyond what decimals hold.
                Some(FieldValue::Number(x)) if Decimal::from_f64(x).is_none() => return false,
                Some(_) => {}
            }
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
        match self.span {
            Span::Sliding { over, offset } | Span::Prior { over, offset } => (t - offset - over, t - offset),
            Span::Item => (t, t),
        }
    }

    /// Whether it reaches up to the instant that is judged.
    #[must_use]
    pub fn ends_now(&self) -> bool {
        matches!(self.span, Span::Sliding { offset: 0, .. } | Span::Item)
    }
}

impl Rule {
    /// Whether an event of this type can change what the rule's conditions say.
    #[must_use]
    pub fn concerns(&self, type_id: TypeId, set: &RuleSet) -> bool {
        let selects = |source: LetSource| match source {
            LetSource::Window(place) => set.windows[place].selector.selects_type(type_id),
            LetSource::Silence(place) => set.silences[place].selector.selects_type(type_id),
            LetSource::Open(place) => set.openings[place].concerns(type_id),
        };
        let moves = matches!(&self.subject, Subject::Item(items) if items.tracker.concerns(type_id));
        moves || self.lets.iter().any(|named| selects(named.value)) || (self.reads_attributes() && is_profile(type_id))
    }

    /// Every condition of the rule.
    pub fn conditions(&self) -> impl Iterator<Item = &Expr> {
        let levels = self.levels.iter().map(|(_, condition)| condition);
        self.scope.iter().chain(&self.require).chain(levels).chain(&self.resolve_when)
    }

    fn reads_attributes(&self) -> bool {
        let mut reads = matches!(self.subject, Subject::Date(_));
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
    Attribute(AttributeRef),
    /// A field of the event that opened the item.
    Trigger(FieldRef),
    /// How long ago that was.
    Age,
    /// The severity of the record, the customer's id, the rule's id.
    Severity,
    CustomerId,
    RuleId,
}
