//! Event types, and events packed into bytes.
//!
//! An event has one form from the decoder to the disk: a *record*, written once by [`RecordWriter`], copied into the
//! customer's timeline, and read in place by [`Record`]. Rules reach fields by slot ([`FieldId`]), resolved when they
//! are loaded.
//!
//! Layout of a record:
//!
//! ```text
//! type: varint | id: varint length, bytes | field*
//! field: varint (slot << 3 | kind) | payload
//!   kind 0 false, 1 true            no payload
//!        2 decimal                  zigzag varint, ten-thousandths
//!        3 double                   8 bytes, little endian
//!        4 whole number             zigzag varint
//!        5 text                     varint length, bytes
//!        6 extra                    name (as text), then a field whose slot is 0
//! ```

use crate::decimal::Decimal;
use crate::time::Millis;
use crate::value::Value;
use crate::varint::{self, Reader};

/// Number of an event type, the same in every row ever written. See [`Catalog`].
pub type TypeId = u16;
/// Slot of a field within its event type: its place in the schema. Never reused.
pub type FieldId = u16;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Exact, four fraction digits.
    Decimal,
    /// A double or an integer.
    Number,
    Text,
    Bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: Box<str>,
    pub kind: FieldKind,
    /// Whether records have it. What is not kept is checked on arrival and no more: no rule can look at it.
    pub kept: bool,
}

/// One type of event and the fields it may carry beside `id`, `type`, `customer_id` and `occurred_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType {
    pub id: TypeId,
    pub name: Box<str>,
    pub fields: Vec<Field>,
    /// Whether unknown string, number and bool fields are kept as extras (`profile`).
    pub open: bool,
}

impl EventType {
    #[must_use]
    pub fn field(&self, name: &str) -> Option<(FieldId, FieldKind)> {
        let slot = self.fields.iter().position(|field| &*field.name == name)?;
        Some((slot as FieldId, self.fields[slot].kind))
    }
}

/// The name of the event type whose fields are the customer's attributes.
pub const PROFILE: &str = "profile";

/// All event types, by name and by number.
///
/// Numbers must mean the same in every store, whatever was dropped into the schema folder and when. So the types that
/// ship with Tocsin have fixed ones, and any other takes its number from a hash of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    types: Vec<EventType>,
}

const SHIPPED: [&str; 6] = ["purchase", "interaction", "complaint", "feedback", PROFILE, "score"];
const FIRST_HASHED: u32 = 64;
const HASHED: u32 = 16_384 - FIRST_HASHED;

impl Catalog {
    /// The number of the type called `name`.
    #[must_use]
    pub fn type_id(name: &str) -> TypeId {
        match SHIPPED.iter().position(|shipped| *shipped == name) {
            Some(place) => place as TypeId,
            None => (FIRST_HASHED + stable_hash(name) as u32 % HASHED) as TypeId,
        }
    }

    /// Adds a type.
    ///
    /// # Errors
    /// If a type of that name, or one whose number is the same, is there already.
    pub fn add(&mut self, name: &str, fields: Vec<Field>, open: bool) -> Result<TypeId, String> {
        let id = Self::type_id(name);
        if let Some(other) = self.get(id) {
            return Err(if &*other.name == name {
                format!("the event type `{name}` is defined twice")
            } else {
                format!("the event types `{name}` and `{}` share the number {id}; rename one of them", other.name)
            });
        }
        let place = self.types.partition_point(|other| other.id < id);
        self.types.insert(place, EventType { id, name: name.into(), fields, open });
        Ok(id)
    }

    #[inline]
    #[must_use]
    pub fn get(&self, id: TypeId) -> Option<&EventType> {
        let place = self.types.binary_search_by_key(&id, |event_type| event_type.id).ok()?;
        Some(&self.types[place])
    }

    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&EventType> {
        self.types.iter().find(|event_type| &*event_type.name == name)
    }

    /// Every type, by number.
    #[must_use]
    pub fn types(&self) -> &[EventType] {
        &self.types
    }
}

/// FNV-1a, 64 bits: the same on every machine and in every release. Source: Fowler, Noll, Vo, RFC 9923.
#[must_use]
pub fn stable_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// An event on its way into a timeline.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    pub customer_id: &'a str,
    pub occurred_at: Millis,
    pub record: Record<'a>,
}

