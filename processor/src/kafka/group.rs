//! A member of the consumer group: the partitions that come and go, and their records.
//!
//! The group is served on the worker's own thread, in [`Group::poll`] and [`Group::keep_alive`] only. New partitions are
//! taken at once, but paused, so that nobody waits for their restore. Those that go are given back by
//! [`Group::release`]; until then librdkafka neither joins the next generation nor lets anybody else have them.
//!
//! A static member that comes back is given the assignment of before, without a rebalance, and that may lack a partition:
//! in a cooperative rebalance one that moves is in nobody's assignment until the member that gave it back joins a second
//! time. If that member ended in between, it comes back as a new one that owes nobody anything, and the partition would
//! have no owner. So each member that is new joins a second time ([`Group::join_again`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset as Position, TopicPartitionList};

use super::errors;
use super::native::{BatchConsumer, Item};
use super::publisher::Member;
use super::settings::KafkaSettings;
use crate::task::headers::Headers;
use crate::task::world::{Arrival, Input, Offset, PartitionId, Rebalance, Source, WorldError};

mod apart;
pub(super) mod assignment;
mod context;
mod rebalance;
mod renewal;
pub(super) mod standing;

use apart::Companions;
use assignment::Assignment;
use context::GroupContext;
use renewal::Ended;

/// How often the group is served while something else takes long.
const KEEP_ALIVE: Duration = Duration::from_millis(500);
/// librdkafka asks again by itself while a transaction hides the offset, and holds up the worker meanwhile.
const SHORT_PATIENCE: Duration = Duration::from_millis(250);

