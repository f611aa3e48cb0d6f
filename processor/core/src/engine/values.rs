//! The named values of a rule at an instant, and when they change by themselves.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::attributes::{Attribute, Attributes};
use crate::customer::{Base, Customer, LastSeen};
use crate::event::{FieldName, Record, TypeId};
use crate::expr::{AttributeRef, Expr, LetValue, Scope};
use crate::rule::{Let, LetSource, Rule, RuleSet, Silence, Tracker};
use crate::time::{Duration, Millis};
use crate::timeline::Timeline;
use crate::tracker::{Opening, Standing, Sweep};
use crate::value::OwnedValue;
use crate::window::{self, Anchor};

/// From where a customer is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    pub at: Millis,
    /// Whether later events are known already. Then everything is as of `at` all the same, and nothing that is held helps.
    pub is_past: bool,
    /// The trigger of the item that is judged.
    pub anchor: Option<Anchor<'a>>,
}

impl Moment<'_> {
    /// Now, of the customer as a whole.
    pub fn now(at: Millis) -> Self {
        Self { at, is_past: false, anchor: None }
    }

    /// Whether values are moved on from where they were held. Those of a small customer cost next to nothing.
    fn holds(&self, customer: &Customer) -> bool {
        !self.is_past && !customer.timeline.is_small()
    }
}

/// What is kept of customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Tells the values of this set from those of another.
    pub number: u64,
    /// How long before a customer's latest event the earliest lies that is kept.
    pub keeps: Duration,
}

/// Values of a rule. Most have few, and those need no place of their own in memory.
pub type Lets = SmallVec<[LetValue; 4]>;

/// Every value of the rule's `let`, in its order.
pub fn values(set: &RuleSet, keeping: Keeping, rule: &Rule, customer: &mut Customer, moment: Moment<'_>) -> Lets {
    let holds = moment.holds(customer);
    if holds {
        customer.held.make_for(keeping.number, set);
    }
    let value = |named: &Let| match named.value {
        LetSource::Window(place) => {
            let window = &set.windows[place];
            let held = if holds { customer.held.window(place, window, moment.anchor) } else { None };
            LetValue::Still(window::value(window, &customer.timeline, held, moment.at, moment.anchor))
        }
        LetSource::Silence(place) => LetValue::Since(counts_from(&set.silences[place], customer, moment)),
        LetSource::Open(place) => {
            let tracker = &set.openings[place];
            let held = if holds { standing(tracker, customer, place, keeping.keeps, moment.at) } else { None };
            let open = match held {
                Some(standing) => standing.open_count(),
                None => opened(tracker, customer, keeping.keeps, moment.at).open_count(),
            };
            LetValue::Still(OwnedValue::Number(open as f64))
        }
    };
    rule.lets.iter().map(value).collect()
}

/// What is open, moved on from where it was held to `at`; `None` if nothing is held.
fn standing<'c>(
    tracker: &Tracker,
    customer: &'c mut Customer,
    place: usize,
    keeps: Duration,
    at: Millis,
) -> Option<&'c mut Standing> {
    let begin = || {
        let horizon = customer.latest.get().map_or(Millis::MIN, |latest| latest.saturating_sub(keeps));
        Standing::new(tracker, base_of(&customer.bases, tracker.key), horizon.saturating_sub(1))
    };
    let standing = customer.held.opening(place)?.get_or_insert_with(begin);
    if standing.at() < at {
        standing.advance(tracker, moves(tracker, &customer.timeline, standing.at(), at), at);
    }
    Some(standing)
}

/// What is open by an `open` value at `at`.
pub fn opened(tracker: &Tracker, customer: &Customer, keeps: Duration, at: Millis) -> Sweep {
    sweep(tracker, tracker.key, customer, keeps, usize::MAX, at)
}

/// What a tracker makes of all events up to `through`; `base` is its number among the customer's bases.
pub fn sweep(
    tracker: &Tracker,
    base: u64,
    customer: &Customer,
    keeps: Duration,
    limit: usize,
    through: Millis,
) -> Sweep {
    let horizon = customer.latest.get().map_or(Millis::MIN, |latest| latest.saturating_sub(keeps));
    let open = base_of(&customer.bases, base);
    tracker.sweep(open, moves(tracker, &customer.timeline, horizon.saturating_sub(1), through), limit, through)
}

/// What a tracker had open before the earliest event that is held.
pub fn base_of(bases: &[Base], tracker: u64) -> &[Opening] {
    bases.iter().find(|base| base.tracker == tracker).map_or(&[], |base| &base.open)
}

/// The events after `after` and up to `through` that may open or close something, oldest first.
pub fn moves<'c>(
    tracker: &Tracker,
    timeline: &'c Timeline,
    after: Millis,
    through: Millis,
) -> impl Iterator<Item = (Millis, Record<'c>)> {
    timeline
        .range(after, through)
        .filter(|entry| entry.type_id().is_some_and(|type_id| tracker.concerns(type_id)))
        .filter_map(|entry| Some((entry.occurred_at, entry.record()?)))
}

