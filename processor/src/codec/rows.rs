//! Rows of the store: a customer's head with the tail, sealed chunks, attributes; timers; the position.
//!
//! ```text
//! column     key                                                     value
//! customers  tenant u8 | id length u16 | id | 0                      head and tail
//!            tenant u8 | id length u16 | id | 1                      attributes
//!            tenant u8 | id length u16 | id | 2 | base | rank u32   sealed chunk
//! timers     instant | tenant u8 | id                                empty
//! meta       "position"                                              see [`Position`]
//!            "catalog"                                               the event types, as JSON
//! ```
//!
//! Instants in keys, a chunk's base among them, are u64 with the sign flipped; all integers there are big endian, so that
//! timers sort by (instant, customer) and a customer's chunks by time. The head only says how many there are. Every value opens with a
//! format byte and a schema version. Formats are only ever added; fields inside records name themselves by slots that are
//! never reused, so a row written under an older schema set reads the same under a newer one.

use tocsin_core::alert::{Episode, Severity};
use tocsin_core::attributes::{Attribute, Attributes};
use tocsin_core::customer::{AlertState, Customer, Fired, Former, LastSeen, Phase, Silences};
use tocsin_core::event::{FieldName, FieldValue, Fields, write_field};
use tocsin_core::expr::AttributeRef;
use tocsin_core::rule::RuleKey;
use tocsin_core::time::{MaybeMillis, Millis};
use tocsin_core::timeline::{Chunk, Timeline};
use tocsin_core::value::OwnedValue;
use tocsin_core::varint::{self, Reader};

mod check;
mod items;
mod keys;
mod position;

pub use check::RowChecker;
use keys::read_chunk_key;
pub use keys::{
    attributes_key, chunk_key, chunk_keys, customer_end, head_key, read_customer_key, read_timer_key, timer_key,
};
pub use position::{CATALOG_KEY, POSITION_KEY, Position, read_position, write_position};

const FORMAT: u8 = 2;
/// Version of the shipped layout of event types; raised when one gains a field.
const SCHEMA_VERSION: u64 = 1;
/// A row that is not what this version, or any earlier one, wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {row} row is damaged or was written by a later version of tocsin")]
pub struct DamagedRow {
    /// Which kind of row.
    pub row: &'static str,
}

const HAS_ATTRIBUTES: u8 = 1;
const HAS_GENERATION: u8 = 1 << 1;
const HAS_ITEMS: u8 = 1 << 2;
const HAS_LEDGERS: u8 = 1 << 3;
const HAS_BASES: u8 = 1 << 4;
const HAS_FORMER: u8 = 1 << 5;
const HEAD_FLAGS: u8 = HAS_ATTRIBUTES | HAS_GENERATION | HAS_ITEMS | HAS_LEDGERS | HAS_BASES | HAS_FORMER;

fn flag(on: bool, bit: u8) -> u8 {
    if on { bit } else { 0 }
}

/// The head and the tail.
#[must_use]
pub fn write_head(customer: &Customer) -> Vec<u8> {
    let mut out = Vec::new();
    put_head(&mut out, customer);
    out
}

