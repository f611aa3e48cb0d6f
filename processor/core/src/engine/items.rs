//! Rules with a `trigger`: which items are open, and what becomes of each.
//!
//! ```text
//!   event in its time    moves the items that are open           one step of the sweep
//!   late event, change   the sweep anew, from the earliest       what was open is found again by its trigger
//!                 │
//!                 └──> by opening:  ended       a firing alert resolves: closed, expired
//!                                   open        judged like a condition, from its time plus `after` on
//!                                   judged once as of its own instant, which may be in the past
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::life::{self, Turn};
use super::values::{self, Moment};
use super::verdict::Verdict;
use super::{Cause, Engine, ledgers};
use crate::alert::{Judged, Reason};
use crate::customer::{AlertState, Customer, Fired, Item, Ledger, Phase};
use crate::rule::{Items, Rule, RuleKey, Tracker};
use crate::time::Millis;
use crate::timeline::Timeline;
use crate::tracker::{End, Move, Opening, Sweep};
use crate::window::Anchor;

/// What is to be done about an item.
enum Step {
    /// Nothing: it waits for its instant, or has been judged.
    Keep(Item),
    /// Open; new ones are judged whatever the cause.
    Judge { item: Item, is_new: bool },
    /// Open no longer.
    End { item: Item, end: End },
    /// Judged as of the instant at which it runs out, then forgotten.
    Once(Opening),
}

impl Step {
    fn opening(&self) -> &Opening {
        match self {
            Self::Keep(item) | Self::Judge { item, .. } | Self::End { item, .. } => &item.opening,
            Self::Once(opening) => opening,
        }
    }
}

impl Engine {
    /// Brings the items of a rule up to `now`, and judges them.
    pub(super) fn judge_items(
        &self,
        (place, items): (usize, &Items),
        (customer, customer_id): (&mut Customer, &str),
        now: Millis,
        cause: Cause<'_>,
        out: &mut Judged,
    ) {
        let rule = &self.set.rules[place];
        let moves = match cause {
            Cause::Event { record, .. } => items.tracker.reads(record),
            Cause::Due | Cause::Refreshed | Cause::Change { .. } => None,
        };
        let (from, until) = range_of(&customer.items, rule.key);
        let is_change = matches!(cause, Cause::Change { .. });
        if from == until && moves.is_none() && !is_change {
            return;
        }
        let held: Vec<Item> = customer.items.drain(from..until).collect();
        let mut ledger = ledgers::of(customer, rule.key);
        let is_late = matches!(cause, Cause::Event { is_late: true, .. }) && moves.is_some();
        let steps = if is_late || is_change {
            if let Cause::Change { is_new: true } = cause {
                ledger.gate = items.judged_once.then_some(now);
            }
            let base = u64::from(rule.key.0);
            let limit = self.settings.max_open_items;
            let sweep = values::sweep(&items.tracker, base, customer, self.keeping.keeps, limit, now);
            if let Cause::Event { at, record, .. } = cause
                && sweep.refused.iter().any(|(time, id)| *time == at && **id == *record.id())
            {
                out.refused.push(rule.clone());
            }
            if items.judged_once {
                resume_once(rule.key, &items.tracker, &sweep, &held, &mut ledger, cause)
            } else {
                resume(rule.key, &customer.timeline, &sweep, &held)
            }
        } else {
            self.step_forward((rule, items), &held, &mut ledger, moves, now, cause, out)
        };
        let before = is_change.then_some(held);
        let mut kept = Vec::new();
        for step in steps {
            let of = (customer as &mut Customer, customer_id);
            match step {
                Step::Keep(item) => kept.push(item),
                Step::Judge { item, is_new } => {
                    kept.push(self.judge_item((place, items), of, &mut ledger, item, is_new, now, cause, out));
                }
                Step::End { item, end } => self.end_item(rule, of, &item, end, now, is_change, out),
                Step::Once(opening) => self.judge_once((place, items), of, &mut ledger, &opening, now, out),
            }
        }
        customer.changed |= before.is_none_or(|before| before != kept);
        customer.items.splice(from..from, kept);
        customer.held.keep_items(&customer.items);
        ledgers::put(customer, rule, self.keeping.keeps, now, ledger);
    }

