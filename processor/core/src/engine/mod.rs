//! How one customer is judged.
//!
//! ```text
//!   event ──> refused? (too old, duplicate)
//!               │ no
//!               ├─> what was due strictly before it   judge each instant
//!               ├─> remember it                        timeline, silences, attributes, held windows
//!               └─> what it concerns, now              judge at the event's time, or at the clock if it is late
//!
//!   judge a rule at t:  values ──> verdict (scope, require, levels) ──> step of the alert's life ──> next due instant
//! ```
//!
//! [`values`] asks the timeline, [`verdict`] the conditions, [`life`] decides, [`evidence`] explains; [`change`] is for
//! when the rules are no longer the same. Every answer depends on the customer's state, the event and the watermark alone.

mod change;
mod evidence;
mod items;
mod ledgers;
mod life;
mod lookahead;
mod occasions;
mod values;
mod verdict;

use std::sync::Arc;

pub use change::Change;

use crate::alert::{Details, Judged, Transition, Trigger};
use crate::attributes::Attribute;
use crate::customer::{AlertState, AlertStates, Base, Customer, LastSeen, Phase, Silences};
use crate::event::{Catalog, Event, PROFILE, Record, TypeId, stable_hash};
use crate::expr::{LetValue, Scope};
use crate::rule::{Items, LetSource, Rule, RuleSet, Subject, Tracker};
use crate::time::{DAY, Duration, Millis};
use crate::tracker::Opening;
use crate::window;
use life::Turn;
use values::{Keeping, Moment};
use verdict::Verdict;

/// What, beside events and rules, can change an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long events are kept and how late they may be.
    pub history: Duration,
    /// Open items that one rule holds for one customer; further triggers open none.
    pub max_open_items: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { history: 400 * DAY, max_open_items: 1_000 }
    }
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Accepted,
    /// Accepted, at or before the customer's clock.
    Late,
    /// An event with its id and time is held already; nothing changed.
    Duplicate,
    /// A `profile` event from before the clock minus the history: it set attributes of which nothing newer is held.
    AttributesOnly,
    /// Before the clock minus the history; nothing changed.
    TooOld,
}

/// How much of a transition is wanted: working out the facts behind it costs more than finding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    TransitionsOnly,
    Full,
}

/// Why a rule is judged.
#[derive(Clone, Copy, Debug)]
enum Cause<'e> {
    /// Time has come to an instant at which something of it was due.
    Due,
    /// An event that concerns it; whether it came late.
    Event { at: Millis, record: Record<'e>, is_late: bool },
    /// An attribute became known that is older than all that is held.
    Refreshed,
    /// The rules are others; whether this one is new.
    Change { is_new: bool },
}

/// What a rule says at a moment.
struct Look {
    lets: Vec<LetValue>,
    verdict: Verdict,
}

/// A tracker that has to know what was open before the earliest event that is held.
#[derive(Clone, Debug)]
struct Crowded {
    /// Its number among a customer's bases.
    base: u64,
    tracker: Tracker,
    limit: usize,
}

/// Rules made ready, and the settings they are judged by.
#[derive(Clone, Debug)]
pub struct Engine {
    set: Arc<RuleSet>,
    settings: Settings,
    detail: Detail,
    profile: TypeId,
    /// For each event type that any rule is about, the places of those rules, in order.
    concerned: Vec<(TypeId, Vec<usize>)>,
    every_rule: Vec<usize>,
    /// For each rule and each of its values, whether its falling can make a level appear.
    may_raise: Vec<Vec<bool>>,
    /// The values of each rule that it needs to be at least something, with the most that they can become known.
    bounded: Vec<Vec<bool>>,
    keeping: Keeping,
    /// The trackers of which an item keeps others from opening.
    crowded: Vec<Crowded>,
    /// Whether a rule judges items as of instants that may be past.
    looks_back: bool,
}

