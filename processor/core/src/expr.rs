//! Conditions, lowered to a tree whose leaves are slots.
//!
//! The loader has checked names and kinds; what is left to decide at run time is null and undefined, since any field
//! or attribute may be missing and extras may hold any kind. Source of the rules: the language definition of CEL
//! (`&&` and `||` absorb, `==` works on anything), with one deviation that the contract makes: no exceptions, an
//! undefined operand makes the result undefined.

use crate::attributes::Attributes;
use crate::event::{FieldId, Record};
use crate::time::{Duration, Millis};
use crate::value::{OwnedValue, Value};

/// A checked expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Constant(OwnedValue),
    /// The value at this place of the rule's `let` (not a silence: those stand only in [`Expr::Running`]).
    Let(usize),
    /// A field of the event under `where`.
    Event(FieldRef),
    /// An attribute of the customer.
    Attribute(AttributeRef),
    /// A field of the event that opened the item.
    Trigger(FieldRef),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Box<[Expr; 2]>),
    Or(Box<[Expr; 2]>),
    /// `condition ? then : otherwise`
    If(Box<[Expr; 3]>),
    Compare(Compare, Box<[Expr; 2]>),
    Equal(Box<[Expr; 2]>),
    NotEqual(Box<[Expr; 2]>),
    Arithmetic(Arithmetic, Box<[Expr; 2]>),
    /// `x in [a, b, c]`
    In(Box<Expr>, Box<[Expr]>),
    /// `has(customer.tier)`: the operand is a field, an attribute or a let.
    Has(Box<Expr>),
    Text(TextTest, Box<[Expr; 2]>),
    /// A running duration compared with a bound that does not run.
    Running(Running, Compare, Box<Expr>),
}

/// Where a field of an event is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldRef {
    Slot(FieldId),
    /// A field that the schema of an open type does not have.
    Extra(Box<str>),
    Id,
    /// Name of the event's type; constant once the type is known.
    Type(Box<str>),
}

/// Where an attribute of the customer is found: a slot of `profile`, or an extra of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeRef {
    Slot(FieldId),
    Extra(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

/// A value that grows by itself, a millisecond each millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// The silence at this place of the rule's `let`.
    Silence(usize),
    /// Time since the item's trigger.
    Age,
}

/// The value of one `let` at the instant that is judged.
#[derive(Clone, Debug, PartialEq)]
pub enum LetValue {
    /// A value that stands still: number, duration, text, bool or null.
    Still(OwnedValue),
    /// A silence: the instant it counts from, if there is one.
    Since(Option<Millis>),
}

/// All that an expression may look at.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The instant that is judged.
    pub at: Millis,
    pub lets: &'a [LetValue],
    pub attributes: &'a Attributes,
    pub event: Option<Record<'a>>,
    /// The item's trigger and its time.
    pub trigger: Option<(Record<'a>, Millis)>,
}

impl Expr {
    /// Whether the condition holds: undefined, null and everything but `true` count as false.
    #[must_use]
    pub fn holds(&self, scope: &Scope<'_>) -> bool {
        self.value(scope) == Value::Bool(true)
    }

    /// The value at `scope.at`.
    #[must_use]
    pub fn value<'a>(&'a self, scope: &Scope<'a>) -> Value<'a> {
        match self {
            Self::Constant(constant) => constant.borrow(),
            Self::Let(place) => match &scope.lets[*place] {
                LetValue::Still(value) => value.borrow(),
                LetValue::Since(since) => since.map_or(Value::Null, |since| Value::Duration((scope.at - since) as f64)),
            },
            Self::Event(field) => scope.event.map_or(Value::Null, |record| field.of(record)),
            Self::Trigger(field) => scope.trigger.map_or(Value::Null, |(record, _)| field.of(record)),
            Self::Attribute(attribute) => scope.attributes.value(attribute),
            Self::Not(operand) => match operand.value(scope) {
                Value::Bool(b) => Value::Bool(!b),
                _ => Value::Undefined,
            },
            Self::Negate(operand) => match operand.value(scope) {
                Value::Number(x) => Value::Number(-x),
                Value::Duration(ms) => Value::Duration(-ms),
                _ => Value::Undefined,
            },
            Self::And(sides) => absorb(sides, scope, false),
            Self::Or(sides) => absorb(sides, scope, true),
            Self::If(parts) => match parts[0].value(scope) {
                Value::Bool(true) => parts[1].value(scope).or_undefined_null(),
                Value::Bool(false) => parts[2].value(scope).or_undefined_null(),
                _ => Value::Undefined,
            },
            Self::Compare(compare, sides) => {
                from_option(sides[0].value(scope).order(&sides[1].value(scope)).map(|order| compare.accepts(order)))
            }
            Self::Equal(sides) => from_option(sides[0].value(scope).equals(&sides[1].value(scope))),
            Self::NotEqual(sides) => {
                from_option(sides[0].value(scope).equals(&sides[1].value(scope)).map(|same| !same))
            }
            Self::Arithmetic(operator, sides) => operator.apply(sides[0].value(scope), sides[1].value(scope)),
            Self::In(needle, list) => is_in(needle, list, scope),
            Self::Has(operand) => Value::Bool(operand.value(scope) != Value::Null),
            Self::Text(check, sides) => match (sides[0].value(scope), sides[1].value(scope)) {
                (Value::Text(text), Value::Text(part)) => Value::Bool(check.accepts(text, part)),
                _ => Value::Undefined,
            },
            Self::Running(running, compare, bound) => match (running.since(scope), bound.value(scope)) {
                (Some(since), Value::Duration(bound)) => {
                    from_option(((scope.at - since) as f64).partial_cmp(&bound).map(|order| compare.accepts(order)))
                }
                _ => Value::Undefined,
            },
        }
    }

