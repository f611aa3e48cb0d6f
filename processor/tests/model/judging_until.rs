//! Items with `until`: each is judged like a condition, for as long as it is open.

use super::episode::Episode;
use super::items::{End, Span, Sweeping};
use super::judging::Look;
use super::measure::Held;
use super::observe;
use super::observe_items;
use super::rule::{ItemRule, Rule};
use super::standing::Standing;
use super::state::{Item, State};
use super::world::{Judgement, Outcome};

/// An item whose turn it is.
struct Turn {
    /// As the sweep has it now: a late event may have moved the opening.
    trigger: Held,
    key: String,
    episode: Episode,
    end: Option<End>,
}

pub fn judge(rule: &Rule, items: &ItemRule, state: &mut State, look: &Look<'_>, outcome: &mut Outcome) {
    let lasts_ms = items.expire_ms.unwrap_or(look.settings.history_ms);
    let max_open = look.settings.max_open_items;
    let spans = Sweeping { making: &items.making, lasts_ms, max_open }.sweep(look.held, look.at);
    observe_items::swept(rule, items, &spans, &state.items, look, &mut outcome.seen);
    for mut turn in turns(std::mem::take(&mut state.items), &spans) {
        if let Some(end) = turn.end {
            close(rule, &mut turn, end, look, outcome);
        } else {
            judge_open(rule, items, state, &mut turn, look, outcome);
            state.items.push(Item { trigger: turn.trigger, key: turn.key, episode: turn.episode });
        }
    }
}

/// Those known before, as they are now, and those that are new; by their opening.
fn turns(before: Vec<Item>, spans: &[Span<'_>]) -> Vec<Turn> {
    let mut turns: Vec<Turn> = vec![];
    for Item { trigger, key, episode } in before {
        // An item is the one that its trigger belongs to now, be it as its opening or as one that it has swallowed.
        let span = spans.iter().find(|span| span.contains(trigger.arrival));
        turns.push(match span {
            Some(span) => Turn { trigger: span.trigger.clone(), key, episode, end: span.end },
            // There were `max_open_items` others before it.
            None => Turn { trigger, key, episode, end: Some(End::RanOut) },
        });
    }
    for span in spans.iter().filter(|span| span.end.is_none()) {
        if !turns.iter().any(|turn| span.trigger.arrival == turn.trigger.arrival) {
            let episode = Episode::default();
            turns.push(Turn { trigger: span.trigger.clone(), key: span.key.clone(), episode, end: None });
        }
    }
    turns.sort_by_key(|turn| turn.trigger.place());
    turns
}

fn close(rule: &Rule, turn: &mut Turn, end: End, look: &Look<'_>, outcome: &mut Outcome) {
    let reason = match end {
        _ if look.is_change() => "rule_changed",
        End::Closed => "closed",
        End::RanOut => "expired",
    };
    observe_items::closed(look, &turn.episode, reason, &mut outcome.seen);
    if let Some(transition) = turn.episode.end(look.at, reason) {
        let moment = look.moment(rule, look.at, Some(&turn.trigger));
        look.publish(&moment, Some(&turn.key), &transition, outcome);
    }
}

fn judge_open(
    rule: &Rule,
    items: &ItemRule,
    state: &mut State,
    turn: &mut Turn,
    look: &Look<'_>,
    outcome: &mut Outcome,
) {
    let moment = look.moment(rule, look.at, Some(&turn.trigger));
    let is_due = look.at >= turn.trigger.event.at + items.after_ms;
    let standing = if is_due { moment.standing() } else { Standing::NoLevel { resolve_when: false } };
    let (key, before) = (Some(turn.key.as_str()), turn.episode.clone());
    let (firings, further) = (state.firings(key), state.further(key, look.at));
    let transition = if look.is_change() {
        turn.episode.judge_change(rule, standing, look.at, further)
    } else {
        turn.episode.judge(rule, standing, look.at, further)
    };
    if let Some(transition) = &transition {
        look.publish(&moment, key, transition, outcome);
        if transition.name == "fired" {
            state.note_firing(key, look.at);
        }
    }
    observe_items::judged_open(look, is_due, &before, transition.as_ref(), &mut outcome.seen);
    if !look.is_change() && is_due {
        let judgement = Judgement { moment, cause: look.cause, before: &before, firings, standing, transition };
        observe::judgement(&judgement, &mut outcome.seen);
    }
}
