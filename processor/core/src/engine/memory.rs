//! What is remembered of a customer: of an event that comes, and of those that are let go of.

use thin_vec::ThinVec;

use super::values;
use super::{Engine, Items, RuleSet, Subject, Tracker};
use crate::attributes::Attribute;
use crate::customer::{Base, Customer, LastSeen, Silences};
use crate::event::{Event, Record};
use crate::time::Millis;
use crate::tracker::Opening;

/// A tracker that has to know what was open before the earliest event that is held.
#[derive(Clone, Debug)]
pub(super) struct Crowded {
    /// Its number among a customer's bases.
    pub base: u64,
    tracker: Tracker,
    limit: usize,
}

impl Engine {
    /// Adds the event to all that is kept of the customer.
    pub(super) fn remember(&self, customer: &mut Customer, at: Millis, record: Record<'_>) {
        customer.changed = true;
        let before = customer.latest.get().map(|latest| latest - self.keeping.keeps);
        let latest = customer.latest.get().map_or(at, |latest| latest.max(at));
        customer.latest = latest.into();
        customer.first_seen = customer.first_seen.get().map_or(at, |first| first.min(at)).into();
        customer.timeline.insert(at, record);
        customer.held.insert(self.keeping.number, &self.set, at, record);
        for silence in &self.set.silences {
            if silence.selector.select(record).is_some() {
                self.keep_silence(customer, silence.key, at);
                remember_silence(&mut customer.silences, silence.key, at, record.id());
            }
        }
        if record.type_id() == self.profile {
            self.set_attributes(customer, at, record);
        }
        // By the customer's own time, not by the watermark: so what is held is a matter of this customer's events alone.
        let horizon = latest - self.keeping.keeps;
        if let Some(before) = before.filter(|before| *before < horizon) {
            self.advance_bases(customer, before, horizon);
            self.advance_former(customer, before, horizon);
        }
        if customer.timeline.forgets(horizon) {
            customer.held.forget_before(self.keeping.number, &self.set, &customer.timeline, horizon);
            customer.timeline.forget_before(horizon);
        }
    }

    /// Lets go of what was open before the horizon, but for what still keeps others from opening.
    pub(super) fn advance_bases(&self, customer: &mut Customer, before: Millis, horizon: Millis) {
        if self.crowded.is_empty() || (customer.timeline.starts_at(horizon) && customer.bases.is_empty()) {
            return;
        }
        let mut bases = ThinVec::new();
        for Crowded { base, tracker, limit } in &self.crowded {
            let open = values::base_of(&customer.bases, *base);
            let events = values::moves(tracker, &customer.timeline, before - 1, horizon - 1);
            let swept = tracker.sweep(open, events, *limit, horizon - 1);
            let open: Vec<Opening> = swept.open_items().cloned().collect();
            if !open.is_empty() {
                bases.push(Base { tracker: *base, open });
            }
        }
        customer.bases = bases;
    }

    /// Takes over what a profile event says. What it says otherwise than before is known from the earlier event, if that is
    /// held.
    pub(super) fn set_attributes(&self, customer: &mut Customer, at: Millis, record: Record<'_>) {
        let Customer { attributes, timeline, former, .. } = customer;
        let is_held = |attribute: &Attribute| {
            let mut entries = timeline.range(attribute.since - 1, attribute.since);
            entries.any(|entry| {
                let record = entry.record().filter(|record| record.type_id() == self.profile);
                record.is_some_and(|record| record.fields().any(|(name, _)| attribute.name.is(name)))
            })
        };
        customer.attributes_changed |= attributes.apply_telling(at, record, |replaced| {
            if self.looks_back && replaced.since < at && !is_held(&replaced) {
                former.get_or_insert_default().attributes.put(replaced);
            }
        });
    }

    /// A silence is about to count from a later event: the one before may not be held any more.
    fn keep_silence(&self, customer: &mut Customer, key: u64, at: Millis) {
        let replaced = customer.last_seen(key).filter(|seen| self.looks_back && seen.at < at);
        if let Some(replaced) = replaced.filter(|seen| !customer.timeline.contains(seen.at, &seen.event_id)).cloned() {
            let former = customer.former.get_or_insert_default();
            remember_silence(&mut former.silences, key, replaced.at, &replaced.event_id);
        }
    }

    /// Keeps, of what is let go of, what the past may be asked for.
    pub(super) fn advance_former(&self, customer: &mut Customer, before: Millis, horizon: Millis) {
        let Customer { attributes, silences, timeline, former, .. } = customer;
        if !self.looks_back {
            *former = None;
            return;
        }
        if timeline.starts_at(horizon) && former.is_none() {
            return;
        }
        let mut known = former.take().unwrap_or_default();
        for entry in timeline.range(before - 1, horizon - 1) {
            let Some(record) = entry.record() else { continue };
            if record.type_id() == self.profile {
                known.attributes.apply(entry.occurred_at, record);
            }
            for silence in &self.set.silences {
                if silence.selector.select(record).is_some() {
                    remember_silence(&mut known.silences, silence.key, entry.occurred_at, record.id());
                }
            }
        }
        // What no later event has said otherwise stands beside it.
        known.attributes.retain(|old| attributes.get(&old.name).is_some_and(|new| new.since >= horizon));
        known.silences.retain(|old| silences.iter().any(|new| new.key == old.key && new.at >= horizon));
        *former = Some(known).filter(|known| !known.is_empty());
    }
}

/// By key, or by the limit. One whose items are open no longer than an instant crowds nobody out.
pub(super) fn crowded(set: &RuleSet, limit: usize) -> Vec<Crowded> {
    let openings = set.openings.iter().filter(|tracker| tracker.is_keyed());
    let openings = openings.map(|tracker| Crowded { base: tracker.key, tracker: tracker.clone(), limit: usize::MAX });
    let rules = set.rules.iter().filter_map(|rule| match &rule.subject {
        Subject::Item(Items { tracker, .. }) => {
            Some(Crowded { base: u64::from(rule.key.0), tracker: tracker.clone(), limit })
        }
        Subject::Customer | Subject::Date(_) => None,
    });
    openings.chain(rules).filter(|crowded| crowded.tracker.lasts > 0).collect()
}

/// What an old profile event says of attributes of which something newer is held is true of the time between.
pub(super) fn keep_for_the_past(customer: &mut Customer, event: &Event<'_>) {
    let since = event.occurred_at;
    for (name, value) in event.record.fields() {
        if customer.attributes.iter().any(|known| known.name.is(name) && known.since > since) {
            let attribute = Attribute { name: name.into(), since, value: value.value().to_owned() };
            customer.former.get_or_insert_default().attributes.put(attribute);
            customer.changed = true;
        }
    }
}

/// Of events at one instant the one that arrived last is the latest. Who is heard of moves to the end, so that the order
/// tells which of two came last.
fn remember_silence(silences: &mut Silences, key: u64, at: Millis, event_id: &str) {
    let Some(place) = silences.iter().position(|seen| seen.key == key) else {
        return silences.push(LastSeen { key, at, event_id: event_id.into() });
    };
    let seen = &mut silences[place];
    if seen.at > at {
        return;
    }
    seen.at = at;
    seen.event_id.clear();
    seen.event_id.push_str(event_id);
    silences[place..].rotate_left(1);
}
