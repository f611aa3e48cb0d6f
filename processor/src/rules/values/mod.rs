//! The values under `let`: which there are, and how each is read.

mod open;
mod subjects;
mod windows;

use tocsin_core::event::stable_hash;
use tocsin_core::rule::{Aggregate, LetSource, RuleSet, Silence, Window};

use super::names::{Named, NamedKind, RESERVED};
use super::problem::{Complaint, quoted};
use super::reader::{Reader, get};
use super::typing::Kind;
use super::yaml::{Entry, Node};
use subjects::{Subject, select, selector};

/// One kind of value, known by its key.
struct ValueKind {
    key: &'static str,
    about: About,
    make: Make,
    /// Keys that may stand beside it.
    takes: &'static [&'static str],
}

/// What of the events a value looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    /// The events as such.
    Events,
    /// A field that is a number.
    Numbers,
    /// A field of any kind.
    Fields,
}

#[derive(Clone, Copy)]
enum Make {
    Window(Aggregate),
    Silence,
    Open,
}

const WINDOW: &[&str] = &["where", "over", "offset", "prior"];
const SILENCE: &[&str] = &["where", "since"];
const OPEN: &[&str] = &["where", "until", "by", "expire"];

const VALUES: [ValueKind; 13] = [
    window("count", About::Events, Aggregate::Count),
    window("sum", About::Numbers, Aggregate::Sum),
    window("distinct", About::Fields, Aggregate::Distinct),
    window("avg", About::Numbers, Aggregate::Avg),
    window("min", About::Numbers, Aggregate::Min),
    window("max", About::Numbers, Aggregate::Max),
    window("median", About::Numbers, Aggregate::Median),
    window("first", About::Fields, Aggregate::First),
    window("last", About::Fields, Aggregate::Last),
    window("stddev", About::Numbers, Aggregate::Stddev),
    window("median_gap", About::Events, Aggregate::MedianGap),
    ValueKind { key: "silence", about: About::Events, make: Make::Silence, takes: SILENCE },
    ValueKind { key: "open", about: About::Events, make: Make::Open, takes: OPEN },
];

const fn window(key: &'static str, about: About, aggregate: Aggregate) -> ValueKind {
    ValueKind { key, about, make: Make::Window(aggregate), takes: WINDOW }
}

/// Keys beside a value, and what they belong to.
const OWNERS: [(&str, &str); 7] = [
    ("over", "windows, such as `count` and `sum`"),
    ("offset", "windows, such as `count` and `sum`"),
    ("since", "`silence`"),
    ("prior", "windows, such as `count` and `sum`"),
    ("until", "`open`"),
    ("by", "`open`"),
    ("expire", "`open`"),
];

/// Words that CEL keeps for itself.
const CEL_WORDS: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Reads one named value of a rule, with items or without, into the set. What could not be read still has its name, so
/// that what uses it is not blamed.
pub(super) fn read(
    reader: &mut Reader<'_>,
    entry: &Entry,
    item: bool,
    set: &mut RuleSet,
) -> (Named, Option<LetSource>) {
    check_name(reader, entry);
    let name = entry.key.as_str().into();
    match value(reader, entry, item, set) {
        Some((kind, canonical, source)) => (Named { name, kind, canonical }, Some(source)),
        None => (Named { name, kind: NamedKind::Broken, canonical: String::new() }, None),
    }
}

fn check_name(reader: &mut Reader<'_>, entry: &Entry) {
    let name = entry.key.as_str();
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let reason = format!("a value's name is made of letters a-z, digits and _; {} is not", quoted(name));
        reader.complain(entry.at, reason);
    } else if RESERVED.contains(&name) || CEL_WORDS.contains(&name) {
        reader.complain(entry.at, format!("`{name}` means something already; give the value another name"));
    }
}

