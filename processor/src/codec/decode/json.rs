//! A flat JSON object to a record.

use super::extras::{Extras, Scalar, is_reserved};
use super::scan::{self, Kind, Member, unescape};
use super::{Buffers, CustomerId, Head, Malformed, checked_id, checked_instant, checked_number};
use crate::codec::schemas::{Field, Plan, Schemas, TypeSchema};
use crate::codec::timestamp;
use std::borrow::Cow;
use tocsin_core::decimal::Decimal;
use tocsin_core::event::{FieldId, FieldKind, FieldValue, RecordWriter};
use tocsin_core::time::Millis;

/// The member that holds further extras, if the type is open.
const EXTRAS: &[u8] = b"extras";
/// An entry of [`Buffers::slots`] that nothing fills.
const NONE: u32 = u32::MAX;

/// The common fields; of each the last that came.
#[derive(Default)]
struct Common {
    id: Option<Member>,
    event_type: Option<Member>,
    customer_id: Option<Member>,
    occurred_at: Option<Member>,
}

/// Writes the event to `buffers.writer`; returns its head and the number of ignored fields.
pub(super) fn decode<'p>(
    schemas: &Schemas,
    buffers: &mut Buffers,
    payload: &'p [u8],
) -> Result<(Head<'p>, u64), Malformed> {
    let text = std::str::from_utf8(payload)
        .map_err(|error| Malformed::not_json(error.valid_up_to(), "the text is not UTF-8"))?;
    buffers.members.clear();
    let end = scan::members(text, 0, &mut buffers.members)?;
    scan::nothing_follows(text, end)?;
    let common = take_common(text, buffers);
    let schema = schema(schemas, text, &common, &mut buffers.scratch)?;
    let id = identifier(text, "id", common.id, &mut buffers.scratch)?.unwrap_or(&buffers.scratch);
    buffers.writer.begin(schema.type_id, id);
    let customer_id = match identifier(text, "customer_id", common.customer_id, &mut buffers.customer_id)? {
        Some(in_payload) => CustomerId::InPayload(in_payload),
        None => CustomerId::InBuffer,
    };
    let occurred_at = occurred_at(text, common.occurred_at, &mut buffers.scratch)?;
    let ignored = fields(text, &schema.plan, buffers)?;
    Ok((Head { customer_id, occurred_at }, ignored))
}

/// The key of a member, its escapes resolved.
fn key<'t>(text: &'t str, member: &Member) -> Cow<'t, str> {
    resolved(member.key.of(text), member.key_escaped)
}

/// The same, to compare it; escapes are resolved in `buffer`.
#[inline]
fn key_bytes<'t>(text: &'t str, member: &Member, buffer: &'t mut String) -> &'t [u8] {
    if !member.key_escaped {
        return member.key.bytes_of(text);
    }
    unescape(member.key.of(text), buffer);
    buffer.as_bytes()
}

fn resolved(raw: &str, escaped: bool) -> Cow<'_, str> {
    if !escaped {
        return raw.into();
    }
    let mut plain = String::with_capacity(raw.len());
    unescape(raw, &mut plain);
    plain.into()
}

/// Finds the common fields among the members.
fn take_common(text: &str, buffers: &mut Buffers) -> Common {
    let mut common = Common::default();
    for member in &mut buffers.members {
        let place = match key_bytes(text, member, &mut buffers.scratch) {
            b"id" => &mut common.id,
            b"type" => &mut common.event_type,
            b"customer_id" => &mut common.customer_id,
            b"occurred_at" => &mut common.occurred_at,
            _ => continue,
        };
        *place = Some(*member);
        member.taken = true;
    }
    common
}

/// The value of a common field; null is as good as missing.
fn present(field: &str, member: Option<Member>) -> Result<Member, Malformed> {
    member.filter(|member| member.kind != Kind::Null).ok_or_else(|| Malformed::missing_field(field))
}

/// The text of a common field: from the payload, or, if it has escapes, in `buffer`.
fn common_text<'p>(
    text: &'p str,
    field: &str,
    member: Option<Member>,
    buffer: &mut String,
) -> Result<Option<&'p str>, Malformed> {
    let member = present(field, member)?;
    match member.kind {
        Kind::Text => Ok(Some(member.value.of(text))),
        Kind::EscapedText => {
            unescape(member.value.of(text), buffer);
            Ok(None)
        }
        other => Err(Malformed::wrong_type(field, "a text", other.describe())),
    }
}

fn schema<'s>(
    schemas: &'s Schemas,
    text: &str,
    common: &Common,
    scratch: &mut String,
) -> Result<&'s TypeSchema, Malformed> {
    let name = common_text(text, "type", common.event_type, scratch)?.unwrap_or(scratch);
    schemas.by_name(name).ok_or_else(|| Malformed::unknown_type(name))
}

fn identifier<'p>(
    text: &'p str,
    field: &str,
    member: Option<Member>,
    buffer: &mut String,
) -> Result<Option<&'p str>, Malformed> {
    let in_payload = common_text(text, field, member, buffer)?;
    checked_id(field, in_payload.unwrap_or(buffer))?;
    Ok(in_payload)
}

fn occurred_at(text: &str, member: Option<Member>, scratch: &mut String) -> Result<Millis, Malformed> {
    const FIELD: &str = "occurred_at";
    let member = present(FIELD, member)?;
    let at = match member.kind {
        Kind::Number => whole(member.value.of(text))?,
        Kind::Text | Kind::EscapedText => {
            let instant = common_text(text, FIELD, Some(member), scratch)?.unwrap_or(scratch);
            timestamp::parse(instant).ok_or_else(|| Malformed::bad_time(instant))?
        }
        other => return Err(Malformed::wrong_type(FIELD, "a text or a whole number", other.describe())),
    };
    checked_instant(at)
}

