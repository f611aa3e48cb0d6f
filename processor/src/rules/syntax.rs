//! Expressions as they are written: CEL's syntax tree cut down to the subset that rules may use.
//!
//! Knows no names and no kinds; [`super::lower`] does. What CEL has and rules have not (macros, maps, indexing, other
//! functions) is refused here, by name.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr as Cel, LiteralValue, SelectExpr, SourceInfo, operators as op};
use cel::parser::Parser;
use tocsin_core::expr::{Arithmetic, Compare, TextTest};
use tocsin_core::time::{DAY, Duration, HOUR, MINUTE};

use super::problem::{Complaint, quoted};
use super::syntax_errors;

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Offset of its sign: of the operator between two operands, of the first character of anything else.
    pub at: usize,
    pub form: Form,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    Null,
    Bool(bool),
    Number(f64),
    Text(Box<str>),
    /// A word that stands alone: a named value.
    Name(Box<str>),
    /// `customer.tier`, `event.amount`
    Member(Box<str>, Box<str>),
    Has(Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    If(Box<[Node; 3]>),
    Compare(Compare, Box<[Node; 2]>),
    Equal(Box<[Node; 2]>),
    NotEqual(Box<[Node; 2]>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    In(Box<Node>, Vec<Node>),
    Test(TextTest, Box<[Node; 2]>),
    /// `days(n)`: so many milliseconds, times the operand.
    Time(Duration, Box<Node>),
}

impl Node {
    /// Offset of the first character of the whole.
    pub(super) fn start(&self) -> usize {
        match &self.form {
            Form::And(sides)
            | Form::Or(sides)
            | Form::Compare(_, sides)
            | Form::Equal(sides)
            | Form::NotEqual(sides)
            | Form::Arithmetic(_, sides)
            | Form::Test(_, sides) => sides[0].start(),
            Form::If(parts) => parts[0].start(),
            Form::In(needle, _) => needle.start(),
            _ => self.at,
        }
    }
}

/// What is wrong with an expression, and at which character of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub at: usize,
    pub complaint: Complaint,
}

/// Most characters of an expression, and levels within it: what is judged for every event stays small, and no
/// recursion over it can exhaust the stack.
const LONGEST: usize = 4_096;
pub(super) const DEEPEST: u16 = 64;

/// All that can be called.
const FUNCTIONS: [&str; 7] = ["has", "days", "hours", "minutes", "startsWith", "endsWith", "contains"];

/// Reads an expression.
///
/// # Errors
/// The first place at which it is no CEL, or every place at which it is more than the subset.
pub(super) fn parse(text: &str) -> Result<Node, Vec<Fault>> {
    if text.chars().count() > LONGEST {
        let reason = format!("an expression has at most {LONGEST} characters");
        return Err(vec![Fault { at: 0, complaint: reason.into() }]);
    }
    if let Some(fault) = syntax_errors::doubled_sign(text) {
        return Err(vec![fault]);
    }
    let (tree, info) = Parser::new()
        .max_recursion_depth(DEEPEST)
        .parse_with_source_info(text)
        .map_err(|errors| vec![syntax_errors::explained(text, &errors)])?;
    let mut converter = Converter { text, info, faults: Vec::new() };
    match converter.node(&tree, 0) {
        Some(node) if converter.faults.is_empty() => Ok(node),
        _ => Err(converter.faults),
    }
}

struct Converter<'a> {
    text: &'a str,
    info: SourceInfo,
    faults: Vec<Fault>,
}

