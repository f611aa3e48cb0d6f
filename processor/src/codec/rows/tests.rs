//! Rows as they are written, read back, and damaged.

use compact_str::CompactString;
use proptest::collection::vec;
use proptest::prelude::*;
use tocsin_core::customer::{Base, Firing, Former, Item, Ledger};
use tocsin_core::event::RecordWriter;
use tocsin_core::partition::Sweep;
use tocsin_core::tracker::Opening;

use super::*;

/// Instants before and after 1970, so that signs show.
fn instant() -> impl Strategy<Value = Millis> {
    prop_oneof![-5_000_i64..5_000, 1_767_225_600_000_i64..1_767_312_000_000, Just(-62_135_596_800_000)]
}

fn alert() -> impl Strategy<Value = AlertState> {
    let episode =
        (instant(), any::<u32>(), any::<u32>(), 0_usize..5).prop_map(|(fired_at, refire, sequence, severity)| {
            Episode { fired_at, refire, sequence, severity: Severity::ALL[severity] }
        });
    let firing = (episode, proptest::option::of(instant()))
        .prop_map(|(episode, over_since)| Phase::Firing { episode, over_since: over_since.into() });
    let phase = prop_oneof![Just(Phase::Inactive), instant().prop_map(|since| Phase::Pending { since }), firing];
    let instants = (proptest::option::of(instant()), proptest::option::of(instant()));
    (any::<u32>(), phase, instants, proptest::option::of((instant(), any::<u32>()))).prop_map(
        |(rule, phase, (due, resolved_at), fired)| AlertState {
            rule: RuleKey(rule),
            phase,
            due: due.into(),
            resolved_at: resolved_at.into(),
            fired: fired.map_or(Fired::default(), |(at, refire)| Fired::at(at, refire)),
        },
    )
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let name = prop_oneof![
        (0_u16..300).prop_map(AttributeRef::Slot),
        "[a-z电]{1,9}".prop_map(|name| AttributeRef::Extra(name.into())),
    ];
    let value = prop_oneof![
        any::<bool>().prop_map(OwnedValue::Bool),
        (-1e15..1e15_f64).prop_map(OwnedValue::Number),
        (-1_000_i32..1_000).prop_map(|x| OwnedValue::Number(f64::from(x))),
        ".{0,20}".prop_map(|text| OwnedValue::Text(text.into())),
    ];
    (name, instant(), value).prop_map(|(name, since, value)| Attribute { name, since, value })
}

fn timeline(events: &[(Millis, u16)]) -> Timeline {
    let (mut timeline, mut writer) = (Timeline::default(), RecordWriter::default());
    for (at, number) in events {
        writer.begin(number % 5, &format!("e{number}"));
        writer.field(number % 7, FieldValue::Number(f64::from(*number) / 4.0));
        timeline.insert(*at, writer.record().unwrap());
    }
    timeline.written();
    timeline
}

fn item() -> impl Strategy<Value = Item> {
    (instant(), "[a-z]{0,5}", proptest::option::of("[a-z]{0,5}"), alert(), any::<bool>()).prop_map(
        |(at, event_id, key, alert, is_judged)| {
            let opening =
                Opening { key: key.unwrap_or_else(|| event_id.clone()).into(), at, event_id: event_id.into() };
            Item { opening, alert, is_judged }
        },
    )
}

fn ledger() -> impl Strategy<Value = Ledger> {
    let firing = ("[a-z]{0,5}", instant(), any::<u32>());
    let firing = firing.prop_map(|(item, at, refire)| Firing { item: item.into(), at, refire });
    let passed = (instant(), "[a-z]{0,5}".prop_map(String::into_boxed_str));
    let lists = (vec(firing, 0..3), vec(passed, 0..3), vec(any::<i32>(), 0..3));
    (any::<u32>(), proptest::option::of(instant()), lists).prop_map(|(rule, gate, (firings, passed, dates))| Ledger {
        rule: RuleKey(rule),
        gate,
        firings,
        passed,
        dates,
    })
}

