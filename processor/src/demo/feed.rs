//! What the demonstration feeds: real purchases and interactions, and complaints made up from a fixed seed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use tocsin_core::time::{DAY, HOUR, Millis};

use crate::codec::decode::Decoder;
use crate::codec::timestamp;

/// An event as it will be produced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEvent {
    pub at: Millis,
    pub customer_id: String,
    pub line: String,
}

/// Reads events, one JSON object a line, plain or compressed with zstd, and sorts them by time.
///
/// # Errors
/// A sentence that names the line.
pub fn read(bytes: &[u8], decoder: &mut Decoder) -> Result<Vec<FeedEvent>, String> {
    let is_zstd = bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let reader: Box<dyn Read> = if is_zstd {
        Box::new(zstd::Decoder::new(bytes).map_err(|error| format!("the events cannot be unpacked: {error}"))?)
    } else {
        Box::new(bytes)
    };
    let mut events = Vec::new();
    for (number, line) in BufReader::new(reader).lines().enumerate() {
        let line = line.map_err(|error| format!("line {}: {error}", number + 1))?;
        let event =
            decoder.decode(line.as_bytes()).map_err(|error| format!("line {}: {}", number + 1, error.message))?;
        let (at, customer_id) = (event.occurred_at, event.customer_id.to_owned());
        events.push(FeedEvent { at, customer_id, line });
    }
    events.sort_by_key(|event| event.at);
    Ok(events)
}

/// Seed of the made-up complaints.
const SEED: u64 = 2_017;

/// Complaints for some of the customers, a few of them in bursts, sorted by time. Their ids begin with `synthetic-`.
#[must_use]
pub fn complaints(events: &[FeedEvent]) -> Vec<FeedEvent> {
    let mut spans: BTreeMap<&str, (Millis, Millis)> = BTreeMap::new();
    for event in events {
        let span = spans.entry(&event.customer_id).or_insert((event.at, event.at));
        span.1 = event.at;
    }
    let mut random = Random(SEED);
    let mut made = Vec::new();
    for (customer_id, (first, last)) in spans {
        if last - first < 21 * DAY || random.below(12) != 0 {
            continue;
        }
        let begins = first + random.below((last - first - 14 * DAY) as u64) as Millis;
        let gap = if random.below(2) == 0 { DAY } else { 5 * DAY };
        for nth in 0..=random.below(4) as Millis {
            let at = begins + nth * gap + random.below(8 * HOUR as u64) as Millis;
            let number = made.len();
            let line = format!(
                r#"{{"id":"synthetic-{number:04}","type":"complaint","customer_id":"{customer_id}","occurred_at":"{}","ticket_id":"synthetic-{number:04}","status":"opened","channel":"demonstration"}}"#,
                text(at)
            );
            made.push(FeedEvent { at, customer_id: customer_id.to_owned(), line });
        }
    }
    made.sort_by_key(|event| event.at);
    made
}

fn text(at: Millis) -> String {
    let mut out = Vec::new();
    timestamp::write(&mut out, at);
    String::from_utf8_lossy(&out).into_owned()
}

/// A linear congruential generator; the same complaints on every machine. Source: Knuth, MMIX.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}