pub(super) struct Group {
    client: BatchConsumer<GroupContext>,
    topic: String,
    /// The further input topics, if there are any.
    companions: Option<Companions>,
    /// The name of a static member, whose assignment the group keeps while it is away.
    instance: Option<String>,
    request_timeout: Duration,
    session_timeout: Duration,
    /// How long the next question for a committed offset may take.
    committed_patience: Duration,
    assignment: Assignment,
    /// What is to be given back, as librdkafka named it.
    leaving: Option<TopicPartitionList>,
    /// The member that our partitions were assigned to.
    member: String,
    joined: bool,
    served: Instant,
    /// Why what runs had to be held, until the loop is told.
    doubt: Option<String>,
    /// Since when the client has been asking for an assignment.
    unassigned_since: Option<Instant>,
    /// It is of no more use.
    ended: Option<Ended>,
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
            companions: Companions::new(settings)?,
            instance: settings.group_instance_id.clone(),
            request_timeout: settings.request_timeout,
            session_timeout: settings.session_timeout,
            committed_patience: SHORT_PATIENCE,
            assignment: Assignment::default(),
            leaving: None,
            member: String::new(),
            joined: false,
            served: Instant::now(),
            doubt: None,
            unassigned_since: None,
            ended: None,
        })
    }

    /// # Errors
    /// [`WorldError::Unsettled`] if all tasks must be restored; the others as [`errors`] has them.
    pub fn poll(
        &mut self,
        settings: &KafkaSettings,
        max: usize,
        wait: Duration,
        wanted: Option<&[Source]>,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<Option<Rebalance>, WorldError> {
        self.renew(settings)?;
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
        match wanted {
            _ if !self.assignment.any_runs() => {}
            Some(wanted) if self.companions.is_some() => self.read_apart(max, wait, wanted, each)?,
            _ => self.read(max, wait, each)?,
        }
        self.notice_want_of_assignment();
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
    pub fn start(&mut self, partitions: &[(PartitionId, Vec<Offset>)]) -> Result<(), WorldError> {
        let can_start = |partition: &PartitionId| self.assignment.can_start(*partition);
        let offsets = partitions.iter().filter(|(partition, _)| can_start(partition));
        let starts: Vec<_> = offsets.clone().filter_map(|(partition, all)| Some((*partition, *all.first()?))).collect();
        if starts.is_empty() {
            return Ok(());
        }
        if let Some(companions) = &mut self.companions {
            for (partition, offsets) in offsets {
                companions.start(*partition, offsets.get(1..).unwrap_or_default())?;
            }
        }
        let partitions: Vec<_> = starts.iter().map(|(partition, _)| *partition).collect();
        // Else what runs would go on being fetched while it is sought.
        self.pause(&partitions)?;
        if let Err(error) = self.seek(&starts) {
            let what = format!("partitions of {} are not sought", self.topic);
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::State) {
                // librdkafka has stopped to read one of them, for whatever reason, and does not begin again.
                self.end(format!("{what}: {error}"), false);
                return Err(WorldError::Unsettled(what));
            }
            return Err(WorldError::Transient(format!("{what}: {error}")));
        }
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
        if let Some(companions) = &mut self.companions {
            companions.stop(&running);
        }
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
        if let Some(companions) = &mut self.companions {
            companions.stop(partitions);
        }
        if self.has_ended() {
            self.assignment.given_back();
            return Ok(());
        }
        if self.leaving.is_none() {
            return self.pause(partitions);
        }
        self.give_back()
    }

    /// The group's committed offset.
    ///
    /// # Errors
    /// [`WorldError::Pending`] while a transaction with an offset of this partition is open.
    pub fn committed(&mut self, topic: &str, partition: PartitionId) -> Result<Option<Offset>, WorldError> {
        self.keep_alive()?;
        let patience = self.committed_patience;
        let answer = self.ask_committed(topic, partition, patience);
        // A slow broker is given more time with each question; a quick one is asked again soon.
        self.committed_patience = match answer {
            Ok(_) => SHORT_PATIENCE,
            Err(_) => (patience * 2).min(self.request_timeout),
        };
        answer.map_err(|error| {
            let what = format!("the group's offset of {topic} {partition} is not known");
            match errors::asking(&what, &error) {
                WorldError::Transient(message) => WorldError::Pending(format!(
                    "{message}: a transaction with it is open, or the group's coordinator is gone"
                )),
                other => other,
            }
        })
    }

    fn ask_committed(
        &self,
        topic: &str,
        partition: PartitionId,
        patience: Duration,
    ) -> Result<Option<Offset>, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(topic, partition);
        let answer = self.consumer().committed_offsets(list, patience)?;
        let Some(element) = answer.find_partition(topic, partition) else { return Ok(None) };
        element.error()?;
        Ok(match element.offset() {
            Position::Offset(offset) => Some(offset),
            _ => None,
        })
    }

    fn join(&mut self) -> Result<(), WorldError> {
        if !self.joined && !self.has_ended() {
            self.subscribe().map_err(|error| errors::asking("the group is not joined", &error))?;
            self.joined = true;
            self.unassigned_since = Some(Instant::now());
        }
        Ok(())
    }

    fn subscribe(&self) -> Result<(), KafkaError> {
        self.consumer().subscribe(&[self.topic.as_str()])
    }

    fn consumer(&self) -> &BaseConsumer<GroupContext> {
        self.client.consumer()
    }

    fn read(&mut self, max: usize, wait: Duration, each: &mut dyn FnMut(Arrival<'_>)) -> Result<(), WorldError> {
        self.client.fill(max, wait);
        let (mut failed, mut headers) = (None::<(PartitionId, RDKafkaErrorCode, String)>, Vec::new());
        let mut strayed = None;
        while let Some(item) = self.client.peek() {
            // librdkafka may have skipped what it could not read.
            let is_behind_failure = failed.as_ref().is_some_and(|(partition, ..)| *partition == item.partition());
            match item {
                // Also where nobody reads: it would never be read again.
                Item::Failed { partition, code, message } if errors::is_astray(code) => {
                    strayed = Some((partition, message));
                }
                _ if is_behind_failure || !self.assignment.runs(item.partition()) => {}
                Item::Record(record) => {
                    self.assignment.advance(record.partition, record.offset + 1);
                    each(Arrival::Record(Input {
                        topic: 0,
                        partition: record.partition,
                        offset: record.offset,
                        timestamp: record.timestamp,
                        key: record.key,
                        payload: record.payload,
                        headers: Headers::pack(record.headers.iter(), &mut headers),
                    }));
                }
                Item::End { partition, offset } => {
                    self.assignment.advance(partition, offset);
                    each(Arrival::End { topic: 0, partition, offset, is_all: false });
                }
                Item::Failed { partition, code, message } if errors::is_passing(code) => {
                    tracing::warn!(partition, "{message}");
                }
                Item::Failed { partition, code, message } => failed = failed.or(Some((partition, code, message))),
            }
            self.client.advance();
        }
        if let Some((partition, message)) = strayed {
            self.stray(partition, &message);
            return Ok(());
        }
        let Some((partition, code, message)) = failed else { return Ok(()) };
        self.hold();
        Err(errors::reading(&self.topic, partition, code, &message))
    }

    /// librdkafka does not know any more where it is in a partition. What is to be read next is known from the journal, so
    /// another client goes on there, unless it is really gone: that is found when the partition is started.
    fn stray(&mut self, partition: PartitionId, message: &str) {
        self.end(format!("reading partition {partition} of {}: {message}", self.topic), false);
    }

    fn seek(&self, starts: &[(PartitionId, Offset)]) -> Result<(), KafkaError> {
        let until = Instant::now() + self.request_timeout;
        loop {
            let mut list = TopicPartitionList::with_capacity(starts.len());
            for (partition, offset) in starts {
                list.add_partition_offset(&self.topic, *partition, Position::Offset(*offset))?;
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
                Some(error) => return Err(error),
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

/// As whom the group's member publishes.
impl Member<Arc<ConsumerGroupMetadata>> for Group {
    fn standing(
        &self,
        mut partitions: impl Iterator<Item = PartitionId>,
    ) -> Result<(Arc<ConsumerGroupMetadata>, i32), String> {
        if self.has_ended() {
            return Err("the consumer has ended".to_owned());
        }
        if let Some(partition) = partitions.find(|partition| !self.assignment.holds(*partition)) {
            return Err(format!("partition {partition} is not this worker's"));
        }
        // Asked again if the client's own threads heard of a new generation in between.
        let mut objection = String::new();
        for _ in 0..3 {
            let before = self.client.membership();
            let metadata = self.consumer().group_metadata().ok_or("librdkafka knows no group")?;
            let after = self.client.membership();
            let lost = self.consumer().assignment_lost();
            match standing::objection(&self.member, &before, &after, lost) {
                None => return Ok((Arc::new(metadata), before.generation)),
                Some(found) => objection = found,
            }
        }
        Err(objection)
    }

    fn await_generation(&self, after: i32, patience: Duration) {
        let until = Instant::now() + patience;
        while self.client.membership().generation == after && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn replaced(&mut self, message: &str) {
        self.end(message.to_owned(), true);
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
