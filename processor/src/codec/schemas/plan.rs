//! What a schema means, resolved once: where each field goes and how it is written on the wire.

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, RecordField, RecordSchema, UnionSchema};
use tocsin_core::event::{self, FieldId, FieldKind};

/// How events of one type are read and written.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// By slot: every field but the common ones and `extras`, in the order of the schema.
    pub fields: Vec<Field>,
    /// Whether the schema has a map `extras` for fields that it does not name.
    pub open: bool,
    /// Every field of the schema, in the order of the wire.
    pub steps: Vec<Step>,
    /// Whether `id` comes before all fields that have a slot, so that one pass over an Avro event is enough.
    pub id_first: bool,
}

/// A field that rules can use.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub name: Box<str>,
    pub kind: FieldKind,
    pub kept: bool,
}

/// A field as it comes on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub name: Box<str>,
    pub target: Target,
    /// The branch that means null, of a union of two; `None` if the field is no union.
    pub null: Option<u8>,
    pub wire: Wire,
    /// Whether it gets into the record.
    pub kept: bool,
}

/// Where a field goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Id,
    Type,
    CustomerId,
    OccurredAt,
    Slot(FieldId),
    Extras,
}

/// How a value is written in Avro.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wire {
    Text,
    Bool,
    Int,
    Long,
    Float,
    Double,
    Decimal {
        precision: u32,
        scale: u32,
    },
    /// A place among these.
    Symbol(Box<[Box<str>]>),
    /// A map whose values are unions of these; `None` is null.
    Extras(Box<[Option<Wire>]>),
}

/// Why a schema makes no plan.
#[derive(Debug)]
pub(crate) struct Unsupported {
    pub field: Option<String>,
    pub message: String,
}

const EXTRAS: &str = "extras";
/// The attribute of a field that says whether it is kept.
const KEPT: &str = "tocsin.kept";
const COMMON: [(&str, Target); 4] = [
    ("id", Target::Id),
    ("type", Target::Type),
    ("customer_id", Target::CustomerId),
    ("occurred_at", Target::OccurredAt),
];
/// Most fields a schema may have; far beyond any event, and small enough for a slot in every format.
const FIELDS_MAX: usize = 1_000;

impl Plan {
    /// Resolves a schema, or says which field cannot be had.
    pub fn new(record: &RecordSchema) -> Result<Self, Unsupported> {
        if let Some((missing, _)) = COMMON.iter().find(|(name, _)| !record.lookup.contains_key(*name)) {
            let message = "is missing; every event type has `id`, `type`, `customer_id` and `occurred_at`".to_owned();
            return Err(Unsupported { field: Some((*missing).to_owned()), message });
        }
        if record.fields.len() > FIELDS_MAX {
            return Err(Unsupported { field: None, message: format!("has more than {FIELDS_MAX} fields") });
        }
        let mut plan = Self { fields: Vec::new(), open: false, steps: Vec::new(), id_first: true };
        let mut id_seen = false;
        for field in &record.fields {
            let step = plan
                .step(field)
                .map_err(|message| Unsupported { field: Some(field.name.clone()), message: message.to_owned() })?;
            id_seen |= step.target == Target::Id;
            plan.id_first &= id_seen || !matches!(step.target, Target::Slot(_) | Target::Extras);
            plan.steps.push(step);
        }
        Ok(plan)
    }

