//! One partition: its watermark, and the order in which customers are judged.
//!
//! For each event in turn: what was due for its customer, then the event itself, then what the watermark that it moved
//! makes due, by (instant, customer). The last part, the *drain*, may be stopped anywhere and taken up again; no event
//! is taken in before it is done.
//!
//! When rules change, every customer is *adopted*: judged once by what has changed, at its clock as it stood at the change.
//! That is the work of a *sweep* over all customers, which goes on beside the stream and may be stopped anywhere. A
//! customer whom an event or a timer reaches first is adopted right then. So for each of them the outcome is the same as if
//! all had been adopted at the change; only the order between customers is not.
//!
//! While a sweep is under way, those are adopted whom it has passed or who carry the partition's generation number. Whom it
//! passes without any change, it leaves as they are in the store, with an old number. Without a sweep all are adopted.

use compact_str::CompactString;

use crate::alert::Judged;
use crate::customer::{Customer, Ledger};
use crate::engine::{Change, Engine, Outcome};
use crate::event::Event;
use crate::rule::RuleKey;
use crate::time::{Duration, MINUTE, MaybeMillis, Millis};

/// Where a partition keeps its customers and timers.
///
/// One timer a customer at a time is enough, but older ones may be left behind: the one that counts is the one whose time
/// is [`Customer::armed`].
pub trait States {
    type Error;

    /// The customer's state, to be changed in place; a blank one if nothing is known.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn customer(&mut self, customer_id: &str) -> Result<&mut Customer, Self::Error>;

    /// Sets a timer.
    fn arm(&mut self, at: Millis, customer_id: &str);

    /// Takes out the first timer, by (time, customer), if it is at or before `through`.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn take_due(&mut self, through: Millis) -> Result<Option<(Millis, CompactString)>, Self::Error>;

    /// The first customer after the given one, in the order (length of id, id). Customers who came into being after this
    /// was last asked with `None` may be left out.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn next_customer(&mut self, after: Option<&str>) -> Result<Option<Box<str>>, Self::Error>;

    /// The sweep has looked at this customer and changed nothing: it need not stay in memory.
    fn pass_over(&mut self, customer_id: &str);
}

/// The rules by which customers are judged.
#[derive(Clone, Copy, Debug)]
pub struct InForce<'a> {
    pub engine: &'a Engine,
    /// While a sweep is under way: the rules before, and what has changed since.
    pub change: Option<(&'a Engine, &'a Change)>,
}

impl<'a> InForce<'a> {
    /// Rules that do not change.
    #[must_use]
    pub fn steady(engine: &'a Engine) -> Self {
        Self { engine, change: None }
    }
}

/// How a partition deals with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSettings {
    pub max_out_of_orderness: Duration,
    pub max_future_skew: Duration,
}

impl Default for TimeSettings {
    fn default() -> Self {
        Self { max_out_of_orderness: MINUTE, max_future_skew: 5 * MINUTE }
    }
}

/// The part of a partition's state that is not any customer's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// Instants at or before it have come; `None` before the first event, of each input if there are several.
    pub watermark: Option<Millis>,
    /// Those of the inputs, if there are several: the partition's is the smallest of them. With one input, empty.
    pub inputs: Vec<Option<Millis>>,
    /// Number of the rule generation in force; 0 before the first.
    pub generation: i64,
    /// The sweep that is under way.
    pub sweep: Option<Sweep>,
    /// The watermark at which rules with a `trigger` or a `date` came: for customers who come later than that, none of their
    /// instants at or before it is judged.
    pub gates: Vec<(RuleKey, Millis)>,
}

/// How far customers have been adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The partition's, as it stood at the change.
    pub watermark: Option<Millis>,
    /// The last customer that the sweep has looked at.
    pub judged: Option<Box<str>>,
}

impl Sweep {
    fn has_passed(&self, customer_id: &str) -> bool {
        self.judged.as_deref().is_some_and(|judged| is_in_order(customer_id, judged))
    }
}

/// Whether a sweep comes to the first no later than to the second.
fn is_in_order(first: &str, second: &str) -> bool {
    (first.len(), first) <= (second.len(), second)
}

