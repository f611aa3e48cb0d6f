//! Section 3: when an alert fires, and how its severity changes.

use super::super::expr::{customer, number, text, value};
use super::*;

/// low at one purchase in 10 ms, medium at two, high at three.
fn steps() -> Rule {
    let at_least = |n: f64| value("n").at_least(number(n));
    ladder(
        "r",
        &[("n", purchases(10))],
        &[(Severity::Low, at_least(1.0)), (Severity::Medium, at_least(2.0)), (Severity::High, at_least(3.0))],
    )
}

fn active() -> Expr {
    customer("status").equals(text("active"))
}

fn one_in_ten() -> Rule {
    at_least("r", 1.0, 10)
}

cases! {
    it_fires_at_t0_plus_for:
        ["5 r fired medium", "10 r resolved medium cleared"],
        case([one_in_ten().hold(5)], [purchase(0)]).until(100);

    it_must_hold_that_long:
        [], case([one_in_ten().hold(11)], [purchase(0)]).until(100);

    what_ends_it_at_t0_plus_for_comes_first:
        [], case([one_in_ten().hold(10)], [purchase(0)]).until(100);

    t0_plus_for_is_judged_before_a_later_event:
        ["5 r fired medium", "6 r resolved medium cleared"],
        case(
            [rule("r", &[("s", spent(100))], value("s").above(number(0.0))).hold(5)],
            [paid(0, 5.0), paid(6, -5.0)],
        );

    but_after_an_event_at_that_very_instant:
        [],
        case(
            [rule("r", &[("s", spent(100))], value("s").above(number(0.0))).hold(5)],
            [paid(0, 5.0), paid(5, -5.0)],
        ).until(50);

    if_no_level_is_present_at_some_judged_instant_before_t0_starts_anew:
        ["23 r fired medium"],
        case(
            [rule("r", &[("s", spent(100))], value("s").above(number(0.0))).hold(20)],
            [paid(0, 5.0), paid(2, -5.0), paid(3, 5.0)],
        ).until(50);

    a_level_lost_and_regained_at_one_instant_by_two_events_starts_anew:
        ["25 r fired medium"],
        case(
            [rule("r", &[("s", spent(100))], value("s").above(number(0.0))).hold(20)],
            [paid(0, 5.0), paid(5, -5.0), paid(5, 5.0).id("second")],
        ).until(50);

    some_level_present_the_same_or_another:
        ["12 r fired high", "20 r severity_changed medium", "21 r severity_changed low", "31 r resolved low cleared"],
        case(
            [ladder(
                "r",
                &[("n", purchases(20))],
                &[
                    (Severity::Low, value("n").equals(number(1.0))),
                    (Severity::Medium, value("n").equals(number(2.0))),
                    (Severity::High, value("n").equals(number(3.0))),
                ],
            ).hold(12)],
            [purchase(0), purchase(1), purchase(11)],
        ).until(100);

    it_fires_with_the_level_of_that_instant:
        ["10 r fired low", "11 r resolved low cleared"],
        case([steps().hold(10)], [purchase(0), purchase(1)]).until(100);

    the_highest_level_that_is_true:
        ["0 r fired low", "1 r severity_changed medium", "2 r severity_changed high", "10 r severity_changed medium",
         "11 r severity_changed low", "12 r resolved low cleared"],
        case([steps()], [purchase(0), purchase(1), purchase(2)]).until(100);

    levels_need_not_be_listed_in_order:
        ["0 r fired critical"],
        case(
            [ladder(
                "r",
                &[("n", purchases(10))],
                &[
                    (Severity::Info, value("n").at_least(number(1.0))),
                    (Severity::Critical, value("n").at_least(number(1.0))),
                    (Severity::Low, value("n").at_least(number(1.0))),
                ],
            )],
            [purchase(0)],
        );

    two_steps_at_one_instant_are_one_change:
        ["0 r fired low", "5 r severity_changed high", "10 r severity_changed medium", "12 r severity_changed high"],
        case([steps_by_sum()], [paid(0, 1.0), paid(5, 2.0), paid(12, 1.0)]);

    the_severity_is_medium_unless_given:
        ["0 r fired critical"],
        case(
            [Rule {
                condition: Condition::When(value("n").at_least(number(1.0)), Some(Severity::Critical)),
                ..one_in_ten()
            }],
            [purchase(0)],
        );

    in_a_cooldown_nothing_fires:
        ["0 r fired medium", "10 r resolved medium cleared"],
        case([one_in_ten().cooldown(30)], [purchase(0), purchase(15)]).until(100);

    it_fires_when_the_cooldown_ends_if_that_is_later:
        ["0 r fired medium", "10 r resolved medium cleared", "30 r fired medium", "33 r resolved medium cleared"],
        case([one_in_ten().cooldown(20)], [purchase(0), purchase(23)]).until(100);

    it_fires_at_t0_plus_for_if_that_is_later:
        ["2 r fired medium", "10 r resolved medium cleared", "31 r fired medium", "39 r resolved medium cleared"],
        case([one_in_ten().hold(2).cooldown(20)], [purchase(0), purchase(29)]).until(100);

    a_level_that_ends_with_the_cooldown_does_not_fire:
        ["0 r fired medium", "10 r resolved medium cleared"],
        case([one_in_ten().cooldown(20)], [purchase(0), purchase(20)]).until(100);

    for_runs_during_the_cooldown:
        ["5 r fired medium", "10 r resolved medium cleared", "30 r fired medium", "33 r resolved medium cleared"],
        case([one_in_ten().hold(5).cooldown(20)], [purchase(0), purchase(23)]).until(100);

    a_resolve_for_lack_of_scope_starts_a_cooldown_too:
        ["1 r fired medium", "2 r resolved medium scope_left", "22 r fired medium"],
        case(
            [at_least("r", 1.0, 50).scope(active()).cooldown(20)],
            [profile(0, "status", "active"), purchase(1), profile(2, "status", "gone"), profile(3, "status", "active")],
        ).until(40);

    out_of_scope_there_is_no_level:
        ["7 r fired medium"],
        case(
            [at_least("r", 1.0, 50).scope(active()).hold(4)],
            [purchase(0), profile(3, "status", "active")],
        ).until(40);

    without_the_required_data_there_is_no_level:
        ["3 r fired medium"],
        case(
            [rule("r", &[("n", purchases(50)), ("s", spent(50))], value("n").at_least(number(1.0)))
                .require(value("s").above(number(0.0)))],
            [purchase(0), paid(3, 1.0)],
        ).until(40);
}

/// As `steps`, by what was spent in 10 ms.
fn steps_by_sum() -> Rule {
    let at_least = |n: f64| value("s").at_least(number(n));
    ladder(
        "r",
        &[("s", spent(10))],
        &[(Severity::Low, at_least(1.0)), (Severity::Medium, at_least(2.0)), (Severity::High, at_least(3.0))],
    )
}
