//! Loads that the measurements share: deterministic, so that two runs measure the same work.

use std::fmt::Write as _;

/// Event lines of `customers` customers, `events` in all, a minute apart: two interactions for each purchase, a complaint
/// now and then.
#[must_use]
pub fn lines(events: usize, customers: usize) -> String {
    let mut random = 1_u64;
    let mut out = String::with_capacity(events * 160);
    for number in 0..events {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let customer = (random >> 33) as usize % customers;
        let at = 1_767_225_600_000_i64 + number as i64 * 60_000;
        let rest = match number % 13 {
            0 => r#""type":"complaint","status":"opened","channel":"web""#.to_owned(),
            n if n % 3 == 0 => {
                format!(r#""type":"purchase","amount":{}.{:02},"currency":"EUR""#, random % 200, number % 100)
            }
            _ => r#""type":"interaction","channel":"app","automatic":false"#.to_owned(),
        };
        // Writing to a text cannot fail.
        _ = writeln!(out, r#"{{"id":"e-{number}","customer_id":"c-{customer}","occurred_at":{at},{rest}}}"#);
    }
    out
}

/// Complaints in bursts, customers who fall silent, spending that halves.
pub const RULES: &str = r"
rules:
  - id: complaint-burst
    let: {complaints: {count: complaint, over: 7d}}
    when: complaints >= 3
  - id: silent
    let: {quiet: {silence: [purchase, interaction, complaint]}}
    when: quiet >= days(60)
  - id: spending-halved
    let:
      recent: {sum: purchase.amount, over: 30d}
      before: {sum: purchase.amount, over: 90d, offset: 30d}
      baskets: {count: purchase, over: 90d, offset: 30d}
    require: baskets >= 3
    when: recent < before / 3 / 2
";
