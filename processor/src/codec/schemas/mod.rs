//! The Avro schemas of the event types: those that ship with Tocsin and those dropped into a folder.
//!
//! A schema is a record, named as its event type. It has the four common fields, and others that are each a text, a
//! number, a bool or a decimal, nullable or not. Their places are what rules and stored rows know them by, so fields
//! are only ever appended. A field `extras`, a map of plain values, makes the type an open one.

mod catalog;
mod plan;

use super::avro;
use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use tocsin_core::event::{Catalog, TypeId, stable_hash};

pub use catalog::{catalog_from_json, catalog_to_json, compatible};
pub(crate) use plan::{Field, Plan, Step, Target, Wire};

/// The schemas built into the program.
const SHIPPED: [(&str, &str); 6] = [
    ("purchase.avsc", include_str!("../../../../schemas/events/purchase.avsc")),
    ("interaction.avsc", include_str!("../../../../schemas/events/interaction.avsc")),
    ("complaint.avsc", include_str!("../../../../schemas/events/complaint.avsc")),
    ("feedback.avsc", include_str!("../../../../schemas/events/feedback.avsc")),
    ("profile.avsc", include_str!("../../../../schemas/events/profile.avsc")),
    ("score.avsc", include_str!("../../../../schemas/events/score.avsc")),
];

/// All event types, with what it takes to read and write them.
#[derive(Clone, Debug)]
pub struct Schemas {
    catalog: Catalog,
    /// By number, as in the catalog.
    types: Vec<TypeSchema>,
    /// Fingerprint and place in `types`, sorted.
    fingerprints: Vec<(u64, usize)>,
}

/// The schema of one event type.
#[derive(Clone, Debug)]
pub(crate) struct TypeSchema {
    pub type_id: TypeId,
    pub name: Box<str>,
    pub plan: Plan,
    /// CRC-64-AVRO of the parsing canonical form.
    pub fingerprint: u64,
    /// The schema itself, without white space.
    pub source: Box<str>,
}

/// Why a schema is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    /// The file, or what stands for it.
    pub file: String,
    /// The field, if one is to blame.
    pub field: Option<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{}: field `{field}`: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for SchemaError {}

