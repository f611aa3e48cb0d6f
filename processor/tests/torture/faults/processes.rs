//! Processes that end, stand still, come and go.

use std::time::Duration;

use super::Fault;
use crate::act::Act;

/// SIGKILL, and a start after a while.
pub struct Kill {
    pub machine: usize,
    pub away: Duration,
}

impl Fault for Kill {
    fn what(&self) -> String {
        format!("m{} is killed, away for {:?}", self.machine, self.away)
    }

    fn lasts(&self) -> Duration {
        self.away
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        act.machines[self.machine].kill();
    }

    fn heal(&mut self, act: &mut Act<'_>) {
        act.machines[self.machine].start();
    }
}

/// SIGSTOP for longer than the group waits, then SIGCONT: a zombie, until it notices.
pub struct Freeze {
    pub machine: usize,
    pub lasts: Duration,
}

impl Fault for Freeze {
    fn what(&self) -> String {
        format!("m{} is frozen for {:?}", self.machine, self.lasts)
    }

    fn lasts(&self) -> Duration {
        self.lasts
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        act.machines[self.machine].freeze();
    }

    fn heal(&mut self, act: &mut Act<'_>) {
        act.machines[self.machine].thaw();
    }
}

/// A clean stop, and a start after a while.
pub struct Leave {
    pub machine: usize,
    pub away: Duration,
}

impl Fault for Leave {
    fn what(&self) -> String {
        format!("m{} is stopped cleanly, away for {:?}", self.machine, self.away)
    }

    fn lasts(&self) -> Duration {
        self.away
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        if let Some(told) = act.machines[self.machine].stop() {
            act.tell(&told);
        }
    }

    fn heal(&mut self, act: &mut Act<'_>) {
        act.machines[self.machine].start();
    }
}

/// One more member, which goes again.
pub struct Join {
    pub machine: usize,
    pub stays: Duration,
    pub is_killed: bool,
}

impl Fault for Join {
    fn what(&self) -> String {
        format!(
            "m{} joins, and {} after {:?}",
            self.machine,
            if self.is_killed { "dies" } else { "leaves" },
            self.stays
        )
    }

    fn lasts(&self) -> Duration {
        self.stays
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        act.machines[self.machine].start();
    }

    fn heal(&mut self, act: &mut Act<'_>) {
        let machine = &mut act.machines[self.machine];
        if self.is_killed {
            machine.kill();
        } else if let Some(told) = machine.stop() {
            act.tell(&told);
        }
    }
}