/// A packed event without its customer and time, read in place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<'a> {
    bytes: &'a [u8],
    type_id: TypeId,
    id: &'a [u8],
    fields: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the head of a record; `None` if the bytes are not one.
    #[inline]
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        Self::scan(bytes).filter(|record| std::str::from_utf8(record.id).is_ok())
    }

    /// The same for bytes that have been parsed before: the id is not looked into again.
    #[inline]
    #[must_use]
    pub fn scan(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let type_id = TypeId::try_from(reader.unsigned()?).ok()?;
        let id = reader.bytes()?;
        Some(Self { bytes, type_id, id, fields: reader.rest() })
    }

    /// The type alone, without reading the id: most scans only want to skip.
    #[inline]
    #[must_use]
    pub fn peek_type(bytes: &[u8]) -> Option<TypeId> {
        TypeId::try_from(Reader::new(bytes).unsigned()?).ok()
    }

    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    #[must_use]
    pub fn type_id(&self) -> TypeId {
        self.type_id
    }

    #[must_use]
    pub fn id(&self) -> &'a str {
        // It was text when the record came; see `scan`.
        std::str::from_utf8(self.id).unwrap_or_default()
    }

    /// The fields that are there, in the order they were written.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(self.fields)
    }

    /// The field at `slot`, null if the event lacks it.
    #[inline]
    #[must_use]
    pub fn field(&self, slot: FieldId) -> Value<'a> {
        self.raw_field(slot).map_or(Value::Null, FieldValue::value)
    }

    /// The field at `slot` as it was packed, for exact arithmetic.
    #[inline]
    #[must_use]
    pub fn raw_field(&self, slot: FieldId) -> Option<FieldValue<'a>> {
        self.fields().find(|(name, _)| *name == FieldName::Slot(slot)).map(|(_, value)| value)
    }

    /// The extra field called `name`, null if the event lacks it.
    #[must_use]
    pub fn extra(&self, name: &str) -> Value<'a> {
        self.fields().find(|(field, _)| *field == FieldName::Extra(name)).map_or(Value::Null, |(_, raw)| raw.value())
    }
}

/// How a field of a record is named: by slot, or by text if its type is open and the schema does not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldName<'a> {
    Slot(FieldId),
    Extra(&'a str),
}

/// A field as it is packed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue<'a> {
    Bool(bool),
    Decimal(Decimal),
    Number(f64),
    Text(&'a str),
}

impl<'a> FieldValue<'a> {
    /// What a condition sees.
    #[inline]
    #[must_use]
    pub fn value(self) -> Value<'a> {
        match self {
            Self::Bool(b) => Value::Bool(b),
            Self::Decimal(d) => Value::Number(d.to_f64()),
            Self::Number(x) => Value::Number(x),
            Self::Text(text) => Value::Text(text),
        }
    }

    /// What an aggregate adds up: number fields that are not decimals are taken over the decimals nearest to them.
    #[inline]
    #[must_use]
    pub fn decimal(self) -> Option<Decimal> {
        match self {
            Self::Decimal(d) => Some(d),
            Self::Number(x) => Decimal::from_f64(x),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }
}

/// Iterator over the fields of a record.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    reader: Reader<'a>,
}

impl<'a> Fields<'a> {
    /// Reads fields in the layout of records, as [`write_field`] packs them.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes) }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (FieldName<'a>, FieldValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        read_field(&mut self.reader)
    }
}

const KIND_FALSE: u64 = 0;
const KIND_TRUE: u64 = 1;
const KIND_DECIMAL: u64 = 2;
const KIND_DOUBLE: u64 = 3;
const KIND_WHOLE: u64 = 4;
const KIND_TEXT: u64 = 5;
const KIND_EXTRA: u64 = 6;

fn read_field<'a>(reader: &mut Reader<'a>) -> Option<(FieldName<'a>, FieldValue<'a>)> {
    let head = reader.unsigned()?;
    let slot = FieldId::try_from(head >> 3).ok()?;
    let value = match head & 7 {
        KIND_FALSE => FieldValue::Bool(false),
        KIND_TRUE => FieldValue::Bool(true),
        KIND_DECIMAL => FieldValue::Decimal(Decimal(reader.signed()?)),
        KIND_DOUBLE => FieldValue::Number(f64::from_le_bytes(reader.array()?)),
        KIND_WHOLE => FieldValue::Number(reader.signed()? as f64),
        KIND_TEXT => FieldValue::Text(reader.text()?),
        KIND_EXTRA => {
            let name = reader.text()?;
            // An extra holds a plain value; one nested in another is no record of ours.
            if reader.rest().first().is_some_and(|head| u64::from(*head) == KIND_EXTRA) {
                return None;
            }
            return read_field(reader).map(|(_, value)| (FieldName::Extra(name), value));
        }
        _ => return None,
    };
    Some((FieldName::Slot(slot), value))
}

