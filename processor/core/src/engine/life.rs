//! May it fire? The life of an alert, one step at each judged instant.
//!
//! ```text
//!             a level holds              held for `for`, cooldown over
//!  inactive ────────────────> pending ───────────────────────────────> firing ──┐ level changes:
//!     ^                          │ no level                              │  ^ ───┘ severity_changed
//!     ├──────────────────────────┘                                       │
//!     └──────────────────────────────────────────────────────────────────┘
//!        no level and `resolve_when` for `keep_firing_for`; or scope or require is lost; or the rule has changed
//! ```

use std::sync::Arc;

use crate::alert::{Episode, Reason, Severity, Transition, TransitionKind};
use crate::customer::{AlertState, Fired, Phase};
use crate::engine::verdict::Verdict;
use crate::rule::Rule;
use crate::time::{MaybeMillis, Millis};

/// A transition before it is told whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    kind: TransitionKind,
    reason: Reason,
    previous_severity: Option<Severity>,
    episode: Episode,
}

impl Turn {
    /// A firing at `at`; `refire` is how many there were before at this very instant.
    pub fn fired(at: Millis, refire: u32, severity: Severity) -> Self {
        let episode = Episode { fired_at: at, refire, sequence: 0, severity };
        Self { kind: TransitionKind::Fired, reason: Reason::ConditionMet, previous_severity: None, episode }
    }

    pub fn into_transition(self, rule: Arc<Rule>, customer_id: &str, at: Millis) -> Transition {
        Transition {
            rule,
            customer_id: customer_id.into(),
            item: None,
            kind: self.kind,
            reason: self.reason,
            severity: self.episode.severity,
            previous_severity: self.previous_severity,
            occurred_at: at,
            episode: self.episode,
            details: None,
        }
    }
}

/// The alert's state after the instant `at`, and what is to be published.
pub fn step(rule: &Rule, state: AlertState, verdict: Verdict, at: Millis) -> (AlertState, Option<Turn>) {
    match state.phase {
        Phase::Firing { episode, over_since } => step_firing(rule, state, episode, over_since.get(), verdict, at),
        Phase::Inactive => step_waiting(rule, state, at, verdict, at),
        Phase::Pending { since } => step_waiting(rule, state, since, verdict, at),
    }
}

/// The step at a change of the rule: as ever, but a firing alert that has no level by the new rule resolves at once.
pub fn step_changed(rule: &Rule, mut state: AlertState, verdict: Verdict, at: Millis) -> (AlertState, Option<Turn>) {
    match (end(state), verdict) {
        (None, _) | (_, Verdict::Level(_)) => step(rule, state, verdict, at),
        (turn, _) => {
            state.phase = Phase::Inactive;
            state.resolved_at = at.into();
            (state, turn)
        }
    }
}

/// What is published of an alert whose rule is gone: if it is firing, that it has resolved.
pub fn end(state: AlertState) -> Option<Turn> {
    end_for(state, Reason::RuleChanged)
}

/// What is published of an alert that can go on no longer: if it is firing, that it has resolved.
pub fn end_for(state: AlertState, reason: Reason) -> Option<Turn> {
    let Phase::Firing { episode, .. } = state.phase else { return None };
    Some(resolved(episode, reason))
}

fn resolved(episode: Episode, reason: Reason) -> Turn {
    let episode = Episode { sequence: episode.sequence + 1, ..episode };
    Turn { kind: TransitionKind::Resolved, reason, previous_severity: Some(episode.severity), episode }
}

fn step_waiting(
    rule: &Rule,
    mut state: AlertState,
    since: Millis,
    verdict: Verdict,
    at: Millis,
) -> (AlertState, Option<Turn>) {
    let Verdict::Level(severity) = verdict else {
        state.phase = Phase::Inactive;
        return (state, None);
    };
    if at < may_fire_at(rule, &state, since) {
        state.phase = Phase::Pending { since };
        return (state, None);
    }
    let refire = state.fired.times_at(at);
    let turn = Turn::fired(at, refire, severity);
    state.phase = Phase::Firing { episode: turn.episode, over_since: MaybeMillis::NONE };
    state.fired = Fired::at(at, refire);
    (state, Some(turn))
}

fn step_firing(
    rule: &Rule,
    mut state: AlertState,
    mut episode: Episode,
    over_since: Option<Millis>,
    verdict: Verdict,
    at: Millis,
) -> (AlertState, Option<Turn>) {
    let previous = episode.severity;
    let mut resolve = |reason| {
        state.phase = Phase::Inactive;
        state.resolved_at = at.into();
        (state, Some(resolved(episode, reason)))
    };
    match verdict {
        Verdict::OutOfScope => resolve(Reason::ScopeLeft),
        Verdict::InsufficientData => resolve(Reason::InsufficientData),
        Verdict::NoLevel { may_clear: true } => {
            let over_since = over_since.unwrap_or(at);
            if at >= over_since + rule.keep_firing_for {
                return resolve(Reason::Cleared);
            }
            state.phase = Phase::Firing { episode, over_since: over_since.into() };
            (state, None)
        }
        Verdict::Level(severity) if severity != previous => {
            episode.sequence += 1;
            episode.severity = severity;
            state.phase = Phase::Firing { episode, over_since: MaybeMillis::NONE };
            let reason = if severity > previous { Reason::SeverityRaised } else { Reason::SeverityLowered };
            let kind = TransitionKind::SeverityChanged;
            (state, Some(Turn { kind, reason, previous_severity: Some(previous), episode }))
        }
        Verdict::Level(_) | Verdict::NoLevel { may_clear: false } => {
            state.phase = Phase::Firing { episode, over_since: MaybeMillis::NONE };
            (state, None)
        }
    }
}

/// When an alert whose level has held since `since` may fire: after `for`, and not before its cooldown is over.
fn may_fire_at(rule: &Rule, state: &AlertState, since: Millis) -> Millis {
    let held = since + rule.hold;
    state.resolved_at.get().map_or(held, |resolved_at| held.max(resolved_at + rule.cooldown))
}

/// The instant at which a state that lasts long enough takes its next step.
pub fn next_step(rule: &Rule, state: &AlertState) -> Option<Millis> {
    match state.phase {
        Phase::Inactive => None,
        Phase::Pending { since } => Some(may_fire_at(rule, state, since)),
        Phase::Firing { over_since, .. } => over_since.get().map(|since| since + rule.keep_firing_for),
    }
}
