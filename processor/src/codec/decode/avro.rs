//! An Avro single object to a record, by the plan of its schema.

use super::extras::{Extras, Scalar, is_reserved};
use super::{CustomerId, Head, Malformed, checked_id, checked_instant, checked_number};
use crate::codec::avro::{Reader, split_header};
use crate::codec::schemas::{Plan, Schemas, Step, Target, TypeSchema, Wire};
use std::borrow::Cow;
use tocsin_core::decimal::Decimal;
use tocsin_core::event::{FieldValue, RecordWriter};
use tocsin_core::time::Millis;

/// The common fields.
#[derive(Default)]
struct Common<'p> {
    id: &'p str,
    customer_id: &'p str,
    occurred_at: Millis,
}

/// Where the other fields go.
struct Output<'w, 'p> {
    writer: &'w mut RecordWriter,
    extras: Extras<'p>,
    ignored: u64,
}

/// Writes the event to `writer`; returns its head and the number of ignored fields.
pub(super) fn decode<'p>(
    schemas: &Schemas,
    writer: &mut RecordWriter,
    payload: &'p [u8],
) -> Result<(Head<'p>, u64), Malformed> {
    let (fingerprint, datum) = split_header(payload).ok_or_else(|| Malformed::unknown_schema(None))?;
    let schema = schemas.by_fingerprint(fingerprint).ok_or_else(|| Malformed::unknown_schema(Some(fingerprint)))?;
    let mut common = Common::default();
    let mut output = Output { writer, extras: Extras::default(), ignored: 0 };
    if !schema.plan.id_first {
        // A record begins with the event's id; where that comes late, the fields before it are read twice.
        walk(schema, datum, &mut common, None)?;
        output.writer.begin(schema.type_id, common.id);
    }
    walk(schema, datum, &mut common, Some(&mut output))?;
    output.extras.write(output.writer);
    let head = Head { customer_id: CustomerId::InPayload(common.customer_id), occurred_at: common.occurred_at };
    Ok((head, output.ignored))
}

/// Reads every field of the datum; without an output only the common ones are kept.
fn walk<'p>(
    schema: &TypeSchema,
    datum: &'p [u8],
    common: &mut Common<'p>,
    mut output: Option<&mut Output<'_, 'p>>,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(datum);
    for step in &schema.plan.steps {
        let damaged = || Malformed::not_avro(&step.name);
        match step.target {
            Target::Id => {
                common.id = checked_id("id", reader.text().ok_or_else(damaged)?)?;
                if let Some(output) = output.as_deref_mut().filter(|_| schema.plan.id_first) {
                    output.writer.begin(schema.type_id, common.id);
                }
            }
            Target::Type => {
                let claimed = reader.text().ok_or_else(damaged)?;
                if *claimed != *schema.name {
                    return Err(Malformed::wrong_schema(&schema.name, claimed));
                }
            }
            Target::CustomerId => {
                common.customer_id = checked_id("customer_id", reader.text().ok_or_else(damaged)?)?;
            }
            Target::OccurredAt => common.occurred_at = checked_instant(reader.long().ok_or_else(damaged)?)?,
            Target::Slot(slot) => {
                if is_there(&mut reader, step)? {
                    let value = value(&mut reader, &step.wire, &step.name)?;
                    if let Some(output) = output.as_deref_mut().filter(|_| step.kept) {
                        output.writer.field(slot, value);
                    }
                }
            }
            Target::Extras => extras(&mut reader, step, &schema.plan, output.as_deref_mut())?,
        }
    }
    if reader.is_empty() { Ok(()) } else { Err(Malformed::trailing_bytes(reader.left())) }
}

/// Reads the branch of a union; a field that is no union is always there.
#[inline]
fn is_there(reader: &mut Reader<'_>, step: &Step) -> Result<bool, Malformed> {
    let Some(null) = step.null else { return Ok(true) };
    match reader.long() {
        Some(branch @ (0 | 1)) => Ok(branch != i64::from(null)),
        _ => Err(Malformed::not_avro(&step.name)),
    }
}

