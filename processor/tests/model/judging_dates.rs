//! Dates: does one come round at this very instant?

use super::attributes::attribute;
use super::calendar::instants;
use super::episode::Transition;
use super::judging::Look;
use super::observe_items;
use super::rule::{DateRule, Rule};
use super::standing::Standing;
use super::state::State;
use super::world::Outcome;

pub fn judge(rule: &Rule, date: &DateRule, state: &mut State, look: &Look<'_>, outcome: &mut Outcome) {
    let value = attribute(look.held, date.attribute, look.at);
    let now = instants(date, &value, look.at).into_iter().filter(|(_, instant)| *instant == look.at);
    for (day, at) in now {
        if !state.is_after_the_gate(at) || state.dates.contains(&day) {
            continue;
        }
        let moment = look.moment(rule, at, None);
        let standing = moment.standing();
        let cooling = state.is_cooling(at, rule.cooldown_ms);
        observe_items::date(look, date, &value, standing, cooling, &mut outcome.seen);
        let Standing::Level(severity) = standing else { continue };
        if !cooling {
            let transition = Transition::fired(at, severity, state.further(None, at));
            look.publish(&moment, None, &transition, outcome);
            state.note_firing(None, at);
            state.dates.insert(day);
        }
    }
}
