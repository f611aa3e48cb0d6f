use tocsin_core::event::Catalog;
use tocsin_core::expr::{AttributeRef, FieldRef};
use tocsin_core::time::DAY;

use super::super::names::{Known, Named};
use super::super::syntax;
use super::super::tests::catalog;
use super::*;

/// `n` is a count, `gap` a duration, `quiet` and `other` are silences, `bad` was refused.
fn lets() -> Vec<Named> {
    let named = |name: &str, kind| Named { name: name.into(), kind, canonical: String::new() };
    vec![
        named("n", NamedKind::Value(Kind::Number)),
        named("gap", NamedKind::Value(Kind::Duration)),
        named("quiet", NamedKind::Silence),
        named("other", NamedKind::Silence),
        named("bad", NamedKind::Broken),
    ]
}

fn in_condition(text: &str) -> Result<Expr, Vec<Fault>> {
    in_rule(Trigger::None, Part::Condition, text)
}

fn in_rule(trigger: Trigger<'_>, part: Part<'_>, text: &str) -> Result<Expr, Vec<Fault>> {
    let (catalog, lets) = (catalog(), lets());
    let known = Known { lets: &lets, trigger };
    condition(&syntax::parse(text).unwrap(), Names { catalog: &catalog, known, part })
}

/// In a rule whose items are opened by events of this type.
fn in_item(event_type: &str, text: &str) -> Result<Expr, Vec<Fault>> {
    let catalog = catalog();
    in_rule(Trigger::Of(catalog.by_name(event_type).unwrap()), Part::Condition, text)
}

/// As `where` over these types, resolved for the first.
fn in_where(types: &[&str], text: &str) -> Result<Expr, Vec<Fault>> {
    let catalog: Catalog = catalog();
    let all: Vec<_> = types.iter().map(|name| catalog.by_name(name).unwrap()).collect();
    let part = Part::Where { of: all[0], all: &all, key: "where" };
    condition(&syntax::parse(text).unwrap(), Names { catalog: &catalog, known: Known::default(), part })
}

fn in_scope(text: &str) -> Result<Expr, Vec<Fault>> {
    in_rule(Trigger::None, Part::Scope, text)
}

fn check(result: Result<Expr, Vec<Fault>>, expected: &[(usize, &str)]) {
    let shown = |fault: Fault| match fault.complaint.nearest {
        Some(nearest) => (fault.at, format!("{} -> {nearest}", fault.complaint.reason)),
        None => (fault.at, fault.complaint.reason),
    };
    let found: Vec<(usize, String)> = result.err().unwrap_or_default().into_iter().map(shown).collect();
    let expected: Vec<(usize, String)> = expected.iter().map(|(at, reason)| (*at, (*reason).to_owned())).collect();
    assert_eq!(found, expected);
}

fn number(x: f64) -> Expr {
    Expr::Constant(OwnedValue::Number(x))
}

fn text(text: &str) -> Expr {
    Expr::Constant(OwnedValue::Text(text.into()))
}

fn duration(ms: f64) -> Expr {
    Expr::Constant(OwnedValue::Duration(ms))
}

fn null() -> Expr {
    Expr::Constant(OwnedValue::Null)
}

#[expect(clippy::unnecessary_box_returns, reason = "an expression holds its operands boxed")]
fn pair(left: Expr, right: Expr) -> Box<[Expr; 2]> {
    Box::new([left, right])
}

const DAY_MS: f64 = DAY as f64;

#[test]
fn names_become_places() {
    let tier = Expr::Attribute(AttributeRef::Slot(4));
    let vip = Expr::Attribute(AttributeRef::Extra("vip".into()));
    assert_eq!(in_condition("customer.vip"), Ok(vip.clone()));
    assert_eq!(
        in_condition("n > 3 && customer.tier in ['a', null]"),
        Ok(Expr::And(pair(
            Expr::Compare(Compare::Greater, pair(Expr::Let(0), number(3.0))),
            Expr::In(Box::new(tier.clone()), Box::new([text("a"), null()]))
        )))
    );
    assert_eq!(
        in_scope("has(customer.tier) || !customer.vip"),
        Ok(Expr::Or(pair(Expr::Has(Box::new(tier)), Expr::Not(Box::new(vip)))))
    );
}

