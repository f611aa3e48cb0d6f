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
//! [`memory`] keeps, [`values`] asks the timeline, [`verdict`] the conditions, [`life`] decides, [`evidence`] explains; [`change`] is for
//! when the rules are no longer the same. Every answer depends on the customer's state, the event and the watermark alone.

mod change;
mod evidence;
mod items;
mod ledgers;
mod life;
mod lookahead;
mod memory;
mod occasions;
mod values;
mod verdict;

use std::sync::Arc;

use smallvec::SmallVec;

pub use change::Change;

use crate::alert::{Detail, Details, Judged, Transition, Trigger};
use crate::customer::{AlertState, AlertStates, Customer, Phase};
use crate::event::{Catalog, Event, PROFILE, Record, TypeId, stable_hash};
use crate::expr::{LetValue, Scope};
use crate::rule::{Items, Let, LetSource, Rule, RuleKey, RuleSet, Subject, Tracker};
use crate::time::{DAY, Duration, Millis};
use crate::tracker::Opening;
use crate::value::OwnedValue;
use crate::window;
use life::Turn;
use memory::Crowded;
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
    lets: values::Lets,
    verdict: Verdict,
}

/// The places of rules that are to be judged when an event of a type comes, in order.
#[derive(Clone, Debug)]
struct Concerned {
    type_id: TypeId,
    /// Those that are about it.
    rules: Vec<usize>,
    /// Those, and whoever has something to say of a customer of whom nothing else is known.
    by_first: Vec<usize>,
}

/// Rules made ready, and the settings they are judged by.
#[derive(Clone, Debug)]
pub struct Engine {
    set: Arc<RuleSet>,
    settings: Settings,
    profile: TypeId,
    /// By event type.
    concerned: Vec<Concerned>,
    every_rule: Vec<usize>,
    /// Places of rules, by their keys.
    by_key: Vec<(RuleKey, usize)>,
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
    pub fn new(set: Arc<RuleSet>, catalog: &Catalog, settings: Settings) -> Self {
        let every_rule = (0..set.rules.len()).collect();
        let mut by_key: Vec<_> = set.rules.iter().enumerate().map(|(place, rule)| (rule.key, place)).collect();
        by_key.sort_unstable();
        let may_raise = set.rules.iter().map(|rule| lookahead::may_raise(&set, rule)).collect();
        let bounded = set.rules.iter().map(|rule| lookahead::is_bounded(&set, rule)).collect();
        let number = stable_hash(&format!("{:?} {:?}", set.windows, set.openings));
        let keeping = Keeping { number, keeps: set.reach(settings.history) };
        let crowded = memory::crowded(&set, settings.max_open_items);
        let profile = Catalog::type_id(PROFILE);
        let looks_back =
            set.rules.iter().any(|rule| matches!(&rule.subject, Subject::Item(items) if items.judged_once));
        let concerned = Vec::new();
        let mut engine = Self {
            set,
            settings,
            profile,
            concerned,
            every_rule,
            by_key,
            may_raise,
            bounded,
            keeping,
            crowded,
            looks_back,
        };
        engine.concerned = engine.by_type(catalog);
        engine
    }

    fn by_type(&self, catalog: &Catalog) -> Vec<Concerned> {
        let greets: Vec<bool> = self.every_rule.iter().map(|place| self.greets(*place)).collect();
        let of_type = |type_id| {
            let is_about = |place: &usize| self.set.rules[*place].concerns(type_id, &self.set);
            let rules: Vec<usize> = self.every_rule.iter().copied().filter(is_about).collect();
            let by_first = self.every_rule.iter().copied().filter(|place| greets[*place] || is_about(place));
            Concerned { type_id, by_first: by_first.collect(), rules }
        };
        catalog.types().iter().map(|event_type| of_type(event_type.id)).collect()
    }

