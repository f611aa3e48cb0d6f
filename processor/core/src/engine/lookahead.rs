//! Which window edges can change an outcome.
//!
//! Two answers, one from the rule alone and one for a customer:
//!
//! While a rule is inactive and no level holds, all that matters is whether a level can appear. A count without an offset
//! only falls when no event arrives, and a condition such as `complaints >= 3` never becomes true by that; so the instants
//! at which its events leave need not be judged, and most customers need no timer at all.
//!
//! A count with an offset rises when events enter; but it never gets beyond the number of those that are in it or still to
//! enter. Who bought twice has no `orders >= 3` to wait for until the next purchase, whatever enters and leaves.

use crate::expr::{Compare, Expr, Scope};
use crate::rule::{Aggregate, LetSource, Rule, RuleSet, Span, Window};
use crate::value::Value;

/// For each `let` of the rule: whether its falling can make a level appear.
pub fn may_raise(set: &RuleSet, rule: &Rule) -> Vec<bool> {
    (0..rule.lets.len())
        .map(|place| match rule.lets[place].value {
            LetSource::Silence(_) => false,
            LetSource::Open(_) => is_raised(rule, place),
            LetSource::Window(window) => {
                let window = &set.windows[window];
                let only_falls = matches!(window.aggregate, Aggregate::Count | Aggregate::Distinct)
                    && !matches!(window.span, Span::Sliding { offset: 1.., .. });
                !only_falls || is_raised(rule, place)
            }
        })
        .collect()
}

/// For each `let` of the rule: whether it is a count of which [`may_hold`] can make use.
pub fn is_bounded(set: &RuleSet, rule: &Rule) -> Vec<bool> {
    let conditions = || rule.require.iter().chain(rule.levels.iter().map(|(_, condition)| condition));
    (0..rule.lets.len())
        .map(|place| match rule.lets[place].value {
            LetSource::Window(window) => {
                let Window { aggregate, span, .. } = &set.windows[window];
                matches!(aggregate, Aggregate::Count | Aggregate::Distinct)
                    && matches!(span, Span::Sliding { .. })
                    && conditions().any(|condition| bounds(condition, place))
            }
            LetSource::Silence(_) | LetSource::Open(_) => false,
        })
        .collect()
}

/// Whether the condition asks, in a place that it cannot do without, for the value to be at least something.
fn bounds(condition: &Expr, place: usize) -> bool {
    match condition {
        Expr::And(sides) => sides.iter().any(|side| bounds(side, place)),
        Expr::Or(sides) => sides.iter().all(|side| bounds(side, place)),
        Expr::Compare(compare, sides) => at_least(*compare, sides).is_some_and(|(found, _)| found == place),
        _ => false,
    }
}

/// A comparison that holds only if a value is at least, or more than, something that stands still.
fn at_least(compare: Compare, sides: &[Expr; 2]) -> Option<(usize, &Expr)> {
    use Compare::{Greater, GreaterOrEqual, Less, LessOrEqual};
    let (value, bound) = match (compare, sides) {
        (Greater | GreaterOrEqual, [value, bound]) | (Less | LessOrEqual, [bound, value]) => (value, bound),
    };
    match value {
        Expr::Let(place) if stands_still(bound) => Some((*place, bound)),
        _ => None,
    }
}

/// Whether it changes with events alone.
fn stands_still(expr: &Expr) -> bool {
    let mut moves = false;
    expr.visit(&mut |part| moves |= matches!(part, Expr::Let(_) | Expr::Running(..)));
    !moves
}

/// Whether the rule may come to hold with no event arriving. `most` is the most that the value at a place can become, if
/// that is known. In doubt, yes.
pub fn may_hold(rule: &Rule, scope: &Scope<'_>, most: &dyn Fn(usize) -> Option<f64>) -> bool {
    let may = |condition| may_be_true(condition, scope, most);
    rule.require.iter().all(may) && rule.levels.iter().any(|(_, condition)| may(condition))
}

fn may_be_true(condition: &Expr, scope: &Scope<'_>, most: &dyn Fn(usize) -> Option<f64>) -> bool {
    let may = |condition| may_be_true(condition, scope, most);
    match condition {
        Expr::And(sides) => sides.iter().all(may),
        Expr::Or(sides) => sides.iter().any(may),
        Expr::Compare(compare, sides) => {
            let Some((place, bound)) = at_least(*compare, sides) else { return true };
            let (Some(most), Value::Number(bound)) = (most(place), bound.value(scope)) else { return true };
            most >= bound
        }
        _ => true,
    }
}

