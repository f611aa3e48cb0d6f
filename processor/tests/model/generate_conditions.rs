//! Random conditions over the values of a rule, its trigger and the customer's attributes.

use super::event::PROFILE;
use super::expr::{
    Expr, Name, Unit, age, choice, customer, has_customer, not, null, number, text, trigger, truth, value,
};
use super::generate::Grid;
use super::generate_events::{Domain, fields};
use super::generate_measures::{Sort, filter, operand, sort, text_test};
use super::measure::Measure;
use super::rng::Rng;
use super::rule::{Condition, LADDER, Severity};
use super::value::{Arithmetic, Order, Value};

/// What the rule's conditions may speak of.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub lets: &'a [(String, Measure)],
    /// The type of the triggering event.
    pub trigger: Option<&'static str>,
}

pub fn order(rng: &mut Rng) -> Order {
    rng.weighted(&[(45, Order::AtLeast), (20, Order::Greater), (25, Order::Less), (10, Order::AtMost)])
}

pub fn when(rng: &mut Rng, grid: Grid, about: About<'_>) -> Condition {
    let severity = rng.maybe(50, |rng| rng.pick(&LADDER));
    Condition::When(condition(rng, grid, about, 2), severity)
}

/// Something to climb: a value of the rule, or the age of the item.
fn climber(rng: &mut Rng, about: About<'_>) -> Option<(Expr, Sort)> {
    if about.trigger.is_some() && (about.lets.is_empty() || rng.chance(45)) {
        return Some((age(), Sort::Running));
    }
    if about.lets.is_empty() {
        return None;
    }
    let (name, measure) = rng.pick(about.lets);
    Some((value(&name), sort(&measure)))
}

/// Mostly one value climbing past rising thresholds, so that severities go up and down.
pub fn ladder(rng: &mut Rng, grid: Grid, about: About<'_>) -> Condition {
    let climber = climber(rng, about);
    let order = order(rng);
    let mut severities: Vec<Severity> = LADDER.into_iter().filter(|_| rng.chance(55)).collect();
    if severities.is_empty() {
        severities.push(Severity::Low);
    }
    let start = rng.range(1, 3);
    let levels = severities.into_iter().enumerate().map(|(i, severity)| {
        let step = if rng.chance(10) { rng.range(0, 6) } else { start + i as i64 };
        let climbs = match &climber {
            Some((left, Sort::Number(scale))) => left.clone().ordered(order, number((step * scale) as f64)),
            Some((left, Sort::Running | Sort::Span)) => left.clone().ordered(order, span(grid, step)),
            _ => atom(rng, grid, about),
        };
        let level = if rng.chance(15) { climbs.and(condition(rng, grid, about, 0)) } else { climbs };
        (severity, level)
    });
    Condition::Levels(levels.collect())
}

pub fn condition(rng: &mut Rng, grid: Grid, about: About<'_>, depth: u32) -> Expr {
    if depth == 0 || rng.chance(55) {
        return atom(rng, grid, about);
    }
    let a = condition(rng, grid, about, depth - 1);
    match rng.range(0, 9) {
        0..=3 => a.and(condition(rng, grid, about, depth - 1)),
        4..=6 => a.or(condition(rng, grid, about, depth - 1)),
        7 | 8 => not(a),
        _ => choice(a, condition(rng, grid, about, depth - 1), condition(rng, grid, about, depth - 1)),
    }
}

pub fn atom(rng: &mut Rng, grid: Grid, about: About<'_>) -> Expr {
    if let Some(kind) = about.trigger
        && rng.chance(if about.lets.is_empty() { 80 } else { 35 })
    {
        return if rng.chance(60) { running_atom(rng, grid, age(), about) } else { trigger_atom(rng, kind, about) };
    }
    if about.lets.is_empty() || rng.chance(12) {
        return attribute_atom(rng);
    }
    let (name, measure) = rng.pick(about.lets);
    match sort(&measure) {
        Sort::Running => running_atom(rng, grid, value(&name), about),
        Sort::Number(scale) => number_atom(rng, &name, scale as f64, about),
        Sort::Span => span_atom(rng, grid, &name),
        Sort::Text => {
            let texts = ["web", "app", "opened", "completed", "inbound", "gold", "open", "churn"];
            match rng.range(1, 100) {
                1..=30 => value(&name).equals(text(rng.pick(&texts))),
                31..=50 => value(&name).differs(text(rng.pick(&texts))),
                51..=60 => value(&name).equals(null()),
                61..=70 => value(&name).ordered(order(rng), text(rng.pick(&texts))),
                _ => text_test(rng, value(&name), &texts),
            }
        }
        Sort::Truth if rng.chance(50) => value(&name),
        Sort::Truth => value(&name).differs(truth(rng.chance(50))),
    }
}

fn span_atom(rng: &mut Rng, grid: Grid, name: &str) -> Expr {
    let steps = rng.range(0, 5);
    match rng.range(1, 100) {
        1..=10 => value(name).equals(null()),
        11..=20 => value(name).times(number(2.0)).ordered(order(rng), span(grid, steps)),
        21..=28 => value(name).over(span(grid, 1)).ordered(order(rng), number(steps as f64)),
        _ => value(name).ordered(order(rng), span(grid, steps)),
    }
}

