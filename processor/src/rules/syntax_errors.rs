//! What the CEL parser has to say, in words for an analyst.

use cel::ParseErrors;

use super::problem::quoted;
use super::syntax::{DEEPEST, Fault};

/// The first of the parser's errors; later ones mostly follow from it.
pub(super) fn explained(text: &str, errors: &ParseErrors) -> Fault {
    let Some(first) = errors.errors.first() else {
        return Fault { at: 0, complaint: "this is not an expression".into() };
    };
    let (line, column) = (usize::try_from(first.pos.0).unwrap_or(0), usize::try_from(first.pos.1).unwrap_or(0));
    if first.msg.contains("Recursion limit") {
        let reason = format!("an expression has at most {DEEPEST} levels; divide it up");
        return Fault { at: 0, complaint: reason.into() };
    }
    let before: usize = text.split('\n').take(line.saturating_sub(1)).map(|line| line.chars().count() + 1).sum();
    Fault { at: before + column.saturating_sub(1), complaint: reason(&first.msg).into() }
}

fn reason(message: &str) -> String {
    let fixed = [
        ("'<EOF>'", "the expression ends too early"),
        ("invalid int literal", "this number is too large; write it with a fraction: 1e19"),
        ("invalid uint literal", "this number is too large; write it with a fraction: 1e19"),
        ("invalid double literal", "this number is too large"),
        ("invalid string literal", "this text holds an escape that is none"),
        ("argument to has()", "`has` asks about one field, as in has(customer.tier); compare a named value with null"),
        ("unsupported syntax", "optional and escaped names are not part of rules"),
    ];
    if let Some((_, reason)) = fixed.iter().find(|(sign, _)| message.contains(sign)) {
        return (*reason).to_owned();
    }
    if let Some((_, word)) = message.split_once("reserved identifier: ") {
        return format!("{} is a reserved word of CEL", quoted(word));
    }
    match token(message) {
        Some(token) if token.starts_with(['\'', '"']) && token.contains('\\') => {
            "this text holds an escape that is none; write \\\\ for a backslash".to_owned()
        }
        Some(token) if token.starts_with(['\'', '"']) => "this text has no closing quote".to_owned(),
        Some("and") => "`and` is written `&&`".to_owned(),
        Some("or") => "`or` is written `||`".to_owned(),
        Some("=") => "`=` is written `==`".to_owned(),
        Some(token) => format!("{} does not fit here", quoted(token)),
        None => "this is not an expression".to_owned(),
    }
}

/// The token that the parser stumbled over: `mismatched input 'and' expecting {...}`.
fn token(message: &str) -> Option<&str> {
    let message = message.split(" expecting ").next()?;
    let (start, end) = (message.find('\'')?, message.rfind('\'')?);
    message.get(start + 1..end).map(str::trim)
}

/// Where `!!` or `--` stands. The parser drops such pairs, but with them the check of what they apply to, and `!!x`
/// of a missing x is undefined while x is null.
pub(super) fn doubled_sign(text: &str) -> Option<Fault> {
    let characters: Vec<char> = text.chars().collect();
    let mut at = 0;
    let mut sign = None;
    let mut after_operand = false;
    while let Some(&c) = characters.get(at) {
        if matches!(c, '\'' | '"') {
            let raw = at > 0 && matches!(characters[at - 1], 'r' | 'R');
            at = after_text(&characters, at, raw);
            (sign, after_operand) = (None, true);
            continue;
        }
        if c == '/' && characters.get(at + 1) == Some(&'/') {
            at += characters[at..].iter().take_while(|c| **c != '\n').count();
            continue;
        }
        if !c.is_whitespace() {
            if sign == Some(c) {
                return Some(Fault { at, complaint: format!("`{c}` stands here twice; leave both out").into() });
            }
            sign = (matches!(c, '!' | '-') && !after_operand).then_some(c);
            after_operand = c.is_alphanumeric() || matches!(c, '_' | ')' | ']' | '}');
        }
        at += 1;
    }
    None
}

/// The first character behind the text that opens at `at`.
fn after_text(characters: &[char], at: usize, raw: bool) -> usize {
    let quote = characters[at];
    let triple = characters.get(at..at + 3).is_some_and(|three| three.iter().all(|c| *c == quote));
    let width = if triple { 3 } else { 1 };
    let mut here = at + width;
    while here < characters.len() {
        if characters[here] == '\\' && !raw {
            here += 2;
        } else if characters[here..].iter().take(width).filter(|c| **c == quote).count() == width {
            return here + width;
        } else {
            here += 1;
        }
    }
    characters.len()
}
