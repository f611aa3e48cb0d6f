//! The world of one process: `KafkaWorld` with the simulated broker in librdkafka's place. What decides is the real thing:
//! the publisher, the assignment, the standing in the group.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tocsin::codec::journal::JournalRecord;
use tocsin::kafka::KafkaSettings;
use tocsin::kafka::protocol::{Assignment, Member, Membership, Publisher, objection};
use tocsin::task::headers::Headers;
use tocsin::task::world::{
    Arrival, Input, Logged, Offset, PartitionId, Rebalance, Source, Transaction, World, WorldError,
};
use tocsin_core::time::Millis;

use crate::broker::log::{Entry, Log};
use crate::broker::{MemberId, Place};
use crate::client::{Change, Client, Fetched};
use crate::disk::SimStores;
use crate::producer::SimMaker;
use crate::rules::TOPICS;
use crate::sim::{BASE, Me, Net, Sim};

pub struct SimWorld {
    sim: Rc<Sim>,
    me: Me,
    publisher: Publisher<SimMaker>,
    group: SimGroup,
    stores: SimStores,
}

/// As `kafka::group::Group`, which is librdkafka's glue around the same decisions.
struct SimGroup {
    sim: Rc<Sim>,
    me: Me,
    assignment: Assignment,
    leaving: Option<Vec<PartitionId>>,
    member: String,
    doubt: Cell<Option<&'static str>>,
}

/// A moment by the steady clock.
pub fn steady(now: Millis) -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now) + Duration::from_millis((now - BASE) as u64)
}

impl SimWorld {
    pub fn new(sim: &Rc<Sim>, me: Me, instance: &str) -> Self {
        let mut settings = KafkaSettings::new("nowhere:0", "sim", instance, 0);
        settings.events_topic = TOPICS[0].into();
        settings.further_topics = TOPICS[1..sim.plan.topics].iter().map(|topic| (*topic).to_owned()).collect();
        settings.transaction_timeout = Duration::from_millis(sim.plan.transaction_timeout as u64);
        let maker = SimMaker { sim: sim.clone(), me, id: settings.transactional_id.clone() };
        let group = SimGroup {
            sim: sim.clone(),
            me,
            assignment: Assignment::default(),
            leaving: None,
            member: String::new(),
            doubt: Cell::new(None),
        };
        let publisher = Publisher::new(&settings, maker);
        Self { sim: sim.clone(), me, publisher, group, stores: SimStores { sim: sim.clone(), me } }
    }

    fn ask(&self, what: &str) -> Result<(), WorldError> {
        match self.sim.request(self.me, what) {
            Net::Fine | Net::Repeated => Ok(()),
            Net::Lost | Net::Unanswered => Err(WorldError::Transient(format!("{what}: the broker does not answer"))),
        }
    }

    fn with_log<T>(&self, place: Place, work: impl FnOnce(&Log) -> T) -> T {
        work(self.sim.broker.borrow_mut().log(place))
    }
}

fn input(source: Source, offset: Offset, entry: &Entry) -> Input<'_> {
    let (data, Source { topic, partition }) = (entry.data.as_ref().unwrap(), source);
    Input {
        topic,
        partition,
        offset,
        timestamp: Some(entry.timestamp),
        key: data.key.as_deref(),
        payload: data.payload.as_deref(),
        headers: Headers::default(),
    }
}

fn gone(what: &str, from: Offset, first: Offset) -> WorldError {
    WorldError::Fatal(format!("{what} begins at offset {first}, but offset {from} is wanted: retention has taken it"))
}

impl SimGroup {
    fn client<T>(&self, work: impl FnOnce(&mut Client) -> T) -> T {
        work(&mut self.sim.clients.borrow_mut()[self.me.process])
    }

    fn membership(&self) -> Membership {
        self.client(|client| Membership {
            generation: client.generation,
            member: client.member.map_or(String::new(), |member| member.to_string()),
        })
    }

    fn now(&self) -> Instant {
        steady(self.sim.now())
    }

    fn serve(&mut self) -> Result<(), WorldError> {
        if self.client(|client| client.is_fenced) {
            return Err(WorldError::Fenced("another process uses this group.instance.id".to_owned()));
        }
        match self.client(|client| client.change.take()) {
            Some(Change::Assigned(list)) => {
                let is_new = self.recognise();
                self.client(|client| client.taken(&list));
                if is_new && self.client(Client::join_again) {
                    self.sim.count("static members that joined twice");
                }
                self.assignment.assigned(&list);
            }
            Some(Change::Revoked(list)) => {
                let is_lost = self.client(|client| client.lost);
                self.assignment.revoked(&list, is_lost);
                self.leaving = Some(list);
                self.give_back();
            }
            None => {}
        }
        self.doubt.take().map_or(Ok(()), |doubt| Err(WorldError::Unsettled(doubt.to_owned())))
    }

    fn recognise(&mut self) -> bool {
        let member = self.membership().member;
        if member == self.member {
            return false;
        }
        self.member = member;
        self.hold();
        if self.assignment.any_known() {
            self.doubt.set(Some("the group had given this instance up"));
        }
        true
    }

