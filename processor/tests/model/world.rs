//! Events in the order of arrival, clocks and the watermark: what is judged when, and in which order.
//!
//! One partition. Per customer everything due at or before its clock has been judged, always; the assertion in `episode`
//! would notice if it had not.

use super::coverage::Seen;
use super::due::{Instants, next_due};
use super::episode::{Episode, Transition};
use super::event::{Event, PROFILE};
use super::judging::{self, Look};
use super::measure::Held;
use super::observe;
use super::observe_change;
use super::rule::Rule;
use super::standing::{Moment, Standing};
use super::state::{Fired, State};
use super::{Case, Settings};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub struct Customer {
    pub id: String,
    /// All accepted events, in the order of arrival; nothing is ever dropped.
    pub held: Vec<Held>,
    /// One for each rule.
    pub states: Vec<State>,
    /// The latest instant that was judged.
    pub judged: i64,
    /// All firings of each rule that has ever gone, when it last went.
    pub past: BTreeMap<String, Vec<Fired>>,
}

/// What led to an instant being judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    OwnEvent,
    LateEvent,
    DueBeforeOwnEvent,
    DueByWatermark,
    DueByUntil,
    /// The rules have changed, this one too.
    Change {
        is_new: bool,
        came_back: bool,
    },
}

/// One judgement of one rule, for whoever wants to look on.
#[derive(Debug)]
pub struct Judgement<'a> {
    pub moment: Moment<'a>,
    pub cause: Cause,
    pub before: &'a Episode,
    /// The instants of all firings before, of this customer or item.
    pub firings: Vec<i64>,
    pub standing: Standing,
    pub transition: Option<Transition>,
}

/// The records in order, and what else there is to know of the run.
#[derive(Debug, Default)]
pub struct Outcome {
    pub records: Vec<serde_json::Value>,
    pub seen: Seen,
}

#[derive(Debug)]
pub struct World<'a> {
    pub rules: &'a [Rule],
    pub settings: &'a Settings,
    instants: Instants,
    pub watermark: Option<i64>,
    /// Rules that were new at a change, with the watermark of then: for customers who come later.
    pub births: BTreeMap<String, Option<i64>>,
    accepted: usize,
    pub customers: BTreeMap<String, Customer>,
    pub outcome: Outcome,
}

pub fn run(case: &Case) -> Outcome {
    run_at(case, Instants::Candidates)
}

pub fn run_at(case: &Case, instants: Instants) -> Outcome {
    let mut world = World { instants, ..World::new(&case.rules, &case.settings) };
    let mut changes = case.changes.iter().peekable();
    for place in 0..=case.events.len() {
        while let Some(change) = changes.next_if(|change| change.place == place) {
            world.change(&change.rules);
        }
        if let Some(event) = case.events.get(place) {
            world.arrive(event);
        }
    }
    assert!(changes.next().is_none(), "changes are by their place");
    world.finish();
    observe::records(&world.outcome.records, &mut world.outcome.seen);
    observe_change::run(case, &world.outcome.records, &mut world.outcome.seen);
    world.outcome
}

impl<'a> World<'a> {
    pub fn new(rules: &'a [Rule], settings: &'a Settings) -> Self {
        World {
            rules,
            settings,
            instants: Instants::Candidates,
            watermark: None,
            births: BTreeMap::new(),
            accepted: 0,
            customers: BTreeMap::new(),
            outcome: Outcome::default(),
        }
    }

    pub fn arrive(&mut self, event: &Event) {
        if self.settings.until_ms.is_some_and(|until| event.at > until) {
            self.outcome.seen.note("left out after `until`");
            return;
        }
        let clock = self.clock(&event.customer);
        let held = self.customers.get(&event.customer).map_or(&[][..], |customer| &customer.held);
        let too_old = clock.is_some_and(|clock| event.at < clock - self.settings.history_ms);
        // What lies before the history is not held any more, so a profile of that age is never known for a duplicate.
        let is_same = |held: &Held| held.event.id == event.id && held.event.at == event.at;
        let duplicate = !too_old && held.iter().any(is_same);
        observe::arrival(event, held, clock, self.settings, &mut self.outcome.seen);
        if duplicate || (too_old && event.kind != PROFILE) {
            return;
        }
        match clock {
            Some(clock) if event.at <= clock => {
                self.accept(event, too_old);
                self.judge(&event.customer, clock, Cause::LateEvent);
            }
            _ => {
                while let Some(due) = self.due(&event.customer).filter(|due| *due < event.at) {
                    self.judge(&event.customer, due, Cause::DueBeforeOwnEvent);
                }
                self.accept(event, false);
                self.judge(&event.customer, event.at, Cause::OwnEvent);
            }
        }
        let moved = event.at - self.settings.max_out_of_orderness_ms;
        self.advance(moved, Cause::DueByWatermark);
    }

    /// Something else than these customers' events has moved the watermark.
    #[allow(dead_code, reason = "of use to who has the watermark of others: torture")]
    pub fn follow(&mut self, watermark: i64) {
        self.advance(watermark, Cause::DueByWatermark);
    }

    fn finish(&mut self) {
        if let Some(until) = self.settings.until_ms {
            self.advance(until, Cause::DueByUntil);
        }
    }

    /// The later of the watermark as it stands and the customer's own latest event.
    pub fn clock(&self, customer: &str) -> Option<i64> {
        let held = self.customers.get(customer).map_or(&[][..], |customer| &customer.held);
        held.iter().map(|held| held.event.at).max().max(self.watermark)
    }

    fn accept(&mut self, event: &Event, attributes_only: bool) {
        let birth = |rule: &Rule| self.births.get(&rule.id).copied().flatten();
        let customer = self.customers.entry(event.customer.clone()).or_insert_with(|| Customer {
            id: event.customer.clone(),
            held: vec![],
            states: self.rules.iter().map(|rule| State::new(birth(rule), vec![])).collect(),
            judged: i64::MIN,
            past: BTreeMap::new(),
        });
        let unseen_by = BTreeSet::new();
        customer.held.push(Held { arrival: self.accepted, event: event.clone(), attributes_only, unseen_by });
        self.accepted += 1;
    }

    fn due(&self, customer: &str) -> Option<i64> {
        let customer = self.customers.get(customer)?;
        next_due(self.rules, customer, customer.judged, self.instants, self.settings)
    }

    /// The watermark never goes back. What it makes due is judged by (instant, `customer_id`).
    fn advance(&mut self, to: i64, cause: Cause) {
        let watermark = self.watermark.map_or(to, |watermark| watermark.max(to));
        self.watermark = Some(watermark);
        loop {
            let due = self.customers.keys().filter_map(|customer| Some((self.due(customer)?, customer)));
            match due.min() {
                Some((due, customer)) if due <= watermark => {
                    let customer = customer.clone();
                    self.judge(&customer, due, cause);
                }
                _ => return,
            }
        }
    }

    /// Rule by rule, with all accepted events up to the instant.
    fn judge(&mut self, customer: &str, at: i64, cause: Cause) {
        let customer = self.customers.get_mut(customer).expect("only a known customer is judged");
        assert!(at >= customer.judged, "judging went back in time");
        assert!(customer.held.iter().all(|held| held.event.at <= at), "an event lies ahead of its customer's clock");
        customer.judged = at;
        let look = Look { customer: &customer.id, held: &customer.held, at, cause, settings: self.settings };
        for (rule, state) in self.rules.iter().zip(&mut customer.states) {
            judging::judge(rule, state, &look, &mut self.outcome);
        }
    }
}
