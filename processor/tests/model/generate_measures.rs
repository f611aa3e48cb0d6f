//! Random values of `let`, and their `where`.

use super::aggregate::{Aggregate, What};
use super::count::Count;
use super::event::{Field, PURCHASE};
use super::expr::{Expr, Looks, event, has_event, not, null, number, text, truth};
use super::generate::{Grid, Palette};
use super::generate_conditions::order;
use super::generate_events::{Domain, field_value, fields, kind};
use super::generate_rules::making;
use super::measure::{Measure, Selection, Stands, Window};
use super::median_gap::MedianGap;
use super::open::Open;
use super::rng::Rng;
use super::silence::Silence;
use super::sum::Sum;
use super::value::Value;

/// What a condition can do with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// With about how large its steps are.
    Number(i64),
    /// Grows by itself.
    Running,
    Span,
    Text,
    Truth,
}

pub fn sort(measure: &Measure) -> Sort {
    match measure {
        Measure::Count(_) | Measure::Open(_) | Measure::Aggregate(Aggregate { what: What::Distinct, .. }) => {
            Sort::Number(1)
        }
        Measure::Sum(_) => Sort::Number(10),
        Measure::Silence(_) => Sort::Running,
        Measure::MedianGap(_) => Sort::Span,
        Measure::Aggregate(aggregate) => {
            let (kind, field) = (aggregate.selection.kinds[0], aggregate.fields[0]);
            match fields(kind).iter().find(|(name, _)| *name == field).expect("generated from these").1 {
                Domain::Text(_) => Sort::Text,
                Domain::Truth => Sort::Truth,
                Domain::Money => Sort::Number(10),
                Domain::Whole | Domain::Fraction => Sort::Number(1),
            }
        }
    }
}

pub fn measure(rng: &mut Rng, grid: Grid, palette: Palette, of_items: bool) -> Measure {
    if palette.values && rng.chance(60) {
        return further(rng, grid, of_items);
    }
    let which = rng.weighted(&[(42, 0), (30, 1), (28, 2)]);
    let (selection, fields) = if which == 1 { of_numbers(rng) } else { (selection(rng), vec![]) };
    let window = window(rng, grid, of_items);
    match which {
        0 => Measure::Count(Count { selection, window }),
        1 => Measure::Sum(Sum { selection, fields, window }),
        _ => Measure::Silence(Silence { selection, since_first_seen: rng.chance(40) }),
    }
}

pub fn quiet(rng: &mut Rng) -> Measure {
    Measure::Silence(Silence { selection: selection(rng), since_first_seen: rng.chance(40) })
}

pub fn rhythm(rng: &mut Rng, grid: Grid, of_items: bool) -> Measure {
    let window = window(rng, grid, of_items);
    let mut selection = selection(rng);
    if rng.chance(70) {
        // Dense enough for gaps.
        selection = Selection { kinds: vec![PURCHASE], filter: None };
    }
    Measure::MedianGap(MedianGap { selection, window })
}

fn further(rng: &mut Rng, grid: Grid, of_items: bool) -> Measure {
    let window = window(rng, grid, of_items);
    let numeric = [What::Avg, What::Min, What::Max, What::Median, What::Stddev];
    let any = [What::Distinct, What::First, What::Last];
    match rng.range(1, 100) {
        1..=18 => rhythm(rng, grid, of_items),
        19..=32 => {
            let making = making(rng, true);
            Measure::Open(Open { making, expire_ms: rng.maybe(75, |rng| grid.length(rng, 1, 10)) })
        }
        33..=70 => {
            let (selection, fields) = of_numbers(rng);
            Measure::Aggregate(Aggregate { what: rng.pick(&numeric), selection, fields, window })
        }
        _ => {
            let (selection, fields) = of_one_sort(rng);
            Measure::Aggregate(Aggregate { what: rng.pick(&any), selection, fields, window })
        }
    }
}

fn window(rng: &mut Rng, grid: Grid, of_items: bool) -> Window {
    let over = match rng.range(1, 100) {
        1..=5 => 1,
        6..=20 => grid.length(rng, 8, 40),
        _ => grid.length(rng, 1, 8),
    };
    let offset = if rng.chance(70) { 0 } else { grid.length(rng, 0, 3) };
    match rng.range(1, 100) {
        1..=40 if of_items => Window { over: 1, offset: 0, stands: Stands::SinceTheTrigger },
        41..=70 if of_items => Window { over, offset, stands: Stands::BeforeTheTrigger },
        _ => Window { over, offset, stands: Stands::AtTheInstant },
    }
}

fn selection(rng: &mut Rng) -> Selection {
    let kinds = kinds(rng, kind);
    let filter = rng.maybe(38, |rng| filter(rng, &kinds, 1));
    Selection { kinds, filter }
}

/// Mostly one type.
fn kinds(rng: &mut Rng, kind: fn(&mut Rng) -> &'static str) -> Vec<&'static str> {
    let mut kinds = vec![kind(rng)];
    if rng.chance(30) {
        let further = kind(rng);
        kinds.extend((!kinds.contains(&further)).then_some(further));
    }
    kinds
}

fn of_numbers(rng: &mut Rng) -> (Selection, Vec<&'static str>) {
    let kinds = kinds(rng, summable);
    let filter = rng.maybe(38, |rng| filter(rng, &kinds, 1));
    let fields = kinds.iter().map(|kind| rng.pick(&numbers_of(kind))).collect();
    (Selection { kinds, filter }, fields)
}

/// Texts, truths or numbers, of one type or of two that have such a field of one name.
fn of_one_sort(rng: &mut Rng) -> (Selection, Vec<&'static str>) {
    let first = kind(rng);
    let (field, domain) = rng.pick(fields(first));
    let has_it = |kind: &&'static str| *kind != first && fields(kind).contains(&(field, domain));
    let others: Vec<&'static str> = super::generate_events::KINDS.into_iter().filter(has_it).collect();
    let mut kinds = vec![first];
    if !others.is_empty() && rng.chance(40) {
        kinds.push(rng.pick(&others));
    }
    let filter = rng.maybe(30, |rng| filter(rng, &kinds, 1));
    let fields = vec![field; kinds.len()];
    (Selection { kinds, filter }, fields)
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
        Domain::Text(texts) if rng.chance(40) => text_test(rng, event(name), texts),
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

/// One of a list, or with a certain beginning, end or part.
pub fn text_test(rng: &mut Rng, of: Expr, texts: &[&str]) -> Expr {
    let whole = rng.pick(texts);
    let letters: Vec<char> = whole.chars().collect();
    let end = |from: usize, to: usize| letters[from..to].iter().collect::<String>();
    match rng.range(1, 100) {
        1..=12 => of.looks(Looks::StartsWith, &end(0, 1)),
        13..=22 => of.looks(Looks::EndsWith, &end(letters.len() - 1, letters.len())),
        23..=30 => of.looks(Looks::Contains, &end(1, 2)),
        _ => of.among(&[whole, rng.pick(texts)].map(|text| Value::Text(text.to_owned()))),
    }
}

pub fn operand(rng: &mut Rng, domain: Domain) -> Expr {
    match field_value(rng, domain) {
        Field::Null => null(),
        Field::Bool(b) => truth(b),
        Field::Millionths(n) => number(n as f64 / 1_000_000.0),
        Field::Text(found) => text(&found),
    }
}
