//! The transactional producer: its making, its end, and the transactions in between.
//!
//! A producer is good until the first doubt. Then it is dropped, and its successor's `init_transactions` ends, on the
//! broker, whatever it had left open.

use std::time::{Duration, Instant};

use super::clock::{self, Skew};
use super::errors::{self, Remedy, remedy};
use super::settings::KafkaSettings;
use crate::task::world::{Offset, PartitionId, Transaction, WorldError};

mod attempt;
mod clerk;
mod client;
mod producer;
mod reports;

use attempt::{Appended, Attempt, Failure};
pub(super) use client::Librdkafka;
pub use producer::{Addressed, Maker, Member, Producer, Trouble};
pub use reports::{Delivered, Mark, Reports, Undelivered};

/// How long a transaction is tried again because the group moves on under it.
const GENERATION_PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries, unless our own client hears of the new generation before.
const GENERATION_PAUSE: Duration = Duration::from_millis(100);
/// Until the broker is asked for its clock again that was found to differ from ours.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// Log lines served at a time while nothing is published.
const LINES_AT_ONCE: usize = 256;
/// How long `init_transactions` is tried.
const FENCE_PATIENCE: Duration = Duration::from_secs(30);

/// The producer of one transactional id, made anew whenever it must be.
pub struct Publisher<M: Maker> {
    settings: KafkaSettings,
    maker: M,
    producer: Option<M::Producer>,
    skew: Option<Skew>,
    /// When the broker was last asked for its clock alone.
    looked: Option<Instant>,
}

impl<M: Maker> Publisher<M> {
    pub fn new(settings: &KafkaSettings, maker: M) -> Self {
        Self { settings: settings.clone(), maker, producer: None, skew: None, looked: None }
    }

    /// Our clock minus the broker's, as of the last transaction.
    #[must_use]
    pub fn skew(&self) -> Option<Skew> {
        self.skew
    }

    /// Ends what earlier producers of this id left open. Does nothing as long as the last producer is in good standing:
    /// then it was itself who did that, and none of its own transactions is open.
    ///
    /// # Errors
    /// As [`crate::task::world::World::fence`] has them.
    pub fn fence(&mut self, keep_alive: &mut dyn FnMut() -> Result<(), WorldError>) -> Result<(), WorldError> {
        if self.producer.is_some() {
            return Ok(());
        }
        let producer = self.maker.make(&self.settings)?;
        let started = producer.now().steady;
        let init = |patience| producer.init_transactions(patience);
        init_transactions(init, || producer.now().steady, &self.settings, keep_alive)?;
        let took_ms = producer.now().steady.duration_since(started).as_millis() as u64;
        tracing::info!(transactional_id = self.settings.transactional_id, took_ms, "producer ready");
        self.producer = Some(producer);
        Ok(())
    }

    /// Serves what librdkafka has to tell while nothing is published, so that it does not pile up.
    pub fn tidy(&self) {
        let Some(producer) = &self.producer else { return };
        for _ in 0..LINES_AT_ONCE {
            if producer.in_flight() == 0 {
                break;
            }
            producer.poll(Duration::ZERO);
        }
    }

    /// Publishes a transaction, and returns the offsets of its journal records.
    ///
    /// # Errors
    /// As [`crate::task::world::World::publish`] has them.
    pub fn publish<G>(&mut self, group: &mut G, transaction: &Transaction) -> Result<Vec<Offset>, WorldError>
    where
        G: Member<<M::Producer as Producer>::Membership>,
    {
        if transaction.offsets.is_empty() {
            return Err(WorldError::Fatal(
                "a transaction without offsets would not be fenced: this is a mistake in tocsin, please report it"
                    .to_owned(),
            ));
        }
        let Some(producer) = self.producer.take() else {
            return Err(WorldError::Unsettled("there is no producer in good standing".to_owned()));
        };
        // Unless it is put back, the producer ends here.
        let outcome = self.try_generations(&producer, group, transaction);
        let (is_sound, outcome) = match outcome {
            Ok(offsets) => (true, Ok(offsets)),
            Err(Ended::Sound(message)) => (true, Err(WorldError::Unsettled(message))),
            Err(Ended::Broken(error)) => (false, Err(error)),
        };
        self.producer = is_sound.then_some(producer);
        outcome
    }

    /// Whether our clock may be gone by. The broker is asked, by a record in this partition of the journal that no reader will
    /// see, where nothing was published yet, and where our clock seems to be off: it may have been set since.
    ///
    /// # Errors
    /// [`WorldError::ClockOff`] if not; [`WorldError::Fenced`] and [`WorldError::Fatal`] as [`Self::publish`] has them;
    /// [`WorldError::Transient`] if there is no answer.
    pub fn check_clock(&mut self, partition: PartitionId) -> Result<(), WorldError> {
        let Some(now) = self.producer.as_ref().map(Producer::now) else {
            return Err(WorldError::Transient("there is no producer in good standing".to_owned()));
        };
        let is_off = |skew: Option<Skew>, now| skew.is_some_and(|skew| clock::objection(skew.at(&now)).is_some());
        let may_look = match (self.skew, self.looked) {
            (_, None) => true,
            // Asked, and the topic's records are not stamped by the broker.
            (None, Some(_)) => false,
            (Some(_), Some(looked)) => now.steady.saturating_duration_since(looked) >= LOOK_AGAIN,
        };
        if may_look && (self.skew.is_none() || is_off(self.skew, now)) {
            self.looked = Some(now.steady);
            self.probe(partition)?;
        }
        let Some(now) = self.producer.as_ref().map(Producer::now) else { return Ok(()) };
        if is_off(self.skew, now) { Err(WorldError::ClockOff) } else { Ok(()) }
    }

