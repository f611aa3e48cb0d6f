//! The same event in JSON and in Avro is the same record; and no bytes make the decoder panic.

use super::{avsc, decoded, with_visit};
use crate::codec::avro::{put_header, put_long, put_text};
use crate::codec::decode::Decoder;
use crate::codec::encode::Encoder;
use crate::codec::schemas::Schemas;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use std::sync::Arc;

/// Both forms of an event decode to the same.
fn check(json: &str) {
    let schemas = with_visit();
    let mut avro = Vec::new();
    Encoder::new(Arc::clone(&schemas))
        .encode(json.as_bytes(), &mut avro)
        .unwrap_or_else(|error| panic!("{json}: {error}"));
    let (mut one, mut other) = (Decoder::new(Arc::clone(&schemas)), Decoder::new(schemas));
    let (from_json, from_avro) = (one.decode(json.as_bytes()).unwrap(), other.decode(&avro).unwrap());
    assert_eq!(from_json.customer_id, from_avro.customer_id);
    assert_eq!(from_json.occurred_at, from_avro.occurred_at);
    assert_eq!(from_json.record.bytes(), from_avro.record.bytes(), "{json}");
}

#[test]
fn json_and_avro_give_the_same_record() {
    for json in [
        r#"{"id":"p","type":"purchase","customer_id":"c","occurred_at":1,"status":"x","amount":-19.99,"quantity":0.1}"#,
        r#"{"id":"p","type":"profile","customer_id":"c","occurred_at":1,"z":1,"b":"x","a":true,"extras":{"c":-1.5}}"#,
        r#"{"id":"p","type":"visit","customer_id":"c","occurred_at":-5,"count":-2147483648,"kind":"long","ratio":0.5}"#,
        r#"{"id":"p","type":"visit","customer_id":"c","occurred_at":-5,"count":0,"bytes":900000000000000,"first":"",
            "exact":922337203685477.5,"coarse":-9999999.99,"paid":true}"#,
    ] {
        check(json);
    }
}

