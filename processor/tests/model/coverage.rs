//! What a run reached: kept so that the generator cannot silently go blind.

use std::collections::{BTreeMap, BTreeSet};

/// The kinds of things that happened in one case.
#[derive(Clone, Debug, Default)]
pub struct Seen(BTreeSet<&'static str>);

impl Seen {
    pub fn note(&mut self, kind: &'static str) {
        self.0.insert(kind);
    }

    pub fn note_if(&mut self, happened: bool, kind: &'static str) {
        if happened {
            self.note(kind);
        }
    }
}

/// In how many cases each kind of thing happened.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    pub cases: u64,
    pub records: u64,
    kinds: BTreeMap<&'static str, u64>,
}

/// Each must be reached in at least one case out of this many.
pub const REQUIRED: [(&str, u64); 38] = [
    ("fired", 2),
    ("severity_raised", 20),
    ("severity_lowered", 20),
    ("cleared", 5),
    ("scope_left", 100),
    ("insufficient_data", 50),
    ("late", 2),
    ("late: fired at the clock", 20),
    ("late: resolved at the clock", 60),
    ("late: exactly at the clock", 10),
    ("late: first event of a customer", 20),
    ("duplicate", 4),
    ("duplicate: other content", 50),
    ("same id at another time", 20),
    ("too old", 20),
    ("too old: profile", 100),
    ("too old: profile moved a rule", 1000),
    ("too old: exactly history is accepted", 500),
    ("refired at the same instant", 500),
    ("refired", 10),
    ("undefined", 4),
    ("several transitions at one instant", 60),
    ("due: before its own next event", 5),
    ("due: by the watermark", 20),
    ("due: by `until`", 8),
    ("due: by a running duration", 20),
    ("fired after `for`", 20),
    ("fired at the end of the cooldown", 50),
    ("resolved after `keep_firing_for`", 20),
    ("level went and came back while firing", 40),
    ("held back by `resolve_when`", 20),
    ("`for` began anew", 20),
    ("evidence was cut", 300),
    ("attribute changed by a late profile", 50),
    ("explicit null", 20),
    ("two customers at one instant", 50),
    ("left out after `until`", 50),
    ("a silence from before history", 50),
];

/// The same for cases in which rules change.
pub const REQUIRED_OF_CHANGES: [(&str, u64); 37] = [
    ("change: silent", 10),
    ("change: gone", 20),
    ("change: gone while firing", 30),
    ("change: gone while waiting", 200),
    ("change: new rule fired", 30),
    ("change: new rule waits", 100),
    ("change: came back", 50),
    ("change: came back and fired once more", 2000),
    ("change: changed rule fired", 50),
    ("change: changed rule fired, waiting before", 1000),
    ("change: changed rule fired, overdue", 1000),
    ("change: changed rule goes on waiting", 400),
    ("change: changed rule waits for its cooldown", 800),
    ("change: the same level", 30),
    ("change: another level", 100),
    ("change: no level", 50),
    ("change: no level, and the rule would have held it", 100),
    ("change: out of scope", 200),
    ("change: insufficient data", 200),
    ("change: resolved after other records", 150),
    ("change: same rule, firing", 5),
    ("change: same rule, held back from resolving", 80),
    ("change: same rule, waiting", 40),
    ("change: a text of a firing alert", 100),
    ("change: two at one place", 15),
    ("change: a silence is asked for anew", 15),
    ("change: an event is too old for a new silence", 150),
    ("sweep: a customer", 4),
    ("sweep: an event came first", 15),
    ("sweep: a timer came first", 50),
    ("sweep: more had become due since", 1500),
    ("sweep: restarted under way", 12),
    ("fired", 2),
    ("cleared", 5),
    ("late", 2),
    ("due: by the watermark", 20),
    ("evidence was cut", 300),
];

impl Coverage {
    pub fn add<'a>(&mut self, seen: impl IntoIterator<Item = &'a Seen>, records: usize) {
        self.cases += 1;
        self.records += records as u64;
        let kinds: BTreeSet<&'static str> = seen.into_iter().flat_map(|seen| seen.0.iter().copied()).collect();
        for kind in kinds {
            *self.kinds.entry(kind).or_default() += 1;
        }
    }

    pub fn merge(&mut self, other: &Coverage) {
        self.cases += other.cases;
        self.records += other.records;
        for (kind, count) in &other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
    }

    pub fn of(&self, kind: &str) -> u64 {
        self.kinds.get(kind).copied().unwrap_or(0)
    }

    pub fn report(&self) -> String {
        let mut lines = vec![format!("{} cases, {} records; cases with:", self.cases, self.records)];
        lines.extend(self.kinds.iter().map(|(kind, count)| format!("  {count:>8}  {kind}")));
        lines.join("\n")
    }

    /// What was reached too rarely, if the run was long enough to tell.
    pub fn blind_spots(&self, required: &[(&str, u64)]) -> Vec<String> {
        let rare = |(kind, one_in): &(&str, u64)| self.of(kind) < self.cases / one_in;
        required
            .iter()
            .filter(|required| rare(required))
            .map(|(kind, one_in)| format!("{kind} (1 in {one_in})"))
            .collect()
    }
}
