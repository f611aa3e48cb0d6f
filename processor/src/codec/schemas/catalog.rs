//! The catalog as a store keeps it beside its rows, and whether rows written under one can be read under another.

use serde::{Deserialize, Serialize};
use tocsin_core::event::{Catalog, EventType, Field, FieldKind};

#[derive(Serialize, Deserialize)]
struct StoredCatalog {
    types: Vec<StoredType>,
}

#[derive(Serialize, Deserialize)]
struct StoredType {
    name: Box<str>,
    id: u16,
    open: bool,
    fields: Vec<StoredField>,
}

#[derive(Serialize, Deserialize)]
struct StoredField {
    name: Box<str>,
    kind: StoredKind,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    kept: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_yes(kept: &bool) -> bool {
    *kept
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredKind {
    Decimal,
    Number,
    Text,
    Bool,
}

/// The catalog as JSON, for the metadata of a store. The same catalog always gives the same text.
#[must_use]
pub fn catalog_to_json(catalog: &Catalog) -> String {
    let types = catalog.types().iter().map(|event_type| StoredType {
        name: event_type.name.clone(),
        id: event_type.id,
        open: event_type.open,
        fields: event_type.fields.iter().map(StoredField::from).collect(),
    });
    // Names, numbers and flags have no form that JSON lacks.
    serde_json::to_string(&StoredCatalog { types: types.collect() }).unwrap_or_default()
}

/// Reads what [`catalog_to_json`] wrote.
///
/// # Errors
/// If the text is not such a catalog, or gives a type another number than this program does.
pub fn catalog_from_json(text: &str) -> Result<Catalog, String> {
    let stored: StoredCatalog = serde_json::from_str(text).map_err(|error| format!("not a catalog: {error}"))?;
    let mut catalog = Catalog::default();
    for stored in stored.types {
        let fields = stored.fields.into_iter().map(Field::from).collect();
        let id = catalog.add(&stored.name, fields, stored.open)?;
        if id != stored.id {
            return Err(format!(
                "the event type `{}` has the number {}, here it would be {id}",
                stored.name, stored.id
            ));
        }
    }
    Ok(catalog)
}

/// Whether rows written under `old` mean the same under `new`: no type is gone, fields were only appended, and none
/// changed its kind.
///
/// # Errors
/// A sentence that says what has changed and what to do about it.
pub fn compatible(old: &Catalog, new: &Catalog) -> Result<(), String> {
    old.types().iter().try_for_each(|was| {
        let name = &was.name;
        let is = new.by_name(name).ok_or_else(|| {
            format!("the event type `{name}` is gone, but stored events may be of it: put its schema back")
        })?;
        compatible_type(was, is)
    })
}

fn compatible_type(was: &EventType, is: &EventType) -> Result<(), String> {
    let name = &was.name;
    if was.open && !is.open {
        return Err(format!("the event type `{name}` has lost its map `extras`, which stored events use: put it back"));
    }
    for (place, field) in was.fields.iter().enumerate() {
        let Some(now) = is.fields.get(place) else {
            return Err(format!(
                "the field `{}` of `{name}` is gone: put it back; a field may be left empty, not removed",
                field.name
            ));
        };
        if now.name != field.name {
            return Err(format!(
                "the field `{}` of `{name}` stands where `{}` stood: put `{}` back there, and new fields at the end",
                now.name, field.name, field.name
            ));
        }
        if now.kind != field.kind {
            return Err(format!(
                "the field `{}` of `{name}` was {} and is now {}: change it back, and append a field of another name",
                field.name,
                describe(field.kind),
                describe(now.kind)
            ));
        }
    }
    Ok(())
}

fn describe(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Decimal => "a decimal",
        FieldKind::Number => "a number",
        FieldKind::Text => "a text",
        FieldKind::Bool => "a bool",
    }
}

impl From<&Field> for StoredField {
    fn from(field: &Field) -> Self {
        let kind = match field.kind {
            FieldKind::Decimal => StoredKind::Decimal,
            FieldKind::Number => StoredKind::Number,
            FieldKind::Text => StoredKind::Text,
            FieldKind::Bool => StoredKind::Bool,
        };
        Self { name: field.name.clone(), kind, kept: field.kept }
    }
}

impl From<StoredField> for Field {
    fn from(stored: StoredField) -> Self {
        let kind = match stored.kind {
            StoredKind::Decimal => FieldKind::Decimal,
            StoredKind::Number => FieldKind::Number,
            StoredKind::Text => FieldKind::Text,
            StoredKind::Bool => FieldKind::Bool,
        };
        Self { name: stored.name, kind, kept: stored.kept }
    }
}
