//! What an expression yields, as far as that is known before any event: the static side of
//! [`tocsin_core::value::Value`].

use tocsin_core::event::FieldKind;
use tocsin_core::expr::{Arithmetic, Compare};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Number,
    Duration,
    Text,
    Null,
    /// Known only when it is there: an extra of a profile.
    Any,
}

impl Kind {
    pub(super) fn of_field(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Decimal | FieldKind::Number => Self::Number,
            FieldKind::Text => Self::Text,
            FieldKind::Bool => Self::Bool,
        }
    }

    /// With its article, for sentences.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Duration => "a duration",
            Self::Text => "a text",
            Self::Null => "null",
            Self::Any => "anything",
        }
    }

    /// Whether a value of this kind can equal one of the other.
    pub(super) fn can_equal(self, other: Self) -> bool {
        self == other || [self, other].iter().any(|kind| matches!(kind, Self::Null | Self::Any))
    }

    /// Whether there is an order between a value of this kind and one of the other.
    pub(super) fn can_order(self, other: Self) -> bool {
        self != Self::Null && other != Self::Null && self.can_equal(other)
    }

    /// Whether it may be what an operator asks for.
    pub(super) fn may_be(self, wanted: Self) -> bool {
        self == wanted || self == Self::Any
    }

    /// The kind of both branches of `?:`, if there is one.
    pub(super) fn common(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => None,
            (Self::Any, _) | (_, Self::Any) => Some(Self::Any),
            _ => (self == other).then_some(self),
        }
    }
}

/// What arithmetic yields; `None` if it is never defined.
pub(super) fn arithmetic(operator: Arithmetic, left: Kind, right: Kind) -> Option<Kind> {
    use Arithmetic::{Add, Divide, Multiply, Subtract};
    use Kind::{Any, Duration, Number};
    match (operator, left, right) {
        (_, Number, Number) | (Divide, Duration | Any, Duration) => Some(Number),
        (_, Number | Any, Number | Any) | (Divide, Duration, Any) => Some(Any),
        (Add | Subtract, Duration | Any, Duration | Any)
        | (Multiply, Duration, Number | Any)
        | (Multiply, Number | Any, Duration)
        | (Divide, Duration, Number) => Some(Duration),
        _ => None,
    }
}

pub(super) fn arithmetic_sign(operator: Arithmetic) -> &'static str {
    match operator {
        Arithmetic::Add => "+",
        Arithmetic::Subtract => "-",
        Arithmetic::Multiply => "*",
        Arithmetic::Divide => "/",
        Arithmetic::Remainder => "%",
    }
}

pub(super) fn compare_sign(compare: Compare) -> &'static str {
    match compare {
        Compare::Less => "<",
        Compare::LessOrEqual => "<=",
        Compare::Greater => ">",
        Compare::GreaterOrEqual => ">=",
    }
}

/// The comparison that says the same with its sides exchanged.
pub(super) fn mirrored(compare: Compare) -> Compare {
    match compare {
        Compare::Less => Compare::Greater,
        Compare::LessOrEqual => Compare::GreaterOrEqual,
        Compare::Greater => Compare::Less,
        Compare::GreaterOrEqual => Compare::LessOrEqual,
    }
}