impl Engine {
    #[must_use]
    pub fn new(set: Arc<RuleSet>, catalog: &Catalog, settings: Settings, detail: Detail) -> Self {
        let concerned = catalog
            .types()
            .iter()
            .map(|event_type| {
                let rules = (0..set.rules.len()).filter(|place| set.rules[*place].concerns(event_type.id, &set));
                (event_type.id, rules.collect())
            })
            .collect();
        let every_rule = (0..set.rules.len()).collect();
        let may_raise = set.rules.iter().map(|rule| lookahead::may_raise(&set, rule)).collect();
        let bounded = set.rules.iter().map(|rule| lookahead::is_bounded(&set, rule)).collect();
        let number = stable_hash(&format!("{:?} {:?}", set.windows, set.openings));
        let keeping = Keeping { number, keeps: set.reach(settings.history) };
        let crowded = crowded(&set, settings.max_open_items);
        let profile = Catalog::type_id(PROFILE);
        let looks_back =
            set.rules.iter().any(|rule| matches!(&rule.subject, Subject::Item(items) if items.judged_once));
        Self { set, settings, detail, profile, concerned, every_rule, may_raise, bounded, keeping, crowded, looks_back }
    }

    #[must_use]
    pub fn rules(&self) -> &RuleSet {
        &self.set
    }

    /// Takes in an event; `watermark` is the partition's as it stood before. Transitions are appended to `out` in the
    /// order of judging.
    pub fn apply(
        &self,
        customer: &mut Customer,
        event: &Event<'_>,
        watermark: Option<Millis>,
        out: &mut Judged,
    ) -> Outcome {
        let at = event.occurred_at;
        let clock = customer.clock(watermark);
        if let Some(clock) = clock.filter(|clock| at < clock - self.settings.history) {
            if event.record.type_id() != self.profile {
                return Outcome::TooOld;
            }
            self.apply_old_profile(customer, event, clock, out);
            return Outcome::AttributesOnly;
        }
        let late = clock.filter(|clock| at <= *clock);
        if late.is_some() && customer.timeline.contains(at, event.record.id()) {
            return Outcome::Duplicate;
        }
        if late.is_none() {
            self.judge_through(customer, event.customer_id, at - 1, out);
        }
        let is_first = customer.first_seen.is_none_or(|first| at < first);
        self.remember(customer, at, event.record);
        let now = late.unwrap_or(at);
        let rules = if is_first { &self.every_rule[..] } else { self.concerned(event.record.type_id()) };
        let cause = Cause::Event { at, record: event.record, is_late: late.is_some() };
        self.judge_concerned((customer, event.customer_id), rules, now, cause, out);
        if late.is_some() { Outcome::Late } else { Outcome::Accepted }
    }

    /// Judges what is due at `at`. Earlier instants have been judged before.
    pub fn judge_due(&self, customer: &mut Customer, customer_id: &str, at: Millis, out: &mut Judged) {
        self.judge_concerned((customer, customer_id), &[], at, Cause::Due, out);
    }

    /// Judges every instant up to and including `through` at which something is due, in order.
    pub(crate) fn judge_through(&self, customer: &mut Customer, customer_id: &str, through: Millis, out: &mut Judged) {
        while let Some(due) = customer.due().filter(|due| *due <= through) {
            self.judge_concerned((customer, customer_id), &[], due, Cause::Due, out);
            debug_assert!(customer.due().is_none_or(|next| next > due), "due by a rule that is not in force");
        }
    }

    /// A profile event from before the history sets what no later one has said; the customer is judged at the clock.
    fn apply_old_profile(&self, customer: &mut Customer, event: &Event<'_>, clock: Millis, out: &mut Judged) {
        let unknown = customer.is_unknown();
        if self.looks_back {
            keep_for_the_past(customer, event);
        }
        if customer.attributes.apply(event.occurred_at, event.record) {
            (customer.changed, customer.attributes_changed) = (true, true);
            let rules = if unknown { &self.every_rule[..] } else { self.concerned(self.profile) };
            // It is not held, so it opens no item and closes none.
            for &place in rules {
                self.judge((customer, event.customer_id), place, clock, Cause::Refreshed, out);
            }
        }
    }