/// As a `where` of the triggering event would have it, or a number of it beside a value.
fn trigger_atom(rng: &mut Rng, kind: &'static str, about: About<'_>) -> Expr {
    let number_of = |domain: Domain| matches!(domain, Domain::Money | Domain::Whole | Domain::Fraction);
    let numbers: Vec<&'static str> =
        fields(kind).iter().filter(|(_, domain)| number_of(*domain)).map(|(name, _)| *name).collect();
    if !numbers.is_empty() && rng.chance(50) {
        let factor = rng.pick(&[0.5, 1.0, 2.0]);
        let other = numeric(rng, about).times(number(factor));
        return trigger(rng.pick(&numbers)).ordered(order(rng), other);
    }
    of_the_trigger(filter(rng, &[kind], 0))
}

fn of_the_trigger(expr: Expr) -> Expr {
    let inside = |expr: Box<Expr>| Box::new(of_the_trigger(*expr));
    match expr {
        Expr::Name(Name::Field(name)) => Expr::Name(Name::Trigger(name)),
        Expr::Has(Name::Field(name)) => Expr::Has(Name::Trigger(name)),
        Expr::Equal(a, b) => Expr::Equal(inside(a), inside(b)),
        Expr::Unequal(a, b) => Expr::Unequal(inside(a), inside(b)),
        Expr::Ordered(order, a, b) => Expr::Ordered(order, inside(a), inside(b)),
        Expr::Computed(operator, a, b) => Expr::Computed(operator, inside(a), inside(b)),
        Expr::In(a, list) => Expr::In(inside(a), list),
        Expr::Looks(looks, a, part) => Expr::Looks(looks, inside(a), part),
        other => other,
    }
}

fn number_atom(rng: &mut Rng, name: &str, scale: f64, about: About<'_>) -> Expr {
    let constant =
        |rng: &mut Rng| number(rng.weighted(&[(20, 0.0), (35, 1.0), (25, 2.0), (15, 3.0), (5, -1.0)]) * scale);
    let order = order(rng);
    let threshold = constant(rng);
    let other = numeric(rng, about);
    match rng.range(1, 100) {
        1..=5 => value(name).equals(threshold),
        6..=9 => value(name).differs(threshold),
        10..=12 => value(name).among(&[Value::Number(scale), Value::Number(2.0 * scale)]),
        13..=22 => value(name).over(other).ordered(order, threshold),
        23..=28 => value(name).ordered(order, other),
        29..=33 => value(name).plus(customer("points")).ordered(order, threshold),
        34..=38 => value(name).minus(other).ordered(order, threshold),
        39..=43 => {
            let guarded = choice(other.clone().differs(number(0.0)), value(name).over(other), threshold.clone());
            guarded.ordered(order, threshold)
        }
        44..=47 => threshold.ordered(order, value(name).times(number(0.5))),
        _ => value(name).ordered(order, threshold),
    }
}

/// Some number that is no running duration.
fn numeric(rng: &mut Rng, about: About<'_>) -> Expr {
    let numbers = about.lets.iter().filter(|(_, measure)| matches!(sort(measure), Sort::Number(_)));
    let names: Vec<&String> = numbers.map(|(name, _)| name).collect();
    if names.is_empty() || rng.chance(15) { customer("points") } else { value(rng.pick::<&String>(&names)) }
}

/// A running duration stands alone on one side; the other side may move, be fractional, or be undefined.
fn running_atom(rng: &mut Rng, grid: Grid, running: Expr, about: About<'_>) -> Expr {
    let steps = rng.range(0, 7);
    let rhythms = about.lets.iter().filter(|(_, measure)| sort(measure) == Sort::Span);
    let rhythms: Vec<&String> = rhythms.map(|(name, _)| name).collect();
    let bound = match rng.range(1, 100) {
        1..=8 => number(2.5).times(span(grid, steps)),
        9..=14 => span(grid, steps).computed(Arithmetic::Divide, number(7.0)),
        15..=22 => span(grid, steps).times(numeric(rng, about)),
        23..=30 => span(grid, steps).over(numeric(rng, about)),
        31..=35 => span(grid, steps).plus(span(grid, 1)),
        36..=39 => span(grid, steps).minus(span(grid, 1)),
        40..=70 if !rhythms.is_empty() => {
            number(rng.pick(&[1.0, 1.5, 2.5])).times(value(rng.pick::<&String>(&rhythms)))
        }
        _ => span(grid, steps),
    };
    let order = order(rng);
    if rng.chance(15) { bound.ordered(order, running) } else { running.ordered(order, bound) }
}

fn span(grid: Grid, steps: i64) -> Expr {
    let ms = (grid.step * steps) as f64;
    let unit = match (grid.step % 3_600_000, steps % 6) {
        (0, 0) => Unit::Days,
        (0, _) => Unit::Hours,
        _ => Unit::Minutes,
    };
    Expr::Span(unit, ms / unit.ms())
}

pub fn attribute_atom(rng: &mut Rng) -> Expr {
    let (name, domain) = rng.pick(fields(PROFILE));
    let operand = operand(rng, domain);
    match rng.range(1, 100) {
        1..=28 => customer(name).equals(operand),
        29..=55 => customer(name).differs(operand),
        56..=63 => has_customer(name),
        64..=70 => customer(name).among(&[Value::Text("gold".to_owned()), Value::Text("open".to_owned())]),
        71..=76 => customer(name).ordered(order(rng), operand),
        77..=80 => not(customer(name).ordered(order(rng), operand)),
        81..=84 => customer(name).equals(null()),
        85..=90 => customer("points").ordered(order(rng), number(2.0)),
        91..=94 => customer("vip").equals(truth(true)),
        _ => number(6.0).over(customer("points")).ordered(order(rng), number(2.0)),
    }
}
