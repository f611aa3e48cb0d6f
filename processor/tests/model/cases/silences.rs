//! Section 2, running durations.

use super::super::event::{FEEDBACK, INTERACTION, PURCHASE};
use super::super::expr::{event, minutes, number, text, value};
use super::*;

fn quiet(measure: Measure, when: Expr) -> Rule {
    rule("r", &[("quiet", measure)], when)
}

fn quiet_for_a_minute() -> Rule {
    quiet(silence(&[PURCHASE]), value("quiet").at_least(minutes(1.0)))
}

/// Someone else, who moves the watermark and nothing more.
fn mover(at: i64) -> Event {
    complaint(at).of("mover")
}

cases! {
    at_least_is_true_from_the_bound_on:
        ["60000 r fired medium"], case([quiet_for_a_minute()], [purchase(0)]).until(MINUTE);

    and_not_one_ms_before:
        [], case([quiet_for_a_minute()], [purchase(0)]).until(MINUTE - 1);

    above_is_true_one_ms_after_the_bound:
        ["60001 r fired medium"],
        case([quiet(silence(&[PURCHASE]), value("quiet").above(minutes(1.0)))], [purchase(0)]).until(2 * MINUTE);

    below_is_true_until_the_bound:
        ["0 r fired medium", "60000 r resolved medium cleared"],
        case([quiet(silence(&[PURCHASE]), value("quiet").below(minutes(1.0)))], [purchase(0)]).until(2 * MINUTE);

    at_most_is_true_at_the_bound:
        ["0 r fired medium", "60001 r resolved medium cleared"],
        case([quiet(silence(&[PURCHASE]), value("quiet").at_most(minutes(1.0)))], [purchase(0)]).until(2 * MINUTE);

    the_bound_may_stand_on_the_left:
        ["60001 r fired medium"],
        case([quiet(silence(&[PURCHASE]), minutes(1.0).below(value("quiet")))], [purchase(0)]).until(2 * MINUTE);

    /// A seventh of a minute is 8571.43 ms.
    a_comparison_changes_at_the_first_ms_at_which_it_is_true:
        ["8572 r fired medium"],
        case(
            [quiet(silence(&[PURCHASE]), value("quiet").at_least(minutes(1.0).over(number(7.0))))],
            [purchase(0)],
        ).until(MINUTE);

    a_silence_counts_from_the_latest_such_event:
        ["60007 r fired medium"], case([quiet_for_a_minute()], [purchase(0), purchase(7)]).until(2 * MINUTE);

    an_event_ends_it:
        ["60000 r fired medium", "60005 r resolved medium cleared"],
        case([quiet_for_a_minute()], [purchase(0), purchase(MINUTE + 5)]);

    an_event_at_the_very_instant_comes_first:
        [], case([quiet_for_a_minute()], [purchase(0), purchase(MINUTE)]);

    only_events_for_which_where_holds_end_it:
        ["60000 r fired medium"],
        case(
            [quiet(
                silence(&[PURCHASE]).filter(event("status").equals(text("completed"))),
                value("quiet").at_least(minutes(1.0)),
            )],
            [purchase(0).text("status", "completed"), purchase(10)],
        ).until(MINUTE);

    any_of_a_list_ends_it:
        ["60010 r fired medium"],
        case(
            [quiet(silence(&[PURCHASE, INTERACTION]), value("quiet").at_least(minutes(1.0)))],
            [purchase(0), interaction(10)],
        ).until(2 * MINUTE);

    without_one_it_is_null:
        [], case([quiet_for_a_minute()], [complaint(0)]).until(2 * MINUTE);

    with_since_first_seen_it_counts_from_the_first_event_of_any_type:
        ["60003 r fired medium"],
        case(
            [quiet(silence_since_first_seen(&[PURCHASE]), value("quiet").at_least(minutes(1.0)))],
            [complaint(3), interaction(9)],
        ).until(2 * MINUTE);

    a_late_event_may_be_the_first:
        ["59990 r fired medium"],
        case(
            [quiet(silence_since_first_seen(&[PURCHASE]), value("quiet").at_least(minutes(1.0)))],
            [complaint(20), interaction(-10)],
        ).lateness(100).until(2 * MINUTE);

    first_seen_does_not_matter_once_there_is_such_an_event:
        ["60009 r fired medium"],
        case(
            [quiet(silence_since_first_seen(&[PURCHASE]), value("quiet").at_least(minutes(1.0)))],
            [complaint(3), purchase(9)],
        ).until(2 * MINUTE);

    what_it_counts_from_is_never_forgotten:
        ["60000 r fired medium"],
        case([quiet_for_a_minute()], [purchase(0), complaint(500)]).history(100).until(2 * MINUTE);

    what_it_is_compared_with_may_move:
        ["10 r fired medium"],
        case(
            [rule(
                "r",
                &[("quiet", silence(&[PURCHASE])), ("n", purchases(10))],
                value("quiet").at_least(minutes(1.0).times(value("n"))),
            )],
            [purchase(0)],
        ).until(100);

    divided_by_zero_it_is_compared_with_the_undefined:
        [],
        case(
            [rule(
                "r",
                &[("quiet", silence(&[PURCHASE])), ("n", purchases(10))],
                value("quiet").at_least(minutes(1.0).over(value("n"))),
            )],
            [purchase(0)],
        ).until(2 * MINUTE);

    a_late_event_shortens_it_at_the_clock:
        ["60000 r fired medium", "60050 r resolved medium cleared"],
        case([quiet_for_a_minute()], [purchase(0), mover(MINUTE + 50), purchase(100)]).until(MINUTE + 60);

    a_late_event_older_than_the_latest_changes_nothing:
        ["60000 r fired medium"],
        case([quiet_for_a_minute()], [purchase(0), mover(MINUTE + 50), purchase(-30)]).until(2 * MINUTE);

    a_ladder_climbs_with_no_event_arriving:
        ["60000 r fired low", "120000 r severity_changed high"],
        case(
            [ladder(
                "r",
                &[("quiet", silence(&[PURCHASE]))],
                &[
                    (Severity::Low, value("quiet").at_least(minutes(1.0))),
                    (Severity::High, value("quiet").at_least(minutes(2.0))),
                ],
            )],
            [purchase(0)],
        ).until(3 * MINUTE);

    /// As the comparison with the engine sees: `in5`, then `co10`.
    events_that_the_history_has_no_more_are_evidence_once_and_in_their_order:
        ["60010 r fired medium"],
        case(
            [
                rule(
                    "r",
                    &[
                        ("a", silence(&[COMPLAINT])), ("b", silence(&[INTERACTION])),
                        ("c", silence(&[COMPLAINT, FEEDBACK])),
                    ],
                    value("a").at_least(minutes(1.0)),
                ),
            ],
            [complaint(10), interaction(5), purchase(50_000)],
        )
        .history(40_000)
        .until(70_000);
}
