//! The generations of the rules, as far as the process knows them, and as partitions adopt them.

use prometheus::{Error, IntCounter, IntGauge};
use tocsin_core::rule::RuleSet;
use tracing::{error, info, warn};

use super::metrics::Metrics;
use super::registrar::Registrar;

#[derive(Debug)]
pub struct RulesMetrics {
    newest: IntGauge,
    unreachable: IntCounter,
}

impl RulesMetrics {
    pub fn register(r: &mut Registrar) -> Result<Self, Error> {
        Ok(Self {
            newest: r.keep(IntGauge::new(
                "tocsin_rules_newest_generation",
                "The newest generation of the rules that this process has read; 0: none yet.",
            )?)?,
            unreachable: r.counter(
                "tocsin_rules_unreachable_total",
                "Times that the rules topic was asked for a new generation in vain.",
            )?,
        })
    }
}

/// A generation of the rules was read, and can be judged by. Partitions adopt it in their own time.
#[derive(Clone, Copy, Debug)]
pub struct GenerationRead<'a> {
    pub generation: i64,
    pub fingerprint: &'a str,
    pub applied_by: &'a str,
    pub rules: &'a RuleSet,
}

impl GenerationRead<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { generation, fingerprint, applied_by, rules } = self;
        metrics.expect_rules(rules);
        metrics.rules.newest.set(generation);
        let rules = rules.rules.len();
        info!(generation, fingerprint, applied_by, rules, "generation of rules read");
    }
}

/// The rules topic could not be asked for a new generation. What is known goes on being judged by.
#[derive(Clone, Copy, Debug)]
pub struct RulesUnreachable<'a> {
    pub reason: &'a str,
}

impl RulesUnreachable<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { reason } = self;
        metrics.rules.unreachable.inc();
        if let Some(suppressed) = metrics.throttle.admit(("rules unreachable", "")) {
            warn!(reason, suppressed, "the rules topic cannot be read; the rules that are known go on");
        }
    }
}

/// A generation cannot be judged by in this process, which ends for that.
#[derive(Clone, Copy, Debug)]
pub struct RulesUnusable<'a> {
    pub reason: &'a str,
}

impl RulesUnusable<'_> {
    pub fn emit(self) {
        let Self { reason } = self;
        error!(reason, "the rules cannot be used");
    }
}

/// A partition judges by another generation of the rules from here on; a sweep may follow.
#[derive(Clone, Copy, Debug)]
pub struct RulesAdopted<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub generation: i64,
}

impl RulesAdopted<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { topic, partition, generation } = self;
        if let Some(gauges) = metrics.partitions.get(topic, partition) {
            gauges.set_generation(generation);
        }
        info!(topic, partition, generation, "rules adopted");
    }
}