    fn give_back(&mut self) {
        let is_settled = self.assignment.can_give_back();
        let Some(list) = self.leaving.take_if(|list| is_settled || list.is_empty()) else { return };
        self.client(|client| client.given_back(&list));
        self.assignment.given_back();
    }

    fn hold(&mut self) {
        for partition in self.assignment.hold() {
            self.client(|client| client.stop_fetching(partition));
        }
    }

    fn tell(&mut self) -> Option<Rebalance> {
        match self.assignment.tell(self.now())? {
            Rebalance::Revoked { partitions, lost } => {
                Some(Rebalance::Revoked { partitions, lost: lost || self.client(|client| client.lost) })
            }
            assigned @ Rebalance::Assigned(_) => Some(assigned),
        }
    }

    /// Hands out what was fetched; returns how much that was.
    fn read(&mut self, max: usize, wanted: Option<&[Source]>, each: &mut dyn FnMut(Arrival<'_>)) -> usize {
        let mut left = max;
        let running = self.assignment.positions();
        let sources = running.iter().flat_map(|(partition, _)| self.sim.plan.sources_of(*partition));
        for source in sources.filter(|source| wanted.is_none_or(|wanted| wanted.contains(source))) {
            let fetched = self.client(|client| client.take_fetched(source, left));
            left -= fetched.len();
            let Source { topic, partition } = source;
            for item in fetched {
                let (Fetched::Record(offset) | Fetched::End(offset, _)) = item;
                let next = offset + i64::from(matches!(item, Fetched::Record(_)));
                if topic == 0 {
                    self.assignment.advance(partition, next);
                }
                match item {
                    Fetched::Record(offset) => {
                        let broker = self.sim.broker.borrow();
                        let entry = &broker.events[&source].entries[offset as usize];
                        each(Arrival::Record(input(source, offset, entry)));
                    }
                    Fetched::End(offset, is_all) => each(Arrival::End { topic, partition, offset, is_all }),
                }
            }
        }
        max - left
    }
}

impl Member<(Option<MemberId>, i32)> for SimGroup {
    fn standing(
        &self,
        mut partitions: impl Iterator<Item = PartitionId>,
    ) -> Result<((Option<MemberId>, i32), i32), String> {
        if let Some(partition) = partitions.find(|partition| !self.assignment.holds(*partition)) {
            return Err(format!("partition {partition} is not this worker's"));
        }
        let mut found = String::new();
        for _ in 0..3 {
            let before = self.membership();
            self.sim.point(self.me, "standing");
            let metadata = self.client(|client| (client.member, client.generation));
            let after = self.membership();
            let lost = self.client(|client| client.lost);
            match objection(&self.member, &before, &after, lost) {
                None => return Ok((metadata, before.generation)),
                Some(objection) => found = objection,
            }
        }
        Err(found)
    }

    fn await_generation(&self, after: i32, patience: Duration) {
        self.sim.count("transactions published again in a new generation");
        let until = self.sim.now() + patience.as_millis() as Millis;
        while self.membership().generation == after && self.sim.now() < until {
            self.sim.meanwhile(Some(self.me), 20);
        }
    }

    fn replaced(&mut self, _: &str) {
        self.client(|client| client.is_fenced = true);
    }
}

impl World for SimWorld {
    type Stores = SimStores;

    fn stores(&mut self) -> &mut SimStores {
        &mut self.stores
    }

    fn now(&self) -> Millis {
        self.sim.now() + self.sim.slots[self.me.slot].skew.get()
    }

    fn steady(&self) -> Millis {
        self.sim.now()
    }