/// A field that is not kept is read like any other and left out.
#[test]
fn what_is_not_kept_is_checked_and_left_out() {
    let fields = r#"{"name": "a", "type": "string", "tocsin.kept": false}, {"name": "b", "type": "int"}, {"name": "c", "type": ["null", "double"], "tocsin.kept": false}"#;
    let schemas = Arc::new(Schemas::from_sources([("visit.avsc", avsc("visit", fields))]).unwrap());
    let mut decoder = Decoder::new(Arc::clone(&schemas));
    let json = |members: &str| format!(r#"{{"id":"p","type":"visit","customer_id":"c","occurred_at":1,{members}}}"#);
    let (whole, short) = (json(r#""a":"x","b":7,"c":0.5"#), json(r#""b":7"#));
    let expected = "visit p c 1 b=7";
    assert_eq!(decoded(&mut decoder, whole.as_bytes()), expected);
    assert_eq!(decoded(&mut decoder, short.as_bytes()), expected);
    assert_eq!(decoder.ignored_fields(), 0);
    let refused = decoded(&mut decoder, json(r#""a":1,"b":7"#).as_bytes());
    assert_eq!(refused, "wrong_type: field `a`: a text is expected, found a number");
    // Avro has a place for each, so an encoder does not leave them out.
    let mut avro = Vec::new();
    Encoder::new(schemas).encode(whole.as_bytes(), &mut avro).unwrap();
    assert_eq!(decoded(&mut decoder, &avro), expected);
    let cut = decoded(&mut decoder, &avro[..avro.len() - 1]);
    assert!(cut.contains("field `c`"), "{cut}");
}

#[test]
fn what_a_schema_cannot_hold_is_not_encoded() {
    let mut encoder = Encoder::new(with_visit());
    for (members, expected) in [
        ("\"bytes\":1", "field `count`: is missing"),
        ("\"count\":2147483648", "field `count`: 2147483648 does not fit its Avro type"),
        ("\"count\":0.5", "field `count`: 0.5 does not fit its Avro type"),
        ("\"count\":1,\"ratio\":0.1", "field `ratio`: 0.1 does not fit its Avro type"),
        ("\"count\":1,\"coarse\":0.001", "field `coarse`: 0.001 does not fit its Avro type"),
        ("\"count\":1,\"coarse\":10000000", "field `coarse`: 10000000 does not fit its Avro type"),
        ("\"count\":1,\"kind\":\"x\"", "field `kind`: `x` does not fit its Avro type"),
    ] {
        let json = format!(r#"{{"id":"p","type":"visit","customer_id":"c","occurred_at":1,{members}}}"#);
        let mut out = b"before".to_vec();
        assert_eq!(encoder.encode(json.as_bytes(), &mut out).unwrap_err().message, expected);
        assert_eq!(out, b"before");
    }
}

/// Decodes an event of the type `visit`, whose parts are written one by one.
fn check_visit(write: impl FnOnce(&mut Vec<u8>), expected: &str) {
    let schemas = with_visit();
    let mut avro = Vec::new();
    put_header(&mut avro, schemas.avro_fingerprint("visit").unwrap());
    put_long(&mut avro, 1);
    put_text(&mut avro, "i");
    put_text(&mut avro, "visit");
    put_text(&mut avro, "c");
    put_long(&mut avro, 7);
    write(&mut avro);
    assert_eq!(decoded(&mut Decoder::new(schemas), &avro), expected);
}

#[test]
fn damaged_avro_names_the_field() {
    let absent = [0, 2, 0, 0, 0, 0];
    check_visit(|out| out.extend([&[5 << 1][..], &absent].concat()), "visit i c 7 count=5");
    check_visit(|_| {}, "not_avro: field `count`: the Avro datum ends too early here, or is damaged");
    check_visit(
        |out| put_long(out, 1 << 31),
        "not_avro: field `count`: the Avro datum ends too early here, or is damaged",
    );
    check_visit(|out| out.extend([0, 4]), "not_avro: field `bytes`: the Avro datum ends too early here, or is damaged");
    check_visit(
        |out| out.extend([&[0][..], &absent, &[0]].concat()),
        "not_avro: 1 bytes follow the Avro datum; was it written with another schema?",
    );
    // A symbol that the enum does not have, a bool that is none, a text longer than the payload.
    check_visit(
        |out| out.extend([0, 0, 2, 0, 0, 2, 4]),
        "not_avro: field `kind`: the Avro datum ends too early here, or is damaged",
    );
    check_visit(
        |out| out.extend([0, 0, 2, 0, 0, 0, 2, 2]),
        "not_avro: field `paid`: the Avro datum ends too early here, or is damaged",
    );
    check_visit(
        |out| {
            out.extend([0, 2]);
            put_long(out, i64::MAX);
        },
        "out_of_range: field `bytes`: 9223372036854776000 is beyond 922337203685477.5807, the largest number there is",
    );
}

#[test]
fn decimals_of_any_scale_are_rounded_half_even() {
    for (unscaled, expected) in [
        (&[][..], "0d"),
        (&[1], "0d"),
        (&[50], "0d"),
        (&[51], "0.0001d"),
        (&[0, 150], "0.0002d"),
        (&[0xff, 0x6a], "-0.0002d"),
        (&[0xce], "0d"),
        (&[0; 40], "0d"),
        (&[0xff; 40], "0d"),
    ] {
        let write = |out: &mut Vec<u8>| {
            out.extend([0, 0, 2, 2]);
            crate::codec::avro::put_bytes(out, unscaled);
            out.extend([0, 0, 0]);
        };
        check_visit(write, &format!("visit i c 7 count=0 exact={expected}"));
    }
    let beyond = |out: &mut Vec<u8>| {
        out.extend([0, 0, 2, 2]);
        crate::codec::avro::put_bytes(out, &[0x7f; 16]);
        out.extend([0, 0, 0]);
    };
    check_visit(
        beyond,
        "out_of_range: field `exact`: this decimal is beyond 922337203685477.5807, the largest number there is",
    );
}

#[test]
fn the_type_within_an_avro_event_must_be_that_of_its_schema() {
    let schemas = with_visit();
    let mut avro = Vec::new();
    put_header(&mut avro, schemas.avro_fingerprint("score").unwrap());
    put_text(&mut avro, "i");
    put_text(&mut avro, "purchase");
    let found = decoded(&mut Decoder::new(schemas), &avro);
    assert_eq!(found, "wrong_schema: field `type`: `purchase` in an event of the schema `score`");
}

#[test]
fn the_rust_library_reads_and_writes_the_same_bytes() {
    let text = include_str!("../../../../schemas/events/profile.avsc");
    let schema = apache_avro::Schema::parse_str(text).unwrap();
    let schemas = with_visit();
    let json = r#"{"id":"p","type":"profile","customer_id":"c","occurred_at":1,"tier":"gold","vip":true}"#;
    let mut avro = Vec::new();
    Encoder::new(Arc::clone(&schemas)).encode(json.as_bytes(), &mut avro).unwrap();
    let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut &avro[10..]).unwrap();
    let Value::Record(fields) = &value else { panic!("{value:?}") };
    assert_eq!(fields[3], ("occurred_at".to_owned(), Value::TimestampMillis(1)));
    assert_eq!(fields[8], ("tier".to_owned(), Value::Union(1, Box::new(Value::String("gold".to_owned())))));

    // Its own fingerprints differ from those of the specification; both are known.
    let mut theirs = [&[0xc3, 0x01][..], &schema.fingerprint::<Rabin>().bytes].concat();
    theirs.extend(GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(value).unwrap());
    assert_ne!(theirs[..10], avro[..10]);
    let mut decoder = Decoder::new(schemas);
    assert_eq!(decoded(&mut decoder, &theirs), "profile p c 1 tier=\"gold\" +vip=true");
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        (-1e9..1e9_f64).prop_map(|x| x.to_string()),
        any::<f64>().prop_filter("JSON has only these", |x| x.is_finite()).prop_map(|x| format!("{x:e}")),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"(\\\\u[0-9a-fA-F]{4}|\\\\[nrtbf/]|.)*\"",
    ]
}

fn json() -> impl Strategy<Value = String> {
    let value = scalar().prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| format!("[ {}]", values.join(" ,"))),
            prop::collection::vec(("[a-c]", inner), 0..4).prop_map(|members| object(&members)),
        ]
    });
    let key = prop_oneof!["id|type|customer_id|occurred_at|amount|quantity|channel|extras|vip", "[a-z]{0,3}"];
    prop::collection::vec((key, value), 0..8).prop_map(|members| object(&members))
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
    format!("{{{}}}\n", members.join(","))
}

