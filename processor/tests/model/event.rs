//! What an event is, and what a condition or a sum sees of it.

use super::value::Value;
use std::fmt::Write as _;

pub const PURCHASE: &str = "purchase";
pub const INTERACTION: &str = "interaction";
pub const COMPLAINT: &str = "complaint";
pub const FEEDBACK: &str = "feedback";
pub const PROFILE: &str = "profile";
pub const SCORE: &str = "score";

/// A field that no type has: ignored.
pub const NOT_IN_THE_SCHEMA: &str = "not_in_the_schema";

/// A field as the producer wrote it. Numbers are whole millionths: their text is exact, whatever is made of it later.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    Null,
    Bool(bool),
    Millionths(i64),
    Text(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: String,
    pub kind: &'static str,
    pub customer: String,
    pub at: i64,
    pub fields: Vec<(&'static str, Field)>,
}

impl Event {
    /// What a condition sees. An explicit null counts as absent, and so does a field that this type does not have.
    pub fn seen(&self, name: &str) -> Value {
        match self.field(name) {
            None | Some(Field::Null) => Value::Null,
            Some(Field::Bool(b)) => Value::Bool(*b),
            Some(Field::Text(text)) => Value::Text(text.clone()),
            Some(Field::Millionths(n)) if is_decimal(self.kind, name) => {
                Value::Number(in_ten_thousandths(*n) as f64 / 10_000.0)
            }
            Some(Field::Millionths(n)) => Value::Number(*n as f64 / 1_000_000.0),
        }
    }

    /// What a sum adds, in 1/10,000: decimals and other numbers alike are taken as the same rounded decimals.
    pub fn summed(&self, name: &str) -> Option<i64> {
        match self.field(name) {
            Some(Field::Millionths(n)) => Some(in_ten_thousandths(*n)),
            _ => None,
        }
    }

    /// What a value other than `sum` takes of it: numbers of all kinds as the same rounded decimals.
    pub fn aggregated(&self, name: &str) -> Value {
        match self.summed(name) {
            Some(decimal) => Value::Number(decimal as f64 / 10_000.0),
            None => self.seen(name),
        }
    }

    fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// One flat JSON object, as the engine reads it.
    pub fn json(&self) -> String {
        let mut line = format!(
            r#"{{"id":"{}","type":"{}","customer_id":"{}","occurred_at":"{}""#,
            self.id,
            self.kind,
            self.customer,
            shortest_time(self.at)
        );
        for (name, value) in &self.fields {
            let text = match value {
                Field::Null => "null".to_owned(),
                Field::Bool(b) => b.to_string(),
                Field::Millionths(n) => decimal_text(*n),
                Field::Text(text) => format!("\"{text}\""),
            };
            write!(line, r#","{name}":{text}"#).unwrap();
        }
        line + "}"
    }
}

/// The one decimal field among the shipped types. Conditions see it rounded; other numbers they see as they came.
fn is_decimal(kind: &str, name: &str) -> bool {
    (kind, name) == (PURCHASE, "amount")
}

/// Half-even to four fraction digits.
fn in_ten_thousandths(millionths: i64) -> i64 {
    let (whole, rest) = (millionths.div_euclid(100), millionths.rem_euclid(100));
    let up = rest > 50 || (rest == 50 && whole % 2 != 0);
    whole + i64::from(up)
}

fn decimal_text(millionths: i64) -> String {
    let sign = if millionths < 0 { "-" } else { "" };
    let (whole, rest) = (millionths.abs() / 1_000_000, millionths.abs() % 1_000_000);
    let fraction = format!("{rest:06}");
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// RFC 3339 with milliseconds, UTC: the form of alert records.
pub fn time_text(ms: i64) -> String {
    let (day, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(day);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1000)
}

/// Producers leave zero milliseconds out; both forms are read.
fn shortest_time(ms: i64) -> String {
    time_text(ms).replace(".000Z", "Z")
}

/// Year, month and day of a day counted from 1970-01-01 (none before it): by counting, so that it is plainly right.
pub fn civil(mut day: i64) -> (i64, i64, i64) {
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let mut year = 1970;
    while day >= 365 + i64::from(leap(year)) {
        day -= 365 + i64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    (year, month as i64 + 1, day + 1)
}
