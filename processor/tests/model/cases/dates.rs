//! Section 2, dates.

use super::super::calendar::Zone;
use super::super::expr::{customer, number, text, value};
use super::build::date;
use super::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn born(at: i64, birthday: &str) -> Event {
    profile(at, "birthday", birthday)
}

fn birthday() -> Rule {
    date("r", "birthday")
}

/// Known from the beginning of 2026, for so many days.
fn known(rule: Rule, birthday: &str, days: i64) -> Case {
    case([rule], [born(0, birthday)]).until(days * DAY).history(2000 * DAY)
}

cases! {
    it_fires_at_that_instant_and_does_not_resolve:
        ["2026-01-03 00:00 r fired medium"], known(birthday(), "01-03", 9);

    and_every_year:
        ["2026-01-03 00:00 r fired medium", "2027-01-03 00:00 r fired medium"], known(birthday(), "01-03", 400);

    with_two_dashes_before_it:
        ["2026-01-03 00:00 r fired medium", "2027-01-03 00:00 r fired medium"], known(birthday(), "--01-03", 400);

    with_a_year_it_comes_once:
        ["2026-01-03 00:00 r fired medium"], known(birthday(), "2026-01-03", 400);

    a_year_gone_by_is_gone_by:
        [], known(birthday(), "1990-01-03", 400);

    the_29th_of_february_is_the_28th_in_common_years:
        ["2026-02-28 00:00 r fired medium", "2027-02-28 00:00 r fired medium", "2028-02-29 00:00 r fired medium"],
        known(birthday(), "02-29", 800);

    a_29th_of_february_with_a_common_year_is_no_date:
        [], known(birthday(), "2026-02-29", 400);

    what_is_no_date_never_comes:
        [], known(birthday(), "3 January", 400);

    nobodys_birthday:
        [], case([birthday()], [purchase(0)]).until(400 * DAY);

    so_many_calendar_days_before:
        ["2026-01-03 00:00 r fired medium"], known(birthday().lead(3), "01-06", 9);

    days_before_in_the_year_before:
        ["2026-12-30 00:00 r fired medium"], known(birthday().lead(3), "01-02", 400);

    at_a_time_of_the_day:
        ["2026-01-03 09:30 r fired medium"], known(birthday().at(9, 30), "01-03", 9);

    on_the_clocks_of_a_time_zone:
        ["2026-01-03 01:00 r fired medium"], known(birthday().at(9, 0).zone(Zone::Shanghai), "01-03", 9);

    where_the_day_begins_earlier:
        ["2026-01-02 16:00 r fired medium"], known(birthday().zone(Zone::Shanghai), "01-03", 9);

    or_later:
        ["2026-01-03 05:00 r fired medium"], known(birthday().zone(Zone::NewYork), "01-03", 9);

    in_summer_and_in_winter:
        ["2026-03-28 08:00 r fired medium", "2027-03-28 07:00 r fired medium"],
        // In 2027 that is the day on which summer begins.
        known(birthday().at(9, 0).zone(Zone::Berlin), "03-28", 500);

    days_before_are_days_whatever_their_length:
        ["2026-03-28 08:00 r fired medium"], known(birthday().lead(3).at(9, 0).zone(Zone::Berlin), "03-31", 200);

    of_a_time_that_is_skipped_the_first_after_it:
        ["2026-03-29 01:00 r fired medium"], known(birthday().at(2, 30).zone(Zone::Berlin), "03-29", 200);

    of_a_midnight_that_is_skipped_too:
        ["2026-03-28 22:00 r fired medium"], known(birthday().zone(Zone::Beirut), "03-29", 200);

    of_a_time_that_comes_twice_the_first:
        ["2026-10-25 00:30 r fired medium"], known(birthday().at(2, 30).zone(Zone::Berlin), "10-25", 360);

    the_first_in_america:
        ["2026-11-01 05:30 r fired medium"], known(birthday().at(1, 30).zone(Zone::NewYork), "11-01", 360);

    if_scope_holds_at_that_instant:
        ["2027-01-03 00:00 r fired medium"],
        case(
            [birthday().scope(customer("tier").equals(text("gold")))],
            [born(0, "01-03"), profile(2 * DAY + 1, "tier", "gold")],
        ).until(400 * DAY).history(2000 * DAY);

    and_when_if_given:
        ["2026-01-03 00:00 r fired medium"],
        case(
            [birthday().with("n", purchases(DAY)).when(value("n").above(number(0.0)))],
            [born(0, "01-03"), purchase(DAY + 1)],
        ).until(400 * DAY).history(2000 * DAY);

    a_window_at_that_instant_is_left_open:
        [],
        case(
            [birthday().with("n", purchases(DAY)).when(value("n").above(number(0.0)))],
            [born(0, "01-03"), purchase(DAY)],
        ).until(9 * DAY);

    with_levels:
        ["2026-01-03 00:00 r fired high"],
        case(
            [
                birthday()
                    .with("n", purchases(DAY))
                    .levels_of(
                        &[
                            (Severity::Low, value("n").at_least(number(0.0))),
                            (Severity::High, value("n").at_least(number(1.0))),
                        ],
                    ),
            ],
            [born(0, "01-03"), purchase(DAY + 1)],
        ).until(9 * DAY);

    for_the_attributes_value_at_that_instant:
        ["2026-01-05 00:00 r fired medium"],
        case([birthday()], [born(0, "01-03"), born(DAY, "01-05")]).until(9 * DAY);

    two_values_two_dates:
        ["2026-01-03 00:00 r fired medium", "2026-01-05 00:00 r fired medium"],
        case([birthday()], [born(0, "01-03"), born(3 * DAY, "01-05")]).until(9 * DAY);

    an_instant_before_the_clock_is_not_made_up_for:
        [],
        case([birthday()], [born(2 * DAY + 1, "01-03")]).until(9 * DAY);

    nor_for_a_late_value:
        [],
        case([birthday()], [purchase(2 * DAY + 1), born(0, "01-03")]).until(9 * DAY);

    a_value_that_becomes_known_at_that_very_instant:
        ["2026-01-03 00:00 r fired medium"],
        case([birthday()], [born(2 * DAY, "01-03")]).until(9 * DAY);

    a_late_value_when_the_clock_is_at_that_very_instant:
        ["2026-01-03 00:00 r fired medium"],
        case([birthday()], [purchase(2 * DAY), born(0, "01-03")]).until(9 * DAY);

    at_most_once_for_each_calendar_date:
        ["2026-01-03 00:00 r fired medium"],
        case([birthday()], [born(0, "01-03"), purchase(2 * DAY), purchase(2 * DAY).id("b"), born(2 * DAY, "--01-03")])
            .until(9 * DAY);

    an_event_of_that_instant_may_make_it_hold:
        ["2026-01-03 00:00 r fired medium"],
        case(
            [birthday().with("n", purchases(DAY)).when(value("n").at_least(number(2.0)))],
            [born(0, "01-03"), purchase(2 * DAY), purchase(2 * DAY).id("b")],
        ).until(9 * DAY);

    a_cooldown_counts_from_the_latest_firing:
        ["2026-01-03 00:00 r fired medium", "2028-01-03 00:00 r fired medium"],
        known(birthday().cooldown(366 * DAY), "01-03", 800);

    an_attribute_beside_the_schema:
        ["2026-01-03 00:00 r fired medium"],
        case([date("r", "renewal")], [profile(0, "renewal", "2026-01-03")]).until(9 * DAY);

    an_attribute_that_is_a_number_is_no_date:
        [], case([date("r", "renewal")], [super::event(PROFILE, 0).number("renewal", 103.0)]).until(400 * DAY);
}
