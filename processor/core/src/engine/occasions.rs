//! Rules with a `date`: when they are due, and whether they fire.

use std::sync::Arc;

use super::life::Turn;
use super::values::Moment;
use super::verdict::Verdict;
use super::{Cause, Engine, alert_of, ledgers, put_alert};
use crate::alert::Judged;
use crate::calendar::{self, Day};
use crate::customer::{AlertState, Customer, Fired};
use crate::rule::{Occasion, Rule};
use crate::time::{DAY, Millis};
use crate::value::Value;

/// A date is over everywhere, and cannot come again, so many days later.
const OVER: Day = 3;

impl Engine {
    /// Judges a rule with a date at `at`: fires if the occasion comes at this very instant.
    pub(super) fn judge_occasion(
        &self,
        (rule, occasion): (&Arc<Rule>, &Occasion),
        (customer, customer_id): (&mut Customer, &str),
        at: Millis,
        cause: Cause<'_>,
        out: &mut Judged,
    ) {
        let mut ledger = ledgers::of(customer, rule.key);
        if let Cause::Change { is_new: true } = cause {
            ledger.gate = Some(at);
        }
        let before = alert_of(customer, rule).copied().unwrap_or(AlertState::new(rule.key));
        let mut fired = before.fired.only_at(at);
        let text: Option<Box<str>> = match customer.attributes.value(&occasion.attribute) {
            Value::Text(text) => Some(text.into()),
            _ => None,
        };
        let next = |from: Millis, fired: &[Day]| calendar::next(occasion, text.as_deref()?, from, fired);
        let comes = next(at, &ledger.dates).filter(|(instant, _)| *instant == at && ledger.lets_through(at));
        if let Some((_, day)) = comes {
            let moment = Moment::now(at);
            let look = self.look(rule, customer, moment);
            if let Verdict::Level(severity) = look.verdict
                && !ledger.is_cooling(rule.cooldown, at)
            {
                ledger.dates.push(day);
                ledger.fire("", at);
                let refire = fired.times_at(at);
                fired = Fired::at(at, refire);
                let turn = Turn::fired(at, refire, severity);
                self.announce(turn, rule, (customer, customer_id), &look.lets, moment, out);
            }
        }
        let due = next(at.saturating_add(1), &ledger.dates).map(|(instant, _)| instant);
        let after = AlertState { due: due.into(), fired, ..AlertState::new(rule.key) };
        if before != after {
            customer.changed = true;
            put_alert(&mut customer.alerts, after);
        }
        let today = Day::try_from(at.div_euclid(DAY)).unwrap_or(Day::MAX);
        ledger.dates.retain(|date| *date >= today - OVER);
        ledgers::put(customer, rule, self.keeping.keeps, at, ledger);
    }
}
