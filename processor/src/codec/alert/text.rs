//! Numbers, durations and texts as people read them.

use super::Facts;
use std::fmt::Write as _;
use tocsin_core::rule::{Template, TemplatePart};
use tocsin_core::time::{DAY, HOUR, MINUTE, SECOND};
use tocsin_core::value::{OwnedValue, Value};

/// What stands for null.
const UNKNOWN: &str = "-";

const UNITS_MS: [i64; 5] = [DAY, HOUR, MINUTE, SECOND, 1];
const UNITS: [&str; 5] = ["d", "h", "m", "s", "ms"];
const UNITS_ZH: [&str; 5] = ["天", "小时", "分钟", "秒", "毫秒"];

/// Fills the holes of a text.
pub(super) fn render(facts: &Facts<'_>, language: &str, template: &Template) -> String {
    let mut text = String::new();
    for part in &template.parts {
        match part {
            TemplatePart::Text(plain) => text.push_str(plain),
            TemplatePart::Let(place) => {
                let value = facts.details.values.get(*place).map_or(Value::Null, OwnedValue::borrow);
                text.push_str(&shown(value, language));
            }
            TemplatePart::Attribute(name) => {
                text.push_str(&shown(facts.details.customer.value(name), language));
            }
            TemplatePart::Trigger(field) => {
                let value = facts.trigger().map_or(Value::Null, |trigger| field.of(trigger));
                text.push_str(&shown(value, language));
            }
            TemplatePart::Age => text.push_str(&shown(facts.age().map_or(Value::Null, Value::Duration), language)),
            TemplatePart::Severity => text.push_str(facts.transition.severity.name()),
            TemplatePart::CustomerId => text.push_str(&facts.transition.customer_id),
            TemplatePart::RuleId => text.push_str(&facts.rule.id),
        }
    }
    text
}

/// A value in a text of this language.
pub(super) fn shown(value: Value<'_>, language: &str) -> String {
    match value {
        Value::Null | Value::Undefined => UNKNOWN.to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(x) => number(x).unwrap_or_else(|| UNKNOWN.to_owned()),
        Value::Duration(ms) => duration(ms, language),
        Value::Text(text) => text.to_owned(),
    }
}

/// A whole number without a point, any other in the fewest digits that lead back to it; `None` if it is not finite.
pub(super) fn number(x: f64) -> Option<String> {
    // Adding zero takes the sign from a negative one.
    x.is_finite().then(|| (x + 0.0).to_string())
}

/// A duration in seconds.
pub(super) fn seconds(ms: f64) -> f64 {
    ms / SECOND as f64
}

/// A duration in its two largest units, the rest cut off.
fn duration(ms: f64, language: &str) -> String {
    let (units, between) = if language.starts_with("zh") { (UNITS_ZH, "") } else { (UNITS, " ") };
    let whole = ms.abs().floor() as i64;
    let mut text = String::from(if ms <= -1.0 { "-" } else { "" });
    let largest = UNITS_MS.iter().position(|unit| whole >= *unit).unwrap_or(UNITS_MS.len() - 1);
    let _ = write!(text, "{}{}", whole / UNITS_MS[largest], units[largest]);
    if let Some(unit) = UNITS_MS.get(largest + 1) {
        let rest = whole % UNITS_MS[largest] / unit;
        if rest > 0 {
            let _ = write!(text, "{between}{rest}{}", units[largest + 1]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown() {
        for (value, en, zh) in [
            (OwnedValue::Null, "-", "-"),
            (OwnedValue::Number(3.0), "3", "3"),
            (OwnedValue::Number(-0.0), "0", "0"),
            (OwnedValue::Number(0.1), "0.1", "0.1"),
            (OwnedValue::Number(f64::NAN), "-", "-"),
            (OwnedValue::Duration(0.0), "0ms", "0毫秒"),
            (OwnedValue::Duration(999.5), "999ms", "999毫秒"),
            (OwnedValue::Duration(90.0 * DAY as f64), "90d", "90天"),
            (OwnedValue::Duration((90 * DAY + 2 * HOUR + 59 * MINUTE) as f64), "90d 2h", "90天2小时"),
            (OwnedValue::Duration((DAY + MINUTE) as f64), "1d", "1天"),
            (OwnedValue::Duration(61_001.0), "1m 1s", "1分钟1秒"),
            (OwnedValue::Duration(-1_500.0), "-1s 500ms", "-1秒500毫秒"),
            (OwnedValue::Text("x".into()), "x", "x"),
        ] {
            assert_eq!((&*shown(value.borrow(), "en"), &*shown(value.borrow(), "zh")), (en, zh), "{value:?}");
        }
    }
}
