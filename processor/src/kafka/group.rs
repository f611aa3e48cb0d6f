//! A member of the consumer group: the partitions that come and go, and their records.
//!
//! The group is served on the worker's own thread, in [`Group::poll`] and [`Group::keep_alive`] only. New partitions are
//! taken at once, but paused, so that nobody waits for their restore. Those that go are given back by
//! [`Group::release`]; until then librdkafka neither joins the next generation nor lets anybody else have them.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset as Position, TopicPartitionList};

use super::assignment::Assignment;
use super::errors;
use super::group_context::{Change, GroupContext};
use super::native::{BatchConsumer, Item};
use super::settings::KafkaSettings;
use super::standing;
use crate::task::world::{Arrival, Input, Offset, PartitionId, Rebalance, WorldError};

/// Log lines, errors and rebalances served at a time.
const EVENTS_AT_ONCE: usize = 64;
/// How often the group is served while something else takes long.
const KEEP_ALIVE: Duration = Duration::from_millis(500);

pub(super) struct Group {
    client: BatchConsumer<GroupContext>,
    topic: String,
    request_timeout: Duration,
    assignment: Assignment,
    /// What is to be given back, as librdkafka named it.
    leaving: Option<TopicPartitionList>,
    /// The member that our partitions were assigned to.
    member: String,
    joined: bool,
    served: Instant,
}

impl Group {
    pub fn new(settings: &KafkaSettings) -> Result<Self, WorldError> {
        let consumer: BaseConsumer<GroupContext> = settings
            .group_client()
            .create_with_context(GroupContext::default())
            .map_err(|error| errors::making("consumer", &error))?;
        let client = BatchConsumer::new(consumer)
            .ok_or_else(|| WorldError::Fatal("librdkafka has no memory for a queue".to_owned()))?;
        Ok(Self {
            client,
            topic: settings.events_topic.clone(),
            request_timeout: settings.request_timeout,
            assignment: Assignment::default(),
            leaving: None,
            member: String::new(),
            joined: false,
            served: Instant::now(),
        })
    }

    pub fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<Option<Rebalance>, WorldError> {
        self.join()?;
        let is_idle = !self.assignment.any_runs() && !self.assignment.has_news(Instant::now());
        self.serve(if is_idle { wait } else { Duration::ZERO })?;
        if let Some(change) = self.assignment.tell(Instant::now()) {
            return Ok(Some(match change {
                Rebalance::Revoked { partitions, lost } => {
                    Rebalance::Revoked { partitions, lost: lost || self.consumer().assignment_lost() }
                }
                assigned @ Rebalance::Assigned(_) => assigned,
            }));
        }
        if self.assignment.any_runs() {
            self.read(max, wait, each)?;
        }
        Ok(None)
    }

    /// Serves the group now and then, so that it does not give this member up while a restore takes long.
    pub fn keep_alive(&mut self) -> Result<(), WorldError> {
        if !self.joined || self.served.elapsed() < KEEP_ALIVE {
            return Ok(());
        }
        match self.serve(Duration::ZERO) {
            Err(WorldError::Transient(message)) => {
                tracing::warn!("{message}");
                Ok(())
            }
            other => other,
        }
    }

    /// Reads partitions from these offsets on; what was fetched before does not arrive any more.
    pub fn start(&mut self, starts: &[(PartitionId, Offset)]) -> Result<(), WorldError> {
        let starts: Vec<_> =
            starts.iter().copied().filter(|(partition, _)| self.assignment.can_start(*partition)).collect();
        if starts.is_empty() {
            return Ok(());
        }
        let partitions: Vec<_> = starts.iter().map(|(partition, _)| *partition).collect();
        // Running ones are fetched on while they are sought, else.
        self.pause(&partitions)?;
        self.seek(&starts)?;
        let list = self.list(&partitions);
        self.consumer().resume(&list).map_err(|error| errors::asking("partitions are not resumed", &error))?;
        self.check(&list, "resume")?;
        for (partition, offset) in starts {
            tracing::debug!(partition, offset, "partition started");
            self.assignment.started(partition, offset);
        }
        Ok(())
    }

    /// Stops what runs: it must be restored, and is told as assigned again.
    pub fn hold(&mut self) {
        let running = self.assignment.hold();
        if let Err(error) = self.pause(&running) {
            // What does not run is not handed out, paused or not.
            tracing::debug!(%error, "partitions are fetched on");
        }
    }

    /// The loop has settled these partitions and lets go of them.
    pub fn release(&mut self, partitions: &[PartitionId]) -> Result<(), WorldError> {
        for partition in partitions {
            self.assignment.released(*partition);
        }
        if self.leaving.is_none() {
            return self.pause(partitions);
        }
        self.give_back()
    }

