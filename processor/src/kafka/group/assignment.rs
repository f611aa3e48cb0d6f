//! Which partitions are ours, and how far each is.
//!
//! ```text
//!              told: Assigned            start()
//!   assigned ───────────────> waiting ───────────> running
//!                                ^──── hold() ─────────'
//!   any of them, revoked ──> leaving ──> told: Revoked ──> release() ──> gone
//! ```
//!
//! What was told is told again until it is answered. So a loop that failed halfway through a restore, or before a
//! release, need not remember what it owes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::task::world::{Offset, PartitionId, Rebalance};

/// How long a loop that does not start what it was assigned is left alone.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// The partitions of one member of the group.
#[derive(Debug, Default)]
pub struct Assignment {
    held: BTreeMap<PartitionId, Held>,
    /// The next offset of each partition that runs, by its number: looked up for each record.
    next: Vec<Option<Offset>>,
    lost: bool,
    told: Option<Instant>,
    /// Whether the group has given this member its partitions, be it none.
    joined: bool,
    /// It gave none, and the loop has not heard yet that it has joined.
    joined_empty: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    state: State,
    /// The loop has heard of it, so it must hear when it goes.
    known: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Leaving,
    /// The loop has let go of it before anybody asked for that.
    Parked,
}

impl Assignment {
    pub fn assigned(&mut self, partitions: &[PartitionId]) {
        for &partition in partitions {
            self.held.insert(partition, Held { state: State::Waiting, known: false });
            self.set_next(partition, None);
        }
        self.joined_empty |= partitions.is_empty() && !self.joined;
        self.joined = true;
        self.told = None;
    }

    pub fn revoked(&mut self, partitions: &[PartitionId], lost: bool) {
        for partition in partitions {
            if let Some(held) = self.held.get_mut(partition) {
                held.state = State::Leaving;
            }
            self.set_next(*partition, None);
        }
        self.lost = lost;
    }

    /// Nobody gives anything back any more: all of it is somebody else's.
    pub fn lose_all(&mut self) {
        self.held.retain(|_, held| held.known);
        self.held.values_mut().for_each(|held| held.state = State::Leaving);
        self.next.clear();
        (self.lost, self.joined_empty) = (true, false);
    }

    /// What runs must be restored and started anew; returns what ran.
    pub fn hold(&mut self) -> Vec<PartitionId> {
        let running: Vec<_> = self.in_state(State::Running).collect();
        for &partition in &running {
            self.change(partition, State::Waiting, None);
        }
        self.told = None;
        running
    }

    /// Whether the loop has heard of any partition, and so may have a task for it, or be about to.
    #[must_use]
    pub fn any_known(&self) -> bool {
        self.held.values().any(|held| held.known)
    }

    /// Whether the partition is ours: that it is to leave makes no difference until it is released.
    #[must_use]
    pub fn holds(&self, partition: PartitionId) -> bool {
        self.held.contains_key(&partition)
    }

    /// Whether the partition can be started.
    #[must_use]
    pub fn can_start(&self, partition: PartitionId) -> bool {
        self.held.get(&partition).is_some_and(|held| matches!(held.state, State::Waiting | State::Running))
    }

    pub fn started(&mut self, partition: PartitionId, offset: Offset) {
        self.change(partition, State::Running, Some(offset));
    }

    /// The loop lets go of the partition.
    pub fn released(&mut self, partition: PartitionId) {
        if let Some(held) = self.held.get_mut(&partition) {
            held.known = false;
            if held.state != State::Leaving {
                held.state = State::Parked;
            }
        }
        self.set_next(partition, None);
    }

    /// Whether partitions leave, and the loop has let go of all of them.
    #[must_use]
    pub fn can_give_back(&self) -> bool {
        let mut leaving = self.held.values().filter(|held| held.state == State::Leaving).peekable();
        leaving.peek().is_some() && leaving.all(|held| !held.known)
    }

    /// What left is no longer ours.
    pub fn given_back(&mut self) {
        self.held.retain(|_, held| held.state != State::Leaving);
        self.lost = false;
    }

    /// Whether the partition's records are for the loop.
    #[must_use]
    pub fn runs(&self, partition: PartitionId) -> bool {
        usize::try_from(partition).ok().and_then(|index| self.next.get(index)).is_some_and(Option::is_some)
    }

    #[must_use]
    pub fn any_runs(&self) -> bool {
        self.next.iter().any(Option::is_some)
    }

    /// The loop has everything of a running partition before this offset.
    pub fn advance(&mut self, partition: PartitionId, to: Offset) {
        let next = usize::try_from(partition).ok().and_then(|index| self.next.get_mut(index));
        if let Some(Some(next)) = next {
            *next = to.max(*next);
        }
    }

    /// The offset that a running partition is to bring next.
    #[must_use]
    pub fn next(&self, partition: PartitionId) -> Option<Offset> {
        usize::try_from(partition).ok().and_then(|index| self.next.get(index)).copied().flatten()
    }

    /// The partitions that run, and the offset that each is to bring next.
    #[must_use]
    pub fn positions(&self) -> Vec<(PartitionId, Offset)> {
        let positions = self.next.iter().enumerate().filter_map(|(index, next)| Some((index as PartitionId, (*next)?)));
        positions.collect()
    }

    /// Whether [`Self::tell`] would tell something.
    #[must_use]
    pub fn has_news(&self, now: Instant) -> bool {
        let is_news = |held: &Held| match held.state {
            State::Leaving => held.known,
            State::Waiting => self.may_tell(now),
            State::Running | State::Parked => false,
        };
        self.joined_empty || self.held.values().any(is_news)
    }

