//! Brokers that stop, die and stand still, one at a time: the others are a quorum.

use std::time::Duration;

use super::Fault;
use crate::act::Act;

/// What a replica that is gone holds up is not known to anybody until the brokers give it up.
const UNREPLICATED_MS: i64 = 30_000;

/// A clean stop, as in an upgrade of the brokers.
pub struct Bounce {
    pub broker: usize,
    pub away: Duration,
}

impl Fault for Bounce {
    fn what(&self) -> String {
        format!("broker {} is stopped cleanly, away for {:?}", self.broker + 1, self.away)
    }

    fn lasts(&self) -> Duration {
        self.away
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        act.truth.allow(UNREPLICATED_MS);
        act.ground.cluster.stop(self.broker);
    }

    fn heal(&mut self, act: &mut Act<'_>) {
        act.ground.cluster.up();
    }
}

/// SIGKILL.
pub struct Loss {
    pub broker: usize,
    pub away: Duration,
}

impl Fault for Loss {
    fn what(&self) -> String {
        format!("broker {} is killed, away for {:?}", self.broker + 1, self.away)
    }

    fn lasts(&self) -> Duration {
        self.away
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        act.truth.allow(UNREPLICATED_MS);
        act.ground.cluster.kill(self.broker);
    }

    fn heal(&mut self, act: &mut Act<'_>) {
        act.ground.cluster.up();
    }
}

/// SIGSTOP: its connections stay, and nothing is answered.
pub struct Freeze {
    pub broker: usize,
    pub lasts: Duration,
}

impl Fault for Freeze {
    fn what(&self) -> String {
        format!("broker {} is frozen for {:?}", self.broker + 1, self.lasts)
    }

    fn lasts(&self) -> Duration {
        self.lasts
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        act.truth.allow(UNREPLICATED_MS);
        act.ground.cluster.freeze(self.broker);
    }

    fn heal(&mut self, act: &mut Act<'_>) {
        act.ground.cluster.thaw(self.broker);
    }
}
