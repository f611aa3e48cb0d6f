//! Which event comes next?

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fastrand::Rng;
use tocsin_core::time::{Duration, Millis};

use super::density::{Density, Numbers};
use super::lines::customer_id;
use super::mix::{Dealer, Type};
use super::planted::{BURST_MEAN, Planted, Truth};
use super::settings::Settings;
use super::tickets::{self, Step};
use crate::codec::timestamp;

/// An event; everything else that its line says follows from these and the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// Its place among all events, from 0; a repeat has that of the event it repeats.
    pub number: u64,
    /// The customer's place by density, from 0, the densest first.
    pub rank: u64,
    /// What the customer is called by.
    pub customer: u64,
    pub at: Millis,
    pub kind: Kind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Interaction,
    Purchase,
    Complaint {
        ticket: u64,
        step: Step,
    },
    Feedback,
    Profile {
        /// The customer's first, with all attributes.
        first: bool,
    },
    Score,
}

impl Event {
    /// The customer's id in events and keys.
    #[must_use]
    pub fn customer_id(&self) -> String {
        customer_id(self.customer)
    }
}

impl Kind {
    #[must_use]
    pub fn of(self) -> Type {
        match self {
            Self::Interaction => Type::Interaction,
            Self::Purchase => Type::Purchase,
            Self::Complaint { .. } => Type::Complaint,
            Self::Feedback => Type::Feedback,
            Self::Profile { .. } => Type::Profile,
            Self::Score => Type::Score,
        }
    }
}

/// Something that comes at the first arrival after a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Waiting {
    /// A complaint of a burst.
    Burst {
        rank: u64,
    },
    /// The next step of a ticket.
    Step {
        rank: u64,
        ticket: u64,
        step: Step,
    },
    /// An event whose customer's profile goes ahead of it.
    Behind {
        rank: u64,
        of: Type,
    },
    Repeat(Event),
}

/// The events of a load, in the order of their arrival.
#[derive(Debug)]
pub struct Load {
    settings: Settings,
    random: Rng,
    density: Density,
    numbers: Numbers,
    dealer: Dealer,
    planted: Planted,
    /// By time; the number keeps the order of those that wait for one instant.
    waiting: BinaryHeap<Reverse<(Millis, u64, Waiting)>>,
    waited: u64,
    made: u64,
    tickets: u64,
    /// A bit for each rank.
    seen: Vec<u64>,
    seen_count: u64,
}

impl Load {
    /// # Errors
    /// What cannot be had: see [`Settings::check`].
    pub fn new(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        let mut random = Rng::with_seed(settings.seed);
        let density = Density::new(settings.customers, settings.density);
        let (planted, bursts) = Planted::new(&settings, &density, &mut random);
        let planted_share = settings.complaining as f64 * BURST_MEAN / settings.events as f64;
        let mut load = Self {
            dealer: Dealer::new(&settings.mix, tickets::mean_length(settings.span), planted_share),
            numbers: Numbers::new(settings.customers),
            seen: vec![0; settings.customers.div_ceil(64) as usize],
            seen_count: 0,
            settings,
            random,
            density,
            planted,
            waiting: BinaryHeap::new(),
            waited: 0,
            made: 0,
            tickets: 0,
        };
        for (at, rank) in bursts {
            load.wait(at, Waiting::Burst { rank });
        }
        Ok(load)
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Events so far.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made
    }

    /// Customers so far.
    #[must_use]
    pub fn customers(&self) -> u64 {
        self.seen_count
    }

    /// What was planted, and what has come of it so far.
    #[must_use]
    pub fn truth(&self) -> Vec<Truth> {
        let time = |at| {
            let mut text = Vec::new();
            timestamp::write(&mut text, at);
            String::from_utf8_lossy(&text).into_owned()
        };
        self.planted.truth(|rank| customer_id(self.numbers.of(rank)), time)
    }

    fn wait(&mut self, at: Millis, waiting: Waiting) {
        self.waited += 1;
        self.waiting.push(Reverse((at, self.waited, waiting)));
    }

