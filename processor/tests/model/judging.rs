//! One rule, one customer, one judged instant: what comes of it?

use super::Settings;
use super::episode::Transition;
use super::measure::Held;
use super::observe;
use super::observe_change::{self, Looked};
use super::observe_values;
use super::record::record;
use super::rule::{Kind, Rule};
use super::standing::Moment;
use super::state::State;
use super::world::{Cause, Judgement, Outcome};
use super::{judging_dates, judging_once, judging_until};

/// Who is looked at, when, and why.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    pub customer: &'a str,
    pub held: &'a [Held],
    pub at: i64,
    pub cause: Cause,
    pub settings: &'a Settings,
}

impl<'a> Look<'a> {
    /// As of an instant, which is this one or before it.
    pub fn moment(&self, rule: &'a Rule, at: i64, trigger: Option<&'a Held>) -> Moment<'a> {
        Moment { rule, held: self.held, at, trigger, settings: self.settings }
    }

    pub fn is_change(&self) -> bool {
        matches!(self.cause, Cause::Change { .. })
    }

    pub fn publish(&self, moment: &Moment<'_>, item: Option<&str>, transition: &Transition, outcome: &mut Outcome) {
        outcome.records.push(record(moment, self.customer, item, transition));
        observe_values::published(moment, &mut outcome.seen);
    }
}

pub fn judge(rule: &Rule, state: &mut State, look: &Look<'_>, outcome: &mut Outcome) {
    match &rule.kind {
        Kind::Condition => judge_condition(rule, state, look, outcome),
        Kind::Item(items) if items.making.until.is_empty() => judging_once::judge(rule, items, state, look, outcome),
        Kind::Item(items) => judging_until::judge(rule, items, state, look, outcome),
        Kind::Date(date) => judging_dates::judge(rule, date, state, look, outcome),
    }
}

fn judge_condition(rule: &Rule, state: &mut State, look: &Look<'_>, outcome: &mut Outcome) {
    let moment = look.moment(rule, look.at, None);
    let (standing, before) = (moment.standing(), state.episode.clone());
    let (firings, further) = (state.firings(None), state.further(None, look.at));
    let episode = &mut state.episode;
    let transition = if look.is_change() {
        episode.judge_change(rule, standing, look.at, further)
    } else {
        episode.judge(rule, standing, look.at, further)
    };
    if let Some(transition) = &transition {
        look.publish(&moment, None, transition, outcome);
        if transition.name == "fired" {
            state.note_firing(None, look.at);
        }
    }
    if let Cause::Change { is_new, came_back } = look.cause {
        let before = &before;
        let looked = Looked { moment, is_new, came_back, same: false, before, firings, standing, transition };
        observe_change::judged(&looked, &mut outcome.seen);
    } else {
        let judgement = Judgement { moment, cause: look.cause, before: &before, firings, standing, transition };
        observe::judgement(&judgement, &mut outcome.seen);
    }
}
