//! The times between neighbouring events, while events come and go anywhere among them.

use std::collections::BTreeMap;

use super::halves::Halves;
use crate::time::Millis;

/// Times of events, and the gaps between neighbours. Events of one instant have gaps of 0 between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gaps {
    times: BTreeMap<Millis, u64>,
    gaps: Halves,
}

impl Gaps {
    /// How many instants are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    pub fn add(&mut self, at: Millis) {
        let times = self.times.entry(at).or_default();
        *times += 1;
        if *times > 1 {
            self.gaps.add(0);
            return;
        }
        let (before, after) = self.neighbours(at);
        if let (Some(before), Some(after)) = (before, after) {
            self.gaps.remove(after - before);
        }
        if let Some(before) = before {
            self.gaps.add(at - before);
        }
        if let Some(after) = after {
            self.gaps.add(after - at);
        }
    }

    /// Takes out one that was added.
    pub fn remove(&mut self, at: Millis) {
        let Some(times) = self.times.get_mut(&at) else { return };
        *times -= 1;
        if *times > 0 {
            self.gaps.remove(0);
            return;
        }
        self.times.remove(&at);
        let (before, after) = self.neighbours(at);
        if let Some(before) = before {
            self.gaps.remove(at - before);
        }
        if let Some(after) = after {
            self.gaps.remove(after - at);
        }
        if let (Some(before), Some(after)) = (before, after) {
            self.gaps.add(after - before);
        }
    }

    fn neighbours(&self, at: Millis) -> (Option<Millis>, Option<Millis>) {
        let before = self.times.range(..at).next_back().map(|(time, _)| *time);
        let after = self.times.range(at + 1..).next().map(|(time, _)| *time);
        (before, after)
    }

    /// The median in milliseconds; `None` below two gaps.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        let (below, above) = self.gaps.middle().filter(|_| self.gaps.len() >= 2)?;
        Some((below + above) as f64 / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(gaps: &Gaps, times: &[Millis]) {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let mut between: Vec<i64> = sorted.windows(2).map(|pair| pair[1] - pair[0]).collect();
        between.sort_unstable();
        let n = between.len();
        let median = (n >= 2).then(|| (between[(n - 1) / 2] + between[n / 2]) as f64 / 2.0);
        assert_eq!(gaps.median(), median, "{sorted:?}");
    }

    #[test]
    fn agrees_with_sorting() {
        let mut gaps = Gaps::default();
        let mut times: Vec<Millis> = Vec::new();
        let mut x: u64 = 3;
        for _ in 0..3_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if times.len() > 20 || (x >> 60 < 7 && !times.is_empty()) {
                gaps.remove(times.swap_remove((x >> 33) as usize % times.len()));
            } else {
                let at = (x >> 40) as i64 % 50;
                times.push(at);
                gaps.add(at);
            }
            check(&gaps, &times);
        }
    }
}
