//! Which events an alert rests on.

use crate::alert::EVIDENCE;
use crate::customer::{Customer, LastSeen};
use crate::event::Record;
use crate::rule::{LetSource, Rule, RuleSet, Window};
use crate::time::Millis;

/// The ids of the latest events that the rule's values counted at `at`: what is in a window, and the event that a silence
/// counts from. Oldest first, each once, at most [`EVIDENCE`].
pub fn evidence(set: &RuleSet, rule: &Rule, customer: &Customer, at: Millis) -> Vec<Box<str>> {
    let mut windows: Vec<&Window> = Vec::new();
    let mut silences: Vec<u64> = Vec::new();
    for named in &rule.lets {
        match named.value {
            LetSource::Window(place) => windows.push(&set.windows[place]),
            LetSource::Silence(place) => silences.push(set.silences[place].key),
            LetSource::Open(_) => {}
        }
    }
    // The last to arrive first.
    let mut seen: Vec<&LastSeen> = customer.silences.iter().rev().filter(|last| silences.contains(&last.key)).collect();
    let oldest_in_windows = windows.iter().map(|window| window.bounds(at).0 + 1);
    let Some(reach) = oldest_in_windows.chain(seen.iter().map(|last| last.at)).min() else {
        return Vec::new();
    };
    let counted = |occurred_at: Millis, record: Record<'_>| {
        windows.iter().any(|window| {
            let (low, high) = window.bounds(at);
            low < occurred_at && occurred_at <= high && window.selector.select(record).is_some()
        })
    };
    let mut latest_first: Vec<Box<str>> = Vec::new();
    for entry in customer.timeline.backwards(at).take_while(|entry| entry.occurred_at >= reach) {
        if latest_first.len() == EVIDENCE {
            break;
        }
        let Some(record) = entry.record() else { continue };
        let silences_before = seen.len();
        seen.retain(|last| !(last.at == entry.occurred_at && *last.event_id == *record.id()));
        if seen.len() < silences_before || counted(entry.occurred_at, record) {
            latest_first.push(record.id().into());
        }
    }
    // What is left of the silences is older than all that the timeline still holds.
    seen.sort_by_key(|last| std::cmp::Reverse(last.at));
    seen.dedup_by(|a, b| a.at == b.at && a.event_id == b.event_id);
    latest_first.extend(seen.iter().map(|last| last.event_id.clone()));
    latest_first.truncate(EVIDENCE);
    latest_first.reverse();
    latest_first
}