fn value(
    reader: &mut Reader<'_>,
    entry: &Entry,
    item: bool,
    set: &mut RuleSet,
) -> Option<(NamedKind, String, LetSource)> {
    let node = &entry.value;
    let entries = reader.map(&entry.key, node, "{count: complaint, over: 7d}")?;
    let (kind, subject) = kind_of(reader, node, entries)?;
    check_keys(reader, entries, kind);
    Some(match kind.make {
        Make::Window(aggregate) => {
            let subjects = select(reader, kind, subject);
            let span = windows::span(reader, node, entries, item);
            let (subjects, span) = (subjects?, span?);
            let (selector, canonical) = selector(reader, &subjects, get(entries, "where"))?;
            let canonical = format!("({} {} {canonical})", kind.key, windows::canonical(span));
            let place = place_of(&mut set.windows, Window { aggregate, selector, span });
            (NamedKind::Value(yields(aggregate, &subjects)), canonical, LetSource::Window(place))
        }
        Make::Silence => {
            let subjects = select(reader, kind, subject);
            let since_first_seen = since(reader, entries);
            let (selector, canonical) = selector(reader, &subjects?, get(entries, "where"))?;
            let key = stable_hash(&canonical);
            let since_first_seen = since_first_seen?;
            let canonical = format!("(silence {since_first_seen} {canonical})");
            let place = place_of(&mut set.silences, Silence { selector, since_first_seen, key });
            (NamedKind::Silence, canonical, LetSource::Silence(place))
        }
        Make::Open => {
            let (tracker, canonical) = open::read(reader, subject, entries)?;
            let place = place_of(&mut set.openings, tracker);
            (NamedKind::Value(Kind::Number), canonical, LetSource::Open(place))
        }
    })
}

/// What an aggregate yields, when it is not null.
fn yields(aggregate: Aggregate, subjects: &[Subject<'_>]) -> Kind {
    match aggregate {
        Aggregate::MedianGap => Kind::Duration,
        Aggregate::First | Aggregate::Last => subjects.first().and_then(Subject::kind).unwrap_or(Kind::Any),
        _ => Kind::Number,
    }
}

/// The kind of a value, and what it is about.
fn kind_of<'n>(reader: &mut Reader<'_>, node: &Node, entries: &'n [Entry]) -> Option<(&'static ValueKind, &'n Entry)> {
    let found: Vec<(&ValueKind, &Entry)> = entries
        .iter()
        .filter_map(|entry| VALUES.iter().find(|kind| kind.key == entry.key).map(|kind| (kind, entry)))
        .collect();
    match found.as_slice() {
        [] => {
            // One misspelt key is more likely the kind than a key too many.
            let unknown =
                entries.iter().find(|entry| !OWNERS.iter().any(|(key, _)| *key == entry.key) && entry.key != "where");
            let (at, name) = unknown.map_or((node.at, ""), |entry| (entry.at, entry.key.as_str()));
            let reason = if name.is_empty() {
                "a value says what it is".to_owned()
            } else {
                format!("there is no kind of value {}", quoted(name))
            };
            reader.complain(at, Complaint::unknown(reason, name, VALUES.iter().map(|kind| kind.key)));
            None
        }
        [(kind, entry)] => Some((kind, entry)),
        [(first, _), (second, entry), ..] => {
            reader.complain(entry.at, format!("a value is one thing, not `{}` and `{}`", first.key, second.key));
            None
        }
    }
}

fn check_keys(reader: &mut Reader<'_>, entries: &[Entry], kind: &ValueKind) {
    for entry in entries {
        let key = entry.key.as_str();
        if key == kind.key || kind.takes.contains(&key) {
            continue;
        }
        if let Some((_, owner)) = OWNERS.iter().find(|(own, _)| *own == key) {
            reader.complain(entry.at, format!("`{key}` belongs to {owner}"));
        } else {
            let reason = format!("there is no key {} beside `{}`", quoted(key), kind.key);
            reader.complain(entry.at, Complaint::unknown(reason, key, kind.takes.iter().copied()));
        }
    }
}

fn since(reader: &mut Reader<'_>, entries: &[Entry]) -> Option<bool> {
    let Some(node) = get(entries, "since") else { return Some(false) };
    let text = reader.text("since", node)?;
    if text.text == "first_seen" {
        return Some(true);
    }
    let reason = format!("a silence cannot count from {}", quoted(&text.text));
    reader.complain(node.at, Complaint::unknown(reason, &text.text, ["first_seen"]));
    None
}

/// The place of an item among those that several rules share.
fn place_of<T: PartialEq>(shared: &mut Vec<T>, item: T) -> usize {
    shared.iter().position(|known| *known == item).unwrap_or_else(|| {
        shared.push(item);
        shared.len() - 1
    })
}

#[cfg(test)]
#[path = "../tests/values.rs"]
mod tests;
