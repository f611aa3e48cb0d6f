//! Rules with a trigger and rules with a date: what becomes of them, and what is refused of them.

use chrono_tz::Tz;
use tocsin_core::alert::Severity;
use tocsin_core::event::stable_hash;
use tocsin_core::expr::{AttributeRef, Expr, FieldRef};
use tocsin_core::rule::{Items, Mover, Occasion, Rule, Subject, Tracker};
use tocsin_core::time::{DAY, HOUR, MINUTE};
use tocsin_core::value::OwnedValue;

use super::*;

/// The rule with the given further lines, the first of which is line 3.
fn text(lines: &str) -> String {
    format!("rules:\n- id: a\n  {}\n", lines.replace('\n', "\n  "))
}

fn check(lines: &str, expected: &[&str]) {
    assert_eq!(problems(&text(lines)), expected, "{lines}");
}

fn rule(lines: &str) -> Arc<Rule> {
    load_text(&text(lines)).unwrap_or_else(|errors| panic!("{errors}\n{lines}")).set.rules[0].clone()
}

fn items(lines: &str) -> Items {
    let Subject::Item(items) = rule(lines).subject.clone() else { panic!("{lines}") };
    items
}

fn occasion(lines: &str) -> Occasion {
    let Subject::Date(occasion) = rule(lines).subject.clone() else { panic!("{lines}") };
    occasion
}

fn mover(name: &str, filter: Option<Expr>, by: Option<FieldRef>) -> Mover {
    Mover { type_id: Catalog::type_id(name), filter, by }
}

#[expect(clippy::unnecessary_box_returns, reason = "an expression holds its operands boxed")]
fn of_text(field: u16, text: &str) -> Box<[Expr; 2]> {
    Box::new([Expr::Event(FieldRef::Slot(field)), Expr::Constant(OwnedValue::Text(text.into()))])
}

const UNANSWERED: &str = "trigger: complaint
where: event.status == \"opened\"
by: ticket_id
until: [{complaint: 'event.status == \"answered\"'}, {complaint: 'event.status != \"x\"'}]
levels: {medium: age >= hours(24), high: age >= hours(48)}";

#[test]
fn the_items_of_the_contract_are_read() {
    let by = || Some(FieldRef::Slot(0));
    let canonical = "complaint (== event.status t6:opened) by .ticket_id until \
                     [complaint (== event.status t8:answered), complaint (!= event.status t1:x)]";
    let tracker = Tracker {
        key: stable_hash(canonical),
        opens: mover("complaint", Some(Expr::Equal(of_text(1, "opened"))), by()),
        closes: vec![
            mover("complaint", Some(Expr::Equal(of_text(1, "answered"))), by()),
            mover("complaint", Some(Expr::NotEqual(of_text(1, "x"))), by()),
        ],
        lasts: 400 * DAY,
    };
    assert_eq!(items(UNANSWERED), Items { tracker: tracker.clone(), after: 0, judged_once: false });
    let expiring = items(&format!("{UNANSWERED}\nafter: 1h\nexpire: 90d\nfor: 1d\ncooldown: 1d"));
    let lasts = 90 * DAY;
    assert_eq!(expiring, Items { tracker: Tracker { lasts, ..tracker }, after: HOUR, judged_once: false });

    let key = stable_hash("purchase - by - until []");
    let tracker = Tracker { key, opens: mover("purchase", None, None), closes: vec![], lasts: 14 * DAY };
    let after = items("trigger: purchase\nafter: 14d");
    assert_eq!(after, Items { tracker: tracker.clone(), after: 14 * DAY, judged_once: true });
    let at_once = items("trigger: purchase\nwhen: trigger.amount > 3");
    assert_eq!(at_once, Items { tracker: Tracker { lasts: 0, ..tracker }, after: 0, judged_once: true });
    let extra = items("trigger: profile\nby: contract");
    assert_eq!(extra.tracker.opens.by, Some(FieldRef::Extra("contract".into())));
}

