//! What the rules brought about.

use prometheus::{Error, IntCounterVec};
use tocsin_core::alert::TransitionKind;
use tocsin_core::rule::{Rule, RuleSet};
use tracing::{debug, warn};

use super::metrics::Metrics;
use super::registrar::Registrar;

#[derive(Debug)]
pub struct AlertMetrics {
    alerts: IntCounterVec,
    items_refused: IntCounterVec,
}

impl AlertMetrics {
    pub fn register(r: &mut Registrar) -> Result<Self, Error> {
        Ok(Self {
            alerts: r.counters("tocsin_alerts_total", "Alert records published.", &["rule", "transition"])?,
            items_refused: r.counters(
                "tocsin_items_refused_total",
                "Triggers that opened no item because the customer holds max_open_items of the rule.",
                &["rule"],
            )?,
        })
    }
}

impl Metrics {
    /// Lets the rules in force show as 0, so that a first alert is an increase.
    pub fn expect_rules(&self, rules: &RuleSet) {
        for rule in &rules.rules {
            for kind in [TransitionKind::Fired, TransitionKind::SeverityChanged, TransitionKind::Resolved] {
                drop(self.alerts.alerts.with_label_values(&[&rule.id, kind.name()]));
            }
        }
    }
}

/// An alert record was published: its transaction is committed.
#[derive(Clone, Copy, Debug)]
pub struct AlertPublished<'a> {
    pub rule: &'a Rule,
    pub kind: TransitionKind,
}

impl AlertPublished<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { rule, kind } = self;
        metrics.alerts.alerts.with_label_values(&[&rule.id, kind.name()]).inc();
        if tracing::enabled!(tracing::Level::DEBUG)
            && let Some(suppressed) = metrics.throttle.admit(("alert", kind.name()))
        {
            debug!(rule = %rule.id, transition = kind.name(), suppressed, "alert published");
        }
    }
}

/// A trigger opened no item: the customer holds as many as are allowed.
#[derive(Clone, Copy, Debug)]
pub struct ItemRefused<'a> {
    pub rule: &'a Rule,
    pub partition: i32,
}

impl ItemRefused<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { rule, partition } = self;
        metrics.alerts.items_refused.with_label_values(&[&rule.id]).inc();
        if let Some(suppressed) = metrics.throttle.admit(("item refused", "")) {
            warn!(rule = %rule.id, partition, suppressed, "a customer holds max_open_items of the rule");
        }
    }
}
