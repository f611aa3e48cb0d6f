//! Section 2, values: what each is of given events.

use super::super::aggregate::What;
use super::super::event::{INTERACTION, PURCHASE};
use super::super::expr::{Looks, customer, event, not, number, text, value};
use super::build::{aggregate, amounts, median_gap};
use super::*;
use serde_json::{Value as Json, json};

/// A rule that shows a value at the last of the events.
pub fn shown(measure: Measure, events: &[Event]) -> Case {
    let last = events.iter().map(|event| event.at).max().unwrap_or(BASE_MS);
    let lets = [("v", measure), ("last", count(&["score"], 1))];
    let mut events = events.to_vec();
    events.push(Event { kind: "score", at: last, ..purchase(0).id("score") });
    case([rule("r", &lets, value("last").at_least(number(1.0)))], events)
}

/// The value that the rule has shown.
pub fn check_value(case: &Case, expected: &Json) {
    let found = run(case).records;
    assert_eq!(found[0]["values"]["v"], *expected);
}

macro_rules! values {
    ($($name:ident: $expected:expr, $measure:expr, $events:expr;)*) => {
        $(
            #[test]
            fn $name() {
                $crate::model::cases::values::check_value(&shown($measure, &$events), &json!($expected));
            }
        )*
        pub fn shown_values() -> Vec<(&'static str, Case)> {
            vec![$((stringify!($name), shown($measure, &$events))),*]
        }
    };
}
pub(crate) use values;

fn by_channel(at: i64, channel: &str) -> Event {
    purchase(at).text("channel", channel)
}

fn of_amounts(amounts: &[f64]) -> Vec<Event> {
    amounts.iter().enumerate().map(|(i, amount)| paid(i as i64, *amount)).collect()
}

fn channels(what: What, over: i64) -> Measure {
    aggregate(what, &[(PURCHASE, "channel"), (INTERACTION, "channel")], over)
}

