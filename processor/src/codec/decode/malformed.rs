//! Why a payload is no event.

use std::fmt;

/// A payload that is no event of any known type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// One of [`REASONS`]: the label of a metric and of a dead letter.
    pub reason: &'static str,
    /// What is wrong, and where. Holds at most a short excerpt of the payload.
    pub message: String,
}

/// Every reason there is.
pub const REASONS: [&str; 14] = [
    EMPTY,
    UNKNOWN_FORMAT,
    SCHEMA_REGISTRY,
    NOT_JSON,
    NOT_AVRO,
    UNKNOWN_SCHEMA,
    UNKNOWN_TYPE,
    WRONG_SCHEMA,
    MISSING_FIELD,
    WRONG_TYPE,
    BAD_ID,
    BAD_TIME,
    OUT_OF_RANGE,
    TOO_LARGE,
];

const EMPTY: &str = "empty";
const UNKNOWN_FORMAT: &str = "unknown_format";
const SCHEMA_REGISTRY: &str = "schema_registry";
const NOT_JSON: &str = "not_json";
const NOT_AVRO: &str = "not_avro";
const UNKNOWN_SCHEMA: &str = "unknown_schema";
const UNKNOWN_TYPE: &str = "unknown_type";
const WRONG_SCHEMA: &str = "wrong_schema";
const MISSING_FIELD: &str = "missing_field";
const WRONG_TYPE: &str = "wrong_type";
const BAD_ID: &str = "bad_id";
const BAD_TIME: &str = "bad_time";
const OUT_OF_RANGE: &str = "out_of_range";
const TOO_LARGE: &str = "too_large";

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Malformed {}

// Building a message is off the path that every event takes.
#[cold]
fn malformed(reason: &'static str, message: String) -> Malformed {
    Malformed { reason, message }
}

impl Malformed {
    pub(crate) fn empty() -> Self {
        malformed(EMPTY, "the payload is empty".to_owned())
    }

    pub(crate) fn unknown_format(first: u8) -> Self {
        malformed(
            UNKNOWN_FORMAT,
            format!("neither a JSON object nor an Avro single object: it begins with the byte {first:#04x}"),
        )
    }

    pub(crate) fn schema_registry() -> Self {
        let message = "framed for a schema registry (it begins with a zero byte), which is not supported yet; \
                       send JSON, or Avro in single-object encoding";
        malformed(SCHEMA_REGISTRY, message.to_owned())
    }

    pub(crate) fn not_json(at: usize, what: &str) -> Self {
        malformed(NOT_JSON, format!("not JSON: {what}, at byte {at} of the object"))
    }

    pub(crate) fn not_avro(field: &str) -> Self {
        malformed(NOT_AVRO, format!("field `{}`: the Avro datum ends too early here, or is damaged", excerpt(field)))
    }

    pub(crate) fn trailing_bytes(count: usize) -> Self {
        malformed(NOT_AVRO, format!("{count} bytes follow the Avro datum; was it written with another schema?"))
    }

    pub(crate) fn unknown_schema(fingerprint: Option<u64>) -> Self {
        let message = match fingerprint {
            // As the bytes stand in the payload, which is also how most tools print it.
            Some(fingerprint) => {
                let known_as = fingerprint.swap_bytes();
                format!("no event schema has the fingerprint {known_as:016x}; was it written with another version?")
            }
            None => "the Avro header is cut short".to_owned(),
        };
        malformed(UNKNOWN_SCHEMA, message)
    }

    pub(crate) fn unknown_type(name: &str) -> Self {
        malformed(UNKNOWN_TYPE, format!("there is no event type `{}`", excerpt(name)))
    }

    pub(crate) fn wrong_schema(schema: &str, claimed: &str) -> Self {
        malformed(WRONG_SCHEMA, format!("field `type`: `{}` in an event of the schema `{schema}`", excerpt(claimed)))
    }

    pub(crate) fn missing_field(field: &str) -> Self {
        malformed(MISSING_FIELD, format!("field `{field}`: is missing"))
    }

    pub(crate) fn wrong_type(field: &str, expected: &str, found: &str) -> Self {
        malformed(WRONG_TYPE, format!("field `{}`: {expected} is expected, found {found}", excerpt(field)))
    }

    pub(crate) fn bad_id(field: &str, what: &str) -> Self {
        malformed(BAD_ID, format!("field `{field}`: {what}"))
    }

    pub(crate) fn bad_time(found: &str) -> Self {
        let message = format!(
            "field `occurred_at`: `{}` is neither RFC 3339, such as 2026-01-01T00:00:00Z, nor whole milliseconds since 1970",
            excerpt(found)
        );
        malformed(BAD_TIME, message)
    }

    pub(crate) fn out_of_range(field: &str, what: &str) -> Self {
        malformed(OUT_OF_RANGE, format!("field `{}`: {what}", excerpt(field)))
    }

    pub(crate) fn number_out_of_range(field: &str, number: &str) -> Self {
        Self::out_of_range(
            field,
            &format!("{} is beyond 922337203685477.5807, the largest number there is", excerpt(number)),
        )
    }

    pub(crate) fn too_large(message: String) -> Self {
        malformed(TOO_LARGE, message)
    }
}

/// The beginning of a text from the payload, fit for a log line: short, and without control characters.
fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let mut chars = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    let mut excerpt: String = chars.by_ref().take(CHARS_MAX).collect();
    if chars.next().is_some() {
        excerpt.push_str("...");
    }
    excerpt
}
