//! Rules with a `date`: the attribute that holds the day, and at which instant of it the rule is judged.

use chrono_tz::Tz;
use tocsin_core::expr::AttributeRef;
use tocsin_core::rule::Occasion;
use tocsin_core::time::{DAY, Duration, HOUR, MINUTE};

use super::names;
use super::problem::{Complaint, nearest, quoted};
use super::reader::{Reader, get};
use super::typing::Kind;
use super::yaml::{Entry, Node};

/// When the rule is judged, and the same as text.
pub(super) fn read(reader: &mut Reader<'_>, entries: &[Entry]) -> Option<(Occasion, String)> {
    let attribute = get(entries, "date").and_then(|node| attribute(reader, node));
    let lead_days = match get(entries, "lead") {
        Some(node) => lead(reader, node),
        None => Some(0),
    };
    let at = match get(entries, "at") {
        Some(node) => time_of_day(reader, node),
        None => Some(0),
    };
    let zone = match get(entries, "timezone") {
        Some(node) => zone(reader, node).map(Some),
        None => Some(None),
    };
    let ((name, attribute), lead_days, at, zone) = (attribute?, lead_days?, at?, zone?);
    // The configured time zone is no part of the rule.
    let canonical = format!("date {name} lead {lead_days} at {at} in {}", zone.map_or("-", |zone| zone.name()));
    let zone = zone.unwrap_or(reader.limits.timezone);
    Some((Occasion { attribute, lead_days, at, zone }, canonical))
}

fn attribute(reader: &mut Reader<'_>, node: &Node) -> Option<(String, AttributeRef)> {
    let text = reader.text("date", node)?.text.as_str();
    let Some(name) = text.strip_prefix("customer.").filter(|name| is_word(name)) else {
        let reason =
            format!("`date` names an attribute of the customer, such as customer.birthday; {} is none", quoted(text));
        let nearest = names::is_attribute(reader.catalog, text).then(|| format!("customer.{text}"));
        reader.complain(node.at, Complaint { reason, nearest });
        return None;
    };
    let complaint = match names::attribute(reader.catalog, name) {
        Ok((attribute, Kind::Text | Kind::Any)) => return Some((name.to_owned(), attribute)),
        Ok((_, kind)) => {
            format!("a date is a text such as 03-21 or 2026-03-21; {} is {}", quoted(name), kind.name()).into()
        }
        Err(complaint) => complaint,
    };
    reader.complain(node.at, complaint);
    None
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn lead(reader: &mut Reader<'_>, node: &Node) -> Option<u32> {
    let lead = reader.duration("lead", node)?;
    if lead % DAY != 0 {
        reader.complain(node.at, "`lead` counts calendar days; for a time of day there is `at`");
        return None;
    }
    u32::try_from(lead / DAY).ok()
}

fn time_of_day(reader: &mut Reader<'_>, node: &Node) -> Option<Duration> {
    let text = reader.text("at", node)?.text.as_str();
    let part = |text: &str, below: Duration| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().filter(|number: &Duration| *number < below)
    };
    let read =
        text.split_once(':').and_then(|(hours, minutes)| Some(part(hours, 24)? * HOUR + part(minutes, 60)? * MINUTE));
    if read.is_none() {
        let reason = format!("`at` is a time of day from 00:00 to 23:59, written HH:MM; {} is none", quoted(text));
        reader.complain(node.at, reason);
    }
    read
}

fn zone(reader: &mut Reader<'_>, node: &Node) -> Option<Tz> {
    let text = reader.text("timezone", node)?.text.as_str();
    let zone = text.parse().ok();
    if zone.is_none() {
        let nearest = nearest(text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())).map(str::to_owned);
        let mut reason = format!("there is no time zone {}", quoted(text));
        if nearest.is_none() {
            reason.push_str("; write an IANA name, such as Asia/Shanghai");
        }
        reader.complain(node.at, Complaint { reason, nearest });
    }
    zone
}
