//! The group coordinator: generations, sessions, cooperative assignment, static members.

use std::collections::{BTreeMap, BTreeSet};

use tocsin::task::world::{Offset, PartitionId, Source};
use tocsin_core::time::Millis;

use super::Refusal;
use crate::plan::Plan;
use crate::reached::Reached;
use crate::rng::Rng;

pub type MemberId = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits for members to join again.
    Preparing {
        since: Millis,
    },
    /// They have joined, and wait for the leader's assignment.
    Completing {
        until: Millis,
    },
    Stable,
}

#[derive(Clone, Debug)]
struct Member {
    instance: Option<String>,
    heard: Millis,
    /// What it said it holds when it joined.
    owned: BTreeSet<PartitionId>,
    /// What the present generation gives it.
    assigned: BTreeSet<PartitionId>,
    joined: bool,
}

#[derive(Debug)]
pub struct Group {
    pub generation: i32,
    pub committed: BTreeMap<Source, Offset>,
    state: State,
    members: BTreeMap<MemberId, Member>,
    /// Members that were replaced by another process of the same name.
    replaced: BTreeSet<MemberId>,
    next_member: MemberId,
    partitions: i32,
}

impl Group {
    pub fn new(partitions: i32) -> Self {
        Self {
            generation: 0,
            committed: BTreeMap::new(),
            state: State::Stable,
            members: BTreeMap::new(),
            replaced: BTreeSet::new(),
            next_member: 1,
            partitions,
        }
    }

    /// `JoinGroup`. A static member that is known takes its predecessor's place, with no rebalance. If that one ended when it
    /// had been told to give a partition up, nobody has it until somebody joins: with no second join of the successor, until a
    /// member comes or goes. Kafka has that trap too.
    pub fn join(
        &mut self,
        now: Millis,
        member: Option<MemberId>,
        instance: Option<&str>,
        owned: &BTreeSet<PartitionId>,
    ) -> MemberId {
        let known = member.filter(|member| self.members.contains_key(member));
        if let Some(member) = known {
            let entry = self.members.get_mut(&member).unwrap();
            (entry.heard, entry.joined) = (now, true);
            entry.owned.clone_from(owned);
            self.prepare(now, Some(member));
            return member;
        }
        let id = self.next_member;
        self.next_member += 1;
        let before = instance.and_then(|name| self.named(name));
        if let Some(before) = before {
            let old = self.members.remove(&before).unwrap();
            self.replaced.insert(before);
            let is_stable = self.state == State::Stable;
            self.members.insert(id, Member { heard: now, joined: true, owned: owned.clone(), ..old });
            if !is_stable {
                self.prepare(now, Some(id));
            }
            return id;
        }
        let instance = instance.map(str::to_owned);
        let (owned, assigned) = (owned.clone(), BTreeSet::new());
        self.members.insert(id, Member { instance, heard: now, owned, assigned, joined: true });
        self.prepare(now, Some(id));
        id
    }

    fn named(&self, instance: &str) -> Option<MemberId> {
        let has_name = |member: &Member| member.instance.as_deref() == Some(instance);
        self.members.iter().find(|(_, member)| has_name(member)).map(|(id, _)| *id)
    }

    pub fn leave(&mut self, now: Millis, member: MemberId) {
        if self.members.remove(&member).is_some() {
            self.prepare(now, None);
        }
    }

    /// Somebody wants another assignment.
    fn prepare(&mut self, now: Millis, but: Option<MemberId>) {
        if !matches!(self.state, State::Preparing { .. }) {
            self.state = State::Preparing { since: now };
            // Who has just asked to join has joined; the others must do so again.
            self.members.iter_mut().filter(|(id, _)| Some(**id) != but).for_each(|(_, member)| member.joined = false);
        }
    }

