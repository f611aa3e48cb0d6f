//! Alerts: severities, the life of one episode, and the transitions that are published.

use std::sync::Arc;

use crate::rule::Rule;
use crate::time::Millis;
use crate::value::OwnedValue;

/// How bad it is, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }

    /// From its place in [`Severity::ALL`], as packed rows hold it.
    #[must_use]
    pub fn from_index(index: u8) -> Option<Self> {
        Self::ALL.get(usize::from(index)).copied()
    }
}

/// How much of a transition is wanted: working out the facts behind it costs more than finding it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    TransitionsOnly,
    #[default]
    Full,
}

/// What judging has brought, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// How much of each transition is wanted.
    pub detail: Detail,
    pub transitions: Vec<Transition>,
    /// Rules of which an event has opened no item, because the customer holds as many as may be. Each once an event.
    pub refused: Vec<Arc<Rule>>,
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransitionKind {
    Fired,
    SeverityChanged,
    Resolved,
}

impl TransitionKind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::SeverityChanged => "severity_changed",
            Self::Resolved => "resolved",
        }
    }
}

/// Why it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    ConditionMet,
    SeverityRaised,
    SeverityLowered,
    Cleared,
    ScopeLeft,
    InsufficientData,
    Closed,
    Expired,
    RuleChanged,
}

impl Reason {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConditionMet => "condition_met",
            Self::SeverityRaised => "severity_raised",
            Self::SeverityLowered => "severity_lowered",
            Self::Cleared => "cleared",
            Self::ScopeLeft => "scope_left",
            Self::InsufficientData => "insufficient_data",
            Self::Closed => "closed",
            Self::Expired => "expired",
            Self::RuleChanged => "rule_changed",
        }
    }
}

/// One firing period of one rule for one customer (or item).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episode {
    pub fired_at: Millis,
    /// How many earlier episodes fired at this very instant; part of the alert's id when not 0.
    pub refire: u32,
    /// Sequence number of the latest record.
    pub sequence: u32,
    pub severity: Severity,
}

/// One published change of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// As it stood in the rule set that was in force.
    pub rule: Arc<Rule>,
    pub customer_id: Box<str>,
    /// Key of the item, for rules with a trigger.
    pub item: Option<Box<str>>,
    pub kind: TransitionKind,
    pub reason: Reason,
    /// Of a resolve: the last one it had.
    pub severity: Severity,
    /// `None` when fired.
    pub previous_severity: Option<Severity>,
    pub occurred_at: Millis,
    pub episode: Episode,
    /// What the record tells beside that; `None` when the caller asked only for the transitions.
    pub details: Option<Details>,
}

/// The facts behind a transition, as of its instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// Every named value of the rule, in its order.
    pub values: Vec<OwnedValue>,
    /// The event that opened the item, of a rule with a `trigger`.
    pub trigger: Option<Trigger>,
    /// The customer's attributes.
    pub customer: crate::attributes::Attributes,
    /// Ids of the up to [`EVIDENCE`] latest events that the values counted, oldest first.
    pub evidence: Vec<Box<str>>,
}

/// The event that opened an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    pub occurred_at: Millis,
    /// Its record; see [`crate::event::Record`].
    pub record: Box<[u8]>,
}

/// Most events that an alert names as its evidence.
pub const EVIDENCE: usize = 10;
