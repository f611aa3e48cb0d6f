//! Which record of a task's input topics is next?
//!
//! With one topic, the next of its log. With several, the one with the smallest event time among the heads; of equal ones,
//! that of the topic named first. So a replay of history meets complaint and answer in the order in which they were made,
//! however far apart they lie in their topics.
//!
//! A topic of which nothing is at hand may bring an older record yet, and is waited for, but not
//! - if the broker said that it has been read to its end,
//! - if it has been waited for in vain already, for `time.merge_wait`, and has brought nothing since.
//!
//! Which record was taken is in the journal. So a replay does not wait, and comes to the same.

use tocsin_core::time::{Duration, Millis};

use super::Shared;
use super::inbox::Inbox;
use super::world::{Arrival, Input, Offset, PartitionId, Source, TopicId};
use crate::codec::decode::Decoder;
use crate::telemetry::TopicLags;

/// The input topics of one live task.
#[derive(Debug)]
pub struct Lanes {
    partition: PartitionId,
    lanes: Vec<Lane>,
}

/// One topic of a task.
#[derive(Debug)]
pub struct Lane {
    /// What has come and waits for its turn. Only of several topics.
    inbox: Inbox,
    /// The event time of the first record in there, if that is known already.
    head: Option<EventTime>,
    end: Option<End>,
    /// When a record was last taken, or the task went live.
    last_arrival: Millis,
    /// Since when it has been waited for.
    awaited: Option<Millis>,
    /// It has been told that this was in vain.
    is_told: bool,
    /// It brings nothing before this instant, as the broker confirmed.
    pub confirmed: Option<Millis>,
    /// When the broker was last asked for that.
    pub asked: Option<Millis>,
}

/// Where a topic was read to its end.
#[derive(Clone, Copy, Debug)]
struct End {
    offset: Offset,
    /// Nothing lies behind it, not even what cannot be read yet.
    is_all: bool,
}

/// `None`: the record has none, for it is no event, or one that is refused. It holds nobody up.
type EventTime = Option<Millis>;

impl Lane {
    fn new(now: Millis) -> Self {
        let inbox = Inbox::default();
        Self {
            inbox,
            head: None,
            end: None,
            last_arrival: now,
            awaited: None,
            is_told: false,
            confirmed: None,
            asked: None,
        }
    }

    /// The offset at which it was read to its end, if nothing has come since.
    #[must_use]
    pub fn end(&self) -> Option<Offset> {
        self.end.filter(|_| self.inbox.is_empty()).map(|end| end.offset)
    }

    /// Whether it has brought nothing for so long, to its end.
    #[must_use]
    pub fn is_quiet(&self, now: Millis, idle_after: Duration) -> bool {
        self.end().is_some() && now - self.last_arrival >= idle_after
    }

    /// A record of it is taken.
    pub fn taken(&mut self, now: Millis) {
        (self.end, self.last_arrival) = (None, now);
        (self.awaited, self.is_told) = (None, false);
    }

    /// It was read to this offset, which is its end.
    pub fn ended(&mut self, offset: Offset, is_all: bool) {
        self.end = Some(End { offset, is_all });
    }

    /// Takes ends off the front, so that a record or nothing is there.
    fn uncover(&mut self) {
        while let Some(Arrival::End { offset, is_all, .. }) = self.inbox.peek() {
            self.end = Some(End { offset, is_all });
            _ = self.inbox.pop();
        }
    }

    /// Whether an older record than those of other topics may come. Nothing of it is at hand.
    fn may_bring_more(&self, now: Millis, wait: Duration) -> bool {
        let is_given_up = self.awaited.is_some_and(|since| now - since >= wait);
        !self.is_at_end() && !is_given_up
    }

    fn is_at_end(&self) -> bool {
        self.end.is_some_and(|end| end.is_all)
    }

