//! A multiset kept in two halves, so that its median, least and greatest are always at hand.
//!
//! Adding and removing cost the logarithm of the number of different values. After the running median of two heaps, with
//! ordered maps in their place, because values leave as well.

use std::collections::BTreeMap;

/// The lower half has as many values as the upper one, or one more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Halves {
    lower: Side,
    upper: Side,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Side {
    /// Value and how often it is there.
    values: BTreeMap<i64, u64>,
    len: u64,
}

impl Side {
    fn add(&mut self, value: i64) {
        *self.values.entry(value).or_default() += 1;
        self.len += 1;
    }

    fn remove(&mut self, value: i64) -> bool {
        let Some(times) = self.values.get_mut(&value) else { return false };
        *times -= 1;
        if *times == 0 {
            self.values.remove(&value);
        }
        self.len -= 1;
        true
    }

    fn least(&self) -> Option<i64> {
        self.values.first_key_value().map(|(value, _)| *value)
    }

    fn greatest(&self) -> Option<i64> {
        self.values.last_key_value().map(|(value, _)| *value)
    }
}

impl Halves {
    pub fn add(&mut self, value: i64) {
        if self.lower.greatest().is_some_and(|middle| value > middle) {
            self.upper.add(value);
        } else {
            self.lower.add(value);
        }
        self.balance();
    }

    /// Takes out one that was added.
    pub fn remove(&mut self, value: i64) {
        let found = self.lower.remove(value) || self.upper.remove(value);
        debug_assert!(found, "only what was added is removed");
        self.balance();
    }

    fn balance(&mut self) {
        if self.lower.len > self.upper.len + 1 {
            if let Some(middle) = self.lower.greatest() {
                self.lower.remove(middle);
                self.upper.add(middle);
            }
        } else if self.lower.len < self.upper.len
            && let Some(middle) = self.upper.least()
        {
            self.upper.remove(middle);
            self.lower.add(middle);
        }
    }

    #[must_use]
    pub fn len(&self) -> u64 {
        self.lower.len + self.upper.len
    }

    #[must_use]
    pub fn least(&self) -> Option<i64> {
        self.lower.least()
    }

    #[must_use]
    pub fn greatest(&self) -> Option<i64> {
        self.upper.greatest().or(self.lower.greatest())
    }

    /// The two values in the middle; twice the same one of an odd number.
    #[must_use]
    pub fn middle(&self) -> Option<(i64, i64)> {
        let below = self.lower.greatest()?;
        let above = if self.lower.len > self.upper.len { below } else { self.upper.least()? };
        Some((below, above))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_sorted_list() {
        let mut halves = Halves::default();
        let mut list: Vec<i64> = Vec::new();
        let mut x: u64 = 7;
        for _ in 0..5_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if list.len() > 40 || (x >> 60 < 6 && !list.is_empty()) {
                let gone = list.remove((x >> 33) as usize % list.len());
                halves.remove(gone);
            } else {
                let value = (x >> 40) as i64 % 30;
                list.insert(list.partition_point(|other| *other < value), value);
                halves.add(value);
            }
            let middle = list.len().checked_sub(1).map(|last| (list[last / 2], list[list.len() / 2]));
            assert_eq!(halves.middle(), middle, "{list:?}");
            assert_eq!((halves.least(), halves.greatest()), (list.first().copied(), list.last().copied()));
        }
    }
}