fn base() -> impl Strategy<Value = Base> {
    let opening = ("[a-z]{0,5}", instant(), "[a-z]{0,5}");
    let opening = opening.prop_map(|(key, at, event_id)| Opening { key: key.into(), at, event_id: event_id.into() });
    (any::<u64>(), vec(opening, 0..3)).prop_map(|(tracker, open)| Base { tracker, open })
}

fn seen() -> impl Strategy<Value = LastSeen> {
    let seen = (any::<u64>(), instant(), "[a-z]{0,9}");
    seen.prop_map(|(key, at, event_id)| LastSeen { key, at, event_id: event_id.into() })
}

fn customer() -> impl Strategy<Value = Customer> {
    let instants = (proptest::option::of(instant()), proptest::option::of(instant()), proptest::option::of(instant()));
    let events = prop_oneof![vec((instant(), any::<u16>()), 0..20), vec((instant(), any::<u16>()), 100..300)];
    let generation = prop_oneof![Just(0), any::<i64>()];
    let former = (vec(attribute(), 0..3), vec(seen(), 0..3));
    let former = former.prop_map(|(attributes, silences)| Former {
        attributes: attributes.into_iter().collect(),
        silences: silences.into(),
    });
    let rules =
        (vec(alert(), 0..6), vec(item(), 0..4), vec(ledger(), 0..3), vec(base(), 0..3), proptest::option::of(former));
    (instants, generation, vec(attribute(), 0..8), vec(seen(), 0..4), rules, events).prop_map(
        |((latest, first_seen, armed), generation, attributes, silences, rules, events)| {
            let (alerts, items, ledgers, bases, former) = rules;
            Customer {
                former: former.map(Box::new),
                items: items.into(),
                ledgers: ledgers.into(),
                bases: bases.into(),
                latest: latest.into(),
                first_seen: first_seen.into(),
                armed: armed.into(),
                generation,
                attributes: attributes.into_iter().collect(),
                silences: silences.into(),
                alerts: alerts.into(),
                timeline: timeline(&events),
                ..Customer::default()
            }
        },
    )
}

/// All rows of a customer, written and read back.
fn again(customer: &Customer) -> Customer {
    let head = read_head(&write_head(customer)).unwrap();
    let attributes = read_attributes(&write_attributes(&customer.attributes)).unwrap();
    assert_eq!(head.has_attributes, !attributes.is_empty());
    let chunks = customer.timeline.chunks();
    let sealed = &chunks[..chunks.len().saturating_sub(1)];
    assert_eq!(head.sealed, sealed.len() as u64);
    let [before, behind] = chunk_keys("c");
    let read = |chunk: &Chunk| {
        let key = chunk_key("c", chunk.key());
        assert!(before < key && key < behind && read_customer_key(&key) == Ok(("c", false)));
        read_chunk(&key, &write_chunk(chunk)).unwrap()
    };
    assemble(head, attributes, sealed.iter().map(read).collect()).unwrap()
}

fn position() -> impl Strategy<Value = Position> {
    let text = || ".{0,12}".prop_map(String::into_boxed_str);
    let watermarks = vec(proptest::option::of(instant()), 0..3);
    let read = (vec((text(), any::<i64>()), 0..3), proptest::option::of(instant()), watermarks);
    let drained = (proptest::option::of((instant(), text().prop_map(|id| CompactString::from(&*id)))), any::<bool>());
    let judged = || proptest::option::of(".{1,12}".prop_map(String::into_boxed_str));
    let sweep = (proptest::option::of(instant()), judged()).prop_map(|(watermark, judged)| Sweep { watermark, judged });
    let gates = vec((any::<u32>().prop_map(RuleKey), instant()), 0..3);
    let rules = (any::<i64>(), proptest::option::of(sweep), text(), gates);
    (read, drained, (any::<i64>(), any::<i64>()), rules, any::<u64>()).prop_map(
        |((inputs, watermark, watermarks), (drained, draining), (journal_offset, journal_sequence), rules, context)| {
            Position {
                inputs,
                watermark,
                watermarks,
                drained,
                draining,
                journal_offset,
                journal_sequence,
                generation: rules.0,
                sweep: rules.1,
                gates: rules.3,
                rules: rules.2,
                context,
            }
        },
    )
}