#[test]
fn an_item_or_a_day_is_condition_enough() {
    let always = || Expr::Constant(OwnedValue::Bool(true));
    for subject in ["trigger: purchase", "trigger: purchase\nuntil: [{purchase: 'false'}]", "date: customer.birthday"] {
        assert_eq!(rule(subject).levels, [(Severity::Medium, always())], "{subject}");
        assert_eq!(rule(&format!("{subject}\nseverity: high")).levels, [(Severity::High, always())], "{subject}");
        assert_eq!(rule(subject).version, rule(&format!("{subject}\nwhen: 'true'")).version, "{subject}");
        let severity = "`severity` goes with `when`; `levels` names the severities itself";
        let line = subject.lines().count() + 3;
        check(&format!("{subject}\nseverity: high\nlevels: {{low: 'true'}}"), &[&format!("{line}:3: {severity}")]);
    }
}

#[test]
fn what_opens_an_item_must_be_known() {
    check("trigger: complant", &["3:12: there is no event type `complant`; did you mean `complaint`?"]);
    check("trigger: [complaint]", &["3:12: `trigger` needs a text, this is a list"]);
    check("trigger:", &["3:10: `trigger` needs a text, this is empty"]);
    // What uses the trigger is not to blame, what closes it is looked at all the same.
    check(
        "trigger: complant\nby: x\nwhen: trigger.x > 3 && age > days(1)\nuntil: [{purchas: 'true'}]",
        &[
            "3:12: there is no event type `complant`; did you mean `complaint`?",
            "6:12: there is no event type `purchas`; did you mean `purchase`?",
        ],
    );
    check(
        "trigger: complaint\nwhere: event.statsu == 'x' && customer.tier == 'x' && age > days(1)",
        &[
            "4:10: `complaint` has no field `statsu`; did you mean `status`?",
            "4:33: `where` looks at the event alone; put this into `scope` or the condition",
            "4:57: `where` looks at the event alone, not at `age`",
        ],
    );
    check("trigger: complaint\nby: tiket_id", &["4:7: `complaint` has no field `tiket_id`; did you mean `ticket_id`?"]);
    check("trigger: profile\nby: id", &["4:7: `id` cannot name an item; without `by` each event has its own"]);
    check("trigger: complaint\nby: [ticket_id]", &["4:7: `by` needs a text, this is a list"]);
    check(
        "trigger: complaint\nafter: soon",
        &[
            "4:10: `soon` is not a duration; write whole numbers with the units ms, s, m, h, d, w, such as `90d` or `1d12h`",
        ],
    );
    check("trigger: complaint\nscope: age > days(1)", &["4:10: `scope` looks at attributes alone, not at `age`"]);
}

#[test]
fn what_closes_an_item_must_be_known() {
    let until = |until: &str| format!("trigger: complaint\nby: ticket_id\nuntil: {until}");
    check(&until("[]"), &["5:10: an empty `until` closes nothing; leave it out, or name events that close"]);
    check(
        &until("{complaint: 'true'}"),
        &["5:10: `until` needs a list such as [{complaint: event.status == \"answered\"}], this is a mapping"],
    );
    check(
        &until("[complaint]"),
        &["5:11: an item of `until` needs a mapping such as {complaint: event.status == \"answered\"}, this is a text"],
    );
    check(
        &until("[{complaint: 'true', profile: 'true'}]"),
        &["5:11: an item of `until` is one event type with its condition"],
    );
    check(&until("[{complaint: }]"), &["5:21: `until` needs a text, this is empty"]);
    check(&until("[{complant: 'true'}]"), &["5:12: there is no event type `complant`; did you mean `complaint`?"]);
    check(
        &until("[{complaint: event.statsu == 'x' && trigger.status == 'x'}, {profile: stage == 'x'}]"),
        &[
            "5:23: `complaint` has no field `statsu`; did you mean `status`?",
            "5:46: `until` looks at the event alone, not at `trigger`",
            "5:80: there is no value `stage`; did you mean `event.stage`?",
        ],
    );
    check(
        &until("[{score: 'true'}]"),
        &[
            "5:12: an event that closes carries the field that `by` names: `score` has no field `ticket_id`; there is `name`, `value`, `model`, `model_version`",
        ],
    );
    check(
        "trigger: complaint\nuntil: [{purchase: 'true'}]\nexpire: 0s",
        &["5:11: what expires after 0s is never open"],
    );
    // A profile may carry any field.
    check(&until("[{profile: 'true'}]"), &[]);
}

