//! Texts with holes: `{{ complaints }} complaints of {{ customer.name }}`.

use tocsin_core::event::{Catalog, PROFILE};
use tocsin_core::rule::{Template, TemplatePart};

use super::names::{self, Named};
use super::problem::{Complaint, quoted};
use super::syntax::Fault;

/// Reads a text.
///
/// # Errors
/// Every hole that cannot be filled.
pub(super) fn parse(text: &str, lets: &[Named], catalog: &Catalog) -> Result<Template, Vec<Fault>> {
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
        match part(name.trim(), lets, catalog) {
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

fn part(name: &str, lets: &[Named], catalog: &Catalog) -> Result<TemplatePart, Complaint> {
    match name {
        "severity" => return Ok(TemplatePart::Severity),
        "customer_id" => return Ok(TemplatePart::CustomerId),
        "rule_id" => return Ok(TemplatePart::RuleId),
        "" => return Err("a name is missing between `{{` and `}}`".into()),
        _ => {}
    }
    if let Some(place) = lets.iter().position(|named| *named.name == *name) {
        return Ok(TemplatePart::Let(place));
    }
    let base = name.split('.').next().unwrap_or(name);
    if let Some(complaint) = names::later(base) {
        return Err(complaint);
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
    let profile = catalog.by_name(PROFILE).map_or(&[][..], |profile| &profile.fields);
    let attributes: Vec<String> = profile.iter().map(|field| format!("customer.{}", field.name)).collect();
    let valid = lets.iter().map(|named| &*named.name).chain(["severity", "customer_id", "rule_id"]);
    let reason = format!("there is no value {}", quoted(name));
    let complaint = Complaint::unknown(&reason, name, valid.clone().chain(attributes.iter().map(String::as_str)));
    // The attributes are worth a guess, but not a listing.
    Err(if complaint.nearest.is_some() { complaint } else { Complaint::unknown(reason, name, valid) })
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use tocsin_core::expr::AttributeRef;

    use super::super::names::NamedKind;
    use super::*;

    #[test]
    fn holes_are_names_and_the_rest_is_text() {
        let lets = [Named { name: "complaints".into(), kind: NamedKind::Silence, canonical: String::new() }];
        let parts = |text: &str| parse(text, &lets, &Catalog::default()).map(|template| template.parts);
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
