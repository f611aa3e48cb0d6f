//! The language as YAML: one rule set that uses every word of it.

use super::super::aggregate::What;
use super::super::calendar::Zone;
use super::super::event::{FEEDBACK, INTERACTION};
use super::super::expr::{Looks, age, customer, event, has_event, minutes, number, text, trigger, value};
use super::super::items::Making;
use super::super::render::rules;
use super::build::{aggregate, amounts, date, items, making, median_gap, once, open, tickets};
use super::*;

fn values() -> Rule {
    let unanswered = Making {
        filter: Some(event("status").equals(text("opened"))),
        by: Some("ticket_id"),
        until: vec![(COMPLAINT, Some(event("status").differs(text("opened"))))],
        ..making(COMPLAINT, &[])
    };
    let lets = [
        ("distinct", aggregate(What::Distinct, &[(PURCHASE, "channel"), (INTERACTION, "channel")], 60_000)),
        ("avg", amounts(What::Avg, 60_000).offset(1_000).filter(has_event("status"))),
        ("min", amounts(What::Min, 60_000)),
        ("max", amounts(What::Max, 60_000)),
        ("median", amounts(What::Median, 60_000)),
        ("first", amounts(What::First, 60_000)),
        ("last", aggregate(What::Last, &[(INTERACTION, "channel")], 60_000)),
        ("stddev", amounts(What::Stddev, 60_000)),
        ("rhythm", median_gap(&[PURCHASE, INTERACTION], 60_000)),
        ("unanswered", open(unanswered, Some(90_000))),
        ("still", silence(&[PURCHASE])),
    ];
    rule("values", &lets, value("still").above(number(2.5).times(value("rhythm"))))
        .scope(customer("tier").looks(Looks::StartsWith, "go").or(customer("tier").looks(Looks::EndsWith, "x")))
        .require(customer("tier").looks(Looks::Contains, "o"))
}

fn whole_language() -> Vec<Rule> {
    let mean = amounts(What::Avg, 60_000).prior();
    let follow_ups = count(&[INTERACTION], 1).since_the_trigger().filter(event("channel").equals(text("phone")));
    vec![
        values(),
        Rule { id: "once".to_owned(), ..once("", PURCHASE) }
            .by("channel")
            .after(30_000)
            .with("mean", mean)
            .when(trigger("amount").above(number(3.0).times(value("mean"))))
            .cooldown(1_000),
        Rule { id: "until".to_owned(), ..tickets() }
            .after(10_000)
            .expire(3_600_000)
            .with("follow_ups", follow_ups)
            .levels_of(&[
                (Severity::Medium, age().at_least(minutes(1.0))),
                (Severity::High, age().at_least(minutes(2.0)).and(value("follow_ups").below(number(2.0)))),
            ])
            .hold(500)
            .resolve_when(value("follow_ups").above(number(0.0)))
            .keep_firing(600),
        Rule {
            condition: Condition::Always(Some(Severity::Low)),
            ..items("always", making(COMPLAINT, &[INTERACTION, FEEDBACK]))
        },
        date("date", "birthday").lead(3).at(9, 0).zone(Zone::Shanghai),
    ]
}

#[test]
fn the_whole_language_as_yaml() {
    assert_eq!(rules(&whole_language()), include_str!("rendered.yaml"));
}
