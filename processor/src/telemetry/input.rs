//! Events on their way in: how they fared.

use prometheus::core::Collector;
use prometheus::proto::{Metric, MetricFamily};
use prometheus::{Error, IntCounter, IntCounterVec};
use tocsin_core::event::{Catalog, EventType, TypeId};
use tracing::{debug, warn};

use super::metrics::Metrics;
use super::registrar::Registrar;

/// Each event of a known type counts under exactly one of these.
const ACCEPTED: &str = "accepted";
const LATE: &str = "late";
const DUPLICATE: &str = "duplicate";
const TOO_OLD: &str = "too_old";

#[derive(Debug)]
pub struct InputMetrics {
    events: IntCounterVec,
    ignored_fields: IntCounterVec,
    dead_letters: IntCounterVec,
    split_customers: IntCounter,
}

impl InputMetrics {
    pub fn register(r: &mut Registrar) -> Result<Self, Error> {
        Ok(Self {
            events: r.counters(
                "tocsin_events_total",
                "Events by what became of them: accepted in order, late (accepted as well), duplicate, too_old.",
                &["type", "outcome"],
            )?,
            ignored_fields: r.counters(
                "tocsin_ignored_fields_total",
                "Fields of events that their schema does not have.",
                &["type"],
            )?,
            dead_letters: r.counters("tocsin_dead_letters_total", "Records sent to the dead letters.", &["reason"])?,
            split_customers: r.counter(
                "tocsin_split_customers_total",
                "Sampled events on a partition that the partitioner of most of the others does not give them.",
            )?,
        })
    }
}

/// Counts the events that came in order, of all known types: the one thing that happens too often for a struct each.
#[derive(Clone, Debug)]
pub struct EventCounters {
    /// By type, in rising order.
    accepted: Vec<(TypeId, IntCounter)>,
}

impl EventCounters {
    /// Counts events of one type; a type that the catalog did not have is not counted.
    #[inline]
    pub fn accepted(&self, type_id: TypeId, events: u64) {
        if let Ok(place) = self.accepted.binary_search_by_key(&type_id, |(id, _)| *id) {
            self.accepted[place].1.inc_by(events);
        }
    }
}

impl Metrics {
    /// Counters for the types of the catalog. All outcomes show as 0 from then on, so that a first one is an increase.
    #[must_use]
    pub fn event_counters(&self, catalog: &Catalog) -> EventCounters {
        let counter =
            |event_type: &EventType, outcome| self.input.events.with_label_values(&[&*event_type.name, outcome]);
        for event_type in catalog.types() {
            for outcome in [LATE, DUPLICATE, TOO_OLD] {
                drop(counter(event_type, outcome));
            }
            drop(self.input.ignored_fields.with_label_values(&[&event_type.name]));
        }
        let accepted = catalog.types().iter().map(|event_type| (event_type.id, counter(event_type, ACCEPTED)));
        EventCounters { accepted: accepted.collect() }
    }

    /// Records of the input that were dealt with, whatever came of them.
    #[must_use]
    pub fn events_counted(&self) -> u64 {
        let families = [self.input.events.collect(), self.input.dead_letters.collect()];
        let metrics = families.iter().flatten().flat_map(MetricFamily::get_metric);
        // An event that is too old is counted among the events, and again as a dead letter.
        let is_first = |metric: &&Metric| {
            !metric.get_label().iter().any(|label| label.name() == "reason" && label.value() == TOO_OLD)
        };
        metrics.filter(is_first).map(|metric| metric.get_counter().get_value()).sum::<f64>() as u64
    }

    /// Lets these reasons show as 0, so that a first dead letter is an increase.
    pub fn expect_dead_letters(&self, reasons: &[&'static str]) {
        for reason in reasons {
            drop(self.input.dead_letters.with_label_values(&[reason]));
        }
    }

    fn count_event(&self, event_type: &EventType, outcome: &str) {
        self.input.events.with_label_values(&[&*event_type.name, outcome]).inc();
    }
}

/// A record that cannot be used went to the dead letters.
#[derive(Clone, Copy, Debug)]
pub struct DeadLettered<'a> {
    /// One of a fixed set, such as `malformed` or `unknown_type`.
    pub reason: &'static str,
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    /// What exactly is wrong. May quote the schema, but not the record: logs are no place for customers' data.
    pub detail: &'a str,
}

