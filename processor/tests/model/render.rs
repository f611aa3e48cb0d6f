//! The same rules as YAML with CEL text: what a rule author would have written, for the engine.

use super::expr::{Expr, Looks, Name, Unit};
use super::items::Making;
use super::measure::{Measure, Selection, Stands, Window};
use super::rule::{Condition, DateRule, Kind, Rule, Severity};
use super::value::{Arithmetic, Order, Value};
use std::fmt::Write as _;

pub fn rules(rules: &[Rule]) -> String {
    let mut yaml = "rules:\n".to_owned();
    for each in rules {
        rule(&mut yaml, each);
    }
    yaml
}

fn rule(yaml: &mut String, rule: &Rule) {
    writeln!(yaml, "  - id: {}", rule.id).unwrap();
    match &rule.kind {
        Kind::Condition => {}
        Kind::Item(items) => {
            writeln!(yaml, "    trigger: {}", items.making.trigger).unwrap();
            for entry in making(&items.making) {
                writeln!(yaml, "    {entry}").unwrap();
            }
            time(yaml, "after", items.after_ms);
            time(yaml, "expire", items.expire_ms.unwrap_or(0));
        }
        Kind::Date(rule) => date(yaml, rule),
    }
    expression(yaml, "scope", rule.scope.as_ref());
    if !rule.lets.is_empty() {
        writeln!(yaml, "    let:").unwrap();
    }
    for (name, measure) in &rule.lets {
        writeln!(yaml, "      {name}: {{{}}}", entries(measure).join(", ")).unwrap();
    }
    expression(yaml, "require", rule.require.as_ref());
    match &rule.condition {
        Condition::When(expr, severity) => {
            expression(yaml, "when", Some(expr));
            given(yaml, *severity);
        }
        Condition::Always(severity) => given(yaml, *severity),
        Condition::Levels(levels) => {
            writeln!(yaml, "    levels:").unwrap();
            for (severity, expr) in levels {
                writeln!(yaml, "      {}: {}", severity.name(), quoted(expr)).unwrap();
            }
        }
    }
    time(yaml, "for", rule.hold_ms);
    expression(yaml, "resolve_when", rule.resolve_when.as_ref());
    time(yaml, "keep_firing_for", rule.keep_firing_ms);
    time(yaml, "cooldown", rule.cooldown_ms);
    if rule.note != 0 {
        writeln!(yaml, "    labels: {{note: n{}}}", rule.note).unwrap();
    }
}

fn given(yaml: &mut String, severity: Option<Severity>) {
    if let Some(severity) = severity {
        writeln!(yaml, "    severity: {}", severity.name()).unwrap();
    }
}

fn date(yaml: &mut String, rule: &DateRule) {
    writeln!(yaml, "    date: customer.{}", rule.attribute).unwrap();
    time(yaml, "lead", rule.lead_days * 86_400_000);
    if rule.at_minutes != 0 {
        writeln!(yaml, "    at: \"{:02}:{:02}\"", rule.at_minutes / 60, rule.at_minutes % 60).unwrap();
    }
    if let Some(zone) = rule.zone {
        writeln!(yaml, "    timezone: {}", zone.name()).unwrap();
    }
}

/// `where`, `by` and `until`, of a rule or of `open`.
fn making(making: &Making) -> Vec<String> {
    let mut entries: Vec<String> = filter(making.filter.as_ref()).into_iter().collect();
    entries.extend(making.by.map(|by| format!("by: {by}")));
    let condition = |filter: &Option<Expr>| filter.as_ref().map_or("'true'".to_owned(), quoted);
    let until: Vec<String> =
        making.until.iter().map(|(kind, filter)| format!("{{{kind}: {}}}", condition(filter))).collect();
    if !until.is_empty() {
        entries.push(format!("until: [{}]", until.join(", ")));
    }
    entries
}

fn expression(yaml: &mut String, key: &str, expr: Option<&Expr>) {
    if let Some(expr) = expr {
        writeln!(yaml, "    {key}: {}", quoted(expr)).unwrap();
    }
}

/// Zero is the default of all these, and left out.
fn time(yaml: &mut String, key: &str, ms: i64) {
    if ms != 0 {
        writeln!(yaml, "    {key}: {}", duration(ms)).unwrap();
    }
}

/// A scalar that YAML does not look into.
fn quoted(expr: &Expr) -> String {
    format!("'{}'", cel(expr).replace('\'', "''"))
}

