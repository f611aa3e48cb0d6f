//! Who leaves, and who complains in a burst: the ground truth that detection can be held against.

use std::collections::BTreeMap;

use fastrand::Rng;
use hashbrown::HashMap;
use serde::Serialize;
use tocsin_core::time::{DAY, Duration, Millis};

use super::density::Density;
use super::load::{Event, Kind};
use super::settings::Settings;
use super::tickets::Step;

/// Complaints of a burst.
const BURST: std::ops::RangeInclusive<u64> = 3..=6;
/// Their number, on average.
pub(super) const BURST_MEAN: f64 = 4.5;
/// From the first complaint of a burst to the last, at the most.
const BURST_LENGTH: Duration = 5 * DAY;
/// With fewer expected events nobody could tell that a customer has left.
const TELLING_EVENTS: f64 = 20.0;

/// What there is to find of a customer; times are those of the events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "planted", rename_all = "snake_case")]
pub enum Truth {
    /// No event from `at` on.
    Leaves {
        customer_id: String,
        at: String,
        /// Of the last event; null if there was none.
        last_event_at: Option<String>,
        events: u64,
    },
    /// So many complaints opened between the two times; others may lie between them or elsewhere.
    Complains { customer_id: String, from: Option<String>, to: Option<String>, complaints: u64 },
}

/// What is planned for a customer, and what has come of it.
#[derive(Clone, Debug)]
struct Plan {
    /// `None`: a burst.
    leaves_at: Option<Millis>,
    seen: u64,
    first: Option<Millis>,
    last: Option<Millis>,
}

/// The planted customers, by rank.
#[derive(Clone, Debug, Default)]
pub(super) struct Planted {
    plans: HashMap<u64, Plan>,
    /// All planted ranks are below.
    pool: u64,
}

impl Planted {
    /// Chooses customers among the dense ones, and returns when the complaints of bursts are due.
    pub fn new(settings: &Settings, density: &Density, random: &mut Rng) -> (Self, Vec<(Millis, u64)>) {
        let wanted = settings.leaving + settings.complaining;
        if wanted == 0 {
            return (Self::default(), Vec::new());
        }
        let telling = density.ranks_with(TELLING_EVENTS / settings.events as f64);
        let pool = telling.max(4 * wanted).min(settings.customers);
        let mut leaves: Vec<bool> = (0..wanted).map(|place| place < settings.leaving).collect();
        random.shuffle(&mut leaves);
        let (mut plans, mut due) = (HashMap::new(), Vec::new());
        for (place, leaves) in (0..).zip(leaves) {
            // One from each of as many stretches of the pool.
            let stretch = |place: u64| (u128::from(pool) * u128::from(place) / u128::from(wanted)) as u64;
            let rank = random.u64(stretch(place)..stretch(place + 1));
            let leaves_at = leaves.then(|| settings.start + within(random, settings.span, 0.4, 0.6));
            if !leaves {
                due.extend(burst(settings, random).map(|at| (at, rank)));
            }
            plans.insert(rank, Plan { leaves_at, seen: 0, first: None, last: None });
        }
        (Self { plans, pool }, due)
    }

    /// Whether the customer has no events any more.
    pub fn has_left(&self, rank: u64, at: Millis) -> bool {
        rank < self.pool
            && self.plans.get(&rank).and_then(|plan| plan.leaves_at).is_some_and(|leaves_at| at >= leaves_at)
    }

    /// Notes an event; `planted`: it is one of a burst.
    pub fn note(&mut self, event: &Event, planted: bool) {
        if event.rank >= self.pool {
            return;
        }
        let Some(plan) = self.plans.get_mut(&event.rank) else { return };
        let is_opening = matches!(event.kind, Kind::Complaint { step: Step::Opened, .. });
        if plan.leaves_at.is_some() || (planted && is_opening) {
            plan.seen += 1;
            plan.first = plan.first.map_or(Some(event.at), |first| Some(first.min(event.at)));
            plan.last = plan.last.max(Some(event.at));
        }
    }

    /// By rank. `id` and `time` say how customers and instants are written.
    pub fn truth(&self, id: impl Fn(u64) -> String, time: impl Fn(Millis) -> String) -> Vec<Truth> {
        let sorted: BTreeMap<_, _> = self.plans.iter().collect();
        let truth = sorted.into_iter().map(|(rank, plan)| match plan.leaves_at {
            Some(at) => Truth::Leaves {
                customer_id: id(*rank),
                at: time(at),
                last_event_at: plan.last.map(&time),
                events: plan.seen,
            },
            None => Truth::Complains {
                customer_id: id(*rank),
                from: plan.first.map(&time),
                to: plan.last.map(&time),
                complaints: plan.seen,
            },
        });
        truth.collect()
    }
}

fn within(random: &mut Rng, span: Duration, from: f64, to: f64) -> Duration {
    (span as f64 * (from + (to - from) * random.f64())) as Duration
}

/// When the complaints of a burst are due: one in each of as many stretches of it.
fn burst(settings: &Settings, random: &mut Rng) -> impl Iterator<Item = Millis> + use<> {
    let length = BURST_LENGTH.min(settings.span / 10);
    let begins = settings.start + within(random, settings.span, 0.05, 0.85);
    let count = random.u64(BURST) as Duration;
    let mut random = random.fork();
    (0..count).map(move |nth| begins + (nth * length + random.i64(0..=length)) / count)
}
