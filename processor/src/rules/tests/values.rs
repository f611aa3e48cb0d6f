use super::super::tests::{load_text, problems};
use super::*;
use tocsin_core::event::{Catalog, FieldId};
use tocsin_core::expr::{Expr, FieldRef};
use tocsin_core::rule::{Mover, Selected, Selector, Span, Tracker};
use tocsin_core::time::DAY;
use tocsin_core::value::OwnedValue;

fn set_of(lets: &str) -> RuleSet {
    load_text(&format!("rules:\n- id: a\n  when: true\n  let:\n    {}\n", lets.replace('\n', "\n    "))).unwrap().set
}

fn check(value: &str, expected: &[&str]) {
    let found = problems(&format!("rules:\n- id: a\n  when: true\n  let:\n    {value}\n"));
    assert_eq!(found, expected, "{value}");
}

/// As [`check`], in a rule with a trigger.
fn check_of_item(value: &str, expected: &[&str]) {
    let found = problems(&format!("rules:\n- id: a\n  trigger: purchase\n  let:\n    {value}\n"));
    assert_eq!(found, expected, "{value}");
}

fn selected(name: &str, field: Option<FieldId>, filter: Option<Expr>) -> Selected {
    Selected { type_id: Catalog::type_id(name), field, filter }
}

#[test]
fn windows_and_silences_are_read() {
    let set = set_of(
        "complaints: {count: complaint, where: event.status == 'opened', over: 7d}\n\
         spent: {sum: [purchase.amount, feedback.score], over: 1d12h, offset: 30d}\n\
         quiet: {silence: [score, purchase], since: first_seen}",
    );
    let opened = OwnedValue::Text("opened".into());
    let filter = Expr::Equal(Box::new([Expr::Event(FieldRef::Slot(1)), Expr::Constant(opened)]));
    let windows = [
        Window {
            aggregate: Aggregate::Count,
            selector: Selector { types: vec![selected("complaint", None, Some(filter))] },
            span: Span::Sliding { over: 7 * DAY, offset: 0 },
        },
        Window {
            aggregate: Aggregate::Sum,
            selector: Selector {
                types: vec![selected("purchase", Some(0), None), selected("feedback", Some(3), None)],
            },
            span: Span::Sliding { over: DAY + DAY / 2, offset: 30 * DAY },
        },
    ];
    assert_eq!(set.windows, windows);
    let silence = Silence {
        selector: Selector { types: vec![selected("purchase", None, None), selected("score", None, None)] },
        since_first_seen: true,
        key: stable_hash("[purchase score] -"),
    };
    assert_eq!(set.silences, [silence]);
    let sources: Vec<LetSource> = set.rules[0].lets.iter().map(|named| named.value).collect();
    assert_eq!(sources, [LetSource::Window(0), LetSource::Window(1), LetSource::Silence(0)]);
}

#[test]
fn every_aggregate_is_read() {
    use Aggregate::{Avg, Count, Distinct, First, Last, Max, Median, MedianGap, Min, Stddev, Sum};
    let plain = ["count", "median_gap"].map(|key| format!("{key}: {{{key}: [purchase, score], over: 7d}}"));
    let of_fields = ["sum", "distinct", "avg", "min", "max", "median", "first", "last", "stddev"];
    let of_fields = of_fields.map(|key| format!("{key}: {{{key}: [purchase.quantity, score.value], over: 7d}}"));
    let set = set_of(&[&plain[..], &of_fields[..]].concat().join("\n"));
    let found: Vec<Aggregate> = set.windows.iter().map(|window| window.aggregate).collect();
    assert_eq!(found, [Count, MedianGap, Sum, Distinct, Avg, Min, Max, Median, First, Last, Stddev]);
    let types = |fields: [Option<FieldId>; 2]| Selector {
        types: vec![selected("purchase", fields[0], None), selected("score", fields[1], None)],
    };
    assert!(set.windows[..2].iter().all(|window| window.selector == types([None; 2])));
    assert!(set.windows[2..].iter().all(|window| window.selector == types([Some(1), Some(1)])));
}

#[test]
fn a_value_has_the_kind_of_what_it_yields() {
    let of = |value: &str, condition: &str| {
        problems(&format!("rules:\n- id: a\n  let: {{v: {{{value}, over: 7d}}}}\n  when: {condition}\n"))
    };
    for (value, fits, number) in [
        ("count: purchase", "v > 3", true),
        ("distinct: purchase.channel", "v > 3", true),
        ("avg: purchase.amount", "v > 3", true),
        ("last: purchase.amount", "v > 3", true),
        ("first: purchase.channel", "v == \"web\" || v.startsWith(\"a\") || v == null", false),
        ("last: [purchase.channel, interaction.channel]", "v in [\"web\"]", false),
        ("last: interaction.automatic", "v && !v", false),
        ("median_gap: purchase", "v > 2 * days(1)", false),
    ] {
        assert_eq!(of(value, fits), [""; 0], "{value}");
        assert_eq!(of(value, "v > 3").is_empty(), number, "{value}");
    }
}

