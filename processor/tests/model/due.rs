//! At which instants could something of a customer change with no event arriving?
//!
//! All candidates are named, nearly all of them in vain: judging an instant at which nothing changes does no harm, since
//! the level is piecewise constant. Missing one would.

use super::Settings;
use super::attributes::attribute;
use super::calendar;
use super::episode::Episode;
use super::expr::{Expr, Name};
use super::measure::{Held, Measure, View};
use super::rule::{Kind, Rule};
use super::standing::Moment;
use super::state::State;
use super::value::Value;
use super::world::Customer;

/// How the next instant to judge is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instants {
    /// The earliest candidate.
    Candidates,
    /// Simply the next one: the second opinion on the candidates, for cases that last a few hundred ms.
    EveryMillisecond,
}

/// The first instant later than `after` at which something of this customer may be due.
pub fn next_due(
    rules: &[Rule],
    customer: &Customer,
    after: i64,
    instants: Instants,
    settings: &Settings,
) -> Option<i64> {
    if instants == Instants::EveryMillisecond {
        return Some(after + 1);
    }
    let mut found = vec![];
    for (rule, state) in rules.iter().zip(&customer.states) {
        let moment = Moment { rule, held: &customer.held, at: after, trigger: None, settings };
        candidates(&moment, state, &mut found);
    }
    found.into_iter().filter(|candidate| *candidate > after).min()
}

fn candidates(moment: &Moment<'_>, state: &State, found: &mut Vec<i64>) {
    match &moment.rule.kind {
        Kind::Condition => {
            found.extend(window_edges(moment.rule, &moment.view()));
            found.extend(running_flips(moment));
            found.extend(timers(moment.rule, &state.episode));
        }
        Kind::Item(items) if items.making.until.is_empty() => {
            let triggers = moment.held.iter().filter(|held| held.event.kind == items.making.trigger);
            found.extend(triggers.map(|held| held.event.at + items.after_ms));
        }
        Kind::Item(items) => {
            for item in &state.items {
                let moment = Moment { trigger: Some(&item.trigger), ..*moment };
                let opened = item.trigger.event.at;
                found.extend([opened + items.after_ms]);
                found.extend([opened + items.expire_ms.unwrap_or(moment.settings.history_ms)]);
                found.extend(window_edges(moment.rule, &moment.view()));
                found.extend(running_flips(&moment));
                found.extend(timers(moment.rule, &item.episode));
            }
        }
        Kind::Date(date) => {
            let value = attribute(moment.held, date.attribute, moment.at);
            found.extend(calendar::instants(date, &value, moment.at).into_iter().map(|(_, instant)| instant));
        }
    }
}

/// An event enters or leaves a window, or an item that a value counts expires.
pub fn window_edges(rule: &Rule, view: &View<'_>) -> Vec<i64> {
    rule.lets.iter().flat_map(|(_, measure)| measure.question().edges(view)).collect()
}

/// t0 + `for`, the end of the cooldown, t1 + `keep_firing_for`.
pub fn timers(rule: &Rule, episode: &Episode) -> Vec<i64> {
    let held_long_enough = episode.present_since.map(|since| since + rule.hold_ms);
    let over_long_enough = episode.over_since.map(|since| since + rule.keep_firing_ms);
    [held_long_enough, over_long_enough, episode.cooldown_end(rule)].into_iter().flatten().collect()
}

/// A running duration reaches what it is compared with. What stands on the other side is constant from the moment to the
/// next candidate, where all of this is asked anew; what the duration counts from changes only with an event. Rather than to
/// solve for each operator, the instants around the bound are all judged.
fn running_flips(moment: &Moment<'_>) -> Vec<i64> {
    let mut found = vec![];
    for name in running_names(moment) {
        let Some(since) = moment.running_since(&name) else { continue };
        for bound in bounds(moment.rule, &name) {
            if let Value::Duration(bound) = moment.value(bound) {
                // Far beyond any case, and far below where doubles stop counting in ones.
                if bound.abs() < 1e15 {
                    found.extend((-2..=2).map(|near| since + bound.floor() as i64 + near));
                }
            }
        }
    }
    found
}

/// The running durations of a rule, or of an item.
pub fn running_names(moment: &Moment<'_>) -> Vec<Name> {
    let silences = moment.rule.lets.iter().filter(|(_, measure)| matches!(measure, Measure::Silence(_)));
    let names = silences.map(|(name, _)| Name::Let(name.clone()));
    names.chain(moment.trigger.map(|_: &Held| Name::Age)).collect()
}

/// All that the rule's conditions compare this running duration with.
fn bounds<'a>(rule: &'a Rule, name: &Name) -> Vec<&'a Expr> {
    let comparisons = rule.expressions().into_iter().flat_map(Expr::all);
    comparisons
        .filter_map(|part| match part {
            Expr::Ordered(_, a, b) if a.names(name) => Some(b.as_ref()),
            Expr::Ordered(_, a, b) if b.names(name) => Some(a.as_ref()),
            _ => None,
        })
        .collect()
}
