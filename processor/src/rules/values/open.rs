//! `open`: how many items are open, of those that a rule with this trigger would have.

use tocsin_core::event::{EventType, stable_hash};
use tocsin_core::rule::Tracker;

use super::super::names;
use super::super::reader::Reader;
use super::super::tracker::{self, Expire};
use super::super::yaml::Entry;

/// What the value counts, and the same as text.
pub(super) fn read(reader: &mut Reader<'_>, subject: &Entry, entries: &[Entry]) -> Option<(Tracker, String)> {
    let event_type = opener(reader, subject);
    let moves = tracker::read(reader, event_type, entries);
    let expire = Expire::read(reader, entries);
    let (moves, expire) = (moves?, expire?);
    let lasts = expire.or(reader.limits.history);
    // How long things stay open is part of what is counted, and so of what is remembered.
    let key = stable_hash(&format!("(open {lasts} {})", moves.canonical));
    let canonical = format!("(open {} {})", expire.canonical(), moves.canonical);
    Some((Tracker { key, opens: moves.opens, closes: moves.closes, lasts }, canonical))
}

fn opener<'a>(reader: &mut Reader<'a>, subject: &Entry) -> Option<&'a EventType> {
    let text = reader.text("open", &subject.value)?;
    let name = text.text.as_str();
    let complaint = match names::event_type(reader.catalog, name) {
        Ok(event_type) => return Some(event_type),
        Err(_) if reader.catalog.by_name(name.split('.').next().unwrap_or(name)).is_some() => {
            "`open` is about events, not about a field".into()
        }
        Err(complaint) => complaint,
    };
    reader.complain(subject.value.at, complaint);
    None
}
