//! A customer's attributes: for each, the value in the latest `profile` event that carries it. Kept for good.

use thin_vec::ThinVec;

use crate::event::{FieldName, Record};
use crate::expr::AttributeRef;
use crate::time::Millis;
use crate::value::{OwnedValue, Value};

/// One attribute and the time of the `profile` event it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    pub name: AttributeRef,
    pub since: Millis,
    pub value: OwnedValue,
}

/// All attributes of a customer, in the order in which they first came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    held: ThinVec<Attribute>,
}

impl Attributes {
    /// Takes over what a `profile` event carries, but for what a later event has said already. Of events at one
    /// instant the one that arrived last counts. Returns whether anything changed.
    pub fn apply(&mut self, occurred_at: Millis, record: Record<'_>) -> bool {
        self.apply_telling(occurred_at, record, |_| ())
    }

    /// The same; `replaced` is told what was there before.
    pub fn apply_telling(
        &mut self,
        occurred_at: Millis,
        record: Record<'_>,
        mut replaced: impl FnMut(Attribute),
    ) -> bool {
        let mut changed = false;
        for (name, value) in record.fields() {
            let value = value.value().to_owned();
            match self.held.iter_mut().find(|attribute| attribute.name.is(name)) {
                Some(attribute) if attribute.since > occurred_at => {}
                Some(attribute) => {
                    // The time too: it decides which later arrival counts, so it must get into the row.
                    changed |= attribute.since != occurred_at || attribute.value != value;
                    let name = attribute.name.clone();
                    replaced(std::mem::replace(attribute, Attribute { name, since: occurred_at, value }));
                }
                None => {
                    self.held.push(Attribute { name: name.into(), since: occurred_at, value });
                    changed = true;
                }
            }
        }
        changed
    }

    /// Where they lie, to be fetched.
    #[must_use]
    pub fn as_ptr(&self) -> *const Attribute {
        self.held.as_ptr()
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    #[inline]
    #[must_use]
    pub fn value(&self, name: &AttributeRef) -> Value<'_> {
        self.get(name).map_or(Value::Null, |attribute| attribute.value.borrow())
    }

    #[inline]
    #[must_use]
    pub fn get(&self, name: &AttributeRef) -> Option<&Attribute> {
        self.held.iter().find(|attribute| attribute.name == *name)
    }

    /// Puts one in, unless there is a later one of its name.
    pub fn put(&mut self, attribute: Attribute) {
        match self.held.iter_mut().find(|other| other.name == attribute.name) {
            Some(other) if other.since > attribute.since => {}
            Some(other) => *other = attribute,
            None => self.held.push(attribute),
        }
    }

    /// Keeps those that `keeps` says.
    pub fn retain(&mut self, keeps: impl FnMut(&Attribute) -> bool) {
        self.held.retain(keeps);
    }

    /// Every attribute, for packing.
    pub fn iter(&self) -> std::slice::Iter<'_, Attribute> {
        self.held.iter()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

impl FromIterator<Attribute> for Attributes {
    fn from_iter<I: IntoIterator<Item = Attribute>>(attributes: I) -> Self {
        Self { held: attributes.into_iter().collect() }
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = &'a Attribute;
    type IntoIter = std::slice::Iter<'a, Attribute>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl AttributeRef {
    /// Whether it is the field of this name.
    #[must_use]
    pub fn is(&self, name: FieldName<'_>) -> bool {
        match (self, name) {
            (Self::Slot(own), FieldName::Slot(other)) => *own == other,
            (Self::Extra(own), FieldName::Extra(other)) => **own == *other,
            _ => false,
        }
    }
}

impl From<FieldName<'_>> for AttributeRef {
    fn from(name: FieldName<'_>) -> Self {
        match name {
            FieldName::Slot(slot) => Self::Slot(slot),
            FieldName::Extra(name) => Self::Extra(name.into()),
        }
    }
}
