//! What can go wrong. A fault is inflicted, lasts, and is healed; several may be at work at a time, on different targets.

use std::time::Duration;

use crate::act::{Act, Archive, MACHINES, SESSION};
use crate::cluster::BROKERS;
use crate::model::rng::Rng;

mod brokers;
mod network;
mod outside;
mod processes;
mod state;

pub trait Fault {
    /// What exactly, for the story.
    fn what(&self) -> String;

    fn lasts(&self) -> Duration;

    fn inflict(&mut self, act: &mut Act<'_>);

    /// Back to how it was.
    fn heal(&mut self, act: &mut Act<'_>);

    /// Waits for what takes as long as the other faults let it; these are healed by then.
    fn settle(&mut self, _act: &mut Act<'_>) {}
}

/// What a fault strikes: one fault at a time for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Machine(usize),
    /// All brokers: a quorum must be left.
    Brokers,
    Upstream,
    Rules,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Kill,
    Freeze,
    Restart,
    Join,
    Leave,
    BrokerBounce,
    BrokerLoss,
    BrokerFreeze,
    CutOne,
    CutAll,
    StoreLost,
    StoreTorn,
    DiskFull,
    ArchiveFrozen,
    ClockJump,
    UpstreamHung,
    RulesChange,
}

/// Each kind with its name, how often it is drawn, and whether it is quick enough for the gate.
pub const KINDS: [(Kind, &str, i64, bool); 17] = [
    (Kind::Kill, "kill -9", 12, true),
    (Kind::Freeze, "SIGSTOP past the session", 9, true),
    (Kind::Restart, "clean restart", 8, true),
    (Kind::Join, "member added", 8, true),
    (Kind::Leave, "member removed", 7, true),
    (Kind::BrokerBounce, "broker bounced", 3, false),
    (Kind::BrokerLoss, "broker lost", 3, false),
    (Kind::BrokerFreeze, "broker frozen", 4, true),
    (Kind::CutOne, "cut off from one broker", 8, true),
    (Kind::CutAll, "cut off from all brokers", 8, true),
    (Kind::StoreLost, "local store lost", 7, true),
    (Kind::StoreTorn, "local store torn", 8, true),
    (Kind::DiskFull, "disk full", 6, true),
    (Kind::ArchiveFrozen, "object store frozen", 6, false),
    (Kind::ClockJump, "clock jumped", 6, true),
    (Kind::UpstreamHung, "upstream hung in a transaction", 8, true),
    (Kind::RulesChange, "rules changed", 9, true),
];

impl Kind {
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).expect("in the table").1
    }

    /// What it would strike, or why it cannot be had here.
    pub fn target(self, act: &Act<'_>, rng: &mut Rng) -> Result<Target, String> {
        let machine = Target::Machine(rng.range(0, MACHINES as i64 - 1) as usize);
        Ok(match self {
            Kind::BrokerBounce | Kind::BrokerLoss | Kind::BrokerFreeze => Target::Brokers,
            Kind::UpstreamHung => Target::Upstream,
            Kind::RulesChange => Target::Rules,
            Kind::Join => Target::Machine(MACHINES),
            Kind::DiskFull => act.disk.as_ref().map(|_| Target::Machine(2)).map_err(Clone::clone)?,
            Kind::ClockJump => act.clock.as_ref().map(|_| Target::Machine(1)).map_err(Clone::clone)?,
            Kind::ArchiveFrozen if !matches!(act.archive, Archive::S3(_)) => {
                return Err("there is no object store in this act".to_owned());
            }
            _ => machine,
        })
    }

    pub fn make(self, target: Target, act: &Act<'_>, rng: &mut Rng) -> Box<dyn Fault> {
        let machine = if let Target::Machine(machine) = target { machine } else { 0 };
        let broker = rng.range(0, BROKERS as i64 - 1) as usize;
        match self {
            Kind::Kill => Box::new(processes::Kill { machine, away: away(rng) }),
            Kind::Freeze => Box::new(processes::Freeze { machine, lasts: SESSION + ms(rng, 500, 2_000) }),
            Kind::Restart => Box::new(processes::Leave { machine, away: Duration::ZERO }),
            Kind::Join => Box::new(processes::Join { machine, stays: ms(rng, 500, 4_000), is_killed: rng.chance(40) }),
            Kind::Leave => Box::new(processes::Leave { machine, away: ms(rng, 500, 5_000) }),
            Kind::BrokerBounce => Box::new(brokers::Bounce { broker, away: ms(rng, 0, 1_000) }),
            Kind::BrokerLoss => {
                let away = if rng.chance(50) { ms(rng, 0, 1_500) } else { ms(rng, 10_000, 12_000) };
                Box::new(brokers::Loss { broker, away })
            }
            Kind::BrokerFreeze => Box::new(brokers::Freeze { broker, lasts: ms(rng, 1_000, 5_000) }),
            Kind::CutOne => Box::new(network::Cut::new(machine, Some(broker), rng)),
            Kind::CutAll => Box::new(network::Cut::new(machine, None, rng)),
            Kind::StoreLost => Box::new(state::Lost { machine, away: away(rng) }),
            Kind::StoreTorn => Box::new(state::Torn::new(machine, rng)),
            Kind::DiskFull => Box::new(state::Full { lasts: ms(rng, 1_500, 4_000) }),
            Kind::ArchiveFrozen => Box::new(outside::ArchiveFrozen { machine, lasts: ms(rng, 2_000, 6_000) }),
            Kind::ClockJump => Box::new(outside::ClockJump::new(rng)),
            Kind::UpstreamHung => Box::new(outside::Hung::new(rng)),
            Kind::RulesChange => Box::new(outside::RulesChange::new(act, rng)),
        }
    }
}

fn ms(rng: &mut Rng, low: i64, high: i64) -> Duration {
    Duration::from_millis(rng.range(low, high) as u64)
}

/// How long a killed process stays away: back at once, or when others have what it had.
fn away(rng: &mut Rng) -> Duration {
    if rng.chance(60) { ms(rng, 0, 800) } else { SESSION + ms(rng, 300, 2_000) }
}
