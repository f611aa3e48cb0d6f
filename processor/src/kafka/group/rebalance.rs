//! Rebalances, answered on the worker's thread: new partitions at once, those that go when the loop has let go of them.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset as Position, TopicPartitionList};

use super::Group;
use super::context::Change;
use crate::kafka::errors;
use crate::task::world::{PartitionId, Source, WorldError};

/// Log lines, errors and rebalances served at a time.
const EVENTS_AT_ONCE: usize = 64;

impl Group {
    /// Serves rebalances, errors and log lines. Records come through the other queue.
    pub(super) fn serve(&mut self, wait: Duration) -> Result<(), WorldError> {
        if self.has_ended() {
            std::thread::sleep(wait);
            return Ok(());
        }
        let (mut wait, mut failed) = (wait, None);
        for _ in 0..EVENTS_AT_ONCE {
            let called = self.consumer().context().called();
            match self.consumer().poll(wait) {
                Some(Err(error)) => failed = failed.or_else(|| self.verdict(&error)),
                Some(Ok(_)) => {
                    failed = Some(WorldError::Fatal(
                        "a record came past the shared queue: this is a mistake in tocsin, please report it".to_owned(),
                    ));
                }
                None if self.consumer().context().called() == called => break,
                None => {}
            }
            wait = Duration::ZERO;
        }
        self.served = Instant::now();
        if self.has_ended() {
            // What else it has to say is of before.
            return failed.map_or(Ok(()), Err);
        }
        for change in self.consumer().context().take_changes() {
            match change {
                Change::Assigned(list) => self.take(list)?,
                Change::Revoked { list, lost } => self.prepare_leaving(list, lost)?,
            }
        }
        match (failed, self.doubt.take()) {
            (Some(error @ (WorldError::Fatal(_) | WorldError::Fenced(_))), _) | (Some(error), None) => Err(error),
            (_, Some(doubt)) => Err(WorldError::Unsettled(doubt)),
            (None, None) => Ok(()),
        }
    }

    /// What an error of the client means for the loop, if anything.
    fn verdict(&mut self, error: &KafkaError) -> Option<WorldError> {
        match error {
            KafkaError::MessageConsumption(code) if errors::is_transport(*code) => None,
            KafkaError::PartitionEOF(_) | KafkaError::MessageConsumption(RDKafkaErrorCode::PartitionEOF) => None,
            KafkaError::MessageConsumptionFatal(_) => {
                let (code, text) = self.consumer().client().fatal_error()?;
                match errors::of_code("the consumer cannot go on", code, &text) {
                    WorldError::Transient(message) => self.end(message, false),
                    WorldError::Fenced(message) => self.end(message, true),
                    other => return Some(other),
                }
                None
            }
            other => Some(errors::asking(format_args!("reading {}", self.topic), other)),
        }
    }

    /// Takes new partitions, paused. Their place is found out in a restore; until then any will do, for without one
    /// librdkafka would ask for the committed offset and refuse a partition that has none.
    fn take(&mut self, mut list: TopicPartitionList) -> Result<(), WorldError> {
        let partitions = partitions(&list);
        let refused = |error: String| {
            WorldError::Fatal(format!(
                "librdkafka does not take partitions {partitions:?}: {error}: start this instance anew"
            ))
        };
        if self.recognise() && self.instance.is_some() {
            self.join_again().map_err(|error| refused(error.to_string()))?;
        }
        self.go_back();
        for &partition in &partitions {
            let (topic, source) = (&self.topic, Source::first(partition));
            let is_done = match self.companions {
                Some(_) => self.client.set_apart(topic, source),
                None => self.client.forward(topic, partition),
            };
            if !is_done {
                return Err(refused(format!("partition {partition} has no queue")));
            }
        }
        list.set_all_offsets(Position::Beginning).map_err(|error| refused(error.to_string()))?;
        // Also when the list is empty: librdkafka waits for the answer.
        self.consumer().incremental_assign(&list).map_err(|error| refused(error.to_string()))?;
        self.assignment.assigned(&partitions);
        self.unassigned_since = None;
        if let Err(error) = self.pause(&partitions) {
            // Nothing of what does not run is handed out, and whoever starts it pauses it first.
            tracing::debug!(%error, "new partitions are fetched already");
        }
        tracing::info!(?partitions, member = self.member, "partitions assigned");
        Ok(())
    }