    fn step(&mut self, field: &RecordField) -> Result<Step, &'static str> {
        let name = field.name.clone().into_boxed_str();
        let kept = kept(field)?;
        if let Some((_, target)) = COMMON.iter().find(|(common, _)| *common == field.name) {
            let wire = match (target, &field.schema) {
                (Target::OccurredAt, Schema::TimestampMillis) => Wire::Long,
                (Target::OccurredAt, _) => return Err("must be a long with the logical type timestamp-millis"),
                (_, Schema::String) => Wire::Text,
                _ => return Err("must be a string, and not nullable"),
            };
            return Ok(Step { name, target: *target, null: None, wire, kept });
        }
        let (null, schema) = match &field.schema {
            Schema::Union(union) => nullable(union)?,
            schema => (None, schema),
        };
        if field.name == EXTRAS {
            self.open = true;
            return Ok(Step { name, target: Target::Extras, null, wire: extras(schema)?, kept });
        }
        let wire = scalar(schema).ok_or(
            "its type is not supported; use string, boolean, int, long, float, double, an enum or a decimal in bytes, \
             or a union of null and one of them",
        )?;
        let target = Target::Slot(self.fields.len() as FieldId);
        self.fields.push(Field { name: name.clone(), kind: wire.kind(), kept });
        Ok(Step { name, target, null, wire, kept })
    }

    /// The fields as the core's catalog has them.
    pub fn catalog_fields(&self) -> Vec<event::Field> {
        let field = |field: &Field| event::Field { name: field.name.clone(), kind: field.kind, kept: field.kept };
        self.fields.iter().map(field).collect()
    }

    /// Lets every field into the record.
    pub fn keep_all(&mut self) {
        self.fields.iter_mut().for_each(|field| field.kept = true);
        self.steps.iter_mut().for_each(|step| step.kept = true);
    }

    /// The scales of the decimals.
    pub fn scales(&self) -> impl Iterator<Item = u32> {
        self.steps.iter().filter_map(|step| match step.wire {
            Wire::Decimal { scale, .. } => Some(scale),
            _ => None,
        })
    }

    /// The slot of the field called `name`. Tried first at `expected`: most events come in the order of their schema.
    #[inline]
    pub fn slot(&self, name: &[u8], expected: usize) -> Option<usize> {
        if self.fields.get(expected).is_some_and(|field| field.name.as_bytes() == name) {
            return Some(expected);
        }
        self.fields.iter().position(|field| field.name.as_bytes() == name)
    }
}

impl Wire {
    fn kind(&self) -> FieldKind {
        match self {
            Self::Text | Self::Symbol(_) | Self::Extras(_) => FieldKind::Text,
            Self::Bool => FieldKind::Bool,
            Self::Int | Self::Long | Self::Float | Self::Double => FieldKind::Number,
            Self::Decimal { .. } => FieldKind::Decimal,
        }
    }
}

/// Whether a field gets into the record: the schema may say that it does not.
fn kept(field: &RecordField) -> Result<bool, &'static str> {
    let kept = match field.custom_attributes.get(KEPT) {
        None => return Ok(true),
        Some(kept) => kept.as_bool().ok_or("its `tocsin.kept` must be true or false")?,
    };
    if !kept && COMMON.iter().any(|(common, _)| *common == field.name) {
        return Err("is one of the four that every event has, and always kept");
    }
    if !kept && field.name == EXTRAS {
        return Err("is kept or left out of the schema: without it no extra is kept");
    }
    Ok(kept)
}

/// The branch that is null, and the other one.
fn nullable(union: &UnionSchema) -> Result<(Option<u8>, &Schema), &'static str> {
    match union.variants() {
        [Schema::Null, schema] => Ok((Some(0), schema)),
        [schema, Schema::Null] => Ok((Some(1), schema)),
        _ => Err("a union must be of null and one other type"),
    }
}

fn scalar(schema: &Schema) -> Option<Wire> {
    Some(match schema {
        Schema::String => Wire::Text,
        Schema::Boolean => Wire::Bool,
        Schema::Int => Wire::Int,
        Schema::Long => Wire::Long,
        Schema::Float => Wire::Float,
        Schema::Double => Wire::Double,
        Schema::Enum(choice) => Wire::Symbol(choice.symbols.iter().map(|symbol| symbol.as_str().into()).collect()),
        Schema::Decimal(decimal) if matches!(decimal.inner, InnerDecimalSchema::Bytes) => Wire::Decimal {
            precision: u32::try_from(decimal.precision).ok()?,
            scale: u32::try_from(decimal.scale).ok()?,
        },
        _ => return None,
    })
}

fn extras(schema: &Schema) -> Result<Wire, &'static str> {
    const EXPECTED: &str = "must be a map of a union such as [\"null\", \"string\", \"double\", \"boolean\"]";
    let Schema::Map(map) = schema else { return Err(EXPECTED) };
    let Schema::Union(union) = &*map.types else { return Err(EXPECTED) };
    let branch = |schema: &Schema| match schema {
        Schema::Null => Ok(None),
        Schema::String | Schema::Boolean | Schema::Int | Schema::Long | Schema::Float | Schema::Double => {
            Ok(scalar(schema))
        }
        _ => Err(EXPECTED),
    };
    union.variants().iter().map(branch).collect::<Result<_, _>>().map(Wire::Extras)
}