/// Removes, replaces or inserts a few bytes.
fn mutate(mut bytes: Vec<u8>, edits: &[(u16, u8, u8)]) -> Vec<u8> {
    for (place, edit, byte) in edits {
        let place = usize::from(*place) % (bytes.len() + 1);
        match edit % 3 {
            0 if place < bytes.len() => drop(bytes.remove(place)),
            1 if place < bytes.len() => bytes[place] = *byte,
            _ => bytes.insert(place, *byte),
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Vec<(u16, u8, u8)>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(&b"{}[]\",:\\0-.eE tn"[..])];
    prop::collection::vec((any::<u16>(), any::<u8>(), byte), 0..4)
}

const VALID: &str = r#"{"id":"p","type":"profile","customer_id":"c","occurred_at":"2026-01-01T00:00:00.5Z","tier":"g\u00f6ld","n":-1.5e3,"extras":{"a":[{"b":null}],"c":true}}"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), head in 0..4_usize) {
        let schemas = with_visit();
        let mut avro = Vec::new();
        put_header(&mut avro, schemas.avro_fingerprint(["profile", "visit", "purchase"][head % 3]).unwrap());
        let payload = if head == 3 { bytes } else { [avro, bytes].concat() };
        decoded(&mut Decoder::new(schemas), &payload);
    }

    #[test]
    fn no_damage_makes_it_panic(edits in edits(), as_avro in any::<bool>()) {
        let schemas = with_visit();
        let mut payload = VALID.as_bytes().to_vec();
        if as_avro {
            payload.clear();
            Encoder::new(Arc::clone(&schemas)).encode(VALID.as_bytes(), &mut payload).unwrap();
        }
        decoded(&mut Decoder::new(schemas), &mutate(payload, &edits));
    }

    #[test]
    fn json_is_what_serde_json_takes_for_json(json in json(), edits in edits()) {
        let payload = mutate(json.into_bytes(), &edits);
        let ours = decoded(&mut Decoder::new(with_visit()), &payload);
        let is_object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&payload).is_ok();
        let preamble = payload.iter().find(|byte| !b" \n\r\t".contains(byte)) != Some(&b'{');
        // It has no infinite numbers, which here are judged by the field they stand for.
        let infinite = serde_json::from_slice::<serde_json::Value>(&payload).is_err_and(|error| error.to_string().contains("out of range"));
        if !preamble && !infinite {
            prop_assert_eq!(!ours.starts_with("not_json"), is_object, "{}\n{}", String::from_utf8_lossy(&payload), ours);
        }
    }

    #[test]
    fn any_event_is_the_same_in_both_forms(
        at in -62_135_596_800_000..=253_402_300_799_999_i64,
        amount in prop::option::of(-9_999_999_999_999.0..9_999_999_999_999.0_f64),
        quantity in prop::option::of(any::<f32>().prop_filter("in range", |x| x.abs() < 9e14)),
        texts in prop::collection::vec(prop::option::of(any::<String>()), 2),
    ) {
        let event = serde_json::json!({
            "id": "p-1", "type": "purchase", "customer_id": "客户", "occurred_at": at,
            "amount": amount, "quantity": quantity.map(f64::from), "channel": texts[0], "status": texts[1],
        });
        check(&event.to_string());
    }
}