#[test]
fn arithmetic_on_constants_is_done_at_once() {
    let gap_less = |bound: Expr| Ok(Expr::Compare(Compare::Less, pair(Expr::Let(1), bound)));
    assert_eq!(in_condition("gap < days(2 * 30)"), gap_less(duration(60.0 * DAY_MS)));
    assert_eq!(in_condition("gap < hours(36) + -minutes(0.5)"), gap_less(duration(1.5 * DAY_MS - 30_000.0)));
    assert_eq!(in_condition("gap < 2.5 * days(1)"), gap_less(duration(2.5 * DAY_MS)));
    let days = Expr::Arithmetic(Arithmetic::Multiply, pair(Expr::Let(0), duration(DAY_MS)));
    assert_eq!(in_condition("gap < days(n)"), gap_less(days));
    assert_eq!(in_condition("7 % 4 == days(3) / days(1)"), Ok(Expr::Equal(pair(number(3.0), number(3.0)))));
}

#[test]
fn a_running_duration_stands_alone_on_the_left() {
    let run = |compare| Expr::Running(Running::Silence(2), compare, Box::new(duration(90.0 * DAY_MS)));
    assert_eq!(in_condition("quiet >= days(90)"), Ok(run(Compare::GreaterOrEqual)));
    assert_eq!(in_condition("(quiet) < days(90)"), Ok(run(Compare::Less)));
    assert_eq!(in_condition("days(90) <= quiet"), Ok(run(Compare::GreaterOrEqual)));
    assert_eq!(in_condition("days(90) > quiet"), Ok(run(Compare::Less)));
    let rhythm = Expr::Arithmetic(Arithmetic::Multiply, pair(number(2.5), Expr::Let(1)));
    let expected = Expr::Running(Running::Silence(2), Compare::Greater, Box::new(rhythm));
    assert_eq!(in_condition("quiet > 2.5 * gap"), Ok(expected));
    assert!(in_condition("customer.vip ? quiet > days(1) : other > days(2)").is_ok());

    let refused =
        "the running duration `quiet` may stand only alone on one side of <, <=, > or >=, with none on the other";
    check(in_condition("quiet > other"), &[(6, refused)]);
    check(in_condition("quiet == null"), &[(0, refused)]);
    check(in_condition("gap < quiet + days(1)"), &[(6, refused)]);
    check(in_condition("-quiet < days(1)"), &[(1, refused)]);
    check(in_condition("quiet in [days(1)]"), &[(0, refused)]);
    check(in_condition("quiet"), &[(0, refused)]);
    check(in_condition("quiet > (other > days(1) ? gap : days(2))"), &[(9, refused)]);
    check(
        in_condition("quiet > 90"),
        &[(6, "`>` compares the duration `quiet` with a number; write days(90), hours(36) or minutes(5)")],
    );
    check(
        in_condition("customer.x < quiet"),
        &[(11, "`>` compares the duration `quiet` with anything; write days(90), hours(36) or minutes(5)")],
    );
}

#[test]
fn an_item_has_an_age_and_a_trigger() {
    let run = |compare| Expr::Running(Running::Age, compare, Box::new(duration(DAY_MS)));
    assert_eq!(in_item("complaint", "age >= hours(24)"), Ok(run(Compare::GreaterOrEqual)));
    assert_eq!(in_item("complaint", "days(1) > age"), Ok(run(Compare::Less)));
    let refused =
        "the running duration `age` may stand only alone on one side of <, <=, > or >=, with none on the other";
    check(in_item("complaint", "age > quiet"), &[(4, refused)]);
    check(in_item("complaint", "age == days(1)"), &[(0, refused)]);
    check(in_item("complaint", "quiet < age + days(1)"), &[(8, refused)]);
    check(in_item("complaint", "quiet > (age > days(1) ? gap : days(2))"), &[(9, &refused.replace("age", "quiet"))]);

    let trigger = |field| Box::new([Expr::Trigger(field), text("a")]);
    assert_eq!(in_item("complaint", "trigger.status == 'a'"), Ok(Expr::Equal(trigger(FieldRef::Slot(1)))));
    assert_eq!(in_item("complaint", "trigger.id == 'a'"), Ok(Expr::Equal(trigger(FieldRef::Id))));
    assert_eq!(in_item("profile", "trigger.vip == 'a'"), Ok(Expr::Equal(trigger(FieldRef::Extra("vip".into())))));
    let has = Expr::Has(Box::new(Expr::Trigger(FieldRef::Slot(0))));
    assert_eq!(in_item("purchase", "has(trigger.amount)"), Ok(has));
    check(
        in_item("purchase", "trigger.amuont > 3 || trigger.status > 3"),
        &[(0, "`purchase` has no field `amuont` -> amount"), (37, "`>` between a text and a number is never defined")],
    );
    check(
        in_item("purchase", "trigger.occurred_at > 3 || trigger.customer_id == 'a' || trigger"),
        &[
            (0, "how long ago the trigger was is called `age`"),
            (27, "a rule looks at one customer at a time; there is no `trigger.customer_id`"),
            (57, "`trigger` alone is no value; name a field of it: trigger.status"),
        ],
    );
    check(
        in_item("purchase", "event.amount > 3"),
        &[(0, "`event` stands only in `where` and `until`; of the event that opened the item write trigger.amount")],
    );
    // A trigger that was refused itself is blamed once.
    let broken = |text| in_rule(Trigger::Broken, Part::Condition, text);
    assert_eq!(broken("age > days(1) && trigger.anything > 3"), Err(vec![]));
    check(broken("age == days(1)"), &[(0, refused)]);
    let catalog = catalog();
    let in_scope = in_rule(Trigger::Of(&catalog.types()[0]), Part::Scope, "age > days(1) && trigger.amount > 3");
    let beside = |name: &str| format!("`scope` looks at attributes alone, not at `{name}`");
    check(in_scope, &[(0, &beside("age")), (17, &beside("trigger"))]);
    let beside = |name: &str| format!("`where` looks at the event alone, not at `{name}`");
    let found = in_where(&["purchase"], "age > days(1) && trigger.amount > 3");
    check(found, &[(0, &beside("age")), (17, &beside("trigger"))]);
}