    /// The first instant after `scope.at` at which a running duration in here passes its bound, if nothing else changes.
    #[must_use]
    pub fn next_flip(&self, scope: &Scope<'_>) -> Option<Millis> {
        let mut earliest = None;
        self.visit(&mut |expr| {
            if let Self::Running(running, compare, bound) = expr
                && let Some(since) = running.since(scope)
                && let Value::Duration(bound) = bound.value(scope)
                && let Some(flip) = compare.flip(since, bound)
                && flip > scope.at
            {
                earliest = Some(earliest.map_or(flip, |known: Millis| known.min(flip)));
            }
        });
        earliest
    }

    /// Calls `see` with this expression and all within it.
    pub fn visit<'e>(&'e self, see: &mut dyn FnMut(&'e Expr)) {
        see(self);
        match self {
            Self::Constant(_) | Self::Let(_) | Self::Event(_) | Self::Attribute(_) | Self::Trigger(_) => {}
            Self::Not(operand) | Self::Negate(operand) | Self::Has(operand) | Self::Running(_, _, operand) => {
                operand.visit(see);
            }
            Self::And(sides)
            | Self::Or(sides)
            | Self::Compare(_, sides)
            | Self::Equal(sides)
            | Self::NotEqual(sides)
            | Self::Arithmetic(_, sides)
            | Self::Text(_, sides) => sides.iter().for_each(|side| side.visit(see)),
            Self::If(parts) => parts.iter().for_each(|part| part.visit(see)),
            Self::In(needle, list) => {
                needle.visit(see);
                list.iter().for_each(|element| element.visit(see));
            }
        }
    }
}

impl<'a> Value<'a> {
    /// Null as the result of a branch of `?:` is an operand of it, and so undefined.
    fn or_undefined_null(self) -> Value<'a> {
        if self == Value::Null { Value::Undefined } else { self }
    }
}

fn from_option(truth: Option<bool>) -> Value<'static> {
    truth.map_or(Value::Undefined, Value::Bool)
}

/// `&&` (`absorbing` false) and `||` (`absorbing` true): the absorbing value on either side decides, even beside an
/// undefined one.
fn absorb<'a>(sides: &'a [Expr; 2], scope: &Scope<'a>, absorbing: bool) -> Value<'a> {
    let left = sides[0].value(scope);
    if left == Value::Bool(absorbing) {
        return left;
    }
    match (left, sides[1].value(scope)) {
        (_, right @ Value::Bool(truth)) if truth == absorbing => right,
        (Value::Bool(_), right @ Value::Bool(_)) => right,
        _ => Value::Undefined,
    }
}

fn is_in<'a>(needle: &'a Expr, list: &'a [Expr], scope: &Scope<'a>) -> Value<'a> {
    let needle = needle.value(scope);
    let mut found = Some(false);
    for element in list {
        match needle.equals(&element.value(scope)) {
            Some(same) => found = found.map(|found| found || same),
            None => found = None,
        }
    }
    from_option(found)
}

impl Compare {
    #[must_use]
    pub fn accepts(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    /// The first whole millisecond at which the comparison of a duration running since `since` with `bound_ms` has
    /// its final outcome. `None` if that is beyond all time.
    #[must_use]
    pub fn flip(self, since: Millis, bound_ms: f64) -> Option<Millis> {
        let after = match self {
            Self::GreaterOrEqual | Self::Less => bound_ms.ceil(),
            Self::Greater | Self::LessOrEqual => bound_ms.floor() + 1.0,
        };
        // Beyond 2^53 ms (285,000 years) nothing happens any more; NaN fails the test as well.
        (after.abs() < 9_007_199_254_740_992.0).then(|| since + after as Duration)
    }
}

impl Running {
    /// The instant the duration runs from.
    fn since(self, scope: &Scope<'_>) -> Option<Millis> {
        match self {
            Self::Silence(place) => match scope.lets[place] {
                LetValue::Since(since) => since,
                LetValue::Still(_) => None,
            },
            Self::Age => scope.trigger.map(|(_, at)| at),
        }
    }
}

impl Arithmetic {
    fn apply<'a>(self, left: Value<'a>, right: Value<'a>) -> Value<'a> {
        match (self, left, right) {
            (Self::Divide | Self::Remainder, _, Value::Number(0.0) | Value::Duration(0.0)) => Value::Undefined,
            (Self::Multiply, Value::Duration(a), Value::Number(b))
            | (Self::Multiply, Value::Number(a), Value::Duration(b)) => Value::Duration(a * b),
            (Self::Divide, Value::Duration(a), Value::Number(b)) => Value::Duration(a / b),
            (Self::Divide, Value::Duration(a), Value::Duration(b)) => Value::Number(a / b),
            (Self::Add | Self::Subtract | Self::Remainder, Value::Duration(a), Value::Duration(b)) => {
                Value::Duration(self.of(a, b))
            }
            (_, Value::Number(a), Value::Number(b)) => Value::Number(self.of(a, b)),
            _ => Value::Undefined,
        }
    }

    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Remainder => a % b,
        }
    }
}

impl TextTest {
    fn accepts(self, text: &str, part: &str) -> bool {
        match self {
            Self::StartsWith => text.starts_with(part),
            Self::EndsWith => text.ends_with(part),
            Self::Contains => text.contains(part),
        }
    }
}

impl FieldRef {
    /// The field of this event, null if it lacks it.
    #[must_use]
    pub fn of<'a>(&'a self, record: Record<'a>) -> Value<'a> {
        match self {
            Self::Slot(slot) => record.field(*slot),
            Self::Extra(name) => record.extra(name),
            Self::Id => Value::Text(record.id()),
            Self::Type(name) => Value::Text(name),
        }
    }
}