#[test]
fn texts_name_the_trigger_and_the_age() {
    let with = |text: &str| format!("trigger: purchase\nannotations: {{summary: {{en: '{text}'}}}}");
    check(&with("{{ age }} {{ trigger.amount }} {{trigger.id}} {{ severity }}"), &[]);
    check(
        &with("{{ trigger.amuont }} {{ trigger }} {{ age.x }}"),
        &[
            "4:35: `purchase` has no field `amuont`; did you mean `amount`?",
            "4:56: there is no value `trigger`; there is `severity`, `customer_id`, `rule_id`, `age`",
            "4:70: there is no value `age.x`; did you mean `age`?",
        ],
    );
    check(
        "date: customer.birthday\nannotations: {summary: {en: '{{ age }}'}}",
        &["4:35: `age` belongs to rules with a `trigger`"],
    );
    check(
        &with("{{ trigger.amount }}").replace("purchase", "purchas"),
        &["3:12: there is no event type `purchas`; did you mean `purchase`?"],
    );
}

#[test]
fn dates_are_read() {
    let birthday = AttributeRef::Slot(7);
    let expected = Occasion { attribute: birthday.clone(), lead_days: 0, at: 0, zone: Tz::UTC };
    assert_eq!(occasion("date: customer.birthday"), expected);
    let expected =
        Occasion { attribute: birthday, lead_days: 3, at: 23 * HOUR + 59 * MINUTE, zone: Tz::Asia__Shanghai };
    let lines = "date: customer.birthday\nlead: 72h\nat: 23:59\ntimezone: Asia/Shanghai";
    assert_eq!(occasion(lines), expected);
    let extra = occasion("date: customer.contract_end\nat: '09:00'\nlead: 2w");
    assert_eq!((extra.attribute, extra.lead_days), (AttributeRef::Extra("contract_end".into()), 14));

    let limits = Limits { timezone: Tz::Europe__Berlin, ..Limits::default() };
    let configured = load(&[source("r.yaml", &text("date: customer.birthday"))], &catalog(), &limits).unwrap();
    let Subject::Date(occasion) = &configured.set.rules[0].subject else { panic!() };
    assert_eq!(occasion.zone, Tz::Europe__Berlin);
    // Another configuration does not make it another rule.
    assert_eq!(configured.set.rules[0].version, rule("date: customer.birthday").version);
}

#[test]
fn days_and_times_must_make_sense() {
    let none = "`date` names an attribute of the customer, such as customer.birthday";
    check("date: birthday", &[&format!("3:9: {none}; `birthday` is none; did you mean `customer.birthday`?")]);
    check("date: 2026-01-01", &[&format!("3:9: {none}; `2026-01-01` is none")]);
    check("date: customer.a.b", &[&format!("3:9: {none}; `customer.a.b` is none")]);
    check("date: [customer.birthday]", &["3:9: `date` needs a text, this is a list"]);
    check("date: customer.id", &["3:9: `id` belongs to events and is no attribute of the customer"]);
    let lead = "`lead` counts calendar days; for a time of day there is `at`";
    check("date: customer.birthday\nlead: 36h", &[&format!("4:9: {lead}")]);
    check(
        "date: customer.birthday\nlead: -3d",
        &[
            "4:9: `-3d` is not a duration; write whole numbers with the units ms, s, m, h, d, w, such as `90d` or `1d12h`",
        ],
    );
    for at in ["24:00", "09:60", "9:00", "09:00:00", "0900", "-1:00", "+9:00", "noon"] {
        let reason = format!("4:7: `at` is a time of day from 00:00 to 23:59, written HH:MM; `{at}` is none");
        check(&format!("date: customer.birthday\nat: '{at}'"), &[&reason]);
    }
    check(
        "date: customer.birthday\ntimezone: Asia/Shangai",
        &["4:13: there is no time zone `Asia/Shangai`; did you mean `Asia/Shanghai`?"],
    );
    check(
        "date: customer.birthday\ntimezone: local",
        &["4:13: there is no time zone `local`; write an IANA name, such as Asia/Shanghai"],
    );
    check(
        "date: customer.birthday\nlet: {n: {count: purchase, over: item}, m: {count: purchase, over: 7d, prior: true}}",
        &["4:36: `over: item` belongs to rules with a `trigger`", "4:74: `prior` belongs to rules with a `trigger`"],
    );
}

