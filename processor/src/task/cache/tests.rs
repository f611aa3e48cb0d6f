//! What the cache keeps, lets go of and writes.

use std::collections::BTreeMap;

use tocsin_core::event::{FieldValue, RecordWriter};

use super::*;
use crate::store::MemoryStore;

fn random(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// Adds an event as the engine does, as far as rows are concerned.
fn add(customer: &mut Customer, at: Millis, id: &str) {
    let mut writer = RecordWriter::default();
    writer.begin(1, id);
    writer.field(2, FieldValue::Number(1.5));
    customer.timeline.insert(at, writer.record().unwrap());
    customer.latest = customer.latest.max(at.into());
    customer.first_seen = customer.first_seen.get().map_or(at, |first| first.min(at)).into();
    customer.changed = true;
}

/// Room for so many customers with an event or two.
fn room(customers: usize) -> usize {
    customers * (CUSTOMER_BYTES + 40)
}

fn events(customer: &Customer) -> Vec<(Millis, String)> {
    let read = |entry: tocsin_core::timeline::Entry<'_>| (entry.occurred_at, entry.record().unwrap().id().to_owned());
    customer.timeline.range(Millis::MIN, Millis::MAX).map(read).collect()
}

#[test]
fn letting_go_loses_nothing() {
    for capacity in [0, 1, 5, 1_000].map(room) {
        let mut state = capacity as u64;
        let mut cache = Cache::new(MemoryStore::default(), capacity, None);
        let mut model: BTreeMap<String, Vec<(Millis, String)>> = BTreeMap::new();
        for number in 0..4_000 {
            let id = format!("c{}", random(&mut state, 30));
            let held = model.entry(id.clone()).or_default();
            let customer = cache.customer(&id).unwrap();
            assert_eq!(events(customer), *held);
            if random(&mut state, 3) > 0 {
                let at = random(&mut state, 100_000) as Millis;
                add(customer, at, &number.to_string());
                let place = held.partition_point(|(other, _)| *other <= at);
                held.insert(place, (at, number.to_string()));
            }
            if random(&mut state, 10) == 0 {
                cache.write_back(&Position::default()).unwrap();
                assert!(cache.bytes() <= capacity, "{} bytes are kept, not {capacity}", cache.bytes());
                assert_eq!(cache.bytes(), cache.customers.values().map(|cached| cached.bytes as usize).sum::<usize>());
            }
        }
        cache.write_back(&Position::default()).unwrap();
        let mut again = Cache::new(cache.store().clone(), 0, None);
        for (id, held) in &model {
            assert_eq!(events(again.customer(id).unwrap()), *held);
        }
    }
}

#[test]
fn between_writes_changed_customers_stay_whatever_their_number() {
    let mut cache = Cache::new(MemoryStore::default(), room(2), None);
    for number in 0..50 {
        add(cache.customer(&number.to_string()).unwrap(), number, "e");
    }
    assert_eq!(cache.len(), 50);
    assert_eq!(cache.write_back(&Position::default()).unwrap().customers, 50);
    assert!(cache.len() <= 2);
}

#[test]
fn between_writes_those_not_wanted_for_long_make_room() {
    let mut cache = Cache::new(MemoryStore::default(), room(16), None);
    let held = |cache: &Cache<MemoryStore>| {
        let mut ids: Vec<i64> = cache.customers.keys().map(|id| id.parse().unwrap()).collect();
        ids.sort_unstable();
        ids
    };
    for number in 0..16 {
        add(cache.customer(&number.to_string()).unwrap(), number, "e");
        cache.next_round();
    }
    cache.write_back(&Position::default()).unwrap();
    // 3 is wanted again, and 16 is new: both wait to be written.
    for number in [3, 16] {
        add(cache.customer(&number.to_string()).unwrap(), 20 + number, "f");
        cache.next_round();
    }
    let expected: Vec<i64> = [3].into_iter().chain(4..=16).collect();
    assert_eq!(held(&cache), expected);
    // Of those who wait none goes, however many they are.
    for number in 100..150 {
        add(cache.customer(&number.to_string()).unwrap(), number, "g");
        cache.next_round();
    }
    let expected: Vec<i64> = [3, 16].into_iter().chain(100..150).collect();
    assert_eq!(held(&cache), expected);
    assert!(cache.is_crowded());
    cache.write_back(&Position::default()).unwrap();
    assert!(!cache.is_crowded());
    assert_eq!(held(&cache), (136..150).collect::<Vec<_>>());
}

#[test]
fn who_has_many_events_takes_the_room_of_many() {
    let mut cache = Cache::new(MemoryStore::default(), room(100), None);
    for number in 0..50 {
        add(cache.customer(&number.to_string()).unwrap(), number, "e");
    }
    cache.write_back(&Position::default()).unwrap();
    assert_eq!(cache.len(), 50);
    for number in 0..10_000 {
        add(cache.customer("large").unwrap(), number, &number.to_string());
        cache.next_round();
    }
    assert!(cache.is_crowded(), "{} bytes", cache.bytes());
    assert_eq!(cache.len(), 1);
    cache.write_back(&Position::default()).unwrap();
    assert_eq!((cache.len(), cache.bytes()), (0, 0));
}

#[test]
fn a_late_event_rewrites_the_head_and_one_chunk() {
    let mut cache = Cache::new(MemoryStore::default(), room(1), None);
    for number in 0..1_000 {
        add(cache.customer("c").unwrap(), number * 1_000, &format!("event-{number}"));
    }
    let all = cache.write_back(&Position::default()).unwrap().bytes;
    // Read anew, as after a restart: what was read differs from no row.
    let mut cache = Cache::new(cache.store().clone(), room(1), None);
    add(cache.customer("c").unwrap(), 300_500, "late");
    let written = cache.write_back(&Position::default()).unwrap();
    let customer = read_customer(cache.store(), "c").unwrap().unwrap();
    let chunk = customer.timeline.chunks().iter().find(|chunk| chunk.last > 300_500).unwrap();
    let rows = [
        (rows::head_key("c"), rows::write_head(&customer)),
        (rows::chunk_key("c", chunk.key()), rows::write_chunk(chunk)),
        (rows::POSITION_KEY.to_vec(), rows::write_position(&Position::default())),
    ];
    let expected: usize = rows.iter().map(|(key, row)| key.len() + row.len()).sum();
    assert_eq!((written.customers, written.bytes), (1, expected));
    assert!(expected * 10 < all, "{expected} of {all} bytes");
}

#[test]
fn who_was_only_looked_at_is_not_written() {
    let mut cache = Cache::new(MemoryStore::default(), room(10), None);
    cache.customer("nobody").unwrap();
    let written = cache.write_back(&Position::default()).unwrap();
    assert_eq!(written.customers, 0);
    assert_eq!(cache.store().get(Column::Customers, &rows::head_key("nobody")).unwrap(), None);
}

fn called(cache: &mut Cache<MemoryStore>, mut between: impl FnMut(&mut Cache<MemoryStore>)) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    while let Some(id) = cache.next_customer(found.last().map(String::as_str)).unwrap() {
        found.push(id.into());
        between(cache);
    }
    found
}

