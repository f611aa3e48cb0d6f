//! Events in memory, decoded and packed, so that making them is no part of what is measured.

use tocsin::codec::decode::Decoder;
use tocsin::generate::{LineWriter, Load, Settings};
use tocsin_core::event::{Event, Record};
use tocsin_core::time::{Duration, Millis};

use crate::ready::Ready;

/// 2026-01-01T00:00:00Z.
pub const START: Millis = 1_767_225_600_000;

/// Random enough: a linear congruential generator (Knuth's MMIX). Take the upper bits.
#[derive(Clone, Copy, Debug)]
pub struct Dice(pub u64);

impl Dice {
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0
    }

    pub fn below(&mut self, below: u64) -> u64 {
        (self.next() >> 33) % below
    }
}

/// Events one behind the other, in the order of their arrival.
#[derive(Debug, Default)]
pub struct Events {
    customers: Vec<String>,
    bytes: Vec<u8>,
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    customer: u32,
    at: Millis,
    /// Where its bytes end.
    end: usize,
}

impl Events {
    /// The events of a generated load.
    ///
    /// # Panics
    /// If there can be no such load.
    #[must_use]
    pub fn generated(settings: &Settings, ready: &Ready) -> Self {
        let (mut made, mut names) = (Self::default(), std::collections::HashMap::new());
        let mut decoder = Decoder::new(ready.schemas.clone());
        let (writer, mut line) = (LineWriter::new(settings.seed), Vec::new());
        let load = Load::new(settings.clone()).unwrap_or_else(|problem| unreachable!("{problem}"));
        for event in load {
            writer.write(&event, &mut line);
            let read = decoder.decode(&line).unwrap_or_else(|bad| unreachable!("{}", bad.message));
            let next = made.customers.len() as u32;
            let customer = *names.entry(event.customer).or_insert(next);
            if customer == next {
                made.customers.push(read.customer_id.to_owned());
            }
            made.push(customer, read.occurred_at, read.record);
        }
        made
    }

    /// `events`, each of one of `customers` customers and `gap` after the one before, with the type and fields that `fields`
    /// gives. Their ids are sixteen random digits.
    ///
    /// # Panics
    /// If the shipped schemas have no such event.
    #[must_use]
    pub fn even(ready: &Ready, events: u64, customers: u64, gap: Duration, fields: impl Fn(u64) -> String) -> Self {
        let mut dice = Dice(7);
        let mut made =
            Self { customers: (0..customers).map(|number| format!("c-{number}")).collect(), ..Self::default() };
        let mut decoder = Decoder::new(ready.schemas.clone());
        for number in 0..events {
            let at = START + number as i64 * gap;
            // A bijection, so that no two are alike: the finaliser of SplitMix64 (Steele et al., 2014).
            let mut id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let line = format!(r#"{{"id":"{id:016x}","customer_id":"c","occurred_at":{at},{}}}"#, fields(number));
            let read = decoder.decode(line.as_bytes()).unwrap_or_else(|bad| unreachable!("{}", bad.message));
            // The first are one of each, so that there is nobody without any.
            let customer = if number < customers { number } else { dice.below(customers) };
            made.push(customer as u32, at, read.record);
        }
        made
    }

    fn push(&mut self, customer: u32, at: Millis, record: Record<'_>) {
        self.bytes.extend_from_slice(record.bytes());
        self.places.push(Place { customer, at, end: self.bytes.len() });
    }

    /// The ids of those whose events they are.
    #[must_use]
    pub fn customers(&self) -> &[String] {
        &self.customers
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// From the first to behind the last: what a second round over the same events is later by.
    #[must_use]
    pub fn span(&self) -> Duration {
        let times = || self.places.iter().map(|place| place.at);
        times().max().unwrap_or(START) - times().min().unwrap_or(START) + 1
    }

    /// The events, `later` than they were made.
    pub fn iter(&self, later: Duration) -> impl Iterator<Item = Event<'_>> {
        self.iter_from(0, later)
    }

    /// The same, from one of them on.
    pub fn iter_from(&self, first: usize, later: Duration) -> impl Iterator<Item = Event<'_>> {
        let mut start = first.checked_sub(1).map_or(0, |before| self.places[before].end);
        self.places[first..].iter().filter_map(move |place| {
            let bytes = &self.bytes[start..place.end];
            start = place.end;
            let customer_id = self.customers[place.customer as usize].as_str();
            Some(Event { customer_id, occurred_at: place.at + later, record: Record::scan(bytes)? })
        })
    }
}