#[test]
fn windows_of_items_look_back_from_the_trigger_or_on_from_it() {
    let read = |value: &str| {
        let loaded = load_text(&format!("rules:\n- id: a\n  trigger: purchase\n  let:\n    n: {value}\n"));
        loaded.unwrap_or_else(|errors| panic!("{errors}")).set.windows[0].span
    };
    let (over, offset) = (7 * DAY, DAY);
    for (value, span) in [
        ("{count: purchase, over: 7d, prior: true}", Span::Prior { over, offset: 0 }),
        ("{count: purchase, over: 7d, offset: 1d, prior: true}", Span::Prior { over, offset }),
        ("{count: purchase, over: 7d, offset: 1d, prior: false}", Span::Sliding { over, offset }),
        ("{median_gap: purchase, over: item}", Span::Item),
    ] {
        assert_eq!(read(value), span, "{value}");
    }
    let item = "`over: item` belongs to rules with a `trigger`";
    check("n: {count: purchase, over: item}", &[&format!("5:32: {item}")]);
    check(
        "n: {count: purchase, over: item, prior: true}",
        &[&format!("5:32: {item}"), "5:38: `prior` belongs to rules with a `trigger`"],
    );
    check_of_item(
        "n: {count: purchase, over: item, prior: true, offset: 1d}",
        &[
            "5:38: `prior` looks before the trigger, `over: item` after it; leave one of them out",
            "5:51: `offset` moves a window of a fixed length; `over: item` has none",
        ],
    );
    check_of_item(
        "n: {count: purchase, over: 7d, prior: yes}",
        &["5:43: `prior` is true or false; there is `true`, `false`"],
    );
    check_of_item(
        "n: {count: purchase, over: 400d, offset: 1d, prior: true}",
        &["5:32: the window reaches back 401d, but events are kept for 400d (`history`)"],
    );
    check_of_item("n: {count: purchase, prior: true}", &["5:8: a window needs `over`, its length: over: 7d"]);
    let windows = "`prior` belongs to windows, such as `count` and `sum`";
    check_of_item("n: {silence: purchase, prior: true}", &[&format!("5:28: {windows}")]);
    check_of_item("n: {open: purchase, prior: true}", &[&format!("5:25: {windows}")]);
}

#[test]
fn what_is_open_is_counted() {
    let set = set_of(
        "tickets: {open: complaint, where: event.status == 'opened', by: ticket_id, until: [{complaint: event.status == 'resolved'}, {profile: event.stage == 'closed'}], expire: 90d}\n\
         again: {expire: 2160h, open: complaint, until: [{complaint: event.status=='resolved'}, {profile: (event.stage == 'closed')}], by: ticket_id, where: event.status == \"opened\"}\n\
         orders: {open: purchase}\n\
         kept: {open: complaint, where: event.status == 'opened', by: ticket_id, until: [{complaint: event.status == 'resolved'}, {profile: event.stage == 'closed'}]}",
    );
    let equals = |slot, text: &str| {
        let text = OwnedValue::Text(text.into());
        Some(Expr::Equal(Box::new([Expr::Event(FieldRef::Slot(slot)), Expr::Constant(text)])))
    };
    let mover = |name: &str, filter, by| Mover { type_id: Catalog::type_id(name), filter, by };
    let ticket = || Some(FieldRef::Slot(0));
    let tickets = |lasts, key| Tracker {
        key,
        opens: mover("complaint", equals(1, "opened"), ticket()),
        closes: vec![
            mover("complaint", equals(1, "resolved"), ticket()),
            mover("profile", equals(5, "closed"), Some(FieldRef::Extra("ticket_id".into()))),
        ],
        lasts,
    };
    let of = "complaint (== event.status t6:opened) by .ticket_id until [complaint (== event.status t8:resolved), profile (== event.stage t6:closed)]";
    let key = |lasts: i64, of: &str| stable_hash(&format!("(open {lasts} {of})"));
    let orders = Tracker {
        key: key(400 * DAY, "purchase - by - until []"),
        opens: mover("purchase", None, None),
        closes: vec![],
        lasts: 400 * DAY,
    };
    let expected = [tickets(90 * DAY, key(90 * DAY, of)), orders, tickets(400 * DAY, key(400 * DAY, of))];
    assert_eq!(set.openings, expected);
    let sources: Vec<LetSource> = set.rules[0].lets.iter().map(|named| named.value).collect();
    assert_eq!(sources, [LetSource::Open(0), LetSource::Open(0), LetSource::Open(1), LetSource::Open(2)]);
}

