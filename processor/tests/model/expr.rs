//! The model's own expressions: built as data, evaluated here, rendered as CEL text for the engine (`render`).

use super::value::{Arithmetic, Order, Value, computed, ordered};

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A literal: never undefined.
    Is(Value),
    /// `days(n)`, `hours(n)`, `minutes(n)`.
    Span(Unit, f64),
    Name(Name),
    Has(Name),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    Equal(Box<Expr>, Box<Expr>),
    Unequal(Box<Expr>, Box<Expr>),
    Ordered(Order, Box<Expr>, Box<Expr>),
    In(Box<Expr>, Vec<Value>),
    Computed(Arithmetic, Box<Expr>, Box<Expr>),
    /// `x.startsWith("a")` and its like.
    Looks(Looks, Box<Expr>, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Days,
    Hours,
    Minutes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A value of the rule's `let`.
    Let(String),
    /// `customer.X`
    Attribute(&'static str),
    /// `event.X`
    Field(&'static str),
    /// `trigger.X`
    Trigger(&'static str),
    /// The running duration of an item.
    Age,
}

impl Expr {
    pub fn value(&self, look_up: &dyn Fn(&Name) -> Value) -> Value {
        match self {
            Expr::Is(value) => value.clone(),
            Expr::Span(unit, n) => Value::Duration(n * unit.ms()),
            Expr::Name(name) => look_up(name),
            Expr::Has(name) => Value::Bool(look_up(name) != Value::Null),
            Expr::Not(a) => a.value(look_up).not(),
            Expr::And(a, b) => a.value(look_up).and(&b.value(look_up)),
            Expr::Or(a, b) => a.value(look_up).or(&b.value(look_up)),
            Expr::Choice(condition, yes, no) => match condition.value(look_up) {
                Value::Bool(true) => yes.value(look_up),
                Value::Bool(false) => no.value(look_up),
                _ => Value::Undefined,
            },
            Expr::Equal(a, b) => a.value(look_up).equals(&b.value(look_up)),
            Expr::Unequal(a, b) => a.value(look_up).equals(&b.value(look_up)).not(),
            Expr::Ordered(order, a, b) => ordered(*order, &a.value(look_up), &b.value(look_up)),
            Expr::In(a, list) => match a.value(look_up) {
                Value::Undefined => Value::Undefined,
                value => Value::Bool(list.contains(&value)),
            },
            Expr::Computed(operator, a, b) => computed(*operator, &a.value(look_up), &b.value(look_up)),
            Expr::Looks(looks, a, part) => match a.value(look_up) {
                Value::Text(text) => Value::Bool(match looks {
                    Looks::StartsWith => text.starts_with(part),
                    Looks::EndsWith => text.ends_with(part),
                    Looks::Contains => text.contains(part),
                }),
                _ => Value::Undefined,
            },
        }
    }

    /// The expressions one step inside this one.
    pub fn parts(&self) -> Vec<&Expr> {
        match self {
            Expr::Is(_) | Expr::Span(..) | Expr::Name(_) | Expr::Has(_) => vec![],
            Expr::Not(a) | Expr::In(a, _) | Expr::Looks(_, a, _) => vec![a],
            Expr::Choice(a, b, c) => vec![a, b, c],
            Expr::And(a, b)
            | Expr::Or(a, b)
            | Expr::Equal(a, b)
            | Expr::Unequal(a, b)
            | Expr::Ordered(_, a, b)
            | Expr::Computed(_, a, b) => vec![a, b],
        }
    }

    /// This expression and everything inside it.
    pub fn all(&self) -> Vec<&Expr> {
        let mut found = vec![self];
        found.extend(self.parts().into_iter().flat_map(Expr::all));
        found
    }

    pub fn mentions(&self, name: &str) -> bool {
        self.names(&Name::Let(name.to_owned()))
    }

    pub fn names(&self, name: &Name) -> bool {
        self.all().iter().any(|part| matches!(part, Expr::Name(found) if found == name))
    }
}

impl Unit {
    pub fn ms(self) -> f64 {
        match self {
            Unit::Days => 86_400_000.0,
            Unit::Hours => 3_600_000.0,
            Unit::Minutes => 60_000.0,
        }
    }
}

pub fn value(name: &str) -> Expr {
    Expr::Name(Name::Let(name.to_owned()))
}

pub fn customer(name: &'static str) -> Expr {
    Expr::Name(Name::Attribute(name))
}

pub fn event(name: &'static str) -> Expr {
    Expr::Name(Name::Field(name))
}

pub fn trigger(name: &'static str) -> Expr {
    Expr::Name(Name::Trigger(name))
}

pub fn age() -> Expr {
    Expr::Name(Name::Age)
}

pub fn has_customer(name: &'static str) -> Expr {
    Expr::Has(Name::Attribute(name))
}

pub fn has_event(name: &'static str) -> Expr {
    Expr::Has(Name::Field(name))
}

pub fn number(n: f64) -> Expr {
    Expr::Is(Value::Number(n))
}

pub fn text(text: &str) -> Expr {
    Expr::Is(Value::Text(text.to_owned()))
}

pub fn truth(b: bool) -> Expr {
    Expr::Is(Value::Bool(b))
}

pub fn null() -> Expr {
    Expr::Is(Value::Null)
}

pub fn minutes(n: f64) -> Expr {
    Expr::Span(Unit::Minutes, n)
}

pub fn not(a: Expr) -> Expr {
    Expr::Not(Box::new(a))
}

pub fn choice(condition: Expr, yes: Expr, no: Expr) -> Expr {
    Expr::Choice(Box::new(condition), Box::new(yes), Box::new(no))
}

/// Building words for hand-written cases: `value("n").at_least(number(3.0))`.
impl Expr {
    pub fn and(self, other: Expr) -> Expr {
        Expr::And(Box::new(self), Box::new(other))
    }
    pub fn or(self, other: Expr) -> Expr {
        Expr::Or(Box::new(self), Box::new(other))
    }
    pub fn equals(self, other: Expr) -> Expr {
        Expr::Equal(Box::new(self), Box::new(other))
    }
    pub fn differs(self, other: Expr) -> Expr {
        Expr::Unequal(Box::new(self), Box::new(other))
    }
    pub fn among(self, list: &[Value]) -> Expr {
        Expr::In(Box::new(self), list.to_vec())
    }
    pub fn looks(self, looks: Looks, part: &str) -> Expr {
        Expr::Looks(looks, Box::new(self), part.to_owned())
    }
    pub fn ordered(self, order: Order, other: Expr) -> Expr {
        Expr::Ordered(order, Box::new(self), Box::new(other))
    }
    pub fn below(self, other: Expr) -> Expr {
        self.ordered(Order::Less, other)
    }
    pub fn at_most(self, other: Expr) -> Expr {
        self.ordered(Order::AtMost, other)
    }
    pub fn above(self, other: Expr) -> Expr {
        self.ordered(Order::Greater, other)
    }
    pub fn at_least(self, other: Expr) -> Expr {
        self.ordered(Order::AtLeast, other)
    }
    pub fn computed(self, operator: Arithmetic, other: Expr) -> Expr {
        Expr::Computed(operator, Box::new(self), Box::new(other))
    }
    pub fn plus(self, other: Expr) -> Expr {
        self.computed(Arithmetic::Add, other)
    }
    pub fn minus(self, other: Expr) -> Expr {
        self.computed(Arithmetic::Subtract, other)
    }
    pub fn times(self, other: Expr) -> Expr {
        self.computed(Arithmetic::Multiply, other)
    }
    pub fn over(self, other: Expr) -> Expr {
        self.computed(Arithmetic::Divide, other)
    }
}
