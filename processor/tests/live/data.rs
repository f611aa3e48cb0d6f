//! Events made up, the same ones every time; and alerts to be compared.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tocsin::codec::timestamp;
use tocsin::partitioner::Partitioner;

use crate::upstream::Written;

const START: i64 = 1_700_000_000_000;
const MINUTE: i64 = 60_000;
pub const DAY: i64 = 1_440 * MINUTE;

/// An event and what Kafka needs to know of it.
#[derive(Clone, Debug)]
pub struct Event {
    pub customer: String,
    pub at: i64,
    pub json: String,
}

impl Event {
    pub fn new(kind: &str, id: &str, customer: &str, at: i64, fields: &Value) -> Self {
        let mut event = json!({"id": id, "type": kind, "customer_id": customer, "occurred_at": at});
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Self { customer: customer.to_owned(), at, json: event.to_string() }
    }

    /// The record, with the event's time for a timestamp.
    pub fn record(&self) -> Written {
        Written::new(&self.customer, self.json.as_bytes(), self.at)
    }
}

/// One event a line.
pub fn lines(events: &[Event]) -> String {
    events.iter().map(|event| event.json.clone() + "\n").collect()
}

/// A source of numbers that look random (Steele and others, `SplitMix64`).
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as i64
    }
}

/// Customers of a shop over 300 days: some leave, some complain, some events come late or twice.
pub fn shop(count: usize) -> Vec<Event> {
    let mut dice = Dice(7);
    let mut events: Vec<Event> = Vec::with_capacity(count);
    let step = 300 * DAY / count as i64;
    while events.len() < count {
        let number = events.len();
        if number > 100 && dice.below(50) == 0 {
            let twin = events[number - 1 - dice.below(100) as usize].clone();
            events.push(twin);
            continue;
        }
        let now = START + number as i64 * step;
        let delay = if dice.below(10) == 0 { dice.below(180 * MINUTE) } else { dice.below(MINUTE / 2) };
        let who = dice.below(60);
        // A fifth of them stays away in the second third of the time.
        let stays_away = who % 5 == 0 && (count / 3..2 * count / 3).contains(&number);
        let who = if stays_away { who + 1 } else { who };
        events.push(shop_event(&mut dice, number, who, now - delay));
    }
    events
}

fn shop_event(dice: &mut Dice, number: usize, who: i64, at: i64) -> Event {
    let (id, customer) = (format!("e-{number}"), format!("customer-{who}"));
    // Trouble comes in weeks.
    let is_trouble = (at / DAY / 7 + who) % 6 == 0;
    let (kind, fields) = match dice.below(20) {
        0 => ("profile", json!({"name": format!("Ünal {who}"), "owner": "owner-1", "status": "active"})),
        1..=2 => ("interaction", json!({"channel": "phone", "direction": "inbound", "automatic": dice.below(2) == 0})),
        3..=5 => ("complaint", json!({"ticket_id": format!("t-{number}"), "status": "opened"})),
        6..=12 if is_trouble => ("complaint", json!({"ticket_id": format!("t-{number}"), "status": "opened"})),
        _ => {
            let amount = dice.below(20_000) as f64 / 100.0 / if is_trouble { 10.0 } else { 1.0 };
            ("purchase", json!({"amount": (amount * 100.0).round() / 100.0, "currency": "EUR", "status": "completed"}))
        }
    };
    Event::new(kind, &id, &customer, at, &fields)
}

/// Purchases of 3,000 customers within 30 days, in nearly the order in which they were made.
pub fn backlog(count: usize) -> Vec<Event> {
    let mut dice = Dice(11);
    let step = 30 * DAY / count as i64;
    let purchase = |number: usize| {
        let at = START + number as i64 * step - dice.below(MINUTE);
        Event::new("purchase", &number.to_string(), &format!("c{}", dice.below(3_000)), at, &json!({"amount": 1}))
    };
    (0..count).map(purchase).collect()
}

/// An alert record without the one field that may differ between two runs.
pub fn undated(alert: &str) -> String {
    let (before, rest) = alert.split_once(",\"detected_at\":\"").expect("detected_at");
    let (_, after) = rest.split_once('"').expect("the end of detected_at");
    format!("{before}{after}")
}

/// Expected alerts by the partition of their customer, in order.
pub fn expected(alerts: &[String]) -> BTreeMap<i64, Vec<String>> {
    let mut by_partition: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for alert in alerts {
        let parsed: Value = serde_json::from_str(alert).unwrap();
        let customer = parsed["customer_id"].as_str().unwrap();
        let partition = Partitioner::Murmur2.partition(customer.as_bytes(), 3);
        by_partition.entry(partition.into()).or_default().push(undated(alert));
    }
    by_partition
}

/// Published alerts by partition, in order.
pub fn published(records: &[Value]) -> BTreeMap<i64, Vec<String>> {
    let mut by_partition: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for record in records {
        let alert = undated(record["value"].as_str().expect("an alert is text"));
        by_partition.entry(record["partition"].as_i64().unwrap()).or_default().push(alert);
    }
    by_partition
}

/// The same alerts in the same order, partition for partition.
pub fn check(published: &BTreeMap<i64, Vec<String>>, expected: &BTreeMap<i64, Vec<String>>) {
    for partition in 0..3 {
        let none = Vec::new();
        let (found, wanted) = (published.get(&partition).unwrap_or(&none), expected.get(&partition).unwrap_or(&none));
        let same = found.iter().zip(wanted).take_while(|(found, wanted)| found == wanted).count();
        assert!(
            same == found.len() && same == wanted.len(),
            "partition {partition}: {} alerts, expected {}; number {same} is\n{:?}, expected\n{:?}",
            found.len(),
            wanted.len(),
            found.get(same),
            wanted.get(same),
        );
    }
}

/// The instant in a field of an alert.
pub fn instant(alert: &Value, field: &str) -> i64 {
    timestamp::parse(alert[field].as_str().unwrap()).unwrap()
}
