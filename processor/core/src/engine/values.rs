//! The named values of a rule at an instant, and when they change by themselves.

use crate::customer::Customer;
use crate::expr::{Expr, LetValue, Scope};
use crate::rule::{LetSource, Rule, RuleSet, Silence};
use crate::time::Millis;
use crate::value::OwnedValue;
use crate::window;

/// Every value of the rule's `let`, in its order; `windows` tells the windows of this set from those of another.
pub fn values(set: &RuleSet, windows: u64, rule: &Rule, customer: &mut Customer, at: Millis) -> Vec<LetValue> {
    rule.lets
        .iter()
        .map(|named| match named.value {
            LetSource::Window(place) => {
                let window = &set.windows[place];
                let total = if customer.timeline.is_small() {
                    window::total(window, &customer.timeline, at)
                } else {
                    let held = customer.windows.of(windows);
                    held.resize(set.windows.len(), None);
                    window::slide(window, &customer.timeline, &mut held[place], at)
                };
                LetValue::Still(OwnedValue::Number(total.value(window.aggregate)))
            }
            LetSource::Silence(place) => LetValue::Since(counts_from(&set.silences[place], customer)),
            LetSource::Open(_) => LetValue::Still(OwnedValue::Null),
        })
        .collect()
}

/// The instant a silence counts from.
fn counts_from(silence: &Silence, customer: &Customer) -> Option<Millis> {
    let latest = customer.last_seen(silence.key).map(|seen| seen.at);
    latest.or(if silence.since_first_seen { customer.first_seen } else { None })
}

/// The first instant after the scope's at which a value that the rule looks at changes with no event arriving: an event
/// enters or leaves a window, a running duration passes its bound. Windows of values that do not matter are left out.
pub fn next_change(
    set: &RuleSet,
    rule: &Rule,
    customer: &Customer,
    scope: &Scope<'_>,
    matters: impl Fn(usize) -> bool,
) -> Option<Millis> {
    let lets = rule.lets.iter().enumerate().filter(|(place, _)| matters(*place));
    let windows = lets.filter_map(|(_, named)| match named.value {
        LetSource::Window(place) => window::next_change(&set.windows[place], &customer.timeline, scope.at),
        LetSource::Silence(_) | LetSource::Open(_) => None,
    });
    let flips = rule.conditions().filter_map(|condition: &Expr| condition.next_flip(scope));
    windows.chain(flips).min()
}

/// The values as an alert record tells them.
pub fn owned(lets: &[LetValue], at: Millis) -> Vec<OwnedValue> {
    lets.iter()
        .map(|value| match value {
            LetValue::Still(value) => value.clone(),
            LetValue::Since(None) => OwnedValue::Null,
            LetValue::Since(Some(since)) => OwnedValue::Duration((at - since) as f64),
        })
        .collect()
}
