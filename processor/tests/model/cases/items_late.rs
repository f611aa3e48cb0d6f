//! Section 2, late events and rules with `trigger` and `until`.

use super::super::event::INTERACTION;
use super::super::expr::{age, minutes, number, truth, value};
use super::build::{answered, items, making, mover, opened, tickets};
use super::*;

fn for_a_minute() -> Rule {
    tickets().when(age().at_least(minutes(1.0)))
}

fn end() -> Event {
    mover(500_000)
}

cases! {
    a_late_trigger_opens_an_item_at_its_own_time:
        ["60000 r fired medium for a"], case([for_a_minute()], [mover(30_000), opened(0, "a"), end()]);

    if_it_is_due_already_it_fires_at_the_clock:
        ["80000 r fired medium for a"], case([for_a_minute()], [mover(80_000), opened(0, "a"), end()]);

    if_it_has_been_closed_already_nothing_fires:
        [], case([for_a_minute()], [answered(70_000, "a"), opened(0, "a"), end()]);

    if_it_has_expired_already_nothing_fires:
        [], case([for_a_minute().expire(70_000)], [mover(80_000), opened(0, "a"), end()]);

    an_earlier_trigger_moves_the_opening:
        ["60000 r fired medium for a"], case([for_a_minute()], [opened(50_000, "a"), opened(0, "a"), end()]);

    and_what_is_due_from_there_fires_at_the_clock:
        ["70000 r fired medium for a"], case([for_a_minute()], [opened(70_000, "a"), opened(0, "a"), end()]);

    its_alert_goes_on:
        ["50 r fired medium for a", "90 r resolved medium closed for a"],
        case([tickets()], [opened(50, "a"), opened(0, "a"), answered(90, "a"), end()]);

    and_expires_by_the_new_opening:
        ["50 r fired medium for a", "100 r resolved medium expired for a"],
        case([tickets().expire(100)], [opened(50, "a"), opened(0, "a"), end()]);

    for_goes_on_when_the_opening_moves:
        ["70 r fired medium for a"], case([tickets().hold(20)], [opened(50, "a"), opened(0, "a"), end()]);

    unless_from_there_it_has_expired_already:
        ["50 r fired medium for a", "110 r resolved medium expired for a"],
        case([tickets().expire(100)], [opened(50, "a"), mover(110), opened(0, "a"), end()]);

    then_a_further_trigger_has_opened_another:
        [
            "50 r fired medium for a", "125 r resolved medium expired for a", "125 r fired medium for a",
            "220 r resolved medium expired for a",
        ],
        case([tickets().expire(100)], [opened(50, "a"), opened(120, "a"), mover(125), opened(0, "a"), end()]);

    an_opening_that_had_expired_before_moves_nothing:
        ["150 r fired medium for a", "250 r resolved medium expired for a"],
        case([tickets().expire(100)], [opened(150, "a"), opened(50, "a"), end()]);

    one_ms_later_it_moves_it:
        ["150 r fired medium for a", "151 r resolved medium expired for a"],
        case([tickets().expire(100)], [opened(150, "a"), opened(51, "a"), end()]);

    a_late_closing_event_resolves_at_the_clock:
        ["0 r fired medium for a", "70 r resolved medium closed for a"],
        case([tickets()], [opened(0, "a"), mover(70), answered(30, "a"), end()]);

    and_a_later_trigger_of_the_key_has_opened_another:
        ["60000 r fired medium for a", "70000 r resolved medium closed for a", "100000 r fired medium for a"],
        case([for_a_minute()], [opened(0, "a"), opened(40_000, "a"), mover(70_000), answered(30_000, "a"), end()]);

    the_other_one_starts_anew_at_the_clock:
        ["0 r fired medium for a", "70 r resolved medium closed for a", "90 r fired medium for a"],
        case([tickets().hold(20)], [opened(-20, "a"), opened(40, "a"), mover(70), answered(30, "a"), end()]);

    a_late_closing_event_before_the_opening_closes_nothing:
        ["50 r fired medium for a"], case([tickets()], [opened(50, "a"), answered(30, "a"), end()]);

    a_late_closing_event_may_part_the_earlier_from_the_opening:
        [
            "50 r fired medium for a", "50 r resolved medium closed for a",
            "50 r fired medium for a", "60 r resolved medium closed for a",
        ],
        // The item of 20 is closed, and that of 50 is another one.
        case([tickets()], [opened(50, "a"), opened(20, "a"), answered(30, "a"), answered(60, "a"), end()]);

    a_late_closing_event_closes_all_items_of_before:
        ["0 r fired medium for co0", "40 r fired medium for co40", "40 r resolved medium closed for co0"],
        case([items("r", making(COMPLAINT, &[INTERACTION]))], [complaint(0), complaint(40), interaction(30), end()]);

    what_a_late_trigger_pushes_out_has_expired:
        ["50 r fired medium for a", "50 r fired medium for b", "50 r resolved medium expired for a"],
        case([tickets()], [opened(50, "a"), opened(20, "b"), end()]).max_open(1);

    what_a_late_closing_event_makes_room_for_opens:
        ["0 r fired medium for a", "50 r resolved medium closed for a", "50 r fired medium for b"],
        case([tickets()], [opened(0, "a"), opened(50, "b"), answered(20, "a"), end()]).max_open(1);

    a_late_event_counts_within_the_item:
        ["0 r fired medium for a", "50 r resolved medium cleared for a"],
        case(
            [
                tickets()
                    .with("n", count(&[INTERACTION], 1).since_the_trigger())
                    .when(value("n").below(number(1.0))),
            ],
            [opened(0, "a"), mover(50), interaction(20), end()],
        );

    items_that_are_pushed_out_resolve_where_they_stood:
        [
            "10 r fired medium for a", "10 r fired medium for b", "10 r fired high for x",
            "10 r severity_changed high for a", "10 r resolved medium expired for b",
        ],
        case(
            [
                items("r", making(COMPLAINT, &[INTERACTION]))
                    .with("n", count(&[COMPLAINT], 100))
                    .levels_of(&[(Severity::Medium, truth(true)), (Severity::High, value("n").at_least(number(3.0)))]),
            ],
            [complaint(10).id("a"), complaint(10).id("b"), complaint(0).id("x")],
        ).max_open(2);
}
