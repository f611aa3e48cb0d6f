//! Whose is an event?

use fastrand::Rng;

/// Draws customers, by rank from 0, the densest first.
///
/// Ranks are drawn from the continuous distribution with the density r^-x between 1 and customers + 1, cut to whole
/// numbers, by inverting its distribution function.
#[derive(Clone, Debug)]
pub(super) struct Density {
    customers: u64,
    /// 1 - x; 0 is the logarithm.
    power: f64,
    /// The integral over all ranks.
    whole: f64,
}

impl Density {
    pub fn new(customers: u64, exponent: f64) -> Self {
        // The two forms meet at 1, where the general one divides by zero.
        let power = if (exponent - 1.0).abs() < 1e-9 { 0.0 } else { 1.0 - exponent };
        let mut density = Self { customers, power, whole: 1.0 };
        density.whole = density.integral(customers as f64);
        density
    }

    /// The integral over the first so many ranks.
    fn integral(&self, ranks: f64) -> f64 {
        if self.power == 0.0 { (ranks + 1.0).ln() } else { ((ranks + 1.0).powf(self.power) - 1.0) / self.power }
    }

    pub fn draw(&self, random: &mut Rng) -> u64 {
        let reached = random.f64() * self.whole;
        let at = if self.power == 0.0 { reached.exp() } else { (reached * self.power + 1.0).powf(1.0 / self.power) };
        // Rounding may reach the end itself.
        ((at - 1.0).max(0.0) as u64).min(self.customers - 1)
    }

    /// The share of all events that is this rank's.
    fn share(&self, rank: u64) -> f64 {
        (self.integral(rank as f64 + 1.0) - self.integral(rank as f64)) / self.whole
    }

    /// How many ranks, from the first, have at least this share each.
    pub fn ranks_with(&self, share: f64) -> u64 {
        let (mut low, mut high) = (0, self.customers);
        while low < high {
            let middle = low.midpoint(high);
            if self.share(middle) >= share { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// Numbers for ranks: the dense customers are not neighbours in the order of ids, as they would not be in life.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    customers: u64,
    step: u64,
}

impl Numbers {
    pub fn new(customers: u64) -> Self {
        // Near the golden ratio neighbours lie far apart; without a common divisor no number comes twice.
        let mut step = (customers as f64 * 0.618_033_988_75) as u64 | 1;
        while gcd(step, customers) != 1 {
            step += 1;
        }
        Self { customers, step }
    }

    pub fn of(&self, rank: u64) -> u64 {
        (u128::from(rank) * u128::from(self.step) % u128::from(self.customers)) as u64
    }
}

fn gcd(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { gcd(other, one % other) }
}
