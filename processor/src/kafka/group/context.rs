//! What librdkafka calls back for a member of the consumer group.
//!
//! Nothing is assigned or given back in here: changes are noted, and [`super::rebalance`] answers them where the loop can
//! settle its tasks first. librdkafka waits for the answer, and with it the group: a partition has no new owner before.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;

use crate::kafka::log;

/// A change of the assignment that waits for its answer.
#[derive(Debug)]
pub(super) enum Change {
    Assigned(TopicPartitionList),
    Revoked { list: TopicPartitionList, lost: bool },
}

#[derive(Debug, Default)]
pub(super) struct GroupContext {
    changes: Mutex<Vec<Change>>,
    called: AtomicU64,
    closing: AtomicBool,
}

impl GroupContext {
    /// Changes since the last call, oldest first.
    pub fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often anything was called back: if polling does not raise it, there was nothing to serve.
    pub fn called(&self) -> u64 {
        self.called.load(Ordering::Relaxed)
    }

    /// From now on changes are answered at once, for nobody else will.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    fn count(&self) {
        self.called.fetch_add(1, Ordering::Relaxed);
    }
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.count();
        log::forward(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.count();
        log::statistics(statistics);
    }

    /// Whoever polls gets the error as well, and decides.
    fn error(&self, error: KafkaError, reason: &str) {
        self.count();
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.count();
        let assigned = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Relaxed) {
            let answered =
                if assigned { consumer.incremental_assign(list) } else { consumer.incremental_unassign(list) };
            if let Err(error) = answered {
                tracing::warn!(%error, "the group's last change could not be answered");
            }
            return;
        }
        let change = if assigned {
            Change::Assigned(list.clone())
        } else {
            Change::Revoked { list: list.clone(), lost: consumer.assignment_lost() }
        };
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }

    fn commit_callback(&self, _: Result<(), KafkaError>, _: &TopicPartitionList) {
        self.count();
    }
}
