//! What is asked for, and can it be had?

use tocsin_core::time::{DAY, Duration, EARLIEST, LATEST, MINUTE, Millis};

use super::mix::Mix;
use super::planted::BURST_MEAN;
use super::tickets;

/// A load. The default is the reference load that measurements are quoted for.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub seed: u64,
    /// Lines in all: steps of tickets, profiles and repeats included.
    pub events: u64,
    pub customers: u64,
    pub start: Millis,
    pub span: Duration,
    pub mix: Mix,
    /// The expected number of events of the customer of rank r is proportional to r to the power of minus this.
    pub density: f64,
    /// An event arrives up to this long after it happened.
    pub disorder: Duration,
    /// The share of lines that repeat an earlier one.
    pub duplicates: f64,
    /// Whether a profile arrives ahead of each customer's first event.
    pub profiles: bool,
    /// Customers who leave.
    pub leaving: u64,
    /// Customers who complain in a burst.
    pub complaining: u64,
}

/// 2026-01-01T00:00:00Z.
const START: Millis = 1_767_225_600_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            events: 5_000_000,
            customers: 1_000_000,
            start: START,
            span: 180 * DAY,
            mix: Mix::default(),
            density: 0.5,
            disorder: MINUTE,
            duplicates: 0.0,
            profiles: false,
            leaving: 1_000,
            complaining: 1_000,
        }
    }
}

impl Settings {
    /// Sets as many planted customers of each kind as go well with the number of customers and events.
    #[must_use]
    pub fn with_usual_planted(mut self) -> Self {
        self.leaving = self.customers / 1_000;
        self.complaining = self.leaving.min((self.tickets() / (2.0 * BURST_MEAN)) as u64);
        self
    }

    /// Tickets that are opened, about.
    fn tickets(&self) -> f64 {
        self.events as f64 * self.mix.complaints() / tickets::mean_length(self.span)
    }

    /// # Errors
    /// A sentence that says what cannot be had, and what could.
    pub fn check(&self) -> Result<(), String> {
        let is_in_range = |at: Millis| (EARLIEST..=LATEST).contains(&at);
        if self.events == 0 || self.customers == 0 || self.span <= 0 {
            return Err("a load has at least one event, one customer and a day".to_owned());
        }
        if !is_in_range(self.start) || !is_in_range(self.start.saturating_add(self.span)) {
            return Err("the load begins and ends between the years 1 and 9999: choose another start".to_owned());
        }
        if !(0.0..=10.0).contains(&self.density) {
            return Err(format!("a density of {} is not between 0 (all alike) and 10", self.density));
        }
        if !(0.0..=0.5).contains(&self.duplicates) {
            return Err(format!("a share of {} duplicates is not between 0 and 0.5", self.duplicates));
        }
        if !(0..=self.span).contains(&self.disorder) {
            return Err("events cannot arrive later than the load is long: choose less disorder".to_owned());
        }
        if self.leaving + self.complaining > self.customers / 2 {
            return Err(format!(
                "{} customers who leave or complain are more than half of {}: plant fewer",
                self.leaving + self.complaining,
                self.customers
            ));
        }
        let most = (self.tickets() / BURST_MEAN) as u64;
        if self.complaining > most {
            return Err(format!(
                "{} customers cannot complain in bursts, as there are complaints for {most} at the most: plant fewer, or \
                 give complaints a larger share",
                self.complaining
            ));
        }
        Ok(())
    }
}
