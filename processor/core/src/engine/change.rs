//! What a change of the rule set does to a customer, at the customer's clock as it stood at the change.
//!
//! ```text
//!   events from before what the old rules keep   let go of, if the new ones look back longer
//!   rules that are gone, in their old order      firing: resolved, `rule_changed`; then forgotten
//!   what silences count from                     asked for anew: found in the timeline; not asked for: dropped
//!   new rules and changed ones, in order         judged by all that is kept
//!   events from before what the new rules keep   let go of, as when time moves on
//! ```
//!
//! A rule whose version is the same is left alone, its due instant too. That one was worked out from the old definition, but
//! the version covers every condition and all that conditions ask for, so it can only name too many instants: edges of a
//! value that is merely shown. What is judged too often stays as it is.

use std::cmp::Ordering;

use compact_str::CompactString;

use super::values::Moment;
use super::{Cause, Engine, alert_of, ledgers, life, put_alert};
use crate::alert::Judged;
use crate::customer::{AlertState, Customer, LastSeen, Ledger};
use crate::rule::{Rule, RuleKey, Silence, Subject};
use crate::time::{Duration, Millis};

/// What a change of the rule set asks of every customer.
#[derive(Clone, Debug)]
pub struct Change {
    /// Places in the old set, of rules that do not go on.
    gone: Vec<usize>,
    /// Places in the new set, of rules that are new or have another version, and whether they are new.
    judged: Vec<(usize, bool)>,
    /// New rules of which no instant before the change is judged.
    gated: Vec<RuleKey>,
    /// The rules of the new set, sorted.
    kept: Vec<RuleKey>,
    /// Places in the new set, of silences that the old one did not ask for.
    found: Vec<usize>,
    /// The silences of the new set, sorted.
    asked: Vec<u64>,
    /// Whether the old set asked for silences that the new one does not.
    drops_silences: bool,
    reach: Reach,
}

/// How long before a customer's latest event the new set looks, beside the old one.
#[derive(Clone, Debug)]
enum Reach {
    Same,
    Longer,
    /// With the new set as it is while it still looks back as long as the old one.
    Shorter(Box<Engine>),
}

impl Reach {
    fn between(old: &Engine, new: &Engine) -> Self {
        let (before, after) = (old.keeping.keeps, new.keeping.keeps);
        match after.cmp(&before) {
            Ordering::Equal => Self::Same,
            Ordering::Greater => Self::Longer,
            Ordering::Less => {
                let mut longer = new.clone();
                longer.keeping.keeps = before;
                Self::Shorter(Box::new(longer))
            }
        }
    }
}

impl Change {
    #[must_use]
    pub fn between(old: &Engine, new: &Engine) -> Self {
        let (before, after) = (old.rules(), new.rules());
        let gone = |rule: &Rule| !after.rules.iter().any(|other| goes_on(rule, other));
        let same = |rule: &Rule| before.rules.iter().any(|other| goes_on(other, rule) && other.version == rule.version);
        let is_new_rule = |rule: &Rule| !before.rules.iter().any(|other| goes_on(other, rule));
        let mut kept: Vec<RuleKey> = after.rules.iter().map(|rule| rule.key).collect();
        kept.sort_unstable();
        let (asked_before, asked) = (asked_for(&before.silences), asked_for(&after.silences));
        let is_new = |silence: &Silence| asked_before.binary_search(&silence.key).is_err();
        Self {
            gone: (0..before.rules.len()).filter(|place| gone(&before.rules[*place])).collect(),
            judged: (0..after.rules.len())
                .filter(|place| !same(&after.rules[*place]))
                .map(|place| (place, is_new_rule(&after.rules[place])))
                .collect(),
            gated: after.rules.iter().filter(|rule| is_new_rule(rule) && is_gated(rule)).map(|rule| rule.key).collect(),
            kept,
            found: (0..after.silences.len()).filter(|place| is_new(&after.silences[*place])).collect(),
            drops_silences: asked_before.iter().any(|key| asked.binary_search(key).is_err()),
            asked,
            reach: Reach::between(old, new),
        }
    }

