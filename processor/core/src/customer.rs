//! All that is known of one customer.

use compact_str::CompactString;
use smallvec::SmallVec;
use thin_vec::ThinVec;

use crate::alert::Episode;
use crate::attributes::{Attribute, Attributes};
use crate::calendar::Day;
use crate::fetch::{fetch, fetch_line};
use crate::held::Held;
use crate::rule::RuleKey;
use crate::time::{MaybeMillis, Millis};
use crate::timeline::Timeline;
use crate::tracker::Opening;

/// The latest event of each silence. One of them takes no place of its own in memory, and most customers have no more.
pub type Silences = SmallVec<[LastSeen; 1]>;
/// Where rules stand; the same.
pub type AlertStates = SmallVec<[AlertState; 1]>;

/// A customer's state: what happened, what is known, where each alert stands, and when to look again.
///
/// All fields are stored but `held`, which is derived, and the last two. To bring a customer from memory costs more than to judge
/// it, so what few customers have takes a pointer here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Customer {
    /// Time of the customer's latest event.
    pub latest: MaybeMillis,
    /// Time of the customer's first event of any type.
    pub first_seen: MaybeMillis,
    pub attributes: Attributes,
    pub timeline: Timeline,
    /// For each silence the rules ask for, the latest event it counts from, in the order of their arrival. Never forgotten.
    pub silences: Silences,
    /// Where the rules stand; one that is inactive and waits for nothing is left out. By `rule`.
    pub alerts: AlertStates,
    /// The open items, by rule, then by opening.
    pub items: ThinVec<Item>,
    /// What else rules with a `trigger` or a `date` remember. By `rule`.
    pub ledgers: ThinVec<Ledger>,
    /// For each tracker what was open before the earliest event that is held, and kept others from opening.
    pub bases: ThinVec<Base>,
    /// What an instant in the past may ask for and the events that are held do not tell any more.
    pub former: Option<Box<Former>>,
    /// When the earliest timer of this customer in the store goes off, at or before [`Customer::due`].
    pub armed: MaybeMillis,
    /// The rule generation it was last judged under, as far as a sweep has to know: see [`crate::partition`].
    pub generation: i64,
    /// What values are moved on from; nothing for a small customer.
    pub held: Held,
    /// Whether this differs from what the store holds.
    pub changed: bool,
    /// Whether the attributes do.
    pub attributes_changed: bool,
}

/// An open item of a rule with a `trigger`, and where its alert stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub opening: Opening,
    pub alert: AlertState,
    /// Judged once and for all; it only keeps its key from opening another.
    pub is_judged: bool,
}

/// What a rule with a `trigger` or a `date` remembers of a customer beside open items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub rule: RuleKey,
    /// The rule came later than this: no instant at or before it is judged.
    pub gate: Option<Millis>,
    /// The firings that are not too long ago, by instant.
    pub firings: Vec<Firing>,
    /// Triggers that opened no item: another of their key was open, or as many as may be.
    pub passed: Vec<(Millis, Box<str>)>,
    /// Calendar dates that have fired.
    pub dates: Vec<Day>,
}

/// What a tracker had open when the events before were let go of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// [`crate::rule::Tracker::key`] of an `open` value, [`RuleKey`] of a rule.
    pub tracker: u64,
    pub open: Vec<Opening>,
}

/// What was known when the events before were let go of, of all that later events have said otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Former {
    pub attributes: Attributes,
    /// In no order.
    pub silences: Silences,
}

impl Former {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.silences.is_empty()
    }
}

/// When an item, or a rule with a date, fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// Key of the item; empty for a date.
    pub item: Box<str>,
    pub at: Millis,
    /// [`crate::alert::Episode::refire`]
    pub refire: u32,
}

/// The latest event of a silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastSeen {
    /// [`crate::rule::Silence::key`]
    pub key: u64,
    pub at: Millis,
    pub event_id: CompactString,
}

/// Where one rule stands with one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertState {
    pub rule: RuleKey,
    pub phase: Phase,
    /// The next instant at which the outcome can change with no event arriving.
    pub due: MaybeMillis,
    /// When the latest episode resolved; what a cooldown counts from.
    pub resolved_at: MaybeMillis,
    /// When the latest episode fired.
    pub fired: Fired,
}

/// When an alert fired last, if it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(Rust, packed(4))]
pub struct Fired {
    at: MaybeMillis,
    refire: u32,
}

impl Fired {
    /// `refire` is [`Episode::refire`].
    #[must_use]
    pub fn at(at: Millis, refire: u32) -> Self {
        Self { at: at.into(), refire }
    }

    /// When, and [`Episode::refire`].
    #[must_use]
    pub fn get(self) -> Option<(Millis, u32)> {
        let Self { at, refire } = self;
        at.get().map(|at| (at, refire))
    }

    /// How often it has fired at this very instant.
    #[must_use]
    pub fn times_at(self, at: Millis) -> u32 {
        self.only_at(at).get().map_or(0, |(_, refire)| refire + 1)
    }