    fn poll(
        &mut self,
        max: usize,
        wait: Duration,
        wanted: Option<&[Source]>,
        each: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<Option<Rebalance>, WorldError> {
        self.sim.point(self.me, "poll");
        self.group.client(|client| client.subscribed = true);
        self.group.serve()?;
        if let Some(change) = self.group.tell() {
            return Ok(Some(change));
        }
        let wait = wait.as_millis().min(100) as Millis;
        if self.group.read(max, wanted, each) == 0 && wait > 0 {
            self.sim.pass(self.sim.range(0, wait));
            self.group.read(max, wanted, each);
        }
        Ok(None)
    }

    fn start(&mut self, partitions: &[(PartitionId, Vec<Offset>)]) -> Result<(), WorldError> {
        for (partition, offsets) in partitions {
            let (partition, offset) = (*partition, offsets[0]);
            self.ask("start")?;
            for (source, &offset) in self.sim.plan.sources_of(partition).zip(offsets) {
                let (first, end) = self.with_log(Place::Events(source), |log| (log.start, log.end()));
                if offset < first || offset > end {
                    return Err(gone("the events topic", offset, first));
                }
            }
            if !self.group.assignment.can_start(partition) {
                continue;
            }
            for (source, &offset) in self.sim.plan.sources_of(partition).zip(offsets) {
                self.group.client(|client| client.seek(source, offset));
            }
            self.group.assignment.started(partition, offset);
            self.sim.note(Some(self.me), "LIVE", (i64::from(partition) << 32) + offset);
            self.sim.broker.borrow_mut().goes_live(partition, self.me);
        }
        Ok(())
    }

    fn release(&mut self, partitions: &[PartitionId]) -> Result<(), WorldError> {
        self.sim.point(self.me, "release");
        for &partition in partitions {
            self.group.assignment.released(partition);
            self.group.client(|client| client.stop_fetching(partition));
        }
        self.group.give_back();
        Ok(())
    }

    fn publish(&mut self, transaction: &Transaction) -> Result<Vec<Offset>, WorldError> {
        self.sim.note(Some(self.me), "PUBLISH", transaction.alerts.len() as i64);
        for (partition, payload) in transaction.journal.iter().filter(|_| self.sim.is_shown) {
            let record = JournalRecord::decode(payload).unwrap();
            println!("{partition}: number {}, {:?} to {:?}", record.sequence, record.steps, record.to);
        }
        let published = self.publisher.publish(&mut self.group, transaction);
        match &published {
            Ok(_) => self.sim.count("transactions"),
            Err(error) => {
                self.sim.note(Some(self.me), &format!("NOT PUBLISHED: {error}"), 0);
                self.sim.count("transactions that failed or are in doubt");
                self.group.hold();
            }
        }
        published
    }

    fn fence(&mut self) -> Result<(), WorldError> {
        if self.group.client(|client| client.is_fenced) {
            return Err(WorldError::Unsettled("the client has ended".to_owned()));
        }
        let group = &mut self.group;
        self.publisher.fence(&mut || group.serve())
    }

    fn check_clock(&mut self, partition: PartitionId) -> Result<(), WorldError> {
        let checked = self.publisher.check_clock(partition);
        if matches!(checked, Err(WorldError::ClockOff)) {
            self.sim.count("clocks found to be off");
        }
        checked
    }

    fn end_of(&mut self, source: Source) -> Result<Offset, WorldError> {
        self.ask("end of events")?;
        let end = self.with_log(Place::Events(source), Log::end);
        self.sim.point(self.me, "end of events known");
        Ok(end)
    }

    fn start_of(&mut self, source: Source) -> Result<Offset, WorldError> {
        self.ask("start of events")?;
        Ok(self.with_log(Place::Events(source), |log| log.start))
    }

    fn hold(&mut self) {
        self.group.hold();
    }

    fn committed(&mut self, source: Source) -> Result<Option<Offset>, WorldError> {
        self.ask("committed offset")?;
        let broker = self.sim.broker.borrow();
        if broker.transactions.has_pending_offset(source) {
            drop(broker);
            self.sim.count("committed offsets hidden by an open transaction");
            return Err(WorldError::Pending("a transaction with it is open".to_owned()));
        }
        Ok(broker.group.committed.get(&source).copied())
    }

    fn replay(
        &mut self,
        source: Source,
        from: Offset,
        to: Offset,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), WorldError> {
        if from >= to {
            return Ok(());
        }
        self.ask("replay")?;
        let broker = self.sim.broker.borrow();
        let log = &broker.events[&source];
        if from < log.start {
            return Err(gone("the events topic", from, log.start));
        }
        log.committed(from).take_while(|(offset, _)| *offset < to).for_each(|(offset, entry)| {
            each(input(source, offset, entry));
        });
        Ok(())
    }

    fn journal_bounds(&mut self, partition: PartitionId) -> Result<Range<Offset>, WorldError> {
        self.ask("journal end")?;
        let (first, end) = self.with_log(Place::Journal(partition), |log| (log.start, log.end()));
        self.ask("journal's stable end")?;
        let stable = self.with_log(Place::Journal(partition), Log::stable);
        if stable >= end {
            return Ok(first..end);
        }
        self.sim.count("journals hidden by an open transaction");
        Err(WorldError::Pending("an open transaction hides the journal's end".to_owned()))
    }

    fn journal(
        &mut self,
        partition: PartitionId,
        within: Range<Offset>,
        max: usize,
    ) -> Result<Vec<Logged>, WorldError> {
        if within.is_empty() {
            return Ok(Vec::new());
        }
        self.ask("journal")?;
        let broker = self.sim.broker.borrow();
        let log = &broker.journal[partition as usize];
        if within.start < log.start {
            return Err(gone("the journal", within.start, log.start));
        }
        let records = log.committed(within.start).take_while(|(offset, _)| *offset < within.end).take(max);
        let found: Vec<_> = records.map(|(offset, entry)| Logged { offset, payload: payload(entry) }).collect();
        if self.sim.is_shown {
            let offsets: Vec<_> = found.iter().map(|record| record.offset).collect();
            println!("{partition}: journal within {within:?}: {offsets:?}");
        }
        Ok(found)
    }
}

fn payload(entry: &Entry) -> Vec<u8> {
    entry.data.as_ref().and_then(|data| data.payload.clone()).unwrap_or_default()
}
