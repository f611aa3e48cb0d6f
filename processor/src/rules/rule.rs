//! One rule of a file.

use tocsin_core::alert::Severity;
use tocsin_core::rule::{Let, Rule, RuleKey, RuleSet, Subject};
use tocsin_core::time::Duration;

use super::canonical;
use super::kinds;
use super::names::{Named, Part};
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

/// Reads one item of `rules:`. Windows and silences go into `set`; the rule is handed back.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node, set: &mut RuleSet) -> (Option<Id>, Option<Rule>) {
    let Some(entries) = reader.map("a rule", node, "{id: ..., when: ...}") else { return (None, None) };
    let id = id(reader, node, entries);
    let rule = match kinds::read(reader, entries) {
        Some(kinds::Kind::Condition) => condition_rule(reader, node, entries, set, id.as_ref()),
        // What they need of the engine comes first; until then `kinds` refuses them.
        Some(kinds::Kind::Item | kinds::Kind::OpenItem | kinds::Kind::Date) | None => None,
    };
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

fn condition_rule(
    reader: &mut Reader<'_>,
    node: &Node,
    entries: &[Entry],
    set: &mut RuleSet,
    id: Option<&Id>,
) -> Option<Rule> {
    let before = reader.problems.len();
    let (names, lets) = read_lets(reader, entries, set);
    let scope = optional(reader, entries, "scope", &names, Part::Scope);
    let require = optional(reader, entries, "require", &names, Part::Condition);
    let resolve_when = optional(reader, entries, "resolve_when", &names, Part::Condition);
    let levels = levels(reader, node, entries, &names);
    let hold = duration(reader, entries, "for");
    let keep_firing_for = duration(reader, entries, "keep_firing_for");
    let cooldown = duration(reader, entries, "cooldown");
    let description = get(entries, "description").and_then(|node| reader.text("description", node));
    let presentation = texts::read(reader, entries, &names);
    let id = &*id?.id;
    if reader.problems.len() > before {
        return None;
    }
    let decides = [
        "condition".to_owned(),
        text(scope.as_ref()),
        text(require.as_ref()),
        levels
            .iter()
            .map(|(severity, level)| format!("{}={}", severity.name(), level.canonical))
            .collect::<Vec<_>>()
            .join(","),
        hold.to_string(),
        text(resolve_when.as_ref()),
        keep_firing_for.to_string(),
        cooldown.to_string(),
    ];
    Some(Rule {
        id: id.into(),
        key: RuleKey::of(id),
        version: canonical::version(&decides.join("\n")),
        description: description.map(|text| text.text.as_str().into()),
        subject: Subject::Customer,
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

fn read_lets(reader: &mut Reader<'_>, entries: &[Entry], set: &mut RuleSet) -> (Vec<Named>, Vec<Let>) {
    let (mut names, mut lets) = (Vec::new(), Vec::new());
    let Some(node) = get(entries, "let") else { return (names, lets) };
    for entry in reader.map("let", node, "{complaints: {count: complaint, over: 7d}}").unwrap_or_default() {
        let (read, source) = values::read(reader, entry, set);
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
    lets: &[Named],
    part: Part<'_>,
) -> Option<Condition> {
    reader.condition(name, get(entries, name)?, lets, part)
}

/// 0 if it is left out.
fn duration(reader: &mut Reader<'_>, entries: &[Entry], name: &str) -> Duration {
    get(entries, name).and_then(|node| reader.duration(name, node)).unwrap_or(0)
}

/// The ladder, highest severity first.
fn levels(reader: &mut Reader<'_>, node: &Node, entries: &[Entry], lets: &[Named]) -> Vec<(Severity, Condition)> {
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let severity = find("severity").map(|entry| (entry, texts::severity(reader, "severity", &entry.value)));
    let mut levels = Vec::new();
    match (find("when"), find("levels")) {
        (None, None) => reader.complain(node.at, "a rule needs `when` (with `severity`) or `levels`"),
        (Some(when), None) => {
            let severity = severity.map_or(Some(Severity::Medium), |(_, severity)| severity);
            let condition = reader.condition("when", &when.value, lets, Part::Condition);
            levels.extend(severity.zip(condition));
        }
        (when, Some(ladder)) => {
            if let Some(when) = when {
                reader.complain(when.at, "a rule has `when` or `levels`, not both");
            }
            if let Some((severity, _)) = severity {
                reader.complain(severity.at, "`severity` goes with `when`; `levels` names the severities itself");
            }
            levels = read_ladder(reader, &ladder.value, lets);
        }
    }
    levels.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    levels
}

fn read_ladder(reader: &mut Reader<'_>, node: &Node, lets: &[Named]) -> Vec<(Severity, Condition)> {
    let mut levels = Vec::new();
    let Some(entries) = reader.map("levels", node, "{medium: complaints >= 3}") else { return levels };
    if entries.is_empty() {
        reader.complain(node.at, "a ladder needs at least one level");
    }
    for entry in entries {
        let severity = Severity::from_name(&entry.key);
        if severity.is_none() {
            reader.complain(entry.at, texts::no_severity(&entry.key));
        }
        let condition = reader.condition(&entry.key, &entry.value, lets, Part::Condition);
        levels.extend(severity.zip(condition));
    }
    levels
}
