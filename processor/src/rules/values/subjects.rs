//! What a value is about: types of event, a field of each, and a condition.

use tocsin_core::event::{EventType, FieldId};
use tocsin_core::rule::{Selected, Selector};

use super::super::canonical;
use super::super::names::{self, Known, Names, Part};
use super::super::problem::{Complaint, listed, quoted};
use super::super::reader::Reader;
use super::super::syntax::Fault;
use super::super::typing::Kind;
use super::super::yaml::{Entry, Node, Scalar, Value};
use super::{About, ValueKind};

/// One type of event a value is about, and the field of it.
pub(super) struct Subject<'a> {
    event_type: &'a EventType,
    field: Option<(FieldId, Kind)>,
    /// As it is written: `purchase.amount`.
    text: String,
}

impl Subject<'_> {
    /// What its field holds.
    pub(super) fn kind(&self) -> Option<Kind> {
        self.field.map(|(_, kind)| kind)
    }
}

/// The types of a value, one or a list; each once, with fields of one kind.
pub(super) fn select<'a>(reader: &mut Reader<'a>, kind: &ValueKind, entry: &Entry) -> Option<Vec<Subject<'a>>> {
    let nodes = match &entry.value.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(&entry.value),
    };
    if nodes.is_empty() {
        reader.complain(entry.value.at, format!("`{}` names no event type", kind.key));
        return None;
    }
    let mut subjects: Vec<Subject<'a>> = Vec::new();
    let mut whole = true;
    for node in nodes {
        let Some(subject) = subject(reader, kind, node) else {
            whole = false;
            continue;
        };
        if let Some(complaint) = misfit(&subjects, &subject) {
            reader.complain(node.at, complaint);
            whole = false;
        }
        subjects.push(subject);
    }
    whole.then_some(subjects)
}

/// Why it cannot stand in one list with those before it.
fn misfit(others: &[Subject<'_>], subject: &Subject<'_>) -> Option<Complaint> {
    if others.iter().any(|other| other.event_type.id == subject.event_type.id) {
        return Some(format!("{} is named twice", quoted(&subject.event_type.name)).into());
    }
    let (first, (_, kind)) = (others.first()?, subject.field?);
    let first_kind = first.kind()?;
    let (one, other) = (quoted(&first.text), quoted(&subject.text));
    (kind != first_kind).then(|| {
        let (one_is, other_is) = (first_kind.name(), kind.name());
        format!("the fields of a list are of one kind, but {one} is {one_is} and {other} is {other_is}").into()
    })
}

fn subject<'a>(reader: &mut Reader<'a>, kind: &ValueKind, node: &Node) -> Option<Subject<'a>> {
    let scalar = reader.text(kind.key, node)?;
    let text = scalar.text.as_str();
    let (type_name, field_name) = text.split_once('.').map_or((text, None), |(name, field)| (name, Some(field)));
    let event_type = match names::event_type(reader.catalog, type_name) {
        Ok(event_type) => event_type,
        Err(complaint) => {
            reader.complain(node.at, complaint);
            return None;
        }
    };
    let field = match (kind.about, field_name) {
        (About::Events, None) => None,
        (About::Events, Some(_)) => {
            reader.complain(node.at, format!("`{}` is about events, not about a field: {type_name}", kind.key));
            return None;
        }
        (_, None) => {
            reader.complain(node.at, needs_field(kind, event_type));
            return None;
        }
        (_, Some(name)) => Some(field(reader, kind, node, scalar, event_type, name)?),
    };
    Some(Subject { event_type, field, text: text.to_owned() })
}

fn needs_field(kind: &ValueKind, event_type: &EventType) -> String {
    let numbers = kind.about == About::Numbers;
    let a_field = if numbers { "a number field" } else { "a field" };
    let fitting = event_type
        .fields
        .iter()
        .filter(|field| field.kept)
        .filter(|field| !numbers || Kind::of_field(field.kind) == Kind::Number);
    let fields: Vec<String> = fitting.map(|field| format!("{}.{}", event_type.name, field.name)).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    match fields.as_slice() {
        [] => format!("`{}` needs {a_field}, and `{}` has none", kind.key, event_type.name),
        fields => format!("`{}` needs {a_field}: {}", kind.key, listed(fields)),
    }
}

fn field(
    reader: &mut Reader<'_>,
    kind: &ValueKind,
    node: &Node,
    scalar: &Scalar,
    event_type: &EventType,
    name: &str,
) -> Option<(FieldId, Kind)> {
    let complaint = match names::field(name, event_type) {
        Ok(Some((slot, holds))) => {
            if kind.about != About::Numbers || holds == Kind::Number {
                return Some((slot, holds));
            }
            format!("{} is {}; `{}` needs numbers", quoted(name), holds.name(), kind.key).into()
        }
        Err(complaint) => complaint,
        Ok(None) => names::no_field(name, &[event_type], std::iter::empty()),
    };
    let at = event_type.name.chars().count() + 1;
    reader.faults(node, scalar, vec![Fault { at, complaint }]);
    None
}

/// The events a value takes: types and condition, and the same as text.
pub(super) fn selector(
    reader: &mut Reader<'_>,
    subjects: &[Subject<'_>],
    filter: Option<&Node>,
) -> Option<(Selector, String)> {
    let expression = match filter {
        Some(node) => Some((node, reader.expression("where", node)?)),
        None => None,
    };
    let all: Vec<&EventType> = subjects.iter().map(|subject| subject.event_type).collect();
    let mut texts: Vec<&str> = subjects.iter().map(|subject| subject.text.as_str()).collect();
    texts.sort_unstable();
    let condition = canonical::condition(expression.as_ref().map(|(_, expression)| expression), &[]);
    let canonical = format!("[{}] {condition}", texts.join(" "));

    let mut types = Vec::new();
    let mut whole = true;
    for subject in subjects {
        let part = Part::Where { of: subject.event_type, all: &all, key: "where" };
        let names = Names { catalog: reader.catalog, known: Known::default(), part };
        let filter = match &expression {
            Some((node, expression)) => {
                let lowered = reader.lowered(node, expression, names);
                whole &= lowered.is_some();
                lowered
            }
            None => None,
        };
        let field = subject.field.map(|(slot, _)| slot);
        types.push(Selected { type_id: subject.event_type.id, field, filter });
    }
    types.sort_unstable_by_key(|selected| selected.type_id);
    whole.then_some((Selector { types }, canonical))
}