    /// Notices that we are another member now. Given up by the group and back as somebody else, librdkafka keeps
    /// partitions that others may have owned since.
    fn recognise(&mut self) -> bool {
        let member = self.client.membership().member;
        if member == self.member {
            return false;
        }
        self.member = member;
        self.hold();
        // Also what is being restored at the moment.
        if self.assignment.any_known() {
            self.doubt = Some("the group had given this instance up".to_owned());
        }
        true
    }

    /// Has the member join a second time, as soon as the assignment it was given is taken.
    ///
    /// Called before that, for librdkafka puts a subscription off until a rebalance is over and joins anew with it,
    /// whereas one that changes nothing is of no effect at any other time. What the member tells of itself then (the
    /// generation of its assignment) is not what it told when it was new, so the broker begins a rebalance, in which
    /// everybody keeps what they have, and what nobody has gets an owner. Nobody stops for it.
    fn join_again(&self) -> Result<(), KafkaError> {
        self.subscribe()
    }

    fn prepare_leaving(&mut self, leaving: TopicPartitionList, lost: bool) -> Result<(), WorldError> {
        let partitions = partitions(&leaving);
        tracing::info!(?partitions, lost, "partitions to be given back");
        if let Some(companions) = &mut self.companions {
            companions.stop(&partitions);
        }
        self.assignment.revoked(&partitions, lost);
        if lost {
            self.unassigned_since = Some(Instant::now());
        }
        self.leaving = Some(leaving);
        // What the loop has not heard of yet it need not settle either.
        self.give_back()
    }

    /// Gives back what leaves, once the loop has let go of all of it.
    pub(super) fn give_back(&mut self) -> Result<(), WorldError> {
        let is_settled = self.assignment.can_give_back();
        let Some(list) = self.leaving.take_if(|list| is_settled || list.count() == 0) else { return Ok(()) };
        self.go_back();
        self.consumer().incremental_unassign(&list).map_err(|error| {
            WorldError::Fatal(format!("librdkafka does not give partitions back: {error}: start this instance anew"))
        })?;
        for partition in partitions(&list) {
            self.client.drop_apart(Source::first(partition));
        }
        self.assignment.given_back();
        tracing::info!(partitions = ?partitions(&list), "partitions given back");
        Ok(())
    }

    /// Puts what runs back to where the loop is, before a rebalance is answered.
    ///
    /// librdkafka pauses all partitions until the answer, and goes on where it believes us to be; but a batch with an
    /// end of partition in it lets it believe that we are one further than we are (librdkafka issue 4844, in 2.12.1 and
    /// before). The record at that offset would be lost.
    fn go_back(&mut self) {
        let positions = self.assignment.positions();
        if positions.is_empty() {
            return;
        }
        if let Err(error) = self.seek(&positions) {
            self.hold();
            self.doubt = Some(error.to_string());
        }
    }
}

/// Leaves the group. Whoever lets a world go without releasing its partitions has lost what was not published.
impl Drop for Group {
    fn drop(&mut self) {
        let context = self.consumer().context();
        context.close();
        // librdkafka does not close before each change has its answer.
        for change in context.take_changes() {
            match change {
                Change::Revoked { list, .. } => self.leaving = Some(list),
                Change::Assigned(list) => drop(self.consumer().incremental_assign(&list)),
            }
        }
        if let Some(list) = self.leaving.take()
            && let Err(error) = self.consumer().incremental_unassign(&list)
        {
            tracing::warn!(%error, "partitions could not be given back");
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<PartitionId> {
    list.elements().iter().map(TopicPartitionListElem::partition).collect()
}
