//! Does the rule hold? Scope, then require, then the levels from the highest down.

use crate::alert::Severity;
use crate::expr::Scope;
use crate::rule::Rule;

/// What the conditions of a rule say at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `scope` is not true.
    OutOfScope,
    /// `require` is not true.
    InsufficientData,
    /// The highest level whose condition is true.
    Level(Severity),
    /// No level; `may_clear`: `resolve_when` is true, or there is none.
    NoLevel { may_clear: bool },
}

pub fn verdict(rule: &Rule, scope: &Scope<'_>) -> Verdict {
    if rule.scope.as_ref().is_some_and(|condition| !condition.holds(scope)) {
        return Verdict::OutOfScope;
    }
    if rule.require.as_ref().is_some_and(|condition| !condition.holds(scope)) {
        return Verdict::InsufficientData;
    }
    match rule.levels.iter().find(|(_, condition)| condition.holds(scope)) {
        Some((severity, _)) => Verdict::Level(*severity),
        None => {
            Verdict::NoLevel { may_clear: rule.resolve_when.as_ref().is_none_or(|condition| condition.holds(scope)) }
        }
    }
}
