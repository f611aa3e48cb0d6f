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
mod life;
mod lookahead;
mod values;
mod verdict;

use std::sync::Arc;

pub use change::Change;

use crate::alert::{Details, Transition};
use crate::customer::{AlertState, Customer, LastSeen, Phase};
use crate::event::{Catalog, Event, PROFILE, Record, TypeId, stable_hash};
use crate::expr::{LetValue, Scope};
use crate::rule::{Rule, RuleSet};
use crate::time::{DAY, Duration, Millis};
use life::Turn;
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
    /// Tells the windows of this set from those of another.
    windows: u64,
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
        let windows = stable_hash(&format!("{:?}", set.windows));
        Self { set, settings, detail, profile: Catalog::type_id(PROFILE), concerned, every_rule, may_raise, windows }
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
        out: &mut Vec<Transition>,
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
        self.judge_concerned(customer, event.customer_id, rules, now, out);
        if late.is_some() { Outcome::Late } else { Outcome::Accepted }
    }

    /// Judges what is due at `at`. Earlier instants have been judged before.
    pub fn judge_due(&self, customer: &mut Customer, customer_id: &str, at: Millis, out: &mut Vec<Transition>) {
        self.judge_concerned(customer, customer_id, &[], at, out);
    }

    /// Judges every instant up to and including `through` at which something is due, in order.
    pub(crate) fn judge_through(
        &self,
        customer: &mut Customer,
        customer_id: &str,
        through: Millis,
        out: &mut Vec<Transition>,
    ) {
        while let Some(due) = customer.due().filter(|due| *due <= through) {
            self.judge_concerned(customer, customer_id, &[], due, out);
            debug_assert!(customer.due().is_none_or(|next| next > due), "due by a rule that is not in force");
        }
    }

    /// A profile event from before the history sets what no later one has said; the customer is judged at the clock.
    fn apply_old_profile(&self, customer: &mut Customer, event: &Event<'_>, clock: Millis, out: &mut Vec<Transition>) {
        let unknown = customer.is_unknown();
        if customer.attributes.apply(event.occurred_at, event.record) {
            (customer.changed, customer.attributes_changed) = (true, true);
            let rules = if unknown { &self.every_rule[..] } else { self.concerned(self.profile) };
            self.judge_concerned(customer, event.customer_id, rules, clock, out);
        }
    }

    /// Adds the event to all that is kept of the customer.
    fn remember(&self, customer: &mut Customer, at: Millis, record: Record<'_>) {
        customer.changed = true;
        let latest = customer.latest.map_or(at, |latest| latest.max(at));
        customer.latest = Some(latest);
        customer.first_seen = Some(customer.first_seen.map_or(at, |first| first.min(at)));
        customer.timeline.insert(at, record);
        for (held, window) in customer.windows.of(self.windows).iter_mut().zip(&self.set.windows) {
            if let Some(held) = held {
                held.insert(window, at, record);
            }
        }
        for silence in &self.set.silences {
            if silence.selector.select(record).is_some() {
                remember_silence(&mut customer.silences, silence.key, at, record.id());
            }
        }
        if record.type_id() == self.profile {
            customer.attributes_changed |= customer.attributes.apply(at, record);
        }
        // By the customer's own time, not by the watermark: so what is held is a matter of this customer's events alone.
        let horizon = latest - self.settings.history;
        if customer.timeline.forget_before(horizon) {
            for (held, window) in customer.windows.of(self.windows).iter_mut().zip(&self.set.windows) {
                *held = held.filter(|held| !held.reaches(window, horizon));
            }
        }
    }

    fn concerned(&self, type_id: TypeId) -> &[usize] {
        let place = self.concerned.binary_search_by_key(&type_id, |(concerned, _)| *concerned);
        place.map_or(&[], |place| &self.concerned[place].1)
    }

    /// Judges, in the order of the rules, those named and those due by `at`.
    fn judge_concerned(
        &self,
        customer: &mut Customer,
        customer_id: &str,
        rules: &[usize],
        at: Millis,
        out: &mut Vec<Transition>,
    ) {
        if customer.due().is_none_or(|due| due > at) {
            for &place in rules {
                self.judge(customer, customer_id, place, at, out);
            }
            return;
        }
        for (place, rule) in self.set.rules.iter().enumerate() {
            let is_due = alert_of(customer, rule).is_some_and(|alert| alert.due.is_some_and(|due| due <= at));
            if is_due || rules.contains(&place) {
                self.judge(customer, customer_id, place, at, out);
            }
        }
    }

    /// Judges one rule at one instant.
    fn judge(&self, customer: &mut Customer, customer_id: &str, place: usize, at: Millis, out: &mut Vec<Transition>) {
        self.judge_by(life::step, customer, customer_id, place, at, out);
    }

    fn judge_by(
        &self,
        step: impl Fn(&Rule, AlertState, Verdict, Millis) -> (AlertState, Option<Turn>),
        customer: &mut Customer,
        customer_id: &str,
        place: usize,
        at: Millis,
        out: &mut Vec<Transition>,
    ) {
        let rule = &self.set.rules[place];
        let before = alert_of(customer, rule).copied().unwrap_or(AlertState::new(rule.key));
        let lets = self.values(rule, customer, at);
        let scope = Scope { at, lets: &lets, attributes: &customer.attributes, event: None, trigger: None };
        let verdict = verdict::verdict(rule, &scope);
        let (mut after, turn) = step(rule, before, verdict, at);
        after.due = if verdict == Verdict::OutOfScope {
            None
        } else {
            let is_quiet = after.phase == Phase::Inactive;
            let matters = |value: usize| !is_quiet || self.may_raise[place][value];
            let by_values = values::next_change(&self.set, rule, customer, &scope, matters);
            by_values.into_iter().chain(life::next_step(rule, &after)).min()
        };
        if let Some(turn) = turn {
            out.push(self.transition(turn, rule, customer, customer_id, &lets, at));
        }
        if after != before {
            customer.changed = true;
            put_alert(&mut customer.alerts, after);
        }
    }

    /// Every value of the rule's `let`, in its order.
    fn values(&self, rule: &Rule, customer: &mut Customer, at: Millis) -> Vec<LetValue> {
        values::values(&self.set, self.windows, rule, customer, at)
    }

    fn transition(
        &self,
        turn: Turn,
        rule: &Arc<Rule>,
        customer: &Customer,
        customer_id: &str,
        lets: &[LetValue],
        at: Millis,
    ) -> Transition {
        let details = (self.detail == Detail::Full).then(|| self.details(rule, customer, lets, at));
        Transition { details, ..turn.into_transition(rule.clone(), customer_id, at) }
    }

    /// The facts behind a transition.
    fn details(&self, rule: &Rule, customer: &Customer, lets: &[LetValue], at: Millis) -> Details {
        Details {
            values: values::owned(lets, at),
            customer: customer.attributes.clone(),
            trigger: None,
            evidence: evidence::evidence(&self.set, rule, customer, at),
        }
    }
}

fn alert_of<'a>(customer: &'a Customer, rule: &Rule) -> Option<&'a AlertState> {
    let place = customer.alerts.binary_search_by_key(&rule.key, |alert| alert.rule).ok()?;
    Some(&customer.alerts[place])
}

fn put_alert(alerts: &mut Vec<AlertState>, state: AlertState) {
    match alerts.binary_search_by_key(&state.rule, |alert| alert.rule) {
        Ok(place) if state.is_blank() => drop(alerts.remove(place)),
        Ok(place) => alerts[place] = state,
        Err(_) if state.is_blank() => {}
        Err(place) => alerts.insert(place, state),
    }
}

/// Of events at one instant the one that arrived last is the latest. Who is heard of moves to the end, so that the order
/// tells which of two came last.
fn remember_silence(silences: &mut Vec<LastSeen>, key: u64, at: Millis, event_id: &str) {
    if let Some(place) = silences.iter().position(|seen| seen.key == key) {
        if silences[place].at > at {
            return;
        }
        silences.remove(place);
    }
    silences.push(LastSeen { key, at, event_id: event_id.into() });
}
