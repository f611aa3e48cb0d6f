//! Where do two lists of alert records part?

use serde_json::{Map, Value};

/// The fields that the model has an opinion on.
const FIELDS: [&str; 14] = [
    "alert_id",
    "sequence",
    "transition",
    "reason",
    "severity",
    "previous_severity",
    "rule_id",
    "customer_id",
    "item",
    "occurred_at",
    "fired_at",
    "values",
    "labels",
    "evidence",
];

/// The first record that differs, with both sides, or None.
pub fn first_difference(model: &[Value], engine: &[Value]) -> Option<String> {
    let at = (0..model.len().max(engine.len())).find(|i| shown(model.get(*i)) != shown(engine.get(*i)))?;
    let (ours, theirs) = (shown(model.get(at)), shown(engine.get(at)));
    let fields: Vec<&str> = FIELDS.into_iter().filter(|field| ours[*field] != theirs[*field]).collect();
    Some(format!(
        "record {at} differs in: {}\nmodel:  {}\nengine: {}\nmodel, all:\n{}\nengine, all:\n{}",
        fields.join(", "),
        pretty(&ours),
        pretty(&theirs),
        lines(model).join("\n"),
        lines(engine).join("\n"),
    ))
}

/// One customer's records after the other's, each customer's in their order.
pub fn by_customer(records: &[Value]) -> Vec<Value> {
    let mut sorted = records.to_vec();
    sorted.sort_by_key(|record| record["customer_id"].to_string());
    sorted
}

/// One short line per record.
pub fn lines(records: &[Value]) -> Vec<String> {
    let text = |record: &Value, field: &str| record[field].as_str().unwrap_or("?").to_owned();
    let line = |record: &Value| {
        ["occurred_at", "customer_id", "rule_id", "transition", "reason", "severity"]
            .map(|field| text(record, field))
            .join(" ")
    };
    records.iter().map(line).collect()
}

fn shown(record: Option<&Value>) -> Value {
    let Some(record) = record else { return Value::Null };
    let field = |name: &str| (name.to_owned(), plain(&record[name]));
    Value::Object(FIELDS.into_iter().map(field).collect::<Map<_, _>>())
}

/// 3 and 3.0 are the same number, however JSON spells it.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(n) => n.as_f64().map_or(Value::Null, Value::from),
        Value::Array(list) => list.iter().map(plain).collect(),
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), plain(value))).collect()),
        other => other.clone(),
    }
}

fn pretty(record: &Value) -> String {
    if record.is_null() { "no such record".to_owned() } else { serde_json::to_string_pretty(record).unwrap() }
}
