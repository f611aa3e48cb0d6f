//! Events as they come from outside: decoded, or refused with a reason that may be shown.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use tocsin::codec::decode::{Decoder, REASONS};
use tocsin::codec::encode::{Encoder, encode_event};
use tocsin::codec::schemas::Schemas;
use tocsin_core::event::Event;

use crate::Target;
use crate::seeds;

pub const JSON: Target = Target { name: "json", run: decode_json, seeds: seeds::events, short: 1_200_000 };
pub const AVRO: Target = Target { name: "avro", run: decode_avro, seeds: avro_seeds, short: 1_500_000 };

pub const SCHEMA: Target =
    Target { name: "schema", run: read_schema, seeds: || seeds::schemas(EVERY_KIND), short: 20_000 };

/// A type with every kind of field, beside the shipped ones.
const EVERY_KIND: &str = r#"{"type": "record", "name": "visit", "namespace": "shop", "fields": [
    {"name": "first", "type": ["string", "null"]},
    {"name": "id", "type": "string"},
    {"name": "type", "type": "string"},
    {"name": "customer_id", "type": "string"},
    {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "count", "type": "int"},
    {"name": "bytes", "type": ["null", "long"], "default": null},
    {"name": "ratio", "type": ["float", "null"]},
    {"name": "exact", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 6}]},
    {"name": "coarse", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}]},
    {"name": "kind", "type": ["null", {"type": "enum", "name": "kind", "symbols": ["short", "long"]}]},
    {"name": "paid", "type": ["null", "boolean"]}]}"#;

static SCHEMAS: LazyLock<Arc<Schemas>> =
    LazyLock::new(|| Arc::new(Schemas::from_sources([("visit.avsc", EVERY_KIND)]).unwrap()));

thread_local! {
    // Used again and again, as in the program: what one event leaves behind must not harm the next.
    static DECODERS: RefCell<[Decoder; 2]> = RefCell::new([Decoder::new(SCHEMAS.clone()), Decoder::new(SCHEMAS.clone())]);
}

/// Besides, what is JSON to `serde_json` is JSON to the decoder, and nothing else is.
fn decode_json(payload: &[u8]) {
    let refused = decode(payload);
    if payload.iter().find(|byte| !b" \n\r\t".contains(byte)) != Some(&b'{') {
        return;
    }
    let object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(payload);
    // There a number beyond all doubles is no JSON; here it depends on the field that it stands for.
    let infinite = object.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
    if !infinite {
        assert_eq!(refused == Some("not_json"), object.is_err(), "{refused:?} {object:?}");
    }
}

/// What is decoded is the same after a way through Avro; what is not, is refused in a line. Returns the reason.
fn decode(payload: &[u8]) -> Option<&'static str> {
    DECODERS.with_borrow_mut(|[decoder, second]| match decoder.decode(payload) {
        Ok(event) => {
            let mut avro = Vec::new();
            // Not every event fits its schema: JSON is less strict about whole numbers and digits.
            if encode_event(&SCHEMAS, &event, &mut avro).is_ok() {
                let again = second.decode(&avro).unwrap_or_else(|malformed| panic!("{malformed:?}\n{avro:?}"));
                assert_eq!(parts(&event), parts(&again));
            }
            None
        }
        Err(malformed) => {
            assert!(REASONS.contains(&malformed.reason), "{malformed:?}");
            let fits_a_line = malformed.message.len() < 300 && !malformed.message.contains(char::is_control);
            assert!(fits_a_line, "{malformed:?}");
            Some(malformed.reason)
        }
    })
}

fn parts<'e>(event: &'e Event<'_>) -> (&'e str, i64, &'e [u8]) {
    (event.customer_id, event.occurred_at, event.record.bytes())
}

const TYPES: [&str; 7] = ["visit", "purchase", "interaction", "complaint", "feedback", "profile", "score"];

/// The first byte says which schema the rest is of, for a fingerprint is not found by chance.
fn decode_avro(bytes: &[u8]) {
    let Some((chosen, datum)) = bytes.split_first() else { return };
    match TYPES.get(usize::from(*chosen)).and_then(|name| SCHEMAS.avro_fingerprint(name)) {
        Some(fingerprint) => decode(&[&[0xc3, 0x01], &fingerprint.to_le_bytes()[..], datum].concat()),
        None => decode(datum),
    };
}

fn avro_seeds() -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(SCHEMAS.clone());
    let avro = |json: Vec<u8>| {
        let mut avro = Vec::new();
        encoder.encode(&json, &mut avro).ok()?;
        let fingerprint = u64::from_le_bytes(*avro.get(2..)?.first_chunk()?);
        let chosen = TYPES.iter().position(|name| SCHEMAS.avro_fingerprint(name) == Some(fingerprint))?;
        Some([&[chosen as u8], &avro[10..]].concat())
    };
    seeds::events().into_iter().filter_map(avro).collect()
}

/// A schema that somebody dropped in is read or refused, and what is read again from what was kept is the same.
fn read_schema(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(schemas) = Schemas::from_sources([("x.avsc", text)]) {
        let again = Schemas::from_sources(schemas.sources().map(|source| ("kept.avsc", source)));
        assert_eq!(again.map(|again| again.fingerprint()), Ok(schemas.fingerprint()));
    }
}