fn is_raised(rule: &Rule, place: usize) -> bool {
    let levels = rule.levels.iter().map(|(_, condition)| condition);
    rule.require.iter().chain(levels).any(|condition| rises(condition, place))
}

/// Whether the condition can become true when the value falls and nothing else changes. In doubt, yes.
///
/// By the order false < undefined < true, `&&` is the lesser and `||` the greater of its sides, so both rise only if a
/// side does.
fn rises(condition: &Expr, place: usize) -> bool {
    match condition {
        Expr::And(sides) | Expr::Or(sides) => sides.iter().any(|side| rises(side, place)),
        Expr::Compare(compare, sides) => {
            let [left, right] = &**sides;
            let falls_with_left = matches!(compare, Compare::Greater | Compare::GreaterOrEqual);
            match (is_value(left, place), is_value(right, place)) {
                (true, false) if !mentions(right, place) => !falls_with_left,
                (false, true) if !mentions(left, place) => falls_with_left,
                _ => mentions(condition, place),
            }
        }
        other => mentions(other, place),
    }
}

fn is_value(expr: &Expr, place: usize) -> bool {
    matches!(expr, Expr::Let(other) if *other == place)
}

fn mentions(expr: &Expr, place: usize) -> bool {
    let mut found = false;
    expr.visit(&mut |part| found |= is_value(part, place));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::OwnedValue;

    fn check(condition: &Expr, expected: bool) {
        assert_eq!(rises(condition, 0), expected, "{condition:?}");
    }

    /// The condition `count >= 3`, and others around it, for a count that can become so much.
    #[test]
    fn a_count_is_not_waited_for_beyond_what_there_is() {
        let number = |x| Expr::Constant(OwnedValue::Number(x));
        let compare = |compare, left, right| Expr::Compare(compare, Box::new([left, right]));
        let three = || compare(Compare::GreaterOrEqual, Expr::Let(0), number(3.0));
        let attributes = crate::attributes::Attributes::default();
        let scope = Scope { at: 0, lets: &[], attributes: &attributes, event: None, trigger: None };
        let check = |condition: &Expr, two, known| {
            assert_eq!(bounds(condition, 0), known, "{condition:?}");
            assert_eq!(may_be_true(condition, &scope, &|_| Some(2.0)), two, "{condition:?}");
            assert!(may_be_true(condition, &scope, &|_| Some(3.0)) && may_be_true(condition, &scope, &|_| None));
        };
        check(&three(), false, true);
        check(&compare(Compare::LessOrEqual, number(3.0), Expr::Let(0)), false, true);
        check(&compare(Compare::Less, Expr::Let(0), number(3.0)), true, false);
        check(&compare(Compare::Greater, Expr::Let(0), Expr::Let(1)), true, false);
        check(&Expr::And(Box::new([three(), compare(Compare::Less, Expr::Let(1), number(1.0))])), false, true);
        check(&Expr::Or(Box::new([three(), compare(Compare::Less, Expr::Let(1), number(1.0))])), true, false);
        check(&Expr::Not(Box::new(compare(Compare::Less, Expr::Let(0), number(3.0)))), true, false);
        check(&compare(Compare::Greater, Expr::Let(0), number(2.0)), true, true);
    }

    #[test]
    fn a_falling_count_makes_only_upper_bounds_true() {
        let three = || Expr::Constant(OwnedValue::Number(3.0));
        let compare = |compare, left, right| Expr::Compare(compare, Box::new([left, right]));
        check(&compare(Compare::GreaterOrEqual, Expr::Let(0), three()), false);
        check(&compare(Compare::Less, Expr::Let(0), three()), true);
        check(&compare(Compare::Less, three(), Expr::Let(0)), false);
        check(&compare(Compare::GreaterOrEqual, three(), Expr::Let(0)), true);
        check(&compare(Compare::Greater, Expr::Let(1), Expr::Let(0)), true);
        check(&compare(Compare::Greater, Expr::Let(0), Expr::Let(0)), true);
        check(&Expr::Equal(Box::new([Expr::Let(0), three()])), true);
        let burst = compare(Compare::GreaterOrEqual, Expr::Let(0), three());
        check(&Expr::Not(Box::new(burst.clone())), true);
        check(&Expr::And(Box::new([burst.clone(), compare(Compare::Less, Expr::Let(1), three())])), false);
        check(&Expr::Or(Box::new([burst, compare(Compare::Less, Expr::Let(0), three())])), true);
    }
}