#[test]
fn fields_are_resolved_for_each_type() {
    let status = |slot| Ok(Expr::Equal(pair(Expr::Event(FieldRef::Slot(slot)), text("a"))));
    assert_eq!(in_where(&["purchase", "complaint"], "event.status == 'a'"), status(7));
    assert_eq!(in_where(&["complaint", "purchase"], "event.status == 'a'"), status(1));
    let lacking = Expr::Compare(Compare::Greater, pair(null(), number(3.0)));
    assert_eq!(in_where(&["complaint", "purchase"], "event.amount > 3"), Ok(lacking));
    let doubled = Expr::Arithmetic(Arithmetic::Multiply, pair(null(), number(2.0)));
    assert_eq!(
        in_where(&["complaint", "purchase"], "event.amount * 2 > 3"),
        Ok(Expr::Compare(Compare::Greater, pair(doubled, number(3.0))))
    );
    let extra = Expr::Equal(pair(Expr::Event(FieldRef::Extra("vip".into())), Expr::Constant(OwnedValue::Bool(true))));
    assert_eq!(in_where(&["profile"], "event.vip == true"), Ok(extra));
    let id = Expr::Text(TextTest::StartsWith, pair(Expr::Event(FieldRef::Id), text("p-")));
    assert_eq!(in_where(&["purchase"], "event.id.startsWith('p-')"), Ok(id));
    let type_name = Expr::Event(FieldRef::Type("score".into()));
    assert_eq!(in_where(&["score"], "event.type == 'a'"), Ok(Expr::Equal(pair(type_name, text("a")))));
}

#[test]
fn names_that_stand_for_nothing_are_refused() {
    check(in_condition("qiuet > 3"), &[(0, "there is no value `qiuet` -> quiet")]);
    check(in_condition("tier == 'a'"), &[(0, "there is no value `tier` -> customer.tier")]);
    check(
        in_condition("spending > 3"),
        &[(0, "there is no value `spending`; there is `n`, `gap`, `quiet`, `other`, `bad`")],
    );
    for blameless in ["bad > 3 && bad == 'a' && bad", "quiet > 2.5 * bad", "quiet > bad"] {
        assert_eq!(in_condition(blameless), Err(vec![]), "{blameless}");
    }
    check(in_condition("custmer.tier == 'a'"), &[(0, "there is nothing called `custmer` -> customer")]);
    check(in_condition("n.x == 'a'"), &[(0, "`n` is a value and has no fields")]);
    check(in_condition("customer == 'a'"), &[(0, "`customer` alone is no value; name a field of it: customer.status")]);
    check(in_condition("customer.id == 'a'"), &[(0, "`id` belongs to events and is no attribute of the customer")]);
    check(
        in_condition("event.amount > 3"),
        &[(0, "`event` stands only in `where`, which belongs to a value under `let`")],
    );
    let of_items = |name: &str| format!("`{name}` belongs to rules with a `trigger`");
    check(in_condition("age > days(1) && trigger.amount > 3"), &[(0, &of_items("age")), (17, &of_items("trigger"))]);
    check(in_scope("n > 3"), &[(0, "`scope` looks at attributes alone, not at `n`")]);
    check(in_scope("tier == 'a'"), &[(0, "there is no value `tier` -> customer.tier")]);
    check(in_scope("vip"), &[(0, "there is no value `vip`; `scope` looks at attributes: customer.status")]);
}

