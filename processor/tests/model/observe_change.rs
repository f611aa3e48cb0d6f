//! Looks on while rules change and notes what that reached. Nothing here decides anything.

use super::Case;
use super::coverage::Seen;
use super::episode::{Episode, Transition};
use super::standing::{Moment, Standing};
use std::collections::BTreeMap;

/// One rule of the new set and one customer, at a change.
#[derive(Debug)]
pub struct Looked<'a> {
    pub moment: Moment<'a>,
    pub is_new: bool,
    pub came_back: bool,
    /// The same but for what decides nothing.
    pub same: bool,
    pub before: &'a Episode,
    pub firings: Vec<i64>,
    pub standing: Standing,
    pub transition: Option<Transition>,
}

/// Of an item: one of its rule's, at a change that ends them all.
pub fn item_gone(before: &Episode, seen: &mut Seen) {
    seen.note_if(before.firing.is_some(), "change: an item's rule gone while firing");
    seen.note_if(before.firing.is_none(), "change: an item's rule gone");
}

pub fn gone(before: &Episode, seen: &mut Seen) {
    seen.note(match (before.firing, before.present_since) {
        (Some(_), _) => "change: gone while firing",
        (None, Some(_)) => "change: gone while waiting",
        (None, None) => "change: gone",
    });
}

pub fn judged(looked: &Looked<'_>, seen: &mut Seen) {
    if looked.same {
        same(looked, seen);
    } else if looked.is_new {
        new(looked, seen);
    } else {
        changed(looked, seen);
    }
}

fn same(looked: &Looked<'_>, seen: &mut Seen) {
    let Looked { before, standing, .. } = looked;
    seen.note_if(before.firing.is_some(), "change: same rule, firing");
    let held_back = before.firing.is_some() && matches!(standing, Standing::NoLevel { .. });
    seen.note_if(held_back, "change: same rule, held back from resolving");
    seen.note_if(before.present_since.is_some(), "change: same rule, waiting");
}

fn new(looked: &Looked<'_>, seen: &mut Seen) {
    let Looked { moment, firings, standing, transition, .. } = looked;
    seen.note_if(looked.came_back, "change: came back");
    seen.note_if(transition.is_some(), "change: new rule fired");
    seen.note_if(transition.is_none() && matches!(standing, Standing::Level(_)), "change: new rule waits");
    seen.note_if(transition.is_some() && firings.contains(&moment.at), "change: came back and fired once more");
    let unseen = moment.held.iter().any(|held| !held.unseen_by.is_empty());
    seen.note_if(unseen, "change: an event is too old for a new silence");
}

fn changed(looked: &Looked<'_>, seen: &mut Seen) {
    let Looked { moment, before, standing, transition, .. } = looked;
    let rule = moment.rule;
    let Some(_) = before.firing else {
        let since = before.present_since.filter(|since| *since < moment.at);
        seen.note_if(transition.is_some(), "change: changed rule fired");
        seen.note_if(transition.is_some() && since.is_some(), "change: changed rule fired, waiting before");
        let late = since.is_some_and(|since| since + rule.hold_ms < moment.at);
        seen.note_if(transition.is_some() && late, "change: changed rule fired, overdue");
        let waits = transition.is_none() && matches!(standing, Standing::Level(_));
        seen.note_if(waits && since.is_some(), "change: changed rule goes on waiting");
        let cooling = before.cooldown_end(rule).is_some_and(|end| end > moment.at);
        seen.note_if(waits && cooling, "change: changed rule waits for its cooldown");
        return;
    };
    match standing {
        Standing::Level(_) if transition.is_some() => seen.note("change: another level"),
        Standing::Level(_) => seen.note("change: the same level"),
        Standing::OutOfScope => seen.note("change: out of scope"),
        Standing::InsufficientData => seen.note("change: insufficient data"),
        Standing::NoLevel { resolve_when } => {
            seen.note("change: no level");
            let kept = !resolve_when || rule.keep_firing_ms > 0;
            seen.note_if(kept, "change: no level, and the rule would have held it");
        }
    }
}

/// What only the whole run shows.
pub fn run(case: &Case, records: &[serde_json::Value], seen: &mut Seen) {
    for pair in case.changes.windows(2) {
        seen.note_if(pair[0].place == pair[1].place, "change: two at one place");
    }
    let mut labels = BTreeMap::new();
    for record in records {
        let before = labels.insert(record["alert_id"].as_str(), &record["labels"]);
        seen.note_if(before.is_some_and(|before| *before != record["labels"]), "change: a text of a firing alert");
        let more = record["reason"] == "rule_changed" && record["sequence"].as_u64() > Some(1);
        seen.note_if(more, "change: resolved after other records");
    }
}
