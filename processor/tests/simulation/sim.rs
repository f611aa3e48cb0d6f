//! The simulated world as a whole: one thread, one clock, one generator. Every call of a member to the world passes through
//! [`Sim::point`], where it may die, or stand still while everybody else goes on.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tocsin::task::world::{PartitionId, WorldError};
use tocsin::task::{Shared, Worker};
use tocsin_core::time::{HOUR, MINUTE, Millis, SECOND};

use crate::broker::Broker;
use crate::client::Client;
use crate::disk::{Disk, Objects};
use crate::input::Upstream;
use crate::plan::Plan;
use crate::reached::Reached;
use crate::rng::Rng;
use crate::world::SimWorld;
use crate::{refusals, rules};

/// 2026-01-01T00:00:00Z.
pub const BASE: Millis = 1_767_225_600_000;

/// A process: the machine it runs on, and which of that machine's processes it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Me {
    pub slot: usize,
    pub process: usize,
}

/// The process is gone.
struct Crash;

/// What is wrong with a request to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    Fine,
    /// It does not arrive.
    Lost,
    /// It arrives and is dealt with; the answer is lost.
    Unanswered,
    /// The same, and the client sends it again by itself.
    Repeated,
}

/// A machine.
pub struct Slot {
    worker: RefCell<Option<Worker<SimWorld>>>,
    process: Cell<usize>,
    pub shared: RefCell<Option<Arc<Shared>>>,
    pub disk: RefCell<Disk>,
    pub skew: Cell<Millis>,
    instance: String,
}

pub struct Sim {
    pub plan: Plan,
    pub rng: RefCell<Rng>,
    pub broker: RefCell<Broker>,
    /// By process.
    pub clients: RefCell<Vec<Client>>,
    pub slots: Vec<Slot>,
    pub objects: RefCell<Objects>,
    pub upstream: RefCell<Upstream>,
    /// Generations of the rules that were published, by the rule set each has.
    pub generations: RefCell<Vec<usize>>,
    pub reached: RefCell<Reached>,
    /// Nothing goes wrong any more.
    pub is_calm: Cell<bool>,
    pub no_idle: Cell<bool>,
    depth: Cell<u32>,
    trace: RefCell<Fnv>,
    pub is_shown: bool,
}

impl Sim {
    pub fn new(seed: u64, is_shown: bool) -> Rc<Self> {
        let mut rng = Rng::new(seed);
        let plan = Plan::new(&mut rng);
        if is_shown {
            println!("{plan:#?}");
        }
        // The last but one is the twin's, the last the checkers'.
        let slots = (0..plan.machines + 2).map(|number| {
            let instance = if number == plan.machines { 0 } else { number };
            Slot {
                worker: RefCell::default(),
                process: Cell::new(usize::MAX),
                shared: RefCell::default(),
                disk: RefCell::default(),
                skew: Cell::new(if plan.skew == 0 { 0 } else { rng.range(-plan.skew, plan.skew) }),
                instance: format!("m{instance}"),
            }
        });
        let slots = slots.collect();
        Rc::new(Self {
            rng: RefCell::new(rng),
            broker: RefCell::new(Broker::new(&plan, BASE)),
            clients: RefCell::default(),
            slots,
            objects: RefCell::default(),
            upstream: RefCell::default(),
            generations: RefCell::new(vec![0]),
            reached: RefCell::default(),
            is_calm: Cell::new(false),
            no_idle: Cell::new(false),
            depth: Cell::new(0),
            trace: RefCell::default(),
            is_shown,
            plan,
        })
    }

    pub fn twin(&self) -> usize {
        self.plan.machines
    }

    pub fn checker(&self) -> usize {
        self.plan.machines + 1
    }

    pub fn now(&self) -> Millis {
        self.broker.borrow().now
    }

    pub fn range(&self, low: i64, high: i64) -> i64 {
        self.rng.borrow_mut().range(low, high)
    }

    pub fn chance(&self, percent: i64) -> bool {
        self.rng.borrow_mut().chance(percent)
    }

    pub fn pick<T: Clone>(&self, from: &[T]) -> T {
        self.rng.borrow_mut().pick(from)
    }

    pub fn count(&self, what: &'static str) {
        self.reached.borrow_mut().add(what);
    }

