//! What an expression yields, and how null and the undefined spread.

/// Undefined is a value here, so that "meets an undefined operand" can be written down case by case.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    /// In ms, as a double: a duration may be 2.5 times another one.
    Duration(f64),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Value {
    /// "A condition that is undefined as a whole counts as false"; so does a null one.
    pub fn is_true(&self) -> bool {
        *self == Value::Bool(true)
    }

    /// `==` works on anything but the undefined: null equals only null, values of different types are unequal.
    pub fn equals(&self, other: &Value) -> Value {
        match (self, other) {
            (Value::Undefined, _) | (_, Value::Undefined) => Value::Undefined,
            _ => Value::Bool(self == other),
        }
    }

    pub fn not(&self) -> Value {
        match self {
            Value::Bool(b) => Value::Bool(!b),
            _ => Value::Undefined,
        }
    }

    /// False absorbs whatever stands on the other side; null is as good as undefined.
    pub fn and(&self, other: &Value) -> Value {
        match (self, other) {
            (Value::Bool(false), _) | (_, Value::Bool(false)) => Value::Bool(false),
            (Value::Bool(true), Value::Bool(true)) => Value::Bool(true),
            _ => Value::Undefined,
        }
    }

    pub fn or(&self, other: &Value) -> Value {
        match (self, other) {
            (Value::Bool(true), _) | (_, Value::Bool(true)) => Value::Bool(true),
            (Value::Bool(false), Value::Bool(false)) => Value::Bool(false),
            _ => Value::Undefined,
        }
    }
}

/// Ordering is defined within one type; on null or on different types it is undefined.
pub fn ordered(order: Order, a: &Value, b: &Value) -> Value {
    let ordering = match (a, b) {
        (Value::Number(a), Value::Number(b)) | (Value::Duration(a), Value::Duration(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => None,
    };
    ordering.map_or(Value::Undefined, |ordering| {
        Value::Bool(match order {
            Order::Less => ordering.is_lt(),
            Order::AtMost => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::AtLeast => ordering.is_ge(),
        })
    })
}

/// Arithmetic on null or on types that do not go together, and a division by zero, is undefined.
pub fn computed(operator: Arithmetic, a: &Value, b: &Value) -> Value {
    use Arithmetic::{Add, Divide, Multiply, Subtract};
    use Value::{Duration, Number};
    match (operator, a, b) {
        (Divide, _, Number(0.0) | Duration(0.0)) => Value::Undefined,
        (Add, Number(a), Number(b)) => Number(a + b),
        (Subtract, Number(a), Number(b)) => Number(a - b),
        (Multiply, Number(a), Number(b)) => Number(a * b),
        (Divide, Number(a), Number(b)) | (Divide, Duration(a), Duration(b)) => Number(a / b),
        (Add, Duration(a), Duration(b)) => Duration(a + b),
        (Subtract, Duration(a), Duration(b)) => Duration(a - b),
        (Multiply, Duration(a), Number(b)) | (Multiply, Number(a), Duration(b)) => Duration(a * b),
        (Divide, Duration(a), Number(b)) => Duration(a / b),
        _ => Value::Undefined,
    }
}
