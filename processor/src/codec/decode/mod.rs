//! From the payload of a Kafka record, or a line of a file, to an event; or to the reason why it is none.
//!
//! The first bytes tell the format: `{` is JSON, `C3 01` is Avro's single-object encoding. Both lead to the same packed
//! record, byte for byte: fields by slot, then extras by name.

mod avro;
mod extras;
mod json;
mod malformed;
mod scan;

use super::avro::MARKER;
use super::schemas::Schemas;
use scan::Member;
use std::sync::Arc;
use tocsin_core::event::{Event, Record, RecordWriter};
use tocsin_core::time::{EARLIEST, LATEST, Millis};

pub use malformed::{Malformed, REASONS};

/// Longest `id` and `customer_id`, in bytes.
pub const ID_BYTES_MAX: usize = 1_024;
/// Most extras in one event. The attributes of a customer are kept for good, so their number must have a bound.
pub const EXTRAS_MAX: usize = 256;
/// Largest payload, in bytes. Brokers take a mebibyte unless told otherwise; the buffers grow to a few times the
/// largest payload seen.
pub const PAYLOAD_BYTES_MAX: usize = 8 << 20;

/// Joins the parts of an alert's id, so no id may hold it.
const UNIT_SEPARATOR: u8 = 0x1f;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Decodes one event after the other, in buffers that it keeps.
#[derive(Debug)]
pub struct Decoder {
    schemas: Arc<Schemas>,
    buffers: Buffers,
    ignored_fields: u64,
}

/// What is used again for every event.
#[derive(Debug, Default)]
struct Buffers {
    writer: RecordWriter,
    members: Vec<Member>,
    /// For each slot the place in `members` that fills it.
    slots: Vec<u32>,
    /// A text whose escapes are resolved.
    scratch: String,
    /// The customer's id, if its text has escapes.
    customer_id: String,
}

impl Decoder {
    #[must_use]
    pub fn new(schemas: Arc<Schemas>) -> Self {
        Self { schemas, buffers: Buffers::default(), ignored_fields: 0 }
    }

    /// Decodes a payload. The event lives as long as the payload and until the next call.
    ///
    /// # Errors
    /// [`Malformed`] with a bounded reason and a precise message, whatever the bytes are. It depends on nothing but
    /// the payload and the schemas, so a replay refuses the same events.
    pub fn decode<'a>(&'a mut self, payload: &'a [u8]) -> Result<Event<'a>, Malformed> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Malformed::too_large(format!(
                "the payload has {} bytes, more than {PAYLOAD_BYTES_MAX}",
                payload.len()
            )));
        }
        let text = without_preamble(payload);
        let (head, ignored) = match text {
            [b'{', ..] => json::decode(&self.schemas, &mut self.buffers, text)?,
            [] => return Err(Malformed::empty()),
            _ => match payload {
                [first, second, ..] if [*first, *second] == MARKER => {
                    avro::decode(&self.schemas, &mut self.buffers.writer, payload)?
                }
                [0, ..] => return Err(Malformed::schema_registry()),
                _ => return Err(Malformed::unknown_format(text[0])),
            },
        };
        self.ignored_fields += ignored;
        let customer_id = match head.customer_id {
            CustomerId::InPayload(text) => text,
            CustomerId::InBuffer => &self.buffers.customer_id,
        };
        // The writer writes what the parser reads; the error stands for what cannot happen.
        let record = Record::parse(self.buffers.writer.bytes()).ok_or_else(Malformed::empty)?;
        Ok(Event { customer_id, occurred_at: head.occurred_at, record })
    }

    /// How many fields of all events so far were ignored because their type does not have them.
    #[must_use]
    pub fn ignored_fields(&self) -> u64 {
        self.ignored_fields
    }

    #[must_use]
    pub fn schemas(&self) -> &Arc<Schemas> {
        &self.schemas
    }
}

/// What comes after a byte order mark and white space.
fn without_preamble(payload: &[u8]) -> &[u8] {
    let text = payload.strip_prefix(BYTE_ORDER_MARK).unwrap_or(payload);
    let space = text.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
    &text[space..]
}

/// An event but for its record, which is in the writer.
struct Head<'p> {
    customer_id: CustomerId<'p>,
    occurred_at: Millis,
}

enum CustomerId<'p> {
    InPayload(&'p str),
    InBuffer,
}

/// Checks an `id` or `customer_id`.
#[inline]
fn checked_id<'t>(field: &str, text: &'t str) -> Result<&'t str, Malformed> {
    if text.is_empty() {
        return Err(Malformed::bad_id(field, "is empty"));
    }
    if text.len() > ID_BYTES_MAX {
        return Err(Malformed::bad_id(field, &format!("has {} bytes, more than {ID_BYTES_MAX}", text.len())));
    }
    if text.as_bytes().contains(&UNIT_SEPARATOR) {
        return Err(Malformed::bad_id(field, "holds the control character U+001F"));
    }
    Ok(text)
}

/// Checks the range of an instant.
#[inline]
fn checked_instant(at: Millis) -> Result<Millis, Malformed> {
    if (EARLIEST..=LATEST).contains(&at) {
        return Ok(at);
    }
    Err(Malformed::out_of_range("occurred_at", &format!("{at} ms is not within the years 1 to 9999, UTC")))
}

/// Checks that a number is within the decimals over which aggregates are taken, and drops the sign of zero.
#[inline]
fn checked_number(field: &str, x: f64) -> Result<f64, Malformed> {
    // Below this bound there is a decimal for sure; above it the exact answer is asked for.
    const SURE: f64 = 9e14;
    if x.abs() < SURE || tocsin_core::decimal::Decimal::from_f64(x).is_some() {
        return Ok(x + 0.0);
    }
    Err(Malformed::number_out_of_range(field, &x.to_string()))
}
