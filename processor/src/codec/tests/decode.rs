use super::{decoded, with_visit};
use crate::codec::decode::{Decoder, EXTRAS_MAX};
use crate::codec::schemas::Schemas;
use std::sync::Arc;

const AT: &str = "2026-01-01T00:00:00Z";

fn check(payload: impl AsRef<[u8]>, expected: &str) {
    let payload = payload.as_ref();
    let mut decoder = Decoder::new(with_visit());
    let found = decoded(&mut decoder, payload);
    assert!(
        if expected.ends_with("...") { found.starts_with(expected.trim_end_matches('.')) } else { found == expected },
        "{}\nfound    {found}\nexpected {expected}",
        String::from_utf8_lossy(payload)
    );
}

/// An event of a type with these further members.
fn event(event_type: &str, members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"id":"p-1","type":"{event_type}","customer_id":"c-1","occurred_at":"{AT}"{comma}{members}}}"#)
}

#[test]
fn the_example_of_the_contract() {
    check(
        r#"{"id":"p-1","type":"purchase","customer_id":"c-1","occurred_at":"2026-01-01T00:00:00Z","amount":19.99}"#,
        "purchase p-1 c-1 1767225600000 amount=19.99d",
    );
}

#[test]
fn any_order_white_space_and_escapes() {
    check(
        "\u{feff} \t\r\n{ \"channel\" : \"we\\u0062\" ,\"occurred_at\":1,\"customer_id\":\"c\\u002d1\",\"typ\\u0065\":\"purch\\u0061se\",\"id\":\"\\ud83d\\ude00\"} \n",
        "purchase 😀 c-1 1 channel=\"web\"",
    );
    check(
        event("purchase", r#""channel":"a\"\\\/\b\f\n\r\t""#),
        "purchase p-1 c-1 1767225600000 channel=\"a\\\"\\\\/\\u{8}\\u{c}\\n\\r\\t\"",
    );
    check(event("purchase", r#""channel":"网店""#), "purchase p-1 c-1 1767225600000 channel=\"网店\"");
}

#[test]
fn of_a_repeated_key_the_last_counts_and_null_is_absent() {
    check(
        event("purchase", r#""channel":"web","id":"p-2","channel":"app""#),
        "purchase p-2 c-1 1767225600000 channel=\"app\"",
    );
    check(event("purchase", r#""channel":"web","channel":null"#), "purchase p-1 c-1 1767225600000");
    check(event("purchase", r#""channel":7,"channel":"web""#), "purchase p-1 c-1 1767225600000 channel=\"web\"");
    check(event("purchase", r#""id":null"#), "missing_field: field `id`: is missing");
}

#[test]
fn every_kind_of_field() {
    for (members, expected) in [
        (r#""amount":1e2"#, "amount=100d"),
        (r#""amount":0.00015"#, "amount=0.0002d"),
        (r#""amount":-0"#, "amount=0d"),
        (r#""amount":"1.00005""#, "amount=1d"),
        (r#""amount":"922337203685477.5807""#, "amount=922337203685477.6d"),
        (r#""quantity":-0.0"#, "quantity=0"),
        (r#""quantity":1E-5"#, "quantity=0.00001"),
        (r#""quantity":922337203685477"#, "quantity=922337203685477"),
        (r#""quantity":3,"amount":2"#, "amount=2d quantity=3"),
    ] {
        check(event("purchase", members), &format!("purchase p-1 c-1 1767225600000 {expected}"));
    }
    check(event("interaction", r#""automatic":false"#), "interaction p-1 c-1 1767225600000 automatic=false");
    check(
        event("visit", r#""paid":true,"kind":"none of them","count":2.5,"exact":1,"first":"x""#),
        "visit p-1 c-1 1767225600000 first=\"x\" count=2.5 exact=1d kind=\"none of them\" paid=true",
    );
}

#[test]
fn what_no_field_can_hold_is_refused() {
    for (members, expected) in [
        (
            r#""amount":true"#,
            "wrong_type: field `amount`: a number, or a text that holds one, is expected, found a bool",
        ),
        (
            r#""amount":"a lot""#,
            "wrong_type: field `amount`: a number, or a text that holds one, is expected, found another text",
        ),
        (
            r#""amount":1e15"#,
            "out_of_range: field `amount`: 1e15 is beyond 922337203685477.5807, the largest number there is",
        ),
        (r#""amount":"1e15""#, "out_of_range: field `amount`: 1e15 is beyond..."),
        (r#""amount":1e999"#, "out_of_range: field `amount`: 1e999 is beyond..."),
        (r#""quantity":-1e300"#, "out_of_range: field `quantity`: ..."),
        (r#""quantity":"3""#, "wrong_type: field `quantity`: a number is expected, found a text"),
        (r#""channel":3"#, "wrong_type: field `channel`: a text is expected, found a number"),
        (r#""channel":["web"]"#, "wrong_type: field `channel`: a text is expected, found an array"),
    ] {
        check(event("purchase", members), expected);
    }
    check(
        event("interaction", r#""automatic":"no""#),
        "wrong_type: field `automatic`: a bool is expected, found a text",
    );
}

#[test]
fn the_common_fields() {
    let long = "x".repeat(1_025);
    for (members, expected) in [
        (r#""id":"""#.to_owned(), "bad_id: field `id`: is empty"),
        (r#""id":7"#.to_owned(), "wrong_type: field `id`: a text is expected, found a number"),
        (r#""customer_id":7"#.to_owned(), "wrong_type: field `customer_id`: a text is expected, found a number"),
        (r#""customer_id":"a\u001fb""#.to_owned(), "bad_id: field `customer_id`: holds the control character U+001F"),
        (format!(r#""id":"{long}""#), "bad_id: field `id`: has 1025 bytes, more than 1024"),
        (r#""type":"purchse""#.to_owned(), "unknown_type: there is no event type `purchse`"),
        (format!(r#""type":"{long}""#), "unknown_type: there is no event type `xxxxxxxxxx..."),
        (r#""type":"a\nb""#.to_owned(), "unknown_type: there is no event type `a\u{fffd}b`"),
        (r#""type":null"#.to_owned(), "missing_field: field `type`: is missing"),
        (r#""type":1"#.to_owned(), "wrong_type: field `type`: a text is expected, found a number"),
    ] {
        check(event("purchase", &members), expected);
    }
    check("{}", "missing_field: field `type`: is missing");
    check(r#"{"type":"score","id":"i","occurred_at":1}"#, "missing_field: field `customer_id`: is missing");
    check(r#"{"type":"score","id":"i","customer_id":"c"}"#, "missing_field: field `occurred_at`: is missing");
    check(event("score", &format!(r#""id":"{}""#, "x".repeat(1_024))), "score xxxxxxxxxxxxxx...");
}

#[test]
fn instants() {
    for (at, expected) in [
        (r#""2026-01-01T08:00:00.1239+08:00""#, "score p-1 c-1 1767225600123"),
        ("1767225600123", "score p-1 c-1 1767225600123"),
        ("-62135596800000", "score p-1 c-1 -62135596800000"),
        (
            "-62135596800001",
            "out_of_range: field `occurred_at`: -62135596800001 ms is not within the years 1 to 9999, UTC",
        ),
        ("253402300800000", "out_of_range: field `occurred_at`: ..."),
        ("99999999999999999999", "out_of_range: field `occurred_at`: ..."),
        (r#""0000-12-31T23:59:59Z""#, "out_of_range: field `occurred_at`: ..."),
        (r#""9999-12-31T23:59:59-01:00""#, "out_of_range: field `occurred_at`: ..."),
        (
            "1767225600123.0",
            "bad_time: field `occurred_at`: `1767225600123.0` is neither RFC 3339, such as 2026-01-01T00:00:00Z, nor whole milliseconds since 1970",
        ),
        ("1.7e12", "bad_time: ..."),
        (r#""yesterday""#, "bad_time: ..."),
        (r#""2026-02-30T00:00:00Z""#, "bad_time: ..."),
        (r#""2026-01-01T00:00:00""#, "bad_time: ..."),
        ("true", "wrong_type: field `occurred_at`: a text or a whole number is expected, found a bool"),
    ] {
        check(event("score", &format!(r#""occurred_at":{at}"#)), expected);
    }
}

#[test]
fn what_is_not_an_event_at_all() {
    for (payload, expected) in [
        (&b""[..], "empty: the payload is empty"),
        (b" \n", "empty: the payload is empty"),
        (b"[]", "unknown_format: neither a JSON object nor an Avro single object: it begins with the byte 0x5b"),
        (b"hello", "unknown_format: ..."),
        (b"\0\0\0\0\x01abc", "schema_registry: framed for a schema registry..."),
        (b"\xc3\x01", "unknown_schema: the Avro header is cut short"),
        (b"\xc3\x0112345678", "unknown_schema: no event schema has the fingerprint 3132333435363738;..."),
        (b"\xc3\x02", "unknown_format: ..."),
        (b"{", "not_json: not JSON: a key in quotes is missing, at byte 1 of the object"),
        (b"{\"id\" 1}", "not_json: not JSON: `:` must follow a key, at byte 6 of the object"),
        (b"{\"id\":01}", "not_json: ..."),
        (b"{\"id\":1,}", "not_json: ..."),
        (b"{\"id\":nul}", "not_json: ..."),
        (b"{\"id\":\"\\x\"}", "not_json: not JSON: this is no escape, at byte 7 of the object"),
        (b"{\"id\":\"\n\"}", "not_json: not JSON: a control character stands in a text, at byte 7 of the object"),
        (b"{\"id\":\"\\ud800\"}", "not_json: ..."),
        (b"{\"id\":\"\xff\"}", "not_json: not JSON: the text is not UTF-8, at byte 7 of the object"),
        (b"{} {}", "not_json: not JSON: something follows the object, at byte 3 of the object"),
    ] {
        check(payload, expected);
    }
    check(
        format!("{{\"a\":{}", "[".repeat(100_000)),
        "not_json: not JSON: it is nested too deep, at byte 131 of the object",
    );
}

#[test]
fn unknown_fields_of_a_closed_type_are_ignored_and_counted() {
    let mut decoder = Decoder::new(with_visit());
    let payload = event("score", r#""colour":"red","extras":{"a":1},"deep":[{"a":[]},{}],"value":1"#);
    assert_eq!(decoded(&mut decoder, payload.as_bytes()), "score p-1 c-1 1767225600000 value=1");
    assert_eq!(decoder.ignored_fields(), 3);
    decoded(&mut decoder, payload.as_bytes());
    assert_eq!(decoder.ignored_fields(), 6);
}

#[test]
fn unknown_fields_of_an_open_type_are_extras() {
    for (members, expected, ignored) in [
        (r#""vip":true,"tier":"gold","age":41,"note":"a\tb""#, "tier=\"gold\" +age=41 +note=\"a\\tb\" +vip=true", 0),
        (r#""z":1,"a":2,"z":3"#, "+a=2 +z=3", 0),
        (r#""z":1,"z":null,"list":[1],"object":{}"#, "", 2),
        (r#""extras":{"a":1,"b":"x","c":null,"d":[1],"tier":"no","id":"no"},"b":"flat""#, "+a=1 +b=\"flat\"", 3),
        (r#""extras":{"a":1},"extras":{"b":2}"#, "+b=2", 0),
        (r#""extras":null"#, "", 0),
    ] {
        let mut decoder = Decoder::new(Arc::new(Schemas::shipped()));
        let expected = format!("profile p-1 c-1 1767225600000 {expected}");
        assert_eq!(decoded(&mut decoder, event("profile", members).as_bytes()), expected.trim_end());
        assert_eq!(decoder.ignored_fields(), ignored, "{members}");
    }
    check(event("profile", r#""extras":5"#), "wrong_type: field `extras`: an object is expected, found a number");
    check(event("profile", r#""worth":1e20"#), "out_of_range: field `worth`: ...");
    let many: Vec<_> = (0..=EXTRAS_MAX).map(|n| format!(r#""x{n}":1"#)).collect();
    check(event("profile", &many.join(",")), "too_large: more than 256 fields that the schema does not have");
}