/// Where an event comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Which of the partition's inputs, if there are several.
    pub input: usize,
    /// The timestamp of the Kafka record; files have none.
    pub recorded_at: Option<Millis>,
}

impl Origin {
    /// A record of the only input.
    #[must_use]
    pub fn recorded(recorded_at: Option<Millis>) -> Self {
        Self { input: 0, recorded_at }
    }

    /// Whether an event lies too far ahead of its record.
    #[must_use]
    pub fn is_future(self, occurred_at: Millis, settings: &TimeSettings) -> bool {
        self.recorded_at.is_some_and(|recorded_at| occurred_at > recorded_at + settings.max_future_skew)
    }
}

/// What became of an event offered to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Taken {
    Judged(Outcome),
    /// Too far ahead of its Kafka record's timestamp; nothing changed.
    Future,
}

/// Whether a drain came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    Done,
    /// The budget ran out; more is due.
    More,
}

/// Whether a sweep came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    Done,
    /// The budget ran out; customers are left.
    More,
}

impl Partition {
    /// Puts a generation of rules in force. Begins a sweep, unless nobody's alerts can have changed. Called between two
    /// events, when the drain and any earlier sweep are done.
    pub fn adopt(&mut self, generation: i64, change: &Change) {
        debug_assert!(self.sweep.is_none(), "one sweep at a time");
        self.generation = generation;
        change.set_gates(&mut self.gates, self.watermark);
        if !change.is_silent() && self.has_begun() {
            self.sweep = Some(Sweep { watermark: self.watermark, judged: None });
        }
    }

