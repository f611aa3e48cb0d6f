//! What is another between two rule sets, as people see it. What it does to alerts, the engine knows.

use std::collections::BTreeMap;

use tocsin_core::rule::{Rule, RuleSet};

/// Ids of rules, each in the order of the set that they are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub new: Vec<Box<str>>,
    pub gone: Vec<Box<str>>,
    /// They decide otherwise: another version.
    pub changed: Vec<Box<str>>,
    /// They decide alike, and say it otherwise: texts, labels, recipients, tasks, names of values.
    pub texts: Vec<Box<str>>,
    /// Rules of both sets are judged in another order.
    pub reordered: bool,
}

impl Changes {
    /// From one set to the next.
    #[must_use]
    pub fn between(old: &RuleSet, new: &RuleSet) -> Self {
        let (before, after) = (by_id(old), by_id(new));
        let mut changes = Self::default();
        for rule in &new.rules {
            match before.get(&rule.id) {
                None => changes.new.push(rule.id.clone()),
                Some(old) if old.version != rule.version => changes.changed.push(rule.id.clone()),
                Some(old) if says_otherwise(old, rule) => changes.texts.push(rule.id.clone()),
                Some(_) => {}
            }
        }
        let gone = old.rules.iter().filter(|rule| !after.contains_key(&rule.id));
        changes.gone = gone.map(|rule| rule.id.clone()).collect();
        let common = |of: &'_ RuleSet, other: &BTreeMap<_, _>| -> Vec<Box<str>> {
            of.rules.iter().map(|rule| rule.id.clone()).filter(|id| other.contains_key(id)).collect()
        };
        changes.reordered = common(old, &after) != common(new, &before);
        changes
    }

    /// Whether nothing that anybody could see is another.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn by_id(set: &RuleSet) -> BTreeMap<Box<str>, &Rule> {
    set.rules.iter().map(|rule| (rule.id.clone(), &**rule)).collect()
}

fn says_otherwise(old: &Rule, new: &Rule) -> bool {
    let names = |rule: &Rule| rule.lets.iter().map(|named| named.name.clone()).collect::<Vec<_>>();
    old.presentation != new.presentation || old.description != new.description || names(old) != names(new)
}
