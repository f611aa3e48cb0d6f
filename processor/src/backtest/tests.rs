//! An event type that a user has dropped in, from its schema to an alert.

use std::path::PathBuf;

use super::*;
use crate::rules::{Limits, Source, load};

const SCHEMA: &str = r#"{"type": "record", "name": "delivery", "fields": [
    {"name": "id", "type": "string"},
    {"name": "type", "type": "string"},
    {"name": "customer_id", "type": "string"},
    {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "parcel", "type": ["null", "string"], "default": null},
    {"name": "days_late", "type": ["null", "double"], "default": null},
    {"name": "address", "type": ["null", "string"], "default": null, "tocsin.kept": false}]}"#;

const RULES: &str = "
rules:
- id: late
  let:
    late: {count: delivery, where: event.days_late > 1, over: 30d}
    days: {sum: delivery.days_late, over: 30d}
  when: late >= 2 && days > 5
";

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, schema: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tocsin-backtest-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("delivery.avsc"), schema).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_type_that_was_dropped_in_is_used_like_any_other() {
    let folder = Folder::new("dropped-in", SCHEMA);
    let schemas = Arc::new(Schemas::load(&folder.0).unwrap());
    let source = Source { name: "r.yaml".to_owned(), text: RULES.to_owned() };
    let rules = load(&[source], schemas.catalog(), &Limits::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let event = |number: u8, rest: &str| {
        format!(
            r#"{{"id":"d{number}","type":"delivery","customer_id":"c","occurred_at":"2026-01-0{number}T00:00:00Z"{rest}}}"#
        )
    };
    let events = [
        event(1, r#","parcel":"a","days_late":2.5,"address":"here""#),
        event(2, r#","days_late":0"#),
        // What is not kept is checked all the same.
        event(3, r#","days_late":9,"address":7"#),
        event(4, r#","parcel":"b","days_late":3,"address":"there""#),
    ];
    let mut out = Vec::new();
    let settings = Settings::default();
    let input = events.join("\n");
    let summary = run(Arc::new(rules.set), &schemas, &settings, input.as_bytes(), &mut out, &mut |_| ()).unwrap();
    assert_eq!((summary.events, &summary.refused), (3, &BTreeMap::from([("wrong_type", 1)])));
    let alert: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(alert["occurred_at"], "2026-01-04T00:00:00.000Z");
    assert_eq!(alert["values"], serde_json::json!({"late": 2, "days": 5.5}));
    assert_eq!(alert["evidence"], serde_json::json!(["d1", "d2", "d4"]));
}
