//! Which stretch of time a window looks at.

use tocsin_core::rule::Span;
use tocsin_core::time::{Duration, format_duration};

use super::super::problem::Complaint;
use super::super::reader::{Reader, get};
use super::super::yaml::{Entry, Node, Value};

/// `over`, `offset` and `prior`; `item` says whether the rule has items.
pub(super) fn span(reader: &mut Reader<'_>, node: &Node, entries: &[Entry], item: bool) -> Option<Span> {
    let prior = prior(reader, entries, item);
    let offset = match get(entries, "offset") {
        Some(node) => reader.duration("offset", node),
        None => Some(0),
    };
    let Some(over) = get(entries, "over") else {
        reader.complain(node.at, "a window needs `over`, its length: over: 7d");
        return None;
    };
    if is_item(over) {
        return of_item(reader, over, entries, item);
    }
    let length = reader.duration("over", over)?;
    if length == 0 {
        reader.complain(over.at, "a window must be longer than 0s");
        return None;
    }
    let (offset, prior) = (offset?, prior?);
    check_history(reader, over, length + offset);
    Some(if prior { Span::Prior { over: length, offset } } else { Span::Sliding { over: length, offset } })
}

/// As text, to be hashed. That of a plain window is as old as the language.
pub(super) fn canonical(span: Span) -> String {
    match span {
        Span::Sliding { over, offset } => format!("{over} {offset}"),
        Span::Prior { over, offset } => format!("prior {over} {offset}"),
        Span::Item => "item".to_owned(),
    }
}

fn is_item(over: &Node) -> bool {
    matches!(&over.value, Value::Scalar(scalar) if scalar.text == "item")
}

fn of_item(reader: &mut Reader<'_>, over: &Node, entries: &[Entry], item: bool) -> Option<Span> {
    if !item {
        reader.complain(over.at, "`over: item` belongs to rules with a `trigger`");
        return None;
    }
    let mut whole = true;
    for entry in entries {
        let reason = match entry.key.as_str() {
            "offset" => "`offset` moves a window of a fixed length; `over: item` has none",
            "prior" => "`prior` looks before the trigger, `over: item` after it; leave one of them out",
            _ => continue,
        };
        reader.complain(entry.at, reason);
        whole = false;
    }
    whole.then_some(Span::Item)
}

fn prior(reader: &mut Reader<'_>, entries: &[Entry], item: bool) -> Option<bool> {
    let Some(entry) = entries.iter().find(|entry| entry.key == "prior") else { return Some(false) };
    if !item {
        reader.complain(entry.at, "`prior` belongs to rules with a `trigger`");
        return None;
    }
    let text = reader.text("prior", &entry.value)?;
    match text.text.as_str() {
        "true" => Some(true),
        "false" => Some(false),
        other => {
            reader.complain(entry.value.at, Complaint::unknown("`prior` is true or false", other, ["true", "false"]));
            None
        }
    }
}

fn check_history(reader: &mut Reader<'_>, over: &Node, reach: Duration) {
    if reach > reader.limits.history {
        let (reach, history) = (format_duration(reach), format_duration(reader.limits.history));
        let reason = format!("the window reaches back {reach}, but events are kept for {history} (`history`)");
        reader.complain(over.at, reason);
    }
}
