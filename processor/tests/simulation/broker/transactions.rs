//! The transaction coordinator.

use std::collections::BTreeMap;

use tocsin::task::world::{Offset, Source};
use tocsin_core::time::Millis;

use super::log::{Data, Entry};
use super::{Broker, MemberId, Place, TxId};
use crate::checkers;
use crate::plan::Plan;
use crate::reached::Reached;
use crate::rng::Rng;
use crate::sim::Me;

/// Why the broker refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The producer's epoch is not the present one.
    Fenced,
    /// The transaction before this one is still being ended: ask again.
    Concurrent,
    /// There is no transaction to be ended.
    InvalidState,
    IllegalGeneration,
    RebalanceInProgress,
    UnknownMember,
    FencedInstance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ongoing,
    /// Decided; markers are being written.
    Ending {
        commit: bool,
    },
    Ended {
        commit: bool,
    },
}

#[derive(Debug)]
pub struct Tx {
    state: State,
    began: Millis,
    /// For the checkers: which process it is of.
    pub by: Option<Me>,
    pub touched: Vec<Place>,
    pub offsets: Vec<(Source, Offset)>,
    /// Markers that are still to be written, and when.
    markers: Vec<(Millis, Marker)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    Log(Place),
    Offsets,
}

/// A request that was underway for long.
#[derive(Clone, Debug)]
pub enum Late {
    EndTxn { id: String, epoch: i32, commit: bool },
}

#[derive(Debug, Default)]
pub struct Transactions {
    pub all: Vec<Tx>,
    ids: BTreeMap<String, Producer>,
    late: Vec<(Millis, Late)>,
}

/// What the coordinator knows of a transactional id.
#[derive(Clone, Copy, Debug, Default)]
struct Producer {
    epoch: i32,
    latest: Option<TxId>,
}

impl Transactions {
    fn latest(&self, id: &str) -> Option<(TxId, State)> {
        let tx = self.ids.get(id)?.latest?;
        Some((tx, self.all[tx].state))
    }

    /// Whether it was decided to commit it, even if no reader can tell yet.
    pub fn is_committed(&self, tx: TxId) -> bool {
        matches!(self.all[tx].state, State::Ending { commit: true } | State::Ended { commit: true })
    }

    /// Offsets that a transaction holds which is not ended yet hide the committed ones.
    pub fn has_pending_offset(&self, source: Source) -> bool {
        let is_open = |tx: &&Tx| !matches!(tx.state, State::Ended { .. });
        let holds = |tx: &Tx| tx.offsets.iter().any(|(other, _)| *other == source);
        self.all.iter().rev().take(40).filter(is_open).any(|tx| holds(tx) && has_marker(tx))
    }

    pub fn send_late(&mut self, at: Millis, late: Late) {
        self.late.push((at, late));
    }
}

fn has_marker(tx: &Tx) -> bool {
    tx.state == State::Ongoing || tx.markers.iter().any(|(_, marker)| *marker == Marker::Offsets)
}

impl Broker {
    /// `InitProducerId`: ends what is open, and bumps the epoch once all of it is ended.
    pub fn init_producer(&mut self, id: &str, rng: &mut Rng, reached: &mut Reached) -> Result<i32, Refusal> {
        match self.transactions.latest(id) {
            Some((tx, State::Ongoing)) => {
                reached.add("open transactions ended by a successor");
                self.bump(id);
                self.decide(tx, false, rng);
                Err(Refusal::Concurrent)
            }
            Some((_, State::Ending { .. })) => Err(Refusal::Concurrent),
            _ => Ok(self.bump(id)),
        }
    }

    fn bump(&mut self, id: &str) -> i32 {
        let producer = self.transactions.ids.entry(id.to_owned()).or_default();
        producer.epoch += 1;
        producer.epoch
    }

    /// The open transaction of a producer, begun if there is none.
    fn ongoing(&mut self, id: &str, epoch: i32, by: Option<Me>) -> Result<TxId, Refusal> {
        let now = self.now;
        let all = &mut self.transactions.all;
        let producer = self.transactions.ids.entry(id.to_owned()).or_default();
        if producer.epoch != epoch {
            return Err(Refusal::Fenced);
        }
        match producer.latest.map(|tx| (tx, all[tx].state)) {
            Some((tx, State::Ongoing)) => Ok(tx),
            Some((_, State::Ending { .. })) => Err(Refusal::Concurrent),
            _ => {
                producer.latest = Some(all.len());
                let (touched, offsets, markers) = (Vec::new(), Vec::new(), Vec::new());
                all.push(Tx { state: State::Ongoing, began: now, by, touched, offsets, markers });
                Ok(all.len() - 1)
            }
        }
    }