    /// Adds to what two runs of a seed must have in common.
    pub fn note(&self, me: Option<Me>, what: &str, number: i64) {
        let mut trace = self.trace.borrow_mut();
        (what, number, self.now(), me.map(|me| me.slot)).hash(&mut *trace);
        if self.is_shown {
            let who = me.map_or(String::new(), |me| format!("m{}#{}", me.slot, me.process));
            println!("{:>12} {who:>6} {}{what} {number}", self.now() - BASE, "  ".repeat(self.depth.get() as usize));
        }
    }

    /// A call to the world begins, or an answer is on its way: the process may end here, or stand still.
    pub fn point(&self, me: Me, what: &str) {
        self.note(Some(me), what, 0);
        if self.is_calm.get() {
            return;
        }
        let Plan { crash, pause, .. } = self.plan;
        let roll = self.range(0, 99_999);
        if roll < crash {
            self.crash(me);
        }
        if roll < crash + pause {
            self.pause(me);
        } else if roll < crash + pause + 15_000 {
            self.pass(self.range(0, 4));
        }
    }

    fn crash(&self, me: Me) -> ! {
        self.note(Some(me), "CRASH", 0);
        self.count("crashes");
        resume_unwind(Box::new(Crash));
    }

    /// The process is stopped for a while; its heartbeats too.
    fn pause(&self, me: Me) {
        let long = self.pick(&[100, 2_000, 9_000, 15_000, 40_000]);
        self.note(Some(me), "PAUSE", long);
        self.count("pauses");
        self.clients.borrow_mut()[me.process].paused += 1;
        self.meanwhile(Some(me), long);
        self.clients.borrow_mut()[me.process].paused -= 1;
        self.note(Some(me), "GOES ON", long);
        if self.chance(10) {
            self.crash(me);
        }
    }

    /// Everybody else goes on for so long.
    pub fn meanwhile(&self, me: Option<Me>, long: Millis) {
        let until = self.now() + long;
        self.depth.set(self.depth.get() + 1);
        while self.now() < until {
            self.pass(self.range(1, (long / 8).max(2)));
            let slot = self.range(0, self.slots.len() as i64 - 2) as usize;
            if self.depth.get() <= 3 && me.is_none_or(|me| me.slot != slot) {
                self.round(slot);
            }
        }
        self.depth.set(self.depth.get() - 1);
    }

    /// A request to the broker.
    pub fn request(&self, me: Me, what: &str) -> Net {
        self.point(me, what);
        if self.is_calm.get() {
            return Net::Fine;
        }
        if !self.clients.borrow()[me.process].is_connected(self.now()) {
            self.pass(200);
            return Net::Lost;
        }
        if self.range(0, 999) >= self.plan.network {
            return Net::Fine;
        }
        let net = self.pick(&[Net::Lost, Net::Unanswered, Net::Repeated]);
        self.note(Some(me), if net == Net::Lost { "LOST" } else { "ANSWER LOST" }, 0);
        self.count("requests in doubt");
        net
    }

    /// Time goes on, and with it what happens by itself.
    pub fn pass(&self, long: Millis) {
        let (mut broker, mut rng) = (self.broker.borrow_mut(), self.rng.borrow_mut());
        let (mut clients, mut reached) = (self.clients.borrow_mut(), self.reached.borrow_mut());
        broker.now += long;
        let now = broker.now;
        // Those who could have sent heartbeats all the while have.
        for client in clients.iter_mut().filter(|client| client.subscribed && client.is_connected(now)) {
            if let Some(member) = client.member {
                let _ = broker.group.heartbeat(now, member);
            }
        }
        broker.step(&self.plan, &mut rng, &mut reached);
        for client in clients.iter_mut().filter(|client| client.subscribed && client.is_connected(now)) {
            if rng.chance(60) {
                client.step(&mut broker, &mut rng, &mut reached);
            }
        }
    }

    /// One round of a machine's process, if it has one that is not in the middle of something.
    pub fn round(&self, slot: usize) {
        let Ok(mut place) = self.slots[slot].worker.try_borrow_mut() else { return };
        let Some(worker) = place.as_mut() else { return };
        let me = Me { slot, process: self.slots[slot].process.get() };
        self.note(Some(me), "round", 0);
        let ended = catch_unwind(AssertUnwindSafe(|| worker.round()));
        let is_over = match ended {
            Ok(Ok(())) => false,
            Ok(Err(WorldError::Transient(_))) => {
                drop(place);
                return self.pass(200);
            }
            Ok(Err(error)) => {
                self.note(Some(me), &format!("ENDS: {error}"), 0);
                refusals::judge(self, &error);
                self.leave(me);
                true
            }
            Err(payload) if payload.is::<Crash>() => true,
            Err(payload) => resume_unwind(payload),
        };
        if is_over {
            *place = None;
            drop(place);
            self.buried(me);
        }
    }

