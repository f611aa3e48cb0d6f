//! Section 2, `open`: the number of items open.

use super::super::event::{COMPLAINT, INTERACTION};
use super::super::expr::{event, number, text, value};
use super::super::items::Making;
use super::build::{answered, making, many, mover, open, opened};
use super::values::{shown, values};
use super::*;
use serde_json::json;

fn tickets() -> Making {
    Making {
        trigger: COMPLAINT,
        filter: Some(event("status").equals(text("opened"))),
        by: Some("ticket_id"),
        until: vec![(COMPLAINT, Some(event("status").equals(text("answered"))))],
    }
}

fn unanswered(expire: Option<i64>) -> Measure {
    open(tickets(), expire)
}

values! {
    of_no_events_none_is_open: 0.0, unanswered(None), [purchase(0)];
    each_ticket_is_an_item: 2.0, unanswered(None), [opened(0, "a"), opened(1, "b")];
    a_further_trigger_of_an_open_one_opens_none: 1.0, unanswered(None), [opened(0, "a"), opened(1, "a")];
    one_is_closed: 1.0, unanswered(None), [opened(0, "a"), opened(1, "b"), answered(2, "a")];
    and_may_be_opened_again: 2.0, unanswered(None), [opened(0, "a"), opened(1, "b"), answered(2, "a"), opened(3, "a")];
    without_by_an_event_closes_all:
        1.0,
        open(making(COMPLAINT, &[INTERACTION]), None),
        [complaint(0), complaint(1), interaction(2), complaint(3)];
    at_the_expiry_it_is_open_no_more: 1.0, unanswered(Some(10)), [opened(0, "a"), opened(1, "b"), purchase(10)];
    a_late_event_closes_one_in_the_past: 0.0, unanswered(None), [opened(0, "a"), purchase(9), answered(5, "a")];
    a_value_knows_no_most:
        3.0,
        open(making(COMPLAINT, &[INTERACTION]), None),
        [complaint(0), complaint(1), complaint(2)];
}

fn one_open(expire: Option<i64>) -> Rule {
    rule("r", &[("n", unanswered(expire))], value("n").at_least(number(1.0)))
}

cases! {
    it_ends_when_the_item_expires_with_no_event:
        ["0 r fired medium", "10 r resolved medium cleared"], case([one_open(Some(10))], [opened(0, "a"), mover(60)]);

    by_default_when_the_history_is_over:
        ["0 r fired medium", "40 r resolved medium cleared"],
        case([one_open(None)], [opened(0, "a"), mover(60)]).history(40);

    it_ends_when_the_item_is_closed:
        ["0 r fired medium", "5 r resolved medium cleared"], case([one_open(None)], [opened(0, "a"), answered(5, "a")]);

    a_rules_most_is_not_the_values:
        ["2 r fired medium"],
        case(
            [rule("r", &[("n", open(making(COMPLAINT, &[INTERACTION]), None))], value("n").at_least(number(3.0)))],
            [complaint(0), complaint(1), complaint(2)],
        ).max_open(2);

    what_is_forgotten_has_kept_its_key_from_opening:
        ["0 r fired medium", "4000 r resolved medium cleared", "4041 r fired medium"],
        // That of 3000 opened none, though the history has it and not that of 0 when the values of many events are first asked.
        case(
            [rule("r", &[("n", unanswered(None))], value("n").equals(number(1.0)))],
            [vec![opened(0, "a"), opened(3_000, "a")], many(4_001), vec![opened(4_041, "b")]].concat(),
        ).history(4_000);
}

pub fn all_values() -> Vec<(&'static str, Case)> {
    [all(), shown_values()].concat()
}
