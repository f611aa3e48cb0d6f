//! Makes metrics and keeps a list of their names, for a check of the alerting rules.

use std::collections::BTreeSet;

use prometheus::core::Collector;
use prometheus::{
    Error, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
};

/// Seconds, for what should take milliseconds.
pub const DURATIONS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Seconds, for what may take an hour.
pub const LONG_DURATIONS: &[f64] = &[0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];

/// Registers metrics; a name taken twice or not allowed is an error.
#[derive(Debug, Default)]
pub struct Registrar {
    pub registry: Registry,
    pub names: BTreeSet<String>,
}

impl Registrar {
    pub fn counter(&mut self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.keep(IntCounter::new(name, help)?)
    }

    pub fn counters(&mut self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    pub fn gauges(&mut self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        self.keep(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub fn histogram(&mut self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, Error> {
        self.keep(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }

    pub fn keep<C: Collector + Clone + 'static>(&mut self, collector: C) -> Result<C, Error> {
        self.names.extend(collector.desc().iter().map(|desc| desc.fq_name.clone()));
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    /// As [`Registrar::keep`], for what cannot be cloned.
    pub fn give(&mut self, collector: Box<dyn Collector>) -> Result<(), Error> {
        self.names.extend(collector.desc().iter().map(|desc| desc.fq_name.clone()));
        self.registry.register(collector)
    }
}

/// A gauge of whole numbers that is not registered itself: part of a collector.
pub fn part(name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
    IntGaugeVec::new(Opts::new(name, help), labels)
}

/// As [`part`], for seconds.
pub fn seconds_part(name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Error> {
    GaugeVec::new(Opts::new(name, help), labels)
}

/// A gauge of the value 1 whose labels tell something.
pub fn info(registrar: &mut Registrar, name: &str, help: &str, label: (&str, &str)) -> Result<(), Error> {
    let gauge = Gauge::with_opts(Opts::new(name, help).const_label(label.0, label.1))?;
    gauge.set(1.0);
    registrar.keep(gauge).map(drop)
}