    fn event_time(&mut self, shared: &Shared, decoder: &mut Decoder) -> EventTime {
        if let Some(known) = self.head {
            return known;
        }
        let time = match self.inbox.peek() {
            Some(Arrival::Record(Input { payload: Some(payload), timestamp, .. })) => {
                let at = decoder.decode(payload).ok().map(|event| event.occurred_at);
                // What lies too far ahead of its record is refused, whenever it is taken.
                at.filter(|at| timestamp.is_none_or(|timestamp| *at <= timestamp + shared.time.max_future_skew))
            }
            _ => None,
        };
        self.head = Some(time);
        time
    }
}

impl Lanes {
    #[must_use]
    pub fn new(shared: &Shared, partition: PartitionId, now: Millis) -> Self {
        Self { partition, lanes: shared.topics.iter().map(|_| Lane::new(now)).collect() }
    }

    #[must_use]
    pub fn get(&self, topic: TopicId) -> Option<&Lane> {
        self.lanes.get(topic)
    }

    pub fn get_mut(&mut self, topic: TopicId) -> Option<&mut Lane> {
        self.lanes.get_mut(topic)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.lanes.iter_mut()
    }

    /// When a record was last taken of any.
    #[must_use]
    pub fn last_arrival(&self) -> Option<Millis> {
        self.lanes.iter().map(|lane| lane.last_arrival).max()
    }

    /// Those of which nothing is at hand.
    pub fn wanted(&self) -> impl Iterator<Item = Source> + '_ {
        let empty = self.lanes.iter().enumerate().filter(|(_, lane)| lane.inbox.is_empty());
        empty.map(|(topic, _)| Source { topic, partition: self.partition })
    }

    /// Keeps what has come until it is its turn.
    pub fn push(&mut self, arrival: Arrival<'_>) {
        let Some(lane) = self.lanes.get_mut(arrival.source().topic) else { return };
        if lane.inbox.is_empty() {
            lane.inbox.recycle();
        }
        lane.inbox.push(arrival);
    }

    /// How many records are at hand.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.inbox.len()).sum()
    }

    /// Whether [`Self::choose`] would name a topic.
    #[must_use]
    pub fn is_ready(&self, now: Millis, wait: Duration) -> bool {
        let mut any = false;
        for lane in &self.lanes {
            any |= !lane.inbox.is_empty();
            if lane.inbox.is_empty() && lane.may_bring_more(now, wait) {
                return false;
            }
        }
        any
    }

    /// The topic whose turn it is; `None` if there is nothing, or a topic is waited for.
    pub fn choose(&mut self, shared: &Shared, decoder: &mut Decoder, now: Millis) -> Option<TopicId> {
        self.lanes.iter_mut().for_each(Lane::uncover);
        let mut first: Option<(Millis, TopicId)> = None;
        for (topic, lane) in self.lanes.iter_mut().enumerate().filter(|(_, lane)| !lane.inbox.is_empty()) {
            let Some(at) = lane.event_time(shared, decoder) else { return Some(topic) };
            first = Some(first.map_or((at, topic), |first| first.min((at, topic))));
        }
        let (_, topic) = first?;
        let mut waits = false;
        for (number, lane) in self.lanes.iter_mut().enumerate().filter(|(_, lane)| lane.inbox.is_empty()) {
            if lane.is_at_end() {
                lane.awaited = None;
                continue;
            }
            let since = *lane.awaited.get_or_insert(now);
            if lane.may_bring_more(now, shared.merge_wait) {
                waits = true;
            } else if !lane.is_told {
                lane.is_told = true;
                let (topic, waited_ms) = (shared.topic_name(number), now - since);
                TopicLags { topic, partition: self.partition, waited_ms }.emit(&shared.metrics);
            }
        }
        (!waits).then_some(topic)
    }

    /// The inbox of the topic that was chosen, to be given back by [`Self::put_back`].
    pub fn lend(&mut self, topic: TopicId, now: Millis) -> Inbox {
        let Some(lane) = self.lanes.get_mut(topic) else { return Inbox::default() };
        lane.head = None;
        lane.taken(now);
        std::mem::take(&mut lane.inbox)
    }

    pub fn put_back(&mut self, topic: TopicId, inbox: Inbox) {
        if let Some(lane) = self.lanes.get_mut(topic) {
            lane.inbox = inbox;
        }
    }
}
