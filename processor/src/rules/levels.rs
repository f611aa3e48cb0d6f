//! The levels of a rule: a ladder, or one condition with its severity.

use tocsin_core::alert::Severity;

use super::kinds::Kind;
use super::names::{Known, Part};
use super::reader::{Condition, Reader};
use super::texts;
use super::yaml::{Entry, Node};

/// The ladder, highest severity first.
pub(super) fn read(
    reader: &mut Reader<'_>,
    node: &Node,
    entries: &[Entry],
    kind: Kind,
    known: Known<'_>,
) -> Vec<(Severity, Condition)> {
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let severity = find("severity").map(|entry| (entry, texts::severity(reader, "severity", &entry.value)));
    let mut levels = Vec::new();
    match (find("when"), find("levels")) {
        (None, None) if kind == Kind::Condition => {
            reader.complain(node.at, "a rule needs `when` (with `severity`) or `levels`");
        }
        // That the item is there, or the day, is condition enough.
        (None, None) => {
            let severity = severity.map_or(Some(Severity::Medium), |(_, severity)| severity);
            levels.extend(severity.zip(Some(Condition::always())));
        }
        (Some(when), None) => {
            let severity = severity.map_or(Some(Severity::Medium), |(_, severity)| severity);
            let condition = reader.condition("when", &when.value, known, Part::Condition);
            levels.extend(severity.zip(condition));
        }
        (when, Some(ladder)) => {
            if let Some(when) = when {
                reader.complain(when.at, "a rule has `when` or `levels`, not both");
            }
            if let Some((severity, _)) = severity {
                reader.complain(severity.at, "`severity` goes with `when`; `levels` names the severities itself");
            }
            levels = read_ladder(reader, &ladder.value, known);
        }
    }
    levels.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    levels
}

fn read_ladder(reader: &mut Reader<'_>, node: &Node, known: Known<'_>) -> Vec<(Severity, Condition)> {
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
        let condition = reader.condition(&entry.key, &entry.value, known, Part::Condition);
        levels.extend(severity.zip(condition));
    }
    levels
}