/// Appends what [`write_head`] returns.
pub fn put_head(out: &mut Vec<u8>, customer: &Customer) {
    put_opening(out);
    let latest = customer.latest.get().unwrap_or(0);
    for instant in [customer.latest, customer.first_seen, customer.armed] {
        put_instant(out, instant.get());
    }
    let has_attributes = flag(!customer.attributes.is_empty(), HAS_ATTRIBUTES);
    out.push(
        has_attributes
            | flag(customer.generation != 0, HAS_GENERATION)
            | flag(!customer.items.is_empty(), HAS_ITEMS)
            | flag(!customer.ledgers.is_empty(), HAS_LEDGERS)
            | flag(!customer.bases.is_empty(), HAS_BASES)
            | flag(customer.former.is_some(), HAS_FORMER),
    );
    if customer.generation != 0 {
        varint::put_signed(out, customer.generation);
    }
    put_silences(out, &customer.silences, latest);
    varint::put(out, customer.alerts.len() as u64);
    for alert in &customer.alerts {
        put_alert(out, alert);
    }
    if !customer.items.is_empty() {
        items::put_items(out, &customer.items);
    }
    if !customer.ledgers.is_empty() {
        items::put_ledgers(out, &customer.ledgers);
    }
    if !customer.bases.is_empty() {
        items::put_bases(out, &customer.bases);
    }
    if let Some(former) = &customer.former {
        varint::put_bytes(out, &attribute_fields(&former.attributes));
        put_silences(out, &former.silences, latest);
    }
    let (tail, sealed) = match customer.timeline.chunks().split_last() {
        Some((tail, sealed)) => (Some(tail), sealed),
        None => (None, &[][..]),
    };
    varint::put(out, sealed.len() as u64);
    if let Some(tail) = tail {
        varint::put_signed(out, tail.base);
        varint::put(out, u64::from(tail.rank));
        out.extend_from_slice(&tail.bytes);
    }
}

/// A head as it was read: the customer but for the rows named beside.
#[derive(Debug)]
pub struct Head {
    pub customer: Customer,
    pub has_attributes: bool,
    /// How many sealed chunks there are; they go before the tail.
    pub sealed: u64,
    pub tail: Option<Chunk>,
}

/// Reads what [`write_head`] wrote.
///
/// # Errors
/// If the bytes are not a head.
pub fn read_head(bytes: &[u8]) -> Result<Head, DamagedRow> {
    try_read_head(bytes).ok_or(DamagedRow { row: "customer" })
}

fn try_read_head(bytes: &[u8]) -> Option<Head> {
    let mut reader = open(bytes)?;
    let mut customer = Customer { latest: read_instant(&mut reader)?.into(), ..Customer::default() };
    customer.first_seen = read_instant(&mut reader)?.into();
    customer.armed = read_instant(&mut reader)?.into();
    let flags = reader.byte().filter(|flags| flags & !HEAD_FLAGS == 0)?;
    let has_attributes = flags & HAS_ATTRIBUTES != 0;
    if flags & HAS_GENERATION != 0 {
        customer.generation = reader.signed()?;
    }
    let latest = customer.latest.get().unwrap_or(0);
    customer.silences = read_silences(&mut reader, latest)?;
    for _ in 0..reader.unsigned()? {
        customer.alerts.push(read_alert(&mut reader)?);
    }
    if flags & HAS_ITEMS != 0 {
        customer.items = items::read_items(&mut reader)?;
    }
    if flags & HAS_LEDGERS != 0 {
        customer.ledgers = items::read_ledgers(&mut reader)?;
    }
    if flags & HAS_BASES != 0 {
        customer.bases = items::read_bases(&mut reader)?;
    }
    if flags & HAS_FORMER != 0 {
        let attributes = read_attribute_fields(Reader::new(reader.bytes()?))?;
        customer.former = Some(Box::new(Former { attributes, silences: read_silences(&mut reader, latest)? }));
    }
    let sealed = reader.unsigned()?;
    let tail = if reader.is_empty() {
        None
    } else {
        let key = (reader.signed()?, u32::try_from(reader.unsigned()?).ok()?);
        let mut tail = Chunk::unpack(key, reader.rest().to_vec())?;
        // It has no row of its own yet.
        tail.changed = true;
        Some(tail)
    };
    Some(Head { customer, has_attributes, sealed, tail })
}

fn put_silences(out: &mut Vec<u8>, silences: &[LastSeen], latest: Millis) {
    varint::put(out, silences.len() as u64);
    for seen in silences {
        out.extend_from_slice(&seen.key.to_le_bytes());
        varint::put_signed(out, latest - seen.at);
        varint::put_bytes(out, seen.event_id.as_bytes());
    }
}

