//! Loading as a whole; what belongs to one module is tested beside it.

use tocsin_core::event::{Catalog, Field, FieldKind};

use super::*;

mod changes;
mod items;
mod refusals;
mod whole;

/// The types that ship, as their schemas have them.
pub(super) fn catalog() -> Catalog {
    use FieldKind::{Bool, Decimal, Number, Text};
    let mut catalog = Catalog::default();
    let mut add = |name: &str, open: bool, fields: &[(&str, FieldKind)]| {
        let field = |(name, kind): &(&str, FieldKind)| Field { name: (*name).into(), kind: *kind, kept: true };
        catalog.add(name, fields.iter().map(field).collect(), open).unwrap();
    };
    let texts = |names: &[&'static str]| names.iter().map(|name| (*name, Text)).collect::<Vec<_>>();
    let mut purchase = vec![("amount", Decimal), ("quantity", Number)];
    purchase.extend(texts(&["currency", "order_id", "product_id", "category", "channel", "status"]));
    add("purchase", false, &purchase);
    let mut interaction = texts(&["channel", "direction", "purpose", "agent_id"]);
    interaction.push(("automatic", Bool));
    add("interaction", false, &interaction);
    add("complaint", false, &texts(&["ticket_id", "status", "category", "priority", "channel"]));
    let mut feedback = texts(&["kind", "channel", "topic"]);
    feedback.extend([("score", Number), ("sentiment", Number)]);
    add("feedback", false, &feedback);
    add("profile", true, &texts(&["name", "owner", "region", "segment", "tier", "stage", "status", "birthday"]));
    add("score", false, &[("name", Text), ("value", Number), ("model", Text), ("model_version", Text)]);
    catalog
}

pub(super) fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

pub(super) fn load_text(text: &str) -> Result<LoadedRules, LoadErrors> {
    load(&[source("r.yaml", text)], &catalog(), &Limits::default())
}

/// What is wrong with a file, each without the file's name.
pub(super) fn problems(text: &str) -> Vec<String> {
    let shown = load_text(text).err().map(|errors| errors.to_string()).unwrap_or_default();
    shown.lines().map(|line| line.strip_prefix("r.yaml:").unwrap().to_owned()).collect()
}
