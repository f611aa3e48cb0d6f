//! Section 6: what a change of the rule set does, for every customer, at the customer's clock.

use super::Settings;
use super::judging::{self, Look};
use super::measure::{Held, Measure, Selection, Stands, Window};
use super::observe_change::{self, Looked};
use super::rule::{Kind, Rule};
use super::state::State;
use super::world::{Cause, Customer, Outcome, World};

/// A change of the rule set, between two events.
#[derive(Clone, Debug)]
pub struct Change {
    /// It comes before the event at this place, or after all of them.
    pub place: usize,
    /// All rules from then on.
    pub rules: Vec<Rule>,
}

impl<'a> World<'a> {
    pub fn change(&mut self, rules: &'a [Rule]) {
        let old = std::mem::replace(&mut self.rules, rules);
        for rule in rules.iter().filter(|rule| successor(rule, old).is_none()) {
            self.births.insert(rule.id.clone(), self.watermark);
        }
        let mut ids: Vec<String> = self.customers.keys().cloned().collect();
        // The contract names no order of customers: shorter ids first, as the engine has it.
        ids.sort_by_key(|id| (id.len(), id.clone()));
        for id in ids {
            let clock = self.clock(&id).expect("who is known has a clock");
            let customer = self.customers.get_mut(&id).expect("it was there");
            assert!(clock >= customer.judged, "judging went back in time");
            customer.judged = clock;
            let (settings, outcome) = (self.settings, &mut self.outcome);
            let mut change = Taking { customer, old, new: rules, clock, settings, outcome };
            let kept = change.end_what_is_gone();
            change.forget(self.settings.history_ms);
            change.judge(kept);
        }
    }
}

/// One customer at a change.
struct Taking<'a> {
    customer: &'a mut Customer,
    old: &'a [Rule],
    new: &'a [Rule],
    clock: i64,
    settings: &'a Settings,
    outcome: &'a mut Outcome,
}

/// The rule of a set that goes on with what another remembers: not one of another kind, nor one that makes other items.
fn successor<'a>(rule: &Rule, set: &'a [Rule]) -> Option<&'a Rule> {
    set.iter().find(|other| other.id == rule.id && nature(other) == nature(rule))
}

/// The kind of a rule, and what makes its items.
fn nature(rule: &Rule) -> String {
    match &rule.kind {
        Kind::Condition => "condition".to_owned(),
        Kind::Item(items) => format!("{:?}", items.making),
        Kind::Date(_) => "date".to_owned(),
    }
}

impl<'a> Taking<'a> {
    /// "A rule that is gone: its firing alerts resolve, reason `rule_changed`; its state is dropped." What is left is how often
    /// it has fired, for the ids of alerts. Returns what goes on.
    fn end_what_is_gone(&mut self) -> Vec<(&'a Rule, State)> {
        let states = std::mem::take(&mut self.customer.states);
        let mut kept = vec![];
        for (rule, mut state) in self.old.iter().zip(states) {
            if successor(rule, self.new).is_some() {
                kept.push((rule, state));
                continue;
            }
            self.end(rule, &mut state);
            self.customer.past.insert(rule.id.clone(), state.fired);
        }
        kept
    }

    fn end(&mut self, rule: &Rule, state: &mut State) {
        let cause = Cause::Change { is_new: false, came_back: false };
        let (held, customer) = (&self.customer.held, self.customer.id.as_str());
        let look = Look { customer, held, at: self.clock, cause, settings: self.settings };
        observe_change::gone(&state.episode, &mut self.outcome.seen);
        if let Some(transition) = state.episode.end(self.clock, "rule_changed") {
            look.publish(&look.moment(rule, look.at, None), None, &transition, self.outcome);
        }
        for item in &mut state.items {
            observe_change::item_gone(&item.episode, &mut self.outcome.seen);
            if let Some(transition) = item.episode.end(self.clock, "rule_changed") {
                let moment = look.moment(rule, look.at, Some(&item.trigger));
                look.publish(&moment, Some(&item.key), &transition, self.outcome);
            }
        }
    }

