//! Rules made ready, and a partition that judges by them over a store in memory.

use std::sync::Arc;

use tocsin::codec::schemas::Schemas;
use tocsin::rules::{self, Limits, Source};
use tocsin::store::{MemoryStore, Store};
use tocsin::task::cache::Cache;
use tocsin_core::alert::{Detail, Judged};
use tocsin_core::engine::{Engine, Settings};
use tocsin_core::event::Event;
use tocsin_core::partition::{Drained, InForce, Origin, Partition, TimeSettings};
use tocsin_core::rule::RuleSet;
use tocsin_core::time::{DAY, Duration, Millis};

/// Schemas, and rules that were checked against them.
#[derive(Clone, Debug)]
pub struct Ready {
    pub schemas: Arc<Schemas>,
    pub set: Arc<RuleSet>,
    pub history: Duration,
}

impl Ready {
    /// # Panics
    /// If the rules do not load.
    #[must_use]
    pub fn new(rules: &str) -> Self {
        Self::with_schemas(rules, Arc::new(Schemas::shipped()))
    }

    /// # Panics
    /// If the rules do not load.
    #[must_use]
    pub fn with_schemas(rules: &str, schemas: Arc<Schemas>) -> Self {
        let source = Source { name: "bench.yaml".to_owned(), text: rules.to_owned() };
        match rules::load(&[source], schemas.catalog(), &Limits::default()) {
            Ok(loaded) => Self { schemas, set: Arc::new(loaded.set), history: 400 * DAY },
            Err(problems) => unreachable!("the rules of the measurement load: {problems}"),
        }
    }

    /// Events are kept for so long only.
    #[must_use]
    pub fn keeping(self, history: Duration) -> Self {
        Self { history, ..self }
    }

    #[must_use]
    pub fn engine(&self) -> Engine {
        let settings = Settings { history: self.history, ..Settings::default() };
        Engine::new(self.set.clone(), self.schemas.catalog(), settings)
    }

    #[must_use]
    pub fn partition(&self) -> Judge<MemoryStore> {
        Judge::new(self, Cache::new(MemoryStore::default(), usize::MAX, None))
    }
}

/// A partition with its customers; transitions are counted.
#[derive(Debug)]
pub struct Judge<S> {
    pub engine: Engine,
    pub partition: Partition,
    pub cache: Cache<S>,
    judged: Judged,
    pub transitions: u64,
}

impl<S: Store> Judge<S> {
    pub fn new(ready: &Ready, cache: Cache<S>) -> Self {
        let judged = Judged { detail: Detail::TransitionsOnly, ..Judged::default() };
        let partition = Partition::default();
        Self { engine: ready.engine(), partition, cache, judged, transitions: 0 }
    }

    /// Judges an event, and what it makes due.
    ///
    /// # Panics
    /// If the store fails.
    pub fn take(&mut self, event: &Event<'_>) {
        let rules = InForce::steady(&self.engine);
        let (time, judged) = (TimeSettings::default(), &mut self.judged);
        let taken = self.partition.take(rules, &time, &mut self.cache, event, Origin::default(), judged);
        taken.unwrap_or_else(|error| unreachable!("{error}"));
        self.drain();
    }

    /// Judges events whose customers are fetched from memory all at once before.
    ///
    /// # Panics
    /// If the store fails.
    pub fn take_batch(&mut self, events: &[Event<'_>]) {
        let latest = events.iter().map(|event| event.occurred_at).max().unwrap_or(Millis::MIN);
        self.cache.warm(events.iter().map(|event| event.customer_id), latest);
        for event in events {
            self.take(event);
        }
    }

    /// Judges what is due by `at`.
    ///
    /// # Panics
    /// If the store fails.
    pub fn advance(&mut self, at: Millis) {
        self.partition.advance(at);
        self.drain();
    }

    fn drain(&mut self) {
        let rules = InForce::steady(&self.engine);
        while self
            .partition
            .drain(rules, &mut self.cache, 10_000, &mut self.judged)
            .unwrap_or_else(|error| unreachable!("{error}"))
            == Drained::More
        {}
        self.transitions += self.judged.transitions.len() as u64;
        self.judged.transitions.clear();
        self.judged.refused.clear();
    }
}
