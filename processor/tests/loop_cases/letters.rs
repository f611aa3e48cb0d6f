//! Records that are refused: each goes to the dead letters as it came, with why and from where.

use std::collections::{BTreeMap, BTreeSet};

use tocsin::codec::decode::{PAYLOAD_BYTES_MAX, REASONS};
use tocsin::partitioner::Partitioner;
use tocsin::task::REFUSALS;
use tocsin::task::world::Outgoing;
use tocsin_core::time::{HOUR, MINUTE};

use crate::memory_world::{Disk, Event};
use crate::setup::{BASE, HISTORY, LATER, Options, TOPIC, event, header, journal, json, log_of, member, round};

/// The dead letters of one partition's events, which are also in its journal, and only once.
fn letters(events: Vec<Event>, options: &Options) -> Vec<Outgoing> {
    let log = log_of(BTreeMap::from([(0, events)]), BASE);
    let disk = Disk::default();
    let mut first = member(0, &log, &disk, options);
    (0..20).for_each(|_| round(&mut first));
    let mut again = member(0, &log, &Disk::default(), options);
    (0..5).for_each(|_| round(&mut again));
    let letters = log.lock().unwrap().dead_letters.clone();
    let told: u64 = journal(&log, 0).iter().map(|record| record.dead_letters).sum();
    assert_eq!(told, letters.len() as u64);
    letters
}

fn payload_of(reason: &str) -> Vec<u8> {
    let good = json("x", "purchase", "c", BASE, "");
    let text = match reason {
        "empty" => String::new(),
        "unknown_format" => "plain".to_owned(),
        "schema_registry" => return vec![0, 0, 0, 0, 7, 1, 2],
        "not_json" => good.replace('}', ""),
        "not_avro" => {
            let schemas = crate::setup::schemas();
            let mut bytes = vec![0xc3, 0x01];
            bytes.extend(schemas.avro_fingerprint("purchase").unwrap().to_le_bytes());
            return bytes;
        }
        "unknown_schema" => return vec![0xc3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8],
        "unknown_type" => good.replace("purchase", "parade"),
        "wrong_schema" => return wrong_schema(),
        "missing_field" => good.replace("\"id\":\"x\",", ""),
        "wrong_type" => good.replace("\"c\"", "7"),
        "bad_id" => good.replace("\"x\"", "\"\""),
        "bad_time" => good.replace("2026-01-01", "2026-13-01"),
        "out_of_range" => good.replace('}', ",\"amount\":1e300}"),
        "too_large" => good.replace('}', &format!(",\"order_id\":\"{}\"}}", "x".repeat(PAYLOAD_BYTES_MAX))),
        other => panic!("a new reason, to be tested: {other}"),
    };
    text.into_bytes()
}

/// A complaint in Avro that says of itself that it is a purchase.
fn wrong_schema() -> Vec<u8> {
    let mut encoder = tocsin::codec::encode::Encoder::new(crate::setup::schemas());
    let mut bytes = Vec::new();
    encoder.encode(json("x", "complaint", "c", BASE, "").as_bytes(), &mut bytes).unwrap();
    let place = bytes.windows(9).position(|window| window == b"complaint").unwrap();
    bytes.splice(place..place + 9, *b"complains");
    bytes
}

#[test]
fn every_reason_with_headers_and_the_original_bytes() {
    let originals: Vec<Vec<u8>> = REASONS.iter().map(|reason| payload_of(reason)).collect();
    let record =
        |payload: &Vec<u8>| Event { timestamp: LATER, key: Some(b"c".to_vec()), payload: Some(payload.clone()) };
    let letters = letters(originals.iter().map(record).collect(), &Options::default());
    assert_eq!(letters.len(), REASONS.len());
    for (offset, ((letter, original), reason)) in letters.iter().zip(&originals).zip(REASONS).enumerate() {
        assert_eq!(header(letter, "tocsin.reason"), reason, "{}", header(letter, "tocsin.message"));
        assert!(letter.payload.as_ref() == Some(original) && letter.key == b"c", "{reason}: not as it came");
        assert!(!header(letter, "tocsin.message").is_empty());
        assert_eq!(header(letter, "tocsin.topic"), TOPIC);
        assert_eq!(header(letter, "tocsin.partition"), "0");
        assert_eq!(header(letter, "tocsin.offset"), offset.to_string());
        assert_eq!(header(letter, "tocsin.timestamp"), LATER.to_string());
    }
}

