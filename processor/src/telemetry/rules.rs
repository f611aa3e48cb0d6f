//! Rules that come into force.

use tracing::info;

use super::metrics::Metrics;

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
