//! Random rules over what the random events carry.

use super::count::Count;
use super::event::{Field, PROFILE};
use super::expr::{
    Expr, Unit, choice, customer, event, has_customer, has_event, not, null, number, text, truth, value,
};
use super::generate::Grid;
use super::generate_events::{Domain, field_value, fields, kind};
use super::measure::{Measure, Selection, Window};
use super::rng::Rng;
use super::rule::{Condition, LADDER, Rule, Severity};
use super::silence::Silence;
use super::sum::Sum;
use super::value::{Arithmetic, Order, Value};

pub type Lets = [(String, Measure)];

pub fn rule(rng: &mut Rng, grid: Grid, n: i64) -> Rule {
    let lets: Vec<(String, Measure)> = (0..rng.weighted(&[(45, 1), (40, 2), (15, 3)]))
        .map(|n: usize| (["a", "b", "c"][n].to_owned(), measure(rng, grid)))
        .collect();
    // With nothing to slow it down a rule fires and resolves with every event.
    let (scoped, held, kept) = if rng.chance(35) { (10, 0, 0) } else { (22, 45, 60) };
    Rule {
        id: format!("rule-{n}"),
        scope: rng.maybe(scoped, attribute_atom),
        require: rng.maybe(scoped, |rng| atom(rng, grid, &lets)),
        condition: if rng.chance(55) { ladder(rng, grid, &lets) } else { when(rng, grid, &lets) },
        hold_ms: pause(rng, grid, held),
        resolve_when: rng.maybe(held, |rng| condition(rng, grid, &lets, 1)),
        keep_firing_ms: pause(rng, grid, kept),
        cooldown_ms: pause(rng, grid, kept),
        note: 0,
        lets,
    }
}

/// A `for`, `keep_firing_for` or `cooldown`.
pub fn pause(rng: &mut Rng, grid: Grid, percent: i64) -> i64 {
    let length = grid.length(rng, 1, 5);
    let pause = rng.weighted(&[(10, 1), (10, grid.step / 2), (80, length)]);
    if rng.chance(percent) { pause } else { 0 }
}

pub fn measure(rng: &mut Rng, grid: Grid) -> Measure {
    let which = rng.weighted(&[(42, 0), (30, 1), (28, 2)]);
    let mut kinds = vec![if which == 1 { summable(rng) } else { kind(rng) }];
    if rng.chance(30) {
        let further = if which == 1 { summable(rng) } else { kind(rng) };
        kinds.extend((!kinds.contains(&further)).then_some(further));
    }
    let filter = rng.maybe(38, |rng| filter(rng, &kinds, 1));
    let selection = Selection { kinds, filter };
    let over = match rng.range(1, 100) {
        1..=5 => 1,
        6..=20 => grid.length(rng, 8, 40),
        _ => grid.length(rng, 1, 8),
    };
    let offset = if rng.chance(70) { 0 } else { grid.length(rng, 0, 3) };
    let window = Window { over, offset };
    match which {
        0 => Measure::Count(Count { selection, window }),
        1 => {
            let fields = selection.kinds.iter().map(|kind| rng.pick(&numbers_of(kind))).collect();
            Measure::Sum(Sum { selection, fields, window })
        }
        _ => Measure::Silence(Silence { selection, since_first_seen: rng.chance(40) }),
    }
}

fn summable(rng: &mut Rng) -> &'static str {
    rng.weighted(&[(80, "purchase"), (12, "feedback"), (8, "score")])
}

fn numbers_of(kind: &str) -> Vec<&'static str> {
    let number = |domain| matches!(domain, Domain::Money | Domain::Whole | Domain::Fraction);
    fields(kind).iter().filter(|(_, domain)| number(*domain)).map(|(name, _)| *name).collect()
}

