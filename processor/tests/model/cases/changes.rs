//! Section 6, when rules change.

use super::super::event::{INTERACTION, PURCHASE};
use super::super::expr::{customer, minutes, number, text, value};
use super::*;

fn two_in_ten() -> Rule {
    at_least("r", 2.0, 10)
}

fn other() -> Rule {
    at_least("other", 9.0, 10)
}

fn rungs(high: f64) -> Rule {
    let n = || value("n");
    let levels = [(Severity::Low, n().at_least(number(1.0))), (Severity::High, n().at_least(number(high)))];
    ladder("r", &[("n", purchases(10))], &levels)
}

fn quiet_for_a_minute(id: &str, measure: Measure) -> Rule {
    rule(id, &[("quiet", measure)], value("quiet").at_least(minutes(1.0)))
}

/// Someone else, who moves the watermark and nothing more.
fn mover(at: i64) -> Event {
    complaint(at).of("mover")
}

cases! {
    a_rule_that_is_gone_resolves_its_alerts_at_the_clock:
        ["1 r fired medium", "5 r resolved medium rule_changed"],
        case([two_in_ten(), other()], [purchase(0), purchase(1), mover(5), purchase(100)]).change(3, [other()]);

    the_clock_is_the_customers_own_if_that_is_later:
        ["1 r fired medium", "1 r resolved medium rule_changed"],
        case([two_in_ten(), other()], [purchase(0), purchase(1)]).lateness(50).change(2, [other()]);

    a_severity_is_the_last_it_had_when_its_rule_is_gone:
        ["0 r fired low", "1 r severity_changed high", "1 r resolved high rule_changed"],
        case([rungs(2.0), other()], [purchase(0), purchase(1)]).change(2, [other()]);

    the_state_of_a_rule_that_is_gone_is_dropped:
        ["0 r fired medium", "0 r resolved medium rule_changed", "2 r fired medium"],
        case([at_least("r", 1.0, 10).cooldown(500), other()], [purchase(0), mover(1), mover(2)])
            .change(1, [other()])
            .change(3, [at_least("r", 1.0, 10).cooldown(500), other()]);

    gone_rules_come_first_in_their_old_order:
        [
            "0 b fired medium", "0 a fired medium", "0 b resolved medium rule_changed",
            "0 a resolved medium rule_changed", "0 d fired medium", "0 c fired medium",
        ],
        case([at_least("b", 1.0, 10), at_least("a", 1.0, 10)], [purchase(0)])
            .change(1, [at_least("d", 1.0, 10), at_least("c", 1.0, 10)]);

    a_new_condition_is_judged_with_the_whole_history:
        ["7 r fired medium"],
        case([other()], [purchase(0), purchase(1), mover(7), mover(9)]).change(3, [other(), two_in_ten()]);

    a_new_condition_has_to_hold_from_the_clock_on:
        ["9 r fired medium", "10 r resolved medium cleared"],
        case([other()], [purchase(0), purchase(1), mover(7), mover(20)]).change(3, [other(), two_in_ten().hold(2)]);

    a_new_condition_over_nothing_holds_for_whoever_is_known:
        ["4 none fired medium", "4 none fired medium of mover"],
        case([other()], [complaint(0), mover(4)])
            .change(2, [rule("none", &[("n", purchases(10))], value("n").below(number(1.0)))]);

    customers_with_shorter_ids_are_looked_at_first:
        ["9 r fired medium of z", "9 r fired medium of aa"],
        case([other()], [purchase(0).of("aa"), purchase(1).of("z"), mover(9)]).change(3, [at_least("r", 1.0, 10)]);

    a_changed_rule_without_a_level_resolves:
        ["1 r fired medium", "5 r resolved medium rule_changed"],
        case([two_in_ten()], [purchase(0), purchase(1), mover(5)]).change(3, [at_least("r", 3.0, 10)]);

    whatever_it_says_on_resolving:
        ["1 r fired medium", "5 r resolved medium rule_changed"],
        case([two_in_ten()], [purchase(0), purchase(1), mover(5), mover(50)])
            .change(3, [at_least("r", 3.0, 10).resolve_when(value("n").below(number(1.0))).keep_firing(20)]);

    out_of_scope_is_no_level:
        ["1 r fired medium", "1 r resolved medium rule_changed"],
        case([two_in_ten()], [purchase(0), purchase(1)])
            .change(2, [two_in_ten().scope(customer("tier").equals(text("gold")))]);

    insufficient_data_is_no_level:
        ["1 r fired medium", "1 r resolved medium rule_changed"],
        case([two_in_ten()], [purchase(0), purchase(1)]).change(2, [two_in_ten().require(value("n").above(number(5.0)))]);

    a_changed_rule_with_another_level_changes_the_severity:
        ["0 r fired low", "1 r severity_changed high"],
        case([rungs(3.0)], [purchase(0), purchase(1)]).change(2, [rungs(2.0)]);

    a_changed_rule_with_the_same_level_goes_on_firing:
        ["1 r fired medium", "15 r resolved medium cleared"],
        case([two_in_ten()], [purchase(0), purchase(1), mover(3), mover(90)])
            .change(3, [rule("r", &[("n", purchases(15))], value("n").at_least(number(2.0)))]);

    a_shorter_for_is_over_at_once:
        ["10 r fired medium"],
        case([at_least("r", 1.0, 100).hold(50)], [purchase(0), mover(10), mover(20)])
            .change(2, [at_least("r", 1.0, 100).hold(5)]);

    a_longer_for_counts_from_where_it_began:
        ["15 r fired medium"],
        case([at_least("r", 1.0, 100).hold(12)], [purchase(0), mover(10), mover(20)])
            .change(2, [at_least("r", 1.0, 100).hold(15)]);

    a_cooldown_goes_on:
        ["0 r fired medium", "10 r resolved medium cleared", "30 r fired medium", "36 r resolved medium cleared"],
        case([at_least("r", 1.0, 10).cooldown(50)], [purchase(0), mover(10), purchase(25), mover(60)])
            .change(2, [rule("r", &[("n", purchases(11))], value("n").at_least(number(1.0))).cooldown(20)]);

    a_resolve_by_a_change_counts_for_the_cooldown:
        ["1 r fired medium", "5 r resolved medium rule_changed", "25 r fired medium"],
        case([two_in_ten()], [purchase(0), purchase(1), mover(5), purchase(6), purchase(24), purchase(25)])
            .change(3, [rule("r", &[("n", purchases(20))], value("n").at_least(number(3.0))).cooldown(19)]);

    a_text_leaves_everything_as_it_is:
        ["0 r fired medium", "20 r resolved medium cleared"],
        case([at_least("r", 1.0, 10).keep_firing(10)], [purchase(0), mover(15), mover(40)])
            .change(2, [Rule { note: 1, ..at_least("r", 1.0, 10).keep_firing(10) }]);

    an_alert_that_fires_again_at_its_old_instant_is_another:
        ["3 r fired medium", "3 r resolved medium rule_changed", "3 r fired medium"],
        case([at_least("r", 1.0, 10), other()], [purchase(3)]).change(1, [other()]).change(1, [at_least("r", 1.0, 10)]);

    a_new_silence_counts_from_an_event_that_is_held:
        ["60100 r fired medium"],
        case([other()], [purchase(0), complaint(100), mover(60_100), mover(60_200)])
            .history(100)
            .change(3, [quiet_for_a_minute("r", silence(&[PURCHASE]))]);

    a_new_silence_looks_no_further_back_than_the_history_before_the_latest_event:
        [],
        case([other()], [purchase(0), complaint(101), mover(60_100), mover(60_200)])
            .history(100)
            .change(3, [quiet_for_a_minute("r", silence(&[PURCHASE]))]);

    unless_another_rule_has_remembered_it:
        ["60000 q fired medium", "60100 q resolved medium rule_changed", "60100 r fired medium"],
        case(
            [quiet_for_a_minute("q", silence(&[PURCHASE]))],
            [purchase(0), complaint(101), mover(60_100), mover(60_200)],
        ).history(100).change(3, [quiet_for_a_minute("r", silence_since_first_seen(&[PURCHASE]))]);

    what_no_rule_asks_for_is_forgotten:
        ["60000 q fired medium", "60000 q resolved medium rule_changed"],
        case(
            [quiet_for_a_minute("q", silence(&[PURCHASE])), other()],
            [purchase(0), complaint(101), mover(60_000), mover(60_200)],
        )
        .history(100)
        .change(3, [other()])
        .change(4, [quiet_for_a_minute("q", silence(&[PURCHASE])), other()]);

    a_silence_over_other_types_is_a_new_one:
        ["60000 r fired medium", "60000 r resolved medium rule_changed", "60050 r fired medium"],
        case([quiet_for_a_minute("r", silence(&[PURCHASE]))], [purchase(0), interaction(50), mover(60_000), mover(60_050)])
            .change(3, [quiet_for_a_minute("r", silence(&[PURCHASE, INTERACTION]))]);
}
