//! What an expression yields: one of a few scalar kinds, null, or undefined.

/// The value of a sub-expression at one instant, borrowed from the event or the rule it comes from.
///
/// All numbers are doubles. `Undefined` is what ordering or arithmetic on null or on different kinds yields; a
/// condition that is undefined as a whole counts as false.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    /// Milliseconds, not necessarily whole: `2.5 * rhythm`.
    Duration(f64),
    Text(&'a str),
}

impl Value<'_> {
    /// Equality as CEL has it: null equals only null, different kinds are unequal. `None` if either is undefined.
    #[must_use]
    pub fn equals(&self, other: &Value<'_>) -> Option<bool> {
        match (self, other) {
            (Value::Undefined, _) | (_, Value::Undefined) => None,
            (Value::Null, Value::Null) => Some(true),
            (Value::Bool(a), Value::Bool(b)) => Some(a == b),
            (Value::Number(a), Value::Number(b)) | (Value::Duration(a), Value::Duration(b)) => Some(a == b),
            (Value::Text(a), Value::Text(b)) => Some(a == b),
            _ => Some(false),
        }
    }

    /// Order within one kind; `None` where there is none.
    #[must_use]
    pub fn order(&self, other: &Value<'_>) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Value::Number(a), Value::Number(b)) | (Value::Duration(a), Value::Duration(b)) => a.partial_cmp(b),
            (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// An owned copy, for a record that outlives the judging.
    #[must_use]
    pub fn to_owned(&self) -> OwnedValue {
        match *self {
            Value::Undefined | Value::Null => OwnedValue::Null,
            Value::Bool(b) => OwnedValue::Bool(b),
            Value::Number(x) => OwnedValue::Number(x),
            Value::Duration(ms) => OwnedValue::Duration(ms),
            Value::Text(text) => OwnedValue::Text(text.into()),
        }
    }
}

/// A value that owns its text: constants of rules, attributes, values in an alert record.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedValue {
    Null,
    Bool(bool),
    Number(f64),
    /// Milliseconds.
    Duration(f64),
    Text(Box<str>),
}

impl OwnedValue {
    #[inline]
    #[must_use]
    pub fn borrow(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(*b),
            Self::Number(x) => Value::Number(*x),
            Self::Duration(ms) => Value::Duration(*ms),
            Self::Text(text) => Value::Text(text),
        }
    }
}
