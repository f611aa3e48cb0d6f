//! What opens and what closes: of rules with a `trigger`, and of `open` values.

use tocsin_core::event::EventType;
use tocsin_core::expr::FieldRef;
use tocsin_core::rule::Mover;
use tocsin_core::time::Duration;

use super::canonical;
use super::names::{self, Known, Names, Part};
use super::problem::Complaint;
use super::reader::{Reader, get};
use super::yaml::{Entry, Node};

/// Events that open and events that close, and the same as text.
pub(super) struct Moves {
    pub opens: Mover,
    pub closes: Vec<Mover>,
    pub canonical: String,
}

/// The field that names the item.
struct By<'n> {
    name: &'n str,
    node: &'n Node,
}

/// Reads `where`, `by` and `until`. Of an event type that was refused (`None`) only what is wrong with them.
pub(super) fn read(reader: &mut Reader<'_>, opener: Option<&EventType>, entries: &[Entry]) -> Option<Moves> {
    let by = get(entries, "by").map(|node| reader.text("by", node).map(|text| By { name: &text.text, node }));
    let whole = !matches!(by, Some(None));
    let by = by.flatten();
    let opens = opener.and_then(|opener| {
        let key = by.as_ref().map(|by| key_field(reader, opener, by));
        let read = filter(reader, opener, "where", get(entries, "where"));
        let (key, (filter, canonical)) = (key.map_or(Some(None), |key| key.map(Some))?, read?);
        Some((Mover { type_id: opener.id, filter, by: key }, format!("{} {canonical}", opener.name)))
    });
    let closes = match get(entries, "until") {
        Some(node) => until(reader, node, by.as_ref()),
        None => Some(Vec::new()),
    };
    let ((opens, opens_text), closes) = (opens?, closes?);
    let (closes, closes_texts): (Vec<Mover>, Vec<String>) = closes.into_iter().unzip();
    let by_text = by.map_or_else(|| "-".to_owned(), |by| format!(".{}", by.name));
    let canonical = format!("{opens_text} by {by_text} until [{}]", closes_texts.join(", "));
    whole.then_some(Moves { opens, closes, canonical })
}

/// Where a triggering event carries the item's key.
fn key_field(reader: &mut Reader<'_>, opener: &EventType, by: &By<'_>) -> Option<FieldRef> {
    match names::key_field(by.name, opener) {
        Ok(field) => Some(field),
        Err(complaint) => {
            reader.complain(by.node.at, complaint);
            None
        }
    }
}

fn filter(
    reader: &mut Reader<'_>,
    of: &EventType,
    key: &'static str,
    node: Option<&Node>,
) -> Option<(Option<tocsin_core::expr::Expr>, String)> {
    let Some(node) = node else { return Some((None, canonical::condition(None, &[]))) };
    let expression = reader.expression(key, node)?;
    let part = Part::Where { of, all: &[of], key };
    let names = Names { catalog: reader.catalog, known: Known::default(), part };
    let expr = reader.lowered(node, &expression, names)?;
    Some((Some(expr), canonical::condition(Some(&expression), &[])))
}

const UNTIL: &str = "[{complaint: event.status == \"answered\"}]";

fn until(reader: &mut Reader<'_>, node: &Node, by: Option<&By<'_>>) -> Option<Vec<(Mover, String)>> {
    let before = reader.problems.len();
    let nodes = reader.list("until", node, UNTIL);
    if nodes.is_empty() && reader.problems.len() == before {
        reader.complain(node.at, "an empty `until` closes nothing; leave it out, or name events that close");
    }
    let mut closes = Vec::new();
    for node in nodes {
        let what = "an item of `until`";
        let Some(entries) = reader.map(what, node, "{complaint: event.status == \"answered\"}") else { continue };
        match entries {
            [entry] => closes.extend(closer(reader, entry, by)),
            _ => reader.complain(node.at, "an item of `until` is one event type with its condition"),
        }
    }
    (reader.problems.len() == before).then_some(closes)
}

fn closer(reader: &mut Reader<'_>, entry: &Entry, by: Option<&By<'_>>) -> Option<(Mover, String)> {
    let event_type = match names::event_type(reader.catalog, &entry.key) {
        Ok(event_type) => event_type,
        Err(complaint) => {
            reader.complain(entry.at, complaint);
            return None;
        }
    };
    let mut key = None;
    if let Some(by) = by {
        match names::key_field(by.name, event_type) {
            Ok(field) => key = Some(field),
            Err(complaint) => {
                let reason = format!("an event that closes carries the field that `by` names: {}", complaint.reason);
                reader.complain(entry.at, Complaint { reason, ..complaint });
            }
        }
    }
    let (filter, canonical) = filter(reader, event_type, "until", Some(&entry.value))?;
    Some((Mover { type_id: event_type.id, filter, by: key }, format!("{} {canonical}", event_type.name)))
}

/// How long something stays open at most. `None`: as long as events are kept.
#[derive(Clone, Copy)]
pub(super) struct Expire(Option<Duration>);

impl Expire {
    pub(super) fn read(reader: &mut Reader<'_>, entries: &[Entry]) -> Option<Self> {
        let Some(node) = get(entries, "expire") else { return Some(Self(None)) };
        let expire = reader.duration("expire", node)?;
        if expire == 0 {
            reader.complain(node.at, "what expires after 0s is never open");
            return None;
        }
        Some(Self(Some(expire)))
    }

    pub(super) fn or(self, history: Duration) -> Duration {
        self.0.unwrap_or(history)
    }

    /// As text, to be hashed. What is left out is not spelled out: it follows `history`, which is no part of a rule.
    pub(super) fn canonical(self) -> String {
        self.0.map_or_else(|| "-".to_owned(), |expire| expire.to_string())
    }
}
