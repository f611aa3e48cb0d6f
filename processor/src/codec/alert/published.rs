//! An alert record as it was published: who it is, and what of it must be the same on every replay.
//!
//! A reader for those who compare, not for those who use alerts: it finds the few fields that name a record, and cuts
//! `detected_at` out of the bytes, whatever the others hold.

use std::borrow::Cow;

use serde::Deserialize;
use tocsin_core::time::Millis;
use uuid::Uuid;

use super::{ALERT_FINGERPRINT, NAMESPACE};
use crate::codec::avro::{Reader, split_header};
use crate::codec::timestamp;

/// In which form an alert was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertForm {
    Json,
    Avro,
}

/// A published alert record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedAlert<'a> {
    pub form: AlertForm,
    pub alert_id: Uuid,
    pub sequence: i64,
    pub transition: Cow<'a, str>,
    pub rule_id: Cow<'a, str>,
    pub customer_id: Cow<'a, str>,
    pub occurred_at: Millis,
    pub detected_at: Millis,
    /// All bytes before `detected_at`, and all after it.
    rest: [&'a [u8]; 2],
}

impl<'a> PublishedAlert<'a> {
    /// `None` if it is no alert record.
    #[must_use]
    pub fn read(payload: &'a [u8]) -> Option<Self> {
        match payload.first()? {
            b'{' => read_json(payload),
            _ => read_avro(payload),
        }
    }

    /// The same for records of one key that differ in nothing but `detected_at`; others differ in all likelihood.
    #[must_use]
    pub fn digest(&self, key: &[u8]) -> u128 {
        let [before, after] = self.rest;
        // The lengths keep one part from running into the next.
        let lengths = [key.len() as u64, before.len() as u64].map(u64::to_be_bytes);
        digest(&[&lengths[0], &lengths[1], key, before, after])
    }
}

/// A digest of bytes for which no other bytes are found by chance: SHA-1, cut to 122 bits.
#[must_use]
pub fn digest(parts: &[&[u8]]) -> u128 {
    Uuid::new_v5(&NAMESPACE, &parts.concat()).as_u128()
}

fn read_json(payload: &[u8]) -> Option<PublishedAlert<'_>> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(borrow)]
        alert_id: Cow<'a, str>,
        sequence: i64,
        #[serde(borrow)]
        transition: Cow<'a, str>,
        #[serde(borrow)]
        rule_id: Cow<'a, str>,
        #[serde(borrow)]
        customer_id: Cow<'a, str>,
        #[serde(borrow)]
        occurred_at: Cow<'a, str>,
        #[serde(borrow)]
        detected_at: Cow<'a, str>,
    }
    // Within a text every quotation mark has a backslash before it, so this is a name.
    const DETECTED_AT: &[u8] = b",\"detected_at\":\"";
    let fields: Fields<'_> = serde_json::from_slice(payload).ok()?;
    let place = payload.windows(DETECTED_AT.len()).position(|window| window == DETECTED_AT)?;
    let (before, rest) = payload.split_at(place + DETECTED_AT.len());
    let end = rest.iter().position(|byte| *byte == b'"')?;
    Some(PublishedAlert {
        form: AlertForm::Json,
        alert_id: Uuid::parse_str(&fields.alert_id).ok()?,
        sequence: fields.sequence,
        transition: fields.transition,
        rule_id: fields.rule_id,
        customer_id: fields.customer_id,
        occurred_at: timestamp::parse(&fields.occurred_at)?,
        detected_at: timestamp::parse(&fields.detected_at)?,
        rest: [before, &rest[end..]],
    })
}

fn read_avro(payload: &[u8]) -> Option<PublishedAlert<'_>> {
    let (fingerprint, datum) = split_header(payload)?;
    if fingerprint != ALERT_FINGERPRINT {
        return None;
    }
    // Fields in the order of `alert.avsc`, up to the one that is cut out.
    let mut reader = Reader::new(datum);
    let alert_id = Uuid::parse_str(reader.text()?).ok()?;
    let sequence = reader.long()?;
    let transition = reader.text()?;
    let (_reason, _severity) = (reader.text()?, reader.text()?);
    reader.option(Reader::text)?;
    let (rule_id, _rule_version, customer_id) = (reader.text()?, reader.text()?, reader.text()?);
    reader.option(Reader::text)?;
    let occurred_at = reader.long()?;
    let before = payload.len() - reader.left();
    let detected_at = reader.long()?;
    let after = payload.len() - reader.left();
    Some(PublishedAlert {
        form: AlertForm::Avro,
        alert_id,
        sequence,
        transition: transition.into(),
        rule_id: rule_id.into(),
        customer_id: customer_id.into(),
        occurred_at,
        detected_at,
        rest: [&payload[..before], &payload[after..]],
    })
}
