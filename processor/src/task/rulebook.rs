//! The rule sets of the application, by their generation: what a task judges by, and what it is to adopt.
//!
//! Generations come from the rules topic, never from a file beside the program: so every worker of every machine judges by
//! the same ones, and a replay finds those that were in force.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tocsin_core::engine::Engine;

/// A rule set as it was published, made ready.
#[derive(Debug)]
pub struct Generation {
    /// 1 for the first one; 0 for the time before, when there is no rule.
    pub number: i64,
    /// The same for sets that decide alike.
    pub fingerprint: Box<str>,
    /// What was published, with the text of every rule.
    pub document: Arc<str>,
    pub engine: Engine,
}

/// All generations that are known to this process. Cheap to ask, for every worker in every round.
#[derive(Debug)]
pub struct Rulebook {
    generations: Mutex<BTreeMap<i64, Arc<Generation>>>,
    latest: AtomicI64,
}

impl Rulebook {
    /// `blank` is generation 0: an engine without rules.
    #[must_use]
    pub fn new(blank: Engine) -> Self {
        let blank = Generation { number: 0, fingerprint: "".into(), document: "".into(), engine: blank };
        let generations = Mutex::new(BTreeMap::from([(0, Arc::new(blank))]));
        Self { generations, latest: AtomicI64::new(0) }
    }

    /// Adds a generation; one whose number is known already is left as it is.
    pub fn add(&self, generation: Generation) {
        let number = generation.number;
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.entry(number).or_insert_with(|| Arc::new(generation));
        self.latest.fetch_max(number, Ordering::AcqRel);
    }

    /// Number of the newest generation; 0 if there is none yet.
    #[must_use]
    pub fn latest(&self) -> i64 {
        self.latest.load(Ordering::Acquire)
    }

    #[must_use]
    pub fn get(&self, number: i64) -> Option<Arc<Generation>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }
}