    /// A silence remembers its event for good, but a new one looks back no further than the history before the customer's
    /// latest event: the choice that `rules/README.md` writes down.
    fn forget(&mut self, history_ms: i64) {
        let held = &mut self.customer.held;
        let latest = held.iter().filter(|held| !held.attributes_only).map(|held| held.event.at).max();
        let (asked, asks) = (silences(self.old), silences(self.new));
        for silence in asks.iter().filter(|silence| !asked.contains(silence)) {
            let too_old = |held: &&mut Held| latest.is_some_and(|latest| held.event.at < latest - history_ms);
            for held in held.iter_mut().filter(too_old) {
                held.unseen_by.insert(silence.clone());
            }
            self.outcome.seen.note("change: a silence is asked for anew");
        }
    }

    fn judge(&mut self, mut kept: Vec<(&Rule, State)>) {
        for rule in self.new {
            let before = kept.iter().position(|(old, _)| old.id == rule.id).map(|place| kept.remove(place));
            let past = self.customer.past.get(&rule.id).cloned();
            let came_back = before.is_none() && past.is_some();
            let (old, mut state) = match before {
                Some((old, state)) => (Some(old), state),
                None => (None, State::new(Some(self.clock), past.unwrap_or_default())),
            };
            let cause = Cause::Change { is_new: old.is_none(), came_back };
            let (held, customer) = (&self.customer.held, self.customer.id.as_str());
            let look = Look { customer, held, at: self.clock, cause, settings: self.settings };
            if old.is_some_and(|old| decides(old) == decides(rule)) {
                if matches!(rule.kind, Kind::Condition) {
                    let moment = look.moment(rule, look.at, None);
                    let (before, standing) = (&state.episode, moment.standing());
                    let (is_new, came_back, firings) = (false, false, vec![]);
                    let looked =
                        Looked { moment, is_new, came_back, same: true, before, firings, standing, transition: None };
                    observe_change::judged(&looked, &mut self.outcome.seen);
                }
            } else {
                judging::judge(rule, &mut state, &look, self.outcome);
            }
            self.customer.states.push(state);
        }
    }
}

fn silences(rules: &[Rule]) -> Vec<String> {
    let measures = rules.iter().flat_map(|rule| &rule.lets).map(|(_, measure)| measure);
    let silences = measures.filter_map(|measure| match measure {
        Measure::Silence(silence) => Some(silence.selection.meaning()),
        _ => None,
    });
    silences.collect()
}

/// All that decides when a rule fires and resolves, as text: not its label, not the names of its values, not a value that no
/// expression mentions.
fn decides(rule: &Rule) -> String {
    let mut levels = rule.levels();
    levels.sort_by_key(|(severity, _)| *severity);
    let times = (rule.hold_ms, rule.keep_firing_ms, rule.cooldown_ms);
    let conditions = (&rule.scope, &rule.require, &rule.resolve_when);
    let mut text = format!("{:?} {conditions:?} {levels:?} {times:?}", rule.kind);
    for (name, measure) in &rule.lets {
        text = text.replace(&format!("Let({name:?})"), &format!("Let({})", measure.meaning()));
    }
    text
}

impl Measure {
    fn meaning(&self) -> String {
        match self {
            Measure::Count(count) => format!("count {} {}", count.selection.meaning(), count.window.meaning()),
            Measure::Sum(sum) => {
                format!("sum {} {}", sum.selection.meaning_of(&sum.fields), sum.window.meaning())
            }
            Measure::Aggregate(aggregate) => {
                let (what, fields) = (aggregate.what, aggregate.selection.meaning_of(&aggregate.fields));
                format!("{what:?} {fields} {}", aggregate.window.meaning())
            }
            Measure::MedianGap(gap) => format!("gap {} {}", gap.selection.meaning(), gap.window.meaning()),
            Measure::Open(open) => format!("{open:?}"),
            Measure::Silence(silence) => {
                format!("silence {} {}", silence.selection.meaning(), silence.since_first_seen)
            }
        }
    }
}

impl Window {
    fn meaning(self) -> String {
        match self.stands {
            // It has no length.
            Stands::SinceTheTrigger => "item".to_owned(),
            Stands::AtTheInstant | Stands::BeforeTheTrigger => format!("{self:?}"),
        }
    }
}

impl Selection {
    /// In whatever order the types are listed.
    pub fn meaning(&self) -> String {
        let mut kinds = self.kinds.clone();
        kinds.sort_unstable();
        format!("{kinds:?} {:?}", self.filter)
    }

    /// The same of a field of each type.
    fn meaning_of(&self, fields: &[&str]) -> String {
        let mut fields: Vec<_> = self.kinds.iter().zip(fields).collect();
        fields.sort();
        format!("{fields:?} {:?}", self.filter)
    }
}