    /// Whether any event has come. Then there may be customers, even if one of several inputs has brought nothing, and there
    /// is no watermark.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.watermark.is_some() || self.inputs.iter().any(Option::is_some)
    }

    /// Goes on with the sweep: adopts the next customers, at most `budget`. With it done, [`Partition::sweep`] is `None`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn sweep<S: States>(
        &mut self,
        rules: InForce<'_>,
        states: &mut S,
        budget: usize,
        out: &mut Judged,
    ) -> Result<Swept, S::Error> {
        for _ in 0..budget {
            let Some(sweep) = &self.sweep else { return Ok(Swept::Done) };
            let Some(customer_id) = states.next_customer(sweep.judged.as_deref())? else {
                self.sweep = None;
                return Ok(Swept::Done);
            };
            self.sweep_over(rules, states, customer_id, out)?;
        }
        Ok(Swept::More)
    }

    /// Goes on with the sweep up to and including this customer, as an earlier one did. It need not be there: who came into
    /// being during a sweep may be met by one and not by its repetition, and has nothing to be judged.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn sweep_through<S: States>(
        &mut self,
        rules: InForce<'_>,
        states: &mut S,
        last: &str,
        out: &mut Judged,
    ) -> Result<(), S::Error> {
        while let Some(sweep) = &mut self.sweep
            && !sweep.has_passed(last)
        {
            let next = states.next_customer(sweep.judged.as_deref())?;
            match next.filter(|next| is_in_order(next, last)) {
                Some(customer_id) => self.sweep_over(rules, states, customer_id, out)?,
                None => sweep.judged = Some(last.into()),
            }
        }
        Ok(())
    }

    fn sweep_over<S: States>(
        &mut self,
        rules: InForce<'_>,
        states: &mut S,
        customer_id: Box<str>,
        out: &mut Judged,
    ) -> Result<(), S::Error> {
        let customer = states.customer(&customer_id)?;
        let unwritten = std::mem::take(&mut customer.changed);
        self.adopt_customer(rules, customer, &customer_id, out);
        let timer = to_arm(customer);
        let is_same = !customer.changed;
        customer.changed |= unwritten;
        if let Some(at) = timer {
            states.arm(at, &customer_id);
        }
        if is_same {
            states.pass_over(&customer_id);
        }
        if let Some(sweep) = &mut self.sweep {
            sweep.judged = Some(customer_id);
        }
        Ok(())
    }

    /// Adopts a customer whom the sweep has not reached yet, and judges what the new rules have made due since. The caller
    /// sets the timer for what comes later.
    fn adopt_customer(&self, rules: InForce<'_>, customer: &mut Customer, customer_id: &str, out: &mut Judged) {
        let Some(sweep) = &self.sweep else { return };
        if customer.generation == self.generation || sweep.has_passed(customer_id) {
            return;
        }
        debug_assert!(rules.change.is_some(), "a sweep needs the rules before it");
        let Some((old, change)) = rules.change else { return };
        customer.generation = self.generation;
        if customer.is_unknown() {
            return;
        }
        if let Some(clock) = customer.clock(sweep.watermark) {
            change.adopt(old, rules.engine, customer, customer_id, clock, out);
        }
        if let Some(watermark) = self.watermark {
            rules.engine.judge_through(customer, customer_id, watermark, out);
        }
    }

    /// Takes in an event and moves the watermark. The caller then drains.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn take<S: States>(
        &mut self,
        rules: InForce<'_>,
        settings: &TimeSettings,
        states: &mut S,
        event: &Event<'_>,
        origin: Origin,
        out: &mut Judged,
    ) -> Result<Taken, S::Error> {
        if origin.is_future(event.occurred_at, settings) {
            return Ok(Taken::Future);
        }
        let customer = states.customer(event.customer_id)?;
        self.adopt_customer(rules, customer, event.customer_id, out);
        if customer.is_unknown() {
            customer.ledgers =
                self.gates.iter().map(|(rule, gate)| Ledger { gate: Some(*gate), ..Ledger::new(*rule) }).collect();
        }
        let outcome = rules.engine.apply(customer, event, self.watermark, out);
        if let Some(at) = to_arm(customer) {
            states.arm(at, event.customer_id);
        }
        if matches!(outcome, Outcome::Accepted | Outcome::Late) {
            let recorded_at = origin.recorded_at;
            let reached = recorded_at.map_or(event.occurred_at, |recorded_at| event.occurred_at.min(recorded_at));
            self.reach(origin.input, reached - settings.max_out_of_orderness);
        }
        Ok(Taken::Judged(outcome))
    }

    /// Judges what is due at or before the watermark, by (instant, customer), at most `budget` customers.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn drain<S: States>(
        &mut self,
        rules: InForce<'_>,
        states: &mut S,
        budget: usize,
        out: &mut Judged,
    ) -> Result<Drained, S::Error> {
        let Some(watermark) = self.watermark else { return Ok(Drained::Done) };
        for _ in 0..budget {
            let Some((at, customer_id)) = states.take_due(watermark)? else { return Ok(Drained::Done) };
            let customer = states.customer(&customer_id)?;
            if customer.armed.get() != Some(at) {
                // Left behind when an earlier one was set.
                continue;
            }
            customer.armed = MaybeMillis::NONE;
            customer.changed = true;
            self.adopt_customer(rules, customer, &customer_id, out);
            if customer.due().is_some_and(|due| due <= at) {
                rules.engine.judge_due(customer, &customer_id, at, out);
            }
            if let Some(at) = to_arm(customer) {
                states.arm(at, &customer_id);
            }
        }
        Ok(Drained::More)
    }

    /// Moves an input's watermark, never back, and with it the partition's: the smallest of all, once all have one.
    fn reach(&mut self, input: usize, to: Millis) {
        let smallest = match self.inputs.get_mut(input) {
            None => Some(to),
            Some(reached) => {
                *reached = (*reached).max(Some(to));
                self.inputs.iter().copied().min().flatten()
            }
        };
        self.watermark = self.watermark.max(smallest);
    }

    /// Moves the watermark by the wall clock or to the end of a backtest; never back. The caller then drains.
    pub fn advance(&mut self, to: Millis) {
        for input in &mut self.inputs {
            *input = (*input).max(Some(to));
        }
        self.watermark = self.watermark.max(Some(to));
    }
}

/// The timer the customer lacks: none if the one that is set goes off no later than something is due.
fn to_arm(customer: &mut Customer) -> Option<Millis> {
    let due = customer.due()?;
    if customer.armed.get().is_some_and(|armed| armed <= due) {
        return None;
    }
    customer.armed = due.into();
    customer.changed = true;
    Some(due)
}

#[cfg(test)]
mod tests;
