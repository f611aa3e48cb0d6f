//! A transactional producer as librdkafka's is: it sends by itself, repeats by itself, and tells little of it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;
use tocsin::kafka::KafkaSettings;
use tocsin::kafka::protocol::{Addressed, Delivered, Maker, Mark, Moment, Producer, Reports, Trouble, Undelivered};
use tocsin::task::world::{Offset, PartitionId, Source, WorldError};
use tocsin_core::time::Millis;

use crate::broker::log::Data;
use crate::broker::{Late, MemberId, Place, Refusal};
use crate::rules::TOPICS;
use crate::sim::{Me, Net, Sim};
use crate::world::steady;

pub struct SimMaker {
    pub sim: Rc<Sim>,
    pub me: Me,
    pub id: String,
}

pub struct SimProducer {
    sim: Rc<Sim>,
    me: Me,
    id: String,
    epoch: Cell<i32>,
    queue: RefCell<VecDeque<Queued>>,
    reports: Reports,
    /// Why it is of no more use.
    fatal: RefCell<Option<Trouble>>,
    /// Since when the queue does not move.
    stuck: Cell<Option<Millis>>,
}

#[derive(Debug)]
struct Queued {
    place: Place,
    data: Data,
    mark: Mark,
    sent_at: Millis,
    /// The broker has it, and we have not heard of that.
    written: Option<Offset>,
}

/// How long librdkafka tries to deliver a record.
const MESSAGE_TIMEOUT: Millis = 10_000;

fn trouble(code: Code, requires_abort: bool) -> Trouble {
    Trouble { code: Some(code), text: format!("{code}"), requires_abort, is_retriable: false }
}

fn timed_out() -> Trouble {
    Trouble { is_retriable: true, ..trouble(Code::OperationTimedOut, false) }
}

fn of_refusal(refusal: Refusal) -> Trouble {
    match refusal {
        Refusal::Fenced => trouble(Code::ProducerFenced, false),
        Refusal::Concurrent => timed_out(),
        Refusal::InvalidState => trouble(Code::InvalidTransactionalState, false),
        Refusal::IllegalGeneration => trouble(Code::IllegalGeneration, true),
        Refusal::RebalanceInProgress => trouble(Code::RebalanceInProgress, true),
        Refusal::UnknownMember => trouble(Code::UnknownMemberId, true),
        Refusal::FencedInstance => trouble(Code::FencedInstanceId, true),
    }
}

impl Maker for SimMaker {
    type Producer = SimProducer;

    fn make(&self, _: &KafkaSettings) -> Result<SimProducer, WorldError> {
        Ok(SimProducer {
            sim: self.sim.clone(),
            me: self.me,
            id: self.id.clone(),
            epoch: Cell::new(-1),
            queue: RefCell::default(),
            reports: Reports::default(),
            fatal: RefCell::default(),
            stuck: Cell::new(None),
        })
    }
}

impl SimProducer {
    fn usable(&self) -> Result<(), Trouble> {
        self.fatal.borrow().clone().map_or(Ok(()), Err)
    }

    fn verdict<T>(&self, outcome: Result<T, Refusal>) -> Result<T, Trouble> {
        outcome.map_err(|refusal| {
            self.sim.note(Some(self.me), &format!("REFUSED: {refusal:?}"), 0);
            self.sim.count(match refusal {
                Refusal::Fenced => "requests of fenced producers refused",
                Refusal::Concurrent => "requests turned away while a transaction was ended",
                Refusal::InvalidState => "EndTxn without a transaction",
                Refusal::IllegalGeneration | Refusal::RebalanceInProgress => "offsets of another generation refused",
                Refusal::UnknownMember => "offsets of former members refused",
                Refusal::FencedInstance => "offsets of replaced members refused",
            });
            let trouble = of_refusal(refusal);
            if refusal == Refusal::Fenced {
                *self.fatal.borrow_mut() = Some(trouble.clone());
            }
            trouble
        })
    }

    /// Repeats a request for as long as the transaction before is being ended.
    fn persist<T>(&self, patience: Millis, mut ask: impl FnMut() -> Result<T, Refusal>) -> Result<T, Trouble> {
        let until = self.sim.now() + patience;
        loop {
            match ask() {
                Err(Refusal::Concurrent) if self.sim.now() < until => self.sim.pass(10),
                outcome => return self.verdict(outcome),
            }
        }
    }

    fn broken(&self) {
        self.reports.troubled("a connection broke");
    }

    fn end(&self, commit: bool) -> Result<(), Trouble> {
        self.usable()?;
        let net = self.sim.request(self.me, if commit { "commit" } else { "abort" });
        let (id, epoch) = (self.id.clone(), self.epoch.get());
        let late = || {
            let at = self.sim.now() + self.sim.pick(&[20, 100, 1_000, 8_000]);
            let late = Late::EndTxn { id: id.clone(), epoch, commit };
            self.sim.broker.borrow_mut().transactions.send_late(at, late);
        };
        let ask = || self.sim.broker.borrow_mut().end_transaction(&id, epoch, commit, &mut self.sim.rng.borrow_mut());
        match net {
            Net::Lost => {
                self.broken();
                // It may be underway still.
                if self.sim.chance(50) {
                    late();
                }
                Err(timed_out())
            }
            Net::Fine => self.persist(5_000, ask),
            Net::Unanswered => {
                self.broken();
                drop(self.persist(5_000, ask));
                self.sim.count("commits that nobody told of");
                Err(timed_out())
            }
            Net::Repeated => {
                self.broken();
                late();
                self.persist(5_000, ask)
            }
        }
    }

