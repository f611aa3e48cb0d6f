//! Exact quotients, rounded to a double once: half to even, as the hardware divides.

use ethnum::U256;

/// Up to here every whole number is a double.
const EXACT: u128 = 1 << 53;

/// The double nearest to `numerator / denominator`. The denominator is not 0, and both are below 2^188.
#[must_use]
pub fn nearest(numerator: U256, denominator: U256) -> f64 {
    if numerator <= U256::new(EXACT) && denominator <= U256::new(EXACT) {
        // Both are exact, so the division rounds once.
        return numerator.as_u128() as f64 / denominator.as_u128() as f64;
    }
    let bits = |x: U256| 256 - x.leading_zeros();
    // So long that the quotient has at least 66 bits: a double's 53, and what decides the rounding.
    let shift = (66 + bits(denominator)).saturating_sub(bits(numerator));
    let numerator = numerator << shift;
    let (quotient, remainder) = (numerator / denominator, numerator % denominator);
    // What was cut off is never exactly half of the last place once this bit is set.
    let quotient = if remainder == U256::ZERO { quotient } else { quotient | U256::ONE };
    // The quotient has more than 54 bits, so one that is cut to 120 and marked the same way rounds alike.
    let excess = bits(quotient).saturating_sub(120);
    let cut = quotient >> excess;
    let cut = if cut << excess == quotient { cut } else { cut | U256::ONE };
    cut.as_u128() as f64 * 2f64.powi(excess as i32) / 2f64.powi(shift as i32)
}

/// As [`nearest`], of a numerator with a sign.
#[must_use]
pub fn nearest_signed(numerator: i128, denominator: u128) -> f64 {
    let magnitude = numerator.unsigned_abs();
    if magnitude <= EXACT && denominator <= EXACT {
        return numerator as f64 / denominator as f64;
    }
    let magnitude = nearest(U256::new(magnitude), U256::new(denominator));
    if numerator < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(numerator: u128, denominator: u128, expected: f64) {
        assert_eq!(nearest(U256::new(numerator), U256::new(denominator)), expected);
    }

    #[test]
    fn rounds_once() {
        check(0, 7, 0.0);
        check(1, 3, 1.0 / 3.0);
        check(199_900, 10_000, 19.99);
        // 2^53 + 1 lies half way between two doubles; a little more does not.
        check((1 << 53) + 1, 1, 9_007_199_254_740_992.0);
        check(((1 << 53) + 1) * 1_000 + 1, 1_000, 9_007_199_254_740_994.0);
        // So little more that of the quotient nothing shows it.
        check(((1 << 53) + 1) * 1_000_000 + 1, 1_000_000, 9_007_199_254_740_994.0);
        check(u128::MAX, u128::MAX, 1.0);
        check(u128::MAX / 3, u128::MAX, 1.0 / 3.0);
        assert_eq!(nearest(U256::new(u128::MAX) << 56, U256::ONE), 2f64.powi(184));
        assert_eq!(nearest_signed(-1, 3), -1.0 / 3.0);
    }

    #[test]
    fn agrees_with_decimal_text() {
        let mut x: u128 = 88_172_645_463_325_252;
        for _ in 0..2_000 {
            x = x.wrapping_mul(0x2545_f491_4f6c_dd1d_8a5c_d789_635d_2dff).wrapping_add(0x1405_7b7e_f767_814f);
            let units = x >> (x % 90);
            let text = format!("{}.{:04}", units / 10_000, units % 10_000);
            check(units, 10_000, text.parse().unwrap());
        }
    }
}