impl Schemas {
    /// The event types that ship with Tocsin.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "the schemas are part of the program, and every test begins by loading them"
    )]
    pub fn shipped() -> Self {
        Self::from_sources(std::iter::empty::<(&str, &str)>()).expect("the schemas built in are valid")
    }

    /// The event types whose schemas are the `.avsc` files of a folder (not of the folders in it), and the shipped
    /// ones that none of them redefines.
    ///
    /// # Errors
    /// The first file, by name, that cannot be read or is no schema of an event type; or two that are of one type.
    pub fn load(folder: &Path) -> Result<Self, SchemaError> {
        let failed = |path: &Path, error: std::io::Error| SchemaError {
            file: path.display().to_string(),
            field: None,
            message: format!("cannot be read: {error}"),
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(|error| failed(folder, error))? {
            let path = entry.map_err(|error| failed(folder, error))?.path();
            if path.extension().is_some_and(|extension| extension == "avsc") && path.is_file() {
                paths.push(path);
            }
        }
        paths.sort();
        let mut sources = Vec::new();
        for path in paths {
            let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
            sources.push((path.display().to_string(), text));
        }
        Self::from_sources(sources)
    }

    /// As [`Schemas::load`], from pairs of a name, used in errors, and the text of a schema.
    ///
    /// # Errors
    /// As [`Schemas::load`].
    pub fn from_sources<N, T>(sources: impl IntoIterator<Item = (N, T)>) -> Result<Self, SchemaError>
    where
        N: AsRef<str>,
        T: AsRef<str>,
    {
        let mut schemas = Self { catalog: Catalog::default(), types: Vec::new(), fingerprints: Vec::new() };
        for (file, text) in sources {
            schemas.add(file.as_ref(), text.as_ref())?;
        }
        for (file, text) in SHIPPED {
            if file.strip_suffix(".avsc").is_none_or(|name| schemas.catalog.by_name(name).is_none()) {
                schemas.add(file, text)?;
            }
        }
        Ok(schemas)
    }

    fn add(&mut self, file: &str, text: &str) -> Result<(), SchemaError> {
        let refused = |field: Option<&str>, message: String| SchemaError {
            file: file.to_owned(),
            field: field.map(str::to_owned),
            message,
        };
        let json: serde_json::Value =
            serde_json::from_str(text).map_err(|error| refused(None, format!("is not JSON: {error}")))?;
        let schema = Schema::parse(&json).map_err(|error| refused(None, format!("is not an Avro schema: {error}")))?;
        let Schema::Record(record) = &schema else {
            return Err(refused(None, "must be a record, named as the event type".to_owned()));
        };
        let plan = Plan::new(record).map_err(|error| refused(error.field.as_deref(), error.message))?;
        let fingerprint = avro::fingerprint(&schema).map_err(|message| refused(None, message))?;
        let name = record.name.name();
        let type_id =
            self.catalog.add(name, plan.catalog_fields(), plan.open).map_err(|message| refused(None, message))?;
        let place = self.types.partition_point(|other| other.type_id < type_id);
        let source = json.to_string().into_boxed_str();
        self.types.insert(place, TypeSchema { type_id, name: name.into(), plan, fingerprint, source });
        self.know(place, fingerprint, &schema).map_err(|message| refused(None, message))
    }

    /// Makes the schema known by its fingerprint, and by the one that the Rust library writes in its stead.
    fn know(&mut self, place: usize, fingerprint: u64, schema: &Schema) -> Result<(), String> {
        for (_, other) in &mut self.fingerprints {
            *other += usize::from(*other >= place);
        }
        let other =
            schema.fingerprint::<Rabin>().bytes.first_chunk().map_or(fingerprint, |bytes| u64::from_le_bytes(*bytes));
        for known in if other == fingerprint { vec![fingerprint] } else { vec![fingerprint, other] } {
            match self.fingerprints.binary_search_by_key(&known, |(fingerprint, _)| *fingerprint) {
                Ok(_) => return Err(format!("another schema has the same fingerprint {known:016x}; rename a field")),
                Err(at) => self.fingerprints.insert(at, (known, place)),
            }
        }
        Ok(())
    }

    /// The same schemas, with every field kept: for who wants to see whole events.
    #[must_use]
    pub fn keeping_all(mut self: Arc<Self>) -> Arc<Self> {
        Arc::make_mut(&mut self).types.iter_mut().for_each(|schema| schema.plan.keep_all());
        self
    }

    /// The event types as the core knows them.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The texts of all schemas, by number of the type. [`Schemas::from_sources`] makes the same schemas of them.
    #[must_use]
    pub fn sources(&self) -> impl ExactSizeIterator<Item = &str> {
        self.types.iter().map(|schema| &*schema.source)
    }

    /// A hash of all that decides how an event is read: equal for two sets of schemas that differ only in comments.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut text = catalog_to_json(&self.catalog);
        for schema in &self.types {
            let _ = write!(text, " {:016x}", schema.fingerprint);
            // Scales are no part of Avro's fingerprint, though they change what is read.
            for scale in schema.plan.scales() {
                let _ = write!(text, ",{scale}");
            }
        }
        stable_hash(&text)
    }

    /// The fingerprint by which Avro events of a type name their schema.
    #[must_use]
    pub fn avro_fingerprint(&self, event_type: &str) -> Option<u64> {
        self.by_name(event_type).map(|schema| schema.fingerprint)
    }

    #[inline]
    pub(crate) fn by_name(&self, name: &str) -> Option<&TypeSchema> {
        self.types.iter().find(|schema| &*schema.name == name)
    }

    pub(crate) fn by_id(&self, type_id: TypeId) -> Option<&TypeSchema> {
        let place = self.types.binary_search_by_key(&type_id, |schema| schema.type_id).ok()?;
        Some(&self.types[place])
    }

    #[inline]
    pub(crate) fn by_fingerprint(&self, fingerprint: u64) -> Option<&TypeSchema> {
        let at = self.fingerprints.binary_search_by_key(&fingerprint, |(known, _)| *known).ok()?;
        Some(&self.types[self.fingerprints[at].1])
    }
}
