//! The journal read on its own, before anything is recomputed: is it one chain, and which part of it is asked for?

use std::fmt::Write;

use tocsin_core::time::Millis;

use crate::codec::journal::{JournalRecord, Position};
use crate::task::world::Offset;

/// The time that is audited, by the wall clock at which transactions were committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub from: Option<Millis>,
    pub until: Option<Millis>,
}

impl Span {
    #[must_use]
    pub fn is_before(&self, at: Millis) -> bool {
        self.from.is_some_and(|from| at < from)
    }

    #[must_use]
    pub fn is_after(&self, at: Millis) -> bool {
        self.until.is_some_and(|until| at > until)
    }

    #[must_use]
    pub fn contains(&self, at: Millis) -> bool {
        !self.is_before(at) && !self.is_after(at)
    }
}

/// A journal record, as far as its neighbours must fit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub offset: Offset,
    pub sequence: i64,
    pub committed_at: Millis,
    pub from: Position,
    pub to: Position,
}

/// What is known of a partition's journal after it has been read once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    pub records: u64,
    pub first: Option<Link>,
    pub last: Option<Link>,
    /// The first record in the span that is asked for, and the first one behind it.
    pub span: (Option<Offset>, Option<Offset>),
    /// The first record whose transactions cannot have to do with the span any more.
    pub beyond: Option<Offset>,
    /// The first record made under another context than ours.
    pub first_foreign: Option<Offset>,
    /// From here on all records were made under our context.
    pub own_from: Option<Offset>,
}

/// What a survey is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub application: &'a str,
    pub partition: i32,
    /// Partitions of each input topic.
    pub partitions: i32,
    /// [`crate::codec::journal::Context::hash`] of ours.
    pub context: u64,
    pub span: Span,
    /// How long after its output was found a transaction may be committed, at most.
    pub longest_commit: Millis,
}

impl Survey {
    /// Adds the next record; returns what is wrong with its place, if something is.
    pub fn add(&mut self, offset: Offset, record: &JournalRecord, question: &Question<'_>) -> Option<String> {
        let wrong = self.objection(record, question);
        let link = Link {
            offset,
            sequence: record.sequence,
            committed_at: record.committed_at,
            from: record.from.clone(),
            to: record.to.clone(),
        };
        self.records += 1;
        let (span, at) = (question.span, record.committed_at);
        if self.span.0.is_none() && !span.is_before(at) {
            self.span.0 = Some(offset);
        }
        if self.span.1.is_none() && span.is_after(at) {
            self.span.1 = Some(offset);
        }
        if self.beyond.is_none() && span.is_after(at - question.longest_commit) {
            self.beyond = Some(offset);
        }
        if record.context == question.context {
            self.own_from = self.own_from.or(Some(offset));
        } else {
            self.own_from = None;
            self.first_foreign = self.first_foreign.or(Some(offset));
        }
        self.first = self.first.take().or_else(|| Some(link.clone()));
        self.last = Some(link);
        wrong
    }

    fn objection(&self, record: &JournalRecord, question: &Question<'_>) -> Option<String> {
        if record.application != question.application || record.partition != question.partition {
            return Some(format!("is of partition {} of the application {}", record.partition, record.application));
        }
        if record.partitions != question.partitions {
            return Some(format!(
                "was made when each input topic had {} partitions, and now it has {}: its keys lie elsewhere than their state",
                record.partitions, question.partitions
            ));
        }
        let last = self.last.as_ref()?;
        if record.sequence != last.sequence + 1 {
            let what = if record.sequence > last.sequence { "records are missing" } else { "it was written twice" };
            return Some(format!(
                "is number {}, and the one before it is number {}: {what}",
                record.sequence, last.sequence
            ));
        }
        (record.from != last.to)
            .then(|| format!("begins at {}, and the one before it ends at {}", place(&record.from), place(&last.to)))
    }
}

/// A place in the log, for people.
#[must_use]
pub fn place(position: &Position) -> String {
    let offsets: Vec<_> = position.offsets.iter().map(|offset| format!("{} {}", offset.topic, offset.next)).collect();
    let mut text = offsets.join(", ");
    match position.watermark {
        Some(watermark) => _ = write!(text, ", watermark {}", super::report::instant(watermark)),
        None => text.push_str(", no watermark"),
    }
    _ = write!(text, ", rules {}", position.rules);
    if let Some(customer) = &position.sweep {
        _ = write!(text, ", sweep at `{customer}`");
    }
    text
}
