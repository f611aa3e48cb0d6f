//! Exact decimals with four fraction digits, and their way to and from doubles.

use std::fmt::Write as _;

use crate::ratio;

/// A decimal number as a count of ten-thousandths: `19.99` is 199,900.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(pub i64);

/// Ten-thousandths in one.
pub const UNITS_PER_ONE: i64 = 10_000;

impl Decimal {
    /// The decimal nearest to the shortest decimal form of `x`, ties to even; `None` if it does not fit 64 bits or
    /// `x` is not finite.
    #[must_use]
    pub fn from_f64(x: f64) -> Option<Self> {
        // Two different decimals of at most 15 significant digits never share a double, so a decimal of four
        // fraction digits and 15 digits in all that maps to `x` is the shortest form of `x`.
        let scaled = (x * UNITS_PER_ONE as f64).round();
        if scaled.abs() < 1e15 && scaled / UNITS_PER_ONE as f64 == x {
            return Some(Self(scaled as i64));
        }
        if !x.is_finite() {
            return None;
        }
        let mut text = String::with_capacity(32);
        write!(text, "{x:e}").ok()?;
        Self::parse(&text)
    }

    /// Reads plain or exponent notation exactly, rounding to four fraction digits, ties to even.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0 {
            return None;
        }
        let mut digits: u128 = 0;
        let mut dropped_nonzero = false;
        let mut scale = i64::from(exponent) + 4 - fraction.len() as i64;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            // Thirty-six digits are more than any value in range needs; of the rest only "is there anything" counts.
            if digits < 10u128.pow(36) {
                digits = digits * 10 + u128::from(byte - b'0');
            } else {
                dropped_nonzero |= byte != b'0';
                scale += 1;
            }
        }
        let units = if digits == 0 {
            0
        } else if scale >= 0 {
            digits.checked_mul(10u128.checked_pow(u32::try_from(scale).ok()?)?)?
        } else {
            round_half_even(digits, scale.unsigned_abs(), dropped_nonzero)
        };
        let units = i128::try_from(units).ok()?;
        i64::try_from(if negative { -units } else { units }).ok().map(Self)
    }

    /// The double nearest to this decimal.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        ratio::nearest_signed(i128::from(self.0), UNITS_PER_ONE as u128)
    }
}

fn round_half_even(digits: u128, shift: u64, dropped_nonzero: bool) -> u128 {
    let Some(divisor) = u32::try_from(shift).ok().and_then(|shift| 10u128.checked_pow(shift)) else {
        return 0;
    };
    let (quotient, remainder) = (digits / divisor, digits % divisor);
    let half = divisor / 2;
    let up = remainder > half || (remainder == half && (dropped_nonzero || quotient % 2 == 1));
    quotient + u128::from(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_half_even_from_the_shortest_form() {
        for (x, units) in [
            (19.99, 199_900),
            (0.1 + 0.2, 3_000), // shortest form 0.30000000000000004
            (0.00005, 0),
            (0.00015, 2),
            (0.00025, 2),
            (-0.00015, -2),
            (1.00005, 10_000),
            (1.00015, 10_002),
            (922_337_203_685_477.5, 9_223_372_036_854_775_000),
            (1e-300, 0),
            (-0.0, 0),
        ] {
            assert_eq!(Decimal::from_f64(x), Some(Decimal(units)), "{x}");
        }
        for x in [f64::NAN, f64::INFINITY, 1e15, -1e300] {
            assert_eq!(Decimal::from_f64(x), None, "{x}");
        }
    }

    #[test]
    fn reads_text_exactly() {
        for (text, units) in [
            ("0.30000000000000004", 3_000),
            ("1e2", 1_000_000),
            ("-.5", -5_000),
            ("922337203685477.5807", i64::MAX),
            ("0.00005000000000000000000000000000000000000001", 1),
        ] {
            assert_eq!(Decimal::parse(text), Some(Decimal(units)), "{text}");
        }
        for text in ["", "-", "1.2.3", "abc", "922337203685477.5808", "1e400", "e5"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn large_decimals_round_once() {
        assert_eq!(Decimal(199_900).to_f64(), 19.99);
        assert_eq!(Decimal(i64::MAX).to_f64(), 922_337_203_685_477.6);
        assert_eq!(Decimal(-(1 << 60)).to_f64(), -115_292_150_460_684.7);
    }
}
