//! What the names in expressions and texts stand for.

use tocsin_core::event::{Catalog, EventType, FieldId, PROFILE};
use tocsin_core::expr::{AttributeRef, FieldRef};

use super::problem::{Complaint, listed, quoted};
use super::typing::Kind;

/// A value under `let`; its place among the others is its place in the rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    pub name: Box<str>,
    pub kind: NamedKind,
    /// Its definition in canonical form; see [`super::canonical`].
    pub canonical: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamedKind {
    Value(Kind),
    Silence,
    /// Refused already: what uses it is not to blame.
    Broken,
}

/// Which part of a rule an expression stands in, and so what it may look at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    /// Attributes of the customer.
    Scope,
    /// The event under `where` or `until`, whichever `key` says. Conditions over several types are resolved for one of them at a time.
    Where { of: &'a EventType, all: &'a [&'a EventType], key: &'static str },
    /// Attributes, named values and, of an item, its age and trigger.
    Condition,
}

/// What a rule's conditions and texts can name beside attributes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known<'a> {
    pub lets: &'a [Named],
    pub trigger: Trigger<'a>,
}

/// What opened the item that a condition or a text is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Trigger<'a> {
    /// There is no item.
    #[default]
    None,
    Of(&'a EventType),
    /// Refused already: what uses it is not to blame.
    Broken,
}

/// All names that an expression can reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    pub catalog: &'a Catalog,
    pub known: Known<'a>,
    pub part: Part<'a>,
}

/// What every event has beside the fields of its type.
pub(super) const COMMON: [&str; 4] = ["id", "type", "customer_id", "occurred_at"];
/// Words that a named value may not take: those of expressions, and those of texts.
pub(super) const RESERVED: [&str; 7] = ["age", "trigger", "event", "customer", "severity", "customer_id", "rule_id"];

/// About `age` and `trigger` in a rule that has no items.
pub(super) fn without_items(name: &str) -> Complaint {
    Complaint::new(format!("`{name}` belongs to rules with a `trigger`"))
}

/// Where `customer.NAME` is found. What the schema of `profile` does not have is an extra, and may be anything.
pub(super) fn attribute(catalog: &Catalog, name: &str) -> Result<(AttributeRef, Kind), Complaint> {
    if COMMON.contains(&name) {
        return Err(Complaint::new(format!("`{name}` belongs to events and is no attribute of the customer")));
    }
    let found = match catalog.by_name(PROFILE) {
        Some(profile) => field(name, profile)?,
        None => None,
    };
    Ok(match found {
        Some((slot, kind)) => (AttributeRef::Slot(slot), kind),
        None => (AttributeRef::Extra(name.into()), Kind::Any),
    })
}

/// The field of a type that is called `name`, if there is one; one that is not kept is refused.
pub(super) fn field(name: &str, of: &EventType) -> Result<Option<(FieldId, Kind)>, Complaint> {
    let Some((slot, kind)) = of.field(name) else { return Ok(None) };
    if of.fields.get(usize::from(slot)).is_some_and(|field| !field.kept) {
        let reason = format!(
            "the schema of `{}` says that {} is not kept (`tocsin.kept`), so no rule can use it",
            of.name,
            quoted(name)
        );
        return Err(reason.into());
    }
    Ok(Some((slot, Kind::of_field(kind))))
}

/// Whether the schema of `profile` has it; any other could be an extra.
pub(super) fn is_attribute(catalog: &Catalog, name: &str) -> bool {
    catalog.by_name(PROFILE).is_some_and(|profile| profile.field(name).is_some())
}

/// The event type called `name`.
pub(super) fn event_type<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a EventType, Complaint> {
    catalog.by_name(name).ok_or_else(|| {
        let names: Vec<&str> = catalog.types().iter().map(|event_type| &*event_type.name).collect();
        Complaint::unknown(format!("there is no event type {}", quoted(name)), name, names.iter().copied())
    })
}

