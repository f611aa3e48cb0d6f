//! `customer.X`: what does the customer's latest profile that carries X say?

use super::event::PROFILE;
use super::measure::Held;
use super::value::Value;

/// "Latest" is by (`occurred_at`, arrival); an explicit null carries nothing. Profiles that came too old count here too:
/// they stand in their own place, so where anything newer is held that one wins.
pub fn attribute(held: &[Held], name: &str, at: i64) -> Value {
    holder(held, name, at).map_or(Value::Null, |held| held.event.seen(name))
}

pub fn holder<'a>(held: &'a [Held], name: &str, at: i64) -> Option<&'a Held> {
    held.iter()
        .filter(|held| held.event.kind == PROFILE && held.event.at <= at && held.event.seen(name) != Value::Null)
        .max_by_key(|held| held.place())
}