/// Rows hold this key: a release that computes another one forgets what is open.
#[test]
fn the_key_of_what_is_open_never_changes() {
    let set = set_of("n: {open: complaint, by: ticket_id, until: [{complaint: event.status == 'x'}], expire: 1d}");
    assert_eq!(set.openings[0].key, 17_352_703_185_004_913_802);
}

#[test]
fn what_opens_and_closes_must_be_known() {
    check("n: {open: complaint, over: 7d}", &["5:26: `over` belongs to windows, such as `count` and `sum`"]);
    check("n: {open: [complaint, purchase]}", &["5:15: `open` needs a text, this is a list"]);
    check("n: {open: complant}", &["5:15: there is no event type `complant`; did you mean `complaint`?"]);
    check("n: {open: complaint.status}", &["5:15: `open` is about events, not about a field"]);
    check("n: {open: complaint, expire: 0s}", &["5:34: what expires after 0s is never open"]);
    check(
        "n: {open: complaint, where: event.statsu == 'x', by: tiket_id}",
        &[
            "5:33: `complaint` has no field `statsu`; did you mean `status`?",
            "5:58: `complaint` has no field `tiket_id`; did you mean `ticket_id`?",
        ],
    );
    check("n: {count: complaint, over: 7d, until: []}", &["5:37: `until` belongs to `open`"]);
}

#[test]
fn what_is_asked_for_twice_is_held_once() {
    let set = set_of(
        "a: {count: [purchase, complaint], where: event.status == 'x', over: 7d}\n\
         b: {over: 168h, count: [complaint, purchase], where: \"(event.status=='x')\", offset: 0s}\n\
         c: {count: [complaint, purchase], over: 7d}\n\
         d: {silence: purchase}\n\
         e: {silence: purchase, since: first_seen}\n\
         f: {silence: [purchase]}",
    );
    assert_eq!((set.windows.len(), set.silences.len()), (2, 2));
    let sources: Vec<LetSource> = set.rules[0].lets.iter().map(|named| named.value).collect();
    let (window, silence) = (LetSource::Window, LetSource::Silence);
    assert_eq!(sources, [window(0), window(0), window(1), silence(0), silence(1), silence(0)]);
    // What is remembered of a silence does not depend on what it counts from without an event.
    assert_eq!(set.silences[0].key, set.silences[1].key);
}

/// Rows hold these keys: a release that computes another one forgets every silence.
#[test]
fn the_key_of_a_silence_never_changes() {
    let set = set_of(
        "q: {silence: [purchase, interaction], where: \"event.automatic != true && event.channel in ['web', 'app']\"}",
    );
    let canonical = "[interaction purchase] (&& (!= event.automatic true) (in event.channel t3:web t3:app))";
    assert_eq!(set.silences[0].key, stable_hash(canonical));
    assert_eq!(set.silences[0].key, 10_344_012_163_531_663_547);
}

#[test]
fn what_a_value_is_must_be_known() {
    check("n: {cuont: purchase, over: 7d}", &["5:9: there is no kind of value `cuont`; did you mean `count`?"]);
    check(
        "n: {over: 7d}",
        &[
            "5:8: a value says what it is; there is `count`, `sum`, `distinct`, `avg`, `min`, `max`, `median`, `first`, `last`, `stddev`, `median_gap`, `silence`, `open`",
        ],
    );
    check("n: purchase", &["5:8: `n` needs a mapping such as {count: complaint, over: 7d}, this is a text"]);
    check("n:", &["5:6: `n` needs a mapping such as {count: complaint, over: 7d}, this is empty"]);
    check(
        "n: {count: purchase, sum: purchase.amount, over: 7d}",
        &["5:26: a value is one thing, not `count` and `sum`"],
    );
}

