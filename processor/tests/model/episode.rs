//! Does an alert fire, change or resolve? One rule, one customer, one judged instant at a time.

use super::rule::{Rule, Severity};
use super::standing::Standing;

/// What is remembered from one judged instant to the next.
#[derive(Clone, Debug, Default)]
pub struct Episode {
    /// Inactive, and some level present since then (t0).
    pub present_since: Option<i64>,
    /// Firing, and ready to resolve since then (t1).
    pub over_since: Option<i64>,
    pub firing: Option<Firing>,
    pub resolved_at: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
pub struct Firing {
    pub at: i64,
    /// The last one it had.
    pub severity: Severity,
    pub sequence: u64,
    /// How many firings of the same rule, customer and item had the same instant before.
    pub further: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    pub name: &'static str,
    pub reason: &'static str,
    pub severity: Severity,
    pub previous: Option<Severity>,
    pub sequence: u64,
    pub fired_at: i64,
    pub further: usize,
}

impl Transition {
    pub fn fired(at: i64, severity: Severity, further: usize) -> Transition {
        Transition {
            name: "fired",
            reason: "condition_met",
            severity,
            previous: None,
            sequence: 0,
            fired_at: at,
            further,
        }
    }
}

impl Episode {
    /// The rule has become another, or is new: "no level means resolved, reason `rule_changed`", whatever the level is missing
    /// for and whatever the rule says on resolving. Else as ever, but that what was due may have been due before.
    pub fn judge_change(&mut self, rule: &Rule, standing: Standing, at: i64, further: usize) -> Option<Transition> {
        match (self.firing, standing) {
            (None, _) => self.judge_inactive(rule, standing, at, further),
            (Some(firing), Standing::Level(_)) => self.judge_firing(rule, standing, at, firing),
            (Some(_), _) => self.end(at, "rule_changed"),
        }
    }

    /// The rule or the item is no more.
    pub fn end(&mut self, at: i64, reason: &'static str) -> Option<Transition> {
        self.firing.map(|firing| self.resolve(firing, at, reason))
    }

    pub fn judge(&mut self, rule: &Rule, standing: Standing, at: i64, further: usize) -> Option<Transition> {
        match self.firing {
            None => {
                let since = self.present_since;
                let transition = self.judge_inactive(rule, standing, at, further);
                if transition.is_some() {
                    let due = self.due(rule, since.unwrap_or(at));
                    // Were this not so, an instant at which it was due would have gone unjudged.
                    assert_eq!(at, due, "{} was due before it was judged", rule.id);
                }
                transition
            }
            Some(firing) => self.judge_firing(rule, standing, at, firing),
        }
    }

    /// When it fires, if a level has been present since then and stays.
    fn due(&self, rule: &Rule, present_since: i64) -> i64 {
        let held_long_enough = present_since + rule.hold_ms;
        held_long_enough.max(self.cooldown_end(rule).unwrap_or(held_long_enough))
    }

    /// When the cooldown ends, if there was a resolve.
    pub fn cooldown_end(&self, rule: &Rule) -> Option<i64> {
        self.resolved_at.map(|resolved_at| resolved_at + rule.cooldown_ms)
    }

    fn judge_inactive(&mut self, rule: &Rule, standing: Standing, at: i64, further: usize) -> Option<Transition> {
        let Standing::Level(level) = standing else {
            self.present_since = None;
            return None;
        };
        let present_since = *self.present_since.get_or_insert(at);
        if at < self.due(rule, present_since) {
            return None;
        }
        self.present_since = None;
        self.over_since = None;
        self.firing = Some(Firing { at, severity: level, sequence: 0, further });
        Some(Transition::fired(at, level, further))
    }

    fn judge_firing(&mut self, rule: &Rule, standing: Standing, at: i64, firing: Firing) -> Option<Transition> {
        match standing {
            Standing::OutOfScope => Some(self.resolve(firing, at, "scope_left")),
            Standing::InsufficientData => Some(self.resolve(firing, at, "insufficient_data")),
            Standing::Level(level) => {
                self.over_since = None;
                (level != firing.severity).then(|| self.change(firing, level))
            }
            Standing::NoLevel { resolve_when: false } => {
                self.over_since = None;
                None
            }
            Standing::NoLevel { resolve_when: true } => {
                let over_since = *self.over_since.get_or_insert(at);
                (at >= over_since + rule.keep_firing_ms).then(|| self.resolve(firing, at, "cleared"))
            }
        }
    }

    fn change(&mut self, firing: Firing, level: Severity) -> Transition {
        let sequence = firing.sequence + 1;
        self.firing = Some(Firing { severity: level, sequence, ..firing });
        let raised = level > firing.severity;
        Transition {
            name: "severity_changed",
            reason: if raised { "severity_raised" } else { "severity_lowered" },
            severity: level,
            previous: Some(firing.severity),
            sequence,
            fired_at: firing.at,
            further: firing.further,
        }
    }

    fn resolve(&mut self, firing: Firing, at: i64, reason: &'static str) -> Transition {
        self.firing = None;
        self.over_since = None;
        self.resolved_at = Some(at);
        Transition {
            name: "resolved",
            reason,
            severity: firing.severity,
            previous: Some(firing.severity),
            sequence: firing.sequence + 1,
            fired_at: firing.at,
            further: firing.further,
        }
    }
}