impl Converter<'_> {
    /// `None` after a fault.
    fn node(&mut self, tree: &IdedExpr, depth: u16) -> Option<Node> {
        let at = self.byte(tree.id);
        if depth >= DEEPEST {
            return self.too_deep(at);
        }
        match &tree.expr {
            Cel::Literal(literal) => self.literal(literal, at),
            Cel::Ident(name) => Some(self.at(at, Form::Name(name.as_str().into()))),
            Cel::Select(select) => self.select(select, at),
            Cel::Call(call) => self.call(call, at, depth + 1),
            Cel::List(_) => self.refuse(at, "a list stands only to the right of `in`"),
            Cel::Map(_) => self.refuse(at, "there are no maps in rules"),
            Cel::Struct(_) => self.refuse(at, "there are no messages in rules"),
            Cel::Comprehension(_) => {
                let (at, name) = self.word_before(at);
                self.unknown_function(at, &name)
            }
            Cel::Unspecified => self.refuse(at, "an expression is missing"),
        }
    }

    fn literal(&mut self, literal: &LiteralValue, at: usize) -> Option<Node> {
        let form = match literal {
            LiteralValue::Null => Form::Null,
            LiteralValue::Boolean(b) => Form::Bool(*b.inner()),
            LiteralValue::Int(x) => Form::Number(*x.inner() as f64),
            LiteralValue::UInt(x) => Form::Number(*x.inner() as f64),
            LiteralValue::Double(x) => Form::Number(*x.inner()),
            LiteralValue::String(text) => Form::Text(text.inner().into()),
            LiteralValue::Bytes(_) => return self.refuse(at, "there are no bytes in rules, only texts"),
        };
        Some(self.at(at, form))
    }

    fn select(&mut self, select: &SelectExpr, at: usize) -> Option<Node> {
        let Cel::Ident(base) = &select.operand.expr else {
            return self.refuse(at, "only `customer`, `event` and `trigger` have fields, and those hold plain values");
        };
        let start = self.byte(select.operand.id);
        let member = self.at(start, Form::Member(base.as_str().into(), select.field.as_str().into()));
        if !select.test {
            return Some(member);
        }
        let (at, _) = self.word_before(at);
        Some(self.at(at, Form::Has(Box::new(member))))
    }

    fn call(&mut self, call: &CallExpr, at: usize, depth: u16) -> Option<Node> {
        let form = match call.func_name.as_str() {
            op::LOGICAL_NOT => Form::Not(Box::new(self.first(call, depth)?)),
            op::NEGATE => Form::Negate(Box::new(self.first(call, depth)?)),
            op::LOGICAL_AND => Form::And(self.operands(&call.args, depth)?),
            op::LOGICAL_OR => Form::Or(self.operands(&call.args, depth)?),
            op::CONDITIONAL => Form::If(self.operands(&call.args, depth)?),
            op::EQUALS => Form::Equal(self.operands(&call.args, depth)?),
            op::NOT_EQUALS => Form::NotEqual(self.operands(&call.args, depth)?),
            op::LESS => Form::Compare(Compare::Less, self.operands(&call.args, depth)?),
            op::LESS_EQUALS => Form::Compare(Compare::LessOrEqual, self.operands(&call.args, depth)?),
            op::GREATER => Form::Compare(Compare::Greater, self.operands(&call.args, depth)?),
            op::GREATER_EQUALS => Form::Compare(Compare::GreaterOrEqual, self.operands(&call.args, depth)?),
            op::ADD => Form::Arithmetic(Arithmetic::Add, self.operands(&call.args, depth)?),
            op::SUBSTRACT => Form::Arithmetic(Arithmetic::Subtract, self.operands(&call.args, depth)?),
            op::MULTIPLY => Form::Arithmetic(Arithmetic::Multiply, self.operands(&call.args, depth)?),
            op::DIVIDE => Form::Arithmetic(Arithmetic::Divide, self.operands(&call.args, depth)?),
            op::MODULO => Form::Arithmetic(Arithmetic::Remainder, self.operands(&call.args, depth)?),
            op::IN => return self.is_in(call, at, depth),
            op::INDEX => return self.refuse(at, "nothing in rules is indexed with [ ]"),
            name => return self.function(name, call, at, depth),
        };
        Some(self.at(at, form))
    }

    fn is_in(&mut self, call: &CallExpr, at: usize, depth: u16) -> Option<Node> {
        let [needle, list] = call.args.as_slice() else { return self.refuse(at, "`in` needs two sides") };
        let Cel::List(list) = &list.expr else {
            let at = self.byte(list.id);
            return self.refuse(at, "`in` needs a list on its right, such as [\"web\", \"app\"]");
        };
        let needle = self.node(needle, depth);
        let list: Vec<Option<Node>> = list.elements.iter().map(|element| self.node(element, depth)).collect();
        let list = list.into_iter().collect::<Option<Vec<Node>>>()?;
        Some(self.at(at, Form::In(Box::new(needle?), list)))
    }

    fn function(&mut self, name: &str, call: &CallExpr, at: usize, depth: u16) -> Option<Node> {
        let (at, _) = self.word_before(at);
        let unit = match name {
            "days" => Some(DAY),
            "hours" => Some(HOUR),
            "minutes" => Some(MINUTE),
            _ => None,
        };
        let test = match name {
            "startsWith" => Some(TextTest::StartsWith),
            "endsWith" => Some(TextTest::EndsWith),
            "contains" => Some(TextTest::Contains),
            _ => None,
        };
        match (unit, test, &call.target, call.args.as_slice()) {
            (Some(unit), _, None, [n]) => {
                let n = Box::new(self.node(n, depth)?);
                Some(self.at(at, Form::Time(unit, n)))
            }
            (_, Some(test), Some(target), [part]) => {
                let (whole, part) = (self.node(target, depth), self.node(part, depth));
                Some(self.at(at, Form::Test(test, Box::new([whole?, part?]))))
            }
            (Some(_), ..) => self.refuse(at, format!("`{name}` takes one number: {name}(90)")),
            (_, Some(_), ..) => self.refuse(at, format!("`{name}` is asked of a text: customer.name.{name}(\"A\")")),
            _ if name == "has" => self.refuse(at, "`has` asks about one field: has(customer.tier)"),
            _ => self.unknown_function(at, name),
        }
    }

    fn first(&mut self, call: &CallExpr, depth: u16) -> Option<Node> {
        self.node(call.args.first()?, depth)
    }

    /// All operands are read before the first fault stops anything.
    fn operands<const N: usize>(&mut self, args: &[IdedExpr], depth: u16) -> Option<Box<[Node; N]>> {
        let nodes: Vec<Option<Node>> = args.iter().map(|arg| self.node(arg, depth)).collect();
        let nodes = nodes.into_iter().collect::<Option<Vec<Node>>>()?;
        <[Node; N]>::try_from(nodes).ok().map(Box::new)
    }

    fn unknown_function(&mut self, at: usize, name: &str) -> Option<Node> {
        let complaint = Complaint::unknown(format!("there is no function {}", quoted(name)), name, FUNCTIONS);
        self.refuse(at, complaint)
    }

    /// Said once: everything at that depth is too deep.
    fn too_deep(&mut self, at: usize) -> Option<Node> {
        let complaint: Complaint = format!("an expression has at most {DEEPEST} levels; divide it up").into();
        if self.faults.iter().any(|fault| fault.complaint == complaint) {
            return None;
        }
        self.refuse(at, complaint)
    }

    fn refuse(&mut self, byte: usize, complaint: impl Into<Complaint>) -> Option<Node> {
        let at = self.character(byte);
        self.faults.push(Fault { at, complaint: complaint.into() });
        None
    }

    fn at(&self, byte: usize, form: Form) -> Node {
        Node { at: self.character(byte), form }
    }

    fn byte(&self, id: u64) -> usize {
        self.info.offset_for(id).map_or(0, |(start, _)| start as usize)
    }

    fn character(&self, byte: usize) -> usize {
        self.text.char_indices().take_while(|(start, _)| *start < byte).count()
    }

    /// The name of what is called by the parenthesis at `byte`, and where it begins.
    fn word_before(&self, byte: usize) -> (usize, String) {
        let before = self.text.get(..byte).unwrap_or_default().trim_end();
        let tail = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        (tail.len(), before[tail.len()..].to_owned())
    }
}

#[cfg(test)]
#[path = "tests/syntax.rs"]
mod tests;