    /// Adds the event to all that is kept of the customer.
    fn remember(&self, customer: &mut Customer, at: Millis, record: Record<'_>) {
        customer.changed = true;
        let before = customer.latest.map(|latest| latest - self.keeping.keeps);
        let latest = customer.latest.map_or(at, |latest| latest.max(at));
        customer.latest = Some(latest);
        customer.first_seen = Some(customer.first_seen.map_or(at, |first| first.min(at)));
        customer.timeline.insert(at, record);
        customer.held.insert(self.keeping.number, &self.set, at, record);
        for silence in &self.set.silences {
            if silence.selector.select(record).is_some() {
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
        if customer.timeline.forget_before(horizon) {
            customer.held.forget_before(horizon);
        }
    }

    /// Lets go of what was open before the horizon, but for what still keeps others from opening.
    fn advance_bases(&self, customer: &mut Customer, before: Millis, horizon: Millis) {
        if self.crowded.is_empty() || (customer.timeline.starts_at(horizon) && customer.bases.is_empty()) {
            return;
        }
        let mut bases = Vec::new();
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
    fn set_attributes(&self, customer: &mut Customer, at: Millis, record: Record<'_>) {
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

    /// Keeps, of what is let go of, what the past may be asked for.
    fn advance_former(&self, customer: &mut Customer, before: Millis, horizon: Millis) {
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

    fn concerned(&self, type_id: TypeId) -> &[usize] {
        let place = self.concerned.binary_search_by_key(&type_id, |(concerned, _)| *concerned);
        place.map_or(&[], |place| &self.concerned[place].1)
    }

    /// Judges, in the order of the rules, those named and those due by `at`.
    fn judge_concerned(
        &self,
        (customer, customer_id): (&mut Customer, &str),
        rules: &[usize],
        at: Millis,
        cause: Cause<'_>,
        out: &mut Judged,
    ) {
        if customer.due().is_none_or(|due| due > at) {
            for &place in rules {
                self.judge((customer, customer_id), place, at, cause, out);
            }
            return;
        }
        for (place, rule) in self.set.rules.iter().enumerate() {
            if rules.contains(&place) {
                self.judge((customer, customer_id), place, at, cause, out);
            } else if is_due(customer, rule, at) {
                self.judge((customer, customer_id), place, at, Cause::Due, out);
            }
        }
    }

    /// Judges one rule at one instant.
    fn judge(
        &self,
        (customer, customer_id): (&mut Customer, &str),
        place: usize,
        at: Millis,
        cause: Cause<'_>,
        out: &mut Judged,
    ) {
        let rule = &self.set.rules[place];
        match &rule.subject {
            Subject::Customer => self.judge_condition((customer, customer_id), place, at, cause, out),
            Subject::Item(items) => self.judge_items((place, items), (customer, customer_id), at, cause, out),
            Subject::Date(occasion) => self.judge_occasion((rule, occasion), (customer, customer_id), at, cause, out),
        }
    }

    fn judge_condition(
        &self,
        (customer, customer_id): (&mut Customer, &str),
        place: usize,
        at: Millis,
        cause: Cause<'_>,
        out: &mut Judged,
    ) {
        let rule = &self.set.rules[place];
        let before = alert_of(customer, rule).copied().unwrap_or(AlertState::new(rule.key));
        let moment = Moment::now(at);
        let look = self.look(rule, customer, moment);
        let step = if let Cause::Change { .. } = cause { life::step_changed } else { life::step };
        let (mut after, turn) = step(rule, before, look.verdict, at);
        after.due = self.next_due(place, customer, &look, &after, moment);
        if let Some(turn) = turn {
            out.transitions.push(self.transition(turn, rule, (customer, customer_id), &look.lets, moment));
        }
        if after != before {
            customer.changed = true;
            put_alert(&mut customer.alerts, after);
        }
    }

    /// What the rule says of the customer, or of one of its items.
    fn look(&self, rule: &Rule, customer: &mut Customer, moment: Moment<'_>) -> Look {
        let lets = values::values(&self.set, self.keeping, rule, customer, moment);
        let attributes = values::attributes(customer, self.profile, moment);
        let trigger = trigger_of(customer, moment);
        let scope = Scope { at: moment.at, lets: &lets, attributes: &attributes, event: None, trigger };
        let verdict = verdict::verdict(rule, &scope);
        Look { lets, verdict }
    }

    /// When the outcome can change next with no event arriving.
    fn next_due(
        &self,
        place: usize,
        customer: &mut Customer,
        look: &Look,
        state: &AlertState,
        moment: Moment<'_>,
    ) -> Option<Millis> {
        if look.verdict == Verdict::OutOfScope {
            return None;
        }
        let rule = &self.set.rules[place];
        let is_quiet = state.phase == Phase::Inactive;
        if is_quiet && !self.may_hold(place, customer, look, moment) {
            return None;
        }
        let matters = |value: usize| !is_quiet || self.may_raise[place][value];
        let by_values = values::next_change(&self.set, self.keeping, rule, customer, moment, matters);
        let trigger = trigger_of(customer, moment);
        let attributes = &customer.attributes;
        let scope = Scope { at: moment.at, lets: &look.lets, attributes, event: None, trigger };
        let flip = values::next_flip(rule, &scope);
        by_values.into_iter().chain(flip).chain(life::next_step(rule, state)).min()
    }

    /// Whether an inactive rule may come to hold with no event arriving.
    fn may_hold(&self, place: usize, customer: &Customer, look: &Look, moment: Moment<'_>) -> bool {
        let bounded = &self.bounded[place];
        if !bounded.contains(&true) || !customer.timeline.is_small() {
            return true;
        }
        let rule = &self.set.rules[place];
        let attributes = &customer.attributes;
        let trigger = trigger_of(customer, moment);
        let scope = Scope { at: moment.at, lets: &look.lets, attributes, event: None, trigger };
        let most = |value: usize| match rule.lets[value].value {
            LetSource::Window(window) if bounded[value] => {
                let window = &self.set.windows[window];
                Some(window::ever_counted(window, &customer.timeline, moment.at) as f64)
            }
            _ => None,
        };
        lookahead::may_hold(rule, &scope, &most)
    }

    fn item_transition(
        &self,
        turn: Turn,
        rule: &Arc<Rule>,
        of: (&Customer, &str),
        opening: &Opening,
        lets: &[LetValue],
        moment: Moment<'_>,
    ) -> Transition {
        Transition { item: Some(opening.key.clone()), ..self.transition(turn, rule, of, lets, moment) }
    }

    fn transition(
        &self,
        turn: Turn,
        rule: &Arc<Rule>,
        (customer, customer_id): (&Customer, &str),
        lets: &[LetValue],
        moment: Moment<'_>,
    ) -> Transition {
        let details = (self.detail == Detail::Full).then(|| self.details(rule, customer, lets, moment));
        Transition { details, ..turn.into_transition(rule.clone(), customer_id, moment.at) }
    }

    /// The facts behind a transition.
    fn details(&self, rule: &Rule, customer: &Customer, lets: &[LetValue], moment: Moment<'_>) -> Details {
        let trigger = trigger_of(customer, moment);
        Details {
            values: values::owned(lets, moment.at),
            trigger: trigger.map(|(record, occurred_at)| Trigger { occurred_at, record: record.bytes().into() }),
            customer: values::attributes(customer, self.profile, moment).into_owned(),
            evidence: evidence::evidence(&self.set, rule, self.keeping.keeps, customer, moment),
        }
    }
}

/// By key, or by the limit. One whose items are open no longer than an instant crowds nobody out.
fn crowded(set: &RuleSet, limit: usize) -> Vec<Crowded> {
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

/// The event that opened the item that is judged, and its time.
fn trigger_of<'c>(customer: &'c Customer, moment: Moment<'_>) -> Option<(Record<'c>, Millis)> {
    let anchor = moment.anchor?;
    Some((customer.timeline.find(anchor.at, anchor.event_id)?, anchor.at))
}

/// What an old profile event says of attributes of which something newer is held is true of the time between.
fn keep_for_the_past(customer: &mut Customer, event: &Event<'_>) {
    let since = event.occurred_at;
    for (name, value) in event.record.fields() {
        if customer.attributes.iter().any(|known| known.name.is(name) && known.since > since) {
            let attribute = Attribute { name: name.into(), since, value: value.value().to_owned() };
            customer.former.get_or_insert_default().attributes.put(attribute);
            customer.changed = true;
        }
    }
}

fn is_due(customer: &Customer, rule: &Rule, at: Millis) -> bool {
    let is_due = |alert: &AlertState| alert.due.is_some_and(|due| due <= at);
    match &rule.subject {
        Subject::Item(_) => customer.items.iter().any(|item| item.alert.rule == rule.key && is_due(&item.alert)),
        _ => alert_of(customer, rule).is_some_and(is_due),
    }
}

fn alert_of<'a>(customer: &'a Customer, rule: &Rule) -> Option<&'a AlertState> {
    let place = customer.alerts.binary_search_by_key(&rule.key, |alert| alert.rule).ok()?;
    Some(&customer.alerts[place])
}

fn put_alert(alerts: &mut AlertStates, state: AlertState) {
    match alerts.binary_search_by_key(&state.rule, |alert| alert.rule) {
        Ok(place) if state.is_blank() => drop(alerts.remove(place)),
        Ok(place) => alerts[place] = state,
        Err(_) if state.is_blank() => {}
        Err(place) => {
            alerts.insert(place, state);
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
