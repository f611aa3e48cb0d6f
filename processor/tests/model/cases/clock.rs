//! Section 4: clocks, late events, duplicates, too old ones.

use super::super::expr::{customer, minutes, number, text, truth, value};
use super::*;

fn one_in_ten() -> Rule {
    at_least("r", 1.0, 10)
}

fn one_in(over: i64) -> Rule {
    at_least("r", 1.0, over)
}

fn two_in(over: i64) -> Rule {
    at_least("r", 2.0, over)
}

/// Someone else, who moves the watermark and nothing more.
fn mover(at: i64) -> Event {
    complaint(at).of("mover")
}

fn gold() -> Rule {
    rule("r", &[], customer("tier").equals(text("gold")))
}

/// More than 30 ms ago.
fn seen_long_ago() -> Rule {
    let quiet = silence_since_first_seen(&["interaction"]);
    rule("r", &[("q", quiet)], value("q").above(minutes(0.000_5)))
}

cases! {
    a_late_event_fires_at_the_clock:
        ["30 r fired medium"],
        case([two_in(100)], [purchase(20), complaint(30), purchase(10)]);

    a_late_event_resolves_at_the_clock:
        ["20 r fired medium", "30 r resolved medium cleared"],
        case(
            [rule("r", &[("s", spent(100))], value("s").above(number(0.0)))],
            [paid(20, 1.0), complaint(30), paid(10, -1.0)],
        );

    a_late_event_never_rewrites_the_past:
        [], case([two_in(10)], [purchase(0), mover(50), purchase(5)]).until(100);

    a_late_event_still_counts_in_every_window_that_reaches_it:
        ["50 r fired medium", "55 r resolved medium cleared"],
        case([two_in(50)], [mover(50), purchase(5), purchase(40)]).until(100);

    t0_is_the_clock:
        ["60 r fired medium"], case([one_in(100).hold(10)], [mover(50), purchase(5)]).until(100);

    t1_is_the_clock:
        ["20 r fired medium", "40 r resolved medium cleared"],
        case(
            [rule("r", &[("s", spent(100))], value("s").above(number(0.0))).keep_firing(10)],
            [paid(20, 1.0), complaint(30), paid(10, -1.0)],
        ).until(50);

    an_event_exactly_at_the_clock_is_late_and_judged_there:
        ["50 r fired medium"], case([one_in_ten()], [mover(50), purchase(50)]);

    what_was_due_at_the_clock_was_judged_before_it:
        ["50 r fired medium", "50 r resolved medium cleared"],
        case(
            [rule("r", &[("s", spent(50))], value("s").below(number(1.0)))
                .scope(customer("tier").equals(text("gold")))],
            [paid(0, 1.0), profile(0, "tier", "gold"), mover(50), paid(50, 2.0)],
        );

    /// Had it counted itself, it would have been late.
    the_watermark_counts_as_it_stood_before_the_event:
        ["30 r fired medium", "30 r resolved medium cleared", "40 r fired medium", "40 r resolved medium cleared"],
        case(
            [rule("r", &[("s", spent(10))], value("s").above(number(0.0)))],
            [paid(30, 1.0), paid(30, -1.0).id("second"), paid(40, 1.0), paid(40, -1.0).id("third")],
        );

    a_customers_first_event_may_be_late:
        [], case([one_in_ten()], [mover(50), purchase(40)]).until(100);

    one_ms_younger_it_is_just_in_the_window:
        ["50 r fired medium", "51 r resolved medium cleared"],
        case([one_in_ten()], [mover(50), purchase(41)]).until(100);

    the_bound_protects_customers_from_each_others_clocks:
        ["40 r fired medium", "50 r resolved medium cleared"],
        case([one_in_ten()], [mover(50), purchase(40)]).lateness(11).until(100);

    a_customers_own_events_move_its_clock_at_once:
        ["50 r fired medium", "55 r resolved medium cleared"],
        case([two_in(10)], [purchase(50), purchase(45)]).lateness(1000).until(100);

    an_event_with_id_and_time_of_one_held_changes_nothing:
        [], case([two_in(10)], [purchase(0), purchase(0)]).until(100);

    whatever_else_it_carries:
        [],
        case(
            [rule("r", &[("s", spent(10))], value("s").above(number(1.0)))],
            [paid(0, 1.0), paid(0, 2.0), complaint(0).id("pu0")],
        ).until(100);

    the_same_id_at_another_time_is_another_event:
        ["1 r fired medium", "10 r resolved medium cleared"],
        case([two_in(10)], [purchase(0).id("same"), purchase(1).id("same")]).until(100);

    the_same_id_of_another_customer_is_another_event:
        ["0 r fired medium", "0 r fired medium of d"],
        case([one_in_ten()], [purchase(0), purchase(0).of("d")]);

    another_id_at_the_same_time_is_another_event:
        ["0 r fired medium", "10 r resolved medium cleared"],
        case([two_in(10)], [purchase(0), purchase(0).id("other")]).until(100);

    older_than_the_clock_minus_history_is_too_old:
        [],
        case(
            [rule("r", &[("q", silence_since_first_seen(&["interaction"]))], value("q").above(minutes(0.0)))],
            [mover(101), purchase(0)],
        ).history(100).until(101);

    exactly_history_old_is_accepted:
        ["100 r fired medium"],
        case(
            [rule("r", &[("q", silence_since_first_seen(&["interaction"]))], value("q").above(minutes(0.0)))],
            [mover(100), purchase(0)],
        ).history(100).until(100);

    too_old_goes_by_the_customers_own_clock:
        [], case([seen_long_ago()], [purchase(40), purchase(0)]).history(39).lateness(40).until(40);

    and_not_by_the_clocks_of_others:
        ["31 r fired medium"],
        case([seen_long_ago()], [mover(40), purchase(0)]).history(39).lateness(40).until(40);

    a_profile_is_never_too_old:
        ["500 r fired medium"], case([gold()], [complaint(500), profile(0, "tier", "gold")]).history(100);

    but_sets_only_what_nothing_newer_is_held_for:
        [],
        case([gold()], [profile(1, "tier", "silver"), complaint(500), profile(0, "tier", "gold")]).history(100);

    an_older_value_yields_to_it:
        ["500 r fired medium"],
        case([gold()], [profile(0, "tier", "silver"), complaint(500), profile(1, "tier", "gold")]).history(100);

    and_is_no_first_event:
        ["530 r fired medium"],
        case(
            [rule("r", &[("q", silence_since_first_seen(&["purchase"]))], value("q").at_least(minutes(0.000_5)))],
            [complaint(500), profile(0, "tier", "gold")],
        ).history(100).until(600);

    and_ends_no_silence:
        [],
        case(
            [rule("r", &[("q", silence(&["profile"]))], value("q").at_least(minutes(0.0)))],
            [complaint(500), profile(0, "tier", "gold")],
        ).history(100).until(600);

    an_attribute_is_held_for_good:
        ["500 r fired medium"],
        case(
            [rule("r", &[("n", count(&["complaint"], 10))], value("n").above(number(0.0)))
                .scope(customer("tier").equals(text("gold")))],
            [profile(0, "tier", "gold"), complaint(500)],
        ).history(100);

    a_customer_of_whom_nothing_was_accepted_is_not_judged:
        ["500 r fired medium of mover"],
        case([rule("r", &[], truth(true))], [mover(500), purchase(0)]).history(100).until(600);

    who_is_known_by_an_old_profile_alone_is_judged_by_every_rule:
        ["1000 r fired medium of mover", "1000 r fired medium"],
        case(
            [rule("r", &[("n", purchases(10))], value("n").below(number(1.0)))],
            [super::build::mover(1_000), profile(0, "name", "Anna")],
        ).history(40);
}
