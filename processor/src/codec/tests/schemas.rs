use super::{COMMON, avsc};
use crate::codec::schemas::{Schemas, catalog_from_json, catalog_to_json, compatible};
use std::fmt::Write as _;
use std::sync::Arc;
use tocsin_core::event::Catalog;

/// `expected` is a part of the error, or empty.
fn check(schema: &str, expected: &str) {
    let result = Schemas::from_sources([("x.avsc", schema)]);
    match result {
        Ok(_) => assert_eq!(expected, "", "accepted: {schema}"),
        Err(error) => {
            let error = error.to_string();
            assert!(!expected.is_empty() && error.contains(expected), "{schema}\n{error}");
            assert!(error.starts_with("x.avsc: "), "{error}");
        }
    }
}

#[test]
fn schemas_are_accepted_or_refused_with_a_reason() {
    for (fields, expected) in [
        ("", ""),
        (r#"{"name": "a", "type": "string"}"#, ""),
        (r#"{"name": "a", "type": ["boolean", "null"]}"#, ""),
        (r#"{"name": "a", "type": {"type": "enum", "name": "e", "symbols": ["x"]}}"#, ""),
        (r#"{"name": "extras", "type": ["null", {"type": "map", "values": ["double", "null"]}]}"#, ""),
        (r#"{"name": "a", "type": "bytes"}"#, "field `a`: its type is not supported; use string"),
        (r#"{"name": "a", "type": "null"}"#, "field `a`: its type is not supported"),
        (r#"{"name": "a", "type": {"type": "array", "items": "string"}}"#, "field `a`: its type is not supported"),
        (r#"{"name": "a", "type": {"type": "map", "values": "string"}}"#, "field `a`: its type is not supported"),
        (r#"{"name": "a", "type": {"type": "long", "logicalType": "timestamp-millis"}}"#, "field `a`: its type"),
        (
            r#"{"name": "a", "type": {"type": "fixed", "size": 8, "name": "f", "logicalType": "decimal", "precision": 9}}"#,
            "field `a`",
        ),
        (
            r#"{"name": "a", "type": ["null", "string", "int"]}"#,
            "field `a`: a union must be of null and one other type",
        ),
        (
            r#"{"name": "extras", "type": {"type": "map", "values": "string"}}"#,
            "field `extras`: must be a map of a union",
        ),
        (r#"{"name": "extras", "type": "string"}"#, "field `extras`: must be a map of a union"),
        (r#"{"name": "id", "type": "string"}"#, "is not an Avro schema"),
    ] {
        check(&avsc("visit", fields), expected);
    }
    check("{", "is not JSON");
    check(r#"{"type": "record", "name": "visit"}"#, "is not an Avro schema");
    check(r#""string""#, "must be a record, named as the event type");
    check(r#"{"type": "enum", "name": "visit", "symbols": ["a"]}"#, "must be a record");
    check(&avsc("visit", "").replace("\"id\"", "\"ident\""), "field `id`: is missing; every event type has");
    check(
        &avsc("visit", "").replace("timestamp-millis", "timestamp-micros"),
        "field `occurred_at`: must be a long with",
    );
    check(
        &avsc("visit", "")
            .replace(r#""customer_id", "type": "string""#, r#""customer_id", "type": ["null", "string"]"#),
        "field `customer_id`: must be a string, and not nullable",
    );
}

#[test]
fn a_field_may_say_that_it_is_not_kept() {
    let kept = |kept: &str| {
        format!(r#"{{"name": "a", "type": "string", "tocsin.kept": {kept}}}, {{"name": "b", "type": "int"}}"#)
    };
    let schemas = |kept: &str| Schemas::from_sources([("x.avsc", avsc("visit", kept))]).unwrap();
    let (without, with) = (schemas(&kept("false")), schemas(&kept("true")));
    let fields = |schemas: &Schemas| -> Vec<(String, bool)> {
        let event_type = schemas.catalog().by_name("visit").unwrap();
        event_type.fields.iter().map(|field| (field.name.to_string(), field.kept)).collect()
    };
    assert_eq!(fields(&without), [("a".to_owned(), false), ("b".to_owned(), true)]);
    assert_eq!(fields(&with), [("a".to_owned(), true), ("b".to_owned(), true)]);
    assert_eq!(fields(&Arc::new(without.clone()).keeping_all()), fields(&without), "the catalog stays what it is");
    // It keeps its place, so a schema may change its mind; but then events are read otherwise.
    assert_eq!(compatible(without.catalog(), with.catalog()), Ok(()));
    assert_eq!(compatible(with.catalog(), without.catalog()), Ok(()));
    assert_ne!(without.fingerprint(), with.fingerprint());
    let said = schemas(&kept("true"));
    assert_eq!(said.fingerprint(), schemas(&kept("true").replace(r#", "tocsin.kept": true"#, "")).fingerprint());
    assert_eq!(without.avro_fingerprint("visit"), with.avro_fingerprint("visit"));
    let stored = catalog_to_json(without.catalog());
    assert!(stored.contains(r#"{"name":"a","kind":"text","kept":false}"#), "{stored}");
    assert_eq!(catalog_from_json(&stored).unwrap(), *without.catalog());

    check(&avsc("visit", &kept("\"no\"")), "field `a`: its `tocsin.kept` must be true or false");
    let not_kept = |name: &str| {
        avsc("visit", "")
            .replace(&format!(r#""name": "{name}""#), &format!(r#""name": "{name}", "tocsin.kept": false"#))
    };
    for common in ["id", "type", "customer_id", "occurred_at"] {
        check(
            &not_kept(common),
            &format!("field `{common}`: is one of the four that every event has, and always kept"),
        );
    }
    check(
        &avsc(
            "visit",
            r#"{"name": "extras", "tocsin.kept": false, "type": {"type": "map", "values": ["null", "string"]}}"#,
        ),
        "field `extras`: is kept or left out of the schema",
    );
}

#[test]
fn the_shipped_types_are_those_of_the_contract() {
    let schemas = Schemas::shipped();
    let mut types = String::new();
    for event_type in schemas.catalog().types() {
        let fields: Vec<_> = event_type.fields.iter().map(|field| format!("{}:{:?}", field.name, field.kind)).collect();
        let open = if event_type.open { " ..." } else { "" };
        writeln!(types, "{} {}{open}", event_type.name, fields.join(" ")).unwrap();
    }
    let expected = "\
purchase amount:Decimal currency:Text quantity:Number order_id:Text product_id:Text category:Text channel:Text status:Text
interaction channel:Text direction:Text purpose:Text automatic:Bool agent_id:Text
complaint ticket_id:Text status:Text category:Text priority:Text channel:Text
feedback kind:Text score:Number sentiment:Number channel:Text topic:Text
profile name:Text owner:Text region:Text segment:Text tier:Text stage:Text status:Text birthday:Text ...
score name:Text value:Number model:Text model_version:Text
";
    assert_eq!(types, expected);
}

#[test]
fn fingerprints_are_those_that_other_libraries_compute() {
    // By fastavro 1.12; the bytes as they stand in a payload.
    let schemas = Schemas::shipped();
    for (event_type, bytes) in [
        ("purchase", "526f1839d8492097"),
        ("interaction", "4e14f38b15488114"),
        ("complaint", "7bd33bc29b4ac334"),
        ("feedback", "4f160ad3b1d68bf5"),
        ("profile", "451d6e41116df9cd"),
        ("score", "a1c349e0896e0e7b"),
    ] {
        let fingerprint = schemas.avro_fingerprint(event_type).unwrap().swap_bytes();
        assert_eq!(format!("{fingerprint:016x}"), bytes, "{event_type}");
    }
    for (text, known, bytes) in [
        (include_str!("../../../../schemas/alert.avsc"), crate::codec::alert::ALERT_FINGERPRINT, "82cdcd66a4cb69d1"),
        (
            include_str!("../../../../schemas/journal.avsc"),
            crate::codec::journal::JOURNAL_FINGERPRINT,
            "e147d186ac48b3c6",
        ),
    ] {
        let schema = apache_avro::Schema::parse_str(text).unwrap();
        assert_eq!(crate::codec::avro::fingerprint(&schema), Ok(known));
        assert_eq!(format!("{:016x}", known.swap_bytes()), bytes);
    }
}

#[test]
fn a_folder_adds_types_and_redefines_shipped_ones() {
    let folder = std::env::temp_dir().join(format!("tocsin-schemas-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("old.avsc")).unwrap();
    std::fs::write(folder.join("README.md"), "not a schema").unwrap();
    std::fs::write(folder.join("visit.avsc"), avsc("visit", r#"{"name": "page", "type": "string"}"#)).unwrap();
    std::fs::write(folder.join("score.avsc"), avsc("score", "")).unwrap();
    let schemas = Schemas::load(&folder).unwrap();
    assert_eq!(schemas.catalog().types().len(), 7);
    assert!(schemas.catalog().by_name("visit").unwrap().field("page").is_some());
    assert!(schemas.catalog().by_name("score").unwrap().fields.is_empty());
    assert_ne!(schemas.fingerprint(), Schemas::shipped().fingerprint());

    let again = Schemas::from_sources(schemas.sources().map(|source| ("stored", source))).unwrap();
    assert_eq!((again.catalog(), again.fingerprint()), (schemas.catalog(), schemas.fingerprint()));

    std::fs::write(folder.join("wisit.avsc"), avsc("visit", "")).unwrap();
    let error = Schemas::load(&folder).unwrap_err();
    assert!(error.file.ends_with("wisit.avsc") && error.message.contains("defined twice"), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(Schemas::load(&folder).unwrap_err().message.starts_with("cannot be read"));
}

#[test]
fn scales_and_fields_change_the_fingerprint_of_the_set_and_comments_do_not() {
    let fingerprint = |schema: String| Schemas::from_sources([("visit.avsc", schema)]).unwrap().fingerprint();
    let decimal = |scale: u8| {
        avsc(
            "visit",
            &format!(
                r#"{{"name": "a", "type": {{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": {scale}}}}}"#
            ),
        )
    };
    assert_ne!(fingerprint(decimal(2)), fingerprint(decimal(3)));
    let commented = decimal(2).replace(r#""name": "a""#, r#""name": "a", "doc": "what it is""#);
    assert_eq!(fingerprint(decimal(2)), fingerprint(commented));
}

fn catalog(schema: &str) -> Catalog {
    Schemas::from_sources([("visit.avsc", schema)]).unwrap().catalog().clone()
}

#[test]
fn a_catalog_survives_its_form_in_a_store() {
    let text = catalog_to_json(&catalog(&avsc("visit", r#"{"name": "page", "type": "string"}"#)));
    assert_eq!(catalog_to_json(&catalog_from_json(&text).unwrap()), text);
    assert!(text.contains(r#"{"name":"page","kind":"text"}"#), "{text}");
    let renumbered = text.replace(r#""name":"purchase","id":0"#, r#""name":"purchase","id":9"#);
    assert!(catalog_from_json(&renumbered).unwrap_err().contains("has the number"));
    assert!(catalog_from_json("{}").unwrap_err().starts_with("not a catalog"));
}

#[test]
fn fields_may_only_be_appended() {
    let (a, b) = (r#"{"name": "a", "type": "string"}"#, r#"{"name": "b", "type": "double"}"#);
    let extras = r#"{"name": "extras", "type": {"type": "map", "values": ["null", "string"]}}"#;
    let old = catalog(&avsc("visit", &format!("{a},{b}")));
    for (fields, expected) in [
        (format!("{a},{b}"), ""),
        (format!(r#"{a},{b},{{"name": "c", "type": "int"}}"#), ""),
        (format!("{extras},{a},{b}"), ""),
        (a.to_owned(), "the field `b` of `visit` is gone: put it back"),
        (format!("{b},{a}"), "the field `b` of `visit` stands where `a` stood"),
        (format!(r#"{a},{{"name": "b", "type": "string"}}"#), "`b` of `visit` was a number and is now a text"),
        // A number may change its Avro type: rows hold the same for all of them.
        (format!(r#"{a},{{"name": "b", "type": ["null", "long"]}}"#), ""),
    ] {
        let result = compatible(&old, &catalog(&avsc("visit", &fields)));
        match result {
            Ok(()) => assert_eq!(expected, "", "{fields}"),
            Err(error) => assert!(!expected.is_empty() && error.contains(expected), "{fields}\n{error}"),
        }
    }
    let gone = compatible(&old, Schemas::shipped().catalog()).unwrap_err();
    assert!(gone.contains("the event type `visit` is gone"), "{gone}");
    let open = catalog(&avsc("visit", &format!("{a},{b},{extras}")));
    assert!(compatible(&open, &old).unwrap_err().contains("has lost its map `extras`"));
}

#[test]
fn the_common_fields_may_stand_anywhere() {
    let schema =
        format!(r#"{{"type": "record", "name": "visit", "fields": [{{"name": "a", "type": "string"}}, {COMMON}]}}"#);
    assert_eq!(catalog(&schema).by_name("visit").unwrap().field("a").unwrap().0, 0);
}
