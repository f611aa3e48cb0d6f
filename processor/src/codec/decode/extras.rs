//! Fields that the schema of an open type does not name.

use super::{EXTRAS_MAX, Malformed};
use std::borrow::Cow;
use tocsin_core::event::{FieldValue, RecordWriter};

/// The value of an extra.
#[derive(Clone, Debug)]
pub(super) enum Scalar<'p> {
    Bool(bool),
    Number(f64),
    Text(Cow<'p, str>),
}

/// The extras of one event, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Extras<'p> {
    held: Vec<(Cow<'p, str>, Option<Scalar<'p>>)>,
}

impl<'p> Extras<'p> {
    /// Adds an extra; a null takes back an earlier one of that name.
    pub fn push(&mut self, name: Cow<'p, str>, value: Option<Scalar<'p>>) -> Result<(), Malformed> {
        if self.held.len() == EXTRAS_MAX {
            return Err(Malformed::too_large(format!("more than {EXTRAS_MAX} fields that the schema does not have")));
        }
        self.held.push((name, value));
        Ok(())
    }

    /// Writes them by name, of each name the last.
    pub fn write(mut self, writer: &mut RecordWriter) {
        // The sort is stable, so the last of a name is still the last of its run.
        self.held.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (place, (name, value)) in self.held.iter().enumerate() {
            if self.held.get(place + 1).is_some_and(|(next, _)| next == name) {
                continue;
            }
            match value {
                None => {}
                Some(Scalar::Bool(b)) => writer.extra(name, FieldValue::Bool(*b)),
                Some(Scalar::Number(x)) => writer.extra(name, FieldValue::Number(*x)),
                Some(Scalar::Text(text)) => writer.extra(name, FieldValue::Text(text)),
            }
        }
    }
}

/// Whether an extra may not be called so: rules could not tell it from a common field.
pub(super) fn is_reserved(name: &str) -> bool {
    matches!(name, "id" | "type" | "customer_id" | "occurred_at" | "extras")
}