fn read_silences(reader: &mut Reader<'_>, latest: Millis) -> Option<Silences> {
    let mut silences = Silences::new();
    for _ in 0..reader.unsigned()? {
        let key = u64::from_le_bytes(reader.array()?);
        let at = latest.checked_sub(reader.signed()?)?;
        silences.push(LastSeen { key, at, event_id: reader.text()?.into() });
    }
    Some(silences)
}

/// A sealed chunk's row.
#[must_use]
pub fn write_chunk(chunk: &Chunk) -> Vec<u8> {
    let mut out = opened();
    out.extend_from_slice(&chunk.bytes);
    out
}

/// Reads what [`write_chunk`] wrote; `key` is the row's whole key.
///
/// # Errors
/// If they are not a chunk.
pub fn read_chunk(key: &[u8], bytes: &[u8]) -> Result<Chunk, DamagedRow> {
    let read = || {
        let (_, rest) = key.split_at_checked(key.len().checked_sub(12)?)?;
        Chunk::unpack(read_chunk_key(rest)?, open(bytes)?.rest().to_vec())
    };
    read().ok_or(DamagedRow { row: "chunk" })
}

/// Puts the parts of a customer together; the chunks oldest first.
///
/// # Errors
/// If there are more or fewer chunks than the head says, or one does not go before the next.
pub fn assemble(head: Head, attributes: Attributes, sealed: Vec<Chunk>) -> Result<Customer, DamagedRow> {
    let is_whole = sealed.len() as u64 == head.sealed && (head.sealed == 0 || head.tail.is_some());
    let chunks: Vec<Chunk> = sealed.into_iter().chain(head.tail).collect();
    if !is_whole || !chunks.is_sorted_by(|a, b| a.key() < b.key() && a.last <= b.first) {
        return Err(DamagedRow { row: "chunk" });
    }
    Ok(Customer { attributes, timeline: Timeline::from_chunks(chunks), ..head.customer })
}

/// The attributes' row: for each, its time and a field in the layout of records.
#[must_use]
pub fn write_attributes(attributes: &Attributes) -> Vec<u8> {
    let mut out = opened();
    out.extend_from_slice(&attribute_fields(attributes));
    out
}

fn attribute_fields(attributes: &Attributes) -> Vec<u8> {
    let mut out = Vec::new();
    for attribute in attributes {
        let mut field = Vec::new();
        let value = match &attribute.value {
            OwnedValue::Bool(b) => FieldValue::Bool(*b),
            OwnedValue::Number(x) | OwnedValue::Duration(x) => FieldValue::Number(*x),
            OwnedValue::Text(text) => FieldValue::Text(text),
            OwnedValue::Null => continue,
        };
        match &attribute.name {
            AttributeRef::Slot(slot) => {
                field.push(0);
                write_field(&mut field, *slot, value);
            }
            AttributeRef::Extra(name) => {
                field.push(1);
                varint::put_bytes(&mut field, name.as_bytes());
                write_field(&mut field, 0, value);
            }
        }
        varint::put_signed(&mut out, attribute.since);
        varint::put_bytes(&mut out, &field);
    }
    out
}

/// Reads what [`write_attributes`] wrote.
///
/// # Errors
/// If the bytes are not attributes.
pub fn read_attributes(bytes: &[u8]) -> Result<Attributes, DamagedRow> {
    open(bytes).and_then(read_attribute_fields).ok_or(DamagedRow { row: "attributes" })
}

fn read_attribute_fields(mut reader: Reader<'_>) -> Option<Attributes> {
    let mut attributes = Vec::new();
    while !reader.is_empty() {
        let since = reader.signed()?;
        let mut field = Reader::new(reader.bytes()?);
        let extra = if field.byte()? == 1 { Some(field.text()?) } else { None };
        let (name, value) = Fields::new(field.rest()).next()?;
        let name = match (extra, name) {
            (Some(extra), _) => AttributeRef::Extra(extra.into()),
            (None, FieldName::Slot(slot)) => AttributeRef::Slot(slot),
            (None, FieldName::Extra(_)) => return None,
        };
        attributes.push(Attribute { name, since, value: value.value().to_owned() });
    }
    Some(attributes.into_iter().collect())
}