    /// One step of the sweep: time has come to `now`, perhaps with an event.
    #[allow(clippy::too_many_arguments, reason = "as below")]
    fn step_forward(
        &self,
        (rule, items): (&Arc<Rule>, &Items),
        held: &[Item],
        ledger: &mut Ledger,
        moves: Option<Move>,
        now: Millis,
        cause: Cause<'_>,
        out: &mut Judged,
    ) -> Vec<Step> {
        let tracker = &items.tracker;
        let mut open = 0;
        let mut is_taken = false;
        let mut steps = Vec::with_capacity(held.len() + 1);
        for item in held {
            let runs_out = tracker.end_of(item.opening.at);
            let is_closed = match &moves {
                Some(Move::Closes(key)) => runs_out >= now && key.as_ref().is_none_or(|key| *key == item.opening.key),
                _ => false,
            };
            let item = item.clone();
            if is_closed {
                steps.push(Step::End { item, end: End::Closed });
            } else if runs_out <= now {
                if !items.judged_once {
                    steps.push(Step::End { item, end: End::RanOut });
                } else if !item.is_judged {
                    steps.push(Step::Once(item.opening));
                }
            } else {
                open += 1;
                is_taken |= matches!(&moves, Some(Move::Opens(key)) if tracker.is_keyed() && *key == item.opening.key);
                let step = if items.judged_once { Step::Keep(item) } else { Step::Judge { item, is_new: false } };
                steps.push(step);
            }
        }
        if let (Some(Move::Opens(key)), Cause::Event { at, record, .. }) = (moves, cause) {
            let opening = Opening { key, at, event_id: record.id().into() };
            let is_refused = !is_taken && open >= self.settings.max_open_items;
            if is_refused {
                out.refused.push(rule.clone());
            }
            if is_taken || is_refused {
                if items.judged_once {
                    ledger.passed.push((at, opening.event_id));
                }
            } else {
                steps.extend(begin(rule.key, items, opening, now));
            }
        }
        steps
    }

    /// Judges an open item; what is left of it.
    #[allow(clippy::too_many_arguments, reason = "an item is judged by all of these")]
    fn judge_item(
        &self,
        (place, items): (usize, &Items),
        (customer, customer_id): (&mut Customer, &str),
        ledger: &mut Ledger,
        mut item: Item,
        is_new: bool,
        now: Millis,
        cause: Cause<'_>,
        out: &mut Judged,
    ) -> Item {
        let rule = &self.set.rules[place];
        let runs_out = items.tracker.end_of(item.opening.at);
        let is_change = matches!(cause, Cause::Change { is_new: false });
        if matches!(cause, Cause::Due) && !is_new && item.alert.due.get().is_some_and(|due| due > now) {
            return item;
        }
        let moment = Moment { at: now, is_past: false, anchor: Some(anchor(&item.opening)) };
        let begins = item.opening.at.saturating_add(items.after);
        if now < begins {
            // Only a changed `after` takes an item back to before it begins.
            if let Some(turn) = life::end(item.alert) {
                let look = self.look(rule, customer, moment);
                self.announce_item(turn, (rule, &item.opening), (customer, customer_id), &look.lets, moment, out);
                item.alert.resolved_at = now.into();
            }
            item.alert.phase = Phase::Inactive;
            item.alert.due = begins.min(runs_out).into();
            return item;
        }
        let look = self.look(rule, customer, moment);
        let key = &*item.opening.key;
        let mut before = item.alert;
        before.fired = ledger.fired_at(key, now).map_or(Fired::default(), |firing| Fired::at(now, firing.refire));
        let step = if is_change { life::step_changed } else { life::step };
        let (mut after, turn) = step(rule, before, look.verdict, now);
        if after.fired != before.fired {
            ledger.fire(key, now);
        }
        after.fired = Fired::default();
        let next = self.next_due(place, customer, &look, &after, moment);
        after.due = next.map_or(runs_out, |next| next.min(runs_out)).into();
        item.alert = after;
        if let Some(turn) = turn {
            self.announce_item(turn, (rule, &item.opening), (customer, customer_id), &look.lets, moment, out);
        }
        item
    }