#[test]
fn a_version_of_an_item_or_a_day_stands_for_what_decides() {
    let version = |lines: &str| rule(lines).version.clone();
    let item = "trigger: complaint\nwhere: event.status == 'a'\nby: ticket_id\nafter: 1d\n\
                until: [{complaint: event.status == 'b'}, {profile: event.stage == 'b'}]\nexpire: 9d\n\
                let: {n: {count: purchase, over: item}, m: {count: purchase, over: 7d, prior: true}, o: {open: complaint, expire: 1d}}\n\
                when: n < 2 && m < 2 && o < 2 && trigger.priority != 'low'\nfor: 1d\ncooldown: 1d";
    let once = item
        .replace("until: [{complaint: event.status == 'b'}, {profile: event.stage == 'b'}]\nexpire: 9d\n", "")
        .replace("for: 1d\n", "");
    let date = "date: customer.birthday\nlead: 3d\nat: '09:00'\ntimezone: Asia/Shanghai\nwhen: customer.tier == 'a'";
    // Alerts carry them: a release that computes others makes every rule a changed rule.
    let golden = [version(item), version(&once), version(date), version("date: customer.birthday")];
    assert_eq!(golden.each_ref().map(|version| &**version), GOLDEN);
    for (old, new) in [
        ("event.status == 'a'", "(event.status==\"a\")"),
        ("after: 1d", "after: 24h"),
        ("n: {count", "x: {count: score, over: 1d}, n: {count"),
        ("cooldown: 1d", "cooldown: 1d\nlabels: {a: b}"),
    ] {
        assert_eq!(version(&item.replacen(old, new, 1)), golden[0], "{new}");
    }
    let mut seen = golden.to_vec();
    for (rule, old, new) in [
        (item, "status == 'a'", "status == 'b'"),
        (item, "by: ticket_id", "by: category"),
        (item, "by: ticket_id\n", ""),
        (item, "after: 1d", "after: 2d"),
        (item, "expire: 9d\n", ""),
        (item, "expire: 9d", "expire: 8d"),
        (item, "stage == 'b'", "stage == 'c'"),
        (item, ", {profile: event.stage == 'b'}", ""),
        (item, "over: item", "over: 7d"),
        (item, ", prior: true", ""),
        (item, "over: 7d, prior: true", "over: 7d, offset: 1d, prior: true"),
        (item, "expire: 1d}}", "expire: 2d}}"),
        (item, "priority", "channel"),
        (&once, "after: 1d", "after: 2d"),
        (&once, "status == 'a'", "status == 'b'"),
        (&once, "cooldown: 1d", "cooldown: 2d"),
        (date, "birthday", "region"),
        (date, "lead: 3d", "lead: 2d"),
        (date, "09:00", "09:01"),
        (date, "Shanghai", "Tokyo"),
        (date, "timezone: Asia/Shanghai\n", ""),
        (date, "tier == 'a'", "tier == 'b'"),
    ] {
        assert!(rule.contains(old), "{old}");
        let after = version(&rule.replacen(old, new, 1));
        assert!(!seen.contains(&after), "{old} -> {new}");
        seen.push(after);
    }
}

const GOLDEN: [&str; 4] = ["d40ae0db18b65da5", "5dc9eee6fb6f5c6c", "6808e888db8e5416", "42ca65f67873598f"];

#[test]
fn what_makes_the_items_has_a_key_of_its_own() {
    let key = |lines: &str| items(lines).tracker.key;
    let before = key(UNANSWERED);
    // Rows hold it: a release that computes another one makes new items of all.
    assert_eq!(before, KEY);
    for more in ["after: 1d", "expire: 9d", "scope: customer.tier == 'a'", "for: 1d", "labels: {a: b}"] {
        assert_eq!(key(&format!("{UNANSWERED}\n{more}")), before, "{more}");
    }
    for (old, new) in [
        ("trigger: complaint", "trigger: profile"),
        ("\"opened\"", "\"open\""),
        ("by: ticket_id", "by: category"),
        ("\"answered\"", "\"resolved\""),
        ("until: [{complaint: 'event.status == \"answered\"'}, ", "until: ["),
    ] {
        assert_ne!(key(&UNANSWERED.replacen(old, new, 1)), before, "{new}");
    }
}

const KEY: u64 = 6_810_085_849_503_537_161;
