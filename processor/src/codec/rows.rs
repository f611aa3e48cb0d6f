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
use tocsin_core::customer::{AlertState, Customer, Former, LastSeen, Phase, Silences};
use tocsin_core::event::{FieldName, FieldValue, Fields, write_field};
use tocsin_core::expr::AttributeRef;
use tocsin_core::partition::Sweep;
use tocsin_core::rule::RuleKey;
use tocsin_core::time::Millis;
use tocsin_core::timeline::{Chunk, ChunkKey, Timeline};
use tocsin_core::value::OwnedValue;
use tocsin_core::varint::{self, Reader};

mod check;
mod items;

pub use check::RowChecker;

const FORMAT: u8 = 2;
/// Version of the shipped layout of event types; raised when one gains a field.
const SCHEMA_VERSION: u64 = 1;
/// Customers of the one tenant there is.
const TENANT: u8 = 0;

const HEAD: u8 = 0;
const ATTRIBUTES: u8 = 1;
const CHUNK: u8 = 2;

/// A row that is not what this version, or any earlier one, wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {row} row is damaged or was written by a later version of tocsin")]
pub struct DamagedRow {
    /// Which kind of row.
    pub row: &'static str,
}

/// Key of a customer's head.
#[must_use]
pub fn head_key(customer_id: &str) -> Vec<u8> {
    customer_key(customer_id, HEAD)
}

/// Key of a customer's attributes.
#[must_use]
pub fn attributes_key(customer_id: &str) -> Vec<u8> {
    customer_key(customer_id, ATTRIBUTES)
}

/// Key of a sealed chunk.
#[must_use]
pub fn chunk_key(customer_id: &str, (base, rank): ChunkKey) -> Vec<u8> {
    let mut key = customer_key(customer_id, CHUNK);
    key.extend_from_slice(&sortable(base));
    key.extend_from_slice(&rank.to_be_bytes());
    key
}

/// Keys before all of a customer's chunks, and behind them.
#[must_use]
pub fn chunk_keys(customer_id: &str) -> [Vec<u8>; 2] {
    [CHUNK, CHUNK + 1].map(|kind| customer_key(customer_id, kind))
}

/// What is behind the customer's part of a chunk's key.
fn read_chunk_key(rest: &[u8]) -> Option<ChunkKey> {
    let (base, rank) = rest.split_at_checked(8)?;
    Some((unsortable(base.try_into().ok()?), u32::from_be_bytes(rank.try_into().ok()?)))
}

/// The bytes of an instant that sort as it does.
fn sortable(at: Millis) -> [u8; 8] {
    (at as u64 ^ (1 << 63)).to_be_bytes()
}

fn unsortable(bytes: [u8; 8]) -> Millis {
    (u64::from_be_bytes(bytes) ^ (1 << 63)) as Millis
}

fn customer_key(customer_id: &str, kind: u8) -> Vec<u8> {
    let mut key = Vec::with_capacity(customer_id.len() + 8);
    key.push(TENANT);
    key.extend_from_slice(&(customer_id.len() as u16).to_be_bytes());
    key.extend_from_slice(customer_id.as_bytes());
    key.push(kind);
    key
}

/// The customer whose head, attributes or chunk this is the key of, and whether it is the head's.
///
/// # Errors
/// If the key is not a customer's.
pub fn read_customer_key(key: &[u8]) -> Result<(&str, bool), DamagedRow> {
    let mut reader = Reader::new(key);
    let mut read = || {
        reader.byte().filter(|tenant| *tenant == TENANT)?;
        let length = usize::from(u16::from_be_bytes(reader.array()?));
        let (customer_id, rest) = reader.rest().split_at_checked(length)?;
        let is_head = match rest {
            [HEAD] => true,
            [ATTRIBUTES] => false,
            [CHUNK, rest @ ..] => read_chunk_key(rest).map(|_| false)?,
            _ => return None,
        };
        Some((std::str::from_utf8(customer_id).ok()?, is_head))
    };
    read().ok_or(DamagedRow { row: "customer" })
}