values! {
    distinct_is_the_number_of_different_values:
        2.0, channels(What::Distinct, 100), [by_channel(0, "web"), by_channel(1, "app"), by_channel(2, "web")];
    distinct_over_several_types:
        2.0,
        channels(What::Distinct, 100),
        [by_channel(0, "web"), interaction(1).text("channel", "web"), interaction(2).text("channel", "app")];
    distinct_of_no_events_is_0: 0.0, channels(What::Distinct, 100), [complaint(0)];
    distinct_leaves_out_what_lacks_the_field: 1.0, channels(What::Distinct, 100), [purchase(0), by_channel(1, "web")];
    distinct_numbers_are_the_rounded_decimals:
        1.0,
        aggregate(What::Distinct, &[("feedback", "sentiment")], 100),
        [feedback(0).number("sentiment", 0.00001), feedback(1).number("sentiment", 0.00002)];
    avg_is_the_exact_quotient_of_exact_sums: 0.2, amounts(What::Avg, 100), of_amounts(&[0.1, 0.2, 0.3]);
    avg_leaves_out_what_lacks_the_field: 15.0, amounts(What::Avg, 100), [paid(0, 10.0), purchase(1), paid(2, 20.0)];
    avg_of_no_events_is_null: null::<f64>(), amounts(What::Avg, 100), [purchase(0)];
    avg_over_several_types:
        3.0,
        aggregate(What::Avg, &[(PURCHASE, "quantity"), ("feedback", "score")], 100),
        [purchase(0).number("quantity", 2.0), feedback(1).number("score", 4.0)];
    min_is_the_smallest: -2.5, amounts(What::Min, 100), of_amounts(&[10.0, -2.5, 9.0]);
    max_is_the_largest: 10.0, amounts(What::Max, 100), of_amounts(&[9.0, 10.0, -2.5]);
    min_of_no_events_is_null: null::<f64>(), amounts(What::Min, 100), [complaint(0)];
    max_of_no_events_is_null: null::<f64>(), amounts(What::Max, 100), [complaint(0)];
    numbers_are_taken_as_decimals:
        0.25,
        aggregate(What::Max, &[("feedback", "sentiment")], 100),
        [feedback(0).number("sentiment", 0.25004)];
    median_of_an_odd_number: 2.0, amounts(What::Median, 100), of_amounts(&[10.0, 1.0, 2.0]);
    median_of_an_even_number_is_the_mean_of_the_middle_two:
        3.0,
        amounts(What::Median, 100),
        of_amounts(&[4.0, 1.0, 10.0, 2.0]);
    that_mean_is_exact: 0.15, amounts(What::Median, 100), of_amounts(&[0.1, 0.2]);
    median_of_no_events_is_null: null::<f64>(), amounts(What::Median, 100), [complaint(0)];
    first_goes_by_event_time: 1.0, amounts(What::First, 100), [paid(5, 2.0), paid(0, 1.0), paid(9, 3.0)];
    first_goes_by_arrival_within_an_instant:
        1.0,
        amounts(What::First, 100),
        [paid(5, 1.0).id("z"), paid(5, 2.0).id("a")];
    last_goes_by_event_time: 3.0, amounts(What::Last, 100), [paid(9, 3.0), paid(5, 2.0)];
    last_goes_by_arrival_within_an_instant: 2.0, amounts(What::Last, 100), [paid(5, 1.0).id("z"), paid(5, 2.0).id("a")];
    last_leaves_out_what_lacks_the_field: "web", channels(What::Last, 100), [by_channel(0, "web"), purchase(1)];
    last_may_be_a_truth:
        true,
        aggregate(What::Last, &[(INTERACTION, "automatic")], 100),
        [interaction(0).with("automatic", Field::Bool(true))];
    last_is_taken_as_a_decimal_too:
        0.25,
        aggregate(What::Last, &[("feedback", "sentiment")], 100),
        [feedback(0).number("sentiment", 0.25004)];
    first_of_no_events_is_null: null::<f64>(), amounts(What::First, 100), [purchase(0)];
    last_of_no_events_is_null: null::<f64>(), amounts(What::Last, 100), [purchase(0)];
    // 256 / 56 under the root.
    stddev_is_that_of_a_sample:
        2.138_089_935_299_395,
        amounts(What::Stddev, 100),
        of_amounts(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
    stddev_of_equal_values_is_0: 0.0, amounts(What::Stddev, 100), of_amounts(&[0.1, 0.1, 0.1]);
    stddev_of_one_value_is_null: null::<f64>(), amounts(What::Stddev, 100), of_amounts(&[1.0]);
    a_window_is_left_open: 2.0, amounts(What::Max, 10), [paid(0, 9.0), paid(1, 1.0), paid(10, 2.0)];
    a_window_is_right_closed: 9.0, amounts(What::Max, 10), [paid(1, 1.0), paid(10, 9.0)];
    an_offset_moves_a_window_back:
        1.0,
        amounts(What::Max, 10).offset(5),
        [paid(0, 7.0), paid(1, 1.0), paid(11, 9.0), paid(15, 9.0)];
    where_chooses_what_is_aggregated:
        1.0,
        amounts(What::Max, 100).filter(event("amount").below(number(5.0))),
        of_amounts(&[1.0, 9.0]);
}

fn null<T>() -> Option<T> {
    None
}

cases! {
    an_average_falls_when_an_event_leaves_the_window:
        ["0 r fired medium", "10 r resolved medium cleared"],
        case([rule("r", &[("a", amounts(What::Avg, 10))], value("a").above(number(5.0)))], [paid(0, 9.0), paid(5, 4.0)])
            .until(50);

    null_compares_as_undefined:
        [],
        case([rule("r", &[("a", amounts(What::Avg, 10))], not(value("a").above(number(5.0))))], [purchase(0)])
            .until(50);

    a_last_text_is_compared_as_a_text:
        ["0 r fired medium", "5 r resolved medium cleared"],
        case(
            [rule("r", &[("l", channels(What::Last, 10))], value("l").equals(text("web")))],
            [by_channel(0, "web"), by_channel(5, "app")],
        );

    texts_begin_end_and_contain:
        ["0 r fired medium"],
        case(
            [
                rule(
                    "r",
                    &[],
                    customer("tier")
                        .looks(Looks::StartsWith, "go")
                        .and(customer("tier").looks(Looks::EndsWith, "ld"))
                        .and(customer("tier").looks(Looks::Contains, "ol")),
                ),
            ],
            [profile(0, "tier", "gold")],
        );

    upper_and_lower_case_differ:
        [], case([rule("r", &[], customer("tier").looks(Looks::StartsWith, "G"))], [profile(0, "tier", "gold")]);

    what_null_begins_with_is_undefined:
        [], case([rule("r", &[], not(customer("tier").looks(Looks::Contains, "x")))], [purchase(0)]);

    a_late_event_changes_a_median:
        ["5 r fired medium"],
        case(
            [rule("r", &[("m", amounts(What::Median, 10))], value("m").above(number(2.0)))],
            [paid(4, 1.0), paid(5, 2.0), paid(3, 9.0), paid(3, 9.0).id("b")],
        );

    two_rhythms:
        ["20 r fired medium"],
        case(
            [rule("r", &[("g", median_gap(&[PURCHASE], 100))], value("g").at_most(super::super::expr::minutes(1.0)))],
            [purchase(0), purchase(10), purchase(20)],
        );
}

pub fn all_values() -> Vec<(&'static str, Case)> {
    [all(), shown_values()].concat()
}
