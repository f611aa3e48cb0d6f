//! By which rules a task judges, and how it comes to other ones.
//!
//! A change of the rules has a place in the log. From there on a *sweep* judges every customer once by the new ones, a few at a
//! time, between events; whoever an event or a timer reaches first is judged right then. The outcome for each customer is
//! that of judging everybody at the change.

use std::sync::Arc;

use tocsin_core::engine::Change;
use tocsin_core::partition::{InForce, Swept};

use super::Shared;
use super::partition_task::{Audience, Task};
use super::rulebook::{Generation, Rulebook};
use crate::codec::journal::Step;
use crate::store::{Store, StoreError};

/// The rules of a task; while a sweep is under way, those before them as well.
#[derive(Debug)]
pub struct Rules {
    current: Arc<Generation>,
    before: Option<(Arc<Generation>, Change)>,
}

impl Rules {
    #[must_use]
    pub fn new(current: Arc<Generation>) -> Self {
        Self { current, before: None }
    }

    /// In the middle of the sweep that leads from one generation to the next.
    #[must_use]
    pub fn changing(before: Arc<Generation>, current: Arc<Generation>) -> Self {
        let change = Change::between(&before.engine, &current.engine);
        Self { current, before: Some((before, change)) }
    }

    #[must_use]
    pub fn current(&self) -> &Generation {
        &self.current
    }

    /// What the engine judges by.
    #[must_use]
    pub fn in_force(&self) -> InForce<'_> {
        let change = self.before.as_ref().map(|(before, change)| (&before.engine, change));
        InForce { engine: &self.current.engine, change }
    }
}

impl<S: Store> Task<S> {
    /// The number of the generation to adopt, if there is a newer one and the sweep before it is over.
    #[must_use]
    pub fn wanted_rules(&self, rulebook: &Rulebook) -> Option<i64> {
        let latest = rulebook.latest();
        if self.core.sweep.is_some() || latest <= self.core.generation {
            return None;
        }
        // Nobody has been judged by those in between, so they change nothing.
        Some(if self.core.has_begun() { self.core.generation + 1 } else { latest })
    }

    /// Adopts a generation, between two events; no drain is under way.
    pub fn adopt(&mut self, generation: Arc<Generation>) {
        debug_assert!(!self.draining, "rules change between two events");
        let step = Step::Rules { generation: generation.number, fingerprint: generation.fingerprint.to_string() };
        let rules = Rules::changing(self.rules.current.clone(), generation);
        if let Some((_, change)) = &rules.before {
            self.core.adopt(rules.current.number, change);
        }
        if !self.core.has_begun() {
            self.core.sweep = None;
        }
        self.rules = if self.core.sweep.is_some() { rules } else { Rules::new(rules.current) };
        self.progress.steps.push(step);
    }

    /// Judges the next customers of the sweep under way.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn sweep(&mut self, shared: &Shared, budget: usize, audience: &mut Audience<'_>) -> Result<Swept, StoreError> {
        let (rules, judged) = (self.rules.in_force(), audience.asks(&mut self.judged));
        let swept = self.core.sweep(rules, &mut self.cache, budget, judged)?;
        self.hand_over(shared, audience);
        let judged = self.core.sweep.as_ref().and_then(|sweep| sweep.judged.clone());
        if swept == Swept::Done {
            self.rules.before = None;
        }
        self.progress.swept(judged.map(String::from));
        Ok(swept)
    }

    /// Judges the customers of the sweep up to and including this one; all who are left if there is none.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn sweep_through(
        &mut self,
        shared: &Shared,
        customer: Option<&str>,
        audience: &mut Audience<'_>,
    ) -> Result<(), StoreError> {
        let Some(customer) = customer else {
            while self.sweep(shared, 1_000, audience)? == Swept::More {}
            return Ok(());
        };
        let (rules, judged) = (self.rules.in_force(), audience.asks(&mut self.judged));
        self.core.sweep_through(rules, &mut self.cache, customer, judged)?;
        self.hand_over(shared, audience);
        self.progress.swept(Some(customer.to_owned()));
        Ok(())
    }
}
