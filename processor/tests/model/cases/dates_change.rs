//! Section 6, rules with `date`.

use super::super::calendar::Zone;
use super::super::expr::{number, truth, value};
use super::build::{date, mover, once};
use super::*;

const DAY: i64 = 86_400_000;

fn born(at: i64, birthday: &str) -> Event {
    profile(at, "birthday", birthday)
}

fn birthday() -> Rule {
    date("r", "birthday")
}

fn other() -> Rule {
    at_least("other", 99.0, 10)
}

/// The rules become others when the clock is at the beginning of the n-th of January.
fn changed(before: Rule, date: &str, day: i64, after: Rule) -> Case {
    let events = [born(0, date), mover((day - 1) * DAY), mover(20 * DAY)];
    case([before, other()], events).change(2, [after, other()])
}

cases! {
    a_new_rules_dates_are_those_after_the_change:
        ["2026-01-05 00:00 r fired medium"],
        case([other()], [born(0, "01-05"), mover(DAY), mover(9 * DAY)]).change(2, [other(), birthday()]);

    none_at_it_is_ever_judged:
        [],
        case([other()], [born(0, "01-02"), mover(DAY), purchase(DAY), mover(9 * DAY)]).change(2, [other(), birthday()]);

    another_time_of_the_day:
        ["2026-01-05 09:00 r fired medium"], changed(birthday(), "01-05", 3, birthday().at(9, 0));

    what_has_fired_for_a_date_does_not_fire_for_it_again:
        ["2026-01-03 00:00 r fired medium"], changed(birthday().lead(3), "01-06", 4, birthday().lead(1));

    what_has_gone_by_is_not_made_up_for:
        [], changed(birthday().lead(1), "01-06", 4, birthday().lead(3));

    what_is_due_at_the_clock_of_the_change_fires:
        ["2026-01-04 00:00 r fired medium"], changed(birthday().when(truth(false)), "01-04", 4, birthday());

    another_condition:
        [], changed(birthday(), "01-05", 3, birthday().with("n", purchases(10)).when(value("n").above(number(0.0))));

    another_zone:
        ["2026-01-04 16:00 r fired medium"], changed(birthday(), "01-05", 3, birthday().zone(Zone::Shanghai));

    another_attribute:
        [], changed(birthday(), "01-05", 3, date("r", "renewal"));

    nothing_resolves_when_it_is_gone:
        ["2026-01-03 00:00 r fired medium"],
        case([birthday(), other()], [born(0, "01-03"), mover(5 * DAY)]).change(2, [other()]);

    a_rule_that_comes_back_has_forgotten:
        ["2026-01-03 00:00 r fired medium", "2026-01-04 00:00 r fired medium"],
        case([birthday().lead(3), other()], [born(0, "01-06"), mover(2 * DAY), mover(9 * DAY)])
            .change(2, [other()])
            .change(2, [birthday().lead(2), other()]);

    another_kind_of_rule_is_a_new_one:
        ["2026-01-01 00:00 r fired medium for pu0", "2026-01-05 00:00 r fired medium"],
        case([once("r", PURCHASE)], [purchase(0), born(1, "01-05"), mover(9 * DAY)]).change(2, [birthday()]);

    a_customer_who_comes_later_has_no_date_at_the_change:
        [], case([other()], [mover(2 * DAY), born(DAY, "01-03"), mover(9 * DAY)]).change(1, [other(), birthday()]);

    firings_for_two_dates_at_one_instant_are_told_apart:
        ["2026-01-03 00:00 r fired medium", "2026-01-03 00:00 r fired medium"],
        case([birthday(), other()], [born(0, "01-03"), mover(2 * DAY), born(2 * DAY, "01-04")])
            .change(3, [birthday().lead(1), other()]);
}
