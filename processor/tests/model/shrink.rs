//! The smallest case that still fails, by trying to leave out one thing after the other until nothing can be left out.

use super::Case;
use super::event::Event;
use super::expr::Expr;
use super::rule::{Condition, DateRule, ItemRule, Kind, Rule};

const DEFAULT_MAX_OPEN: usize = 1_000;
const DEFAULT_HISTORY_MS: i64 = 400 * 86_400_000;

pub fn shrink(mut case: Case, fails: &dyn Fn(&Case) -> bool) -> Case {
    loop {
        let Some(smaller) = smaller(&case).into_iter().find(|smaller| fails(smaller)) else { return case };
        case = smaller;
    }
}

/// Every case one step smaller, the biggest steps first. Each is smaller by some measure, so that shrinking ends.
fn smaller(case: &Case) -> Vec<Case> {
    let mut found = vec![];
    for length in [case.events.len() / 2, case.events.len() / 4, 1] {
        for start in (0..case.events.len()).step_by(length.max(1)) {
            let end = (start + length.max(1)).min(case.events.len());
            let mut smaller = case.clone();
            smaller.events.drain(start..end);
            for change in &mut smaller.changes {
                change.place -= change.place.clamp(start, end) - start;
            }
            found.push(smaller);
        }
    }
    for (i, rule) in case.rules.iter().enumerate() {
        if case.rules.len() > 1 {
            found.push(with_rules(case, i, None));
        }
        found.extend(smaller_rules(rule).into_iter().map(|rule| with_rules(case, i, Some(rule))));
    }
    for (i, event) in case.events.iter().enumerate() {
        for event in smaller_events(event) {
            let mut smaller = case.clone();
            smaller.events[i] = event;
            found.push(smaller);
        }
    }
    found.extend(smaller_changes(case));
    found.extend(smaller_settings(case));
    found
}

/// Fewer changes, rules that are in none of the sets, and rules made smaller in all of the sets they are in.
fn smaller_changes(case: &Case) -> Vec<Case> {
    let mut found = vec![];
    for (i, change) in case.changes.iter().enumerate() {
        let mut fewer = case.clone();
        fewer.changes.remove(i);
        found.push(fewer);
        for rule in &change.rules {
            found.extend(with_rule(case, rule, None));
            found.extend(smaller_rules(rule).into_iter().filter_map(|smaller| with_rule(case, rule, Some(&smaller))));
        }
        for place in 0..change.rules.len() {
            let smaller = smaller_rules(&change.rules[place]).into_iter().map(Some);
            for instead in smaller.chain([None]).filter(|instead| instead.is_some() || change.rules.len() > 1) {
                let mut smaller = case.clone();
                smaller.changes[i].rules.splice(place..=place, instead);
                found.push(smaller);
            }
        }
    }
    if case.interleaving.is_some() {
        found.push(Case { interleaving: None, ..case.clone() });
    }
    found
}

/// With another rule in place of this one, or none, wherever it is. No set may lose its last rule.
fn with_rule(case: &Case, rule: &Rule, instead: Option<&Rule>) -> Option<Case> {
    let text = format!("{rule:?}");
    let mut smaller = case.clone();
    let sets = smaller.changes.iter_mut().map(|change| &mut change.rules).chain([&mut smaller.rules]);
    for rules in sets {
        if let Some(place) = rules.iter().position(|other| format!("{other:?}") == text) {
            rules.splice(place..=place, instead.cloned());
        }
        if rules.is_empty() {
            return None;
        }
    }
    Some(smaller)
}

fn smaller_settings(case: &Case) -> Vec<Case> {
    let mut found = vec![];
    let mut change = |changes: bool, change: &dyn Fn(&mut Case)| {
        if changes {
            let mut smaller = case.clone();
            change(&mut smaller);
            found.push(smaller);
        }
    };
    change(case.settings.until_ms.is_some(), &|case| case.settings.until_ms = None);
    change(case.settings.max_out_of_orderness_ms != 0, &|case| case.settings.max_out_of_orderness_ms = 0);
    change(case.settings.max_open_items != DEFAULT_MAX_OPEN, &|case| case.settings.max_open_items = DEFAULT_MAX_OPEN);
    change(case.settings.history_ms != DEFAULT_HISTORY_MS, &|case| case.settings.history_ms = DEFAULT_HISTORY_MS);
    found
}

fn with_rules(case: &Case, at: usize, rule: Option<Rule>) -> Case {
    let mut smaller = case.clone();
    smaller.rules.splice(at..=at, rule);
    smaller
}

fn smaller_events(event: &Event) -> Vec<Event> {
    (0..event.fields.len())
        .map(|i| {
            let mut smaller = event.clone();
            smaller.fields.remove(i);
            smaller
        })
        .collect()
}

/// Takes a change to try on the rule.
type Push<'a> = &'a mut dyn FnMut(&dyn Fn(&mut Rule));

fn smaller_rules(rule: &Rule) -> Vec<Rule> {
    let mut found = vec![];
    let mut push = |change: &dyn Fn(&mut Rule)| {
        let mut smaller = rule.clone();
        change(&mut smaller);
        found.push(smaller);
    };
    for (present, change) in [
        (rule.scope.is_some(), (|rule| rule.scope = None) as fn(&mut Rule)),
        (rule.require.is_some(), |rule| rule.require = None),
        (rule.resolve_when.is_some(), |rule| rule.resolve_when = None),
        (rule.hold_ms > 0, |rule| rule.hold_ms = 0),
        (rule.keep_firing_ms > 0, |rule| rule.keep_firing_ms = 0),
        (rule.cooldown_ms > 0, |rule| rule.cooldown_ms = 0),
    ] {
        if present {
            push(&change);
        }
    }
    for (i, (name, _)) in rule.lets.iter().enumerate() {
        if !rule.expressions().iter().any(|expr| expr.mentions(name)) {
            push(&|rule| drop(rule.lets.remove(i)));
        }
    }
    smaller_kinds(rule, &mut push);
    smaller_measures(rule, &mut push);
    smaller_conditions(rule, &mut push);
    found
}