    /// The same if it was at this instant, and never otherwise.
    #[must_use]
    pub fn only_at(self, at: Millis) -> Self {
        if self.get().is_some_and(|(fired_at, _)| fired_at == at) { self } else { Self::default() }
    }
}

/// The life of an alert: inactive, pending (a level holds, but not long enough), firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Inactive,
    /// Some level has held since `since` (the contract's t0).
    Pending {
        since: Millis,
    },
    /// `over_since`: no level holds, and `resolve_when` does, since then (the contract's t1).
    Firing {
        episode: Episode,
        over_since: MaybeMillis,
    },
}

impl AlertState {
    #[must_use]
    pub fn new(rule: RuleKey) -> Self {
        let never = MaybeMillis::NONE;
        Self { rule, phase: Phase::Inactive, due: never, resolved_at: never, fired: Fired::default() }
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        *self == Self::new(self.rule)
    }
}

impl Ledger {
    #[must_use]
    pub fn new(rule: RuleKey) -> Self {
        Self { rule, gate: None, firings: Vec::new(), passed: Vec::new(), dates: Vec::new() }
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.gate.is_none() && self.firings.is_empty() && self.passed.is_empty() && self.dates.is_empty()
    }
}

impl Customer {
    /// The customer's clock: the later of the partition's watermark and the customer's own latest event.
    #[must_use]
    pub fn clock(&self, watermark: Option<Millis>) -> Option<Millis> {
        self.latest.get().max(watermark)
    }

    /// Bytes of memory that it takes, itself included, but for [`Customer::held`]. About: what is told at once, for this is
    /// asked at every event.
    #[must_use]
    pub fn bytes(&self) -> usize {
        /// Of an id or another short text.
        const TEXT: usize = 32;
        let outside = |seen: &LastSeen| if seen.event_id.is_heap_allocated() { seen.event_id.capacity() } else { 0 };
        let silences = self.silences.iter().map(outside).sum::<usize>()
            + if self.silences.spilled() { self.silences.capacity() * size_of::<LastSeen>() } else { 0 };
        let alerts = if self.alerts.spilled() { self.alerts.capacity() * size_of::<AlertState>() } else { 0 };
        let items = self.items.capacity() * (size_of::<Item>() + 2 * TEXT);
        // Few customers have any, of which few have many.
        let rest = (self.ledgers.len() + self.bases.len()) * (size_of::<Ledger>() + 4 * TEXT)
            + self.former.as_ref().map_or(0, |former| size_of::<Former>() + former.silences.len() * 4 * TEXT);
        let attributes = self.attributes.len() * (size_of::<Attribute>() + TEXT);
        size_of::<Self>() + self.timeline.heap_bytes() + silences + alerts + items + rest + attributes
    }

    /// Asks for the parts that hang on the customer itself, which should be at hand: see [`crate::fetch`].
    pub fn fetch_parts(&self) {
        self.timeline.fetch_chunks();
        if self.alerts.spilled() {
            fetch(&*self.alerts);
        }
        fetch_line(self.attributes.as_ptr());
        self.held.fetch();
    }

    /// Asks for the latest events. The parts should be at hand.
    pub fn fetch_events(&self) {
        self.timeline.fetch_latest();
    }

    /// The earliest instant at which something of this customer is due.
    #[must_use]
    pub fn due(&self) -> Option<Millis> {
        let alerts = self.alerts.iter().chain(self.items.iter().map(|item| &item.alert));
        alerts.filter_map(|alert| alert.due.get()).min()
    }

    /// The latest event of a silence.
    #[must_use]
    pub fn last_seen(&self, key: u64) -> Option<&LastSeen> {
        self.silences.iter().find(|seen| seen.key == key)
    }

    /// Whether no event of this customer has ever been accepted.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.first_seen.get().is_none() && self.attributes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_often_it_fired_counts_at_one_instant_only() {
        assert_eq!((Fired::default().times_at(0), Fired::default().only_at(0).get()), (0, None));
        let fired = Fired::at(7, 2);
        assert_eq!((fired.get(), fired.times_at(7), fired.times_at(8)), (Some((7, 2)), 3, 0));
        assert_eq!((fired.only_at(7), fired.only_at(8)), (fired, Fired::default()));
    }

    /// What is read for every event. It may grow for a reason, not by itself.
    #[test]
    fn a_customer_is_small() {
        assert!(size_of::<Customer>() <= 320, "{} bytes", size_of::<Customer>());
        assert!(size_of::<AlertState>() <= 64, "{} bytes", size_of::<AlertState>());
    }

    #[test]
    fn what_lies_elsewhere_is_counted() {
        let seen = |event_id: &str| LastSeen { key: 1, at: 0, event_id: event_id.into() };
        let with = |silences: Vec<LastSeen>| Customer { silences: silences.into(), ..Customer::default() }.bytes();
        let (nothing, long) = (Customer::default().bytes(), "x".repeat(36));
        assert_eq!(with(vec![seen("short")]), nothing);
        assert_eq!(with(vec![seen(&long)]), nothing + long.len());
        assert!(with(vec![seen("one"), seen("two")]) >= nothing + 2 * size_of::<LastSeen>());
    }
}