/// Packs events, one after the other, into a buffer that it keeps.
#[derive(Clone, Debug, Default)]
pub struct RecordWriter {
    bytes: Vec<u8>,
}

impl RecordWriter {
    /// Starts a record, dropping what the writer held.
    pub fn begin(&mut self, type_id: TypeId, id: &str) {
        self.bytes.clear();
        varint::put(&mut self.bytes, u64::from(type_id));
        varint::put_bytes(&mut self.bytes, id.as_bytes());
    }

    /// Adds a field of the schema.
    pub fn field(&mut self, slot: FieldId, value: FieldValue<'_>) {
        write_field(&mut self.bytes, slot, value);
    }

    /// Adds a field that the schema does not have, to an event of an open type.
    pub fn extra(&mut self, name: &str, value: FieldValue<'_>) {
        self.bytes.push(KIND_EXTRA as u8);
        varint::put_bytes(&mut self.bytes, name.as_bytes());
        write_field(&mut self.bytes, 0, value);
    }

    /// The record written since [`RecordWriter::begin`].
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As [`RecordWriter::bytes`], ready to read; `None` before the first [`RecordWriter::begin`].
    #[must_use]
    pub fn record(&self) -> Option<Record<'_>> {
        Record::parse(&self.bytes)
    }
}

/// Appends one field in the layout of this module; also how attributes are packed.
pub fn write_field(out: &mut Vec<u8>, slot: FieldId, value: FieldValue<'_>) {
    let mut head = |kind: u64| varint::put(out, u64::from(slot) << 3 | kind);
    match value {
        FieldValue::Bool(false) => head(KIND_FALSE),
        FieldValue::Bool(true) => head(KIND_TRUE),
        FieldValue::Decimal(decimal) => {
            head(KIND_DECIMAL);
            varint::put_signed(out, decimal.0);
        }
        FieldValue::Number(x) if x.fract() == 0.0 && x.abs() < 1e15 && !(x == 0.0 && x.is_sign_negative()) => {
            head(KIND_WHOLE);
            varint::put_signed(out, x as i64);
        }
        FieldValue::Number(x) => {
            head(KIND_DOUBLE);
            out.extend_from_slice(&x.to_le_bytes());
        }
        FieldValue::Text(text) => {
            head(KIND_TEXT);
            varint::put_bytes(out, text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_what_was_written() {
        let mut writer = RecordWriter::default();
        writer.begin(300, "p-1");
        let fields = [
            (0, FieldValue::Decimal(Decimal(199_900))),
            (1, FieldValue::Text("EUR")),
            (2, FieldValue::Number(3.0)),
            (7, FieldValue::Number(-0.25)),
            (40, FieldValue::Bool(true)),
        ];
        for (slot, value) in fields {
            writer.field(slot, value);
        }
        writer.extra("vip", FieldValue::Bool(false));
        let record = writer.record().unwrap();
        assert_eq!((record.type_id(), record.id()), (300, "p-1"));
        for (slot, value) in fields {
            assert_eq!(record.raw_field(slot), Some(value));
        }
        assert_eq!(record.field(0), Value::Number(19.99));
        assert_eq!(record.field(3), Value::Null);
        assert_eq!(record.extra("vip"), Value::Bool(false));
        assert_eq!(record.extra("nobody"), Value::Null);
    }

    #[test]
    fn damaged_bytes_are_no_record_and_no_panic() {
        let mut writer = RecordWriter::default();
        writer.begin(1, "some-id");
        writer.extra("x", FieldValue::Text("y"));
        let bytes = writer.bytes().to_vec();
        for cut in 0..bytes.len() {
            if let Some(record) = Record::parse(&bytes[..cut]) {
                record.fields().for_each(drop);
            }
        }
        assert!(Record::parse(&[0, 2, 0xff, 0xfe]).is_none());
    }

    #[test]
    fn type_numbers_do_not_depend_on_the_order_of_schemas() {
        let mut one = Catalog::default();
        let mut two = Catalog::default();
        for name in ["purchase", "visit", "score"] {
            one.add(name, Vec::new(), false).unwrap();
        }
        for name in ["score", "visit", "purchase"] {
            two.add(name, Vec::new(), false).unwrap();
        }
        assert_eq!(one, two);
        assert!(one.add("visit", Vec::new(), false).unwrap_err().contains("twice"));
    }
}