    /// Asks the broker for its clock, and whether the transactional id is still this producer's.
    ///
    /// # Errors
    /// As [`Self::check_clock`], but for the clock.
    pub fn probe(&mut self, partition: PartitionId) -> Result<(), WorldError> {
        let Some(producer) = self.producer.take() else {
            return Err(WorldError::Transient("there is no producer in good standing".to_owned()));
        };
        match Attempt::new(&producer, &self.settings).probe(partition) {
            Ok(appended) => {
                self.settle(&appended);
                self.producer = Some(producer);
                Ok(())
            }
            // The producer ends here; whoever publishes next finds none, and restores.
            Err(
                Failure::Broken(WorldError::Unsettled(message)) | Failure::Moved(message) | Failure::Replaced(message),
            ) => Err(WorldError::Transient(message)),
            Err(Failure::Broken(error)) => Err(error),
        }
    }

    /// In a rebalance the broker refuses the generation of before, and the new one until it is complete. Our partitions
    /// are ours meanwhile: none goes before it is given back, and the metadata is checked anew each time.
    fn try_generations<G>(
        &mut self,
        producer: &M::Producer,
        group: &mut G,
        transaction: &Transaction,
    ) -> Result<Vec<Offset>, Ended>
    where
        G: Member<<M::Producer as Producer>::Membership>,
    {
        let started = producer.now().steady;
        loop {
            let partitions = transaction.offsets.iter().map(|(source, _)| source.partition);
            let (metadata, generation) = group.standing(partitions).map_err(Ended::Sound)?;
            let attempt = Attempt::new(producer, &self.settings);
            match attempt.publish(transaction, &metadata) {
                Ok(committed) => return Ok(self.settle(&committed)),
                Err(Failure::Broken(error)) => return Err(Ended::Broken(error)),
                Err(Failure::Moved(message)) => {
                    // By its own age: the broker fences what it has timed out as if another producer had ended it.
                    attempt.abort().map_err(Ended::Broken)?;
                    if producer.now().steady.duration_since(started) > GENERATION_PATIENCE {
                        return Err(Ended::Sound(message));
                    }
                    tracing::info!(generation, "the group moved on: the transaction is published again as its member");
                    group.await_generation(generation, GENERATION_PAUSE);
                }
                Err(Failure::Replaced(message)) => {
                    // Not the end: nobody may be there, and the id is still ours. A successor that lives has it fenced.
                    group.replaced(&message);
                    attempt.abort().map_err(Ended::Broken)?;
                    return Err(Ended::Sound(message));
                }
            }
        }
    }

    fn settle(&mut self, appended: &Appended) -> Vec<Offset> {
        let stamped = appended.journal.iter().find_map(|record| Some((record.appended?, record.reported)));
        if let Some((stamped, reported)) = stamped {
            let ms = clock::skew(appended.journal_sent, stamped, reported);
            self.skew = Some(Skew { ms, found: appended.found });
        }
        appended.journal.iter().map(|record| record.offset).collect()
    }
}

/// Takes the producer's transactional id: whatever another one has open is ended.
///
/// # Errors
/// As [`Publisher::fence`].
pub(super) fn init_transactions(
    init: impl Fn(Duration) -> Result<(), Trouble>,
    now: impl Fn() -> Instant,
    settings: &KafkaSettings,
    keep_alive: &mut dyn FnMut() -> Result<(), WorldError>,
) -> Result<(), WorldError> {
    let started = now();
    loop {
        match init(settings.request_timeout) {
            Ok(()) => return Ok(()),
            Err(trouble) if may_retry(&trouble) && now().duration_since(started) < FENCE_PATIENCE => {
                tracing::info!(%trouble, "waiting for the transaction coordinator");
            }
            Err(trouble) => {
                let what = format!("the transactional id `{}` was not taken", settings.transactional_id);
                return Err(match trouble.code {
                    Some(code) if !errors::is_missing(code) => errors::of_code(what, code, &trouble.text),
                    _ => WorldError::Transient(format!("{what}: {trouble}")),
                });
            }
        }
        keep_alive()?;
    }
}

/// How an attempt ended that published nothing for sure.
enum Ended {
    /// Nothing was published, and the producer can go on.
    Sound(String),
    Broken(WorldError),
}

fn may_retry(trouble: &Trouble) -> bool {
    let passes = |code| remedy(code) == Remedy::Repeat && errors::is_transport(code);
    trouble.is_retriable || trouble.code.is_some_and(passes)
}

impl<M: Maker> std::fmt::Debug for Publisher<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("settings", &self.settings).field("skew", &self.skew).finish_non_exhaustive()
    }
}
