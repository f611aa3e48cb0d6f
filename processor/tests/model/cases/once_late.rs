//! Section 4, the one exception: items without `until` are judged as of their own instant.

use super::super::expr::{customer, minutes, number, text, value};
use super::build::{mover, once};
use super::*;

fn bought(at: i64, channel: &str) -> Event {
    purchase(at).text("channel", channel)
}

fn end() -> Event {
    mover(500_000)
}

cases! {
    a_late_trigger_fires_at_its_own_instant:
        ["25 r fired medium for pu0"], case([once("r", PURCHASE).after(25)], [mover(70), purchase(0), end()]);

    or_when_that_comes:
        ["25 r fired medium for pu0"], case([once("r", PURCHASE).after(25)], [mover(20), purchase(0), end()]);

    with_what_was_there_by_then:
        ["25 r fired medium for pu0"],
        case(
            [once("r", PURCHASE).after(25).with("n", count(&[COMPLAINT], 10)).when(value("n").equals(number(1.0)))],
            [complaint(15), complaint(16), complaint(26), complaint(27), purchase(0), end()],
        );

    and_was_in_the_window_then_however_long_ago:
        ["25 r fired medium for pu0"],
        case(
            [once("r", PURCHASE).after(25).with("n", count(&[COMPLAINT], 10)).when(value("n").equals(number(1.0)))],
            [complaint(16), complaint(100), purchase(0), end()],
        ).history(100);

    with_the_attributes_of_then:
        ["25 r fired medium for pu0"],
        case(
            [once("r", PURCHASE).after(25).scope(customer("tier").equals(text("gold")))],
            [profile(10, "tier", "gold"), profile(26, "tier", "bronze"), purchase(0), end()],
        );

    though_the_event_that_told_them_has_been_let_go_of:
        ["145 r fired medium for pu120"],
        case(
            [once("r", PURCHASE).after(25).scope(customer("tier").equals(text("gold")))],
            [profile(0, "tier", "gold"), mover(150), profile(190, "tier", "bronze"), purchase(120), end()],
        ).history(100);

    or_came_too_late_to_count_now:
        ["145 r fired medium for pu120"],
        case(
            [once("r", PURCHASE).after(25).scope(customer("tier").equals(text("gold")))],
            [profile(200, "tier", "bronze"), profile(50, "tier", "gold"), purchase(120), end()],
        ).history(100);

    with_silences_from_events_that_have_been_let_go_of:
        ["145 r fired medium for pu120"],
        case(
            [
                once("r", PURCHASE)
                    .after(25)
                    .with("quiet", silence(&[COMPLAINT]))
                    .when(value("quiet").at_least(minutes(0.002))),
            ],
            [complaint(0), mover(150), complaint(190), purchase(120), end()],
        ).history(100);

    with_the_silences_of_then:
        ["60000 r fired medium for pu0"],
        case(
            [
                once("r", PURCHASE)
                    .after(60_000)
                    .with("quiet", silence(&[COMPLAINT]))
                    .when(value("quiet").at_least(minutes(1.0))),
            ],
            [complaint(0), complaint(70_000), purchase(0), end()],
        );

    a_late_event_does_not_have_it_judged_again:
        [],
        case(
            [once("r", PURCHASE).after(25).with("n", count(&[COMPLAINT], 100)).when(value("n").equals(number(1.0)))],
            [purchase(0), mover(30), complaint(20), end()],
        );

    a_late_event_in_time_counts:
        ["25 r fired medium for pu0"],
        case(
            [once("r", PURCHASE).after(25).with("n", count(&[COMPLAINT], 100)).when(value("n").equals(number(1.0)))],
            [purchase(0), mover(24), complaint(20), end()],
        );

    a_late_trigger_of_the_key_moves_the_item:
        ["25 r fired medium for web"],
        case([once("r", PURCHASE).by("channel").after(20)], [bought(10, "web"), bought(5, "web"), end()]);

    what_has_been_judged_does_not_change_the_sweep:
        ["30 r fired medium for web", "25 r fired medium for web", "47 r fired medium for web"],
        case(
            [once("r", PURCHASE).by("channel").after(20)],
            // At 27 the item of 10 was still open; that of 5 was not.
            [bought(10, "web"), bought(27, "web"), mover(40), bought(5, "web"), end()],
        );

    each_trigger_is_judged_at_most_once:
        ["30 r fired medium for web", "20 r fired medium for web", "5 r fired medium for web", "27 r fired medium for web"],
        case(
            [once("r", PURCHASE).by("channel").after(20)],
            // That of 0 swallows that of 10, that of -15 swallows that of 0 and sets that of 7 free, which swallows that of 10.
            [bought(10, "web"), mover(40), bought(0, "web"), bought(7, "web"), bought(-15, "web"), end()],
        );

    a_late_firing_before_the_latest_is_within_its_cooldown:
        ["50 r fired medium for pu50"],
        case([once("r", PURCHASE).cooldown(20)], [purchase(50), purchase(10), end()]);

    without_a_cooldown_it_is_not:
        ["50 r fired medium for pu50", "10 r fired medium for pu10"],
        case([once("r", PURCHASE)], [purchase(50), purchase(10), end()]);

    rules_are_gone_through_once_whatever_their_items_instants:
        ["30 q fired medium for pu5", "10 r fired medium for pu5"],
        case([once("q", PURCHASE).after(25), once("r", PURCHASE).after(5)], [mover(70), purchase(5), end()]);

    several_that_a_late_event_brings_about_come_by_their_opening:
        ["30 r fired medium for web", "20 r fired medium for web", "45 r fired medium for web"],
        case(
            [once("r", PURCHASE).by("channel").after(20)],
            [bought(10, "web"), bought(25, "web"), mover(60), bought(0, "web"), end()],
        );

    a_trigger_beyond_the_limit_is_judged_when_a_late_one_makes_room:
        ["14 r fired medium for pu-6", "35 r fired medium for pu15"],
        // That of -6 is open to 14: none of 10 and 12, which find it open, but that of 15.
        case([once("r", PURCHASE).after(20)], [purchase(10), purchase(15), purchase(12), purchase(-6), end()]).max_open(1);

    with_the_silences_of_then_though_the_history_is_over:
        ["70000 r fired medium for pu70000"],
        case(
            [once("r", PURCHASE).with("quiet", silence(&[COMPLAINT])).when(value("quiet").at_least(minutes(1.0)))],
            [complaint(0), complaint(101_000), purchase(70_000)],
        ).history(100_000);

    with_the_attributes_of_then_though_the_history_is_over:
        ["20 r fired medium for pu20"],
        // At 40 the history begins with the event that told the tier.
        case(
            [once("r", PURCHASE).scope(customer("tier").equals(text("gold")))],
            [profile(0, "tier", "gold"), interaction(40), profile(41, "tier", "bronze"), purchase(20)],
        ).history(40);

    with_the_latest_attributes_of_then:
        ["35 r fired medium for pu35"],
        case(
            [once("r", PURCHASE).scope(customer("tier").equals(text("silver")))],
            [profile(0, "tier", "gold"), profile(30, "tier", "silver"), profile(45, "tier", "bronze"), purchase(35)],
        ).history(40);

    with_the_silences_of_then_though_the_history_was_over_before_they_were_broken:
        ["70000 r fired medium for pu70000"],
        case(
            [once("r", PURCHASE).with("quiet", silence(&[COMPLAINT])).when(value("quiet").at_least(minutes(1.0)))],
            [complaint(0), interaction(101_000), complaint(101_001), purchase(70_000)],
        ).history(100_000);
}
