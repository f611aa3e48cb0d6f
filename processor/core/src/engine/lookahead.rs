//! Which window edges can change an outcome.
//!
//! While a rule is inactive and no level holds, all that matters is whether a level can appear. A count without an offset
//! only falls when no event arrives, and a condition such as `complaints >= 3` never becomes true by that; so the instants
//! at which its events leave need not be judged, and most customers need no timer at all.

use crate::expr::{Compare, Expr};
use crate::rule::{Aggregate, LetSource, Rule, RuleSet, Span};

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
