//! What librdkafka's own threads do for a member: heartbeats, joining and syncing, fetching. They run while the loop is at
//! something else, and not while the process stands still.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tocsin::task::world::{Offset, PartitionId, Source};
use tocsin_core::time::Millis;

use crate::broker::{Broker, MemberId, Refusal};
use crate::reached::Reached;
use crate::rng::Rng;

/// A change of the assignment that waits for the loop's answer.
#[derive(Clone, Debug)]
pub enum Change {
    Assigned(Vec<PartitionId>),
    Revoked(Vec<PartitionId>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    Record(Offset),
    /// And whether the broker said that nothing lies behind.
    End(Offset, bool),
}

/// A partition that is being fetched.
#[derive(Debug, Default)]
struct Fetch {
    position: Offset,
    queue: VecDeque<Fetched>,
    /// The end is told once.
    told: Option<Offset>,
}

/// The client of one process.
#[derive(Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact about the client that may hold with any of the others"
)]
pub struct Client {
    pub subscribed: bool,
    pub dead: bool,
    /// How many stops it has not come out of.
    pub paused: u32,
    pub cut_until: Millis,
    pub instance: Option<String>,
    pub member: Option<MemberId>,
    /// -1 outside of the group.
    pub generation: i32,
    pub owned: BTreeSet<PartitionId>,
    /// What the loop has not been told yet.
    pub change: Option<Change>,
    /// Whether a change waits for its answer; nothing is joined before.
    pub is_asked: bool,
    pub lost: bool,
    pub is_fenced: bool,
    /// The generation whose assignment was taken.
    synced: i32,
    must_join: bool,
    fetches: BTreeMap<Source, Fetch>,
}

impl Client {
    pub fn new(instance: Option<String>) -> Self {
        Self { instance, generation: -1, synced: -1, must_join: true, ..Self::default() }
    }

    pub fn is_connected(&self, now: Millis) -> bool {
        !self.dead && self.paused == 0 && self.cut_until <= now
    }

    /// One turn of the background threads.
    pub fn step(&mut self, broker: &mut Broker, rng: &mut Rng, reached: &mut Reached) {
        if !self.subscribed || self.is_fenced {
            return;
        }
        self.take_part(broker, rng, reached);
        self.fetch(broker, rng);
    }

    fn take_part(&mut self, broker: &mut Broker, rng: &mut Rng, reached: &mut Reached) {
        let now = broker.now;
        if let Some(member) = self.member {
            match broker.group.heartbeat(now, member) {
                Ok(()) => {}
                Err(Refusal::RebalanceInProgress) => self.must_join = true,
                Err(Refusal::FencedInstance) => {
                    reached.add("static members fenced");
                    self.is_fenced = true;
                    return;
                }
                Err(_) => self.was_given_up(rng, reached),
            }
        }
        if self.is_asked {
            return;
        }
        if self.must_join {
            let member = broker.group.join(now, self.member, self.instance.as_deref(), &self.owned);
            (self.member, self.must_join) = (Some(member), false);
        }
        let Some(member) = self.member else { return };
        let Some(generation) = broker.group.joined(member) else { return };
        self.generation = generation;
        if self.synced != generation
            && let Some(assigned) = broker.group.assignment(member)
        {
            let gone: Vec<PartitionId> = self.owned.difference(assigned).copied().collect();
            let come = assigned.difference(&self.owned).copied().collect();
            self.synced = generation;
            self.is_asked = true;
            self.change = Some(if gone.is_empty() { Change::Assigned(come) } else { Change::Revoked(gone) });
        }
    }

    /// The group does not know us any more. Mostly what we held counts as lost; but librdkafka can be back as another member
    /// and keep its partitions.
    fn was_given_up(&mut self, rng: &mut Rng, reached: &mut Reached) {
        (self.member, self.generation, self.must_join) = (None, -1, true);
        self.synced = -1;
        if self.is_asked {
            self.lost = true;
            return;
        }
        if rng.chance(25) {
            reached.add("members back under another name with what they held");
            return;
        }
        reached.add("assignments lost");
        self.lost = true;
        self.answered();
    }

    /// The loop has answered: these are taken.
    pub fn taken(&mut self, partitions: &[PartitionId]) {
        self.owned.extend(partitions);
        self.answered();
    }

    /// A static member that is new to the group joins twice; whether this is one.
    pub fn join_again(&mut self) -> bool {
        self.must_join |= self.instance.is_some();
        self.instance.is_some()
    }

    /// The loop has answered: these are given back.
    pub fn given_back(&mut self, partitions: &[PartitionId]) {
        for partition in partitions {
            self.owned.remove(partition);
            self.stop_fetching(*partition);
        }
        self.must_join = true;
        self.answered();
    }

    fn answered(&mut self) {
        self.is_asked = false;
        if self.lost && !self.owned.is_empty() {
            self.is_asked = true;
            self.change = Some(Change::Revoked(self.owned.iter().copied().collect()));
        } else {
            self.lost = false;
        }
    }

    pub fn seek(&mut self, source: Source, position: Offset) {
        self.fetches.insert(source, Fetch { position, ..Fetch::default() });
    }

    pub fn stop_fetching(&mut self, partition: PartitionId) {
        self.fetches.retain(|source, _| source.partition != partition);
    }

    /// The next items of a partition, at most so many.
    pub fn take_fetched(&mut self, source: Source, most: usize) -> Vec<Fetched> {
        let Some(fetch) = self.fetches.get_mut(&source) else { return Vec::new() };
        let many = most.min(fetch.queue.len());
        fetch.queue.drain(..many).collect()
    }

    fn fetch(&mut self, broker: &Broker, rng: &mut Rng) {
        for (source, fetch) in &mut self.fetches {
            let log = &broker.events[source];
            if fetch.queue.is_empty() && rng.chance(3) {
                // Some of it comes again.
                fetch.position = (fetch.position - rng.range(0, 3)).max(log.start);
                fetch.told = None;
            }
            let most = rng.pick(&[1, 3, 100]);
            for (offset, _) in log.committed(fetch.position).take(most) {
                fetch.queue.push_back(Fetched::Record(offset));
                fetch.position = offset + 1;
            }
            let stable = log.stable();
            if log.committed(fetch.position).next().is_none() {
                fetch.position = fetch.position.max(stable);
            }
            if fetch.position == stable && fetch.told != Some(stable) {
                fetch.told = Some(stable);
                fetch.queue.push_back(Fetched::End(stable, stable == log.end()));
            }
        }
    }
}
