//! Expressions and definitions as text that depends on what they say alone, not on how they are laid out, on the
//! names of values, or on the schemas in force. Hashes of it stand in stored rows and in alert records, so the form
//! must never change: a change would make every rule a changed rule and lose what silences remember.

use std::fmt::Write as _;

use tocsin_core::expr::TextTest;
use tocsin_core::time::Duration;
use uuid::Uuid;

use super::names::Named;
use super::syntax::{Form, Node};
use super::typing::{arithmetic_sign, compare_sign};

/// A condition, `-` if there is none. Named values are written as what they are.
pub(super) fn condition(node: Option<&Node>, lets: &[Named]) -> String {
    let mut out = String::new();
    match node {
        Some(node) => write(&mut out, node, lets),
        None => out.push('-'),
    }
    out
}

/// Sixteen hexadecimal digits of a SHA-1 (UUID version 5) of a rule in canonical form.
pub(super) fn version(rule: &str) -> Box<str> {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:tocsin:rule-version");
    let mut digits = Uuid::new_v5(&namespace, rule.as_bytes()).simple().to_string();
    digits.truncate(16);
    digits.into()
}

fn write(out: &mut String, node: &Node, lets: &[Named]) {
    match &node.form {
        Form::Null => out.push_str("null"),
        Form::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Form::Number(x) => number(out, *x),
        Form::Text(text) => text_of(out, text),
        Form::Name(name) => match lets.iter().find(|named| named.name == *name) {
            Some(named) => out.push_str(&named.canonical),
            None => out.push_str(name),
        },
        Form::Member(base, field) => {
            out.push_str(base);
            out.push('.');
            out.push_str(field);
        }
        Form::Has(operand) => call(out, "has", [&**operand], lets),
        Form::Not(operand) => call(out, "!", [&**operand], lets),
        Form::Negate(operand) => match operand.form {
            Form::Number(x) => number(out, -x),
            _ => call(out, "-", [&**operand], lets),
        },
        Form::And(_) => call(out, "&&", chain(node, true), lets),
        Form::Or(_) => call(out, "||", chain(node, false), lets),
        Form::If(parts) => call(out, "?", parts.iter(), lets),
        Form::Compare(compare, sides) => call(out, compare_sign(*compare), sides.iter(), lets),
        Form::Equal(sides) => call(out, "==", sides.iter(), lets),
        Form::NotEqual(sides) => call(out, "!=", sides.iter(), lets),
        Form::Arithmetic(operator, sides) => call(out, arithmetic_sign(*operator), sides.iter(), lets),
        Form::In(needle, list) => call(out, "in", std::iter::once(&**needle).chain(list), lets),
        Form::Test(test, sides) => call(out, test_name(*test), sides.iter(), lets),
        Form::Time(unit_ms, n) => time(out, *unit_ms, n, lets),
    }
}

fn call<'a>(out: &mut String, name: &str, operands: impl IntoIterator<Item = &'a Node>, lets: &[Named]) {
    out.push('(');
    out.push_str(name);
    for operand in operands {
        out.push(' ');
        write(out, operand, lets);
    }
    out.push(')');
}

/// The terms of `a && b && c`, however the parser or the author grouped them.
fn chain(node: &Node, and: bool) -> Vec<&Node> {
    match (&node.form, and) {
        (Form::And(sides), true) | (Form::Or(sides), false) => sides.iter().flat_map(|side| chain(side, and)).collect(),
        _ => vec![node],
    }
}

fn time(out: &mut String, unit_ms: Duration, n: &Node, lets: &[Named]) {
    match n.form {
        Form::Number(x) => {
            out.push('d');
            number(out, x * unit_ms as f64);
        }
        _ => call(out, &format!("ms {unit_ms}"), [n], lets),
    }
}

/// By its bits: no formatting of numbers is involved.
fn number(out: &mut String, x: f64) {
    // Writing to a string cannot fail.
    let _ = write!(out, "n{:016x}", x.to_bits());
}

/// With its length in front, so that no text can pass for anything else.
pub(super) fn text_of(out: &mut String, text: &str) {
    let _ = write!(out, "t{}:{text}", text.len());
}

fn test_name(test: TextTest) -> &'static str {
    match test {
        TextTest::StartsWith => "startsWith",
        TextTest::EndsWith => "endsWith",
        TextTest::Contains => "contains",
    }
}
