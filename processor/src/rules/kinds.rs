//! The kinds of rules, and which keys belong to which.

use super::problem::{Complaint, quoted};
use super::reader::Reader;
use super::yaml::Entry;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Condition,
    /// `trigger` without `until`: judged once.
    Item,
    /// `trigger` with `until`.
    OpenItem,
    Date,
}

impl Kind {
    /// Whether it is judged per item.
    pub(super) fn has_items(self) -> bool {
        matches!(self, Self::Item | Self::OpenItem)
    }
}

/// Keys of every kind.
const COMMON: [&str; 13] = [
    "id",
    "description",
    "scope",
    "let",
    "require",
    "when",
    "levels",
    "severity",
    "cooldown",
    "labels",
    "annotations",
    "notify",
    "task",
];

/// Keys of some kinds, whose those are in words, and the kinds.
const OWN: [(&str, &str, &[Kind]); 13] = [
    ("for", LASTING, &[Kind::Condition, Kind::OpenItem]),
    ("resolve_when", LASTING, &[Kind::Condition, Kind::OpenItem]),
    ("keep_firing_for", LASTING, &[Kind::Condition, Kind::OpenItem]),
    ("trigger", TRIGGER, &[Kind::Item, Kind::OpenItem]),
    ("where", TRIGGER, &[Kind::Item, Kind::OpenItem]),
    ("by", TRIGGER, &[Kind::Item, Kind::OpenItem]),
    ("after", TRIGGER, &[Kind::Item, Kind::OpenItem]),
    ("until", TRIGGER, &[Kind::OpenItem]),
    ("expire", "rules with a `trigger` and `until`", &[Kind::OpenItem]),
    ("date", DATE, &[Kind::Date]),
    ("lead", DATE, &[Kind::Date]),
    ("at", DATE, &[Kind::Date]),
    ("timezone", DATE, &[Kind::Date]),
];
const LASTING: &str = "conditions and to rules with `until`";
const TRIGGER: &str = "rules with a `trigger`";
const DATE: &str = "rules with a `date`";

/// Tells the kind of a rule by its keys and checks that every key belongs to it.
pub(super) fn read(reader: &mut Reader<'_>, entries: &[Entry]) -> Kind {
    let has = |key: &str| entries.iter().any(|entry| entry.key == key);
    let kind = match (has("trigger"), has("until"), has("date")) {
        (true, true, _) => Kind::OpenItem,
        (true, false, _) => Kind::Item,
        (false, _, true) => Kind::Date,
        (false, _, false) => Kind::Condition,
    };
    for entry in entries {
        check(reader, entry, kind);
    }
    kind
}

fn check(reader: &mut Reader<'_>, entry: &Entry, kind: Kind) {
    let key = entry.key.as_str();
    if COMMON.contains(&key) {
        return;
    }
    match OWN.iter().find(|(own, ..)| *own == key) {
        Some((_, _, kinds)) if kinds.contains(&kind) => {}
        Some(_) if key == "date" => {
            reader.complain(entry.at, "a rule has a `trigger` or a `date`, not both");
        }
        Some((_, owners, _)) => reader.complain(entry.at, format!("`{key}` belongs to {owners}")),
        None => {
            let own = OWN.iter().filter(|(_, _, kinds)| kinds.contains(&kind)).map(|(own, ..)| *own);
            let reason = format!("there is no key {} in a rule", quoted(key));
            reader.complain(entry.at, Complaint::unknown(reason, key, COMMON.into_iter().chain(own)));
        }
    }
}
