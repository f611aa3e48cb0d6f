//! A round: load, faults in it, each with its time, and then everything is held against what must be.

use std::thread;
use std::time::{Duration, Instant};

use crate::act::Act;
use crate::faults::{Fault, KINDS, Kind};
use crate::model::rng::Rng;

/// What a round is to do.
pub struct Round {
    faults: Vec<Planned>,
    rate: i64,
    /// Load before the first and behind the last.
    around: Duration,
}

struct Planned {
    kind: Kind,
    fault: Box<dyn Fault>,
    /// Counted from the round's beginning.
    begins: Duration,
}

impl Round {
    /// One fault, often two or three on different targets.
    pub fn draw(act: &Act<'_>, rng: &mut Rng, kinds: &[Kind]) -> Self {
        let count = rng.weighted(&[(45, 1), (35, 2), (20, 3)]);
        let can_be_had = |kind: Kind, rng: &mut Rng| kinds.contains(&kind) && kind.target(act, rng).is_ok();
        let choices: Vec<(i64, Kind)> = KINDS
            .iter()
            .filter(|(kind, ..)| can_be_had(*kind, &mut rng.clone()))
            .map(|(kind, _, weight, _)| (*weight, *kind))
            .collect();
        assert!(!choices.is_empty(), "none of these kinds can be had here");
        let kinds: Vec<Kind> = (0..count).map(|_| rng.weighted(&choices)).collect();
        Self::of(act, rng, &kinds)
    }

    /// These, as far as they can be had here and strike different targets.
    pub fn of(act: &Act<'_>, rng: &mut Rng, kinds: &[Kind]) -> Self {
        let (mut faults, mut targets) = (Vec::new(), Vec::new());
        for kind in kinds {
            let Ok(target) = kind.target(act, rng) else { continue };
            if targets.contains(&target) {
                continue;
            }
            targets.push(target);
            let begins = Duration::from_millis(rng.range(300, 1_800) as u64);
            faults.push(Planned { kind: *kind, fault: kind.make(target, act, rng), begins });
        }
        Self {
            faults,
            rate: rng.pick(&[4, 15, 100, 300, 500]),
            around: Duration::from_millis(rng.range(300, 1_200) as u64),
        }
    }

    pub fn kinds(&self) -> Vec<Kind> {
        self.faults.iter().map(|planned| planned.kind).collect()
    }

    pub fn names(&self) -> String {
        self.faults.iter().map(|planned| planned.kind.name()).collect::<Vec<_>>().join(" + ")
    }

    pub fn run(mut self, act: &mut Act<'_>) -> Result<(), String> {
        act.truth.begin_round();
        act.fallen_now = 0;
        let load = act.start_load(self.rate as f64);
        let started = Instant::now();
        // What happens when: a fault by its place, and whether it is the end of it.
        let mut due: Vec<(Duration, usize, bool)> = Vec::new();
        for (place, Planned { fault, begins, .. }) in self.faults.iter().enumerate() {
            due.push((*begins, place, false));
            due.push((*begins + fault.lasts(), place, true));
        }
        due.sort_by_key(|(at, place, is_end)| (*at, *place, *is_end));
        for (at, place, is_end) in due {
            while started.elapsed() < at {
                act.tend();
                thread::sleep(Duration::from_millis(10).min(at.saturating_sub(started.elapsed())));
            }
            let fault = &mut self.faults[place].fault;
            act.tell(&format!("{}: {}", if is_end { "over" } else { "begins" }, fault.what()));
            if is_end {
                fault.heal(act);
            } else {
                fault.inflict(act);
            }
        }
        thread::sleep(self.around);
        act.stop_load(load);
        for planned in &mut self.faults {
            planned.fault.settle(act);
        }
        act.tell("all is healed, the load is over");
        act.verify()
    }
}