    /// Resolves the alert of an item that is open no longer, if it is firing.
    #[allow(clippy::too_many_arguments, reason = "as above")]
    fn end_item(
        &self,
        rule: &Arc<Rule>,
        (customer, customer_id): (&mut Customer, &str),
        item: &Item,
        end: End,
        now: Millis,
        is_change: bool,
        out: &mut Judged,
    ) {
        let reason = match end {
            _ if is_change => Reason::RuleChanged,
            End::Closed => Reason::Closed,
            End::RanOut => Reason::Expired,
        };
        let Some(turn) = life::end_for(item.alert, reason) else { return };
        let moment = Moment { at: now, is_past: false, anchor: Some(anchor(&item.opening)) };
        let look = self.look(rule, customer, moment);
        self.announce_item(turn, (rule, &item.opening), (customer, customer_id), &look.lets, moment, out);
    }

    /// Judges an item as of the instant at which it runs out.
    fn judge_once(
        &self,
        (place, items): (usize, &Items),
        (customer, customer_id): (&mut Customer, &str),
        ledger: &mut Ledger,
        opening: &Opening,
        now: Millis,
        out: &mut Judged,
    ) {
        let rule = &self.set.rules[place];
        let at = items.tracker.end_of(opening.at);
        if !ledger.lets_through(at) {
            // Should `after` become longer, its instant may yet come to lie after the gate.
            ledger.passed.push((opening.at, opening.event_id.clone()));
            return;
        }
        if ledger.is_cooling(rule.cooldown, at) {
            return;
        }
        let moment = Moment { at, is_past: at < now, anchor: Some(anchor(opening)) };
        let look = self.look(rule, customer, moment);
        let Verdict::Level(severity) = look.verdict else { return };
        let turn = Turn::fired(at, ledger.fire(&opening.key, at), severity);
        self.announce_item(turn, (rule, opening), (customer, customer_id), &look.lets, moment, out);
    }

    /// Ends every item of a rule that is gone.
    pub(super) fn end_items(
        &self,
        rule: &Arc<Rule>,
        (customer, customer_id): (&mut Customer, &str),
        at: Millis,
        out: &mut Judged,
    ) {
        let (from, until) = range_of(&customer.items, rule.key);
        customer.changed |= from != until;
        let items: Vec<Item> = customer.items.drain(from..until).collect();
        for item in &items {
            self.end_item(rule, (customer, customer_id), item, End::RanOut, at, true, out);
        }
    }
}

fn range_of(items: &[Item], rule: RuleKey) -> (usize, usize) {
    let from = items.partition_point(|item| item.alert.rule < rule);
    (from, from + items[from..].partition_point(|item| item.alert.rule == rule))
}

fn anchor(opening: &Opening) -> Anchor<'_> {
    Anchor { at: opening.at, event_id: &opening.event_id }
}

fn waiting(rule: RuleKey, opening: Opening, due: Millis, is_judged: bool) -> Item {
    Item { opening, alert: AlertState { due: due.into(), ..AlertState::new(rule) }, is_judged }
}

/// What is done about an item that has just opened.
fn begin(rule: RuleKey, items: &Items, opening: Opening, now: Millis) -> Option<Step> {
    let runs_out = items.tracker.end_of(opening.at);
    match (items.judged_once, runs_out <= now) {
        (true, true) => Some(Step::Once(opening)),
        (true, false) => Some(Step::Keep(waiting(rule, opening, runs_out, false))),
        (false, true) => None,
        (false, false) => Some(Step::Judge { item: waiting(rule, opening, runs_out, false), is_new: true }),
    }
}