/// Where `event.NAME` of one type is found; `None` if only another of the types has it.
pub(super) fn event_field(
    name: &str,
    of: &EventType,
    all: &[&EventType],
) -> Result<Option<(FieldRef, Kind)>, Complaint> {
    match name {
        "id" => return Ok(Some((FieldRef::Id, Kind::Text))),
        "type" => return Ok(Some((FieldRef::Type(of.name.clone()), Kind::Text))),
        "customer_id" => {
            return Err("a rule looks at one customer at a time; there is no `event.customer_id`".into());
        }
        "occurred_at" => return Err("the time of events is bounded by `over` and `offset`, not in `where`".into()),
        _ => {}
    }
    if let Some((slot, kind)) = field(name, of)? {
        return Ok(Some((FieldRef::Slot(slot), kind)));
    }
    if of.open {
        return Ok(Some((FieldRef::Extra(name.into()), Kind::Any)));
    }
    if all.iter().any(|other| other.open || other.field(name).is_some()) {
        return Ok(None);
    }
    Err(no_field(name, all, COMMON[..2].iter().copied()))
}

/// Where `trigger.NAME` is found.
pub(super) fn trigger_field(name: &str, of: &EventType) -> Result<(FieldRef, Kind), Complaint> {
    match name {
        "customer_id" => Err("a rule looks at one customer at a time; there is no `trigger.customer_id`".into()),
        "occurred_at" => Err("how long ago the trigger was is called `age`".into()),
        _ => event_field(name, of, &[of]).map(|found| found.unwrap_or((FieldRef::Id, Kind::Any))),
    }
}

/// Where an event of this type carries the key of an item.
pub(super) fn key_field(name: &str, of: &EventType) -> Result<FieldRef, Complaint> {
    if COMMON.contains(&name) {
        return Err(format!("`{name}` cannot name an item; without `by` each event has its own").into());
    }
    match field(name, of)? {
        Some((slot, _)) => Ok(FieldRef::Slot(slot)),
        None if of.open => Ok(FieldRef::Extra(name.into())),
        None => Err(no_field(name, &[of], std::iter::empty())),
    }
}

/// About a field that none of the types has.
pub(super) fn no_field<'a>(name: &str, all: &[&'a EventType], more: impl Iterator<Item = &'a str>) -> Complaint {
    let types: Vec<&str> = all.iter().map(|event_type| &*event_type.name).collect();
    let reason = match types.as_slice() {
        [one] => format!("{} has no field {}", quoted(one), quoted(name)),
        _ => format!("none of {} has a field {}", listed(&types), quoted(name)),
    };
    let mut valid: Vec<&str> = Vec::new();
    for field in all.iter().flat_map(|event_type| &event_type.fields).filter(|field| field.kept) {
        if !valid.contains(&&*field.name) {
            valid.push(&field.name);
        }
    }
    valid.extend(more);
    Complaint::unknown(reason, name, valid.iter().copied())
}

impl Names<'_> {
    /// About a word that stands for nothing here.
    pub(super) fn unknown(&self, name: &str) -> Complaint {
        let mut reason = format!("there is no value {}", quoted(name));
        match self.part {
            Part::Where { all, .. } if all.iter().any(|event_type| event_type.field(name).is_some()) => {
                Complaint { reason, nearest: Some(format!("event.{name}")) }
            }
            Part::Where { key, .. } => {
                reason = format!("{reason}; `{key}` looks at fields of the event: event.status");
                reason.into()
            }
            Part::Scope => {
                let known = is_attribute(self.catalog, name);
                let nearest = known.then(|| format!("customer.{name}"));
                if !known {
                    reason.push_str("; `scope` looks at attributes: customer.status");
                }
                Complaint { reason, nearest }
            }
            Part::Condition => {
                if is_attribute(self.catalog, name) {
                    return Complaint { reason, nearest: Some(format!("customer.{name}")) };
                }
                let lets: Vec<&str> = self.known.lets.iter().map(|named| &*named.name).collect();
                Complaint::unknown(reason, name, lets.iter().copied())
            }
        }
    }
}
