//! One rule of a file.

use tocsin_core::rule::{Let, Rule, RuleKey, RuleSet, Subject};
use tocsin_core::time::Duration;

use super::canonical;
use super::dates;
use super::items;
use super::kinds::{self, Kind};
use super::levels;
use super::names::{Known, Named, Part, Trigger};
use super::problem::{Position, quoted};
use super::reader::{Condition, Reader, get};
use super::texts;
use super::values;
use super::yaml::{Entry, Node};

/// A rule's id, as soon as it is known, with its place: it is taken even if the rest is refused.
pub(super) struct Id {
    pub id: Box<str>,
    pub at: Position,
}

/// Reads one item of `rules:`. Windows, silences and what `open` counts go into `set`; the rule is handed back.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node, set: &mut RuleSet) -> (Option<Id>, Option<Rule>) {
    let Some(entries) = reader.map("a rule", node, "{id: ..., when: ...}") else { return (None, None) };
    let id = id(reader, node, entries);
    let kind = kinds::read(reader, entries);
    let rule = rule(reader, node, entries, kind, set, id.as_ref());
    (id, rule)
}

fn id(reader: &mut Reader<'_>, node: &Node, entries: &[Entry]) -> Option<Id> {
    let Some(value) = get(entries, "id") else {
        reader.complain(node.at, "a rule needs an `id`");
        return None;
    };
    let text = reader.text("id", value)?.text.as_str();
    if !is_kebab_case(text) {
        let reason =
            format!("an id is words of a-z and 0-9 joined by -, such as complaint-burst; {} is not", quoted(text));
        reader.complain(value.at, reason);
    }
    Some(Id { id: text.into(), at: value.at })
}

fn is_kebab_case(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

fn rule(
    reader: &mut Reader<'_>,
    node: &Node,
    entries: &[Entry],
    kind: Kind,
    set: &mut RuleSet,
    id: Option<&Id>,
) -> Option<Rule> {
    let before = reader.problems.len();
    let (trigger, subject) = subject(reader, entries, kind);
    let (names, lets) = read_lets(reader, entries, kind, set);
    let known = Known { lets: &names, trigger };
    let scope = optional(reader, entries, "scope", known, Part::Scope);
    let require = optional(reader, entries, "require", known, Part::Condition);
    let resolve_when = optional(reader, entries, "resolve_when", known, Part::Condition);
    let levels = levels::read(reader, node, entries, kind, known);
    let hold = duration(reader, entries, "for");
    let keep_firing_for = duration(reader, entries, "keep_firing_for");
    let cooldown = duration(reader, entries, "cooldown");
    let description = get(entries, "description").and_then(|node| reader.text("description", node));
    let presentation = texts::read(reader, entries, known);
    let id = &*id?.id;
    if reader.problems.len() > before {
        return None;
    }
    let (subject, kind, further) = subject?;
    let ladder = levels.iter().map(|(severity, level)| format!("{}={}", severity.name(), level.canonical));
    let decides = [
        kind.to_owned(),
        text(scope.as_ref()),
        text(require.as_ref()),
        ladder.collect::<Vec<_>>().join(","),
        hold.to_string(),
        text(resolve_when.as_ref()),
        keep_firing_for.to_string(),
        cooldown.to_string(),
    ];
    let decides: Vec<String> = decides.into_iter().chain(further).collect();
    Some(Rule {
        id: id.into(),
        key: RuleKey::of(id),
        version: canonical::version(&decides.join("\n")),
        description: description.map(|text| text.text.as_str().into()),
        subject,
        scope: scope.map(|condition| condition.expr),
        lets,
        require: require.map(|condition| condition.expr),
        levels: levels.into_iter().map(|(severity, level)| (severity, level.expr)).collect(),
        hold,
        resolve_when: resolve_when.map(|condition| condition.expr),
        keep_firing_for,
        cooldown,
        presentation,
    })
}

fn text(condition: Option<&Condition>) -> String {
    condition.map_or_else(|| "-".to_owned(), |condition| condition.canonical.clone())
}

/// What an alert is about, the word for it, and as text what makes it so.
type About = (Subject, &'static str, Option<String>);

fn subject<'a>(reader: &mut Reader<'a>, entries: &[Entry], kind: Kind) -> (Trigger<'a>, Option<About>) {
    match kind {
        Kind::Condition => (Trigger::None, Some((Subject::Customer, "condition", None))),
        Kind::Date => {
            let read = dates::read(reader, entries);
            (Trigger::None, read.map(|(occasion, text)| (Subject::Date(occasion), "date", Some(text))))
        }
        Kind::Item | Kind::OpenItem => {
            let opener = items::trigger(reader, entries);
            let read = items::read(reader, entries, kind, opener);
            let trigger = opener.map_or(Trigger::Broken, Trigger::Of);
            (trigger, read.map(|(items, text)| (Subject::Item(items), "item", Some(text))))
        }
    }
}

fn read_lets(reader: &mut Reader<'_>, entries: &[Entry], kind: Kind, set: &mut RuleSet) -> (Vec<Named>, Vec<Let>) {
    let (mut names, mut lets) = (Vec::new(), Vec::new());
    let Some(node) = get(entries, "let") else { return (names, lets) };
    for entry in reader.map("let", node, "{complaints: {count: complaint, over: 7d}}").unwrap_or_default() {
        let (read, source) = values::read(reader, entry, kind.has_items(), set);
        if let Some(value) = source {
            lets.push(Let { name: read.name.clone(), value });
        }
        names.push(read);
    }
    (names, lets)
}

fn optional(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    name: &str,
    known: Known<'_>,
    part: Part<'_>,
) -> Option<Condition> {
    reader.condition(name, get(entries, name)?, known, part)
}

/// 0 if it is left out.
fn duration(reader: &mut Reader<'_>, entries: &[Entry], name: &str) -> Duration {
    get(entries, name).and_then(|node| reader.duration(name, node)).unwrap_or(0)
}
