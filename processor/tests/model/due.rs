//! At which instants could something of a customer change with no event arriving?
//!
//! All candidates are named, nearly all of them in vain: judging an instant at which nothing changes does no harm, since
//! the level is piecewise constant. Missing one would.

use super::episode::Episode;
use super::expr::Expr;
use super::measure::Held;
use super::rule::Rule;
use super::standing::Moment;
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
pub fn next_due(rules: &[Rule], customer: &Customer, after: i64, instants: Instants) -> Option<i64> {
    if instants == Instants::EveryMillisecond {
        return Some(after + 1);
    }
    let episodes = rules.iter().zip(&customer.episodes);
    episodes
        .flat_map(|(rule, episode)| {
            let mut found = window_edges(rule, &customer.held);
            found.extend(running_flips(rule, &customer.held, after));
            found.extend(timers(rule, episode));
            found
        })
        .filter(|candidate| *candidate > after)
        .min()
}

/// An event enters or leaves a window.
pub fn window_edges(rule: &Rule, held: &[Held]) -> Vec<i64> {
    rule.lets.iter().flat_map(|(_, measure)| measure.question().edges(held)).collect()
}

/// t0 + `for`, the end of the cooldown, t1 + `keep_firing_for`.
pub fn timers(rule: &Rule, episode: &Episode) -> Vec<i64> {
    let held_long_enough = episode.present_since.map(|since| since + rule.hold_ms);
    let over_long_enough = episode.over_since.map(|since| since + rule.keep_firing_ms);
    [held_long_enough, over_long_enough, episode.cooldown_end(rule)].into_iter().flatten().collect()
}

/// A running duration reaches what it is compared with. What stands on the other side is constant from `after` to the
/// next candidate, where all of this is asked anew; what the duration counts from changes only with an event. Rather than to
/// solve for each operator, the instants around the bound are all judged.
fn running_flips(rule: &Rule, held: &[Held], after: i64) -> Vec<i64> {
    let moment = Moment { rule, held, at: after };
    let mut found = vec![];
    for (name, measure) in &rule.lets {
        let Some(since) = measure.question().running_since(held, after) else { continue };
        for bound in bounds(rule, name) {
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

/// All that the rule's conditions compare this running duration with.
fn bounds<'a>(rule: &'a Rule, name: &str) -> Vec<&'a Expr> {
    let comparisons = rule.expressions().into_iter().flat_map(Expr::all);
    comparisons
        .filter_map(|part| match part {
            Expr::Ordered(_, a, b) if a.mentions(name) => Some(b.as_ref()),
            Expr::Ordered(_, a, b) if b.mentions(name) => Some(a.as_ref()),
            _ => None,
        })
        .collect()
}
