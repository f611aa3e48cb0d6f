//! What the seeds came to, so that they do not quietly stop testing anything.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Reached(BTreeMap<&'static str, u64>);

impl Reached {
    pub fn add(&mut self, what: &'static str) {
        self.add_many(what, 1);
    }

    pub fn add_many(&mut self, what: &'static str, many: u64) {
        if many > 0 {
            *self.0.entry(what).or_default() += many;
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (what, many) in &other.0 {
            self.add_many(what, *many);
        }
    }

    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }
}

impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(what, many)| writeln!(f, "{many:>12}  {what}"))
    }
}