    /// A process that ends by itself says goodbye to the group.
    fn leave(&self, me: Me) {
        let (mut broker, clients) = (self.broker.borrow_mut(), self.clients.borrow());
        let client = &clients[me.process];
        if let (Some(member), None) = (client.member, &client.instance)
            && client.is_connected(broker.now)
        {
            let now = broker.now;
            broker.group.leave(now, member);
        }
    }

    fn buried(&self, me: Me) {
        self.clients.borrow_mut()[me.process].dead = true;
        let now = self.now();
        self.objects.borrow_mut().uploader_died(me, now, &mut self.rng.borrow_mut());
    }

    pub fn is_up(&self, slot: usize) -> bool {
        self.slots[slot].worker.try_borrow().map_or(true, |worker| worker.is_some())
    }

    fn is_busy(&self, slot: usize) -> bool {
        self.slots[slot].worker.try_borrow_mut().is_err()
    }

    /// A new process on a machine that has none.
    pub fn start(self: &Rc<Self>, slot: usize) {
        if self.is_up(slot) {
            return;
        }
        let me = Me { slot, process: self.clients.borrow().len() };
        let machine = &self.slots[slot];
        let instance = self.plan.is_static.then(|| machine.instance.clone());
        self.clients.borrow_mut().push(Client::new(instance));
        machine.process.set(me.process);
        let shared = rules::shared(self, slot);
        self.note(Some(me), "START", 0);
        *machine.shared.borrow_mut() = Some(shared.clone());
        let world = SimWorld::new(self, me, &machine.instance);
        *machine.worker.borrow_mut() = Some(Worker::new(0, world, shared));
    }

    /// A process is told to end, and takes the time it needs.
    pub fn stop(&self, slot: usize) {
        let Ok(mut place) = self.slots[slot].worker.try_borrow_mut() else { return };
        let Some(worker) = place.as_mut() else { return };
        let me = Me { slot, process: self.slots[slot].process.get() };
        self.note(Some(me), "STOP", 0);
        let stop = Arc::new(AtomicBool::new(true));
        match catch_unwind(AssertUnwindSafe(|| worker.run(&stop, |_| ()))) {
            Ok(Ok(())) => self.count("clean stops"),
            Ok(Err(error)) => refusals::judge(self, &error),
            Err(payload) if payload.is::<Crash>() => {}
            Err(payload) => resume_unwind(payload),
        }
        self.leave(me);
        *place = None;
        drop(place);
        self.buried(me);
    }

    /// The process is killed from outside, and the machine may suffer.
    pub fn kill(&self, slot: usize) {
        if self.is_busy(slot) {
            return;
        }
        let had = self.slots[slot].worker.borrow_mut().take().is_some();
        if had {
            let me = Me { slot, process: self.slots[slot].process.get() };
            self.note(Some(me), "KILLED", 0);
            self.count("crashes");
            self.buried(me);
        }
    }

    /// Of all that happened, and all that is left behind.
    pub fn hash(&self) -> u64 {
        let broker = self.broker.borrow();
        let logs = broker.events.values().chain(&broker.journal).chain([&broker.alerts, &broker.letters]);
        let mut hash = Fnv::default();
        for entry in logs.flat_map(|log| &log.entries) {
            entry.hash(&mut hash);
        }
        for slot in &self.slots {
            let disk = slot.disk.borrow();
            (0..self.plan.partitions).for_each(|partition| disk.hash(partition, &mut hash));
        }
        drop(broker);
        self.note(None, "left", hash.finish() as i64);
        self.trace.borrow().finish()
    }

    /// Lets go of the processes, which hold on to this.
    pub fn end(&self) {
        self.slots.iter().for_each(|slot| drop(slot.worker.take()));
    }

    /// The whole life of a seed, up to the checks.
    pub fn run(self: &Rc<Self>) {
        for slot in 0..self.plan.machines {
            self.start(slot);
        }
        for _ in 0..self.plan.turns {
            self.turn();
        }
        self.come_to_rest();
    }

    fn turn(self: &Rc<Self>) {
        self.disturb();
        for _ in 0..self.range(1, 6) {
            self.round(self.range(0, self.twin() as i64) as usize);
        }
        let wait = match self.range(0, 99) {
            0..60 => self.range(0, 100),
            60..80 => self.range(0, 20 * SECOND),
            80..95 => self.range(0, 20 * MINUTE),
            _ => self.range(0, 2 * HOUR),
        };
        self.pass(wait);
        self.note(None, "turn", wait);
    }

