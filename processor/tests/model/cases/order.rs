//! Section 4: what is judged in which order, and how far.

use super::super::expr::{number, truth, value};
use super::*;

fn one_in(id: &str, over: i64) -> Rule {
    at_least(id, 1.0, over)
}

fn mover(at: i64) -> Event {
    complaint(at).of("mover")
}

cases! {
    what_the_watermark_reaches_is_judged:
        ["0 r fired medium", "10 r resolved medium cleared"], case([one_in("r", 10)], [purchase(0), mover(10)]);

    and_not_what_it_does_not_reach:
        ["0 r fired medium"], case([one_in("r", 10)], [purchase(0), mover(10)]).lateness(1);

    an_instant_has_its_own_time_however_late_the_watermark_passes_it:
        ["0 r fired medium", "10 r resolved medium cleared"], case([one_in("r", 10)], [purchase(0), mover(500)]);

    the_watermark_falls_behind_by_the_bound:
        ["0 r fired medium", "10 r resolved medium cleared"],
        case([one_in("r", 10)], [purchase(0), mover(60)]).lateness(50);

    the_watermark_never_goes_back:
        ["80 r fired medium", "90 r resolved medium cleared"],
        case([one_in("r", 10)], [mover(80), purchase(80), mover(85).id("m"), mover(20), mover(90)]);

    first_what_was_due_for_its_customer_then_the_event_then_what_the_watermark_makes_due:
        [
            "0 r fired medium of b", "5 r fired medium of a", "10 r resolved medium cleared of b",
            "40 r fired medium of b", "15 r resolved medium cleared of a",
        ],
        case([one_in("r", 10)], [purchase(0).of("b"), purchase(5).of("a"), purchase(40).of("b")]).lateness(25);

    due_by_instant_then_customer:
        [
            "0 r fired medium of d", "0 r fired medium of b", "1 r fired medium of a",
            "10 r resolved medium cleared of b", "10 r resolved medium cleared of d", "11 r resolved medium cleared of a",
        ],
        case([one_in("r", 10)], [purchase(0).of("d"), purchase(0).of("b"), purchase(1).of("a")]).until(100);

    customers_are_in_the_order_of_their_bytes:
        [
            "0 r fired medium of c-2", "0 r fired medium of c-10", "0 r fired medium of c-1",
            "10 r resolved medium cleared of c-1", "10 r resolved medium cleared of c-10",
            "10 r resolved medium cleared of c-2",
        ],
        case([one_in("r", 10)], [purchase(0).of("c-2"), purchase(0).of("c-10"), purchase(0).of("c-1")]).until(100);

    within_a_customer_and_an_instant_by_rule:
        [
            "0 z fired medium", "0 a fired medium", "10 z resolved medium cleared", "10 a resolved medium cleared",
        ],
        case([one_in("z", 10), one_in("a", 10)], [purchase(0)]).until(100);

    within_a_customer_by_instant_before_rule:
        [
            "0 z fired medium", "0 a fired medium", "9 a resolved medium cleared", "10 z resolved medium cleared",
        ],
        case([one_in("z", 10), one_in("a", 9)], [purchase(0)]).until(100);

    an_advance_takes_customers_turn_by_turn:
        [
            "0 z fired medium of b", "0 a fired medium of b", "1 z fired medium of a", "1 a fired medium of a",
            "9 a resolved medium cleared of b", "10 a resolved medium cleared of a",
            "11 z resolved medium cleared of b", "12 z resolved medium cleared of a",
        ],
        case([one_in("z", 11), one_in("a", 9)], [purchase(0).of("b"), purchase(1).of("a")]).until(100);

    everything_due_at_until_is_judged:
        ["0 r fired medium", "10 r resolved medium cleared"], case([one_in("r", 10)], [purchase(0)]).until(10);

    events_after_until_are_left_out:
        ["10 r fired medium"],
        case([one_in("r", 10)], [purchase(11), purchase(10)]).until(10);

    without_until_the_watermark_stays_where_the_last_event_put_it:
        ["0 r fired medium"], case([one_in("r", 10)], [purchase(0), mover(15)]).lateness(6);

    one_rule_does_not_meddle_with_another:
        ["0 a fired medium", "0 b fired medium", "10 b resolved medium cleared"],
        case([rule("a", &[], truth(true)), one_in("b", 10)], [purchase(0)]).until(10);

    a_chain_of_instants_due_in_one_advance:
        [
            "5 r fired medium", "13 r resolved medium cleared",
        ],
        case(
            [rule("r", &[("n", purchases(10))], value("n").above(number(0.0))).hold(5).keep_firing(3)],
            [purchase(0), mover(500)],
        );
}
