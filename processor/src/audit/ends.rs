//! Up to where is audited, while the application runs.
//!
//! ```text
//!  time ──────────> sure end of outputs ──> end of the journal ──> end of outputs ──>
//!                   (alerts, dead letters)                         (the same topics)
//! ```
//!
//! A transaction carries outputs and the journal record that explains them. Each end is settled: nothing before it is open.
//! - An output before the *sure* end was committed by then, and its journal record was written before it was; so that
//!   lies before the journal's end, which was asked for later. What the journal does not explain there is wrong.
//! - A journal record before the journal's end was committed by then, and its outputs were written before it was; so they
//!   lie before the last end, which was asked for later still. What is not found there is missing.
//! - Outputs between the two ends may be of transactions that the audited part of the journal has not seen.

use std::ops::Range;
use std::time::{Duration, Instant};

use tocsin_core::time::Millis;

use super::logs::{Bounds, Logs, Topic};
use crate::task::world::{Offset, PartitionId, WorldError};

/// How often is asked whether an open transaction has ended.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// The ends that belong to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Wall clock, when the journal's ends were taken.
    pub as_of: Millis,
    /// What is kept of each partition of each input topic.
    pub events: Vec<Vec<Range<Offset>>>,
    pub journal: Vec<Range<Offset>>,
    pub alerts: Vec<Output>,
    pub dead_letters: Vec<Output>,
}

/// What is read of a partition of an output topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    pub first: Offset,
    /// What lies before is explained by the audited part of the journal.
    pub sure: Offset,
    pub end: Offset,
}

impl Ends {
    /// Takes all ends, of so many input topics too. `patience` is how long an open transaction is waited for.
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if a topic is not there; [`WorldError::Transient`] if a broker does not answer, or a
    /// transaction stays open.
    pub fn take<L: Logs>(logs: &mut L, topics: usize, patience: Duration) -> Result<Self, WorldError> {
        let sure = |logs: &mut L, topic| -> Result<Vec<Offset>, WorldError> {
            let partitions = logs.partitions(topic)?;
            (0..partitions).map(|partition| Ok(logs.bounds(topic, partition)?.stable)).collect()
        };
        let (sure_alerts, sure_letters) = (sure(logs, Topic::Alerts)?, sure(logs, Topic::DeadLetters)?);
        let journal = (0..logs.partitions(Topic::Journal)?)
            .map(|partition| settled(logs, Topic::Journal, partition, patience).map(|found| found.first..found.end))
            .collect::<Result<Vec<_>, _>>()?;
        let as_of = logs.now();
        let outputs = |logs: &mut L, topic, sure: Vec<Offset>| -> Result<Vec<Output>, WorldError> {
            let each = sure.into_iter().enumerate().map(|(partition, sure)| {
                let Bounds { first, end, .. } = settled(logs, topic, partition as PartitionId, patience)?;
                Ok(Output { first, sure, end })
            });
            each.collect()
        };
        let alerts = outputs(logs, Topic::Alerts, sure_alerts)?;
        let dead_letters = outputs(logs, Topic::DeadLetters, sure_letters)?;
        let mut inputs = |topic| -> Result<Vec<Range<Offset>>, WorldError> {
            let partitions = logs.partitions(topic)?;
            (0..partitions)
                .map(|partition| logs.bounds(topic, partition).map(|found| found.first..found.stable))
                .collect()
        };
        let events = (0..topics).map(|topic| inputs(Topic::Events(topic))).collect::<Result<_, _>>()?;
        Ok(Self { as_of, events, journal, alerts, dead_letters })
    }
}

/// The bounds of a partition, once nothing before its end is open any more. The end is not asked for again: with many
/// writers there is always something open before the newest one.
fn settled<L: Logs>(
    logs: &mut L,
    topic: Topic,
    partition: PartitionId,
    patience: Duration,
) -> Result<Bounds, WorldError> {
    let began = Instant::now();
    let bounds = logs.bounds(topic, partition)?;
    let mut stable = bounds.stable;
    while stable < bounds.end {
        if began.elapsed() > patience {
            return Err(WorldError::Transient(format!(
                "partition {partition} of the {topic:?} topic is stable up to offset {stable} only, of {}: a transaction has \
                 been open for {} s. If that stays so, find it with kafka-transactions.sh find-hanging and abort it",
                bounds.end,
                began.elapsed().as_secs()
            )));
        }
        std::thread::sleep(ASK_EVERY);
        stable = logs.bounds(topic, partition)?.stable;
    }
    Ok(Bounds { stable, ..bounds })
}