fn entries(measure: &Measure) -> Vec<String> {
    let windowed = |what: String, selection: &Selection, over: Window| {
        let mut entries = vec![what];
        entries.extend(filter(selection.filter.as_ref()));
        entries.extend(window(over));
        entries
    };
    match measure {
        Measure::Count(count) => {
            windowed(format!("count: {}", list(&count.selection.kinds)), &count.selection, count.window)
        }
        Measure::Sum(sum) => {
            windowed(format!("sum: {}", paths(&sum.selection, &sum.fields)), &sum.selection, sum.window)
        }
        Measure::Aggregate(aggregate) => {
            let (selection, window) = (&aggregate.selection, aggregate.window);
            windowed(format!("{}: {}", aggregate.what.key(), paths(selection, &aggregate.fields)), selection, window)
        }
        Measure::MedianGap(gap) => {
            windowed(format!("median_gap: {}", list(&gap.selection.kinds)), &gap.selection, gap.window)
        }
        Measure::Open(open) => {
            let mut entries = vec![format!("open: {}", open.making.trigger)];
            entries.extend(making(&open.making));
            entries.extend(open.expire_ms.map(|expire| format!("expire: {}", duration(expire))));
            entries
        }
        Measure::Silence(silence) => {
            let mut entries = vec![format!("silence: {}", list(&silence.selection.kinds))];
            entries.extend(filter(silence.selection.filter.as_ref()));
            entries.extend(silence.since_first_seen.then(|| "since: first_seen".to_owned()));
            entries
        }
    }
}

fn paths(selection: &Selection, fields: &[&str]) -> String {
    let paths = selection.kinds.iter().zip(fields).map(|(kind, field)| format!("{kind}.{field}"));
    list(&paths.collect::<Vec<_>>())
}

fn list<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if let [name] = names[..] { name.to_owned() } else { format!("[{}]", names.join(", ")) }
}

fn filter(filter: Option<&Expr>) -> Option<String> {
    filter.map(|filter| format!("where: {}", quoted(filter)))
}

fn window(window: Window) -> Vec<String> {
    if window.stands == Stands::SinceTheTrigger {
        return vec!["over: item".to_owned()];
    }
    let mut entries = vec![format!("over: {}", duration(window.over))];
    if window.offset != 0 {
        entries.push(format!("offset: {}", duration(window.offset)));
    }
    if window.stands == Stands::BeforeTheTrigger {
        entries.push("prior: true".to_owned());
    }
    entries
}

/// Whole numbers of the largest units first: `1d12h`, `2m1ms`.
pub fn duration(mut ms: i64) -> String {
    let mut text = String::new();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if ms >= length {
            write!(text, "{}{unit}", ms / length).unwrap();
            ms %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Every operation in its own parentheses: the model has no opinion on precedence.
pub fn cel(expr: &Expr) -> String {
    let both = |a: &Expr, operator: &str, b: &Expr| format!("{} {operator} {}", inner(a), inner(b));
    match expr {
        Expr::Is(value) => literal(value),
        Expr::Span(unit, n) => {
            let unit = match unit {
                Unit::Days => "days",
                Unit::Hours => "hours",
                Unit::Minutes => "minutes",
            };
            format!("{unit}({})", literal(&Value::Number(*n)))
        }
        Expr::Name(name) => path(name),
        Expr::Has(name) => format!("has({})", path(name)),
        Expr::Not(a) => format!("!{}", inner(a)),
        Expr::And(a, b) => both(a, "&&", b),
        Expr::Or(a, b) => both(a, "||", b),
        Expr::Choice(a, b, c) => format!("{} ? {} : {}", inner(a), inner(b), inner(c)),
        Expr::Equal(a, b) => both(a, "==", b),
        Expr::Unequal(a, b) => both(a, "!=", b),
        Expr::Ordered(order, a, b) => {
            let operator = match order {
                Order::Less => "<",
                Order::AtMost => "<=",
                Order::Greater => ">",
                Order::AtLeast => ">=",
            };
            both(a, operator, b)
        }
        Expr::In(a, list) => {
            let list: Vec<String> = list.iter().map(literal).collect();
            format!("{} in [{}]", inner(a), list.join(", "))
        }
        Expr::Looks(looks, a, part) => {
            let looks = match looks {
                Looks::StartsWith => "startsWith",
                Looks::EndsWith => "endsWith",
                Looks::Contains => "contains",
            };
            format!("{}.{looks}({})", inner(a), literal(&Value::Text(part.clone())))
        }
        Expr::Computed(operator, a, b) => {
            let operator = match operator {
                Arithmetic::Add => "+",
                Arithmetic::Subtract => "-",
                Arithmetic::Multiply => "*",
                Arithmetic::Divide => "/",
            };
            both(a, operator, b)
        }
    }
}

fn inner(expr: &Expr) -> String {
    match expr {
        Expr::Is(_) | Expr::Span(..) | Expr::Name(_) | Expr::Has(_) => cel(expr),
        _ => format!("({})", cel(expr)),
    }
}

fn path(name: &Name) -> String {
    match name {
        Name::Let(name) => name.clone(),
        Name::Attribute(name) => format!("customer.{name}"),
        Name::Field(name) => format!("event.{name}"),
        Name::Trigger(name) => format!("trigger.{name}"),
        Name::Age => "age".to_owned(),
    }
}

/// Whole numbers are written as such, so that `5 / 2` would show an engine that computes in integers.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::Text(text) => format!("\"{text}\""),
        Value::Undefined | Value::Duration(_) => panic!("{value:?} has no literal"),
    }
}
