//! A seeded generator of its own (`SplitMix64`, Steele, Lea and Flood 2014), so that a printed seed means the same case for
//! ever, whatever becomes of any library.

#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % ((high - low + 1) as u64)) as i64
    }

    pub fn chance(&mut self, percent: i64) -> bool {
        self.range(1, 100) <= percent
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.range(0, from.len() as i64 - 1) as usize].clone()
    }

    /// By weight.
    pub fn weighted<T: Clone>(&mut self, from: &[(i64, T)]) -> T {
        let mut left = self.range(1, from.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in from {
            left -= weight;
            if left <= 0 {
                return choice.clone();
            }
        }
        unreachable!("the weights add up")
    }

    pub fn maybe<T>(&mut self, percent: i64, make: impl FnOnce(&mut Rng) -> T) -> Option<T> {
        if self.chance(percent) { Some(make(self)) } else { None }
    }
}
