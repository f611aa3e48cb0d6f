//! Does a journal record follow on the one before? Each begins where the last one ended and has the next number; a
//! record that is missing, came twice or is of another journal breaks that.

use tocsin_core::time::Millis;

use super::{JournalRecord, Position};
use crate::codec::timestamp;

/// The records of one partition, as far as they have been looked at, in the order of the log.
#[derive(Clone, Debug)]
pub struct Chain {
    application: String,
    partition: i32,
    /// Where the last one ended.
    last: Option<(i64, Position)>,
}

impl Chain {
    #[must_use]
    pub fn new(application: &str, partition: i32) -> Self {
        Self { application: application.to_owned(), partition, last: None }
    }

    /// What is wrong with the next record, in sentences without their full stops; empty if it follows. The chain goes on
    /// from it in any case. Of the first record nothing is known that it should follow on.
    pub fn follow(&mut self, record: &JournalRecord) -> Vec<String> {
        let mut wrong = Vec::new();
        if record.application != self.application {
            wrong.push(format!("it is of the application `{}`, not `{}`", record.application, self.application));
        }
        if record.partition != self.partition {
            wrong.push(format!("it is of partition {}, not {}", record.partition, self.partition));
        }
        if let Some((sequence, to)) = &self.last {
            wrong.extend(misnumbered(*sequence, record.sequence));
            wrong.extend(displaced(to, &record.from));
        }
        self.last = Some((record.sequence, record.to.clone()));
        wrong
    }
}

fn misnumbered(last: i64, found: i64) -> Option<String> {
    match found - last {
        1 => None,
        2 => Some(format!("it is number {found} after number {last}: number {} is missing", last + 1)),
        ahead if ahead > 2 => {
            Some(format!("it is number {found} after number {last}: numbers {} to {} are missing", last + 1, found - 1))
        }
        _ => Some(format!("it is number {found} after number {last}: it was written again")),
    }
}

fn displaced(to: &Position, from: &Position) -> Option<String> {
    if to == from {
        return None;
    }
    let mut differences = Vec::new();
    if to.offsets != from.offsets {
        differences.push(format!("offsets {} and not {}", offsets(from), offsets(to)));
    }
    if to.watermark != from.watermark {
        differences.push(format!("watermark {} and not {}", instant(from.watermark), instant(to.watermark)));
    }
    if to.rules != from.rules {
        differences.push(format!("generation {} of the rules and not {}", from.rules, to.rules));
    }
    if to.sweep != from.sweep {
        differences.push(format!("sweep {} and not {}", sweep(from), sweep(to)));
    }
    Some(format!("it does not begin where the one before ended: {}", differences.join(", ")))
}

fn instant(at: Option<Millis>) -> String {
    let Some(at) = at else { return "none".to_owned() };
    let mut text = Vec::new();
    timestamp::write(&mut text, at);
    String::from_utf8_lossy(&text).into_owned()
}

fn sweep(position: &Position) -> String {
    position.sweep.as_ref().map_or("none".to_owned(), |customer| format!("up to `{customer}`"))
}

fn offsets(position: &Position) -> String {
    let offsets = position.offsets.iter().map(|offset| format!("{} {}", offset.topic, offset.next));
    offsets.collect::<Vec<_>>().join(", ")
}