/// A `where` over fields of at least one of the types.
pub fn filter(rng: &mut Rng, kinds: &[&'static str], depth: u32) -> Expr {
    if depth > 0 && rng.chance(35) {
        let (a, b) = (filter(rng, kinds, depth - 1), filter(rng, kinds, depth - 1));
        return match rng.range(0, 2) {
            0 => a.and(b),
            1 => a.or(b),
            _ => not(a),
        };
    }
    let kind = rng.pick(kinds);
    let (name, domain) = rng.pick(fields(kind));
    if rng.chance(15) {
        return has_event(name);
    }
    match domain {
        Domain::Truth if rng.chance(50) => event(name),
        Domain::Text(texts) if rng.chance(30) => {
            let list = [rng.pick(texts), rng.pick(texts)].map(|text| Value::Text(text.to_owned()));
            event(name).among(&list)
        }
        Domain::Truth | Domain::Text(_) => {
            let operand = operand(rng, domain);
            if rng.chance(60) { event(name).equals(operand) } else { event(name).differs(operand) }
        }
        _ => {
            let left = if rng.chance(15) { number(20.0).over(event(name)) } else { event(name) };
            left.ordered(order(rng), operand(rng, domain))
        }
    }
}

fn operand(rng: &mut Rng, domain: Domain) -> Expr {
    match field_value(rng, domain) {
        Field::Null => null(),
        Field::Bool(b) => truth(b),
        Field::Millionths(n) => number(n as f64 / 1_000_000.0),
        Field::Text(found) => text(&found),
    }
}

fn order(rng: &mut Rng) -> Order {
    rng.weighted(&[(45, Order::AtLeast), (20, Order::Greater), (25, Order::Less), (10, Order::AtMost)])
}

pub fn when(rng: &mut Rng, grid: Grid, lets: &Lets) -> Condition {
    let severity = rng.maybe(50, |rng| rng.pick(&LADDER));
    Condition::When(condition(rng, grid, lets, 2), severity)
}

/// Mostly one value climbing past rising thresholds, so that severities go up and down.
pub fn ladder(rng: &mut Rng, grid: Grid, lets: &Lets) -> Condition {
    let (name, measure) = rng.pick(lets);
    let order = order(rng);
    let mut severities: Vec<Severity> = LADDER.into_iter().filter(|_| rng.chance(55)).collect();
    if severities.is_empty() {
        severities.push(Severity::Low);
    }
    let start = rng.range(1, 3);
    let levels = severities.into_iter().enumerate().map(|(i, severity)| {
        let step = if rng.chance(10) { rng.range(0, 6) } else { start + i as i64 };
        let left = value(&name);
        let climbs = match &measure {
            Measure::Count(_) => left.ordered(order, number(step as f64)),
            Measure::Sum(_) => left.ordered(order, number(step as f64 * 10.0)),
            Measure::Silence(_) => left.ordered(order, span(grid, step)),
        };
        let level = if rng.chance(15) { climbs.and(condition(rng, grid, lets, 0)) } else { climbs };
        (severity, level)
    });
    Condition::Levels(levels.collect())
}

pub fn condition(rng: &mut Rng, grid: Grid, lets: &Lets, depth: u32) -> Expr {
    if depth == 0 || rng.chance(55) {
        return atom(rng, grid, lets);
    }
    let a = condition(rng, grid, lets, depth - 1);
    match rng.range(0, 9) {
        0..=3 => a.and(condition(rng, grid, lets, depth - 1)),
        4..=6 => a.or(condition(rng, grid, lets, depth - 1)),
        7 | 8 => not(a),
        _ => choice(a, condition(rng, grid, lets, depth - 1), condition(rng, grid, lets, depth - 1)),
    }
}

pub fn atom(rng: &mut Rng, grid: Grid, lets: &Lets) -> Expr {
    if rng.chance(12) {
        return attribute_atom(rng);
    }
    let (name, measure) = rng.pick(lets);
    match measure {
        Measure::Silence(_) => running_atom(rng, grid, &name, lets),
        Measure::Count(_) => number_atom(rng, &name, 1.0, lets),
        Measure::Sum(_) => number_atom(rng, &name, 10.0, lets),
    }
}

fn number_atom(rng: &mut Rng, name: &str, scale: f64, lets: &Lets) -> Expr {
    let constant =
        |rng: &mut Rng| number(rng.weighted(&[(20, 0.0), (35, 1.0), (25, 2.0), (15, 3.0), (5, -1.0)]) * scale);
    let order = order(rng);
    let threshold = constant(rng);
    let other = numeric(rng, lets);
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
fn numeric(rng: &mut Rng, lets: &Lets) -> Expr {
    let numeric = lets.iter().filter(|(_, measure)| !matches!(measure, Measure::Silence(_)));
    let names: Vec<&String> = numeric.map(|(name, _)| name).collect();
    if names.is_empty() || rng.chance(15) { customer("points") } else { value(rng.pick::<&String>(&names)) }
}

/// A running duration stands alone on one side; the other side may move, be fractional, or be undefined.
fn running_atom(rng: &mut Rng, grid: Grid, name: &str, lets: &Lets) -> Expr {
    let steps = rng.range(0, 7);
    let bound = match rng.range(1, 100) {
        1..=8 => number(2.5).times(span(grid, steps)),
        9..=14 => span(grid, steps).computed(Arithmetic::Divide, number(7.0)),
        15..=22 => span(grid, steps).times(numeric(rng, lets)),
        23..=30 => span(grid, steps).over(numeric(rng, lets)),
        31..=35 => span(grid, steps).plus(span(grid, 1)),
        36..=39 => span(grid, steps).minus(span(grid, 1)),
        _ => span(grid, steps),
    };
    let order = order(rng);
    if rng.chance(15) { bound.ordered(order, value(name)) } else { value(name).ordered(order, bound) }
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