const HAS_DUE: u8 = 1 << 2;
const HAS_RESOLVED: u8 = 1 << 3;
const HAS_FIRED: u8 = 1 << 4;
const IS_OVER: u8 = 1 << 5;

fn put_alert(out: &mut Vec<u8>, alert: &AlertState) {
    out.extend_from_slice(&alert.rule.0.to_le_bytes());
    let (phase, over) = match alert.phase {
        Phase::Inactive => (0, false),
        Phase::Pending { .. } => (1, false),
        Phase::Firing { over_since, .. } => (2, over_since.get().is_some()),
    };
    out.push(
        phase
            | flag(alert.due.get().is_some(), HAS_DUE)
            | flag(alert.resolved_at.get().is_some(), HAS_RESOLVED)
            | flag(alert.fired.get().is_some(), HAS_FIRED)
            | flag(over, IS_OVER),
    );
    match alert.phase {
        Phase::Inactive => {}
        Phase::Pending { since } => varint::put_signed(out, since),
        Phase::Firing { episode, over_since } => {
            varint::put_signed(out, episode.fired_at);
            varint::put(out, u64::from(episode.refire));
            varint::put(out, u64::from(episode.sequence));
            out.push(episode.severity as u8);
            if let Some(since) = over_since.get() {
                varint::put_signed(out, since);
            }
        }
    }
    for instant in [alert.due, alert.resolved_at].into_iter().filter_map(MaybeMillis::get) {
        varint::put_signed(out, instant);
    }
    if let Some((fired_at, refire)) = alert.fired.get() {
        varint::put_signed(out, fired_at);
        varint::put(out, u64::from(refire));
    }
}

fn read_alert(reader: &mut Reader<'_>) -> Option<AlertState> {
    let mut alert = AlertState::new(RuleKey(u32::from_le_bytes(reader.array()?)));
    let flags = reader.byte()?;
    alert.phase = match flags & 3 {
        0 => Phase::Inactive,
        1 => Phase::Pending { since: reader.signed()? },
        2 => {
            let episode = Episode {
                fired_at: reader.signed()?,
                refire: u32::try_from(reader.unsigned()?).ok()?,
                sequence: u32::try_from(reader.unsigned()?).ok()?,
                severity: Severity::from_index(reader.byte()?)?,
            };
            let over_since = if flags & IS_OVER != 0 { reader.signed()?.into() } else { MaybeMillis::NONE };
            Phase::Firing { episode, over_since }
        }
        _ => return None,
    };
    if flags & HAS_DUE != 0 {
        alert.due = reader.signed()?.into();
    }
    if flags & HAS_RESOLVED != 0 {
        alert.resolved_at = reader.signed()?.into();
    }
    if flags & HAS_FIRED != 0 {
        alert.fired = Fired::at(reader.signed()?, u32::try_from(reader.unsigned()?).ok()?);
    }
    Some(alert)
}

fn opened() -> Vec<u8> {
    let mut out = Vec::new();
    put_opening(&mut out);
    out
}

fn put_opening(out: &mut Vec<u8>) {
    out.push(FORMAT);
    varint::put(out, SCHEMA_VERSION);
}

fn open(bytes: &[u8]) -> Option<Reader<'_>> {
    let mut reader = Reader::new(bytes);
    reader.byte().filter(|format| *format == FORMAT)?;
    reader.unsigned()?;
    Some(reader)
}

fn put_instant(out: &mut Vec<u8>, instant: Option<Millis>) {
    out.push(u8::from(instant.is_some()));
    if let Some(instant) = instant {
        varint::put_signed(out, instant);
    }
}

#[allow(clippy::option_option, reason = "outside: is it readable; inside: is there one")]
fn read_instant(reader: &mut Reader<'_>) -> Option<Option<Millis>> {
    if reader.byte()? == 0 { Some(None) } else { reader.signed().map(Some) }
}

#[cfg(test)]
mod tests;
