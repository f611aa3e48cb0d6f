//! Everything that goes wrong in a data centre, on real Kafka: three brokers, three processes of the program as it is
//! shipped, twelve partitions, under load. After each round `tocsin audit` finds what was published equal, an independent
//! client finds every (`alert_id`, `sequence`) once, and each customer's alerts are those of the naive model.
//!
//! A few rounds here; `make torture MINUTES=30` or `ROUNDS=300` has many, of all kinds. `TOCSIN_TORTURE_SEED` repeats the
//! choices, as far as a clock can; `TOCSIN_TORTURE_KINDS` takes some kinds only, by parts of their names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

#[path = "torture/act.rs"]
mod act;
#[path = "common/broker.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;
#[path = "torture/cluster.rs"]
mod cluster;
#[path = "torture/faults/mod.rs"]
mod faults;
#[path = "torture/figures.rs"]
mod figures;
#[path = "torture/load.rs"]
mod load;
#[path = "torture/machine.rs"]
mod machine;
/// What judges, without the cases that are held against it elsewhere.
#[path = "model"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod model {
    pub mod aggregate;
    pub mod attributes;
    pub mod calendar;
    pub mod case;
    pub mod change;
    pub mod compare;
    pub mod count;
    pub mod coverage;
    pub mod due;
    pub mod episode;
    pub mod event;
    pub mod expr;
    pub mod items;
    pub mod judging;
    pub mod judging_dates;
    pub mod judging_once;
    pub mod judging_until;
    pub mod measure;
    pub mod median_gap;
    pub mod observe;
    pub mod observe_change;
    pub mod observe_items;
    pub mod observe_values;
    pub mod open;
    pub mod rational;
    pub mod record;
    pub mod render;
    pub mod rng;
    pub mod rule;
    pub mod silence;
    pub mod standing;
    pub mod state;
    pub mod sum;
    pub mod value;
    pub mod world;

    pub use case::{Case, Settings};
}
#[path = "torture/place.rs"]
mod place;
#[path = "torture/proxy.rs"]
mod proxy;
#[path = "torture/reader.rs"]
mod reader;
#[path = "torture/round.rs"]
mod round;
#[path = "torture/rules.rs"]
mod rules;
#[path = "common/s3_server.rs"]
mod s3_server;
#[path = "torture/story.rs"]
mod story;
#[path = "torture/table.rs"]
mod table;
#[path = "torture/truth.rs"]
mod truth;
#[path = "torture/witness.rs"]
mod witness;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use act::{Act, Archive, Ground, Settings};
use broker::{Skip, or_skip};
use cluster::Cluster;
use faults::{KINDS, Kind};
use model::rng::Rng;
use round::Round;
use s3_server::Server;
use story::Story;
use table::Table;

const TEST: &str = "whatever_goes_wrong_every_alert_is_published_once";
/// Rounds of an act.
const ACT: usize = 12;
/// What the short run may take for its rounds, its start and end apart.
const SHORT: Duration = Duration::from_mins(2);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

/// How far to go.
#[derive(Clone, Copy, Debug)]
enum Length {
    /// The quick kinds, one after the other, as far as the time goes.
    Short,
    Rounds(u64),
    Until(Instant),
    /// No rounds, but how long what takes.
    Figures,
}

fn length() -> Length {
    if number("TOCSIN_TORTURE_FIGURES").is_some() {
        return Length::Figures;
    }
    match (number("TOCSIN_TORTURE_ROUNDS"), number("TOCSIN_TORTURE_MINUTES")) {
        (Some(rounds), _) => Length::Rounds(rounds),
        (None, Some(minutes)) => Length::Until(Instant::now() + Duration::from_mins(minutes)),
        (None, None) => Length::Short,
    }
}

/// The kinds that were asked for.
fn kinds() -> Vec<Kind> {
    let asked = std::env::var("TOCSIN_TORTURE_KINDS").unwrap_or_default();
    let parts: Vec<&str> = asked.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let is_asked = |name: &str| parts.is_empty() || parts.iter().any(|part| name.contains(part));
    KINDS.iter().filter(|(_, name, ..)| is_asked(name)).map(|(kind, ..)| *kind).collect()
}

