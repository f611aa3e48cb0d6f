//! Section 2, `median_gap`, and silences that are compared with it.

use super::super::event::PURCHASE;
use super::super::expr::{event, number, text, value};
use super::build::median_gap;
use super::values::{shown, values};
use super::*;
use serde_json::json;

fn gaps(over: i64) -> Measure {
    median_gap(&[PURCHASE], over)
}

values! {
    the_median_of_the_times_between_neighbours:
        0.010,
        gaps(100),
        [purchase(0), purchase(10), purchase(20), purchase(60)];
    of_an_even_number_the_mean_of_the_middle_two: 0.015, gaps(100), [purchase(0), purchase(10), purchase(30)];
    and_not_rounded: 0.0015, gaps(100), [purchase(0), purchase(1), purchase(3)];
    null_below_three_events: None::<f64>, gaps(100), [purchase(0), purchase(10)];
    by_event_time_not_by_arrival: 0.010, gaps(100), [purchase(20), purchase(0), purchase(10)];
    events_of_one_instant_have_no_gap:
        0.0,
        gaps(100),
        [purchase(0), purchase(0).id("b"), purchase(0).id("c"), purchase(9)];
    only_what_is_in_the_window: 0.020, gaps(60), [purchase(0), purchase(5), purchase(20), purchase(40), purchase(60)];
    only_what_where_admits:
        0.020,
        gaps(100).filter(event("channel").equals(text("web"))),
        [
            purchase(0).text("channel", "web"),
            purchase(5),
            purchase(20).text("channel", "web"),
            purchase(40).text("channel", "web"),
        ];
    over_several_types: 0.005, median_gap(&[PURCHASE, "complaint"], 100), [purchase(0), complaint(5), purchase(10)];
}

fn quieter_than(factor: f64) -> Rule {
    let lets = [("quiet", silence(&[PURCHASE])), ("rhythm", gaps(1000))];
    rule("r", &lets, value("quiet").above(number(factor).times(value("rhythm"))))
}

cases! {
    a_silence_longer_than_the_rhythm:
        ["46 r fired medium", "90 r resolved medium cleared"],
        case([quieter_than(2.5)], [purchase(0), purchase(10), purchase(20), mover(60), purchase(90)]);

    // Gaps of 1 and 2 ms: 2.5 times 1.5 is 3.75, which 4 ms are the first to exceed.
    a_bound_between_two_ms_is_reached_at_the_next:
        ["7 r fired medium"],
        case([quieter_than(2.5)], [purchase(0), purchase(1), purchase(3), mover(60)]);

    // Gaps of 1 and 2 ms: twice 1.5 is 3, and 3 ms are not more.
    a_bound_on_a_ms_is_exceeded_one_ms_later:
        ["7 r fired medium"],
        case([quieter_than(2.0)], [purchase(0), purchase(1), purchase(3), mover(60)]);

    no_rhythm_no_alert:
        [], case([quieter_than(2.5)], [purchase(0), purchase(10), mover(600)]);
}

fn mover(at: i64) -> Event {
    super::build::mover(at)
}

pub fn all_values() -> Vec<(&'static str, Case)> {
    [all(), shown_values()].concat()
}
