//! Transactions: alerts, dead letters, journal and offsets, all or nothing.

use std::time::Duration;

use prometheus::{Error, Histogram, IntCounterVec};
use tracing::{trace, warn};

use super::metrics::Metrics;
use super::registrar::{DURATIONS, Registrar};

const COMMITTED: &str = "committed";

#[derive(Debug)]
pub struct TransactionMetrics {
    transactions: IntCounterVec,
    commit_duration: Histogram,
}

impl TransactionMetrics {
    pub fn register(r: &mut Registrar) -> Result<Self, Error> {
        let transactions = r.counters(
            "tocsin_transactions_total",
            "Transactions by outcome: committed, aborted, fenced, timed_out, failed.",
            &["outcome"],
        )?;
        let failed = FailedOutcome::ALL.map(FailedOutcome::name);
        for outcome in failed.into_iter().chain([COMMITTED]) {
            drop(transactions.with_label_values(&[outcome]));
        }
        let commit_duration = r.histogram(
            "tocsin_transaction_commit_duration_seconds",
            "Time from the begin of a transaction to the end of its commit, for those that were committed.",
            DURATIONS,
        )?;
        Ok(Self { transactions, commit_duration })
    }
}

/// A transaction was committed.
#[derive(Clone, Copy, Debug)]
pub struct TransactionCommitted {
    pub worker: usize,
    pub took: Duration,
    pub events: usize,
    /// Alert records and dead letters in it.
    pub records: usize,
}

impl TransactionCommitted {
    pub fn emit(self, metrics: &Metrics) {
        let Self { worker, took, events, records } = self;
        metrics.transactions.transactions.with_label_values(&[COMMITTED]).inc();
        metrics.transactions.commit_duration.observe(took.as_secs_f64());
        trace!(worker, took_us = took.as_micros() as u64, events, records, "transaction committed");
    }
}

/// How a transaction failed, by what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedOutcome {
    /// Nothing of it is visible, for certain; its tasks restore.
    Aborted,
    /// Another process has taken over this one's transactional id.
    Fenced,
    /// Whether it was committed is not known here; the journal will tell.
    TimedOut,
    /// Any other error; the producer is made anew.
    Failed,
}

impl FailedOutcome {
    pub const ALL: [Self; 4] = [Self::Aborted, Self::Fenced, Self::TimedOut, Self::Failed];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::Fenced => "fenced",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
        }
    }
}

/// A transaction was not committed, or not for certain.
#[derive(Clone, Copy, Debug)]
pub struct TransactionFailed<'a> {
    pub worker: usize,
    pub outcome: FailedOutcome,
    pub error: &'a str,
}

impl TransactionFailed<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { worker, outcome, error } = self;
        let outcome = outcome.name();
        metrics.transactions.transactions.with_label_values(&[outcome]).inc();
        if let Some(suppressed) = metrics.throttle.admit(("transaction", outcome)) {
            warn!(worker, outcome, error, suppressed, "transaction not committed; its partitions are restored");
        }
    }
}