#[test]
fn the_refusals_of_the_loop() {
    let payload = |id: &str, at| json(id, "purchase", "c", at, "");
    let good = event("c", &payload("good", BASE), BASE);
    let events = vec![
        good.clone(),
        Event { key: Some(b"d".to_vec()), ..good.clone() },
        Event { key: None, ..good.clone() },
        Event { payload: None, ..good },
        event("c", &payload("ahead", BASE + 5 * MINUTE), BASE),
        event("c", &payload("too far ahead", BASE + 5 * MINUTE + 1), BASE),
        event("c", &payload("old", BASE + 5 * MINUTE - HISTORY), LATER),
        event("c", &payload("too old", BASE + 5 * MINUTE - HISTORY - 1), LATER),
        event("c", &json("old profile", "profile", "c", BASE - 9 * HISTORY, ",\"tier\":\"gold\""), LATER),
    ];
    let letters = letters(events.clone(), &Options::default());
    let told: Vec<_> =
        letters.iter().map(|letter| (header(letter, "tocsin.reason"), header(letter, "tocsin.offset"))).collect();
    let expected = [("misplaced", 1), ("misplaced", 2), ("empty", 3), ("future", 5), ("too_old", 7)];
    assert_eq!(told, expected.map(|(reason, offset)| (reason.to_owned(), offset.to_string())));
    let reasons: BTreeSet<&str> = expected.iter().map(|(reason, _)| *reason).collect();
    assert!(REFUSALS.iter().all(|reason| reasons.contains(reason)), "a refusal without a test");
    assert_eq!(letters[2].payload, None, "a record without a value stays one");
    assert_eq!(letters[4].payload, events[7].payload);
    assert_eq!(letters[1].key, b"", "it had none");
}

#[test]
fn where_a_partitioner_is_given_keys_must_lie_there() {
    let events: Vec<Event> = (0..40)
        .map(|number| {
            let customer = format!("c{number}");
            event(&customer, &json("x", "purchase", &customer, BASE, ""), LATER)
        })
        .collect();
    let free = Options { partitions: 4, ..Options::default() };
    assert_eq!(letters(events.clone(), &free), []);
    for partitioner in Partitioner::ALL {
        let options = Options { partitioner: Some(partitioner), ..free.clone() };
        let elsewhere = |place: &usize| partitioner.partition(format!("c{place}").as_bytes(), 4) != 0;
        let expected: Vec<String> = (0..40).filter(elsewhere).map(|place| place.to_string()).collect();
        let letters = letters(events.clone(), &options);
        assert_eq!(letters.iter().map(|letter| header(letter, "tocsin.offset")).collect::<Vec<_>>(), expected);
        assert!(letters.iter().all(|letter| header(letter, "tocsin.reason") == "misplaced"));
        assert!(header(&letters[0], "tocsin.message").contains(partitioner.name()));
    }
}

/// One clock that is wrong by less than is refused does not fire everybody's inactivity.
#[test]
fn an_event_from_the_future_moves_the_watermark_to_its_record_at_most() {
    let events = vec![
        event("c", &json("a", "purchase", "c", BASE, ""), BASE),
        event("d", &json("b", "purchase", "d", BASE + HOUR + 4 * MINUTE, ""), BASE + HOUR),
    ];
    let log = log_of(BTreeMap::from([(0, events)]), BASE);
    let mut member = member(0, &log, &Disk::default(), &Options::default());
    (0..5).for_each(|_| round(&mut member));
    assert_eq!(log.lock().unwrap().alerts, []);
    let end = journal(&log, 0).last().unwrap().to.clone();
    assert_eq!((end.next(TOPIC), end.watermark), (Some(2), Some(BASE + HOUR - MINUTE)));
}
