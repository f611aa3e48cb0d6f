//! What is kept of the events of one window: enough to take one in, let one go, and tell the value.

use std::collections::BTreeMap;

use ethnum::U256;

use super::gaps::Gaps;
use super::halves::Halves;
use crate::decimal::UNITS_PER_ONE;
use crate::event::FieldValue;
use crate::ratio;
use crate::rule::Aggregate;
use crate::time::Millis;
use crate::value::OwnedValue;

/// A window's events, summed up. Everything in it is exact, so it depends only on which events are in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Tally {
    Count(u64),
    Sums(Sums),
    /// Squares take room and time, and few windows ask for them.
    Moments(Box<Moments>),
    /// Ten-thousandths.
    Ordered(Halves),
    Distinct(BTreeMap<Distinct, u64>),
    Gaps(Gaps),
    /// When they happened, of `first` and `last`; the value is read from the event.
    Times(BTreeMap<Millis, u64>),
}

/// How many, and their sum in ten-thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    events: u64,
    sum: i128,
}

/// With the sum of the squares of ten-thousandths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    sums: Sums,
    squares: U256,
}

/// A value of a field, told from others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Distinct {
    Bool(bool),
    /// Ten-thousandths.
    Number(i64),
    Text(Box<str>),
}

impl Distinct {
    fn of(value: FieldValue<'_>) -> Option<Self> {
        Some(match value {
            FieldValue::Bool(b) => Self::Bool(b),
            FieldValue::Text(text) => Self::Text(text.into()),
            number => Self::Number(number.decimal()?.0),
        })
    }
}

impl Tally {
    #[must_use]
    pub fn new(aggregate: Aggregate) -> Self {
        match aggregate {
            Aggregate::Count => Self::Count(0),
            Aggregate::Sum | Aggregate::Avg => Self::Sums(Sums::default()),
            Aggregate::Stddev => Self::Moments(Box::default()),
            Aggregate::Min | Aggregate::Max | Aggregate::Median => Self::Ordered(Halves::default()),
            Aggregate::Distinct => Self::Distinct(BTreeMap::new()),
            Aggregate::MedianGap => Self::Gaps(Gaps::default()),
            Aggregate::First | Aggregate::Last => Self::Times(BTreeMap::new()),
        }
    }

    /// Bytes that it takes beside itself, about.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        /// Of a sorted map, key and value with their share of a node.
        const ENTRY: usize = 32;
        let entries = match self {
            Self::Count(_) | Self::Sums(_) => 0,
            Self::Moments(_) => return size_of::<Moments>(),
            Self::Ordered(values) => values.len() as usize,
            Self::Distinct(values) => 2 * values.len(),
            // Times, and what is between them.
            Self::Gaps(gaps) => 2 * gaps.len(),
            Self::Times(times) => times.len(),
        };
        entries * ENTRY
    }

    /// Takes in an event of this time, with this value of the field that the window is about.
    pub fn add(&mut self, at: Millis, value: Option<FieldValue<'_>>) {
        match self {
            Self::Count(events) => *events += 1,
            Self::Gaps(gaps) => gaps.add(at),
            Self::Times(times) => *times.entry(at).or_default() += 1,
            Self::Distinct(values) => {
                if let Some(value) = value.and_then(Distinct::of) {
                    *values.entry(value).or_default() += 1;
                }
            }
            Self::Ordered(values) => {
                if let Some(units) = units(value) {
                    values.add(units);
                }
            }
            Self::Sums(sums) => {
                if let Some(units) = units(value) {
                    sums.add(units);
                }
            }
            Self::Moments(moments) => {
                if let Some(units) = units(value) {
                    moments.sums.add(units);
                    moments.squares += square(units);
                }
            }
        }
    }

    /// Lets go of one that was taken in.
    pub fn remove(&mut self, at: Millis, value: Option<FieldValue<'_>>) {
        match self {
            Self::Count(events) => *events -= 1,
            Self::Gaps(gaps) => gaps.remove(at),
            Self::Times(times) => remove_one(times, &at),
            Self::Distinct(values) => {
                if let Some(value) = value.and_then(Distinct::of) {
                    remove_one(values, &value);
                }
            }
            Self::Ordered(values) => {
                if let Some(units) = units(value) {
                    values.remove(units);
                }
            }
            Self::Sums(sums) => {
                if let Some(units) = units(value) {
                    sums.remove(units);
                }
            }
            Self::Moments(moments) => {
                if let Some(units) = units(value) {
                    moments.sums.remove(units);
                    moments.squares -= square(units);
                }
            }
        }
    }

    /// The value that conditions see; null where there is none. `read` tells the value of the first (`true`) or last of the
    /// events at an instant.
    #[must_use]
    pub fn value(&self, aggregate: Aggregate, read: impl FnOnce(Millis, bool) -> OwnedValue) -> OwnedValue {
        const ONE: i64 = UNITS_PER_ONE;
        let number = match (self, aggregate) {
            (Self::Count(events), _) => Some(*events as f64),
            (Self::Distinct(values), _) => Some(values.len() as f64),
            (Self::Sums(sums), Aggregate::Avg) => sums.mean(),
            (Self::Sums(sums), _) => Some(quotient(sums.sum, ONE)),
            (Self::Moments(moments), _) => moments.deviation(),
            (Self::Ordered(values), Aggregate::Min) => values.least().map(|least| quotient(least.into(), ONE)),
            (Self::Ordered(values), Aggregate::Max) => values.greatest().map(|greatest| quotient(greatest.into(), ONE)),
            (Self::Ordered(values), _) => {
                values.middle().map(|(below, above)| quotient(i128::from(below) + i128::from(above), 2 * ONE))
            }
            (Self::Gaps(gaps), _) => return gaps.median().map_or(OwnedValue::Null, OwnedValue::Duration),
            (Self::Times(times), Aggregate::First) => {
                return times.first_key_value().map_or(OwnedValue::Null, |(at, _)| read(*at, true));
            }
            (Self::Times(times), _) => {
                return times.last_key_value().map_or(OwnedValue::Null, |(at, _)| read(*at, false));
            }
        };
        number.map_or(OwnedValue::Null, OwnedValue::Number)
    }
}