fn ground() -> Result<Ground, Skip> {
    let python = witness::python("requirements.txt")?;
    let root = std::env::var_os("TOCSIN_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = root.join(format!("tocsin-torture-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let cluster = Cluster::start(folder.join("kafka"))?;
    let story = Story::open(&folder);
    Ok(Ground { cluster, python, folder, story })
}

#[test]
fn whatever_goes_wrong_every_alert_is_published_once() {
    let seed = number("TOCSIN_TORTURE_SEED").unwrap_or_else(|| load::now_ms() as u64);
    println!("TOCSIN_TORTURE_SEED={seed}");
    let Some(ground) = or_skip(TEST, ground()) else { return };
    println!("logs and what was done when: {}", ground.folder.display());
    let mut table = Table::default();
    let mut run = Run { seed, length: length(), kinds: kinds(), started: Instant::now(), rounds: 0, table: &mut table };
    let ended = catch_unwind(AssertUnwindSafe(|| run.all(&ground)));
    if !matches!(length(), Length::Figures) {
        println!("{table}");
    }
    if let Err(panic) = ended {
        eprintln!("TOCSIN_TORTURE_SEED={seed}; logs and what was done when: {}", ground.folder.display());
        std::panic::resume_unwind(panic);
    }
    let folder = ground.folder.clone();
    drop(ground);
    if std::env::var_os("TOCSIN_TORTURE_KEEP").is_none() {
        drop(std::fs::remove_dir_all(folder));
    }
}

struct Run<'t> {
    seed: u64,
    length: Length,
    kinds: Vec<Kind>,
    started: Instant,
    rounds: u64,
    table: &'t mut Table,
}

impl Run<'_> {
    fn is_over(&self) -> bool {
        match self.length {
            Length::Short => self.rounds >= SHORT_ROUNDS.len() as u64 || self.started.elapsed() > SHORT,
            Length::Rounds(rounds) => self.rounds >= rounds,
            Length::Until(end) => Instant::now() >= end,
            Length::Figures => true,
        }
    }

    fn all(&mut self, ground: &Ground) {
        let mut number = 0;
        if matches!(self.length, Length::Figures) {
            figures::print(ground, self.seed);
        }
        while !self.is_over() {
            number += 1;
            self.act(ground, number);
        }
    }

    fn act(&mut self, ground: &Ground, number: usize) {
        // Each act by itself, so that how many rounds one had does not decide what the next one is.
        let mut rng = Rng::new(self.seed.wrapping_add(0x9e37_79b9 * number as u64));
        let archive = match (self.length, rng.range(1, 3)) {
            (Length::Short, _) | (_, 1) => Archive::Directory,
            (_, 2) => Archive::Nowhere,
            _ => or_skip("object store frozen", Server::shared()).map_or(Archive::Directory, Archive::S3),
        };
        let settings = Settings::draw(&mut rng);
        let mut act = Act::open(ground, number, archive, &settings, &mut rng);
        if number == 1 {
            let missing = [(Kind::DiskFull, act.disk.as_ref().err()), (Kind::ClockJump, act.clock.as_ref().err())];
            for (kind, why) in missing.into_iter().filter_map(|(kind, why)| Some((kind, why?))) {
                or_skip(format!("{TEST}: {}", kind.name()), Err::<(), _>(Skip(why.clone())));
            }
        }
        for _ in 0..ACT {
            if self.is_over() {
                break;
            }
            let round = match self.length {
                Length::Short => Round::of(&act, &mut rng, SHORT_ROUNDS[self.rounds as usize]),
                _ => Round::draw(&act, &mut rng, &self.kinds),
            };
            self.round(&mut act, round);
        }
        if matches!(self.length, Length::Short) {
            for kinds in SHORT_ROUNDS.iter().skip(self.rounds as usize) {
                let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                println!("not reached in the time of the short run: {}", names.join(" + "));
            }
        }
        let fallen = act.fallen;
        let alerts = act.close().unwrap_or_else(|problem| panic!("at the end of act {number}: {problem}"));
        self.table.act(alerts, fallen);
    }

    fn round(&mut self, act: &mut Act<'_>, round: Round) {
        self.rounds += 1;
        let (names, kinds, began) = (round.names(), round.kinds(), Instant::now());
        let told = format!("round {} of {}: {names}", self.rounds, act.application);
        act.tell(&told);
        round.run(act).unwrap_or_else(|problem| panic!("{told}\n{problem}"));
        println!("{told}: {:.1?}", began.elapsed());
        self.table.round(&kinds, began.elapsed());
    }
}

/// Of the short run: each quick kind at least once.
const SHORT_ROUNDS: &[&[Kind]] = &[
    &[Kind::Kill, Kind::RulesChange],
    &[Kind::Freeze, Kind::UpstreamHung],
    &[Kind::StoreTorn, Kind::Join],
    &[Kind::CutAll, Kind::ClockJump],
    &[Kind::DiskFull, Kind::Restart, Kind::StoreLost],
    &[Kind::BrokerFreeze, Kind::Leave],
    &[Kind::CutOne, Kind::RulesChange],
];
