//! What differs between two records, field for field.

use std::collections::BTreeSet;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use serde_json::Value;

use super::report::Difference;
use crate::codec::alert::AlertForm;

/// Fields shown of one record.
const SHOWN: usize = 8;
/// Characters shown of a value.
const LENGTH: usize = 120;
/// The one field that may differ.
const FREE: &str = "detected_at";

/// The fields in which two alert records differ. None: their bytes differ and their content does not.
#[must_use]
pub fn of_alerts(form: AlertForm, expected: &[u8], found: &[u8]) -> Vec<Difference> {
    let mut differences = Vec::new();
    match (read(form, expected), read(form, found)) {
        (Some(expected), Some(found)) => collect("", Some(&expected), Some(&found), &mut differences),
        (expected, found) => differences.push(Difference {
            field: "the record".to_owned(),
            expected: text(expected.as_ref()),
            found: text(found.as_ref()),
        }),
    }
    differences.truncate(SHOWN);
    differences
}

fn read(form: AlertForm, payload: &[u8]) -> Option<Value> {
    match form {
        AlertForm::Json => serde_json::from_slice(payload).ok(),
        AlertForm::Avro => {
            const SCHEMA: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/alert.avsc"));
            // After marker and fingerprint, which whoever found the form has read.
            let datum = payload.get(10..)?;
            let schema = Schema::parse_str(SCHEMA).ok()?;
            let reader = GenericDatumReader::builder(&schema).build().ok()?;
            reader.read_value(&mut &*datum).ok()?.try_into().ok()
        }
    }
}

fn collect(path: &str, expected: Option<&Value>, found: Option<&Value>, out: &mut Vec<Difference>) {
    if expected == found || path == FREE {
        return;
    }
    let (Some(Value::Object(one)), Some(Value::Object(other))) = (expected, found) else {
        out.push(Difference { field: path.to_owned(), expected: text(expected), found: text(found) });
        return;
    };
    let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(&path, one.get(name), other.get(name), out);
    }
}

fn text(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
    match text.char_indices().nth(LENGTH) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_by_their_paths() {
        let expected = br#"{"severity":"low","detected_at":"a","values":{"n":1,"m":2},"notify":[1]}"#;
        let found = br#"{"severity":"high","detected_at":"b","values":{"n":1},"notify":[1],"extra":null}"#;
        let differences = of_alerts(AlertForm::Json, expected, found);
        let shown: Vec<_> =
            differences.iter().map(|one| (one.field.as_str(), one.expected.as_str(), one.found.as_str())).collect();
        let wanted = [("extra", "nothing", "null"), ("severity", "\"low\"", "\"high\""), ("values.m", "2", "nothing")];
        assert_eq!(shown, wanted);
        assert_eq!(of_alerts(AlertForm::Json, expected, b"no JSON")[0].found, "nothing");
        assert!(of_alerts(AlertForm::Json, expected, expected).is_empty());
    }
}
