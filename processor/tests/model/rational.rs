//! A quotient of whole numbers as the nearest double, ties to even: rounded once.

/// `denominator` is above 0.
pub fn quotient(numerator: i128, denominator: i128) -> f64 {
    assert!(denominator > 0);
    if numerator < 0 {
        return -quotient(-numerator, denominator);
    }
    let exact_below = 1_i128 << 53;
    if numerator < exact_below && denominator < exact_below {
        // Both are doubles, and IEEE division rounds once.
        return numerator as f64 / denominator as f64;
    }
    // Long division to 60 bits, one by one: more than a double holds, and whether anything is left decides ties.
    let (mut digits, mut exponent) = (numerator / denominator, 0);
    let mut rest = numerator % denominator;
    assert!(digits < 1 << 60, "such numbers do not occur in cases");
    while digits < 1 << 60 && exponent > -200 {
        rest *= 2;
        digits = digits * 2 + rest / denominator;
        rest %= denominator;
        exponent -= 1;
    }
    if rest > 0 {
        digits |= 1;
    }
    digits as f64 * 2_f64.powi(exponent)
}

#[test]
fn small_ones() {
    assert_eq!([quotient(1, 3), quotient(-5, 2), quotient(0, 7)], [1.0 / 3.0, -2.5, 0.0]);
}

#[test]
fn beyond_what_doubles_hold() {
    // 2^53 + 1 lies between two doubles, and a tenth above decides.
    assert_eq!(quotient((1 << 53) + 1, 1), 9_007_199_254_740_992.0);
    assert_eq!(quotient(((1 << 53) + 1) * 10 + 1, 10), 9_007_199_254_740_994.0);
    assert_eq!(quotient(1 << 60, 3 << 58), 4.0 / 3.0);
}