impl Sums {
    fn add(&mut self, units: i64) {
        self.events += 1;
        self.sum += i128::from(units);
    }

    fn remove(&mut self, units: i64) {
        self.events -= 1;
        self.sum -= i128::from(units);
    }

    fn mean(&self) -> Option<f64> {
        let events = u128::from(self.events);
        (events > 0).then(|| ratio::nearest_signed(self.sum, events * UNITS_PER_ONE as u128))
    }
}

impl Moments {
    /// Of a sample: the root of `(n * squares - sum^2) / (n * (n - 1))`, that quotient rounded once.
    fn deviation(&self) -> Option<f64> {
        let Sums { events, sum } = self.sums;
        if events < 2 {
            return None;
        }
        let (n, sum) = (U256::new(events.into()), U256::new(sum.unsigned_abs()));
        let one = U256::new(UNITS_PER_ONE as u128);
        Some(ratio::nearest(n * self.squares - sum * sum, n * (n - U256::ONE) * one * one).sqrt())
    }
}

fn units(value: Option<FieldValue<'_>>) -> Option<i64> {
    value.and_then(FieldValue::decimal).map(|decimal| decimal.0)
}

fn square(units: i64) -> U256 {
    let magnitude = u128::from(units.unsigned_abs());
    U256::new(magnitude * magnitude)
}

fn quotient(numerator: i128, denominator: i64) -> f64 {
    ratio::nearest_signed(numerator, denominator as u128)
}

fn remove_one<K: Ord>(counts: &mut BTreeMap<K, u64>, key: &K) {
    let Some(count) = counts.get_mut(key) else { return };
    *count -= 1;
    if *count == 0 {
        counts.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::Decimal;

    #[track_caller]
    fn check(aggregate: Aggregate, units: &[i64], expected: Option<f64>) {
        let mut tally = Tally::new(aggregate);
        // What has been and gone leaves no trace.
        for units in units.iter().chain(&[i64::MAX, 7, i64::MIN + 1]) {
            tally.add(0, Some(FieldValue::Decimal(Decimal(*units))));
        }
        for gone in [7, i64::MAX, i64::MIN + 1] {
            tally.remove(0, Some(FieldValue::Decimal(Decimal(gone))));
        }
        let value = tally.value(aggregate, |_, _| OwnedValue::Null);
        assert_eq!(value, expected.map_or(OwnedValue::Null, OwnedValue::Number), "{aggregate:?}");
    }

    #[test]
    fn values_are_exact_and_rounded_once() {
        let amounts = [10_000, 20_000, 40_000];
        check(Aggregate::Sum, &[], Some(0.0));
        check(Aggregate::Sum, &amounts, Some(7.0));
        check(Aggregate::Sum, &[1_000, 2_000], Some(0.3));
        check(Aggregate::Avg, &[], None);
        check(Aggregate::Avg, &amounts, Some(7.0 / 3.0));
        check(Aggregate::Min, &amounts, Some(1.0));
        check(Aggregate::Max, &amounts, Some(4.0));
        check(Aggregate::Max, &[], None);
        check(Aggregate::Median, &amounts, Some(2.0));
        check(Aggregate::Median, &amounts[1..], Some(3.0));
        check(Aggregate::Median, &[-10_000, 0], Some(-0.5));
        check(Aggregate::Distinct, &[5, 5, 6], Some(2.0));
        check(Aggregate::Stddev, &amounts[..1], None);
        check(
            Aggregate::Stddev,
            &[20_000, 40_000, 40_000, 40_000, 50_000, 50_000, 70_000, 90_000],
            Some((32.0f64 / 7.0).sqrt()),
        );
        check(Aggregate::Stddev, &[i64::MAX, i64::MAX], Some(0.0));
        check(Aggregate::Stddev, &[1, 1, 1], Some(0.0));
    }
}
