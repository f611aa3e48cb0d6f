//! How often what went wrong, and how it went.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::faults::{KINDS, Kind};

#[derive(Debug, Default)]
pub struct Table {
    kinds: BTreeMap<Kind, u64>,
    rounds: u64,
    took: Duration,
    acts: u64,
    alerts: usize,
    fallen: usize,
}

impl Table {
    /// A round that ended well.
    pub fn round(&mut self, kinds: &[Kind], took: Duration) {
        self.rounds += 1;
        self.took += took;
        for kind in kinds {
            *self.kinds.entry(*kind).or_default() += 1;
        }
    }

    pub fn act(&mut self, alerts: usize, fallen: usize) {
        self.acts += 1;
        self.alerts += alerts;
        self.fallen += fallen;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, name, ..) in KINDS {
            writeln!(f, "{name:<32}{:>6}", self.kinds.get(&kind).unwrap_or(&0))?;
        }
        let each = self.took.as_secs_f64() / self.rounds.max(1) as f64;
        let faults: u64 = self.kinds.values().sum();
        writeln!(f, "{} rounds that went well with {faults} faults, {each:.1} s each", self.rounds)?;
        write!(
            f,
            "{} whole acts: {} alerts, each found once; processes that ended by themselves and were started again: {}",
            self.acts, self.alerts, self.fallen
        )
    }
}