    pub fn produce(
        &mut self,
        id: &str,
        epoch: i32,
        by: Option<Me>,
        place: Place,
        data: Data,
        timestamp: Millis,
    ) -> Result<Offset, Refusal> {
        let tx = self.ongoing(id, epoch, by)?;
        let touched = &mut self.transactions.all[tx].touched;
        if !touched.contains(&place) {
            touched.push(place);
        }
        let appended = self.now;
        Ok(self.log(place).append(Entry { data: Some(data), timestamp, appended, tx: Some(tx) }))
    }

    /// `TxnOffsetCommit`. A generation below zero and no member is what a program outside of any group sends: it is not
    /// checked.
    pub fn send_offsets(
        &mut self,
        id: &str,
        epoch: i32,
        by: Me,
        member: (Option<MemberId>, i32),
        offsets: &[(Source, Offset)],
    ) -> Result<(), Refusal> {
        let tx = self.ongoing(id, epoch, Some(by))?;
        self.group.check_commit(member.0, member.1)?;
        self.transactions.all[tx].offsets.extend_from_slice(offsets);
        Ok(())
    }

    /// `EndTxn`.
    pub fn end_transaction(&mut self, id: &str, epoch: i32, commit: bool, rng: &mut Rng) -> Result<(), Refusal> {
        if self.transactions.ids.get(id).is_none_or(|producer| producer.epoch != epoch) {
            return Err(Refusal::Fenced);
        }
        match self.transactions.latest(id) {
            Some((tx, State::Ongoing)) => {
                self.decide(tx, commit, rng);
                Ok(())
            }
            Some((_, State::Ending { commit: before } | State::Ended { commit: before })) if before == commit => Ok(()),
            _ => Err(Refusal::InvalidState),
        }
    }

    /// From here on the outcome is certain; readers see it when the markers are written, here and there at its own time.
    fn decide(&mut self, tx: TxId, commit: bool, rng: &mut Rng) {
        if commit {
            checkers::one_owner::at_commit(self, tx);
        }
        let now = self.now;
        let Tx { state, touched, markers, .. } = &mut self.transactions.all[tx];
        *state = State::Ending { commit };
        let slow = rng.pick(&[0, 0, 0, 0, 5, 30, 3_000]);
        for marker in touched.iter().map(|place| Marker::Log(*place)).chain([Marker::Offsets]) {
            markers.push((now + rng.range(0, slow), marker));
        }
        self.write_markers();
    }

    pub(super) fn write_markers(&mut self) {
        let now = self.now;
        let many = self.transactions.all.len();
        for tx in many.saturating_sub(40)..many {
            let State::Ending { commit } = self.transactions.all[tx].state else { continue };
            let (due, left): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.transactions.all[tx].markers).into_iter().partition(|(at, _)| *at <= now);
            self.transactions.all[tx].markers = left;
            for (_, marker) in due {
                match marker {
                    Marker::Log(place) => self.log(place).mark(tx, commit, now),
                    Marker::Offsets if commit => {
                        let offsets = &self.transactions.all[tx].offsets;
                        self.group.committed.extend(offsets.iter().copied());
                    }
                    Marker::Offsets => {}
                }
            }
            if self.transactions.all[tx].markers.is_empty() {
                self.transactions.all[tx].state = State::Ended { commit };
            }
        }
    }

    /// Ends transactions that were open for too long, and fences their producers.
    pub(super) fn time_out(&mut self, plan: &Plan, rng: &mut Rng, reached: &mut Reached) {
        let now = self.now;
        let open: Vec<(String, TxId)> = self
            .transactions
            .ids
            .iter()
            .filter_map(|(id, producer)| Some((id.clone(), producer.latest?)))
            .filter(|(_, tx)| self.transactions.all[*tx].state == State::Ongoing)
            .filter(|(_, tx)| now - self.transactions.all[*tx].began > plan.transaction_timeout)
            .filter(|(id, _)| !id.starts_with("upstream"))
            .collect();
        for (id, tx) in open {
            reached.add("transactions timed out by the broker");
            self.bump(&id);
            self.decide(tx, false, rng);
        }
    }

    /// Requests that were underway for long.
    pub(super) fn arrive(&mut self, _: &Plan, rng: &mut Rng, reached: &mut Reached) {
        let now = self.now;
        let (due, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.transactions.late).into_iter().partition(|(at, _)| *at <= now);
        self.transactions.late = left;
        for (_, Late::EndTxn { id, epoch, commit }) in due {
            let was_open = matches!(self.transactions.latest(&id), Some((_, State::Ongoing)));
            match self.end_transaction(&id, epoch, commit, rng) {
                Ok(()) if was_open => reached.add("late EndTxn that ended a transaction"),
                Ok(()) => reached.add("late EndTxn without effect"),
                Err(_) => reached.add("late EndTxn refused"),
            }
        }
    }
}
