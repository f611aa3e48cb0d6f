//! How does an event look as JSON?

use std::io::Write as _;

use fastrand::Rng;
use tocsin_core::time::DAY;

use super::load::{Event, Kind};
use crate::codec::timestamp;

const CHANNELS: [&str; 5] = ["web", "app", "phone", "email", "shop"];
const CATEGORIES: [&str; 8] = ["garden", "kitchen", "toys", "books", "sports", "music", "clothing", "tools"];
const PURPOSES: [&str; 4] = ["support", "follow_up", "marketing", "advice"];
const FAULTS: [&str; 5] = ["delivery", "quality", "billing", "service", "returns"];
const PRIORITIES: [&str; 3] = ["low", "normal", "high"];
const REGIONS: [&str; 6] = ["north", "south", "east", "west", "centre", "abroad"];
const SEGMENTS: [&str; 3] = ["private", "trade", "public"];
const TIERS: [&str; 4] = ["basic", "silver", "gold", "platinum"];
const STAGES: [&str; 4] = ["lead", "active", "regular", "dormant"];
const NAMES: [&str; 8] =
    ["Li Wei", "Anna Berg", "Tom Hill", "Chen Yu", "Sara Costa", "Omar Said", "Mia Koch", "Wang Fang"];

/// What a customer with this number is called in events and keys.
pub(super) fn customer_id(number: u64) -> String {
    format!("c-{number}")
}

/// Writes events as JSON, one object each.
#[derive(Clone, Copy, Debug)]
pub struct LineWriter {
    seed: u64,
}

impl LineWriter {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Replaces `line` by the event's object, without a line break.
    pub fn write(self, event: &Event, line: &mut Vec<u8>) {
        line.clear();
        // Writing to memory cannot fail, here and below.
        _ = write!(
            line,
            r#"{{"id":"e-{}","type":"{}","customer_id":"c-{}","occurred_at":""#,
            event.number,
            event.kind.of().name(),
            event.customer
        );
        timestamp::write(line, event.at);
        line.push(b'"');
        // By its number, so that a repeat has the same fields.
        let mut random = Rng::with_seed(self.seed.rotate_left(32) ^ event.number);
        fields(event, &mut random, line);
        line.push(b'}');
    }
}

fn fields(event: &Event, random: &mut Rng, line: &mut Vec<u8>) {
    let done = match event.kind {
        Kind::Interaction => {
            let (channel, purpose) = (one_of(&CHANNELS, random), one_of(&PURPOSES, random));
            let (direction, automatic) = if random.bool() { ("inbound", false) } else { ("outbound", random.bool()) };
            let agent = random.u64(1..=400);
            write!(
                line,
                r#","channel":"{channel}","direction":"{direction}","purpose":"{purpose}","automatic":{automatic},"agent_id":"a-{agent}""#
            )
        }
        Kind::Purchase => {
            let cents = spending(event.customer) * random.u64(50..=150) / 100;
            let (channel, category) = (one_of(&CHANNELS, random), one_of(&CATEGORIES, random));
            write!(
                line,
                r#","amount":{}.{:02},"currency":"EUR","order_id":"o-{}","category":"{category}","channel":"{channel}","status":"completed""#,
                cents / 100,
                cents % 100,
                event.number
            )
        }
        Kind::Complaint { ticket, step } => {
            // By the ticket, so that its steps agree.
            let mut random = Rng::with_seed(ticket);
            let (channel, category) = (one_of(&CHANNELS, &mut random), one_of(&FAULTS, &mut random));
            let priority = one_of(&PRIORITIES, &mut random);
            write!(
                line,
                r#","ticket_id":"t-{ticket}","status":"{}","category":"{category}","priority":"{priority}","channel":"{channel}""#,
                step.name()
            )
        }
        Kind::Feedback => {
            let score = random.u64(0..=10);
            let sentiment = score as f64 / 5.0 - 1.0;
            let (channel, topic) = (one_of(&CHANNELS, random), one_of(&CATEGORIES, random));
            write!(
                line,
                r#","kind":"nps","score":{score},"sentiment":{sentiment:.1},"channel":"{channel}","topic":"{topic}""#
            )
        }
        Kind::Profile { first } => profile(event, first, random, line),
        Kind::Score => {
            let value = random.u64(0..=1_000);
            write!(
                line,
                r#","name":"churn_risk","value":{}.{:03},"model":"made-up","model_version":"1""#,
                value / 1_000,
                value % 1_000
            )
        }
    };
    debug_assert!(done.is_ok(), "memory takes everything");
}

/// A first profile says everything; later ones what changes.
fn profile(event: &Event, first: bool, random: &mut Rng, line: &mut Vec<u8>) -> std::io::Result<()> {
    if first {
        let mut random = Rng::with_seed(event.customer);
        let (name, region, segment) =
            (one_of(&NAMES, &mut random), one_of(&REGIONS, &mut random), one_of(&SEGMENTS, &mut random));
        let (owner, day) = (random.u64(1..=400), random.i64(0..365));
        // Of a common year.
        let mut birthday = Vec::new();
        timestamp::write(&mut birthday, day * DAY);
        let birthday = String::from_utf8_lossy(&birthday[5..10]).into_owned();
        write!(
            line,
            r#","name":"{name} {}","owner":"a-{owner}@example.com","region":"{region}","segment":"{segment}","birthday":"{birthday}""#,
            event.customer
        )?;
    }
    let (tier, stage) = (one_of(&TIERS, random), one_of(&STAGES, random));
    let status = if random.u64(..50) == 0 { "closed" } else { "active" };
    write!(line, r#","tier":"{tier}","stage":"{stage}","status":"{status}""#)
}

/// What a customer spends at a time, in hundredths, about: from 5 to 205.
fn spending(customer: u64) -> u64 {
    500 + Rng::with_seed(customer).u64(..20_000)
}

fn one_of(choices: &[&'static str], random: &mut Rng) -> &'static str {
    choices[random.usize(..choices.len())]
}
