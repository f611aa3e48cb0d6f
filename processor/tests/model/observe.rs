//! Looks on while a case runs and notes what it reached. Nothing here decides anything.

use super::Settings;
use super::attributes::holder;
use super::coverage::Seen;
use super::due::{running_names, timers, window_edges};
use super::event::{Event, Field, PROFILE};
use super::measure::Held;
use super::standing::Standing;
use super::world::{Cause, Judgement};

/// An event that arrives, before anything is made of it. `held`: the customer's events so far.
pub fn arrival(event: &Event, held: &[Held], clock: Option<i64>, settings: &Settings, seen: &mut Seen) {
    seen.note_if(event.fields.iter().any(|(_, value)| *value == Field::Null), "explicit null");
    let too_old = clock.is_some_and(|clock| event.at < clock - settings.history_ms);
    let known = |other: &&Held| other.event.id == event.id && other.event.at == event.at;
    if let Some(first) = held.iter().find(known).filter(|_| !too_old) {
        seen.note("duplicate");
        seen.note_if(first.event.kind != event.kind || first.event.fields != event.fields, "duplicate: other content");
        return;
    }
    seen.note_if(held.iter().any(|other| other.event.id == event.id), "same id at another time");
    if too_old {
        seen.note(if event.kind == PROFILE { "too old: profile" } else { "too old" });
        return;
    }
    let Some(clock) = clock else { return };
    seen.note_if(event.at == clock - settings.history_ms, "too old: exactly history is accepted");
    if event.at <= clock {
        seen.note("late");
        seen.note_if(event.at == clock, "late: exactly at the clock");
        seen.note_if(held.is_empty(), "late: first event of a customer");
        let latest = |name: &str| holder(held, name, clock).is_none_or(|holder| holder.event.at <= event.at);
        let carried = |(name, value): &(&str, Field)| *value != Field::Null && latest(name);
        seen.note_if(event.kind == PROFILE && event.fields.iter().any(carried), "attribute changed by a late profile");
    }
}

pub fn judgement(judgement: &Judgement<'_>, seen: &mut Seen) {
    let Judgement { moment, before, standing, transition, .. } = judgement;
    seen.note_if(moment.meets_undefined(), "undefined");
    let lost_for = before.present_since.is_some() && before.firing.is_none() && !matches!(standing, Standing::Level(_));
    seen.note_if(lost_for && moment.rule.hold_ms > 0, "`for` began anew");
    if before.firing.is_some() {
        seen.note_if(*standing == Standing::NoLevel { resolve_when: false }, "held back by `resolve_when`");
        let back = before.over_since.is_some() && matches!(standing, Standing::Level(_));
        seen.note_if(back, "level went and came back while firing");
    }
    if let Some(transition) = transition {
        let kind = if transition.name == "fired" { "fired" } else { transition.reason };
        seen.note(kind);
        caused(judgement, kind, seen);
        timed(judgement, kind, seen);
    }
}

/// What led to a transition.
fn caused(judgement: &Judgement<'_>, kind: &str, seen: &mut Seen) {
    let moment = &judgement.moment;
    match judgement.cause {
        Cause::OwnEvent | Cause::Change { .. } => {}
        Cause::LateEvent => {
            seen.note_if(kind == "fired", "late: fired at the clock");
            seen.note_if(kind == "cleared", "late: resolved at the clock");
            let latest = moment.held.last();
            seen.note_if(latest.is_some_and(|held| held.attributes_only), "too old: profile moved a rule");
        }
        Cause::DueBeforeOwnEvent => seen.note("due: before its own next event"),
        Cause::DueByWatermark => seen.note("due: by the watermark"),
        Cause::DueByUntil => seen.note("due: by `until`"),
    }
    let due = !matches!(judgement.cause, Cause::OwnEvent | Cause::LateEvent);
    let foreseen = window_edges(moment.rule, &moment.view()).contains(&moment.at)
        || timers(moment.rule, judgement.before).contains(&moment.at);
    seen.note_if(due && !foreseen, "due: by a running duration");
    let forgotten = moment.at - moment.settings.history_ms;
    let mut since = running_names(moment).into_iter().map(|name| moment.running_since(&name));
    let older = since.any(|since| since.is_some_and(|since| since < forgotten));
    seen.note_if(older, "a silence from before history");
}

/// Which of the rule's times was at work in a transition.
fn timed(judgement: &Judgement<'_>, kind: &str, seen: &mut Seen) {
    let (before, rule, at) = (judgement.before, judgement.moment.rule, judgement.moment.at);
    if kind == "fired" {
        let held_long_enough = before.present_since.map(|since| since + rule.hold_ms);
        seen.note_if(rule.hold_ms > 0 && held_long_enough == Some(at), "fired after `for`");
        let waited = before.present_since.is_some() && held_long_enough < Some(at);
        seen.note_if(waited && before.cooldown_end(rule) == Some(at), "fired at the end of the cooldown");
        seen.note_if(!judgement.firings.is_empty(), "refired");
        seen.note_if(judgement.firings.last() == Some(&at), "refired at the same instant");
    }
    seen.note_if(kind == "cleared" && rule.keep_firing_ms > 0, "resolved after `keep_firing_for`");
}

/// What only the whole run shows.
pub fn records(records: &[serde_json::Value], seen: &mut Seen) {
    for record in records {
        seen.note_if(record["evidence"].as_array().is_some_and(|ids| ids.len() == 10), "evidence was cut");
    }
    for pair in records.windows(2) {
        let same = |field: &str| pair[0][field] == pair[1][field];
        if same("occurred_at") {
            seen.note_if(same("rule_id") && same("customer_id"), "several transitions at one instant");
            seen.note_if(!same("customer_id"), "two customers at one instant");
        }
    }
}
