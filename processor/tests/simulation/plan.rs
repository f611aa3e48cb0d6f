//! What a seed decides before anything happens: how the members are set up, and what is to go wrong how often.

use tocsin::task::world::{PartitionId, Source};
use tocsin_core::time::{MINUTE, Millis, SECOND};

use crate::rng::Rng;

/// Chances are in 100,000 where nothing else is said.
#[derive(Clone, Debug)]
pub struct Plan {
    pub partitions: i32,
    /// Input topics.
    pub topics: usize,
    pub machines: usize,
    /// Turns of the main loop while things go wrong.
    pub turns: i64,
    pub events: i64,
    /// Static membership, and whether a second process of the same name is started now and then.
    pub is_static: bool,
    pub has_twin: bool,
    pub session_timeout: Millis,
    pub transaction_timeout: Millis,
    /// A process dies at a call to the world.
    pub crash: i64,
    /// It stands still there, like one that is stopped or swapped out.
    pub pause: i64,
    /// Something is wrong with a request to the broker, in 1,000.
    pub network: i64,
    /// In percent: the next generation of the group is given out at random.
    pub shuffle: i64,
    /// A member is cut off the broker for a while, in percent of turns.
    pub cut: i64,
    /// In 1,000 calls to a store.
    pub disk: i64,
    /// In percent: a crash takes the power, or the whole disk, or leaves a damaged store.
    pub power_loss: i64,
    pub disk_loss: i64,
    pub damage: i64,
    /// A store from elsewhere is put in place, in percent of restarts.
    pub strange_store: i64,
    /// In percent of turns.
    pub rules: i64,
    pub retention: i64,
    pub objects: bool,
    pub objects_down: i64,
    /// A clock is off the broker's by up to this.
    pub skew: Millis,
    pub upstream_transactions: i64,
    pub bad_records: i64,
    pub loop_settings: LoopSettings,
}

#[derive(Clone, Debug)]
pub struct LoopSettings {
    pub max_batch: usize,
    pub interval: Millis,
    pub min_interval: Millis,
    pub write_behind: Millis,
    pub cached_customers: usize,
    pub idle_after: Option<Millis>,
    pub merge_wait: Millis,
    pub checkpoint_interval: Option<Millis>,
}

impl Plan {
    pub fn new(rng: &mut Rng) -> Self {
        let objects = rng.chance(60);
        let is_static = rng.chance(40);
        Self {
            partitions: rng.pick(&[1, 1, 2, 3]),
            topics: rng.pick(&[1, 1, 2, 3]),
            machines: rng.pick(&[1, 2, 2, 3]) as usize,
            turns: rng.range(30, 140),
            events: rng.range(5, 80),
            is_static,
            has_twin: rng.chance(8),
            session_timeout: 10 * SECOND,
            transaction_timeout: 10 * SECOND,
            crash: rng.pick(&[0, 100, 500, 1_500]),
            pause: rng.pick(&[0, 0, 200, 700]),
            network: rng.pick(&[0, 0, 10, 40, 150]),
            shuffle: rng.pick(&[0, 20, 60]),
            cut: rng.pick(&[0, 0, 2, 6]),
            disk: rng.pick(&[0, 0, 0, 3, 20]),
            power_loss: rng.pick(&[0, 30]),
            disk_loss: rng.pick(&[0, 0, 15]),
            damage: rng.pick(&[0, 0, 10]),
            strange_store: rng.pick(&[0, 0, 8]),
            rules: rng.pick(&[0, 2, 5]),
            retention: if objects { rng.pick(&[0, 5]) } else { 0 },
            objects,
            objects_down: rng.pick(&[0, 0, 5]),
            skew: rng.pick(&[0, 0, 0, 0, 2 * SECOND, 50 * SECOND, 3 * MINUTE]),
            upstream_transactions: rng.pick(&[0, 0, 30]),
            bad_records: rng.pick(&[0, 3]),
            loop_settings: LoopSettings::new(rng, objects),
        }
    }
}

impl Plan {
    /// The partitions of all input topics.
    pub fn sources(&self) -> impl Iterator<Item = Source> + use<> {
        let (topics, partitions) = (self.topics, self.partitions);
        (0..topics).flat_map(move |topic| (0..partitions).map(move |partition| Source { topic, partition }))
    }

    /// One partition of all input topics.
    pub fn sources_of(&self, partition: PartitionId) -> impl Iterator<Item = Source> + use<> {
        (0..self.topics).map(move |topic| Source { topic, partition })
    }
}

impl LoopSettings {
    fn new(rng: &mut Rng, objects: bool) -> Self {
        let interval = rng.pick(&[0, 20, 1_000]);
        Self {
            max_batch: rng.pick(&[1, 2, 3, 5, 40]),
            interval,
            min_interval: rng.pick(&[0, 5, 20]).min(interval),
            write_behind: rng.pick(&[0, 30, 1_000, 20_000]),
            cached_customers: rng.pick(&[0, 2, 1_000]),
            idle_after: rng.pick(&[Some(10 * SECOND), Some(10 * SECOND), Some(0), None]),
            merge_wait: rng.pick(&[100, 5 * SECOND, 60 * SECOND]),
            checkpoint_interval: objects.then(|| rng.pick(&[0, 5 * SECOND, 2 * MINUTE])),
        }
    }
}
