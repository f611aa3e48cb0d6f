//! Looks on what the values of alert records are. Nothing here decides anything.

use super::aggregate::What;
use super::coverage::Seen;
use super::due::running_names;
use super::measure::{Measure, Stands};
use super::standing::Moment;
use super::value::Value;

/// A record is published.
pub fn published(moment: &Moment<'_>, seen: &mut Seen) {
    for (name, measure) in &moment.rule.lets {
        let value = moment.value(&super::expr::value(name));
        seen.note(kind(measure, &value));
        let events = measure.question().evidence(&moment.view()).len();
        let median = matches!(measure, Measure::Aggregate(aggregate) if aggregate.what == What::Median);
        seen.note_if(median && events > 0 && events.is_multiple_of(2), "value: median of an even number");
        let between = matches!(value, Value::Duration(ms) if ms.fract() != 0.0);
        seen.note_if(between, "value: median_gap between two ms");
        let open = matches!(measure, Measure::Open(_)) && events > 1;
        seen.note_if(open, "value: several open");
        let mut measure = measure.clone();
        seen.note_if(measure.selection_mut().is_some_and(|selection| selection.kinds.len() > 1), "value: of two types");
        match measure.window_mut().map(|window| window.stands) {
            Some(Stands::BeforeTheTrigger) if events > 0 => seen.note("value: prior"),
            Some(Stands::SinceTheTrigger) if events > 0 => seen.note("value: of the item"),
            _ => {}
        }
        seen.note_if(matches!(value, Value::Text(_)), "value: a text");
        seen.note_if(matches!(value, Value::Bool(_)), "value: a truth");
    }
    let rhythm = moment.rule.lets.iter().find(|(_, measure)| matches!(measure, Measure::MedianGap(_)));
    let compared = rhythm.is_some_and(|(name, _)| {
        moment
            .rule
            .expressions()
            .into_iter()
            .flat_map(super::expr::Expr::all)
            .any(|part| part.mentions(name) && running_names(moment).iter().any(|running| part.names(running)))
    });
    seen.note_if(compared, "value: median_gap beside a running duration");
}

fn kind(measure: &Measure, value: &Value) -> &'static str {
    let null = *value == Value::Null;
    match measure {
        Measure::Count(_) => "value: count",
        Measure::Sum(_) => "value: sum",
        Measure::Silence(_) => "value: silence",
        Measure::Open(_) => "value: open",
        Measure::MedianGap(_) if null => "value: median_gap, null",
        Measure::MedianGap(_) => "value: median_gap",
        Measure::Aggregate(aggregate) => match aggregate.what {
            What::Distinct => "value: distinct",
            What::Avg if null => "value: avg, null",
            What::Avg => "value: avg",
            What::Min if null => "value: min, null",
            What::Min => "value: min",
            What::Max if null => "value: max, null",
            What::Max => "value: max",
            What::Median if null => "value: median, null",
            What::Median => "value: median",
            What::First if null => "value: first, null",
            What::First => "value: first",
            What::Last if null => "value: last, null",
            What::Last => "value: last",
            What::Stddev if null => "value: stddev, null",
            What::Stddev => "value: stddev",
        },
    }
}
