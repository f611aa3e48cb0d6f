//! The watermark when nothing comes: advances by the wall clock, and why there was none.

use prometheus::{Error, IntCounter, IntCounterVec, IntGaugeVec};
use tocsin_core::time::Millis;
use tracing::{debug, error, info, warn};

use super::metrics::Metrics;
use super::registrar::Registrar;

#[derive(Debug)]
pub struct IdleMetrics {
    advances: IntCounter,
    refusals: IntCounterVec,
    feed_broken: IntGaugeVec,
    merge_waits: IntCounterVec,
}

impl IdleMetrics {
    pub fn register(r: &mut Registrar) -> Result<Self, Error> {
        let refusals = r.counters(
            "tocsin_idle_refusals_total",
            "Times an idle partition's watermark did not follow the wall clock, by reason.",
            &["reason"],
        )?;
        for reason in IdleRefusal::ALL {
            drop(refusals.with_label_values(&[reason.name()]));
        }
        Ok(Self {
            advances: r.counter(
                "tocsin_idle_advances_total",
                "Times an idle partition's watermark followed the wall clock.",
            )?,
            refusals,
            feed_broken: r.gauges(
                "tocsin_feed_broken",
                "1 while the whole input of a worker has been silent for time.feed_timeout.",
                &["worker"],
            )?,
            merge_waits: r.counters(
                "tocsin_merge_waits_total",
                "Times a topic was waited for in vain for time.merge_wait, and others went on without it.",
                &["topic"],
            )?,
        })
    }
}

/// The wall clock moved the watermark of an idle partition.
#[derive(Clone, Copy, Debug)]
pub struct IdleAdvanced<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub watermark: Millis,
}

impl IdleAdvanced<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { topic, partition, watermark } = self;
        metrics.idle.advances.inc();
        debug!(topic, partition, watermark, "idle partition: the watermark follows the wall clock");
    }
}

/// A topic lags behind the others, which go on; the watermark waits for it.
#[derive(Clone, Copy, Debug)]
pub struct TopicLags<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub waited_ms: i64,
}

impl TopicLags<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { topic, partition, waited_ms } = self;
        metrics.idle.merge_waits.with_label_values(&[topic]).inc();
        if let Some(suppressed) = metrics.throttle.admit(("topic lags", "")) {
            warn!(
                topic,
                partition, waited_ms, suppressed, "a topic brings nothing, and its end is not known: the others go on"
            );
        }
    }
}

/// Why the watermark stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleRefusal {
    /// The broker holds records that have not been read.
    Backlog,
    /// The broker did not say how far the partition goes.
    NoAnswer,
    /// Our clock and the broker's are too far apart.
    ClockOff,
    /// The whole feed is taken for broken.
    FeedBroken,
}

impl IdleRefusal {
    pub const ALL: [Self; 4] = [Self::Backlog, Self::NoAnswer, Self::ClockOff, Self::FeedBroken];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::NoAnswer => "no_answer",
            Self::ClockOff => "clock_off",
            Self::FeedBroken => "feed_broken",
        }
    }
}

/// A partition looked idle, and its watermark was not moved.
#[derive(Clone, Copy, Debug)]
pub struct IdleRefused<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub reason: IdleRefusal,
}

impl IdleRefused<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { topic, partition, reason } = self;
        metrics.idle.refusals.with_label_values(&[reason.name()]).inc();
        let Some(suppressed) = metrics.throttle.admit(("idle refused", reason.name())) else { return };
        match reason {
            // New records between two questions are no fault, and a broken feed has a line of its own.
            IdleRefusal::Backlog | IdleRefusal::FeedBroken => {
                debug!(topic, partition, reason = reason.name(), suppressed, "idle partition not advanced");
            }
            IdleRefusal::NoAnswer => {
                warn!(topic, partition, suppressed, "idle partition not advanced: no answer from the broker");
            }
            IdleRefusal::ClockOff => {
                warn!(
                    topic,
                    partition, suppressed, "idle partition not advanced: our clock is off the broker's; set it"
                );
            }
        }
    }
}

/// All of a worker's input has been silent for the configured time.
#[derive(Clone, Copy, Debug)]
pub struct FeedBroken {
    pub worker: usize,
    pub silent_ms: i64,
}

impl FeedBroken {
    pub fn emit(self, metrics: &Metrics) {
        let Self { worker, silent_ms } = self;
        metrics.idle.feed_broken.with_label_values(&[&worker.to_string()]).set(1);
        error!(worker, silent_ms, "no events at all for time.feed_timeout: the feed is taken for broken");
    }
}

/// Events come again.
#[derive(Clone, Copy, Debug)]
pub struct FeedRestored {
    pub worker: usize,
}

impl FeedRestored {
    pub fn emit(self, metrics: &Metrics) {
        let Self { worker } = self;
        metrics.idle.feed_broken.with_label_values(&[&worker.to_string()]).set(0);
        info!(worker, "events come again: the feed is restored");
    }
}
