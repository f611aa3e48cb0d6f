//! What a restore refuses, and how it says so.

use std::collections::BTreeMap;

use tocsin::codec::journal::JournalRecord;
use tocsin::codec::rows::CATALOG_KEY;
use tocsin::codec::schemas::catalog_to_json;
use tocsin::store::{Batch, Column, Store as _};
use tocsin::task::world::{Source, WorldError};
use tocsin_core::time::{HOUR, MINUTE};

use crate::memory_world::{Disk, SharedLog};
use crate::setup::{BASE, LATER, Options, event, journal, json, log_of, member, round, schemas};

/// A log in which a few transactions have been made, one of them with alerts.
fn worked() -> SharedLog {
    let at = |number: i64| if number == 9 { BASE + 3 * HOUR } else { BASE + number * MINUTE };
    let events = (0..10).map(|number| {
        event("c", &json(&format!("e{number}"), "complaint", "c", at(number), ",\"status\":\"opened\""), LATER)
    });
    let log = log_of(BTreeMap::from([(0, events.collect())]), BASE);
    let mut first = member(0, &log, &Disk::default(), &Options { max_batch: 2, ..Options::default() });
    (0..40).for_each(|_| round(&mut first));
    assert!(journal(&log, 0).len() > 3 && !log.lock().unwrap().alerts.is_empty());
    log
}

/// What a member without a store has to say of the log.
fn objection(log: &SharedLog) -> String {
    let mut fresh = member(0, log, &Disk::default(), &Options::default());
    let refused = (0..100).find_map(|_| fresh.round().err());
    match refused {
        Some(WorldError::Fatal(message)) => message,
        other => panic!("not refused: {other:?}"),
    }
}

fn change(log: &SharedLog, place: usize, change: impl FnOnce(&mut JournalRecord)) {
    let mut record = journal(log, 0).remove(place);
    change(&mut record);
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    log.lock().unwrap().journal.get_mut(&0).unwrap()[place] = bytes;
}

#[test]
fn a_replay_that_finds_something_else_is_refused_with_the_place() {
    let log = worked();
    let firing = journal(&log, 0).iter().position(|record| record.transitions > 0).unwrap();
    {
        let mut log = log.lock().unwrap();
        let payload = log.input.get_mut(&0).unwrap()[1].payload.as_mut().unwrap();
        let text = String::from_utf8(payload.clone()).unwrap().replace("opened", "answer");
        *payload = text.into_bytes();
    }
    let message = objection(&log);
    assert!(message.contains(&format!("the journal record at offset {firing}:")), "{message}");
    assert!(message.contains("transitions with hash") && message.contains("partition 0"), "{message}");
}

#[test]
fn a_record_that_is_missing_or_repeated_is_noticed() {
    let log = worked();
    let all = log.lock().unwrap().journal[&0].clone();
    for place in 1..all.len() - 1 {
        let mut gap = all.clone();
        gap.remove(place);
        log.lock().unwrap().journal.insert(0, gap);
        assert!(objection(&log).contains(&format!("at offset {place}:")), "missing {place}: {}", objection(&log));
        let mut twice = all.clone();
        twice.insert(place, all[place].clone());
        log.lock().unwrap().journal.insert(0, twice);
        assert!(objection(&log).contains(&format!("at offset {}:", place + 1)), "twice {place}: {}", objection(&log));
    }
}

/// The topics agree with each other, so only the journal knows: that of the partition, or, of one that has none, the first.
#[test]
fn partitions_that_were_added_while_nothing_ran_are_refused() {
    for owned in [0, 1] {
        let log = worked();
        {
            let mut log = log.lock().unwrap();
            log.owners = [(owned, 0)].into();
            log.input.entry(1).or_default();
        }
        let mut member = member(0, &log, &Disk::default(), &Options { partitions: 2, ..Options::default() });
        let Some(WorldError::Fatal(message)) = (0..100).find_map(|_| member.round().err()) else {
            panic!("not refused: {owned}")
        };
        assert!(message.contains("partitions were added to the topic events: it had 1, and has 2"), "{message}");
    }
    let log = worked();
    change(&log, 0, |record| record.partitions = 3);
    let message = objection(&log);
    assert!(
        message.contains("topics with 3 partitions, and they have 1") && message.contains("made anew"),
        "{message}"
    );
}

/// What the record does could be done; but it was done from somewhere else, or there was one before it.
#[test]
fn a_record_that_begins_elsewhere_or_has_another_number_is_refused() {
    let elsewhere: [fn(&mut JournalRecord); 4] = [
        |record| record.sequence += 1,
        |record| record.from.watermark = record.from.watermark.map(|watermark| watermark - 1),
        |record| record.from.offsets[0].next += 1,
        |record| record.from.sweep = Some("c".into()),
    ];
    for (number, begin) in elsewhere.into_iter().enumerate() {
        let log = worked();
        change(&log, 2, begin);
        let message = objection(&log);
        assert!(message.contains("the journal record at offset 2: is number"), "{number}: {message}");
    }
}

