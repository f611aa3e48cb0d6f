//! Texts with holes: `{{ complaints }} complaints of {{ customer.name }}`.

use tocsin_core::event::{Catalog, EventType, PROFILE};
use tocsin_core::rule::{Template, TemplatePart};

use super::names::{self, Known, Trigger};
use super::problem::{Complaint, quoted};
use super::syntax::Fault;

/// Reads a text.
///
/// # Errors
/// Every hole that cannot be filled.
pub(super) fn parse(text: &str, known: Known<'_>, catalog: &Catalog) -> Result<Template, Vec<Fault>> {
    let mut parts = Vec::new();
    let mut faults = Vec::new();
    let mut rest = text;
    while let Some((before, hole)) = rest.split_once("{{") {
        push_text(&mut parts, before);
        let at = text[..text.len() - hole.len()].chars().count();
        let Some((name, after)) = hole.split_once("}}") else {
            faults.push(Fault { at: at - 2, complaint: "this `{{` has no `}}`".into() });
            rest = "";
            break;
        };
        let blank = name.chars().take_while(|c| c.is_whitespace()).count();
        match part(name.trim(), known, catalog) {
            Ok(part) => parts.push(part),
            Err(complaint) => faults.push(Fault { at: at + blank, complaint }),
        }
        rest = after;
    }
    push_text(&mut parts, rest);
    if faults.is_empty() { Ok(Template { parts }) } else { Err(faults) }
}

fn push_text(parts: &mut Vec<TemplatePart>, text: &str) {
    if !text.is_empty() {
        parts.push(TemplatePart::Text(text.into()));
    }
}

fn part(name: &str, known: Known<'_>, catalog: &Catalog) -> Result<TemplatePart, Complaint> {
    match name {
        "severity" => return Ok(TemplatePart::Severity),
        "customer_id" => return Ok(TemplatePart::CustomerId),
        "rule_id" => return Ok(TemplatePart::RuleId),
        "" => return Err("a name is missing between `{{` and `}}`".into()),
        _ => {}
    }
    if let Some(place) = known.lets.iter().position(|named| *named.name == *name) {
        return Ok(TemplatePart::Let(place));
    }
    let (base, field) = name.split_once('.').unwrap_or((name, ""));
    match (base, known.trigger) {
        ("age" | "trigger", Trigger::None) => return Err(names::without_items(base)),
        // Only a rule that is refused anyway has a broken trigger.
        ("trigger", Trigger::Broken) if is_word(field) => return Ok(TemplatePart::Age),
        ("trigger", Trigger::Of(of)) if is_word(field) => {
            return names::trigger_field(field, of).map(|(field, _)| TemplatePart::Trigger(field));
        }
        ("age", _) if name == "age" => return Ok(TemplatePart::Age),
        _ => {}
    }
    if let Some(attribute) = name.strip_prefix("customer.")
        && is_word(attribute)
    {
        return names::attribute(catalog, attribute).map(|(attribute, _)| TemplatePart::Attribute(attribute));
    }
    if !name.split('.').all(is_word) {
        let reason = format!("between `{{{{` and `}}}}` stands one name, nothing else; {} is none", quoted(name));
        return Err(reason.into());
    }
    let fields = |of: Option<&EventType>, base: &str| -> Vec<String> {
        let fields = of.map_or(&[][..], |of| &of.fields);
        fields.iter().filter(|field| field.kept).map(|field| format!("{base}.{}", field.name)).collect()
    };
    let mut guesses = fields(catalog.by_name(PROFILE), "customer");
    let mut valid: Vec<&str> = known.lets.iter().map(|named| &*named.name).collect();
    valid.extend(["severity", "customer_id", "rule_id"]);
    if let Trigger::Of(of) = known.trigger {
        valid.push("age");
        guesses.extend(fields(Some(of), "trigger"));
    }
    let reason = format!("there is no value {}", quoted(name));
    let all = valid.iter().copied().chain(guesses.iter().map(String::as_str));
    let complaint = Complaint::unknown(&reason, name, all);
    // The fields are worth a guess, but not a listing.
    Err(if complaint.nearest.is_some() { complaint } else { Complaint::unknown(reason, name, valid.iter().copied()) })
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use tocsin_core::expr::AttributeRef;

    use super::super::names::{Named, NamedKind};
    use super::*;

    #[test]
    fn holes_are_names_and_the_rest_is_text() {
        let lets = [Named { name: "complaints".into(), kind: NamedKind::Silence, canonical: String::new() }];
        let parts = |text: &str| {
            parse(text, Known { lets: &lets, trigger: Trigger::None }, &Catalog::default())
                .map(|template| template.parts)
        };
        let text = |text: &str| TemplatePart::Text(text.into());
        assert_eq!(parts(""), Ok(vec![]));
        assert_eq!(parts("} {a} }} 中"), Ok(vec![text("} {a} }} 中")]));
        assert_eq!(
            parts("7天{{complaints}}次 {{ customer.vip }}{{ severity }}."),
            Ok(vec![
                text("7天"),
                TemplatePart::Let(0),
                text("次 "),
                TemplatePart::Attribute(AttributeRef::Extra("vip".into())),
                TemplatePart::Severity,
                text(".")
            ])
        );
    }
}