impl DeadLettered<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { reason, topic, partition, offset, detail } = self;
        metrics.input.dead_letters.with_label_values(&[reason]).inc();
        if let Some(suppressed) = metrics.throttle.admit(("dead letter", reason)) {
            warn!(reason, topic, partition, offset, detail, suppressed, "record sent to the dead letters");
        }
    }
}

/// An event at or before its customer's clock; it counts all the same.
#[derive(Clone, Copy, Debug)]
pub struct LateEvent<'a> {
    pub event_type: &'a EventType,
    pub partition: i32,
    pub offset: i64,
    /// How far before the customer's clock.
    pub late_by_ms: i64,
}

impl LateEvent<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { event_type, partition, offset, late_by_ms } = self;
        metrics.count_event(event_type, LATE);
        // Late events are daily business: without debug lines not even the throttle is asked.
        if tracing::enabled!(tracing::Level::DEBUG)
            && let Some(suppressed) = metrics.throttle.admit(("late event", ""))
        {
            debug!(r#type = %event_type.name, partition, offset, late_by_ms, suppressed, "late event");
        }
    }
}

/// An event that is held already; it changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct DuplicateEvent<'a> {
    pub event_type: &'a EventType,
    pub partition: i32,
    pub offset: i64,
}

impl DuplicateEvent<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { event_type, partition, offset } = self;
        metrics.count_event(event_type, DUPLICATE);
        if tracing::enabled!(tracing::Level::DEBUG)
            && let Some(suppressed) = metrics.throttle.admit(("duplicate event", ""))
        {
            debug!(r#type = %event_type.name, partition, offset, suppressed, "duplicate event");
        }
    }
}

/// An event older than the history; it is refused.
#[derive(Clone, Copy, Debug)]
pub struct TooOldEvent<'a> {
    pub event_type: &'a EventType,
    pub partition: i32,
    pub offset: i64,
    /// How far before the customer's clock.
    pub late_by_ms: i64,
}

impl TooOldEvent<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { event_type, partition, offset, late_by_ms } = self;
        metrics.count_event(event_type, TOO_OLD);
        if let Some(suppressed) = metrics.throttle.admit(("too old", "")) {
            let r#type = &*event_type.name;
            warn!(r#type, partition, offset, late_by_ms, suppressed, "event older than time.history refused");
        }
    }
}

/// An event had fields that its schema does not have.
#[derive(Clone, Copy, Debug)]
pub struct FieldsIgnored<'a> {
    pub event_type: &'a EventType,
    pub partition: i32,
    pub offset: i64,
    pub fields: u64,
}

impl FieldsIgnored<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { event_type, partition, offset, fields } = self;
        metrics.input.ignored_fields.with_label_values(&[&event_type.name]).inc_by(fields);
        if let Some(suppressed) = metrics.throttle.admit(("ignored fields", "")) {
            let r#type = &*event_type.name;
            warn!(r#type, partition, offset, fields, suppressed, "event has fields that its schema does not have");
        }
    }
}

/// A new customer is on another partition than the configured partitioner gives: some producer uses another one, and
/// the customer's events may be split over two partitions.
#[derive(Clone, Copy, Debug)]
pub struct MixedPartitioners<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    pub expected_partition: i32,
}

impl MixedPartitioners<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { topic, partition, offset, expected_partition } = self;
        metrics.input.split_customers.inc();
        if let Some(suppressed) = metrics.throttle.admit(("mixed partitioners", "")) {
            warn!(
                topic,
                partition,
                offset,
                expected_partition,
                suppressed,
                "a customer is on a partition where the partitioner of most others does not put it: producers use \
                 different partitioners, or the number of partitions was changed; alerts of customers on two partitions \
                 are wrong. Make the producers agree, and set `partitioner` to refuse what lies elsewhere"
            );
        }
    }
}