    /// As whom to publish: the group's metadata and its generation. The error says why not to.
    pub fn standing(&self) -> Result<(ConsumerGroupMetadata, i32), String> {
        let before = self.client.membership();
        let metadata = self.consumer().group_metadata();
        let after = self.client.membership();
        let lost = self.consumer().assignment_lost();
        match (standing::objection(&self.member, &before, &after, lost), metadata) {
            (Some(objection), _) => Err(objection),
            (None, None) => Err("librdkafka knows no group".to_owned()),
            (None, Some(metadata)) => Ok((metadata, before.generation)),
        }
    }

    /// Waits until our client knows another generation than this one. Whether it does then is all that it says.
    pub fn await_generation(&self, after: i32, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while self.client.membership().generation == after {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// The group's committed offset. Waits while a transaction with offsets of this partition is open.
    pub fn committed(&mut self, partition: PartitionId, patience: Duration) -> Result<Option<Offset>, WorldError> {
        let until = Instant::now() + patience;
        loop {
            self.keep_alive()?;
            let error = match self.ask_committed(partition) {
                Ok(offset) => return Ok(offset),
                Err(error) => error,
            };
            let what = format!("the group's offset of {} {partition} is not known", self.topic);
            match errors::asking(&what, &error) {
                WorldError::Transient(_) if Instant::now() < until => {
                    tracing::info!(partition, %error, "waiting for the group's offset");
                }
                WorldError::Transient(message) => {
                    return Err(WorldError::Transient(format!(
                        "{message}; after {} s: is a transaction of another producer open, or the group's coordinator \
                         gone?",
                        patience.as_secs()
                    )));
                }
                other => return Err(other),
            }
        }
    }

    fn ask_committed(&self, partition: PartitionId) -> Result<Option<Offset>, KafkaError> {
        let answer = self.consumer().committed_offsets(self.list(&[partition]), self.request_timeout)?;
        let Some(element) = answer.find_partition(&self.topic, partition) else { return Ok(None) };
        element.error()?;
        Ok(match element.offset() {
            Position::Offset(offset) => Some(offset),
            _ => None,
        })
    }

    fn join(&mut self) -> Result<(), WorldError> {
        if !self.joined {
            let topics = [self.topic.as_str()];
            self.consumer().subscribe(&topics).map_err(|error| errors::asking("the group is not joined", &error))?;
            self.joined = true;
        }
        Ok(())
    }

    fn consumer(&self) -> &BaseConsumer<GroupContext> {
        self.client.consumer()
    }

    /// Serves rebalances, errors and log lines. Records come through the other queue.
    fn serve(&mut self, wait: Duration) -> Result<(), WorldError> {
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
        for change in self.consumer().context().take_changes() {
            match change {
                Change::Assigned(list) => self.take(list)?,
                Change::Revoked { list, lost } => self.prepare_leaving(list, lost)?,
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// What an error of the client means for the loop, if anything.
    fn verdict(&self, error: &KafkaError) -> Option<WorldError> {
        match error {
            KafkaError::MessageConsumption(code) if errors::is_transport(*code) => None,
            KafkaError::PartitionEOF(_) | KafkaError::MessageConsumption(RDKafkaErrorCode::PartitionEOF) => None,
            KafkaError::MessageConsumptionFatal(_) => {
                let (code, text) = self.consumer().client().fatal_error()?;
                Some(match errors::of_code("the consumer cannot go on", code, &text) {
                    WorldError::Transient(message) => WorldError::Fatal(format!("{message}: start this instance anew")),
                    other => other,
                })
            }
            other => Some(errors::asking(format_args!("reading {}", self.topic), other)),
        }
    }

    /// Takes new partitions, paused. Their place is found out in a restore; until then any will do, for without one
    /// librdkafka would ask for the committed offset and refuse a partition that has none.
    fn take(&mut self, mut list: TopicPartitionList) -> Result<(), WorldError> {
        let member = self.client.membership().member;
        if member != self.member {
            // Given up by the group and back as somebody else: others may have owned what librdkafka says we kept.
            self.hold();
            self.member = member;
        }
        let partitions = partitions(&list);
        let refused = |error: String| {
            WorldError::Fatal(format!("librdkafka does not take partitions {partitions:?}: {error}: start anew"))
        };
        if let Some(partition) = partitions.iter().find(|partition| !self.client.forward(&self.topic, **partition)) {
            return Err(refused(format!("partition {partition} has no queue")));
        }
        self.go_back();
        list.set_all_offsets(Position::Beginning).map_err(|error| refused(error.to_string()))?;
        // Also when the list is empty: librdkafka waits for the answer.
        self.consumer().incremental_assign(&list).map_err(|error| refused(error.to_string()))?;
        self.pause(&partitions)?;
        self.assignment.assigned(&partitions);
        tracing::info!(?partitions, member = self.member, "partitions assigned");
        Ok(())
    }

    fn prepare_leaving(&mut self, leaving: TopicPartitionList, lost: bool) -> Result<(), WorldError> {
        let partitions = partitions(&leaving);
        tracing::info!(?partitions, lost, "partitions to be given back");
        self.assignment.revoked(&partitions, lost);
        self.leaving = Some(leaving);
        // What the loop has not heard of yet it need not settle either.
        self.give_back()
    }

    fn give_back(&mut self) -> Result<(), WorldError> {
        let is_settled = self.assignment.can_give_back();
        let Some(list) = self.leaving.take_if(|list| is_settled || list.count() == 0) else { return Ok(()) };
        self.go_back();
        self.consumer().incremental_unassign(&list).map_err(|error| {
            WorldError::Fatal(format!("librdkafka does not give partitions back: {error}: start this instance anew"))
        })?;
        self.assignment.given_back();
        tracing::info!(partitions = ?partitions(&list), "partitions given back");
        Ok(())
    }

    /// Puts what runs back to where the loop is, before a rebalance is answered.
    ///
    /// librdkafka pauses all partitions until the answer, and goes on where it believes us to be; but a batch with an
    /// end of partition in it lets it believe that we are one further than we are (librdkafka 4844, there until 2.12.1).
    /// The record at that offset would be lost.
    fn go_back(&mut self) {
        let positions = self.assignment.positions();
        if positions.is_empty() {
            return;
        }
        if let Err(error) = self.seek(&positions) {
            tracing::warn!(%error, "partitions are started anew");
            self.hold();
        }
    }

    fn read(&mut self, max: usize, wait: Duration, each: &mut dyn FnMut(Arrival<'_>)) -> Result<(), WorldError> {
        self.client.fill(max, wait);
        let mut failed = None;
        while let Some(item) = self.client.peek() {
            match item {
                Item::Record(record) if self.assignment.runs(record.partition) => {
                    self.assignment.advance(record.partition, record.offset + 1);
                    each(Arrival::Record(Input {
                        partition: record.partition,
                        offset: record.offset,
                        timestamp: record.timestamp,
                        key: record.key,
                        payload: record.payload,
                    }));
                }
                Item::End { partition, offset } if self.assignment.runs(partition) => {
                    self.assignment.advance(partition, offset);
                    each(Arrival::End { partition, offset });
                }
                Item::Failed { partition, code, message } if !errors::is_transport(code) => {
                    failed = failed.or(Some((partition, code, message)));
                }
                _ => {}
            }
            self.client.advance();
        }
        let Some((partition, code, message)) = failed else { return Ok(()) };
        Err(errors::reading(&self.topic, partition, code, &message))
    }

    fn seek(&self, starts: &[(PartitionId, Offset)]) -> Result<(), WorldError> {
        let until = Instant::now() + self.request_timeout;
        loop {
            let mut list = TopicPartitionList::with_capacity(starts.len());
            for (partition, offset) in starts {
                list.add_partition_offset(&self.topic, *partition, Position::Offset(*offset))
                    .map_err(|error| WorldError::Fatal(format!("offset {offset} of partition {partition}: {error}")))?;
            }
            let sought = self.consumer().seek_partitions(list, self.request_timeout);
            let failed = match sought {
                Ok(list) => list.elements().iter().find_map(|element| element.error().err()),
                Err(error) => Some(error),
            };
            match failed {
                None => return Ok(()),
                // A partition that has just been assigned may not be fetching yet.
                Some(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                Some(error) => {
                    return Err(WorldError::Transient(format!("partitions of {} are not sought: {error}", self.topic)));
                }
            }
        }
    }

    fn pause(&self, partitions: &[PartitionId]) -> Result<(), WorldError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let list = self.list(partitions);
        self.consumer().pause(&list).map_err(|error| errors::asking("partitions are not paused", &error))?;
        self.check(&list, "pause")
    }

    fn check(&self, list: &TopicPartitionList, action: &str) -> Result<(), WorldError> {
        match list.elements().iter().find_map(|element| element.error().err()) {
            None => Ok(()),
            Some(error) => Err(WorldError::Transient(format!("{}: cannot {action} a partition: {error}", self.topic))),
        }
    }

    fn list(&self, partitions: &[PartitionId]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&self.topic, *partition);
        }
        list
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

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("topic", &self.topic)
            .field("assignment", &self.assignment)
            .finish_non_exhaustive()
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<PartitionId> {
    list.elements().iter().map(TopicPartitionListElem::partition).collect()
}
