//! What rules with a `trigger` or a `date` remember of a customer beside open items.

use crate::customer::{Customer, Firing, Ledger};
use crate::rule::{Rule, RuleKey, Subject};
use crate::time::{Duration, Millis};

/// The ledger of a rule; a blank one if there is none.
pub fn of(customer: &Customer, rule: RuleKey) -> Ledger {
    match customer.ledgers.binary_search_by_key(&rule, |ledger| ledger.rule) {
        Ok(place) => customer.ledgers[place].clone(),
        Err(_) => Ledger::new(rule),
    }
}

/// Puts a ledger in the place of the one before, after letting go of what nothing can ask for any more. What has come since
/// `keeps` before the latest event may: late events come, and another `after` may put the instant of what waits there.
pub fn put(customer: &mut Customer, rule: &Rule, keeps: Duration, now: Millis, mut ledger: Ledger) {
    let latest = customer.latest.get().unwrap_or(Millis::MIN);
    let horizon = latest.saturating_sub(keeps);
    ledger.gate = ledger.gate.filter(|gate| *gate >= horizon);
    ledger.passed.retain(|(at, _)| *at >= horizon);
    let oldest_firing = match &rule.subject {
        // The alert itself keeps its cooldown; what is asked is how often it has fired at this instant.
        Subject::Item(items) if !items.judged_once => now,
        _ => horizon.saturating_sub(rule.cooldown),
    };
    // Those of a rule that this one has taken the place of count only while time stands still.
    let gate = ledger.gate.unwrap_or(Millis::MIN);
    ledger.firings.retain(|firing| firing.at >= oldest_firing && (firing.at > gate || firing.at >= now));
    let place = customer.ledgers.binary_search_by_key(&rule.key, |ledger| ledger.rule);
    match place {
        Ok(place) if customer.ledgers[place] == ledger => {}
        Ok(place) => {
            customer.changed = true;
            if ledger.is_blank() {
                customer.ledgers.remove(place);
            } else {
                customer.ledgers[place] = ledger;
            }
        }
        Err(_) if ledger.is_blank() => {}
        Err(place) => {
            customer.changed = true;
            customer.ledgers.insert(place, ledger);
        }
    }
}

impl Ledger {
    /// Whether a firing at this instant is too soon after the latest one.
    pub(super) fn is_cooling(&self, cooldown: Duration, at: Millis) -> bool {
        let latest = self.firings.iter().map(|firing| firing.at).filter(|at| self.lets_through(*at)).max();
        cooldown > 0 && latest.is_some_and(|latest| at < latest.saturating_add(cooldown))
    }

    /// The latest firing of an item at this very instant.
    pub(super) fn fired_at(&self, item: &str, at: Millis) -> Option<&Firing> {
        self.firings.iter().find(|firing| firing.at == at && *firing.item == *item)
    }

    /// Notes a firing, and tells how many others there were of this item at this instant.
    pub(super) fn fire(&mut self, item: &str, at: Millis) -> u32 {
        if let Some(firing) = self.firings.iter_mut().find(|firing| firing.at == at && *firing.item == *item) {
            firing.refire += 1;
            return firing.refire;
        }
        let place = self.firings.partition_point(|firing| firing.at <= at);
        self.firings.insert(place, Firing { item: item.into(), at, refire: 0 });
        0
    }

    /// Whether the rule was there before this instant.
    pub(super) fn lets_through(&self, at: Millis) -> bool {
        self.gate.is_none_or(|gate| gate < at)
    }
}
