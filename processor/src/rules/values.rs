//! The values under `let`: which there are, and how each is read.

use tocsin_core::event::{EventType, FieldId, FieldKind, stable_hash};
use tocsin_core::rule::{Aggregate, LetSource, RuleSet, Selected, Selector, Silence, Span, Window};
use tocsin_core::time::{Duration, format_duration};

use super::canonical;
use super::names::{self, Named, NamedKind, Names, Part, RESERVED};
use super::problem::{Complaint, quoted};
use super::reader::{Reader, get};
use super::syntax::Fault;
use super::typing::Kind;
use super::yaml::{Entry, Node, Scalar, Value};

/// One kind of value, known by its key.
struct ValueKind {
    key: &'static str,
    /// Whether it is about a field of the events, or about the events as such.
    of_field: bool,
    make: Make,
    /// Keys that may stand beside it.
    takes: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum Make {
    Window(Aggregate),
    Silence,
    /// Part of the language, not of this release.
    Later,
}

const WINDOW: &[&str] = &["where", "over", "offset"];
const SILENCE: &[&str] = &["where", "since"];
const OPEN: &[&str] = &["where", "until", "by", "expire"];

const VALUES: [ValueKind; 13] = [
    ValueKind { key: "count", of_field: false, make: Make::Window(Aggregate::Count), takes: WINDOW },
    ValueKind { key: "sum", of_field: true, make: Make::Window(Aggregate::Sum), takes: WINDOW },
    ValueKind { key: "silence", of_field: false, make: Make::Silence, takes: SILENCE },
    later("distinct", true, WINDOW),
    later("avg", true, WINDOW),
    later("min", true, WINDOW),
    later("max", true, WINDOW),
    later("median", true, WINDOW),
    later("first", true, WINDOW),
    later("last", true, WINDOW),
    later("stddev", true, WINDOW),
    later("median_gap", false, WINDOW),
    later("open", false, OPEN),
];

const fn later(key: &'static str, of_field: bool, takes: &'static [&'static str]) -> ValueKind {
    ValueKind { key, of_field, make: Make::Later, takes }
}

/// Keys beside a value, and what they belong to.
const OWNERS: [(&str, &str); 7] = [
    ("over", "windows, such as `count` and `sum`"),
    ("offset", "windows, such as `count` and `sum`"),
    ("since", "`silence`"),
    ("prior", "rules with a `trigger`"),
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

/// Reads one named value into the set. What could not be read still has its name, so that what uses it is not blamed.
pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry, set: &mut RuleSet) -> (Named, Option<LetSource>) {
    check_name(reader, entry);
    let name = entry.key.as_str().into();
    match value(reader, entry, set) {
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

fn value(reader: &mut Reader<'_>, entry: &Entry, set: &mut RuleSet) -> Option<(NamedKind, String, LetSource)> {
    let node = &entry.value;
    let entries = reader.map(&entry.key, node, "{count: complaint, over: 7d}")?;
    let (kind, subject) = kind_of(reader, node, entries)?;
    check_keys(reader, entries, kind);
    let selection = select(reader, kind, subject);
    let source = match kind.make {
        Make::Window(aggregate) => {
            let (over, offset) = (over(reader, node, entries), offset(reader, entries));
            check_history(reader, entries, over, offset);
            let (selection, over, offset) = (selection?, over?, offset?);
            let (selector, canonical) = selector(reader, &selection, get(entries, "where"))?;
            let canonical = format!("({} {over} {offset} {canonical})", kind.key);
            let place =
                place_of(&mut set.windows, Window { aggregate, selector, span: Span::Sliding { over, offset } });
            (NamedKind::Value(Kind::Number), canonical, LetSource::Window(place))
        }
        Make::Silence => {
            let since_first_seen = since(reader, entries);
            let (selector, canonical) = selector(reader, &selection?, get(entries, "where"))?;
            let key = stable_hash(&canonical);
            let since_first_seen = since_first_seen?;
            let canonical = format!("(silence {since_first_seen} {canonical})");
            let place = place_of(&mut set.silences, Silence { selector, since_first_seen, key });
            (NamedKind::Silence, canonical, LetSource::Silence(place))
        }
        Make::Later => return None,
    };
    Some(source)
}

/// The kind of a value, and what it is about.
fn kind_of<'n>(reader: &mut Reader<'_>, node: &Node, entries: &'n [Entry]) -> Option<(&'static ValueKind, &'n Entry)> {
    let found: Vec<(&ValueKind, &Entry)> = entries
        .iter()
        .filter_map(|entry| VALUES.iter().find(|kind| kind.key == entry.key).map(|kind| (kind, entry)))
        .collect();
    let now = VALUES.iter().filter(|kind| !matches!(kind.make, Make::Later)).map(|kind| kind.key);
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
            reader.complain(at, Complaint::unknown(reason, name, now));
            None
        }
        [(kind, entry)] => {
            if let Make::Later = kind.make {
                let now: Vec<&str> = now.collect();
                let reason = format!("`{}` is not supported yet; there is {}", kind.key, super::problem::listed(&now));
                reader.complain(entry.at, reason);
                return None;
            }
            Some((kind, entry))
        }
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

/// One type of event a value is about, and the field of it.
struct Subject<'a> {
    event_type: &'a EventType,
    field: Option<FieldId>,
    /// As it is written: `purchase.amount`.
    text: String,
}

fn select<'a>(reader: &mut Reader<'a>, kind: &ValueKind, entry: &Entry) -> Option<Vec<Subject<'a>>> {
    let nodes = match &entry.value.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(&entry.value),
    };
    if nodes.is_empty() {
        reader.complain(entry.value.at, format!("`{}` names no event type", kind.key));
        return None;
    }
    let mut subjects: Vec<Subject<'a>> = Vec::new();
    let mut whole = true;
    for node in nodes {
        let Some(subject) = subject(reader, kind, node) else {
            whole = false;
            continue;
        };
        if subjects.iter().any(|other| other.event_type.id == subject.event_type.id) {
            reader.complain(node.at, format!("{} is named twice", quoted(&subject.event_type.name)));
            whole = false;
        }
        subjects.push(subject);
    }
    whole.then_some(subjects)
}