fn smaller_kinds(rule: &Rule, push: Push<'_>) {
    match &rule.kind {
        Kind::Condition => {}
        Kind::Item(items) => {
            for smaller in smaller_items(items) {
                push(&|rule| rule.kind = Kind::Item(smaller.clone()));
            }
        }
        Kind::Date(date) => {
            let plain = |lead_days, at_minutes, zone| DateRule { lead_days, at_minutes, zone, ..date.clone() };
            for smaller in [
                plain(0, date.at_minutes, date.zone),
                plain(date.lead_days, 0, date.zone),
                plain(date.lead_days, date.at_minutes, None),
            ] {
                if format!("{smaller:?}") != format!("{date:?}") {
                    push(&|rule| rule.kind = Kind::Date(smaller.clone()));
                }
            }
        }
    }
    let may_be_left_out = !matches!(rule.kind, Kind::Condition) && !matches!(rule.condition, Condition::Always(_));
    if may_be_left_out {
        push(&|rule| rule.condition = Condition::Always(None));
    }
}

fn smaller_items(items: &ItemRule) -> Vec<ItemRule> {
    let mut found = vec![];
    let mut push = |changes: bool, change: &dyn Fn(&mut ItemRule)| {
        if changes {
            let mut smaller = items.clone();
            change(&mut smaller);
            found.push(smaller);
        }
    };
    push(items.after_ms != 0, &|items| items.after_ms = 0);
    push(items.expire_ms.is_some(), &|items| items.expire_ms = None);
    push(items.making.by.is_some(), &|items| items.making.by = None);
    push(items.making.filter.is_some(), &|items| items.making.filter = None);
    for simpler in items.making.filter.iter().flat_map(simpler) {
        push(true, &|items| items.making.filter = Some(simpler.clone()));
    }
    for (i, (_, filter)) in items.making.until.iter().enumerate() {
        push(items.making.until.len() > 1, &|items| drop(items.making.until.remove(i)));
        push(filter.is_some(), &|items| items.making.until[i].1 = None);
        for simpler in filter.iter().flat_map(simpler) {
            push(true, &|items| items.making.until[i].1 = Some(simpler.clone()));
        }
    }
    found
}

fn smaller_measures(rule: &Rule, push: Push<'_>) {
    for (i, (_, measure)) in rule.lets.iter().enumerate() {
        let mut measure = measure.clone();
        if measure.window_mut().is_some_and(|window| window.offset != 0) {
            push(&|rule| {
                if let Some(window) = rule.lets[i].1.window_mut() {
                    window.offset = 0;
                }
            });
        }
        if let Some(filter) = measure.selection_mut().and_then(|selection| selection.filter.clone()) {
            let instead = simpler(&filter).into_iter().map(Some).chain([None]);
            for instead in instead {
                push(&|rule| {
                    if let Some(selection) = rule.lets[i].1.selection_mut() {
                        selection.filter.clone_from(&instead);
                    }
                });
            }
        }
    }
}

fn smaller_conditions(rule: &Rule, push: Push<'_>) {
    type Place = fn(&mut Rule) -> &mut Option<Expr>;
    for place in [(|rule| &mut rule.scope) as Place, |rule| &mut rule.require, |rule| &mut rule.resolve_when] {
        if let Some(expr) = place(&mut rule.clone()) {
            for simpler in simpler(expr) {
                push(&|rule| *place(rule) = Some(simpler.clone()));
            }
        }
    }
    match &rule.condition {
        Condition::When(expr, severity) => {
            for simpler in simpler(expr) {
                push(&|rule| rule.condition = Condition::When(simpler.clone(), *severity));
            }
        }
        Condition::Always(_) => {}
        Condition::Levels(levels) => {
            for i in 0..levels.len() {
                let with = |instead: Option<Expr>| {
                    let mut fewer = levels.clone();
                    fewer.splice(i..=i, instead.map(|expr| (levels[i].0, expr)));
                    Condition::Levels(fewer)
                };
                if levels.len() > 1 {
                    push(&|rule| rule.condition = with(None));
                }
                for simpler in simpler(&levels[i].1) {
                    push(&|rule| rule.condition = with(Some(simpler.clone())));
                }
            }
        }
    }
}

/// A condition's own conditions in its place. Only what must be true or false is taken apart, so that all stays well typed.
fn simpler(expr: &Expr) -> Vec<Expr> {
    let both = |a: &Expr, b: &Expr, join: fn(Expr, Expr) -> Expr| {
        let mut found = vec![a.clone(), b.clone()];
        found.extend(simpler(a).into_iter().map(|a| join(a, b.clone())));
        found.extend(simpler(b).into_iter().map(|b| join(a.clone(), b)));
        found
    };
    match expr {
        Expr::And(a, b) => both(a, b, Expr::and),
        Expr::Or(a, b) => both(a, b, Expr::or),
        Expr::Not(a) => {
            let mut found = vec![(**a).clone()];
            found.extend(simpler(a).into_iter().map(super::expr::not));
            found
        }
        Expr::Choice(a, b, c) => vec![(**a).clone(), (**b).clone(), (**c).clone()],
        _ => vec![],
    }
}
