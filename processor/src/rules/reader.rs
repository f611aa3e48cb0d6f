//! Reads the parts of a rule from YAML, and notes what is wrong with them under their place in the file.

use tocsin_core::event::Catalog;
use tocsin_core::expr::Expr;
use tocsin_core::time::{Duration, parse_duration};
use tocsin_core::value::OwnedValue;

use super::names::{Known, Names, Part};
use super::problem::{Complaint, Position, Problem, quoted};
use super::syntax::{self, Fault};
use super::yaml::{self, Entry, Node, Scalar, Value};
use super::{Limits, Source};
use super::{canonical, lower};

/// One file on its way into the rule set.
pub(super) struct Reader<'a> {
    pub catalog: &'a Catalog,
    pub limits: &'a Limits,
    pub source: &'a Source,
    pub problems: &'a mut Vec<Problem>,
}

/// A condition, in the form that is judged and in the form that is hashed.
pub(super) struct Condition {
    pub expr: Expr,
    pub canonical: String,
}

impl Condition {
    /// What is true of everything, as if it had been written.
    pub(super) fn always() -> Self {
        Self { expr: Expr::Constant(OwnedValue::Bool(true)), canonical: "true".to_owned() }
    }
}

impl Reader<'_> {
    pub(super) fn complain(&mut self, at: Position, complaint: impl Into<Complaint>) {
        self.problems.push(complaint.into().at(&self.source.name, at));
    }

    /// A text that is there; numbers and booleans count as texts.
    pub(super) fn text<'n>(&mut self, name: &str, node: &'n Node) -> Option<&'n Scalar> {
        match &node.value {
            Value::Scalar(scalar) if !scalar.is_null() => Some(scalar),
            other => {
                self.complain(node.at, format!("{} needs a text, this is {}", titled(name), other.shape()));
                None
            }
        }
    }

    pub(super) fn list<'n>(&mut self, name: &str, node: &'n Node, example: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            other => {
                let (name, shape) = (titled(name), other.shape());
                self.complain(node.at, format!("{name} needs a list such as {example}, this is {shape}"));
                &[]
            }
        }
    }

    pub(super) fn map<'n>(&mut self, name: &str, node: &'n Node, example: &str) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            other => {
                let (name, shape) = (titled(name), other.shape());
                self.complain(node.at, format!("{name} needs a mapping such as {example}, this is {shape}"));
                None
            }
        }
    }

    pub(super) fn duration(&mut self, name: &str, node: &Node) -> Option<Duration> {
        let text = self.text(name, node)?;
        match parse_duration(&text.text) {
            Ok(duration) => Some(duration),
            Err(reason) => {
                self.complain(node.at, reason);
                None
            }
        }
    }

    /// Every key of a mapping is one of `valid`.
    pub(super) fn keys(&mut self, what: &str, entries: &[Entry], valid: &[&str]) {
        for entry in entries.iter().filter(|entry| !valid.contains(&entry.key.as_str())) {
            let reason = format!("there is no key {} in {what}", quoted(&entry.key));
            self.complain(entry.at, Complaint::unknown(reason, &entry.key, valid.iter().copied()));
        }
    }

    /// An expression before its names are looked up.
    pub(super) fn expression(&mut self, name: &str, node: &Node) -> Option<syntax::Node> {
        let text = self.text(name, node)?;
        match syntax::parse(&text.text) {
            Ok(expression) => Some(expression),
            Err(faults) => {
                self.faults(node, text, faults);
                None
            }
        }
    }

    /// A condition of a rule: `scope` if `part` says so, else any other.
    pub(super) fn condition(&mut self, name: &str, node: &Node, known: Known<'_>, part: Part<'_>) -> Option<Condition> {
        let expression = self.expression(name, node)?;
        let expr = self.lowered(node, &expression, Names { catalog: self.catalog, known, part })?;
        Some(Condition { expr, canonical: canonical::condition(Some(&expression), known.lets) })
    }

    /// Looks up the names of an expression that was read from `node`.
    pub(super) fn lowered(&mut self, node: &Node, expression: &syntax::Node, names: Names<'_>) -> Option<Expr> {
        match lower::condition(expression, names) {
            Ok(expr) => Some(expr),
            Err(faults) => {
                if let Value::Scalar(text) = &node.value {
                    self.faults(node, text, faults);
                }
                None
            }
        }
    }

    /// Faults within a text, at their characters.
    pub(super) fn faults(&mut self, node: &Node, text: &Scalar, faults: Vec<Fault>) {
        for fault in faults {
            let at = yaml::position_in(&self.source.text, node.at, text, fault.at);
            self.complain(at, fault.complaint);
        }
    }
}

/// A key in backquotes; anything else is a description.
fn titled(name: &str) -> String {
    if name.contains(' ') { name.to_owned() } else { quoted(name) }
}

/// The value under a key.
pub(super) fn get<'n>(entries: &'n [Entry], key: &str) -> Option<&'n Node> {
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}
