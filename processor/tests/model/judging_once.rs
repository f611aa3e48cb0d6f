//! Items without `until`: each is judged once, as of its own instant, whenever that is found out.

use super::episode::Transition;
use super::items::Sweeping;
use super::judging::Look;
use super::observe_items;
use super::rule::{ItemRule, Rule};
use super::standing::Standing;
use super::state::State;
use super::world::Outcome;

pub fn judge(rule: &Rule, items: &ItemRule, state: &mut State, look: &Look<'_>, outcome: &mut Outcome) {
    let max_open = look.settings.max_open_items;
    let sweeping = Sweeping { making: &items.making, lasts_ms: items.after_ms, max_open };
    for span in sweeping.sweep(look.held, look.at) {
        let at = span.trigger.event.at + items.after_ms;
        if at > look.at || !state.is_after_the_gate(at) || !state.judged.insert(span.trigger.arrival) {
            continue;
        }
        let moment = look.moment(rule, at, Some(span.trigger));
        let standing = moment.standing();
        let cooling = state.is_cooling(at, rule.cooldown_ms);
        observe_items::judged_once(look, &span, at, standing, cooling, &mut outcome.seen);
        let Standing::Level(severity) = standing else { continue };
        if !cooling {
            let key = Some(span.key.as_str());
            let transition = Transition::fired(at, severity, state.further(key, at));
            look.publish(&moment, key, &transition, outcome);
            state.note_firing(key, at);
        }
    }
}
