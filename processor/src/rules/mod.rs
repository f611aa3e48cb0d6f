//! Rule files: from YAML to a checked [`RuleSet`], or to everything that is wrong with them, line by line.
//!
//! ```text
//!  source      files -> texts
//!  yaml        text -> a tree that knows its places
//!  rule        one rule: kinds (which keys), values (`let`), levels, texts (summaries, recipients)
//!  items       what a `trigger` adds: tracker (what opens, what closes), when an item is judged
//!  dates       what a `date` adds
//!  syntax      an expression as CEL writes it, cut down to the subset
//!  lower       its names become slots, its kinds are checked: names, typing
//!  canonical   what it says as text, to be hashed: rule versions, keys of silences
//!  changes     what is another between two sets
//!  problem     what is wrong, where, and what was perhaps meant
//! ```
//!
//! One bad rule refuses the whole set, so that a set is never in force in part; and every problem is reported at
//! once. Nothing here looks at events or at the clock.

mod canonical;
mod changes;
mod dates;
mod items;
mod kinds;
mod levels;
mod lower;
mod names;
mod problem;
mod reader;
mod rule;
mod source;
mod syntax;
mod syntax_errors;
mod templates;
mod texts;
mod tracker;
mod typing;
mod values;
mod yaml;

use std::collections::HashMap;
use std::sync::Arc;

use chrono_tz::Tz;
use tocsin_core::event::Catalog;
use tocsin_core::rule::{RuleKey, RuleSet};
use tocsin_core::time::{DAY, Duration};

pub use changes::Changes;
pub use problem::{LoadError, LoadErrors, Problem};
pub use source::{Source, read_sources};

use problem::{Complaint, quoted};
use reader::{Reader, get};
use rule::Id;

/// What the configuration says about rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long events are kept, in milliseconds: no window may reach back further.
    pub history: Duration,
    /// Of dates whose rule names none.
    pub timezone: Tz,
}

impl Default for Limits {
    fn default() -> Self {
        Self { history: 400 * DAY, timezone: Tz::UTC }
    }
}

/// A rule set that may be put in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadedRules {
    /// The rules in the order in which they are judged, with the windows and silences they share.
    pub set: RuleSet,
    /// Where each rule of the set stands, in the order of the set.
    pub places: Vec<Place>,
}

/// Where a rule stands: its `id`, to be exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the file, as in [`Source::name`].
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

/// Reads and checks every rule of every file. The rules are judged in the order of the files' names and of their
/// place in them, in whatever order the sources are given.
///
/// # Errors
/// Every problem of every file, by file and position.
pub fn load(sources: &[Source], catalog: &Catalog, limits: &Limits) -> Result<LoadedRules, LoadErrors> {
    let mut ordered: Vec<&Source> = sources.iter().collect();
    ordered.sort_by(|a, b| a.name.cmp(&b.name));
    let mut problems = Vec::new();
    let mut loaded = LoadedRules::default();
    let mut taken = Taken::default();
    for source in ordered {
        let before = problems.len();
        let mut reader = Reader { catalog, limits, source, problems: &mut problems };
        read_file(&mut reader, &mut loaded, &mut taken);
        // A condition over several types of event is checked once for each, with the same result.
        problems[before..].sort_by(|a, b| (a.line, a.column, &a.reason).cmp(&(b.line, b.column, &b.reason)));
        problems.dedup();
    }
    if problems.is_empty() { Ok(loaded) } else { Err(LoadErrors { problems }) }
}

fn read_file(reader: &mut Reader<'_>, loaded: &mut LoadedRules, taken: &mut Taken) {
    let source = reader.source;
    let Some(root) = yaml::parse(&source.text, &mut |at, complaint| reader.complain(at, complaint)) else { return };
    let Some(entries) = reader.map("the file", &root, "rules: [...]") else { return };
    reader.keys("a rule file", entries, &["rules"]);
    let Some(rules) = get(entries, "rules") else {
        reader.complain(root.at, "a rule file holds a list under `rules:`");
        return;
    };
    for node in reader.list("rules", rules, "[{id: ..., when: ...}]") {
        let (id, rule) = rule::read(reader, node, &mut loaded.set);
        let Some(id) = id else { continue };
        let place = Place { file: source.name.clone(), line: id.at.line, column: id.at.column };
        if let Some(complaint) = taken.take(&id, &place) {
            reader.complain(id.at, complaint);
        }
        if let Some(rule) = rule {
            loaded.set.rules.push(Arc::new(rule));
            loaded.places.push(place);
        }
    }
}

/// The ids seen so far. What stands for them in stored rows must be as unique as they are.
#[derive(Default)]
struct Taken {
    by_key: HashMap<RuleKey, (Box<str>, Place)>,
}

impl Taken {
    fn take(&mut self, id: &Id, place: &Place) -> Option<Complaint> {
        let key = RuleKey::of(&id.id);
        let Some((other, there)) = self.by_key.get(&key) else {
            self.by_key.insert(key, (id.id.clone(), place.clone()));
            return None;
        };
        let there = format!("{}:{}:{}", there.file, there.line, there.column);
        Some(Complaint::new(if *other == id.id {
            format!("the id {} is taken by the rule at {there}", quoted(other))
        } else {
            format!("the id {} has the same number as {} at {there}; change one of them", quoted(&id.id), quoted(other))
        }))
    }
}

#[cfg(test)]
mod tests;