fn whole(number: &str) -> Result<Millis, Malformed> {
    // Digits that do not fit are an instant, though one far away; a fraction or an exponent is none.
    if number.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return Err(Malformed::bad_time(number));
    }
    Ok(number.parse().unwrap_or(Millis::MAX))
}

/// Writes all fields but the common ones; returns how many were ignored.
fn fields(text: &str, plan: &Plan, buffers: &mut Buffers) -> Result<u64, Malformed> {
    let Buffers { writer, members, slots, scratch, .. } = buffers;
    slots.clear();
    slots.resize(plan.fields.len(), NONE);
    let mut extras = Extras::default();
    let mut ignored = if plan.open { nested_extras(text, plan, members, &mut extras)? } else { 0 };
    let mut expected = 0;
    for (place, member) in members.iter().enumerate().filter(|(_, member)| !member.taken) {
        let name = key_bytes(text, member, scratch);
        if let Some(slot) = plan.slot(name, expected) {
            slots[slot] = place as u32;
            expected = slot + 1;
        } else if plan.open && name == EXTRAS {
            // Done before, so that the flat form wins.
        } else {
            ignored += extra(text, plan, member, &mut extras)?;
        }
    }
    for (slot, (field, place)) in plan.fields.iter().zip(slots.iter()).enumerate() {
        if let Some(member) = members.get(*place as usize) {
            field_value(text, field, slot as FieldId, member, scratch, writer)?;
        }
    }
    extras.write(writer);
    Ok(ignored)
}

/// The members of the last `extras` object, if there is one.
fn nested_extras<'p>(
    text: &'p str,
    plan: &Plan,
    members: &[Member],
    extras: &mut Extras<'p>,
) -> Result<u64, Malformed> {
    let is_extras = |member: &&Member| key(text, member).as_bytes() == EXTRAS;
    let Some(object) = members.iter().rfind(is_extras) else { return Ok(0) };
    match object.kind {
        Kind::Null => return Ok(0),
        Kind::Object => {}
        other => return Err(Malformed::wrong_type("extras", "an object", other.describe())),
    }
    let mut nested = Vec::new();
    scan::members(text, object.value.start(), &mut nested)?;
    let mut ignored = 0;
    for member in &nested {
        let name = key(text, member);
        if is_reserved(&name) || plan.slot(name.as_bytes(), 0).is_some() {
            ignored += 1;
        } else {
            ignored += extra(text, plan, member, extras)?;
        }
    }
    Ok(ignored)
}

/// Keeps a field that the schema does not have, if the type is open and the value plain; else 1 for one ignored field.
fn extra<'p>(text: &'p str, plan: &Plan, member: &Member, extras: &mut Extras<'p>) -> Result<u64, Malformed> {
    if !plan.open {
        return Ok(1);
    }
    let name = key(text, member);
    let raw = member.value.of(text);
    let value = match member.kind {
        Kind::Object | Kind::Array => return Ok(1),
        Kind::Null => None,
        Kind::True => Some(Scalar::Bool(true)),
        Kind::False => Some(Scalar::Bool(false)),
        Kind::Number => Some(Scalar::Number(checked_number(&name, double(raw))?)),
        Kind::Text => Some(Scalar::Text(raw.into())),
        Kind::EscapedText => Some(Scalar::Text(resolved(raw, true))),
    };
    extras.push(name, value)?;
    Ok(0)
}

/// The double nearest to a JSON number; infinite if it is too large for one.
#[inline]
fn double(number: &str) -> f64 {
    // The grammar of JSON is a part of the one that is read here.
    number.parse().unwrap_or(f64::INFINITY)
}

/// Checks one field of the schema, and writes it if it is kept.
#[inline]
fn field_value(
    text: &str,
    field: &Field,
    slot: FieldId,
    member: &Member,
    scratch: &mut String,
    writer: &mut RecordWriter,
) -> Result<(), Malformed> {
    let raw = member.value.of(text);
    let value = match (field.kind, member.kind) {
        (_, Kind::Null) => return Ok(()),
        (FieldKind::Text, Kind::Text) => FieldValue::Text(raw),
        (FieldKind::Text, Kind::EscapedText) => {
            unescape(raw, scratch);
            FieldValue::Text(scratch)
        }
        (FieldKind::Bool, Kind::True) => FieldValue::Bool(true),
        (FieldKind::Bool, Kind::False) => FieldValue::Bool(false),
        (FieldKind::Number, Kind::Number) => FieldValue::Number(checked_number(&field.name, double(raw))?),
        (FieldKind::Decimal, Kind::Number) => FieldValue::Decimal(
            Decimal::from_f64(double(raw)).ok_or_else(|| Malformed::number_out_of_range(&field.name, raw))?,
        ),
        (FieldKind::Decimal, Kind::Text | Kind::EscapedText) => {
            unescape(raw, scratch);
            FieldValue::Decimal(exact_decimal(&field.name, scratch)?)
        }
        (kind, found) => return Err(Malformed::wrong_type(&field.name, expected(kind), found.describe())),
    };
    if field.kept {
        writer.field(slot, value);
    }
    Ok(())
}

fn exact_decimal(field: &str, text: &str) -> Result<Decimal, Malformed> {
    Decimal::parse(text).ok_or_else(|| {
        if scan::is_number(text) {
            Malformed::number_out_of_range(field, text)
        } else {
            Malformed::wrong_type(field, expected(FieldKind::Decimal), "another text")
        }
    })
}

fn expected(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "a text",
        FieldKind::Bool => "a bool",
        FieldKind::Number => "a number",
        FieldKind::Decimal => "a number, or a text that holds one,",
    }
}