#[test]
fn types_and_fields_must_be_known() {
    check("n: {count: purchas, over: 7d}", &["5:16: there is no event type `purchas`; did you mean `purchase`?"]);
    check(
        "n: {silence: visit}",
        &[
            "5:18: there is no event type `visit`; there is `purchase`, `interaction`, `complaint`, `feedback`, `profile`, `score`",
        ],
    );
    check("n: {count: [purchase, purchase], over: 7d}", &["5:27: `purchase` is named twice"]);
    check("n: {count: [], over: 7d}", &["5:16: `count` names no event type"]);
    check("n: {count: {a: b}, over: 7d}", &["5:16: `count` needs a text, this is a mapping"]);
    check("n: {count: purchase.amount, over: 7d}", &["5:16: `count` is about events, not about a field: purchase"]);
    check("n: {sum: purchase.amuont, over: 7d}", &["5:23: `purchase` has no field `amuont`; did you mean `amount`?"]);
    check(
        "n: {sum: purchase, over: 7d}",
        &["5:14: `sum` needs a number field: `purchase.amount`, `purchase.quantity`"],
    );
    check("n: {sum: complaint, over: 7d}", &["5:14: `sum` needs a number field, and `complaint` has none"]);
    check("n: {sum: purchase.currency, over: 7d}", &["5:23: `currency` is a text; `sum` needs numbers"]);
    check("n: {sum: interaction.automatic, over: 7d}", &["5:26: `automatic` is true or false; `sum` needs numbers"]);
    check("n: {sum: [purchase.amount, purchase.quantity], over: 7d}", &["5:32: `purchase` is named twice"]);
    for key in ["avg", "min", "max", "median", "stddev"] {
        let reason = format!("5:{}: `currency` is a text; `{key}` needs numbers", 20 + key.len());
        check(&format!("n: {{{key}: purchase.currency, over: 7d}}"), &[&reason]);
    }
    check(
        "n: {distinct: score, over: 7d}",
        &["5:19: `distinct` needs a field: `score.name`, `score.value`, `score.model`, `score.model_version`"],
    );
    check("n: {median_gap: score.value, over: 7d}", &["5:21: `median_gap` is about events, not about a field: score"]);
    for key in ["first", "last", "distinct"] {
        let reason = format!(
            "5:{}: the fields of a list are of one kind, but `score.value` is a number and `score.name` is a text",
            25 + key.len()
        );
        let value = format!("n: {{{key}: [score.value, interaction.channel], over: 7d}}");
        check(&value, &[&reason.replace("score.name", "interaction.channel")]);
    }
    check("n: {first: [purchase.amount, score.value], over: 7d}", &[]);
}

#[test]
fn windows_have_a_length_within_history() {
    check("n: {count: purchase}", &["5:8: a window needs `over`, its length: over: 7d"]);
    check("n: {count: purchase, over: 0s}", &["5:32: a window must be longer than 0s"]);
    check("n: {count: purchase, over: 400d}", &[]);
    check(
        "n: {count: purchase, over: 400d, offset: 1ms}",
        &["5:32: the window reaches back 400d1ms, but events are kept for 400d (`history`)"],
    );
    let duration = "is not a duration; write whole numbers with the units ms, s, m, h, d, w, such as `90d` or `1d12h`";
    check(
        "n: {count: purchase, over: 7, offset: -1d}",
        &[&format!("5:32: `7` {duration}"), &format!("5:43: `-1d` {duration}")],
    );
    check(
        "n: {count: purchase, over: 36526d}",
        &["5:32: `36526d` is longer than 36525d, the longest duration there is"],
    );
}

#[test]
fn keys_belong_to_their_value() {
    let windows = "windows, such as `count` and `sum`";
    check("n: {silence: purchase, over: 7d}", &[&format!("5:28: `over` belongs to {windows}")]);
    check("n: {silence: purchase, offset: 7d}", &[&format!("5:28: `offset` belongs to {windows}")]);
    check("n: {count: purchase, over: 7d, since: first_seen}", &["5:36: `since` belongs to `silence`"]);
    check(
        "n: {silence: purchase, since: fist_seen}",
        &["5:35: a silence cannot count from `fist_seen`; did you mean `first_seen`?"],
    );
    check("n: {count: purchase, over: 7d, by: x}", &["5:36: `by` belongs to `open`"]);
    check(
        "n: {count: purchase, ovr: 7d}",
        &[
            "5:8: a window needs `over`, its length: over: 7d",
            "5:26: there is no key `ovr` beside `count`; did you mean `over`?",
        ],
    );
    check("n: {count: purchase, count: purchase, over: 7d}", &["5:26: the key `count` is here twice"]);
}

#[test]
fn names_of_values_are_words_of_their_own() {
    for name in ["age", "trigger", "event", "customer", "severity", "customer_id", "rule_id", "in", "let"] {
        let reason = format!("5:5: `{name}` means something already; give the value another name");
        check(&format!("{name}: {{count: purchase, over: 7d}}"), &[&reason]);
    }
    for name in ["2x", "a-b", "投诉"] {
        let reason = format!("5:5: a value's name is made of letters a-z, digits and _; `{name}` is not");
        check(&format!("{name}: {{count: purchase, over: 7d}}"), &[&reason]);
    }
}

#[test]
fn a_condition_over_several_types_is_blamed_once() {
    check(
        "n: {count: [purchase, complaint], where: event.amount > 'a' && event.chanel == 'b', over: 7d}",
        &[
            "5:59: `>` between a number and a text is never defined",
            "5:68: none of `purchase`, `complaint` has a field `chanel`; did you mean `channel`?",
        ],
    );
}
