//! One partition: its watermark, and the order in which customers are judged.
//!
//! For each event in turn: what was due for its customer, then the event itself, then what the watermark that it moved
//! makes due, by (instant, customer). The last part, the *drain*, may be stopped anywhere and taken up again; no event
//! is taken in before it is done.

use crate::alert::Transition;
use crate::customer::Customer;
use crate::engine::{Engine, Outcome};
use crate::event::Event;
use crate::time::{Duration, MINUTE, Millis};

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
    fn take_due(&mut self, through: Millis) -> Result<Option<(Millis, Box<str>)>, Self::Error>;
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// Instants at or before it have come; `None` before the first event.
    pub watermark: Option<Millis>,
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

impl Partition {
    /// Takes in an event and moves the watermark. The caller then drains.
    ///
    /// `recorded_at` is the timestamp of the Kafka record; files have none.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn take<S: States>(
        &mut self,
        engine: &Engine,
        settings: &TimeSettings,
        states: &mut S,
        event: &Event<'_>,
        recorded_at: Option<Millis>,
        out: &mut Vec<Transition>,
    ) -> Result<Taken, S::Error> {
        if recorded_at.is_some_and(|recorded_at| event.occurred_at > recorded_at + settings.max_future_skew) {
            return Ok(Taken::Future);
        }
        let customer = states.customer(event.customer_id)?;
        let outcome = engine.apply(customer, event, self.watermark, out);
        if let Some(at) = to_arm(customer) {
            states.arm(at, event.customer_id);
        }
        if matches!(outcome, Outcome::Accepted | Outcome::Late) {
            let reached = recorded_at.map_or(event.occurred_at, |recorded_at| event.occurred_at.min(recorded_at));
            self.watermark = self.watermark.max(Some(reached - settings.max_out_of_orderness));
        }
        Ok(Taken::Judged(outcome))
    }

    /// Judges what is due at or before the watermark, by (instant, customer), at most `budget` customers.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn drain<S: States>(
        &mut self,
        engine: &Engine,
        states: &mut S,
        budget: usize,
        out: &mut Vec<Transition>,
    ) -> Result<Drained, S::Error> {
        let Some(watermark) = self.watermark else { return Ok(Drained::Done) };
        for _ in 0..budget {
            let Some((at, customer_id)) = states.take_due(watermark)? else { return Ok(Drained::Done) };
            let customer = states.customer(&customer_id)?;
            if customer.armed != Some(at) {
                // Left behind when an earlier one was set.
                continue;
            }
            customer.armed = None;
            customer.changed = true;
            if customer.due().is_some_and(|due| due <= at) {
                engine.judge_due(customer, &customer_id, at, out);
            }
            if let Some(at) = to_arm(customer) {
                states.arm(at, &customer_id);
            }
        }
        Ok(Drained::More)
    }

    /// Moves the watermark by the wall clock or to the end of a backtest; never back. The caller then drains.
    pub fn advance(&mut self, to: Millis) {
        self.watermark = self.watermark.max(Some(to));
    }
}

/// The timer the customer lacks: none if the one that is set goes off no later than something is due.
fn to_arm(customer: &mut Customer) -> Option<Millis> {
    let due = customer.due()?;
    if customer.armed.is_some_and(|armed| armed <= due) {
        return None;
    }
    customer.armed = Some(due);
    customer.changed = true;
    Some(due)
}