    /// The instant at which the next event arrives: anywhere in its part of the span.
    fn arrival(&mut self) -> Millis {
        let Settings { start, span, disorder, events, .. } = self.settings;
        let share = (self.made as f64 + self.random.f64()) / events as f64;
        // What arrives first has happened after the start, too.
        start + disorder + (share * (span - disorder) as f64) as Duration
    }

    /// When an event happened that arrives now. Arrivals are in order, so no event is further behind one that came before
    /// it than the disorder.
    fn happened(&mut self, arrival: Millis) -> Millis {
        arrival - self.random.i64(0..=self.settings.disorder)
    }

    /// What was waiting for this arrival, unless its customer has left meanwhile.
    fn waited_for(&mut self, arrival: Millis) -> Option<Event> {
        while let Some(Reverse((at, ..))) = self.waiting.peek()
            && *at <= arrival
            && let Some(Reverse((_, _, waiting))) = self.waiting.pop()
        {
            let at = self.happened(arrival);
            if let Waiting::Burst { rank } = waiting
                && self.lacks_profile(rank)
            {
                self.wait(arrival, waiting);
                return Some(self.event(rank, at, Kind::Profile { first: true }, false));
            }
            let (rank, kind, planted) = match waiting {
                Waiting::Repeat(event) => return Some(event),
                Waiting::Burst { rank } => (rank, self.kind(Type::Complaint), true),
                Waiting::Step { rank, ticket, step } => (rank, Kind::Complaint { ticket, step }, false),
                Waiting::Behind { rank, of } => (rank, self.kind(of), false),
            };
            if !self.planted.has_left(rank, at) {
                return Some(self.event(rank, at, kind, planted));
            }
        }
        None
    }

    fn drawn(&mut self, arrival: Millis) -> Event {
        let at = self.happened(arrival);
        let mut rank = self.density.draw(&mut self.random);
        // At least half of all customers never leave.
        while self.planted.has_left(rank, at) {
            rank = (rank + 1) % self.settings.customers;
        }
        let of = self.dealer.draw(&mut self.random);
        if self.lacks_profile(rank) {
            self.wait(arrival, Waiting::Behind { rank, of });
            return self.event(rank, at, Kind::Profile { first: true }, false);
        }
        let kind = self.kind(of);
        self.event(rank, at, kind, false)
    }

    fn kind(&mut self, of: Type) -> Kind {
        match of {
            Type::Interaction => Kind::Interaction,
            Type::Purchase => Kind::Purchase,
            Type::Complaint => {
                self.tickets += 1;
                Kind::Complaint { ticket: self.tickets, step: Step::Opened }
            }
            Type::Feedback => Kind::Feedback,
            Type::Profile => Kind::Profile { first: false },
            Type::Score => Kind::Score,
        }
    }

    /// The event, noted where it has to be, and with it what follows from it.
    fn event(&mut self, rank: u64, at: Millis, kind: Kind, planted: bool) -> Event {
        let event = Event { number: self.made, rank, customer: self.numbers.of(rank), at, kind };
        self.planted.note(&event, planted);
        let (word, bit) = ((rank / 64) as usize, 1 << (rank % 64));
        self.seen_count += u64::from(self.seen[word] & bit == 0);
        self.seen[word] |= bit;
        if let Kind::Complaint { ticket, step } = kind
            && let Some((step, after)) = step.next(&mut self.random)
        {
            self.wait(at + after, Waiting::Step { rank, ticket, step });
        }
        let repeated = self.settings.duplicates / (1.0 - self.settings.duplicates);
        if repeated > 0.0 && self.random.f64() < repeated {
            let after = self.random.i64(0..=self.settings.disorder);
            self.wait(at + after, Waiting::Repeat(event));
        }
        event
    }

    fn lacks_profile(&self, rank: u64) -> bool {
        self.settings.profiles && self.seen[(rank / 64) as usize] >> (rank % 64) & 1 == 0
    }
}

impl Iterator for Load {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.made == self.settings.events {
            return None;
        }
        let arrival = self.arrival();
        let event = self.waited_for(arrival).unwrap_or_else(|| self.drawn(arrival));
        self.made += 1;
        Some(event)
    }
}