/// Reads a plain value.
#[inline]
fn value<'v, 'p: 'v>(reader: &mut Reader<'p>, wire: &'v Wire, field: &str) -> Result<FieldValue<'v>, Malformed> {
    let damaged = || Malformed::not_avro(field);
    Ok(match wire {
        Wire::Text => FieldValue::Text(reader.text().ok_or_else(damaged)?),
        Wire::Symbol(symbols) => {
            let place = reader.int().and_then(|place| usize::try_from(place).ok());
            FieldValue::Text(place.and_then(|place| symbols.get(place)).ok_or_else(damaged)?)
        }
        Wire::Bool => FieldValue::Bool(reader.boolean().ok_or_else(damaged)?),
        Wire::Decimal { scale, .. } => {
            let unscaled = reader.bytes().ok_or_else(damaged)?;
            let decimal = decimal(unscaled, *scale);
            FieldValue::Decimal(decimal.ok_or_else(|| Malformed::number_out_of_range(field, "this decimal"))?)
        }
        Wire::Int | Wire::Long | Wire::Float | Wire::Double => {
            FieldValue::Number(checked_number(field, number(reader, wire).ok_or_else(damaged)?)?)
        }
        Wire::Extras(_) => return Err(damaged()),
    })
}

#[inline]
fn number(reader: &mut Reader<'_>, wire: &Wire) -> Option<f64> {
    match wire {
        Wire::Int => reader.int().map(f64::from),
        Wire::Long => reader.long().map(|whole| whole as f64),
        Wire::Float => reader.float().map(f64::from),
        _ => reader.double(),
    }
}

/// Big-endian two's complement, `scale` digits of it behind the point, rounded half-even; `None` beyond 64 bits.
fn decimal(unscaled: &[u8], scale: u32) -> Option<Decimal> {
    const OWN_SCALE: u32 = 4;
    let negative = unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
    let sign = if negative { 0xff } else { 0 };
    let mut bytes = [sign; 16];
    // A writer may put any number of sign bytes in front.
    let padding = unscaled.iter().take_while(|byte| **byte == sign).count();
    let significant = &unscaled[padding..];
    let start = bytes.len().checked_sub(significant.len())?;
    bytes[start..].copy_from_slice(significant);
    let unscaled = i128::from_be_bytes(bytes);
    if (unscaled < 0) != negative {
        return None;
    }
    let units = if scale <= OWN_SCALE {
        unscaled.checked_mul(10_i128.pow(OWN_SCALE - scale))?
    } else {
        match 10_i128.checked_pow(scale - OWN_SCALE) {
            Some(divisor) => divide_half_even(unscaled, divisor),
            None => 0,
        }
    };
    i64::try_from(units).ok().map(Decimal)
}

fn divide_half_even(dividend: i128, divisor: i128) -> i128 {
    let (quotient, remainder) = (dividend.div_euclid(divisor), dividend.rem_euclid(divisor));
    let up = match remainder.cmp(&(divisor - remainder)) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => quotient % 2 != 0,
        std::cmp::Ordering::Less => false,
    };
    quotient + i128::from(up)
}

/// Reads the map of extras.
fn extras<'p>(
    reader: &mut Reader<'p>,
    step: &Step,
    plan: &Plan,
    mut output: Option<&mut Output<'_, 'p>>,
) -> Result<(), Malformed> {
    let damaged = || Malformed::not_avro(&step.name);
    let Wire::Extras(branches) = &step.wire else { return Err(damaged()) };
    if !is_there(reader, step)? {
        return Ok(());
    }
    loop {
        let count = reader.block().ok_or_else(damaged)?;
        if count == 0 {
            return Ok(());
        }
        for _ in 0..count {
            let name = reader.text().ok_or_else(damaged)?;
            let branch = reader.long().and_then(|branch| branches.get(usize::try_from(branch).ok()?));
            let value = match branch.ok_or_else(damaged)? {
                None => None,
                Some(wire) => Some(scalar(reader, wire, name)?),
            };
            let Some(output) = output.as_deref_mut() else { continue };
            if is_reserved(name) || plan.slot(name.as_bytes(), 0).is_some() {
                output.ignored += 1;
            } else {
                output.extras.push(name.into(), value)?;
            }
        }
    }
}

fn scalar<'p>(reader: &mut Reader<'p>, wire: &Wire, name: &str) -> Result<Scalar<'p>, Malformed> {
    let damaged = || Malformed::not_avro(name);
    Ok(match wire {
        Wire::Text => Scalar::Text(Cow::Borrowed(reader.text().ok_or_else(damaged)?)),
        Wire::Bool => Scalar::Bool(reader.boolean().ok_or_else(damaged)?),
        number_wire => Scalar::Number(checked_number(name, number(reader, number_wire).ok_or_else(damaged)?)?),
    })
}
