//! Checkpoints that wait to be uploaded: at most one for each partition, the newest.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::manifest::Facts;

/// A checkpoint on this disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub facts: Facts,
    /// Belongs to it alone, and is removed when it is of no more use.
    pub directory: PathBuf,
}

/// In the order in which they came; one that is replaced keeps the place.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Taken>,
}

impl Queue {
    /// Adds one; returns the one that it replaces, if the same partition's had not been uploaded yet.
    pub fn put(&mut self, taken: Taken) -> Option<Taken> {
        if let Some(place) = self.position(taken.facts.partition) {
            return Some(std::mem::replace(&mut self.waiting[place], taken));
        }
        self.waiting.push_back(taken);
        None
    }

    pub fn next(&mut self) -> Option<Taken> {
        self.waiting.pop_front()
    }

    /// Puts one back that could not be uploaded; returns it if a newer one has come meanwhile.
    pub fn put_back(&mut self, taken: Taken) -> Option<Taken> {
        if self.position(taken.facts.partition).is_some() {
            return Some(taken);
        }
        // Behind the others: one that fails for a reason of its own must not hold them up.
        self.waiting.push_back(taken);
        None
    }

    pub fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        self.waiting.iter().map(|taken| &taken.directory)
    }

    fn position(&self, partition: i32) -> Option<usize> {
        self.waiting.iter().position(|waiting| waiting.facts.partition == partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::manifest::RulesInForce;

    fn taken(partition: i32, journal_sequence: i64) -> Taken {
        let facts = Facts {
            application: "care".to_owned(),
            topic: "events".to_owned(),
            partition,
            journal_offset: 0,
            journal_sequence,
            inputs: std::collections::BTreeMap::new(),
            watermark: None,
            rules: RulesInForce::default(),
            semantics: 1,
            context: String::new(),
        };
        Taken { facts, directory: PathBuf::from(format!("{partition}-{journal_sequence}")) }
    }

    #[test]
    fn one_waits_for_each_partition_the_newest() {
        let mut queue = Queue::default();
        assert_eq!(queue.put(taken(0, 1)), None);
        assert_eq!(queue.put(taken(1, 1)), None);
        assert_eq!(queue.put(taken(0, 2)), Some(taken(0, 1)));
        assert_eq!(queue.directories().count(), 2);
        assert_eq!(queue.next(), Some(taken(0, 2)), "it keeps the place of the one it replaced");
        assert_eq!(queue.put_back(taken(0, 2)), None);
        assert_eq!(queue.next(), Some(taken(1, 1)), "one that failed goes behind the others");
        assert_eq!(queue.put(taken(1, 2)), None);
        assert_eq!(queue.put_back(taken(1, 1)), Some(taken(1, 1)), "a newer one has come");
        assert_eq!([queue.next(), queue.next(), queue.next()], [Some(taken(0, 2)), Some(taken(1, 2)), None]);
    }
}