/// A key behind all of a customer's, and before the next customer's.
#[must_use]
pub fn customer_end(customer_id: &str) -> Vec<u8> {
    customer_key(customer_id, u8::MAX)
}

/// Key of a timer.
#[must_use]
pub fn timer_key(at: Millis, customer_id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(customer_id.len() + 9);
    key.extend_from_slice(&sortable(at));
    key.push(TENANT);
    key.extend_from_slice(customer_id.as_bytes());
    key
}

/// The timer behind a key.
///
/// # Errors
/// If the key is not a timer's.
pub fn read_timer_key(key: &[u8]) -> Result<(Millis, Box<str>), DamagedRow> {
    let mut reader = Reader::new(key);
    let mut read = || {
        let at = unsortable(reader.array()?);
        reader.byte().filter(|tenant| *tenant == TENANT)?;
        Some((at, std::str::from_utf8(reader.rest()).ok()?.into()))
    };
    read().ok_or(DamagedRow { row: "timer" })
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
    let latest = customer.latest.unwrap_or(0);
    for instant in [customer.latest, customer.first_seen, customer.armed] {
        put_instant(out, instant);
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
    let mut customer = Customer { latest: read_instant(&mut reader)?, ..Customer::default() };
    customer.first_seen = read_instant(&mut reader)?;
    customer.armed = read_instant(&mut reader)?;
    let flags = reader.byte().filter(|flags| flags & !HEAD_FLAGS == 0)?;
    let has_attributes = flags & HAS_ATTRIBUTES != 0;
    if flags & HAS_GENERATION != 0 {
        customer.generation = reader.signed()?;
    }
    let latest = customer.latest.unwrap_or(0);
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
        Phase::Firing { over_since, .. } => (2, over_since.is_some()),
    };
    out.push(
        phase
            | flag(alert.due.is_some(), HAS_DUE)
            | flag(alert.resolved_at.is_some(), HAS_RESOLVED)
            | flag(alert.fired.is_some(), HAS_FIRED)
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
            if let Some(since) = over_since {
                varint::put_signed(out, since);
            }
        }
    }
    for instant in [alert.due, alert.resolved_at].into_iter().flatten() {
        varint::put_signed(out, instant);
    }
    if let Some((fired_at, refire)) = alert.fired {
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
            let over_since = if flags & IS_OVER != 0 { Some(reader.signed()?) } else { None };
            Phase::Firing { episode, over_since }
        }
        _ => return None,
    };
    if flags & HAS_DUE != 0 {
        alert.due = Some(reader.signed()?);
    }
    if flags & HAS_RESOLVED != 0 {
        alert.resolved_at = Some(reader.signed()?);
    }
    if flags & HAS_FIRED != 0 {
        alert.fired = Some((reader.signed()?, u32::try_from(reader.unsigned()?).ok()?));
    }
    Some(alert)
}

/// How far a store has come: what its task does next starts here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Next offset of each input topic.
    pub inputs: Vec<(Box<str>, i64)>,
    pub watermark: Option<Millis>,
    /// Those of the input topics, if there are several.
    pub watermarks: Vec<Option<Millis>>,
    /// The last timer taken: no timer at or before it is left.
    pub drained: Option<(Millis, Box<str>)>,
    /// Whether timers at or before the watermark are left to judge.
    pub draining: bool,
    /// Offset of the journal record that this includes; -1 before the first.
    pub journal_offset: i64,
    /// Its sequence number; 0 before the first.
    pub journal_sequence: i64,
    /// Generation of the rules in force; 0: none yet.
    pub generation: i64,
    /// The sweep that is under way.
    pub sweep: Option<Sweep>,
    /// See [`tocsin_core::partition::Partition::gates`].
    pub gates: Vec<(RuleKey, Millis)>,
    /// Fingerprint of the rules in force.
    pub rules: Box<str>,
    /// Hash of the context in force.
    pub context: u64,
}

const HAS_SWEEP: u8 = 1;
const HAS_GATES: u8 = 1 << 1;
const HAS_WATERMARKS: u8 = 1 << 2;
const POSITION_FLAGS: u8 = HAS_SWEEP | HAS_GATES | HAS_WATERMARKS;

