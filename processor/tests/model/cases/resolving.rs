//! Section 3: when an alert resolves, and why.

use super::super::expr::{customer, number, text, truth, value};
use super::*;

fn one_in_ten() -> Rule {
    at_least("r", 1.0, 10)
}

/// low above 0, high above 10, of what was spent in 100 ms.
fn by_sum() -> Rule {
    ladder(
        "r",
        &[("s", spent(100))],
        &[(Severity::Low, value("s").above(number(0.0))), (Severity::High, value("s").above(number(10.0)))],
    )
}

/// As `by_sum`, in scope while the status is `active`, with data while there was any complaint in 100 ms.
fn guarded() -> Rule {
    let mut rule = by_sum().scope(customer("status").equals(text("active")));
    rule.lets.push(("complaints".to_owned(), count(&["complaint"], 100)));
    rule.require(value("complaints").equals(number(0.0)))
}

fn active(at: i64) -> Event {
    profile(at, "status", "active")
}

fn gone(at: i64) -> Event {
    profile(at, "status", "gone")
}

cases! {
    it_resolves_at_t1_plus_keep_firing_for:
        ["0 r fired medium", "15 r resolved medium cleared"],
        case([one_in_ten().keep_firing(5)], [purchase(0)]).until(100);

    a_level_that_comes_back_before_that_goes_on_as_if_nothing_had_been:
        ["0 r fired medium", "29 r resolved medium cleared"],
        case([one_in_ten().keep_firing(5)], [purchase(0), purchase(14)]).until(100);

    a_level_that_comes_back_at_that_very_instant_too:
        ["0 r fired medium", "30 r resolved medium cleared"],
        case([one_in_ten().keep_firing(5)], [purchase(0), purchase(15)]).until(100);

    one_ms_later_it_is_another_episode:
        [
            "0 r fired medium", "15 r resolved medium cleared",
            "16 r fired medium", "31 r resolved medium cleared",
        ],
        case([one_in_ten().keep_firing(5)], [purchase(0), purchase(16)]).until(100);

    the_same_level_after_a_gap_is_no_change:
        ["0 r fired high"],
        case([by_sum().keep_firing(20)], [paid(0, 11.0), paid(5, -11.0), paid(10, 11.0)]).until(50);

    a_level_changes_against_the_last_one_it_had:
        ["0 r fired high", "10 r severity_changed low"],
        case([by_sum().keep_firing(20)], [paid(0, 11.0), paid(5, -11.0), paid(10, 1.0)]).until(50);

    without_a_level_it_keeps_the_last_one_it_had:
        ["0 r fired low", "2 r severity_changed high", "25 r resolved high cleared"],
        case([by_sum().keep_firing(20)], [paid(0, 1.0), paid(2, 11.0), paid(5, -12.0)]).until(50);

    resolve_when_must_be_true_as_well:
        ["0 r fired medium", "12 r resolved medium cleared"],
        case(
            [rule("r", &[("n", purchases(10)), ("m", purchases(12))], value("n").at_least(number(1.0)))
                .resolve_when(value("m").equals(number(0.0)))],
            [purchase(0)],
        ).until(100);

    resolve_when_alone_does_not_resolve_while_a_level_holds:
        ["0 r fired medium", "10 r resolved medium cleared"],
        case([one_in_ten().resolve_when(truth(true))], [purchase(0)]).until(100);

    an_undefined_resolve_when_counts_as_false:
        ["0 r fired medium"],
        case(
            [one_in_ten().resolve_when(number(1.0).over(value("n")).above(number(5.0)))],
            [purchase(0)],
        ).until(100);

    t1_starts_anew_when_resolve_when_ends:
        ["0 r fired medium", "36 r resolved medium cleared"],
        case(
            [one_in_ten().keep_firing(10).resolve_when(value("n").equals(number(0.0)).and(calm()))],
            [purchase(0), profile(15, "status", "busy"), profile(26, "status", "calm")],
        ).until(100);

    scope_left_resolves_at_once:
        ["1 r fired low", "3 r resolved low scope_left"],
        case([guarded().keep_firing(10).resolve_when(truth(false))], [active(0), paid(1, 1.0), gone(3)]).until(50);

    insufficient_data_resolves_at_once:
        ["1 r fired low", "3 r resolved low insufficient_data"],
        case([guarded().keep_firing(10).resolve_when(truth(false))], [active(0), paid(1, 1.0), complaint(3)]).until(50);

    scope_left_comes_before_insufficient_data:
        ["1 r fired low", "51 r resolved low scope_left"],
        case(
            [guarded().require(customer("status").equals(text("active")))],
            [active(0), paid(1, 1.0), gone(51)],
        ).until(60);

    scope_left_ends_a_keep_firing_for:
        ["1 r fired low", "8 r resolved low scope_left"],
        case([guarded().keep_firing(10)], [active(0), paid(1, 1.0), paid(3, -1.0), gone(8)]).until(50);

    insufficient_data_comes_before_cleared:
        ["1 r fired low", "3 r resolved low insufficient_data"],
        case(
            [by_sum().require(value("s").above(number(0.0)))],
            [paid(1, 1.0), paid(3, -1.0)],
        ).until(50);

    an_undefined_require_is_insufficient_data:
        ["0 r fired medium", "10 r resolved medium insufficient_data"],
        case([one_in_ten().require(number(1.0).over(value("n")).above(number(0.0)))], [purchase(0)]).until(50);

    /// The fired, changed and resolved of one ms, each by its own event.
    events_of_one_instant_are_judged_one_by_one:
        ["0 r fired low", "0 r severity_changed high", "0 r resolved high cleared"],
        case([by_sum()], [paid(0, 1.0), paid(0, 10.0).id("second"), paid(0, -11.0).id("third")]);

    for_1ms_settles_that:
        [],
        case([by_sum().hold(1)], [paid(0, 1.0), paid(0, 10.0).id("second"), paid(0, -11.0).id("third")]).until(9);
}

fn calm() -> Expr {
    customer("status").differs(text("busy"))
}