/// Finds the items that were open again in a new sweep: each by its trigger, which may by now be one that came second.
fn resume(rule: RuleKey, timeline: &Timeline, sweep: &Sweep, held: &[Item]) -> Vec<Step> {
    let mut left: BTreeMap<(Millis, &str), &Item> =
        held.iter().map(|item| ((item.opening.at, &*item.opening.event_id), item)).collect();
    let mut steps = Vec::new();
    for span in &sweep.spans {
        let opening = (span.opening.at, &*span.opening.event_id);
        let mut triggers = std::iter::once(opening).chain(span.passed.iter().map(|(at, id)| (*at, &**id)));
        let found = triggers.find_map(|trigger| left.remove(&trigger));
        let goes_on = found.map(|item| Item { opening: span.opening.clone(), ..item.clone() });
        match (goes_on, span.end) {
            (Some(item), None) => steps.push((item.opening.at, Step::Judge { item, is_new: false })),
            (Some(item), Some((_, end))) => steps.push((item.opening.at, Step::End { item, end })),
            (None, None) => {
                let item = waiting(rule, span.opening.clone(), Millis::MAX, false);
                steps.push((item.opening.at, Step::Judge { item, is_new: true }));
            }
            (None, Some(_)) => {}
        }
    }
    // Pushed out by the limit; among those of one instant each where it stood.
    for item in held.iter().filter(|item| left.contains_key(&(item.opening.at, &*item.opening.event_id))) {
        let step = Step::End { item: item.clone(), end: End::RanOut };
        let arrival = arrival(timeline, item.opening.at, &item.opening.event_id);
        let is_earlier = |(at, other): &(Millis, Step)| {
            let opening = other.opening();
            (*at, self::arrival(timeline, *at, &opening.event_id)) < (item.opening.at, arrival)
        };
        let place = steps.partition_point(is_earlier);
        steps.insert(place, (item.opening.at, step));
    }
    steps.into_iter().map(|(_, step)| step).collect()
}

/// Which of the events at an instant it is, by arrival.
fn arrival(timeline: &Timeline, at: Millis, event_id: &str) -> Option<usize> {
    timeline.range(at - 1, at).position(|entry| entry.record().is_some_and(|record| record.id() == event_id))
}

/// The same for items that are judged once. A trigger has been judged unless it is known to wait, or to have been passed over.
fn resume_once(
    rule: RuleKey,
    tracker: &Tracker,
    sweep: &Sweep,
    held: &[Item],
    ledger: &mut Ledger,
    cause: Cause<'_>,
) -> Vec<Step> {
    let passed_before = std::mem::take(&mut ledger.passed);
    let waits: BTreeSet<(Millis, &str)> = held
        .iter()
        .filter(|item| !item.is_judged)
        .map(|item| (item.opening.at, &*item.opening.event_id))
        .chain(passed_before.iter().map(|(at, id)| (*at, &**id)))
        .collect();
    let is_unjudged = |at: Millis, id: &str| match cause {
        Cause::Change { is_new: true } => true,
        Cause::Event { at: arrived_at, record, .. } if arrived_at == at && record.id() == id => true,
        _ => waits.contains(&(at, id)),
    };
    let mut steps = Vec::new();
    for span in &sweep.spans {
        let opening = &span.opening;
        let is_unjudged = is_unjudged(opening.at, &opening.event_id);
        if span.end.is_none() {
            steps.push(Step::Keep(waiting(rule, opening.clone(), tracker.end_of(opening.at), !is_unjudged)));
        } else if is_unjudged {
            steps.push(Step::Once(opening.clone()));
        }
    }
    let passed = sweep.spans.iter().flat_map(|span| &span.passed).chain(&sweep.refused);
    ledger.passed = passed.filter(|(at, id)| is_unjudged(*at, id)).cloned().collect();
    steps
}