fn subject<'a>(reader: &mut Reader<'a>, kind: &ValueKind, node: &Node) -> Option<Subject<'a>> {
    let scalar = reader.text(kind.key, node)?;
    let text = scalar.text.as_str();
    let (type_name, field_name) = text.split_once('.').map_or((text, None), |(name, field)| (name, Some(field)));
    let event_type = match names::event_type(reader.catalog, type_name) {
        Ok(event_type) => event_type,
        Err(complaint) => {
            reader.complain(node.at, complaint);
            return None;
        }
    };
    let field = match (kind.of_field, field_name) {
        (false, None) => None,
        (false, Some(_)) => {
            reader.complain(node.at, format!("`{}` is about events, not about a field: {type_name}", kind.key));
            return None;
        }
        (true, None) => {
            reader.complain(node.at, needs_field(kind, event_type));
            return None;
        }
        (true, Some(name)) => Some(number_field(reader, node, scalar, event_type, name)?),
    };
    Some(Subject { event_type, field, text: text.to_owned() })
}

fn needs_field(kind: &ValueKind, event_type: &EventType) -> String {
    let numbers = event_type.fields.iter().filter(|field| Kind::of_field(field.kind) == Kind::Number);
    let fields: Vec<String> = numbers.map(|field| format!("{}.{}", event_type.name, field.name)).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    match fields.as_slice() {
        [] => format!("`{}` needs a number field, and `{}` has none", kind.key, event_type.name),
        fields => format!("`{}` needs a number field: {}", kind.key, super::problem::listed(fields)),
    }
}

fn number_field(
    reader: &mut Reader<'_>,
    node: &Node,
    scalar: &Scalar,
    event_type: &EventType,
    name: &str,
) -> Option<FieldId> {
    let complaint = match event_type.field(name) {
        Some((field, FieldKind::Decimal | FieldKind::Number)) => return Some(field),
        Some((_, kind)) => format!("{} is {}; a sum needs numbers", quoted(name), Kind::of_field(kind).name()).into(),
        None => names::no_field(name, &[event_type], std::iter::empty()),
    };
    let at = event_type.name.chars().count() + 1;
    reader.faults(node, scalar, vec![Fault { at, complaint }]);
    None
}

/// The events a value takes: types and condition, and the same as text.
fn selector(reader: &mut Reader<'_>, subjects: &[Subject<'_>], filter: Option<&Node>) -> Option<(Selector, String)> {
    let expression = match filter {
        Some(node) => Some((node, reader.expression("where", node)?)),
        None => None,
    };
    let all: Vec<&EventType> = subjects.iter().map(|subject| subject.event_type).collect();
    let mut texts: Vec<&str> = subjects.iter().map(|subject| subject.text.as_str()).collect();
    texts.sort_unstable();
    let condition = canonical::condition(expression.as_ref().map(|(_, expression)| expression), &[]);
    let canonical = format!("[{}] {condition}", texts.join(" "));

    let mut types = Vec::new();
    let mut whole = true;
    for subject in subjects {
        let part = Part::Where { of: subject.event_type, all: &all };
        let names = Names { catalog: reader.catalog, lets: &[], part };
        let filter = match &expression {
            Some((node, expression)) => {
                let lowered = reader.lowered(node, expression, names);
                whole &= lowered.is_some();
                lowered
            }
            None => None,
        };
        types.push(Selected { type_id: subject.event_type.id, field: subject.field, filter });
    }
    types.sort_unstable_by_key(|selected| selected.type_id);
    whole.then_some((Selector { types }, canonical))
}

fn over(reader: &mut Reader<'_>, node: &Node, entries: &[Entry]) -> Option<Duration> {
    let Some(over) = get(entries, "over") else {
        reader.complain(node.at, "a window needs `over`, its length: over: 7d");
        return None;
    };
    if let Value::Scalar(Scalar { text, .. }) = &over.value
        && text == "item"
    {
        reader.complain(over.at, "`over: item` belongs to rules with a `trigger`");
        return None;
    }
    let duration = reader.duration("over", over)?;
    if duration == 0 {
        reader.complain(over.at, "a window must be longer than 0s");
        return None;
    }
    Some(duration)
}

fn offset(reader: &mut Reader<'_>, entries: &[Entry]) -> Option<Duration> {
    match get(entries, "offset") {
        Some(node) => reader.duration("offset", node),
        None => Some(0),
    }
}

fn check_history(reader: &mut Reader<'_>, entries: &[Entry], over: Option<Duration>, offset: Option<Duration>) {
    let (Some(node), Some(over), Some(offset)) = (get(entries, "over"), over, offset) else { return };
    let reach = over + offset;
    if reach > reader.limits.history {
        let (reach, history) = (format_duration(reach), format_duration(reader.limits.history));
        reader.complain(
            node.at,
            format!("the window reaches back {reach}, but events are kept for {history} (`history`)"),
        );
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
#[path = "tests/values.rs"]
mod tests;
