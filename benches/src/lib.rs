//! What the measurements share: loads, which are deterministic, so that two runs measure the same work; rules made ready;
//! meters.

pub mod made;
pub mod meter;
pub mod ready;

use std::fmt::Write as _;

/// That of the program `tocsin`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Event lines of `customers` customers, `events` in all, a minute apart: two interactions for each purchase, a complaint
/// now and then.
#[must_use]
pub fn lines(events: usize, customers: usize) -> String {
    let mut dice = made::Dice(1);
    let mut out = String::with_capacity(events * 160);
    for number in 0..events {
        let random = dice.next();
        let customer = (random >> 33) as usize % customers;
        let at = made::START + number as i64 * 60_000;
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

/// The three rules that peers have as well.
pub const PEERS: &str = include_str!("../peers/rules.yaml");

/// A pack that is shipped, by its file's name.
pub const PACKS: [(&str, &str); 5] = [
    ("starter", include_str!("../../rules/starter.yaml")),
    ("complaints", include_str!("../../rules/complaints.yaml")),
    ("contact", include_str!("../../rules/contact.yaml")),
    ("lifecycle", include_str!("../../rules/lifecycle.yaml")),
    ("purchases", include_str!("../../rules/purchases.yaml")),
];
