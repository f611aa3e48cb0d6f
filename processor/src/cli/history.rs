//! The generations of the rules, told: what each changed against the one before.

use std::fmt::Write;

use serde_json::json;
use tocsin::codec::generation::RulesDocument;
use tocsin::kafka::generations::PublishedGeneration;
use tocsin::rules::Changes;
use tocsin::service::RuleMaker;
use tocsin_core::rule::RuleSet;

use super::rules::text_of;

/// One generation.
pub struct Entry<'a> {
    document: &'a RulesDocument,
    /// `None` if it or the one before does not load here.
    known: Option<(usize, Changes)>,
    /// Why it does not load here.
    problem: Option<String>,
}

/// What each generation changed, as far as they load with these schemas.
pub fn entries<'a>(maker: &RuleMaker, generations: &'a [PublishedGeneration]) -> Vec<Entry<'a>> {
    let mut before = Some(RuleSet::default());
    let mut entries = Vec::new();
    for PublishedGeneration { document, .. } in generations {
        let (set, problem) = match maker.load(&document.files) {
            Ok(set) => (Some(set), None),
            Err(errors) => (None, Some(errors.to_string())),
        };
        let known = before.as_ref().zip(set.as_ref());
        let known = known.map(|(old, new)| (new.rules.len(), Changes::between(old, new)));
        entries.push(Entry { document, known, problem });
        before = set;
    }
    entries
}

/// A line for each generation, and below them why some do not load.
pub fn table(entries: &[Entry<'_>]) -> String {
    if entries.is_empty() {
        return "there are no rules yet; publish some with `tocsin rules apply`\n".to_owned();
    }
    let width = entries.iter().map(|entry| entry.document.applied_by.chars().count()).max().unwrap_or(0).max(2);
    let mut out = format!(
        "{:>10}  {:<24}  {:<width$}  {:>5}  {:>4}  {:>4}  {:>7}  {:>5}\n",
        "generation", "applied at", "by", "rules", "new", "gone", "changed", "texts"
    );
    for Entry { document, known, .. } in entries {
        let counts = known.as_ref().map(|(rules, changes)| {
            [*rules, changes.new.len(), changes.gone.len(), changes.changed.len(), changes.texts.len()]
        });
        let [rules, new, gone, changed, texts] =
            counts.map_or_else(|| ["?"; 5].map(str::to_owned), |counts| counts.map(|count| count.to_string()));
        let (number, at, by) = (document.generation, text_of(document.applied_at), &document.applied_by);
        _ = writeln!(
            out,
            "{number:>10}  {at:<24}  {by:<width$}  {rules:>5}  {new:>4}  {gone:>4}  {changed:>7}  {texts:>5}"
        );
    }
    for Entry { document, problem, .. } in entries {
        if let Some(problem) = problem {
            _ = writeln!(
                out,
                "\ngeneration {} does not load with these schemas and settings:\n{problem}",
                document.generation
            );
        }
    }
    out
}

/// An object for each generation, one a line.
pub fn as_json(entries: &[Entry<'_>]) -> String {
    let line = |Entry { document, known, problem }: &Entry<'_>| {
        let files: Vec<_> = document.files.iter().map(|file| &file.name).collect();
        let (rules, changes) = known.as_ref().map(|(rules, changes)| (rules, changes)).unzip();
        let value = json!({
            "generation": document.generation,
            "applied_at": text_of(document.applied_at),
            "applied_by": document.applied_by,
            "fingerprint": document.fingerprint,
            "files": files,
            "rules": rules,
            "new": changes.map(|changes| &changes.new),
            "gone": changes.map(|changes| &changes.gone),
            "changed": changes.map(|changes| &changes.changed),
            "texts": changes.map(|changes| &changes.texts),
            "reordered": changes.map(|changes| changes.reordered),
            "problem": problem,
        });
        format!("{value}\n")
    };
    entries.iter().map(line).collect()
}

/// What changes, a line for each rule.
pub fn changes(changes: &Changes) -> String {
    let mut out = String::new();
    let kinds =
        [("new", &changes.new), ("gone", &changes.gone), ("changed", &changes.changed), ("texts", &changes.texts)];
    for (kind, ids) in kinds {
        for id in ids {
            _ = writeln!(out, "{kind:<8} {id}");
        }
    }
    if changes.reordered {
        out += "order    the rules are judged in another order\n";
    }
    if changes.is_empty() {
        out += "no rule is another one; remarks, layout or names of files differ\n";
    }
    out
}
