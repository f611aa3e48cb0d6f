//! Section 6, rules with `trigger`.

use super::super::event::{FEEDBACK, INTERACTION};
use super::super::expr::{age, customer, event, minutes, number, text, value};
use super::build::{items, making, many, mover, once, opened, tickets};
use super::*;

fn contacted() -> Rule {
    items("r", making(COMPLAINT, &[INTERACTION]))
}

fn other() -> Rule {
    at_least("other", 99.0, 10)
}

/// Looks back long, and is about nothing that comes.
fn long() -> Rule {
    Rule { id: "long".to_owned(), ..items("r", making("score", &[])).after(1_000) }
}

/// The rules become others when the clock is at 50, after complaints at 0 and 10.
fn changed(before: Rule, after: Rule) -> Case {
    let events = [complaint(0), complaint(10), mover(50), mover(200_000)];
    case([before, other()], events).change(3, [after, other()])
}

fn fired_twice() -> [&'static str; 2] {
    ["0 r fired medium for co0", "10 r fired medium for co10"]
}

fn with<const N: usize>(more: [&'static str; N]) -> Vec<&'static str> {
    fired_twice().into_iter().chain(more).collect()
}

const ENDED: [&str; 2] = ["50 r resolved medium rule_changed for co0", "50 r resolved medium rule_changed for co10"];
const ANEW: [&str; 2] = ["50 r fired medium for co0", "50 r fired medium for co10"];

cases! {
    the_alerts_of_a_rule_that_is_gone_resolve_by_their_openings:
        with(ENDED), case([contacted(), other()], [complaint(0), complaint(10), mover(50)]).change(3, [other()]);

    a_new_rule_with_until_is_judged_with_the_whole_history:
        ANEW, case([other()], [complaint(0), complaint(10), mover(50)]).change(3, [contacted(), other()]);

    but_for_what_has_been_closed:
        ["50 r fired medium for co40"],
        case([other()], [complaint(0), interaction(20), complaint(40), mover(50)]).change(4, [contacted(), other()]);

    a_new_rule_without_until_has_the_items_after_the_change:
        ["60 r fired medium for pu60"],
        case([other()], [purchase(0), purchase(50), purchase(60)]).change(2, [once("r", PURCHASE), other()]);

    those_whose_instant_is_after_it:
        ["60 r fired medium for pu10"],
        case([other()], [purchase(0), purchase(10), mover(50), mover(90)])
            .change(3, [once("r", PURCHASE).after(50), other()]);

    a_late_event_before_it_is_never_judged:
        ["51 r fired medium for pu51"],
        case([other()], [purchase(50), purchase(40), purchase(51)]).change(1, [once("r", PURCHASE), other()]);

    a_customer_who_comes_later_has_the_clock_of_the_watermark:
        ["51 r fired medium for pu51"],
        case([other()], [mover(50), purchase(50), purchase(51)]).change(1, [once("r", PURCHASE), other()]);

    another_trigger_makes_it_gone_and_new:
        with(["50 r resolved medium rule_changed for co0", "50 r resolved medium rule_changed for co10"]),
        changed(contacted(), items("r", making(FEEDBACK, &[INTERACTION])));

    another_where_makes_it_gone_and_new:
        with(
            [
                "50 r resolved medium rule_changed for co0", "50 r resolved medium rule_changed for co10",
                "50 r fired medium for co0", "50 r fired medium for co10",
            ],
        ),
        changed(contacted(), contacted().only(event("status").differs(text("x"))));

    another_until_makes_it_gone_and_new:
        with(
            [
                "50 r resolved medium rule_changed for co0", "50 r resolved medium rule_changed for co10",
                "50 r fired medium for co0", "50 r fired medium for co10",
            ],
        ),
        changed(contacted(), contacted().until_one(FEEDBACK, None));

    another_by_makes_it_gone_and_new:
        ["0 r fired medium for a", "5 r resolved medium rule_changed for a", "5 r fired medium for opened"],
        case([tickets(), other()], [opened(0, "a"), mover(5)]).change(2, [tickets().by("status"), other()]);

    what_is_gone_comes_before_what_is_new:
        [
            "0 r fired medium for co0", "0 r resolved medium rule_changed for co0", "0 a fired medium for co0",
            "0 r fired medium for co0",
        ],
        case([contacted(), other()], [complaint(0)])
            .change(1, [items("a", making(COMPLAINT, &[INTERACTION])), contacted().until_one(FEEDBACK, None)]);

    another_kind_makes_it_gone_and_new:
        with(
            [
                "50 r resolved medium rule_changed for co0", "50 r resolved medium rule_changed for co10",
                "50 r fired medium",
            ],
        ),
        changed(
            contacted(),
            rule("r", &[("n", count(&[COMPLAINT], 1000))], value("n").at_least(number(2.0)))
                .resolve_when(super::super::expr::truth(false)),
        );

    without_until_it_is_another_kind:
        with(ENDED), changed(contacted(), once("r", COMPLAINT));

    no_level_resolves:
        with(
            [
                "50 r resolved medium rule_changed for co0", "50 r resolved medium rule_changed for co10",
                "60000 r fired medium for co0", "60010 r fired medium for co10",
            ],
        ),
        changed(contacted(), contacted().when(age().at_least(minutes(1.0))));

    another_level_changes_the_severity:
        with(["50 r severity_changed high for co0", "50 r severity_changed high for co10"]),
        changed(contacted(), Rule { condition: Condition::Always(Some(Severity::High)), ..contacted() });

    a_text_changes_nothing:
        fired_twice(), changed(contacted(), contacted().noted(1));

    a_shorter_expiry_holds_at_once:
        with(["50 r resolved medium rule_changed for co0", "55 r resolved medium expired for co10"]),
        changed(contacted(), contacted().expire(45));

    a_longer_expiry_holds_at_once:
        with(["100 r resolved medium expired for co0", "110 r resolved medium expired for co10"]),
        changed(contacted().expire(60), contacted().expire(100));

    a_longer_expiry_opens_anew_what_had_expired:
        [
            "0 r fired medium for co0", "10 r fired medium for co10", "45 r resolved medium expired for co0",
            "50 r fired medium for co0", "55 r resolved medium expired for co0",
            "65 r resolved medium expired for co10",
        ],
        changed(contacted().expire(45), contacted().expire(55));

    a_shorter_after_holds_at_once:
        ["50 r fired medium for co0", "55 r fired medium for co10"],
        changed(contacted().after(100), contacted().after(45));

    a_longer_after_holds_at_once:
        with(
            [
                "50 r resolved medium rule_changed for co0", "50 r resolved medium rule_changed for co10",
                "60 r fired medium for co0", "70 r fired medium for co10",
            ],
        ),
        changed(contacted(), contacted().after(60));

    a_longer_after_of_items_judged_once:
        ["60 r fired medium for co0", "70 r fired medium for co10"],
        changed(once("r", COMPLAINT).after(55), once("r", COMPLAINT).after(60));

    by_a_shorter_after_they_are_judged_as_of_their_own_instant:
        ["40 r fired medium for co0", "50 r fired medium for co10"],
        changed(once("r", COMPLAINT).after(100), once("r", COMPLAINT).after(40));

    what_has_been_judged_once_is_not_judged_again:
        fired_twice(), changed(once("r", COMPLAINT), once("r", COMPLAINT).after(60));

    an_alert_of_an_item_judged_once_has_nothing_to_resolve:
        fired_twice(),
        case([once("r", COMPLAINT), other()], [complaint(0), complaint(10), mover(50)]).change(3, [other()]);

    the_cooldown_of_items_judged_once_goes_on:
        ["0 r fired medium for co0"],
        case([once("r", COMPLAINT), other()], [complaint(0), mover(5), complaint(10)])
            .change(2, [once("r", COMPLAINT).cooldown(20), other()]);

    a_rule_that_comes_back_has_no_cooldown:
        ["0 r fired medium for co0", "10 r fired medium for co10"],
        case([once("r", COMPLAINT).cooldown(20), other()], [complaint(0), mover(5), complaint(10)])
            .change(2, [other()])
            .change(2, [once("r", COMPLAINT).cooldown(20), other()]);

    what_was_not_after_the_change_may_be_by_a_longer_after:
        ["60 r fired medium for pu0"],
        case([other()], [purchase(0), mover(50), mover(200_000)])
            .change(2, [once("r", PURCHASE).after(20), other()])
            .change(2, [once("r", PURCHASE).after(60), other()]);

    the_firings_of_a_rule_that_is_gone_are_no_cooldown_of_the_new_one:
        ["50 r fired medium for pu50", "55 r fired medium for pu55"],
        case([once("r", PURCHASE), other()], [purchase(50), purchase(55)])
            .change(1, [once("r", PURCHASE).only(event("channel").differs(text("x"))).cooldown(20), other()]);

    a_trigger_that_was_passed_over_is_judged_when_a_shorter_after_makes_room:
        ["35 r fired medium for web", "30 r fired medium for web"],
        // That of 20 is the oldest of the history, and it opens an item when that of 10 is open to 20 only.
        case(
            [once("r", PURCHASE).by("channel").after(25), other()],
            [
                purchase(10).text("channel", "web"), purchase(20).text("channel", "web"),
                purchase(60).text("channel", "app"),
            ],
        )
        .history(40)
        .change(3, [once("r", PURCHASE).by("channel").after(10), other()]);

    firings_of_an_instant_are_told_apart_whatever_the_rule_was_between_them:
        ["50 r fired medium for co50", "50 r resolved medium rule_changed for co50", "50 r fired medium for co50"],
        case([contacted(), other()], [complaint(50)])
            .change(1, [once("r", COMPLAINT), other()])
            .change(1, [contacted(), other()]);

    by_a_shorter_after_they_see_the_attributes_of_then_as_an_old_profile_told_them:
        ["50 r fired medium for pu30"],
        case(
            [once("r", PURCHASE).after(1_000).scope(customer("tier").equals(text("gold"))), other()],
            [purchase(30), mover(100), profile(50, "tier", "gold"), profile(60, "tier", "bronze")],
        )
        .history(40)
        .change(4, [once("r", PURCHASE).after(20).scope(customer("tier").equals(text("gold"))), other()]);

    a_key_stays_taken_when_the_rule_goes_that_looked_back_the_longest:
        ["40 r fired medium for web"],
        case(
            [once("r", PURCHASE).by("channel").after(40), Rule { id: "long".to_owned(), ..contacted().expire(1_000) }],
            [
                purchase(0).text("channel", "web"), purchase(30).text("channel", "web"), interaction(50),
                purchase(35).text("channel", "web"), mover(500),
            ],
        )
        .history(40)
        .change(3, [once("r", PURCHASE).by("channel").after(40), other()]);

    what_is_forgotten_of_a_rule_that_is_gone_takes_no_key_of_the_new_one:
        ["0 r fired medium for a", "40 r resolved medium expired for a", "50 r fired medium for a"],
        // For the first rule that of 30 opened none.
        case([tickets(), other()], [opened(0, "a"), opened(30, "a").text("priority", "high"), interaction(50)])
            .history(40)
            .change(3, [tickets().only(event("priority").equals(text("high"))), other()]);

    what_waits_since_before_the_history_is_judged_by_a_shorter_after:
        ["50 r fired medium for pu30"],
        case([once("r", PURCHASE).after(1_000), other()], [purchase(30), interaction(100)])
            .history(40)
            .change(2, [once("r", PURCHASE).after(20), other()]);

    and_what_its_key_has_passed_over:
        ["15 r fired medium for web", "25 r fired medium for web"],
        case(
            [once("r", PURCHASE).by("channel").after(1_000), other()],
            [
                purchase(10).text("channel", "web"), purchase(20).text("channel", "web"), interaction(100),
                purchase(200).text("channel", "app"),
            ],
        )
        .history(40)
        .change(4, [once("r", PURCHASE).by("channel").after(5), other()]);

    unless_that_is_before_the_rule_came:
        [],
        case([long()], [purchase(30), interaction(100), purchase(200)])
            .history(40)
            .change(2, [long(), once("r", PURCHASE).after(1_000)])
            .change(3, [long(), once("r", PURCHASE).after(20)]);

    within_the_cooldown_of_what_has_fired_before_the_history:
        ["45 r fired medium for pu25"],
        case(
            [once("r", PURCHASE).after(20).cooldown(10), long()],
            [purchase(25), interaction(90), interaction(200), purchase(30), purchase(300)],
        )
        .history(170)
        .change(3, [once("r", PURCHASE).after(1_000).cooldown(10), long()])
        .change(5, [once("r", PURCHASE).after(20).cooldown(10), long()]);

    what_was_open_before_the_history_is_open_once_when_new_rules_look_back_longer:
        ["0 r fired medium for co0", "40 r resolved medium expired for co0", "50 r fired medium for co30"],
        case(
            [contacted().expire(40), other()],
            [vec![complaint(0)], many(1), vec![purchase(50), complaint(30)]].concat(),
        )
        .history(40)
        .max_open(2)
        .change(42, [contacted().expire(40), other(), long()]);
}
