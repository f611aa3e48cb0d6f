//! Section 6: what a change of the rule set does, for every customer, at the customer's clock.

use super::episode::Episode;
use super::measure::{Held, Measure, Selection};
use super::observe_change::{self, Looked};
use super::record::record;
use super::rule::Rule;
use super::standing::Moment;
use super::world::{Customer, Outcome, World};

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
        let mut ids: Vec<String> = self.customers.keys().cloned().collect();
        // The contract names no order of customers: shorter ids first, as the engine has it.
        ids.sort_by_key(|id| (id.len(), id.clone()));
        for id in ids {
            let clock = self.clock(&id).expect("who is known has a clock");
            let customer = self.customers.get_mut(&id).expect("it was there");
            assert!(clock >= customer.judged, "judging went back in time");
            customer.judged = clock;
            let mut change = Taking { customer, old, new: rules, clock, outcome: &mut self.outcome };
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
    outcome: &'a mut Outcome,
}

impl<'a> Taking<'a> {
    /// "A rule that is gone: its firing alerts resolve, reason `rule_changed`; its state is dropped." What is left is how often
    /// it has fired, for the ids of alerts. Returns what goes on.
    fn end_what_is_gone(&mut self) -> Vec<(&'a Rule, Episode)> {
        let episodes = std::mem::take(&mut self.customer.episodes);
        let mut kept = vec![];
        for (rule, mut episode) in self.old.iter().zip(episodes) {
            if self.new.iter().any(|other| other.id == rule.id) {
                kept.push((rule, episode));
                continue;
            }
            let before = episode.clone();
            if let Some(transition) = episode.end(self.clock) {
                let moment = Moment { rule, held: &self.customer.held, at: self.clock };
                self.outcome.records.push(record(&moment, &self.customer.id, &episode, transition));
            }
            observe_change::gone(&before, &mut self.outcome.seen);
            self.customer.past.insert(rule.id.clone(), episode.firings);
        }
        kept
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

    fn judge(&mut self, mut kept: Vec<(&Rule, Episode)>) {
        for rule in self.new {
            let before = kept.iter().position(|(old, _)| old.id == rule.id).map(|place| kept.remove(place));
            let (old, mut episode) = before.map_or((None, Episode::default()), |(old, episode)| (Some(old), episode));
            if old.is_none() {
                episode.firings = self.customer.past.get(&rule.id).cloned().unwrap_or_default();
            }
            let moment = Moment { rule, held: &self.customer.held, at: self.clock };
            let (before, standing) = (episode.clone(), moment.standing());
            let same = old.is_some_and(|old| decides(old) == decides(rule));
            let transition = if same { None } else { episode.judge_change(rule, standing, self.clock) };
            if let Some(transition) = transition {
                self.outcome.records.push(record(&moment, &self.customer.id, &episode, transition));
            }
            let came_back = old.is_none() && self.customer.past.contains_key(&rule.id);
            let looked =
                Looked { moment, is_new: old.is_none(), came_back, same, before: &before, standing, transition };
            observe_change::judged(&looked, &mut self.outcome.seen);
            self.customer.episodes.push(episode);
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
    let mut text = format!("{:?} {:?} {:?} {levels:?} {times:?}", rule.scope, rule.require, rule.resolve_when);
    for (name, measure) in &rule.lets {
        text = text.replace(&format!("Let({name:?})"), &format!("Let({})", measure.meaning()));
    }
    text
}

impl Measure {
    fn meaning(&self) -> String {
        match self {
            Measure::Count(count) => format!("count {} {:?}", count.selection.meaning(), count.window),
            Measure::Sum(sum) => {
                let mut fields: Vec<_> = sum.selection.kinds.iter().zip(&sum.fields).collect();
                fields.sort();
                format!("sum {fields:?} {:?} {:?}", sum.selection.filter, sum.window)
            }
            Measure::Silence(silence) => {
                format!("silence {} {}", silence.selection.meaning(), silence.since_first_seen)
            }
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
}
