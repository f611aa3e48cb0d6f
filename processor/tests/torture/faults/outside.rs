//! What is not the program's own: object store, clock, upstream, and who changes the rules.

use std::process::Child;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Fault, ms, state};
use crate::act::{Act, Archive};
use crate::load::Upstream;
use crate::model::rng::Rng;

/// The object store answers nothing, while a process that has lost its state would need it.
pub struct ArchiveFrozen {
    pub machine: usize,
    pub lasts: Duration,
}

impl Fault for ArchiveFrozen {
    fn what(&self) -> String {
        format!("the object store is frozen for {:?}, and m{} starts without its state", self.lasts, self.machine)
    }

    fn lasts(&self) -> Duration {
        self.lasts
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        if let Archive::S3(server) = &act.archive {
            server.freeze();
        }
        let machine = &mut act.machines[self.machine];
        machine.kill();
        state::empty(&machine.state);
        machine.start();
    }

    fn heal(&mut self, act: &mut Act<'_>) {
        if let Archive::S3(server) = &act.archive {
            server.thaw();
        }
    }
}

/// One machine's clock is wrong for a while: less than the program puts up with, or far off.
pub struct ClockJump {
    seconds: i64,
    lasts: Duration,
}

/// What the program lets a clock be off by, and as much again for both ends.
const TOLERATED_MS: i64 = 61_000;

impl ClockJump {
    pub fn new(rng: &mut Rng) -> Self {
        let far = rng.range(120, 7_200);
        let near = rng.range(3, 50);
        let seconds = rng.pick(&[far, near]) * rng.pick(&[-1, 1]);
        Self { seconds, lasts: ms(rng, 2_500, 5_000) }
    }
}

impl Fault for ClockJump {
    fn what(&self) -> String {
        format!("the clock of m1 jumps by {} s for {:?}", self.seconds, self.lasts)
    }

    fn lasts(&self) -> Duration {
        self.lasts
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        act.truth.allow(TOLERATED_MS);
        act.clock.as_ref().expect("it was asked for").set(1_000 * self.seconds);
    }

    fn heal(&mut self, act: &mut Act<'_>) {
        act.clock.as_ref().expect("it was asked for").set(0);
    }
}

/// A producer of events that begins a transaction and does not end it for a while: readers wait before it. What else is
/// wrong meanwhile may hold it up, so it has a thread of its own.
pub struct Hung {
    lasts: Duration,
    events: usize,
    commits: bool,
    seed: i64,
    thread: Option<JoinHandle<()>>,
}

impl Hung {
    pub fn new(rng: &mut Rng) -> Self {
        Self {
            lasts: ms(rng, 1_000, 5_000),
            events: rng.range(1, 60) as usize,
            commits: rng.chance(70),
            seed: rng.range(0, i64::MAX - 1),
            thread: None,
        }
    }
}

impl Fault for Hung {
    fn what(&self) -> String {
        let end = if self.commits { "commits" } else { "aborts" };
        format!("an upstream producer hangs for {:?} after {} events, and {end}", self.lasts, self.events)
    }

    fn lasts(&self) -> Duration {
        self.lasts
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        let topic = format!("{}.events", act.application);
        let (bootstrap, made) = (act.ground.cluster.bootstrap.clone(), act.made.clone());
        let name = format!("{}-h{}", act.application, self.seed);
        let (seed, events, lasts, commits) = (self.seed as u64, self.events, self.lasts, self.commits);
        self.thread = Some(thread::spawn(move || {
            let mut upstream = Upstream::new(&bootstrap, &topic, &name, seed, made, true);
            upstream.begin();
            upstream.send(events);
            upstream.flush();
            thread::sleep(lasts);
            if commits {
                upstream.commit();
            } else {
                upstream.abort();
            }
        }));
    }

    fn heal(&mut self, _: &mut Act<'_>) {}

    fn settle(&mut self, _: &mut Act<'_>) {
        self.thread.take().expect("it was inflicted").join().expect("the upstream producer comes to its end");
    }
}

/// Other rules in the middle of it all.
pub struct RulesChange {
    set: usize,
    applying: Option<Child>,
}

impl RulesChange {
    pub fn new(act: &Act<'_>, rng: &mut Rng) -> Self {
        let others = (0..act.number_of_sets()).filter(|set| *set != act.rules_now);
        Self { set: rng.pick(&others.collect::<Vec<_>>()), applying: None }
    }
}

impl Fault for RulesChange {
    fn what(&self) -> String {
        format!("rule set {} is applied", self.set)
    }

    fn lasts(&self) -> Duration {
        Duration::ZERO
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        self.applying = Some(act.apply_rules(self.set));
    }

    fn heal(&mut self, _: &mut Act<'_>) {}

    fn settle(&mut self, act: &mut Act<'_>) {
        let mut applying = self.applying.take().expect("it was inflicted");
        // A broker may have been away: who applies rules tries again.
        for _ in 0..5 {
            if applying.wait().unwrap().success() {
                return;
            }
            act.tell("the rules were not applied; they are again");
            applying = act.apply_rules(self.set);
        }
        panic!("rule set {} is not applied", self.set);
    }
}