    /// Whether there is nothing to do for any customer: only texts, labels, recipients or the order have changed.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let is_same = self.gone.is_empty() && self.judged.is_empty() && self.found.is_empty();
        is_same && !self.drops_silences && matches!(self.reach, Reach::Same)
    }

    /// Notes at which watermark rules came whose instants before that are not judged, for customers who are not known yet.
    pub(crate) fn set_gates(&self, gates: &mut Vec<(RuleKey, Millis)>, watermark: Option<Millis>) {
        gates.retain(|(rule, _)| self.kept.binary_search(rule).is_ok() && !self.gated.contains(rule));
        gates.extend(watermark.into_iter().flat_map(|watermark| self.gated.iter().map(move |rule| (*rule, watermark))));
        gates.sort_unstable();
    }

    /// Takes a customer over from the old rules to the new ones; `clock` is the customer's at the change. A second time, at
    /// the same clock and with no event between, it changes nothing that the first has not.
    pub(crate) fn adopt(
        &self,
        old: &Engine,
        new: &Engine,
        customer: &mut Customer,
        customer_id: &str,
        clock: Millis,
        out: &mut Judged,
    ) {
        if let (Reach::Longer, Some(latest)) = (&self.reach, customer.latest.get()) {
            // What they opened has been gone over already, and others have kept less.
            let horizon = latest - old.keeping.keeps;
            customer.held.forget_before(old.keeping.number, &old.set, &customer.timeline, horizon);
            customer.changed |= customer.timeline.cut_before(horizon);
        }
        for &place in &self.gone {
            old.end((customer, customer_id), place, clock, out);
        }
        self.forget_ended(customer, clock);
        self.remember_silences(new, customer);
        let bases = customer.bases.len();
        customer.bases.retain(|base| new.crowded.iter().any(|crowded| crowded.base == base.tracker));
        customer.changed |= customer.bases.len() != bases;
        let judging = if let Reach::Shorter(longer) = &self.reach { longer } else { new };
        for &(place, is_new) in &self.judged {
            judging.judge((customer, customer_id), place, clock, Cause::Change { is_new }, out);
        }
        if let Reach::Shorter(_) = self.reach {
            look_back_less(old, new, customer);
        }
    }

    /// What [`Engine::end`] leaves of a rule is of no use once the clock has moved on.
    fn forget_ended(&self, customer: &mut Customer, clock: Millis) {
        let held = customer.alerts.len();
        customer.alerts.retain(|alert| self.kept.binary_search(&alert.rule).is_ok() || alert.fired.times_at(clock) > 0);
        customer.changed |= customer.alerts.len() != held;
        let held = customer.ledgers.len();
        customer.ledgers.retain(|ledger| {
            let fires_now = ledger.firings.iter().any(|firing| firing.at == clock);
            self.kept.binary_search(&ledger.rule).is_ok() || fires_now
        });
        customer.changed |= customer.ledgers.len() != held;
    }

    fn remember_silences(&self, new: &Engine, customer: &mut Customer) {
        let held = customer.silences.len();
        customer.silences.retain(|seen| self.asked.binary_search(&seen.key).is_ok());
        customer.changed |= customer.silences.len() != held;
        for &place in &self.found {
            let silence = &new.rules().silences[place];
            if customer.last_seen(silence.key).is_none() {
                find_silence(customer, silence, new.settings.history);
            }
        }
    }
}

/// The history begins later by the new rules. What was before becomes what is remembered of it, as when time moves on.
fn look_back_less(old: &Engine, new: &Engine, customer: &mut Customer) {
    let Some(latest) = customer.latest.get() else { return };
    let (before, horizon) = (latest - old.keeping.keeps, latest - new.keeping.keeps);
    let held = (customer.bases.clone(), customer.former.clone());
    new.advance_bases(customer, before, horizon);
    new.advance_former(customer, before, horizon);
    customer.changed |= customer.bases != held.0 || customer.former != held.1;
}

/// Whether the second is what has become of the first. A rule of another kind, or with other items, is another rule.
fn goes_on(before: &Rule, after: &Rule) -> bool {
    let alike = match (&before.subject, &after.subject) {
        (Subject::Customer, Subject::Customer) | (Subject::Date(_), Subject::Date(_)) => true,
        (Subject::Item(a), Subject::Item(b)) => a.judged_once == b.judged_once && a.tracker.key == b.tracker.key,
        _ => false,
    };
    alike && before.id == after.id
}

/// Whether what was to be judged before the rule came is never judged.
fn is_gated(rule: &Rule) -> bool {
    match &rule.subject {
        Subject::Customer => false,
        Subject::Item(items) => items.judged_once,
        Subject::Date(_) => true,
    }
}

fn asked_for(silences: &[Silence]) -> Vec<u64> {
    let mut keys: Vec<u64> = silences.iter().map(|silence| silence.key).collect();
    keys.sort_unstable();
    keys
}

impl Engine {
    /// Ends a rule for a customer. All that may be left is how often it has fired at this very instant: the rule may come
    /// back before the clock moves, and fire again.
    fn end(&self, (customer, customer_id): (&mut Customer, &str), place: usize, at: Millis, out: &mut Judged) {
        let rule = &self.set.rules[place];
        self.end_items(rule, (customer, customer_id), at, out);
        customer.bases.retain(|base| base.tracker != u64::from(rule.key.0));
        let ledger = ledgers::of(customer, rule.key);
        let firings = ledger.firings.into_iter().filter(|firing| firing.at == at).collect();
        ledgers::put(customer, rule, self.keeping.keeps, at, Ledger { firings, ..Ledger::new(rule.key) });
        let Some(before) = alert_of(customer, rule).copied() else { return };
        if let Some(turn) = life::end(before) {
            let moment = Moment::now(at);
            let look = self.look(rule, customer, moment);
            self.announce(turn, rule, (customer, customer_id), &look.lets, moment, out);
        }
        let fired = before.fired.only_at(at);
        let after = AlertState { fired, ..AlertState::new(rule.key) };
        customer.changed |= after != before;
        put_alert(&mut customer.alerts, after);
    }
}

/// Finds the latest event that a silence counts from, among those of the history before the customer's latest one. A chunk
/// may hold older ones still; they do not count, so that nothing depends on how events are kept.
fn find_silence(customer: &mut Customer, silence: &Silence, history: Duration) {
    let Some(latest) = customer.latest.get() else { return };
    // Those of the same instant that arrived later.
    let mut later: Vec<CompactString> = Vec::new();
    let mut instant = latest;
    let mut found = None;
    for entry in customer.timeline.backwards(latest).take_while(|entry| entry.occurred_at >= latest - history) {
        let Some(record) = entry.record() else { continue };
        if entry.occurred_at != instant {
            instant = entry.occurred_at;
            later.clear();
        }
        if silence.selector.select(record).is_some() {
            found = Some(LastSeen { key: silence.key, at: instant, event_id: record.id().into() });
            break;
        }
        later.push(record.id().into());
    }
    let Some(found) = found else { return };
    // Among those of one instant the order tells which came last.
    let came_later = |seen: &LastSeen| seen.at == found.at && later.contains(&seen.event_id);
    let place = customer.silences.iter().position(came_later).unwrap_or(customer.silences.len());
    customer.silences.insert(place, found);
    customer.changed = true;
}

#[cfg(test)]
mod tests;