#[test]
fn customers_are_called_by_length_and_bytes_wherever_they_are() {
    let mut state = 7;
    for round in 0..30 {
        let mut cache = Cache::new(MemoryStore::default(), room(round % 4), None);
        let mut ids: Vec<String> =
            (0..random(&mut state, 700)).map(|_| random(&mut state, 2_000).to_string()).collect();
        for id in &ids {
            // Some have chunks, so that their keys fill more than one read.
            for number in 0..if random(&mut state, 20) == 0 { 300 } else { 1 } {
                add(cache.customer(id).unwrap(), number, &number.to_string());
            }
            if random(&mut state, 300) == 0 {
                cache.write_back(&Position::default()).unwrap();
            }
        }
        ids.sort_by_key(|id| (id.len(), id.clone()));
        ids.dedup();
        assert_eq!(called(&mut cache, |_| ()), ids);
        let found = called(&mut cache, |cache| match random(&mut state, 60) {
            0 => drop(cache.write_back(&Position::default()).unwrap()),
            1 => add(cache.customer(&ids[0]).unwrap(), 1_000, "more"),
            _ => {}
        });
        assert_eq!(found, ids);
        // Taken up again in the middle, by who has just started.
        cache.write_back(&Position::default()).unwrap();
        let mut cache = Cache::new(cache.store().clone(), 0, None);
        for pair in ids.windows(2).take(20) {
            assert_eq!(cache.next_customer(Some(&pair[0])).unwrap().as_deref(), Some(&*pair[1]));
            cache = Cache::new(cache.store().clone(), 0, None);
        }
    }
}

#[test]
fn who_is_passed_over_leaves_no_trace() {
    let mut cache = Cache::new(MemoryStore::default(), room(10), None);
    for id in ["read", "known", "changed"] {
        add(cache.customer(id).unwrap(), 5, "e");
    }
    cache.write_back(&Position::default()).unwrap();
    let mut cache = Cache::new(cache.store().clone(), room(10), None);
    cache.customer("known").unwrap();
    for id in ["read", "known", "changed"] {
        let customer = cache.customer(id).unwrap();
        if id == "changed" {
            add(customer, 6, "f");
        }
        cache.pass_over(id);
    }
    assert_eq!((cache.len(), cache.touched.len()), (2, 2));
    assert_eq!(cache.write_back(&Position::default()).unwrap().customers, 1);
    assert_eq!(events(cache.customer("read").unwrap()), [(5, "e".to_owned())]);
    assert_eq!(events(cache.customer("changed").unwrap()).len(), 2);
}