    pub fn heartbeat(&mut self, now: Millis, member: MemberId) -> Result<(), Refusal> {
        if self.replaced.contains(&member) {
            return Err(Refusal::FencedInstance);
        }
        let Some(entry) = self.members.get_mut(&member) else { return Err(Refusal::UnknownMember) };
        entry.heard = now;
        let has_joined = entry.joined;
        match self.state {
            State::Preparing { .. } if !has_joined => Err(Refusal::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// The generation that a member has joined, once all have.
    pub fn joined(&self, member: MemberId) -> Option<i32> {
        let is_complete = !matches!(self.state, State::Preparing { .. });
        self.members.get(&member).filter(|member| is_complete && member.joined).map(|_| self.generation)
    }

    /// `SyncGroup`.
    pub fn assignment(&self, member: MemberId) -> Option<&BTreeSet<PartitionId>> {
        let member = self.members.get(&member).filter(|_| self.state == State::Stable)?;
        Some(&member.assigned)
    }

    /// Offsets are taken from any member of the present generation, whatever it owns.
    pub fn check_commit(&self, member: Option<MemberId>, generation: i32) -> Result<(), Refusal> {
        let Some(member) = member else {
            return if generation < 0 { Ok(()) } else { Err(Refusal::UnknownMember) };
        };
        if self.replaced.contains(&member) {
            return Err(Refusal::FencedInstance);
        }
        if !self.members.contains_key(&member) {
            return Err(Refusal::UnknownMember);
        }
        if generation != self.generation {
            return Err(Refusal::IllegalGeneration);
        }
        if matches!(self.state, State::Completing { .. }) {
            return Err(Refusal::RebalanceInProgress);
        }
        Ok(())
    }

    pub fn is_stable(&self) -> bool {
        self.state == State::Stable
    }

    pub fn step(&mut self, now: Millis, plan: &Plan, rng: &mut Rng, reached: &mut Reached) {
        let silent = |member: &Member| now - member.heard > plan.session_timeout;
        let expired: Vec<MemberId> =
            self.members.iter().filter(|(_, member)| silent(member)).map(|(id, _)| *id).collect();
        for member in expired {
            reached.add("sessions expired");
            self.leave(now, member);
        }
        match self.state {
            State::Preparing { since } => {
                let all = self.members.values().all(|member| member.joined);
                if !all && now - since <= plan.session_timeout {
                    return;
                }
                self.members.retain(|_, member| member.joined);
                self.generation += 1;
                reached.add("generations");
                self.assign(plan, rng);
                self.state = State::Completing { until: now + rng.pick(&[0, 0, 20, 300]) };
            }
            State::Completing { until } if until <= now => self.state = State::Stable,
            State::Completing { .. } | State::Stable => {}
        }
    }

    /// Cooperative: nobody is given what another still holds. That comes with the next generation.
    fn assign(&mut self, plan: &Plan, rng: &mut Rng) {
        let ids: Vec<MemberId> = self.members.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let shuffle = rng.chance(plan.shuffle);
        let most = (self.partitions as usize).div_ceil(ids.len());
        let mut wanted: BTreeMap<MemberId, BTreeSet<PartitionId>> = BTreeMap::new();
        for partition in 0..self.partitions {
            let load = |id: &MemberId| wanted.get(id).map_or(0, BTreeSet::len);
            let owner = ids.iter().find(|id| self.members[id].owned.contains(&partition));
            let stays = owner.filter(|id| load(id) < most && !shuffle);
            let least = || *ids.iter().min_by_key(|id| load(id)).unwrap();
            let id = stays.copied().unwrap_or_else(|| if shuffle { rng.pick(&ids) } else { least() });
            wanted.entry(id).or_default().insert(partition);
        }
        for id in &ids {
            let wanted = wanted.remove(id).unwrap_or_default();
            let held_by_others = |partition: &PartitionId| {
                self.members.iter().any(|(other, member)| other != id && member.owned.contains(partition))
            };
            let assigned = wanted.into_iter().filter(|partition| !held_by_others(partition)).collect();
            self.members.get_mut(id).unwrap().assigned = assigned;
        }
    }
}
