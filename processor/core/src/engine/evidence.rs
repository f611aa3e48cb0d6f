//! Which events an alert rests on.

use std::borrow::Cow;

use super::values::{Moment, last_seen, opened};
use crate::alert::EVIDENCE;
use crate::customer::{Customer, LastSeen};
use crate::rule::{LetSource, Rule, RuleSet, Span, Window};
use crate::time::{Duration, Millis};
use crate::timeline::Entry;
use crate::tracker::Opening;
use crate::window::{self, Anchor};

/// The ids of the latest events that the rule's values counted: what is in a window, what opened an open item, the event
/// that a silence counts from, and the trigger. Oldest first, each once, at most [`EVIDENCE`].
pub fn evidence(set: &RuleSet, rule: &Rule, keeps: Duration, customer: &Customer, moment: Moment<'_>) -> Vec<Box<str>> {
    let mut counted = Counted { windows: Vec::new(), openings: Vec::new(), anchor: moment.anchor, at: moment.at };
    // The last to arrive first.
    let mut seen: Vec<Cow<'_, LastSeen>> = Vec::new();
    for named in &rule.lets {
        match named.value {
            LetSource::Window(place) => counted.windows.push(&set.windows[place]),
            LetSource::Silence(place) => seen.extend(last_seen(&set.silences[place], customer, moment)),
            LetSource::Open(place) => {
                let sweep = opened(&set.openings[place], customer, keeps, moment.at);
                counted.openings.extend(sweep.open_items().cloned());
            }
        }
    }
    let arrival = |seen: &LastSeen| customer.silences.iter().position(|other| other.key == seen.key);
    seen.sort_by_key(|seen| std::cmp::Reverse(arrival(seen)));
    let Some(reach) = counted.reach().into_iter().chain(seen.iter().map(|last| last.at)).min() else {
        return Vec::new();
    };
    let mut latest_first: Vec<Box<str>> = Vec::new();
    let mut is_before_anchor = false;
    for entry in customer.timeline.backwards(moment.at).take_while(|entry| entry.occurred_at >= reach) {
        if latest_first.len() == EVIDENCE {
            break;
        }
        let Some(record) = entry.record() else { continue };
        let is_anchor = moment.anchor.is_some_and(|anchor| anchor.is(entry));
        let silences_before = seen.len();
        seen.retain(|last| !(last.at == entry.occurred_at && *last.event_id == *record.id()));
        if is_anchor || seen.len() < silences_before || counted.counts(entry, is_before_anchor) {
            latest_first.push(record.id().into());
        }
        is_before_anchor |= is_anchor;
    }
    // What is left of the silences is older than all that the timeline still holds.
    seen.sort_by_key(|last| std::cmp::Reverse(last.at));
    seen.dedup_by(|a, b| a.at == b.at && a.event_id == b.event_id);
    latest_first.extend(seen.iter().map(|last| last.event_id.as_str().into()));
    latest_first.truncate(EVIDENCE);
    latest_first.reverse();
    latest_first
}

/// What the values of a rule count.
struct Counted<'a> {
    windows: Vec<&'a Window>,
    openings: Vec<Opening>,
    anchor: Option<Anchor<'a>>,
    at: Millis,
}

impl Counted<'_> {
    /// After the first, up to and including the second.
    fn bounds(&self, window: &Window) -> (Millis, Millis) {
        match (window.span, self.anchor) {
            (Span::Prior { .. }, Some(anchor)) => window.bounds(anchor.at),
            (Span::Item, Some(anchor)) => (anchor.at - 1, self.at),
            _ => window.bounds(self.at),
        }
    }

    /// The earliest instant of anything that is counted.
    fn reach(&self) -> Option<Millis> {
        let windows = self.windows.iter().map(|window| self.bounds(window).0 + 1);
        let openings = self.openings.iter().map(|opening| opening.at);
        windows.chain(openings).chain(self.anchor.map(|anchor| anchor.at)).min()
    }

    fn counts(&self, entry: Entry<'_>, is_before_anchor: bool) -> bool {
        let in_window = self.windows.iter().any(|window| {
            let (low, high) = self.bounds(window);
            let is_on_its_side = match window.span {
                Span::Sliding { .. } => true,
                Span::Prior { .. } => is_before_anchor,
                Span::Item => !is_before_anchor,
            };
            let is_inside = low < entry.occurred_at && entry.occurred_at <= high;
            is_on_its_side && is_inside && window::counted(window, entry).is_some()
        });
        let opened =
            |opening: &Opening| entry.record().is_some_and(|record| opening.is(entry.occurred_at, record.id()));
        in_window || self.openings.iter().any(opened)
    }
}