/// Key of the position's row.
pub const POSITION_KEY: &[u8] = b"position";

/// Key of the row that says under which event types the rows were written, as JSON.
pub const CATALOG_KEY: &[u8] = b"catalog";

/// The position's row.
#[must_use]
pub fn write_position(position: &Position) -> Vec<u8> {
    let mut out = opened();
    varint::put(&mut out, position.inputs.len() as u64);
    for (topic, offset) in &position.inputs {
        varint::put_bytes(&mut out, topic.as_bytes());
        varint::put_signed(&mut out, *offset);
    }
    put_instant(&mut out, position.watermark);
    put_instant(&mut out, position.drained.as_ref().map(|(at, _)| *at));
    varint::put_bytes(&mut out, position.drained.as_ref().map_or("", |(_, id)| id).as_bytes());
    out.push(u8::from(position.draining));
    varint::put_signed(&mut out, position.journal_offset);
    varint::put_signed(&mut out, position.journal_sequence);
    varint::put_signed(&mut out, position.generation);
    out.push(
        flag(position.sweep.is_some(), HAS_SWEEP)
            | flag(!position.gates.is_empty(), HAS_GATES)
            | flag(!position.watermarks.is_empty(), HAS_WATERMARKS),
    );
    if let Some(sweep) = &position.sweep {
        put_instant(&mut out, sweep.watermark);
        varint::put_bytes(&mut out, sweep.judged.as_deref().unwrap_or_default().as_bytes());
    }
    if !position.gates.is_empty() {
        varint::put(&mut out, position.gates.len() as u64);
    }
    for (rule, gate) in &position.gates {
        out.extend_from_slice(&rule.0.to_le_bytes());
        varint::put_signed(&mut out, *gate);
    }
    if !position.watermarks.is_empty() {
        varint::put(&mut out, position.watermarks.len() as u64);
    }
    for watermark in &position.watermarks {
        put_instant(&mut out, *watermark);
    }
    varint::put_bytes(&mut out, position.rules.as_bytes());
    out.extend_from_slice(&position.context.to_le_bytes());
    out
}

/// Reads what [`write_position`] wrote.
///
/// # Errors
/// If the bytes are not a position.
pub fn read_position(bytes: &[u8]) -> Result<Position, DamagedRow> {
    try_read_position(bytes).ok_or(DamagedRow { row: "position" })
}

fn try_read_position(bytes: &[u8]) -> Option<Position> {
    let mut reader = open(bytes)?;
    let mut position = Position::default();
    for _ in 0..reader.unsigned()? {
        position.inputs.push((reader.text()?.into(), reader.signed()?));
    }
    position.watermark = read_instant(&mut reader)?;
    let drained_at = read_instant(&mut reader)?;
    let drained_id: Box<str> = reader.text()?.into();
    position.drained = drained_at.map(|at| (at, drained_id));
    position.draining = reader.byte()? != 0;
    position.journal_offset = reader.signed()?;
    position.journal_sequence = reader.signed()?;
    position.generation = reader.signed()?;
    let flags = reader.byte().filter(|flags| flags & !POSITION_FLAGS == 0)?;
    if flags & HAS_SWEEP != 0 {
        let watermark = read_instant(&mut reader)?;
        let judged = Some(reader.text()?).filter(|judged| !judged.is_empty()).map(Into::into);
        position.sweep = Some(Sweep { watermark, judged });
    }
    if flags & HAS_GATES != 0 {
        for _ in 0..reader.unsigned()? {
            position.gates.push((RuleKey(u32::from_le_bytes(reader.array()?)), reader.signed()?));
        }
    }
    if flags & HAS_WATERMARKS != 0 {
        for _ in 0..reader.unsigned()? {
            position.watermarks.push(read_instant(&mut reader)?);
        }
    }
    position.rules = reader.text()?.into();
    position.context = u64::from_le_bytes(reader.array()?);
    Some(position)
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