/// A tick moves no offset, so its absence shows by the numbers; by the hash only if it made something fire.
#[test]
fn a_missing_tick_is_noticed() {
    let options = Options { idle_after: Some(0), ..Options::default() };
    let first = event("c", &json("p", "purchase", "c", BASE, ""), BASE);
    let log = log_of(BTreeMap::from([(0, vec![first])]), BASE);
    let mut worker = member(0, &log, &Disk::default(), &options);
    for hours in [0, 2, 3, 6] {
        log.lock().unwrap().now = BASE + hours * HOUR;
        (0..5).for_each(|_| round(&mut worker));
    }
    let ticks = journal(&log, 0).len();
    assert!(ticks > 2);
    log.lock().unwrap().journal.get_mut(&0).unwrap().remove(ticks - 2);
    let message = objection(&log);
    assert!(message.contains(&format!("at offset {}:", ticks - 2)), "{message}");
    assert!(message.contains(&format!("is number {ticks} ")), "{message}");
    assert!(message.contains(&format!("before it comes number {},", ticks - 2)), "{message}");
}

#[test]
fn journal_and_committed_offset_must_agree() {
    let log = worked();
    log.lock().unwrap().committed.insert(Source::first(0), 3);
    let message = objection(&log);
    assert!(message.contains("ends at offset 10") && message.contains("committed offset is 3"), "{message}");
    log.lock().unwrap().committed.clear();
    let mut again = member(0, &log, &Disk::default(), &Options::default());
    (0..3).for_each(|_| round(&mut again));
    let told: u64 = journal(&log, 0).iter().map(|record| record.transitions).sum();
    assert_eq!(log.lock().unwrap().alerts.len() as u64, told);
}

#[test]
fn other_rules_settings_or_topics_are_refused() {
    let log = worked();
    let whole = log.lock().unwrap().journal[&0].clone();
    change(&log, 2, |record| record.rules_fingerprint = Some("other".into()));
    assert!(
        objection(&log).contains("at offset 2: was made under rules that the rules topic does not have"),
        "{}",
        objection(&log)
    );
    log.lock().unwrap().journal.insert(0, whole.clone());
    change(&log, 0, |record| record.from.offsets[0].topic = "elsewhere".into());
    assert!(objection(&log).contains("of the topic `elsewhere`, not of the topic `events`"), "{}", objection(&log));
    log.lock().unwrap().journal.insert(0, whole);
    log.lock().unwrap().journal.get_mut(&0).unwrap()[1].truncate(20);
    assert!(objection(&log).contains("at offset 1 cannot be read"), "{}", objection(&log));
}

/// A store says under which event types its rows were written; others must be able to read them.
#[test]
fn a_store_of_other_event_types_is_refused_with_the_field() {
    let events = [event("c", &json("e", "complaint", "c", BASE, ",\"status\":\"opened\""), LATER)];
    let log = log_of(BTreeMap::from([(0, events.to_vec())]), BASE);
    let disk = Disk::default();
    let mut first = member(0, &log, &disk, &Options::default());
    (0..10).for_each(|_| round(&mut first));
    drop(first);
    let held = |disk: &Disk| {
        let disk = disk.lock().unwrap();
        let held = disk.kept[&0].get(Column::Meta, CATALOG_KEY).unwrap();
        String::from_utf8(held.expect("the store says under which event types it was written")).unwrap()
    };
    let written = held(&disk);
    assert_eq!(written, catalog_to_json(schemas().catalog()));
    let write = |text: String| {
        let mut batch = Batch::default();
        batch.put(Column::Meta, CATALOG_KEY, text);
        disk.lock().unwrap().kept.get_mut(&0).unwrap().write(batch).unwrap();
    };
    write(written.replace(r#"{"name":"priority","kind":"text"}"#, r#"{"name":"priority","kind":"number"}"#));
    let mut again = member(0, &log, &disk, &Options::default());
    let refused = (0..100).find_map(|_| again.round().err());
    let Some(WorldError::Fatal(message)) = refused else { panic!("not refused: {refused:?}") };
    let reason = "the store was written under other event schemas: the field `priority` of `complaint` was a number and \
                  is now a text: change it back";
    assert!(message.contains(reason), "{message}");
    drop(again);
    // One that lacks a field is older, and no obstacle.
    write(written.replace(r#",{"name":"channel","kind":"text"}]},{"name":"feedback""#, r#"]},{"name":"feedback""#));
    assert_ne!(held(&disk), written);
    let mut again = member(0, &log, &disk, &Options::default());
    let purchase = event("c", &json("f", "purchase", "c", BASE + HOUR, ""), LATER);
    log.lock().unwrap().input.get_mut(&0).unwrap().push(purchase);
    (0..10).for_each(|_| round(&mut again));
    assert_eq!(held(&disk), written);
}