    /// Sends what is queued.
    fn push(&self) {
        if self.queue.borrow().is_empty() {
            return;
        }
        if let Err(trouble) = self.usable() {
            return self.give_up(&trouble);
        }
        let net = self.sim.request(self.me, "produce");
        if net == Net::Lost {
            self.broken();
            let now = self.sim.now();
            let since = self.stuck.get().unwrap_or(now);
            self.stuck.set(Some(since));
            self.sim.pass(100);
            if now - since > MESSAGE_TIMEOUT || self.sim.chance(20) {
                self.give_up(&trouble(Code::MessageTimedOut, true));
            }
            return;
        }
        self.stuck.set(None);
        if net == Net::Repeated || net == Net::Unanswered {
            self.broken();
        }
        loop {
            let first = self.queue.borrow_mut().pop_front();
            let Some(mut record) = first else { return };
            let offset = match record.written {
                Some(offset) => Ok(offset),
                None => self.persist(5_000, || {
                    let mut broker = self.sim.broker.borrow_mut();
                    let (me, data) = (Some(self.me), record.data.clone());
                    broker.produce(&self.id, self.epoch.get(), me, record.place, data, record.sent_at)
                }),
            };
            match offset {
                Ok(offset) if net == Net::Unanswered && self.sim.chance(50) => {
                    record.written = Some(offset);
                    self.queue.borrow_mut().push_front(record);
                    return;
                }
                Ok(offset) => {
                    let reported = self.now().wall;
                    let appended = Some(self.sim.now());
                    self.reports.delivered(record.mark, Delivered { offset, appended, reported });
                }
                Err(trouble) => {
                    self.lose(&record, &trouble);
                    return self.give_up(&trouble);
                }
            }
        }
    }

    fn lose(&self, record: &Queued, trouble: &Trouble) {
        let (topic, partition) = (format!("{:?}", record.place), 0);
        self.reports.lost(Undelivered { topic, partition, bytes: 0, trouble: trouble.clone() });
    }

    fn give_up(&self, trouble: &Trouble) {
        for record in std::mem::take(&mut *self.queue.borrow_mut()) {
            self.lose(&record, trouble);
        }
    }
}

impl Producer for SimProducer {
    type Membership = (Option<MemberId>, i32);

    fn init_transactions(&self, patience: Duration) -> Result<(), Trouble> {
        match self.sim.request(self.me, "init_transactions") {
            Net::Lost | Net::Unanswered => Err(timed_out()),
            Net::Fine | Net::Repeated => {
                let epoch = self.persist(patience.as_millis() as Millis, || {
                    let mut reached = self.sim.reached.borrow_mut();
                    self.sim.broker.borrow_mut().init_producer(&self.id, &mut self.sim.rng.borrow_mut(), &mut reached)
                })?;
                self.epoch.set(epoch);
                self.sim.point(self.me, "init_transactions done");
                Ok(())
            }
        }
    }

    fn begin_transaction(&self) -> Result<(), Trouble> {
        self.sim.point(self.me, "begin");
        self.usable()
    }

    fn send(&self, record: &Addressed<'_>) -> Result<(), Trouble> {
        self.usable()?;
        let place = match record.topic {
            "alerts" => Place::Alerts,
            "dead-letters" => Place::Letters,
            _ => Place::Journal(record.partition.unwrap()),
        };
        let key = Some(record.key.to_vec()).filter(|key| !key.is_empty());
        let data = Data { key, payload: record.payload.map(<[u8]>::to_vec), headers: record.headers.to_vec() };
        let sent_at = self.now().wall;
        self.queue.borrow_mut().push_back(Queued { place, data, mark: record.mark, sent_at, written: None });
        // It goes out when it likes.
        if self.sim.chance(10) {
            self.push();
        }
        Ok(())
    }

    fn in_flight(&self) -> usize {
        self.queue.borrow().len()
    }

    fn poll(&self, wait: Duration) {
        self.push();
        if !self.queue.borrow().is_empty() {
            self.sim.pass(wait.as_millis() as Millis);
        }
    }

    fn send_offsets(
        &self,
        offsets: &[(&str, PartitionId, Offset)],
        membership: &(Option<MemberId>, i32),
        _: Duration,
    ) -> Result<(), Trouble> {
        self.usable()?;
        let net = self.sim.request(self.me, "offsets");
        if net == Net::Lost {
            self.broken();
            return Err(timed_out());
        }
        let topic = |name: &str| TOPICS.iter().position(|topic| *topic == name).expect("an input topic");
        let named = offsets.iter().map(|(name, partition, next)| {
            let source = Source { topic: topic(name), partition: *partition };
            (source, *next)
        });
        let offsets: Vec<_> = named.collect();
        let sent = self.persist(5_000, || {
            let mut broker = self.sim.broker.borrow_mut();
            broker.send_offsets(&self.id, self.epoch.get(), self.me, *membership, &offsets)
        });
        if net == Net::Fine {
            return sent;
        }
        self.broken();
        if net == Net::Repeated { sent } else { Err(timed_out()) }
    }

    fn commit_transaction(&self, _: Duration) -> Result<(), Trouble> {
        while !self.queue.borrow().is_empty() {
            self.push();
        }
        self.end(true)
    }

    fn abort_transaction(&self, _: Duration) -> Result<(), Trouble> {
        self.give_up(&trouble(Code::PurgeQueue, true));
        self.end(false)
    }

    fn reports(&self) -> &Reports {
        &self.reports
    }

    fn now(&self) -> Moment {
        let now = self.sim.now();
        Moment { steady: steady(now), wall: now + self.sim.slots[self.me.slot].skew.get() }
    }
}
