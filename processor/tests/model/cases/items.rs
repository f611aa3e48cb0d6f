//! Section 2, rules with `trigger` and `until`, where events come in order.

use super::super::event::{FEEDBACK, INTERACTION};
use super::super::expr::{age, customer, event, minutes, number, text, trigger, truth, value};
use super::build::{answered, items, making, mover, opened, tickets};
use super::*;

/// Complaints until an interaction, for a minute.
fn contacted() -> Rule {
    items("r", making(COMPLAINT, &[INTERACTION])).when(age().at_least(minutes(1.0)))
}

fn for_a_minute() -> Rule {
    tickets().when(age().at_least(minutes(1.0)))
}

fn end() -> Event {
    mover(500_000)
}

/// Follow-ups within the item.
fn followed_up() -> Rule {
    items("r", making(COMPLAINT, &[FEEDBACK]))
        .with("n", count(&[INTERACTION], 1).since_the_trigger())
        .when(value("n").below(number(1.0)))
}

cases! {
    an_item_opens_at_each_matching_event:
        ["60000 r fired medium for co0", "60010 r fired medium for co10"],
        case([contacted()], [complaint(0), complaint(10), end()]);

    where_says_which_events_match:
        ["60000 r fired medium for co0"],
        case(
            [contacted().only(event("status").equals(text("opened")))],
            [complaint(0).text("status", "opened"), complaint(10), complaint(20).text("status", "x"), end()],
        );

    with_neither_when_nor_levels_the_condition_is_true:
        ["0 r fired medium for co0", "5 r resolved medium closed for co0"],
        case([items("r", making(COMPLAINT, &[INTERACTION]))], [complaint(0), interaction(5)]);

    one_item_per_ticket:
        ["60000 r fired medium for a", "60020 r fired medium for b"],
        case([for_a_minute()], [opened(0, "a"), opened(10, "a"), opened(20, "b"), end()]);

    one_item_per_event_without_by_even_of_one_id:
        ["60000 r fired medium for x", "60010 r fired medium for x"],
        case([contacted()], [complaint(0).id("x"), complaint(10).id("x"), end()]);

    a_closed_item_of_a_key_is_followed_by_another:
        ["60020 r fired medium for a"],
        case([for_a_minute()], [opened(0, "a"), answered(10, "a"), opened(20, "a"), end()]);

    an_alert_of_an_item_that_closes_resolves_at_once:
        ["60000 r fired medium for co0", "60500 r resolved medium closed for co0"],
        case([contacted().keep_firing(9_000).resolve_when(truth(false))], [complaint(0), interaction(60_500), end()]);

    what_closes_before_the_deadline_fires_nothing:
        [], case([contacted()], [complaint(0), interaction(59_999), end()]);

    a_closing_event_at_the_instant_of_a_deadline_is_in_time:
        [], case([contacted()], [complaint(0), interaction(60_000), end()]);

    one_ms_later_it_is_not:
        ["60000 r fired medium for co0", "60001 r resolved medium closed for co0"],
        case([contacted()], [complaint(0), interaction(60_001), end()]);

    an_item_expires:
        ["60000 r fired medium for co0", "120000 r resolved medium expired for co0"],
        case([contacted().expire(2 * MINUTE)], [complaint(0), end()]);

    a_closing_event_at_the_instant_of_the_expiry_is_in_time:
        ["60000 r fired medium for co0", "120000 r resolved medium closed for co0"],
        case([contacted().expire(2 * MINUTE)], [complaint(0), interaction(120_000), end()]);

    a_closing_event_after_the_expiry_closes_nothing:
        ["60000 r fired medium for co0", "120000 r resolved medium expired for co0"],
        case([contacted().expire(2 * MINUTE)], [complaint(0), interaction(120_001), end()]);

    by_default_an_item_expires_after_the_history:
        ["60000 r fired medium for co0", "90000 r resolved medium expired for co0"],
        case([contacted()], [complaint(0), end()]).history(90_000);

    at_the_instant_of_the_expiry_a_trigger_opens_the_next:
        [
            "60000 r fired medium for a", "120000 r resolved medium expired for a",
            "180000 r fired medium for a", "240000 r resolved medium expired for a",
        ],
        case([for_a_minute().expire(2 * MINUTE)], [opened(0, "a"), opened(120_000, "a"), end()]);

    one_ms_before_it_opens_none:
        ["60000 r fired medium for a", "120000 r resolved medium expired for a"],
        case([for_a_minute().expire(2 * MINUTE)], [opened(0, "a"), opened(119_999, "a"), end()]);

    an_item_that_expires_first_never_fires:
        [], case([contacted().expire(59_999)], [complaint(0), end()]);

    an_item_that_expires_at_its_deadline_never_fires:
        [], case([contacted().expire(60_000)], [complaint(0), end()]);

    a_closing_event_closes_its_own_key:
        ["60010 r fired medium for b"],
        case([for_a_minute()], [opened(0, "a"), opened(10, "b"), answered(20, "a"), end()]);

    without_by_any_until_event_closes_all_items:
        [
            "60000 r fired medium for co0", "60010 r fired medium for co10",
            "70000 r resolved medium closed for co0", "70000 r resolved medium closed for co10",
        ],
        case([contacted()], [complaint(0), complaint(10), interaction(70_000), end()]);

    an_event_without_the_key_opens_none:
        [], case([for_a_minute()], [complaint(0).text("status", "opened"), end()]);

    an_event_without_the_key_closes_none:
        ["60000 r fired medium for a"],
        case([for_a_minute()], [opened(0, "a"), complaint(10).text("status", "answered"), end()]);

    a_key_that_is_null_is_none:
        [], case([for_a_minute()], [complaint(0).text("status", "opened").with("ticket_id", Field::Null), end()]);

    an_until_event_must_match_its_condition:
        ["60000 r fired medium for a"],
        case([for_a_minute()], [opened(0, "a"), complaint(10).text("ticket_id", "a").text("status", "read"), end()]);

    any_of_several_until_entries_closes:
        ["60000 r fired medium for co0"],
        case(
            [contacted().until_one(FEEDBACK, Some(event("score").above(number(3.0))))],
            [complaint(0), feedback(10).number("score", 3.0), end()],
        );

    the_other_entry_closes_too:
        [],
        case(
            [contacted().until_one(FEEDBACK, Some(event("score").above(number(3.0))))],
            [complaint(0), feedback(10).number("score", 4.0), end()],
        );

    an_event_that_both_closes_and_opens_only_closes:
        ["0 r fired medium for co0", "10 r resolved medium closed for co0"],
        case([items("r", making(COMPLAINT, &[])).until_one(COMPLAINT, Some(event("status").equals(text("again"))))],
            [complaint(0), complaint(10).text("status", "again"), end()]);

    such_an_event_opens_none_even_if_none_is_open:
        [], case([items("r", making(COMPLAINT, &[COMPLAINT]))], [complaint(0), complaint(10), end()]);

    within_an_instant_only_what_arrived_before_is_closed:
        ["60000 r fired medium for co0"],
        case([contacted()], [interaction(0), complaint(0), end()]);

    and_what_arrives_after_closes:
        [], case([contacted()], [complaint(0), interaction(0), end()]);

    another_customers_event_closes_nothing:
        ["60000 r fired medium for co0"], case([contacted()], [complaint(0), interaction(10).of("b"), end()]);

    a_duplicate_of_a_trigger_opens_nothing_again:
        [], case([contacted()], [complaint(0), interaction(5), complaint(0), end()]);

    it_is_judged_from_its_time_plus_after_on:
        ["25 r fired medium for co0"],
        case([items("r", making(COMPLAINT, &[INTERACTION])).after(25)], [complaint(0), end()]);

    for_begins_no_earlier:
        ["35 r fired medium for co0"],
        case([items("r", making(COMPLAINT, &[INTERACTION])).after(25).hold(10)], [complaint(0), end()]);

    a_closing_event_at_the_end_of_after_is_in_time:
        [], case([items("r", making(COMPLAINT, &[INTERACTION])).after(25)], [complaint(0), interaction(25), end()]);

    levels_rise_with_the_age:
        [
            "60000 r fired medium for co0", "120000 r severity_changed high for co0",
            "120500 r resolved high closed for co0",
        ],
        case(
            [
                contacted()
                    .levels_of(
                        &[
                            (Severity::Medium, age().at_least(minutes(1.0))),
                            (Severity::High, age().at_least(minutes(2.0))),
                        ],
                    ),
            ],
            [complaint(0), interaction(120_500), end()],
        );

    it_clears_like_a_condition:
        ["0 r fired medium for co0", "15 r resolved medium cleared for co0"],
        case([followed_up().keep_firing(5)], [complaint(0), interaction(10), end()]);

    and_may_fire_again_within_the_item:
        ["0 r fired medium for co0", "10 r resolved medium cleared for co0", "30 r fired medium for co0"],
        case(
            [followed_up().with("m", count(&[INTERACTION], 10)).when(value("m").below(number(1.0))).cooldown(20)],
            [complaint(0), interaction(10), end()],
        );

    a_cooldown_counts_within_the_item:
        ["0 r fired medium for co0", "5 r resolved medium closed for co0", "7 r fired medium for co7"],
        case(
            [items("r", making(COMPLAINT, &[INTERACTION])).cooldown(90_000)],
            [complaint(0), interaction(5), complaint(7), end()],
        );

    a_cooldown_does_not_outlive_the_item_of_a_key:
        ["0 r fired medium for a", "5 r resolved medium closed for a", "7 r fired medium for a"],
        case([tickets().cooldown(90_000)], [opened(0, "a"), answered(5, "a"), opened(7, "a"), end()]);

    for_counts_within_the_item:
        ["30 r fired medium for a"],
        case([tickets().hold(20)], [opened(0, "a"), answered(5, "a"), opened(10, "a"), end()]);

    a_window_of_the_item_is_all_after_the_trigger:
        ["1 r fired medium for co0"],
        case(
            [followed_up().when(value("n").at_least(number(2.0)))],
            // The first arrived before the trigger of the same instant.
            [interaction(0).id("x"), complaint(0), interaction(0).id("y"), interaction(1), end()],
        );

    the_trigger_is_not_after_itself:
        [],
        case(
            [
                items("r", making(COMPLAINT, &[FEEDBACK]))
                    .with("n", count(&[COMPLAINT], 1).since_the_trigger())
                    .when(value("n").above(number(0.0))),
            ],
            [complaint(0), end()],
        );

    prior_counts_only_what_was_before_the_trigger:
        ["20 r fired medium for co20"],
        case(
            [items("r", making(COMPLAINT, &[FEEDBACK])).with("n", count(&[COMPLAINT], 20).prior()).when(value("n").at_least(number(2.0)))],
            // From 20 the one at 0 has just left; that of the same instant arrived before.
            [complaint(0), complaint(10), complaint(20).id("x"), complaint(20), end()],
        );

    trigger_is_the_triggering_event:
        ["0 r fired medium for b"],
        case(
            [items("r", making(PURCHASE, &[FEEDBACK])).when(trigger("amount").above(number(5.0)))],
            [paid(0, 5.0).id("a"), paid(0, 6.0).id("b"), paid(9, 1.0), end()],
        );

    leaving_the_scope_resolves_at_once:
        ["0 r fired medium for co0", "5 r resolved medium scope_left for co0"],
        case(
            [items("r", making(COMPLAINT, &[INTERACTION])).scope(customer("tier").differs(text("gold")))],
            [complaint(0), profile(5, "tier", "gold"), interaction(9), end()],
        );

    losing_what_is_required_resolves_at_once:
        ["0 r fired medium for co0", "10 r resolved medium insufficient_data for co0"],
        case(
            [
                items("r", making(COMPLAINT, &[INTERACTION]))
                    .with("n", count(&[COMPLAINT], 10))
                    .require(value("n").above(number(0.0))),
            ],
            [complaint(0), end()],
        );

    closed_comes_before_scope_left:
        ["0 r fired medium for co0", "5 r resolved medium closed for co0"],
        case(
            [items("r", making(COMPLAINT, &[PROFILE])).scope(customer("tier").differs(text("gold")))],
            [complaint(0), profile(5, "tier", "gold"), end()],
        );

    expired_comes_before_insufficient_data:
        ["0 r fired medium for co0", "10 r resolved medium expired for co0"],
        case(
            [
                items("r", making(COMPLAINT, &[INTERACTION]))
                    .expire(10)
                    .with("n", count(&[COMPLAINT], 10))
                    .require(value("n").above(number(0.0))),
            ],
            [complaint(0), end()],
        );

    expired_comes_before_cleared:
        ["0 r fired medium for co0", "10 r resolved medium expired for co0"],
        case(
            [
                items("r", making(COMPLAINT, &[INTERACTION]))
                    .expire(10)
                    .with("n", count(&[COMPLAINT], 10))
                    .when(value("n").above(number(0.0))),
            ],
            [complaint(0), end()],
        );

    no_more_items_than_may_be:
        ["0 r fired medium for co0", "20 r resolved medium closed for co0", "30 r fired medium for co30"],
        case(
            [items("r", making(COMPLAINT, &[INTERACTION]))],
            [complaint(0), complaint(10), interaction(20), complaint(30), end()],
        ).max_open(1);

    a_refused_trigger_is_not_opened_later:
        ["0 r fired medium for a", "10 r resolved medium closed for a"],
        case([tickets()], [opened(0, "a"), opened(5, "b"), answered(10, "a"), end()]).max_open(1);

    each_rule_has_its_own_most:
        ["0 q fired medium for co0", "0 r fired medium for co0"],
        case(
            [items("q", making(COMPLAINT, &[INTERACTION])), items("r", making(COMPLAINT, &[INTERACTION]))],
            [complaint(0), complaint(1), end()],
        ).max_open(1);

    an_expired_item_makes_room_at_that_instant:
        [
            "0 r fired medium for a", "10 r resolved medium expired for a", "10 r fired medium for b",
            "20 r resolved medium expired for b",
        ],
        case([tickets().expire(10)], [opened(0, "a"), opened(10, "b"), end()]).max_open(1);

    by_rule_then_item:
        [
            "0 q fired medium for co0", "0 r fired medium for co0", "1 q fired medium for co1",
            "1 r fired medium for co1", "2 q resolved medium closed for co0", "2 q resolved medium closed for co1",
            "2 r resolved medium closed for co0", "2 r resolved medium closed for co1",
        ],
        case(
            [items("q", making(COMPLAINT, &[INTERACTION])), items("r", making(COMPLAINT, &[INTERACTION]))],
            [complaint(0), complaint(1), interaction(2)],
        );
}