    /// Whether the rule has anything to say of a customer whose first event it is not about. What it says of somebody
    /// without events and attributes is always the same, unless it counts from the first event.
    fn greets(&self, place: usize) -> bool {
        let rule = &self.set.rules[place];
        let since_first_seen =
            |named: &Let| matches!(named.value, LetSource::Silence(place) if self.set.silences[place].since_first_seen);
        match &rule.subject {
            Subject::Item(_) => false,
            Subject::Date(_) => true,
            Subject::Customer if rule.lets.iter().any(since_first_seen) => true,
            Subject::Customer => {
                let (mut nobody, mut out) = (Customer::default(), Judged::default());
                self.judge_condition((&mut nobody, ""), place, 0, Cause::Due, &mut out);
                nobody != Customer::default() || !out.transitions.is_empty()
            }
        }
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
        let first_seen = customer.first_seen.get();
        self.remember(customer, at, event.record);
        let now = late.unwrap_or(at);
        let concerned = self.concerned(event.record.type_id());
        let rules = match first_seen {
            None if customer.attributes.is_empty() => {
                concerned.map_or(&self.every_rule, |concerned| &concerned.by_first)
            }
            Some(first_seen) if first_seen <= at => concerned.map_or(&[][..], |concerned| &concerned.rules),
            // Attributes became known, or it was first seen earlier than was thought.
            _ => &self.every_rule,
        };
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
            memory::keep_for_the_past(customer, event);
        }
        if customer.attributes.apply(event.occurred_at, event.record) {
            (customer.changed, customer.attributes_changed) = (true, true);
            let concerned = self.concerned(self.profile).map_or(&[][..], |concerned| &concerned.rules);
            let rules = if unknown { &self.every_rule } else { concerned };
            // It is not held, so it opens no item and closes none.
            for &place in rules {
                self.judge((customer, event.customer_id), place, clock, Cause::Refreshed, out);
            }
        }
    }

    fn concerned(&self, type_id: TypeId) -> Option<&Concerned> {
        let place = self.concerned.binary_search_by_key(&type_id, |concerned| concerned.type_id).ok()?;
        Some(&self.concerned[place])
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
        let mut places: SmallVec<[usize; 16]> = SmallVec::from_slice(rules);
        let alerts = customer.alerts.iter().chain(customer.items.iter().map(|item| &item.alert));
        for alert in alerts.filter(|alert| alert.due.get().is_some_and(|due| due <= at)) {
            // A rule that is gone has no place.
            if let Ok(found) = self.by_key.binary_search_by_key(&alert.rule, |(key, _)| *key)
                && !places.contains(&self.by_key[found].1)
            {
                places.push(self.by_key[found].1);
            }
        }
        places.sort_unstable();
        for place in places {
            let cause = if rules.contains(&place) { cause } else { Cause::Due };
            self.judge((customer, customer_id), place, at, cause, out);
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
        after.due = self.next_due(place, customer, &look, &after, moment).into();
        if let Some(turn) = turn {
            self.announce(turn, rule, (customer, customer_id), &look.lets, moment, out);
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
        let is_latest = customer.latest.get().is_none_or(|latest| latest <= moment.at);
        let most = |value: usize| match (rule.lets[value].value, look.lets.get(value)) {
            (LetSource::Window(window), Some(LetValue::Still(OwnedValue::Number(now)))) if bounded[value] => {
                let window = &self.set.windows[window];
                // What enters later has happened; so it is either the window that is behind, or we are.
                if is_latest && window.ends_now() {
                    return Some(*now);
                }
                Some(window::ever_counted(window, &customer.timeline, moment.at) as f64)
            }
            _ => None,
        };
        lookahead::may_hold(rule, &scope, &most)
    }

    fn announce_item(
        &self,
        turn: Turn,
        (rule, opening): (&Arc<Rule>, &Opening),
        of: (&Customer, &str),
        lets: &[LetValue],
        moment: Moment<'_>,
        out: &mut Judged,
    ) {
        let transition = self.transition(turn, rule, of, lets, (moment, out.detail));
        out.transitions.push(Transition { item: Some(opening.key.clone()), ..transition });
    }

    fn announce(
        &self,
        turn: Turn,
        rule: &Arc<Rule>,
        of: (&Customer, &str),
        lets: &[LetValue],
        moment: Moment<'_>,
        out: &mut Judged,
    ) {
        out.transitions.push(self.transition(turn, rule, of, lets, (moment, out.detail)));
    }

    fn transition(
        &self,
        turn: Turn,
        rule: &Arc<Rule>,
        (customer, customer_id): (&Customer, &str),
        lets: &[LetValue],
        (moment, detail): (Moment<'_>, Detail),
    ) -> Transition {
        let details = (detail == Detail::Full).then(|| self.details(rule, customer, lets, moment));
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

/// The event that opened the item that is judged, and its time.
fn trigger_of<'c>(customer: &'c Customer, moment: Moment<'_>) -> Option<(Record<'c>, Millis)> {
    let anchor = moment.anchor?;
    Some((customer.timeline.find(anchor.at, anchor.event_id)?, anchor.at))
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

#[cfg(test)]
mod tests;