    /// What the loop has to answer next.
    pub fn tell(&mut self, now: Instant) -> Option<Rebalance> {
        let leaving: Vec<_> = self
            .in_state(State::Leaving)
            .filter(|partition| self.held.get(partition).is_some_and(|held| held.known))
            .collect();
        if !leaving.is_empty() {
            return Some(Rebalance::Revoked { partitions: leaving, lost: self.lost });
        }
        let waiting: Vec<_> = self.in_state(State::Waiting).collect();
        let joined_empty = std::mem::take(&mut self.joined_empty);
        if !joined_empty && (waiting.is_empty() || !self.may_tell(now)) {
            return None;
        }
        self.told = Some(now);
        for partition in &waiting {
            if let Some(held) = self.held.get_mut(partition) {
                held.known = true;
            }
        }
        Some(Rebalance::Assigned(waiting))
    }

    fn may_tell(&self, now: Instant) -> bool {
        self.told.is_none_or(|told| now.duration_since(told) >= TELL_AGAIN)
    }

    fn in_state(&self, state: State) -> impl Iterator<Item = PartitionId> + '_ {
        self.held.iter().filter(move |(_, held)| held.state == state).map(|(partition, _)| *partition)
    }

    fn change(&mut self, partition: PartitionId, state: State, next: Option<Offset>) {
        if let Some(held) = self.held.get_mut(&partition) {
            *held = Held { state, known: true };
        }
        self.set_next(partition, next);
    }

    fn set_next(&mut self, partition: PartitionId, next: Option<Offset>) {
        let Ok(index) = usize::try_from(partition) else { return };
        if self.next.len() <= index {
            self.next.resize(index + 1, None);
        }
        self.next[index] = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revoked(partitions: &[PartitionId], lost: bool) -> Rebalance {
        Rebalance::Revoked { partitions: partitions.to_vec(), lost }
    }

    fn assigned(partitions: &[PartitionId]) -> Rebalance {
        Rebalance::Assigned(partitions.to_vec())
    }

    #[test]
    fn what_is_not_started_is_told_again_after_a_while() {
        let (mut assignment, now) = (Assignment::default(), Instant::now());
        assignment.assigned(&[0, 2]);
        assert!(assignment.has_news(now));
        assert!(!assignment.any_known());
        assert_eq!(assignment.tell(now), Some(assigned(&[0, 2])));
        assert!(assignment.any_known() && !assignment.has_news(now));
        assert_eq!(assignment.tell(now), None);
        assignment.started(2, 10);
        assert!(assignment.runs(2) && !assignment.runs(0) && !assignment.runs(1) && !assignment.runs(-1));
        assignment.advance(2, 15);
        assignment.advance(2, 12);
        assignment.advance(0, 9);
        assert_eq!(assignment.positions(), [(2, 15)]);
        assert_eq!(assignment.tell(now + TELL_AGAIN), Some(assigned(&[0])));
    }

    #[test]
    fn what_is_revoked_is_ours_until_it_is_released() {
        let (mut assignment, now) = (Assignment::default(), Instant::now());
        assignment.assigned(&[0, 1]);
        assignment.tell(now);
        assignment.started(0, 10);
        assignment.started(1, 10);
        assignment.revoked(&[1], false);
        assert!(assignment.runs(0) && !assignment.runs(1) && !assignment.can_start(1));
        for _ in 0..2 {
            assert_eq!(assignment.tell(now), Some(revoked(&[1], false)));
            assert!(!assignment.can_give_back());
        }
        assignment.released(1);
        assert!(assignment.can_give_back());
        assignment.given_back();
        assert_eq!(assignment.tell(now + TELL_AGAIN), None);
        assert!(assignment.runs(0));
    }

    #[test]
    fn what_a_client_held_that_has_ended_is_told_as_lost() {
        let (mut assignment, now) = (Assignment::default(), Instant::now());
        assignment.assigned(&[0, 1]);
        assignment.tell(now);
        assignment.started(0, 10);
        assignment.assigned(&[2]);
        assignment.lose_all();
        assert!(!assignment.any_runs() && !assignment.can_start(0) && !assignment.holds(2));
        assert_eq!(assignment.tell(now), Some(revoked(&[0, 1], true)));
        assignment.released(0);
        assignment.released(1);
        assignment.given_back();
        assert!(!assignment.any_known());
        assert_eq!(assignment.tell(now + TELL_AGAIN), None);
    }

    #[test]
    fn what_the_loop_never_heard_of_goes_without_it() {
        let mut assignment = Assignment::default();
        assignment.assigned(&[3]);
        assignment.revoked(&[3], true);
        assert!(assignment.can_give_back());
        assert_eq!(assignment.tell(Instant::now()), None);
    }

    #[test]
    fn who_gets_nothing_hears_once_that_it_has_joined() {
        let (mut assignment, now) = (Assignment::default(), Instant::now());
        for told in [Some(assigned(&[])), None] {
            assignment.assigned(&[]);
            assert_eq!(assignment.has_news(now), told.is_some());
            assert_eq!(assignment.tell(now), told);
        }
    }

    #[test]
    fn what_is_held_must_be_started_anew() {
        let (mut assignment, now) = (Assignment::default(), Instant::now());
        assignment.assigned(&[0, 1]);
        assignment.tell(now);
        assignment.started(0, 10);
        assert_eq!(assignment.hold(), [0]);
        assert!(!assignment.any_runs());
        assert_eq!(assignment.tell(now), Some(assigned(&[0, 1])));
        assignment.started(0, 10);
        assignment.released(0);
        assert!(!assignment.runs(0) && !assignment.can_give_back());
        assert_eq!(assignment.tell(now + TELL_AGAIN), Some(assigned(&[1])));
    }
}
