//! Section 2, rules with `trigger` and without `until`, where events come in order.

use super::super::aggregate::What;
use super::super::expr::{age, customer, event, minutes, number, text, trigger, value};
use super::build::{amounts, many, mover, once};
use super::*;

fn bought(at: i64, channel: &str) -> Event {
    purchase(at).text("channel", channel)
}

fn end() -> Event {
    mover(500_000)
}

fn unusual() -> Rule {
    once("r", PURCHASE)
        .with("mean", amounts(What::Avg, 100).prior())
        .with("n", count(&[PURCHASE], 100).prior())
        .when(value("n").at_least(number(2.0)).and(trigger("amount").above(number(3.0).times(value("mean")))))
}

cases! {
    it_is_judged_once_and_does_not_resolve:
        ["0 r fired medium for pu0", "9 r fired medium for pu9"],
        case([once("r", PURCHASE)], [purchase(0), purchase(9), end()]);

    it_is_judged_at_its_time_plus_after:
        ["25 r fired medium for pu0"], case([once("r", PURCHASE).after(25)], [purchase(0), end()]);

    not_one_ms_earlier:
        [], case([once("r", PURCHASE).after(25)], [purchase(0), mover(24)]);

    without_a_level_nothing_ever_comes_of_it:
        [],
        case(
            [once("r", PURCHASE).with("n", purchases(100)).when(value("n").above(number(1.0)))],
            [purchase(0), complaint(5)],
        );

    each_event_is_judged_as_it_arrives:
        ["0 r fired medium for b"],
        case(
            [once("r", PURCHASE).with("n", purchases(100)).when(value("n").above(number(1.0)))],
            [purchase(0).id("a"), purchase(0).id("b")],
        );

    where_says_which_events_match:
        ["5 r fired medium for pu5"],
        case([once("r", PURCHASE).only(event("channel").equals(text("web")))], [bought(0, "app"), bought(5, "web")]);

    with_by_further_triggers_until_then_open_none:
        ["25 r fired medium for web", "50 r fired medium for web"],
        case(
            [once("r", PURCHASE).by("channel").after(25)],
            [bought(0, "web"), bought(24, "web"), bought(25, "web"), end()],
        );

    other_keys_are_other_items:
        ["25 r fired medium for web", "26 r fired medium for app"],
        case([once("r", PURCHASE).by("channel").after(25)], [bought(0, "web"), bought(1, "app"), end()]);

    judged_at_once_by_only_names_the_item:
        ["0 r fired medium for web", "0 r fired medium for web", "5 r fired medium for web"],
        case([once("r", PURCHASE).by("channel")], [bought(0, "web"), bought(0, "web").id("b"), bought(5, "web")]);

    an_event_without_the_key_opens_none:
        [], case([once("r", PURCHASE).by("channel")], [purchase(0)]);

    a_firing_within_the_cooldown_is_dropped_not_postponed:
        ["0 r fired medium for pu0", "20 r fired medium for pu20"],
        case([once("r", PURCHASE).cooldown(20)], [purchase(0), purchase(10), purchase(19), purchase(20), end()]);

    the_cooldown_counts_from_the_latest_firing:
        ["0 r fired medium for pu0", "20 r fired medium for pu20"],
        case([once("r", PURCHASE).cooldown(20)], [purchase(0), purchase(20), purchase(39), end()]);

    what_is_dropped_starts_no_cooldown:
        ["0 r fired medium for pu0", "20 r fired medium for pu20"],
        case([once("r", PURCHASE).cooldown(20)], [purchase(0), purchase(15), purchase(20), end()]);

    the_cooldown_is_the_rules_not_the_items:
        ["0 r fired medium for web"],
        case([once("r", PURCHASE).by("channel").cooldown(20)], [bought(0, "web"), bought(5, "app"), end()]);

    and_the_customers:
        ["0 r fired medium for pu0", "5 r fired medium for pu5 of b"],
        case([once("r", PURCHASE).cooldown(20)], [purchase(0), purchase(5).of("b"), end()]);

    an_unusual_purchase:
        ["20 r fired medium for pu20"],
        case([unusual()], [paid(0, 10.0), paid(10, 10.0), paid(20, 31.0), paid(30, 31.0)]);

    the_prior_window_is_left_open:
        [], case([unusual()], [paid(0, 10.0), paid(10, 10.0), paid(100, 31.0)]);

    the_prior_window_stands_at_the_trigger_whatever_after_says:
        ["220 r fired medium for pu20"],
        case([unusual().after(200)], [paid(0, 10.0), paid(10, 10.0), paid(20, 31.0), paid(120, 10.0), end()]);

    prior_has_an_offset_too:
        ["20 r fired medium for pu20"],
        case(
            [once("r", PURCHASE).with("n", purchases(10).offset(10).prior()).when(value("n").equals(number(2.0)))],
            [purchase(0), purchase(8), purchase(10), purchase(20)],
        );

    other_windows_stand_at_the_items_instant:
        ["25 r fired medium for pu0"],
        case(
            [once("r", PURCHASE).after(25).with("n", count(&[COMPLAINT], 10)).when(value("n").equals(number(1.0)))],
            [purchase(0), complaint(15), complaint(16), end()],
        );

    a_window_of_the_item_ends_at_its_instant:
        ["25 r fired medium for pu0"],
        case(
            [
                once("r", PURCHASE)
                    .after(25)
                    .with("n", count(&[COMPLAINT], 1).since_the_trigger())
                    .when(value("n").equals(number(2.0))),
            ],
            [complaint(0), purchase(0), complaint(1), complaint(25), complaint(26), end()],
        );

    the_age_is_after:
        ["60000 r fired medium for pu0"],
        case(
            [once("r", PURCHASE).after(60_000).when(age().at_least(minutes(1.0)).and(age().at_most(minutes(1.0))))],
            [purchase(0), end()],
        );

    it_ought_to_be_in_scope:
        ["9 r fired medium for pu9"],
        case(
            [once("r", PURCHASE).scope(customer("tier").equals(text("gold")))],
            [purchase(0), profile(5, "tier", "gold"), purchase(9)],
        );

    the_highest_level_counts:
        ["0 r fired high for pu0"],
        case(
            [
                once("r", PURCHASE)
                    .levels_of(
                        &[
                            (Severity::Low, trigger("amount").above(number(1.0))),
                            (Severity::High, trigger("amount").above(number(5.0))),
                        ],
                    ),
            ],
            [paid(0, 9.0)],
        );

    as_many_are_open_as_may_be:
        ["25 r fired medium for pu0", "50 r fired medium for pu25"],
        case([once("r", PURCHASE).after(25)], [purchase(0), purchase(10), purchase(25), end()]).max_open(1);

    judged_at_once_none_is_ever_open:
        ["0 r fired medium for a", "0 r fired medium for b"],
        case([once("r", PURCHASE)], [purchase(0).id("a"), purchase(0).id("b")]).max_open(1);

    a_duplicate_is_judged_no_more:
        ["0 r fired medium for pu0"], case([once("r", PURCHASE)], [purchase(0), purchase(0), purchase(0), end()]);

    the_same_id_at_another_time_is_another_item:
        ["0 r fired medium for x", "5 r fired medium for x"],
        case([once("r", PURCHASE)], [purchase(0).id("x"), purchase(5).id("x")]);

    a_cooldown_may_be_longer_than_the_history:
        ["0 r fired medium for pu0", "100 r fired medium for pu100"],
        case([once("r", PURCHASE).cooldown(100)], [purchase(0), purchase(60), purchase(70), purchase(99), purchase(100)])
            .history(40);

    prior_leaves_out_the_trigger_of_a_customer_with_many_events_too:
        ["60 r fired medium for co60"],
        case(
            [once("r", COMPLAINT).with("n", count(&[COMPLAINT], 100).prior()).when(value("n").equals(number(1.0)))],
            [many(0), vec![complaint(50), complaint(60)]].concat(),
        );
}
