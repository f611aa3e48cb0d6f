//! Section 2, null and undefined, and attributes.

use super::super::event::{Field, INTERACTION};
use super::super::expr::{choice, customer, event, has_customer, not, null, number, text, truth, value};
use super::super::value::Value;
use super::*;

/// What is asked of a customer without attributes or purchases, at its first complaint.
fn asked(when: Expr) -> Case {
    case([rule("r", &[("n", purchases(10))], when)], [complaint(0)])
}

/// Undefined: to divide one by no purchases.
fn undefined() -> Expr {
    number(1.0).over(value("n")).above(number(0.0))
}

/// The attribute `tier` is gold.
fn gold() -> Rule {
    rule("r", &[], customer("tier").equals(text("gold")))
}

const FIRES: [&str; 1] = ["0 r fired medium"];
const NEVER: [&str; 0] = [];

cases! {
    a_customer_without_a_status_is_not_closed: FIRES, asked(customer("status").differs(text("closed")));
    null_equals_only_null: FIRES, asked(customer("tier").equals(null()));
    null_does_not_equal_a_text: NEVER, asked(customer("tier").equals(text("gold")));
    null_is_in_no_list: NEVER, asked(customer("tier").among(&[Value::Text("gold".to_owned())]));
    not_in_is_true_of_null: FIRES, asked(not(customer("tier").among(&[Value::Text("gold".to_owned())])));
    has_asks: NEVER, asked(has_customer("tier"));
    not_has_asks: FIRES, asked(not(has_customer("tier")));
    ordering_on_null_is_undefined: NEVER, asked(customer("tier").at_least(text("a")));
    not_undefined_is_undefined: NEVER, asked(not(customer("tier").at_least(text("a"))));
    arithmetic_on_null_is_undefined: NEVER, asked(customer("points").plus(number(1.0)).above(number(0.0)));
    a_division_by_zero_is_undefined: NEVER, asked(undefined());
    a_division_of_zero_by_zero_is_undefined:
        NEVER, asked(not(value("n").over(value("n")).equals(number(1.0))));
    what_meets_an_undefined_operand_is_undefined:
        NEVER, asked(number(1.0).over(value("n")).differs(number(5.0)));
    false_and_undefined_is_false: FIRES, asked(not(truth(false).and(undefined())));
    undefined_and_false_is_false: FIRES, asked(not(undefined().and(truth(false))));
    true_and_undefined_is_undefined: NEVER, asked(not(truth(true).and(undefined())));
    true_or_undefined_is_true: FIRES, asked(truth(true).or(undefined()));
    undefined_or_true_is_true: FIRES, asked(undefined().or(truth(true)));
    false_or_undefined_is_undefined: NEVER, asked(not(truth(false).or(undefined())));
    the_branch_not_taken_does_not_matter:
        FIRES, asked(choice(value("n").equals(number(0.0)), truth(true), undefined()));
    an_undefined_question_has_no_answer: NEVER, asked(choice(undefined(), truth(true), truth(true)));
    numbers_are_doubles: FIRES, asked(number(5.0).over(number(2.0)).equals(number(2.5)));
    without_scope_every_customer_is_meant: FIRES, asked(truth(true));
    an_undefined_scope_counts_as_false:
        NEVER,
        case([rule("r", &[], truth(true)).scope(customer("tier").at_least(text("a")))], [complaint(0)]);

    null_as_an_operand_of_not_is_undefined:
        NEVER,
        case(
            [rule(
                "r",
                &[("n", count(&[INTERACTION], 10).filter(not(event("automatic"))))],
                value("n").at_least(number(1.0)),
            )],
            [interaction(0)],
        );

    null_as_an_operand_of_or_is_absorbed_by_true:
        FIRES,
        case(
            [rule(
                "r",
                &[("n", count(&[INTERACTION], 10).filter(event("automatic").or(truth(true))))],
                value("n").at_least(number(1.0)),
            )],
            [interaction(0)],
        );

    values_of_different_types_are_unequal:
        FIRES,
        case(
            [rule("r", &[], customer("points").differs(text("gold")))],
            [profile(0, "tier", "gold").number("points", 3.0)],
        );

    ordering_of_different_types_is_undefined:
        NEVER,
        case(
            [rule("r", &[], not(customer("points").at_least(number(3.0))))],
            [profile(0, "points", "gold")],
        );

    an_attribute_is_what_the_latest_profile_that_carries_it_says:
        ["0 r fired medium", "20 r resolved medium cleared"],
        case([gold()], [profile(0, "tier", "gold"), profile(10, "segment", "x"), profile(20, "tier", "silver")]);

    an_explicit_null_takes_no_attribute_away:
        ["0 r fired medium"],
        case([gold()], [profile(0, "tier", "gold"), profile(10, "segment", "x").with("tier", Field::Null)]);

    latest_goes_by_time_not_by_arrival:
        ["20 r fired medium"],
        case([gold()], [profile(20, "tier", "gold"), profile(10, "tier", "silver")]);

    latest_goes_by_arrival_within_one_instant:
        ["20 r fired medium", "20 r resolved medium cleared"],
        case([gold()], [profile(20, "tier", "gold"), profile(20, "tier", "silver").id("second")]);

    a_late_profile_sets_what_no_later_one_carries:
        ["20 r fired medium"],
        case([gold()], [profile(20, "segment", "x"), profile(10, "tier", "gold")]);
}
