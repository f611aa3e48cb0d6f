use super::super::tests::{load_text, problems};
use super::*;
use tocsin_core::event::Catalog;
use tocsin_core::expr::{Expr, FieldRef};
use tocsin_core::time::DAY;
use tocsin_core::value::OwnedValue;

fn set_of(lets: &str) -> RuleSet {
    load_text(&format!("rules:\n- id: a\n  when: true\n  let:\n    {}\n", lets.replace('\n', "\n    "))).unwrap().set
}

fn check(value: &str, expected: &[&str]) {
    let found = problems(&format!("rules:\n- id: a\n  when: true\n  let:\n    {value}\n"));
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
    check("n: {over: 7d}", &["5:8: a value says what it is; there is `count`, `sum`, `silence`"]);
    check("n: purchase", &["5:8: `n` needs a mapping such as {count: complaint, over: 7d}, this is a text"]);
    check("n:", &["5:6: `n` needs a mapping such as {count: complaint, over: 7d}, this is empty"]);
    check(
        "n: {count: purchase, sum: purchase.amount, over: 7d}",
        &["5:26: a value is one thing, not `count` and `sum`"],
    );
    for later in ["distinct", "avg", "min", "max", "median", "first", "last", "stddev", "median_gap", "open"] {
        let reason = format!("5:9: `{later}` is not supported yet; there is `count`, `sum`, `silence`");
        check(&format!("n: {{{later}: purchase.amount, over: 7d, by: x}}"), &[&reason]);
    }
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
    check("n: {sum: purchase.currency, over: 7d}", &["5:23: `currency` is a text; a sum needs numbers"]);
    check("n: {sum: interaction.automatic, over: 7d}", &["5:26: `automatic` is true or false; a sum needs numbers"]);
    check("n: {sum: [purchase.amount, purchase.quantity], over: 7d}", &["5:32: `purchase` is named twice"]);
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
    check("n: {count: purchase, over: item}", &["5:32: `over: item` belongs to rules with a `trigger`"]);
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
    check("n: {count: purchase, over: 7d, prior: true}", &["5:36: `prior` belongs to rules with a `trigger`"]);
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