#[test]
fn names_in_where_are_fields_of_the_event() {
    let both = ["complaint", "purchase"];
    check(
        in_where(&both, "event.amuont > 3"),
        &[(0, "none of `complaint`, `purchase` has a field `amuont` -> amount")],
    );
    check(
        in_where(&["complaint"], "event.amount > 3"),
        &[(
            0,
            "`complaint` has no field `amount`; there is `ticket_id`, `status`, `category`, `priority`, `channel`, `id`, `type`",
        )],
    );
    check(in_where(&both, "status == 'a'"), &[(0, "there is no value `status` -> event.status")]);
    check(
        in_where(&both, "n > 3"),
        &[(0, "there is no value `n`; `where` looks at fields of the event: event.status")],
    );
    check(
        in_where(&both, "customer.tier == 'a'"),
        &[(0, "`where` looks at the event alone; put this into `scope` or the condition")],
    );
    check(
        in_where(&both, "event.occurred_at > 3 && event.customer_id == 'a'"),
        &[
            (0, "the time of events is bounded by `over` and `offset`, not in `where`"),
            (25, "a rule looks at one customer at a time; there is no `event.customer_id`"),
        ],
    );
}

#[test]
fn kinds_that_never_match_are_refused() {
    let hint = "; durations are days(90), hours(36), minutes(5)";
    check(in_condition("n > 'a'"), &[(2, "`>` between a number and a text is never defined")]);
    check(in_condition("gap <= 3"), &[(4, &format!("`<=` between a duration and a number is never defined{hint}"))]);
    check(in_condition("n < null"), &[(2, "`<` between a number and null is never defined")]);
    check(in_condition("1 < 2 < 3"), &[(6, "`<` between true or false and a number is never defined")]);
    check(in_condition("n == 'a'"), &[(2, "`==` between a number and a text: these are never equal")]);
    check(
        in_condition("gap != 3"),
        &[(4, &format!("`!=` between a duration and a number: these are never equal{hint}"))],
    );
    check(
        in_condition("n in [1, 'a', customer.x, true]"),
        &[
            (9, "`in` looks for a number, which a text never equals"),
            (26, "`in` looks for a number, which true or false never equals"),
        ],
    );
    check(in_condition("n + 'a' > 3"), &[(2, "`+` between a number and a text is never defined")]);
    check(in_condition("customer.name + 'a' == 'b'"), &[(14, "`+` does not join texts")]);
    check(
        in_condition("gap + 3 > gap"),
        &[(4, &format!("`+` between a duration and a number is never defined{hint}"))],
    );
    check(in_condition("gap * gap > gap"), &[(4, "`*` between a duration and a duration is never defined")]);
    check(in_condition("gap % gap > gap"), &[(4, "`%` between a duration and a duration is never defined")]);
    check(in_condition("-customer.name == n"), &[(1, "`-` needs a number or a duration, this is a text")]);
    check(in_condition("n / (2 - 2) > 1"), &[(2, "a division by zero is never defined")]);
    check(in_condition("n > 1e308 * 10"), &[(10, "this number is too large")]);
    check(in_condition("gap > days(36526)"), &[(11, "longer than 36525d, the longest duration there is")]);
    check(in_condition("gap > days('a')"), &[(11, "a number is needed here, this is a text")]);
    check(in_condition("n.contains('a')"), &[(0, "`contains` needs texts, this is a number")]);
    check(in_condition("customer.name.contains(3)"), &[(23, "`contains` needs texts, this is a number")]);
}

#[test]
fn a_condition_is_true_or_false() {
    check(in_condition("n + 1"), &[(0, "a condition is true or false, this is a number")]);
    check(in_condition("null"), &[(0, "a condition is true or false, this is null")]);
    check(
        in_condition("!n || n && null"),
        &[
            (1, "`!` needs true or false, this is a number"),
            (6, "`&&` needs true or false, this is a number"),
            (11, "`&&` needs true or false, this is null"),
        ],
    );
    check(in_condition("n ? true : false"), &[(0, "`?` needs true or false, this is a number")]);
    check(
        in_condition("(true ? 1 : 'a') == n"),
        &[(6, "both sides of `:` must be alike, these are a number and a text")],
    );
    check(
        in_condition("true ? true : null"),
        &[(5, "both sides of `:` must be alike, these are true or false and null")],
    );
    check(in_condition("customer.x ? customer.y : n > 3"), &[]);
}
