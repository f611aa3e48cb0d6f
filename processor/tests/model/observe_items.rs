//! Looks on while items and dates are judged and notes what that reached. Nothing here decides anything.

use super::calendar::{Anniversary, parse};
use super::coverage::Seen;
use super::episode::{Episode, Transition};
use super::items::{End, Span};
use super::judging::Look;
use super::rule::{DateRule, ItemRule, Rule};
use super::standing::Standing;
use super::state::Item;
use super::value::Value;
use super::world::Cause;

/// What the events have opened by now, and what was open before.
pub fn swept(rule: &Rule, items: &ItemRule, spans: &[Span<'_>], before: &[Item], look: &Look<'_>, seen: &mut Seen) {
    let making = &items.making;
    let open = spans.iter().filter(|span| span.end.is_none()).count();
    seen.note_if(open > 0, "item: open");
    seen.note_if(open > 1, "item: several open");
    seen.note_if(open == look.settings.max_open_items, "item: as many open as may be");
    seen.note_if(spans.iter().any(|span| !span.swallowed.is_empty()), "item: a further trigger of an open one");
    seen.note_if(making.by.is_none() && open > 0, "item: without `by`");
    let opens = |held: &&super::measure::Held| making.opens(held) && held.event.at <= look.at;
    let part_of_one = |arrival: usize| spans.iter().any(|span| span.contains(arrival));
    let refused = look.held.iter().filter(opens).any(|held| !part_of_one(held.arrival));
    seen.note_if(refused, "item: refused, too many were open");
    let lasts_ms = items.expire_ms.unwrap_or(look.settings.history_ms);
    for (i, span) in spans.iter().enumerate() {
        let next = spans[i + 1..].iter().find(|next| next.key == span.key && making.by.is_some());
        seen.note_if(next.is_some(), "item: another one of a key");
        let ran_out = span.trigger.event.at + lasts_ms;
        let at_once = next.is_some_and(|next| span.end == Some(End::RanOut) && next.trigger.event.at == ran_out);
        seen.note_if(at_once, "item: the next one opens as the last expires");
        let in_time = |held: &super::measure::Held| held.event.at == ran_out && making.closes(held);
        seen.note_if(span.end == Some(End::Closed) && look.held.iter().any(in_time), "item: closed as it expires");
    }
    for item in before {
        let span = spans.iter().find(|span| span.contains(item.trigger.arrival));
        let moved = span.is_some_and(|span| span.trigger.arrival != item.trigger.arrival);
        let firing = item.episode.firing.is_some();
        let over = span.is_none_or(|span| span.end.is_some());
        seen.note_if(moved && !over, "item: a late event moved its opening");
        seen.note_if(moved && !over && firing, "item: a late event moved the opening of a firing one");
        seen.note_if(moved && over, "item: a late event moved its opening so far that it expired");
        seen.note_if(span.is_none(), "item: a late event pushed it out");
        seen.note_if(span.is_none() && firing, "item: a late event pushed a firing one out");
        let closed = span.is_some_and(|span| span.end == Some(End::Closed));
        let late = look.cause == Cause::LateEvent;
        seen.note_if(late && closed, "item: closed by a late event");
        let another = spans.iter().any(|span| span.end.is_none() && span.key == item.key);
        seen.note_if(late && closed && firing && another, "item: closed by a late event while another was open");
    }
    let both = |held: &&super::measure::Held| {
        held.event.kind == making.trigger
            && super::measure::matches(making.filter.as_ref(), &held.event)
            && making.closes(held)
    };
    seen.note_if(look.held.iter().any(|held| both(&held)), "item: an event that opens and closes");
    seen.note_if(rule.lets.iter().any(|(_, measure)| measure.is_relative()) && open > 0, "item: a window of the item");
}

pub fn closed(look: &Look<'_>, before: &Episode, reason: &str, seen: &mut Seen) {
    let firing = before.firing.is_some();
    seen.note_if(firing && reason == "closed", "item: closed while firing");
    seen.note_if(firing && reason == "expired", "item: expired while firing");
    seen.note_if(!firing && before.present_since.is_some(), "item: over while waiting");
    seen.note_if(!firing && reason == "closed", "item: closed before it fired");
    seen.note_if(!firing && reason == "expired", "item: expired before it fired");
    seen.note_if(firing && look.is_change(), "change: an item expired by it");
}

pub fn judged_open(look: &Look<'_>, is_due: bool, before: &Episode, after: Option<&Transition>, seen: &mut Seen) {
    seen.note_if(!is_due, "item: before its `after`");
    let what = after.map_or("", |transition| transition.name);
    seen.note_if(what == "fired", "item: fired");
    seen.note_if(what == "fired" && before.resolved_at.is_some(), "item: fired again within it");
    seen.note_if(what == "severity_changed", "item: severity_changed");
    seen.note_if(what == "resolved", "item: resolved while open");
    if look.is_change() {
        seen.note("change: an open item");
        seen.note_if(what == "fired", "change: an item fired");
        seen.note_if(what == "resolved", "change: an item resolved");
        seen.note_if(before.firing.is_some() && what.is_empty(), "change: a firing item goes on");
        seen.note_if(before.firing.is_some() && !is_due, "change: an item is not due any more");
    }
}

pub fn judged_once(look: &Look<'_>, span: &Span<'_>, at: i64, standing: Standing, cooling: bool, seen: &mut Seen) {
    let level = matches!(standing, Standing::Level(_));
    seen.note("once: judged");
    seen.note_if(level && !cooling, "once: fired");
    seen.note_if(level && cooling, "once: dropped by the cooldown");
    seen.note_if(!level, "once: no level");
    seen.note_if(!span.swallowed.is_empty(), "once: a further trigger of the key");
    seen.note_if(at > span.trigger.event.at, "once: after a while");
    seen.note_if(level && at < look.at, "once: fired in the past");
    seen.note_if(
        at < look.at && look.held.iter().any(|held| held.event.at > at),
        "once: judged with later events there",
    );
    seen.note_if(level && look.is_change(), "change: judged once in the past");
}

pub fn date(look: &Look<'_>, rule: &DateRule, value: &Value, standing: Standing, cooling: bool, seen: &mut Seen) {
    let level = matches!(standing, Standing::Level(_));
    seen.note_if(level && !cooling, "date: fired");
    seen.note_if(level && cooling, "date: dropped by the cooldown");
    seen.note_if(!level, "date: no level");
    let once = matches!(parse(value), Some(Anniversary::Once(_)));
    seen.note_if(once, "date: once");
    seen.note_if(parse(value) == Some(Anniversary::EveryYear(2, 29)), "date: 29 February");
    seen.note_if(rule.lead_days > 0, "date: days before");
    seen.note_if(look.cause == Cause::OwnEvent, "date: at the instant of an event");
    seen.note_if(look.cause == Cause::LateEvent, "date: at the clock of a late event");
    seen.note_if(rule.zone.is_some(), "date: in a time zone");
    let shown = rule.zone.map(|zone| zone.clock(look.at) / 60_000 % 1_440);
    seen.note_if(shown.is_some_and(|shown| shown != rule.at_minutes), "date: a time that is skipped");
    let twice = rule.zone.is_some_and(|zone| zone.clock(look.at) == zone.clock(look.at + 3_600_000));
    seen.note_if(twice, "date: a time that comes twice");
}
