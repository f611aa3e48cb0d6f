//! Events as Avro single objects: for tests, demonstrations and the tools that make events up.

use super::avro::{put_bytes, put_double, put_header, put_long, put_text, put_unscaled};
use super::decode::{Decoder, Malformed};
use super::schemas::{Schemas, Step, Target, TypeSchema, Wire};
use std::sync::Arc;
use tocsin_core::decimal::Decimal;
use tocsin_core::event::{Event, FieldName, FieldValue, Record};

/// Encodes JSON events in Avro, one after the other.
#[derive(Debug)]
pub struct Encoder {
    decoder: Decoder,
}

impl Encoder {
    #[must_use]
    pub fn new(schemas: Arc<Schemas>) -> Self {
        Self { decoder: Decoder::new(schemas.keeping_all()) }
    }

    /// Appends an event, given as a JSON object, to `out`.
    ///
    /// # Errors
    /// If the payload is no event, or holds what its Avro schema cannot: a fraction in a whole number, a text that is
    /// no symbol of its enum, a decimal of too many digits, or nothing where the field is not nullable. Then `out` is
    /// as it was.
    pub fn encode(&mut self, json: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let schemas = Arc::clone(self.decoder.schemas());
        encode_event(&schemas, &self.decoder.decode(json)?, out)
    }
}

/// Appends an event to `out`.
///
/// # Errors
/// As [`Encoder::encode`]; also if the type of the event is not in `schemas`.
pub fn encode_event(schemas: &Schemas, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let type_id = event.record.type_id();
    let schema = schemas.by_id(type_id).ok_or_else(|| Malformed::unknown_type(&format!("number {type_id}")))?;
    let start = out.len();
    put_header(out, schema.fingerprint);
    for step in &schema.plan.steps {
        if let Err(error) = put_step(out, schema, step, event) {
            out.truncate(start);
            return Err(error);
        }
    }
    Ok(())
}

fn put_step(out: &mut Vec<u8>, schema: &TypeSchema, step: &Step, event: &Event<'_>) -> Result<(), Malformed> {
    match step.target {
        Target::Id => put_text(out, event.record.id()),
        Target::Type => put_text(out, &schema.name),
        Target::CustomerId => put_text(out, event.customer_id),
        Target::OccurredAt => put_long(out, event.occurred_at),
        Target::Slot(slot) => put_field(out, step, event.record.raw_field(slot))?,
        Target::Extras => put_extras(out, step, event.record)?,
    }
    Ok(())
}

fn put_field(out: &mut Vec<u8>, step: &Step, value: Option<FieldValue<'_>>) -> Result<(), Malformed> {
    match (step.null, value) {
        (None, None) => return Err(Malformed::missing_field(&step.name)),
        (Some(null), None) => put_long(out, i64::from(null)),
        (null, Some(value)) => {
            if let Some(null) = null {
                put_long(out, i64::from(1 - null));
            }
            put_value(out, &step.wire, value).ok_or_else(|| misfit(&step.name, value))?;
        }
    }
    Ok(())
}

fn misfit(field: &str, value: FieldValue<'_>) -> Malformed {
    let found = match value {
        FieldValue::Bool(b) => b.to_string(),
        FieldValue::Decimal(decimal) => decimal.to_f64().to_string(),
        FieldValue::Number(x) => x.to_string(),
        FieldValue::Text(text) => format!("`{text}`"),
    };
    Malformed::out_of_range(field, &format!("{found} does not fit its Avro type"))
}

/// Writes a value; `None` if the type on the wire cannot hold it.
fn put_value(out: &mut Vec<u8>, wire: &Wire, value: FieldValue<'_>) -> Option<()> {
    match (wire, value) {
        (Wire::Text, FieldValue::Text(text)) => put_text(out, text),
        (Wire::Symbol(symbols), FieldValue::Text(text)) => {
            put_long(out, symbols.iter().position(|symbol| **symbol == *text)? as i64);
        }
        (Wire::Bool, FieldValue::Bool(b)) => out.push(u8::from(b)),
        (Wire::Int, FieldValue::Number(x)) => put_long(out, whole(x).filter(|whole| i32::try_from(*whole).is_ok())?),
        (Wire::Long, FieldValue::Number(x)) => put_long(out, whole(x)?),
        (Wire::Float, FieldValue::Number(x)) => {
            let short = x as f32;
            if f64::from(short) != x {
                return None;
            }
            out.extend_from_slice(&short.to_le_bytes());
        }
        (Wire::Double, FieldValue::Number(x)) => put_double(out, x),
        (Wire::Decimal { precision, scale }, FieldValue::Decimal(decimal)) => {
            put_unscaled(out, unscaled(decimal, *precision, *scale)?);
        }
        _ => return None,
    }
    Some(())
}

fn whole(x: f64) -> Option<i64> {
    // Numbers of events are far below 2^63, see `decode`.
    (x.fract() == 0.0).then_some(x as i64)
}

/// The decimal as a count of units of its schema, exactly.
fn unscaled(decimal: Decimal, precision: u32, scale: u32) -> Option<i128> {
    const OWN_SCALE: u32 = 4;
    let units = i128::from(decimal.0);
    let unscaled = if scale >= OWN_SCALE {
        units.checked_mul(10_i128.checked_pow(scale - OWN_SCALE)?)?
    } else {
        let divisor = 10_i128.pow(OWN_SCALE - scale);
        (units % divisor == 0).then_some(units / divisor)?
    };
    let fits = 10_i128.checked_pow(precision).is_none_or(|bound| unscaled.abs() < bound);
    fits.then_some(unscaled)
}

fn put_extras(out: &mut Vec<u8>, step: &Step, record: Record<'_>) -> Result<(), Malformed> {
    let Wire::Extras(branches) = &step.wire else { return Err(Malformed::missing_field(&step.name)) };
    if let Some(null) = step.null {
        put_long(out, i64::from(1 - null));
    }
    let extras = || {
        record.fields().filter_map(|(name, value)| match name {
            FieldName::Extra(name) => Some((name, value)),
            FieldName::Slot(_) => None,
        })
    };
    let count = extras().count();
    if count > 0 {
        put_long(out, count as i64);
    }
    for (name, value) in extras() {
        put_bytes(out, name.as_bytes());
        put_branch(out, branches, value).ok_or_else(|| misfit(name, value))?;
    }
    put_long(out, 0);
    Ok(())
}

/// Writes an extra as the first branch of the union that can hold it.
fn put_branch(out: &mut Vec<u8>, branches: &[Option<Wire>], value: FieldValue<'_>) -> Option<()> {
    let start = out.len();
    for (branch, wire) in branches.iter().enumerate() {
        put_long(out, branch as i64);
        if wire.as_ref().is_some_and(|wire| put_value(out, wire, value).is_some()) {
            return Some(());
        }
        out.truncate(start);
    }
    None
}