/// The instant a silence counts from.
fn counts_from(silence: &Silence, customer: &Customer, moment: Moment<'_>) -> Option<Millis> {
    let latest = last_seen(silence, customer, moment).map(|seen| seen.at);
    latest.or(if silence.since_first_seen { customer.first_seen.get() } else { None })
}

/// The latest event of a silence, as of the moment.
pub fn last_seen<'c>(silence: &Silence, customer: &'c Customer, moment: Moment<'_>) -> Option<Cow<'c, LastSeen>> {
    let known = customer.last_seen(silence.key);
    if !moment.is_past || known.is_none_or(|seen| seen.at <= moment.at) {
        return known.map(Cow::Borrowed);
    }
    let mut earlier = customer.timeline.backwards(moment.at);
    let held = earlier.find_map(|entry| {
        let record = entry.record()?;
        silence.selector.select(record).map(|_| (entry.occurred_at, record))
    });
    if let Some((at, record)) = held {
        return Some(Cow::Owned(LastSeen { key: silence.key, at, event_id: record.id().into() }));
    }
    let mut former = customer.former.iter().flat_map(|former| &former.silences);
    former.find(|seen| seen.key == silence.key && seen.at <= moment.at).map(Cow::Borrowed)
}

/// The attributes as of the moment.
pub fn attributes<'c>(customer: &'c Customer, profile: TypeId, moment: Moment<'_>) -> Cow<'c, Attributes> {
    let is_later = |attribute: &Attribute| attribute.since > moment.at;
    if !moment.is_past || !customer.attributes.iter().any(is_later) {
        return Cow::Borrowed(&customer.attributes);
    }
    let held = |attribute: &Attribute| {
        let mut profiles = customer.timeline.backwards(moment.at).filter(|entry| entry.type_id() == Some(profile));
        profiles.find_map(|entry| {
            let record = entry.record()?;
            let value = match &attribute.name {
                AttributeRef::Slot(slot) => record.raw_field(*slot),
                AttributeRef::Extra(name) => {
                    record.fields().find(|(field, _)| *field == FieldName::Extra(name)).map(|(_, value)| value)
                }
            }?;
            let value = value.value().to_owned();
            Some(Attribute { name: attribute.name.clone(), since: entry.occurred_at, value })
        })
    };
    let earlier = |attribute: &Attribute| {
        let former = customer.former.as_ref().and_then(|former| former.attributes.get(&attribute.name));
        former
            .filter(|former| former.since <= moment.at)
            .cloned()
            .into_iter()
            .chain(held(attribute))
            .max_by_key(|earlier| earlier.since)
    };
    let as_of = |attribute: &Attribute| if is_later(attribute) { earlier(attribute) } else { Some(attribute.clone()) };
    Cow::Owned(customer.attributes.iter().filter_map(as_of).collect())
}

/// The first instant after the moment's at which a value that the rule looks at changes with no event arriving: an event
/// enters or leaves a window, an item runs out. Values that do not matter are left out.
pub fn next_change(
    set: &RuleSet,
    keeping: Keeping,
    rule: &Rule,
    customer: &mut Customer,
    moment: Moment<'_>,
    matters: impl Fn(usize) -> bool,
) -> Option<Millis> {
    let holds = moment.holds(customer);
    let lets = rule.lets.iter().enumerate().filter(|(place, _)| matters(*place));
    let changes = lets.filter_map(|(_, named)| match named.value {
        LetSource::Window(place) => {
            let window = &set.windows[place];
            let held = if holds { customer.held.window(place, window, moment.anchor) } else { None };
            window::next_change(window, &customer.timeline, held, moment.at)
        }
        LetSource::Open(place) => {
            let tracker = &set.openings[place];
            let held = if holds { standing(tracker, customer, place, keeping.keeps, moment.at) } else { None };
            if let Some(standing) = held {
                return standing.first_end(tracker);
            }
            let sweep = opened(tracker, customer, keeping.keeps, moment.at);
            sweep.open_items().map(|opening| tracker.end_of(opening.at)).min()
        }
        LetSource::Silence(_) => None,
    });
    changes.min()
}

/// The first instant after the scope's at which a running duration passes its bound.
pub fn next_flip(rule: &Rule, scope: &Scope<'_>) -> Option<Millis> {
    rule.conditions().filter_map(|condition: &Expr| condition.next_flip(scope)).min()
}

/// The values as an alert record tells them.
pub fn owned(lets: &[LetValue], at: Millis) -> Vec<OwnedValue> {
    lets.iter()
        .map(|value| match value {
            LetValue::Still(value) => value.clone(),
            LetValue::Since(None) => OwnedValue::Null,
            LetValue::Since(Some(since)) => OwnedValue::Duration((at - since) as f64),
        })
        .collect()
}