    fn disturb(self: &Rc<Self>) {
        self.upstream.borrow_mut().turn(self);
        rules::turn(self);
        let slot = self.range(0, self.plan.machines as i64 - 1) as usize;
        if self.plan.cut > 0 && self.chance(self.plan.cut) {
            let until = self.now() + self.pick(&[500, 5_000, 30_000]);
            let process = self.slots[slot].process.get();
            self.clients.borrow_mut()[process].cut_until = until;
            self.count("members cut off");
        }
        if self.plan.crash > 0 && self.chance(5) {
            self.kill(slot);
        }
        if self.chance(2) {
            self.stop(slot);
        }
        if self.plan.skew > 0 && self.chance(5) {
            self.slots[slot].skew.set(self.range(-self.plan.skew, self.plan.skew));
        }
        crate::disk::turn(self);
        for slot in 0..self.plan.machines {
            if !self.is_up(slot) && self.chance(40) {
                crate::disk::after_crash(self, slot);
                self.start(slot);
            }
        }
        if self.plan.has_twin && self.chance(6) {
            self.count("second processes of a name");
            self.start(self.twin());
        }
    }

    /// Nothing goes wrong any more, and everybody works until nothing is left to do.
    fn come_to_rest(self: &Rc<Self>) {
        self.is_calm.set(true);
        self.note(None, "CALM", 0);
        if self.plan.has_twin {
            self.kill(self.twin());
            self.kill(0);
        }
        self.clients.borrow_mut().iter_mut().for_each(|client| client.cut_until = 0);
        self.upstream.borrow_mut().finish(self);
        self.objects.borrow_mut().down_until = 0;
        self.slots.iter().for_each(|slot| slot.disk.borrow_mut().full_until = 0);
        for slot in 0..self.plan.machines {
            if self.slots[slot].disk.borrow_mut().verify() {
                self.kill(slot);
            }
            self.start(slot);
        }
        // What is left to do for the wall clock is much, and due at the same instants.
        for wait in [0, 5 * MINUTE, 30 * HOUR] {
            self.pass(wait);
            self.rest();
        }
    }

    /// Rounds until nothing new has come for a while.
    pub fn rest(self: &Rc<Self>) {
        let (mut still, mut size) = (0, 0);
        for turn in 0.. {
            for slot in 0..=self.checker() {
                self.round(slot);
            }
            self.pass(self.range(50, 300));
            rules::read_all(self);
            if !self.no_idle.get() {
                (0..self.plan.machines).for_each(|slot| self.start(slot));
            }
            let broker = self.broker.borrow();
            let ends = broker.journal.iter().map(length).sum::<i64>() + length(&broker.alerts);
            let is_done = self.is_done(&broker);
            drop(broker);
            still = if ends == size && is_done { still + 1 } else { 0 };
            size = ends;
            if still >= 60 {
                return;
            }
            assert!(turn < 4_000, "the members do not come to rest: {}", self.what_is_left());
        }
    }

    fn is_done(&self, broker: &Broker) -> bool {
        broker.group.is_stable() && self.owners(broker).len() == self.plan.partitions as usize
    }

    /// Who holds each partition, of those that have gone live with it at any time.
    pub fn owners(&self, broker: &Broker) -> BTreeMap<PartitionId, Me> {
        let clients = self.clients.borrow();
        let mut owners = BTreeMap::new();
        for (slot, machine) in self.slots.iter().enumerate() {
            let process = machine.process.get();
            let Some(client) = clients.get(process).filter(|client| !client.dead) else { continue };
            let me = Me { slot, process };
            let held = client.owned.iter().filter(|partition| broker.went_live.contains_key(&(**partition, me)));
            owners.extend(held.map(|partition| (*partition, me)));
        }
        owners
    }

    fn what_is_left(&self) -> String {
        let broker = self.broker.borrow();
        let clients = self.clients.borrow();
        let alive: Vec<_> = clients.iter().enumerate().filter(|(_, client)| !client.dead).collect();
        format!("owners: {:?}, group: {:?}, clients: {alive:?}", self.owners(&broker), broker.group)
    }
}

/// The FNV-1a hash: the same in every process.
#[derive(Clone, Copy, Debug)]
pub struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn length(log: &crate::broker::log::Log) -> i64 {
    log.end()
}
