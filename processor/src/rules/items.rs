//! Rules with a `trigger`: what makes their items, and from when on an item is judged.

use tocsin_core::event::{EventType, stable_hash};
use tocsin_core::rule::{Items, Tracker};

use super::kinds::Kind;
use super::names;
use super::reader::{Reader, get};
use super::tracker::{self, Expire};
use super::yaml::Entry;

/// The type of event that opens an item.
pub(super) fn trigger<'a>(reader: &mut Reader<'a>, entries: &[Entry]) -> Option<&'a EventType> {
    let node = get(entries, "trigger")?;
    let text = reader.text("trigger", node)?;
    match names::event_type(reader.catalog, &text.text) {
        Ok(event_type) => Some(event_type),
        Err(complaint) => {
            reader.complain(node.at, complaint);
            None
        }
    }
}

/// What makes the items, and the same as text.
pub(super) fn read(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    kind: Kind,
    opener: Option<&EventType>,
) -> Option<(Items, String)> {
    let moves = tracker::read(reader, opener, entries);
    let after = match get(entries, "after") {
        Some(node) => reader.duration("after", node),
        None => Some(0),
    };
    let expire = Expire::read(reader, entries);
    let (moves, after, expire) = (moves?, after?, expire?);
    let judged_once = kind == Kind::Item;
    let lasts = if judged_once { after } else { expire.or(reader.limits.history) };
    // `after` and `expire` may change and the items stay: they are no part of the key.
    let key = stable_hash(&moves.canonical);
    let canonical = format!("{} after {after} expire {}", moves.canonical, expire.canonical());
    let tracker = Tracker { key, opens: moves.opens, closes: moves.closes, lasts };
    Some((Items { tracker, after, judged_once }, canonical))
}
