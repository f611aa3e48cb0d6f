//! Section 2, values: windows, counts, sums and decimals.

use super::super::event::{Field, INTERACTION, PURCHASE};
use super::super::expr::{event, has_event, number, value};
use super::super::value::Value;
use super::build::many;
use super::*;

fn spends(over: i64, expr: Expr) -> Rule {
    rule("r", &[("s", spent(over))], expr)
}

/// What the sum is exactly, while there is anything in the window.
fn spends_exactly(sum: f64) -> Rule {
    spends(10, value("s").equals(number(sum)))
}

fn counts(measure: Measure) -> Rule {
    rule("r", &[("n", measure)], value("n").at_least(number(1.0)))
}

cases! {
    a_window_is_left_open_so_an_event_as_old_as_over_is_out:
        [], case([at_least("r", 2.0, 10)], [purchase(0), purchase(10)]).until(100);

    a_window_is_left_open_so_an_event_one_ms_younger_is_in:
        ["9 r fired medium", "10 r resolved medium cleared"],
        case([at_least("r", 2.0, 10)], [purchase(0), purchase(9)]).until(100);

    a_window_is_right_closed_so_an_event_counts_at_its_own_instant:
        ["0 r fired medium", "1 r resolved medium cleared"],
        case([at_least("r", 1.0, 1)], [purchase(0)]).until(100);

    a_drop_in_sales_fires_the_millisecond_the_old_purchase_leaves:
        ["10 r fired medium"],
        case([spends(10, value("s").below(number(20.0)))], [paid(0, 20.0)]).until(100);

    nothing_is_due_one_ms_before_the_watermark_reaches_it:
        [], case([spends(10, value("s").below(number(20.0)))], [paid(0, 20.0)]).until(9);

    what_leaves_and_what_enters_at_one_instant_is_judged_together:
        ["0 r fired medium", "20 r resolved medium cleared"],
        case([at_least("r", 1.0, 10)], [purchase(0), purchase(10)]).until(100);

    one_ms_later_it_does_flap:
        [
            "0 r fired medium", "10 r resolved medium cleared",
            "11 r fired medium", "21 r resolved medium cleared",
        ],
        case([at_least("r", 1.0, 10)], [purchase(0), purchase(11)]).until(100);

    an_event_enters_a_window_with_offset_that_much_later_and_with_no_event_arriving:
        ["5 r fired medium", "15 r resolved medium cleared"],
        case([counts(purchases(10).offset(5))], [purchase(0)]).until(100);

    two_windows_side_by_side_hand_an_event_over_without_a_gap:
        ["5 r fired medium", "10 r resolved medium cleared"],
        case(
            [rule("r", &[("now", purchases(5)), ("before", purchases(5).offset(5))], value("now").below(value("before")))],
            [purchase(0)],
        ).until(100);

    refunds_are_negative:
        ["2 r fired medium", "12 r resolved medium cleared"],
        case([spends(10, value("s").below(number(0.0)))], [paid(0, 5.0), paid(2, -7.5)]).until(100);

    a_sum_of_no_events_is_0:
        ["0 r fired medium"], case([spends_exactly(0.0)], [complaint(0)]).until(100);

    events_that_lack_the_field_count_but_do_not_add:
        ["0 n fired medium", "1 s fired medium"],
        case(
            [at_least("n", 1.0, 10), Rule { id: "s".to_owned(), ..spends(10, value("s").above(number(0.0))) }],
            [purchase(0), paid(1, 5.0)],
        );

    an_explicit_null_counts_as_absent:
        [],
        case([counts(purchases(10).filter(has_event("amount")))], [purchase(0).with("amount", Field::Null)]);

    sums_are_exact:
        ["2 r fired medium", "10 r resolved medium cleared"],
        case([spends_exactly(0.3)], [paid(0, 0.1), paid(1, 0.1), paid(2, 0.1)]).until(11);

    a_sum_does_not_depend_on_what_has_left:
        [
            "2 r fired medium", "10 r resolved medium cleared",
            "11 r fired medium", "12 r resolved medium cleared",
        ],
        case([spends_exactly(0.1)], [paid(0, 1e6), paid(1, -1e6), paid(2, 0.1)]).until(100);

    decimals_are_rounded_half_even_down:
        ["0 r fired medium"], case([spends_exactly(0.0)], [paid(0, 0.000_05)]);

    decimals_are_rounded_half_even_up:
        ["0 r fired medium", "10 r resolved medium cleared"],
        case([spends_exactly(0.000_2)], [paid(0, 0.000_15)]).until(100);

    negative_decimals_are_rounded_half_even_too:
        ["0 r fired medium", "10 r resolved medium cleared"],
        case([spends_exactly(-0.000_2)], [paid(0, -0.000_25)]).until(100);

    conditions_see_the_rounded_decimal:
        [], case([counts(purchases(10).filter(event("amount").above(number(0.0))))], [paid(0, 0.000_05)]);

    conditions_see_other_numbers_as_they_came:
        ["0 r fired medium"],
        case(
            [counts(count(&["feedback"], 10).filter(event("sentiment").above(number(0.0))))],
            [feedback(0).number("sentiment", 0.000_05)],
        );

    sums_of_other_numbers_are_taken_over_the_same_decimals:
        ["0 r fired medium"],
        case(
            [rule("r", &[("s", sum(&[("feedback", "sentiment")], 10))], value("s").equals(number(0.0)))],
            [feedback(0).number("sentiment", 0.000_05)],
        );

    a_sum_takes_a_list:
        ["1 r fired medium", "10 r resolved medium cleared"],
        case(
            [rule(
                "r",
                &[("s", sum(&[(PURCHASE, "amount"), ("feedback", "score")], 10))],
                value("s").equals(number(7.5)),
            )],
            [paid(0, 5.5), feedback(1).number("score", 2.0)],
        ).until(100);

    a_count_takes_a_list:
        ["1 r fired medium"],
        case(
            [rule("r", &[("n", count(&[PURCHASE, INTERACTION], 10))], value("n").at_least(number(2.0)))],
            [purchase(0), interaction(1)],
        );

    a_field_in_where_over_several_types_is_null_in_the_others:
        ["1 r fired medium"],
        case(
            [counts(count(&[PURCHASE, INTERACTION], 10).filter(event("amount").equals(super::super::expr::null())))],
            [paid(0, 1.0), interaction(1)],
        );

    where_chooses_by_a_list:
        ["1 r fired medium"],
        case(
            [counts(purchases(10).filter(event("status").among(&[Value::Text("completed".to_owned())])))],
            [purchase(0).text("status", "refunded"), purchase(1).text("status", "completed")],
        );

    only_this_customers_events_count:
        [], case([at_least("r", 2.0, 10)], [purchase(0).of("a"), purchase(1).of("b")]).until(100);

    a_window_may_be_as_long_as_history:
        ["10 r fired medium", "11 r resolved medium cleared"],
        case([at_least("r", 2.0, 11)], [purchase(0), purchase(10)]).history(11).until(100);

    a_late_event_is_the_first_to_leave_a_window_of_many:
        ["95 r fired medium", "120 r resolved medium cleared"],
        case([at_least("r", 42.0, 100)], [many(50), vec![purchase(95), purchase(20)]].concat()).until(500);
}
