//! From syntax to checked conditions: names become slots, kinds are checked, constants are worked out.
//!
//! Every fault of an expression is reported, not only the first, so a part that is refused yields nothing and says
//! nothing further.

use tocsin_core::attributes::Attributes;
use tocsin_core::expr::{Arithmetic, Compare, Expr, Running, Scope, TextTest};
use tocsin_core::time::{Duration, LONGEST};
use tocsin_core::value::{OwnedValue, Value};

use super::names::{self, NamedKind, Names, Part, Trigger};
use super::problem::{Complaint, quoted};
use super::syntax::{Fault, Form, Node};
use super::typing::{Kind, arithmetic, arithmetic_sign, compare_sign, mirrored};

/// Resolves and checks a condition.
///
/// # Errors
/// Every fault in it; none if all that is wrong is a named value that was refused itself.
pub(super) fn condition(node: &Node, names: Names<'_>) -> Result<Expr, Vec<Fault>> {
    let mut lowering = Lowering { names, faults: Vec::new() };
    match lowering.truth(node, "a condition is") {
        Some(expr) if lowering.faults.is_empty() => Ok(expr),
        _ => Err(lowering.faults),
    }
}

struct Typed {
    expr: Expr,
    kind: Kind,
}

impl Typed {
    fn new(expr: Expr, kind: Kind) -> Self {
        Self { expr, kind }
    }

    fn constant(value: OwnedValue, kind: Kind) -> Self {
        Self::new(Expr::Constant(value), kind)
    }
}

struct Lowering<'a> {
    names: Names<'a>,
    faults: Vec<Fault>,
}