/// Reads damaged copies: cut short anywhere, or with a byte changed. `read` tells whether it was taken for a row.
fn damage(row: &[u8], flips: &[(usize, u8)], read: impl Fn(&[u8]) -> bool) {
    assert!(read(row));
    assert!(!read(&[]) && !read(&[FORMAT]) && !read(&[FORMAT + 1, 1, 0, 0]));
    for end in 0..row.len() {
        read(&row[..end]);
    }
    let mut damaged = row.to_vec();
    for (place, mask) in flips {
        let place = place % row.len();
        damaged[place] ^= mask;
        read(&damaged);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_customer_reads_back_as_it_was(customer in customer()) {
        prop_assert_eq!(again(&customer), customer);
    }

    #[test]
    fn a_position_reads_back_as_it_was(position in position()) {
        prop_assert_eq!(read_position(&write_position(&position)).unwrap(), position);
    }

    #[test]
    fn timers_sort_by_instant_then_customer(
        a in (any::<i64>(), ".{0,6}"), b in (any::<i64>(), ".{0,6}"), shift in -2_i64..3,
    ) {
        for b in [b.clone(), (a.0.wrapping_add(shift), b.1)] {
            prop_assert_eq!(timer_key(a.0, &a.1).cmp(&timer_key(b.0, &b.1)), a.cmp(&b));
        }
        prop_assert_eq!(read_timer_key(&timer_key(a.0, &a.1)).unwrap(), (a.0, a.1.into()));
    }

    #[test]
    fn damaged_rows_are_errors_and_never_panics(
        customer in customer(), position in position(), flips in vec((any::<usize>(), 1_u8..), 50),
    ) {
        let tail = customer.timeline.chunks().last().map(|chunk| chunk.events);
        let head = write_head(&customer);
        damage(&head, &flips, |bytes| read_head(bytes).is_ok());
        for end in 0..head.len() {
            // A tail that ends between two events reads as a shorter one; nothing else that is cut reads at all.
            let cut = read_head(&head[..end]).map(|head| head.tail.map_or(0, |tail| tail.events));
            prop_assert!(cut.is_err() || cut.unwrap() < tail.unwrap_or(0));
        }
        let row = write_attributes(&customer.attributes);
        damage(&row, &flips, |bytes| read_attributes(bytes).is_ok());
        for chunk in customer.timeline.chunks() {
            damage(&write_chunk(chunk), &flips, |bytes| read_chunk(&chunk_key("c", chunk.key()), bytes).is_ok());
        }
        let row = write_position(&position);
        damage(&row, &flips, |bytes| read_position(bytes).is_ok());
        prop_assert!((0..row.len()).all(|end| read_position(&row[..end]).is_err()));
        let key = timer_key(7, "c");
        prop_assert!((0..9).all(|end| read_timer_key(&key[..end]).is_err()));
    }
}

#[test]
fn keys_of_customers_do_not_run_into_each_other() {
    let keys = |id: &str| [head_key(id), attributes_key(id), chunk_key(id, (-5, 0)), chunk_key(id, (7, 256))];
    for id in ["", "a", "a\u{0}", "电"] {
        let found = keys(id).map(|key| {
            let (id, is_head) = read_customer_key(&key).unwrap();
            (id.to_owned(), is_head)
        });
        assert_eq!(found, [true, false, false, false].map(|is_head| (id.to_owned(), is_head)));
        assert!(keys(id).iter().all(|key| *key < customer_end(id)));
        assert!((0..4 + id.len()).all(|end| read_customer_key(&head_key(id)[..end]).is_err()));
    }
    assert!(customer_end("a") < head_key("a\u{0}") && customer_end("a") < head_key("b"));
    let mut all: Vec<_> = ["", "a", "a\u{0}", "a\u{0}\u{0}", "aa", "b\u{2}"].iter().flat_map(|id| keys(id)).collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn an_attribute_without_a_value_leaves_no_trace() {
    let null = Attribute { name: AttributeRef::Slot(1), since: 5, value: OwnedValue::Null };
    let told = Attribute { name: AttributeRef::Slot(2), since: 6, value: OwnedValue::Bool(true) };
    let read = read_attributes(&write_attributes(&[null, told.clone()].into_iter().collect())).unwrap();
    assert_eq!(read.iter().collect::<Vec<_>>(), [&told]);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn the_generation_takes_no_room_before_the_first() {
    let head = |generation| write_head(&Customer { generation, ..Customer::default() });
    assert_eq!((head(0).len() + 1, head(63).len() + 1), (head(1).len(), head(64).len()));
    assert_eq!(read_head(&head(-1)).unwrap().customer.generation, -1);
}

/// Rows that are on disks somewhere. A change here is a new format, which needs a number of its own.
#[test]
fn the_formats_are_what_they_were() {
    let episode = Episode { fired_at: 900, refire: 1, sequence: 2, severity: Severity::High };
    let firing = AlertState {
        phase: Phase::Firing { episode, over_since: 950.into() },
        due: 1_100.into(),
        fired: Fired::at(900, 1),
        ..AlertState::new(RuleKey(0x0102_0304))
    };
    let pending = AlertState {
        phase: Phase::Pending { since: -3 },
        resolved_at: 800.into(),
        ..AlertState::new(RuleKey(0xa0b0_c0d0))
    };
    let extra = Attribute { name: AttributeRef::Extra("vip".into()), since: 400, value: OwnedValue::Bool(true) };
    let tier = Attribute { name: AttributeRef::Slot(4), since: -1, value: OwnedValue::Text("gold".into()) };
    let points = Attribute { name: AttributeRef::Slot(5), since: 1, value: OwnedValue::Number(2.5) };
    let customer = Customer {
        latest: 1_000.into(),
        first_seen: (-200).into(),
        attributes: [extra, tier, points].into_iter().collect(),
        silences: [LastSeen { key: 0x1122_3344_5566_7788, at: 990, event_id: "e9".into() }].into_iter().collect(),
        alerts: [firing, pending].into_iter().collect(),
        timeline: timeline(&(0..34).map(|number| (i64::from(number) * 10, number)).collect::<Vec<_>>()),
        ..Customer::default()
    };
    let position = Position {
        inputs: vec![("events".into(), 300)],
        watermark: Some(-5),
        watermarks: Vec::new(),
        drained: Some((77, "c".into())),
        draining: true,
        journal_offset: -1,
        journal_sequence: 12,
        generation: 3,
        sweep: Some(Sweep { watermark: Some(4), judged: Some("c".into()) }),
        gates: Vec::new(),
        rules: "ab".into(),
        context: 0x0102_0304_0506_0708,
    };
    let several = Position {
        inputs: vec![("a".into(), 3), ("b".into(), 4)],
        watermark: None,
        watermarks: vec![Some(9), None],
        sweep: None,
        ..position.clone()
    };
    let chunk = write_chunk(&customer.timeline.chunks()[0]);
    for (name, found, expected) in [
        ("head key", head_key("cé"), "00000363c3a900"),
        ("attributes key", attributes_key("c"), "0000016301"),
        ("chunk key", chunk_key("c", (-2, 258)), "00000163027ffffffffffffffe00000102"),
        ("timer key", timer_key(-2, "c"), "7ffffffffffffffe0063"),
        (
            "head",
            write_head(&customer),
            "020101d00f018f03000101887766554433221114026539020403020136880e010203ec0e9811880e01d0c0b0a00905c00c018005000800020365333224100f1403036533332b0000000000802040",
        ),
        (
            "attributes",
            write_attributes(&customer.attributes),
            "0201a006060103766970010107002504676f6c64020a002b0000000000000440",
        ),
        ("start of the chunk", chunk[..24].to_vec(), "020107000002653004000e14010265310b000000000000d0"),
        (
            "position",
            write_position(&position),
            "020101066576656e7473d8040109019a0101630101180601010801630261620807060504030201",
        ),
        (
            "position of several topics",
            write_position(&several),
            "02010201610601620800019a0101630101180604020112000261620807060504030201",
        ),
    ] {
        assert_eq!(hex(&found), expected, "{name}");
    }
}