impl Lowering<'_> {
    fn node(&mut self, node: &Node) -> Option<Typed> {
        match &node.form {
            Form::Null => Some(Typed::constant(OwnedValue::Null, Kind::Null)),
            Form::Bool(b) => Some(Typed::constant(OwnedValue::Bool(*b), Kind::Bool)),
            Form::Number(x) => Some(Typed::constant(OwnedValue::Number(*x), Kind::Number)),
            Form::Text(text) => Some(Typed::constant(OwnedValue::Text(text.clone()), Kind::Text)),
            Form::Name(name) => self.name(node.at, name),
            Form::Member(base, field) => self.member(node.at, base, field),
            Form::Has(member) => Some(Typed::new(Expr::Has(Box::new(self.node(member)?.expr)), Kind::Bool)),
            Form::Not(operand) => Some(Typed::new(Expr::Not(Box::new(self.truth(operand, "`!` needs")?)), Kind::Bool)),
            Form::Negate(operand) => self.negate(operand),
            Form::And(sides) => Some(Typed::new(Expr::And(self.truths(sides, "`&&` needs")?), Kind::Bool)),
            Form::Or(sides) => Some(Typed::new(Expr::Or(self.truths(sides, "`||` needs")?), Kind::Bool)),
            Form::If(parts) => self.choice(node, parts),
            Form::Compare(compare, sides) => self.compare(node.at, *compare, sides),
            Form::Equal(sides) => Some(Typed::new(Expr::Equal(self.equal(node.at, sides, "==")?), Kind::Bool)),
            Form::NotEqual(sides) => Some(Typed::new(Expr::NotEqual(self.equal(node.at, sides, "!=")?), Kind::Bool)),
            Form::Arithmetic(operator, sides) => self.arithmetic(node, *operator, sides),
            Form::In(needle, list) => self.is_in(needle, list),
            Form::Test(test, sides) => self.test(*test, sides),
            Form::Time(unit, n) => self.time(*unit, n),
        }
    }

    fn name(&mut self, at: usize, name: &str) -> Option<Typed> {
        if matches!(name, "customer" | "event" | "trigger") {
            return self.refuse(at, format!("`{name}` alone is no value; name a field of it: {name}.status"));
        }
        if name == "age" {
            return self.age(at);
        }
        let Some(place) = self.names.known.lets.iter().position(|named| *named.name == *name) else {
            let complaint = self.names.unknown(name);
            return self.refuse(at, complaint);
        };
        match (self.names.part, self.names.known.lets[place].kind) {
            (Part::Scope, _) => self.refuse(at, beside_scope(name)),
            (Part::Where { key, .. }, _) => self.refuse(at, beside_where(key, name)),
            (Part::Condition, NamedKind::Value(kind)) => Some(Typed::new(Expr::Let(place), kind)),
            (Part::Condition, NamedKind::Silence) => self.refuse(at, running(name)),
            (Part::Condition, NamedKind::Broken) => None,
        }
    }

    /// `age` where it may not stand.
    fn age(&mut self, at: usize) -> Option<Typed> {
        let complaint = match (self.names.part, self.names.known.trigger) {
            (Part::Scope, _) => beside_scope("age").into(),
            (Part::Where { key, .. }, _) => beside_where(key, "age").into(),
            (Part::Condition, Trigger::None) => names::without_items("age"),
            (Part::Condition, _) => running("age").into(),
        };
        self.refuse(at, complaint)
    }

    fn trigger(&mut self, at: usize, field: &str) -> Option<Typed> {
        let complaint = match (self.names.part, self.names.known.trigger) {
            (Part::Scope, _) => beside_scope("trigger").into(),
            (Part::Where { key, .. }, _) => beside_where(key, "trigger").into(),
            (Part::Condition, Trigger::None) => names::without_items("trigger"),
            (Part::Condition, Trigger::Broken) => return None,
            (Part::Condition, Trigger::Of(of)) => match names::trigger_field(field, of) {
                Ok((field, kind)) => return Some(Typed::new(Expr::Trigger(field), kind)),
                Err(complaint) => complaint,
            },
        };
        self.refuse(at, complaint)
    }

    fn member(&mut self, at: usize, base: &str, field: &str) -> Option<Typed> {
        match (base, self.names.part) {
            ("trigger", _) => self.trigger(at, field),
            ("customer", Part::Where { key, .. }) => {
                self.refuse(at, format!("`{key}` looks at the event alone; put this into `scope` or the condition"))
            }
            ("customer", _) => match names::attribute(self.names.catalog, field) {
                Ok((attribute, kind)) => Some(Typed::new(Expr::Attribute(attribute), kind)),
                Err(complaint) => self.refuse(at, complaint),
            },
            ("event", Part::Where { of, all, .. }) => match names::event_field(field, of, all) {
                Ok(Some((field, kind))) => Some(Typed::new(Expr::Event(field), kind)),
                Ok(None) => Some(Typed::constant(OwnedValue::Null, Kind::Any)),
                Err(complaint) => self.refuse(at, complaint),
            },
            ("event", _) => {
                let reason = match self.names.known.trigger {
                    Trigger::None => "`event` stands only in `where`, which belongs to a value under `let`".to_owned(),
                    _ => format!(
                        "`event` stands only in `where` and `until`; of the event that opened the item write trigger.{field}"
                    ),
                };
                self.refuse(at, reason)
            }
            _ if self.names.known.lets.iter().any(|named| *named.name == *base) => {
                self.refuse(at, format!("`{base}` is a value and has no fields"))
            }
            (_, part) => {
                let valid = if matches!(part, Part::Where { .. }) { "event" } else { "customer" };
                let reason = format!("there is nothing called {}", quoted(base));
                self.refuse(at, Complaint::unknown(reason, base, [valid]))
            }
        }
    }

    fn negate(&mut self, operand: &Node) -> Option<Typed> {
        let typed = self.node(operand)?;
        if !matches!(typed.kind, Kind::Number | Kind::Duration | Kind::Any) {
            return self
                .refuse(operand.start(), format!("`-` needs a number or a duration, this is {}", typed.kind.name()));
        }
        let kind = typed.kind;
        self.folded(operand.start(), Expr::Negate(Box::new(typed.expr)), kind)
    }

    fn choice(&mut self, node: &Node, parts: &[Node; 3]) -> Option<Typed> {
        let condition = self.truth(&parts[0], "`?` needs");
        let (then, otherwise) = (self.node(&parts[1]), self.node(&parts[2]));
        let (condition, then, otherwise) = (condition?, then?, otherwise?);
        let Some(kind) = then.kind.common(otherwise.kind) else {
            let (then, otherwise) = (then.kind.name(), otherwise.kind.name());
            return self.refuse(node.at, format!("both sides of `:` must be alike, these are {then} and {otherwise}"));
        };
        Some(Typed::new(Expr::If(Box::new([condition, then.expr, otherwise.expr])), kind))
    }

    fn compare(&mut self, at: usize, compare: Compare, sides: &[Node; 2]) -> Option<Typed> {
        match (self.running(&sides[0]), self.running(&sides[1])) {
            (Some((name, _)), Some(_)) => self.refuse(at, running(&name)),
            (Some((name, runs)), None) => self.run(at, &name, runs, compare, &sides[1]),
            (None, Some((name, runs))) => self.run(at, &name, runs, mirrored(compare), &sides[0]),
            (None, None) => {
                let [left, right] = self.both(sides)?;
                if !left.kind.can_order(right.kind) {
                    let (sign, left, right) = (compare_sign(compare), left.kind, right.kind);
                    let hint = duration_hint(left, right);
                    let reason =
                        format!("`{sign}` between {} and {} is never defined{hint}", left.name(), right.name());
                    return self.refuse(at, reason);
                }
                Some(Typed::new(Expr::Compare(compare, Box::new([left.expr, right.expr])), Kind::Bool))
            }
        }
    }

    /// If the node is the name of a running duration: that, and which it is.
    fn running(&self, node: &Node) -> Option<(Box<str>, Running)> {
        let Form::Name(name) = &node.form else { return None };
        if &**name == "age" {
            let runs = matches!(self.names.part, Part::Condition) && !matches!(self.names.known.trigger, Trigger::None);
            return runs.then(|| (name.clone(), Running::Age));
        }
        let place = self.names.known.lets.iter().position(|named| named.name == *name)?;
        let runs =
            matches!(self.names.part, Part::Condition) && self.names.known.lets[place].kind == NamedKind::Silence;
        runs.then(|| (name.clone(), Running::Silence(place)))
    }

    fn run(&mut self, at: usize, name: &str, runs: Running, compare: Compare, bound: &Node) -> Option<Typed> {
        let typed = self.node(bound)?;
        let mut nested = false;
        typed.expr.visit(&mut |expr| nested |= matches!(expr, Expr::Running(..)));
        if nested {
            return self.refuse(bound.start(), running(name));
        }
        // Arithmetic with an extra may come to a duration; an extra by itself never is one.
        let may_be_duration = typed.kind == Kind::Any && !matches!(typed.expr, Expr::Attribute(_));
        if typed.kind != Kind::Duration && !may_be_duration {
            let (sign, kind) = (compare_sign(compare), typed.kind.name());
            return self.refuse(
                at,
                format!("`{sign}` compares the duration `{name}` with {kind}; write days(90), hours(36) or minutes(5)"),
            );
        }
        Some(Typed::new(Expr::Running(runs, compare, Box::new(typed.expr)), Kind::Bool))
    }

    fn equal(&mut self, at: usize, sides: &[Node; 2], sign: &str) -> Option<Box<[Expr; 2]>> {
        let [left, right] = self.both(sides)?;
        if !left.kind.can_equal(right.kind) {
            let hint = duration_hint(left.kind, right.kind);
            let (left, right) = (left.kind.name(), right.kind.name());
            return self.refuse(at, format!("`{sign}` between {left} and {right}: these are never equal{hint}"));
        }
        Some(Box::new([left.expr, right.expr]))
    }

    fn arithmetic(&mut self, node: &Node, operator: Arithmetic, sides: &[Node; 2]) -> Option<Typed> {
        let [left, right] = self.both(sides)?;
        let Some(kind) = arithmetic(operator, left.kind, right.kind) else {
            let sign = arithmetic_sign(operator);
            let reason = if (operator, left.kind) == (Arithmetic::Add, Kind::Text) {
                "`+` does not join texts".to_owned()
            } else {
                let hint = if operator == Arithmetic::Multiply { "" } else { duration_hint(left.kind, right.kind) };
                format!("`{sign}` between {} and {} is never defined{hint}", left.kind.name(), right.kind.name())
            };
            return self.refuse(node.at, reason);
        };
        let divides = matches!(operator, Arithmetic::Divide | Arithmetic::Remainder);
        if divides && let Expr::Constant(OwnedValue::Number(0.0) | OwnedValue::Duration(0.0)) = right.expr {
            return self.refuse(node.at, "a division by zero is never defined");
        }
        self.folded(node.at, Expr::Arithmetic(operator, Box::new([left.expr, right.expr])), kind)
    }

    fn is_in(&mut self, needle: &Node, list: &[Node]) -> Option<Typed> {
        let needle = self.node(needle);
        let elements: Vec<Option<Typed>> = list.iter().map(|element| self.node(element)).collect();
        let needle = needle?;
        let mut exprs = Some(Vec::with_capacity(list.len()));
        for (element, node) in elements.into_iter().zip(list) {
            exprs = match element {
                Some(element) if needle.kind.can_equal(element.kind) => exprs.map(|mut exprs| {
                    exprs.push(element.expr);
                    exprs
                }),
                Some(element) => {
                    let (element, needle) = (element.kind.name(), needle.kind.name());
                    self.refuse(node.start(), format!("`in` looks for {needle}, which {element} never equals"))
                }
                None => None,
            };
        }
        Some(Typed::new(Expr::In(Box::new(needle.expr), exprs?.into()), Kind::Bool))
    }

    fn test(&mut self, test: TextTest, sides: &[Node; 2]) -> Option<Typed> {
        let typed = self.both(sides)?;
        let name = match test {
            TextTest::StartsWith => "startsWith",
            TextTest::EndsWith => "endsWith",
            TextTest::Contains => "contains",
        };
        for (side, node) in typed.iter().zip(sides) {
            if !side.kind.may_be(Kind::Text) {
                return self.refuse(node.start(), format!("`{name}` needs texts, this is {}", side.kind.name()));
            }
        }
        Some(Typed::new(Expr::Text(test, Box::new(typed.map(|side| side.expr))), Kind::Bool))
    }

    fn time(&mut self, unit_ms: Duration, n: &Node) -> Option<Typed> {
        let typed = self.node(n)?;
        if !typed.kind.may_be(Kind::Number) {
            return self.refuse(n.start(), format!("a number is needed here, this is {}", typed.kind.name()));
        }
        let unit = Expr::Constant(OwnedValue::Duration(unit_ms as f64));
        self.folded(n.start(), Expr::Arithmetic(Arithmetic::Multiply, Box::new([typed.expr, unit])), Kind::Duration)
    }

    /// Arithmetic on constants is done now, and so can be refused now.
    fn folded(&mut self, at: usize, expr: Expr, kind: Kind) -> Option<Typed> {
        let constant = |expr: &Expr| matches!(expr, Expr::Constant(_));
        let all = match &expr {
            Expr::Negate(operand) => constant(operand),
            Expr::Arithmetic(_, sides) => sides.iter().all(constant),
            _ => false,
        };
        if !all {
            return Some(Typed::new(expr, kind));
        }
        let attributes = Attributes::default();
        let value =
            expr.value(&Scope { at: 0, lets: &[], attributes: &attributes, event: None, trigger: None }).to_owned();
        match value.borrow() {
            Value::Number(x) if x.is_finite() => Some(Typed::constant(value, kind)),
            Value::Duration(ms) if ms.abs() <= LONGEST as f64 => Some(Typed::constant(value, kind)),
            Value::Duration(_) => self.refuse(at, "longer than 36525d, the longest duration there is"),
            Value::Number(_) => self.refuse(at, "this number is too large"),
            // A field that this type of event lacks stands for null.
            _ => Some(Typed::new(expr, kind)),
        }
    }

    fn truth(&mut self, node: &Node, what: &str) -> Option<Expr> {
        let typed = self.node(node)?;
        if !typed.kind.may_be(Kind::Bool) {
            return self.refuse(node.start(), format!("{what} true or false, this is {}", typed.kind.name()));
        }
        Some(typed.expr)
    }

    fn truths(&mut self, sides: &[Node; 2], what: &str) -> Option<Box<[Expr; 2]>> {
        let (left, right) = (self.truth(&sides[0], what), self.truth(&sides[1], what));
        Some(Box::new([left?, right?]))
    }

    fn both(&mut self, sides: &[Node; 2]) -> Option<[Typed; 2]> {
        let (left, right) = (self.node(&sides[0]), self.node(&sides[1]));
        Some([left?, right?])
    }

    fn refuse<T>(&mut self, at: usize, complaint: impl Into<Complaint>) -> Option<T> {
        self.faults.push(Fault { at, complaint: complaint.into() });
        None
    }
}

fn beside_scope(name: &str) -> String {
    format!("`scope` looks at attributes alone, not at `{name}`")
}

fn beside_where(key: &str, name: &str) -> String {
    format!("`{key}` looks at the event alone, not at `{name}`")
}

fn running(name: &str) -> String {
    format!(
        "the running duration {} may stand only alone on one side of <, <=, > or >=, with none on the other",
        quoted(name)
    )
}

fn duration_hint(left: Kind, right: Kind) -> &'static str {
    match (left, right) {
        (Kind::Duration, Kind::Number) | (Kind::Number, Kind::Duration) => {
            "; durations are days(90), hours(36), minutes(5)"
        }
        _ => "",
    }
}

#[cfg(test)]
#[path = "tests/lower.rs"]
mod tests;
