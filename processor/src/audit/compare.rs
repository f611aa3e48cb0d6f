//! One expected record against what was published under its key, and what was published without being expected.

use tocsin_core::time::Millis;

use super::index::Entry;
use super::plan::Window;
use super::survey::Span;
use crate::codec::alert::AlertForm;
use crate::task::world::{Offset, PartitionId};

/// How much the clocks of brokers and processes may differ: at more, nothing is published by the clock anyway.
const CLOCKS: Millis = 60_000;

/// What became of an expected record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub standing: Standing,
    /// How many more there are than the one.
    pub extra: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Equal,
    /// None is equal; the first of them is to be shown.
    Different,
    Missing,
}

/// Compares an expected record with what was published under its key. `digest` is what one must have in a form.
pub fn verdict(entries: &[Entry], span: Span, mut digest: impl FnMut(AlertForm) -> u128) -> Verdict {
    // Whoever asks about a span knows why there was something before it: an earlier application on the same topics.
    let mut counted: Vec<_> = entries.iter().filter(|entry| !span.is_before(entry.detected_at)).collect();
    if counted.is_empty() {
        // At the border of the span it may have been found just before it.
        counted = entries.iter().rev().take(1).collect();
    }
    let standing = match counted.iter().any(|entry| entry.digest == digest(entry.form)) {
        _ if counted.is_empty() => Standing::Missing,
        true => Standing::Equal,
        false => Standing::Different,
    };
    Verdict { standing, extra: counted.len().saturating_sub(1) }
}

/// What is to be said of a published record that nothing explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// It may be of a transaction that came after what is audited.
    Newer,
    /// It was not asked for.
    OutOfSpan,
    /// It may be of a part that cannot be judged.
    Hidden,
    /// Nobody ever found it.
    Unexplained,
}

/// `sure`: what lies before is explained by what is audited. `window`: what is explained, of the partition it comes from.
/// At the borders of both, clocks decide; so what lies close to them counts as outside.
#[must_use]
pub fn leftover(entry: &Entry, sure: Offset, span: Span, window: Window) -> Leftover {
    let times = [entry.detected_at - CLOCKS, entry.detected_at + CLOCKS];
    if entry.offset >= sure {
        Leftover::Newer
    } else if !times.iter().all(|at| span.contains(*at)) {
        Leftover::OutOfSpan
    } else if !times.iter().all(|at| window.contains(*at)) {
        Leftover::Hidden
    } else {
        Leftover::Unexplained
    }
}

/// What the retention of an output topic may have taken.
#[derive(Clone, Debug, Default)]
pub struct Retained {
    pub partitions: Vec<Kept>,
    /// Records lie in other partitions than their keys belong to: there were fewer partitions once.
    pub moved: bool,
}

/// What is left of a partition of an output topic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept {
    pub first: Offset,
    /// Timestamp of the first record that is left.
    pub oldest: Option<Millis>,
}

impl Retained {
    /// Whether what was published at this time may be gone. `partition`: where it was, if that is known.
    #[must_use]
    pub fn may_hide(&self, partition: Option<PartitionId>, at: Millis) -> bool {
        let gone = |kept: &Kept| kept.first > 0 && kept.oldest.is_none_or(|oldest| at <= oldest + CLOCKS);
        match partition.filter(|_| !self.moved).and_then(|partition| self.partitions.get(partition as usize)) {
            Some(kept) => gone(kept),
            None => self.partitions.iter().any(gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::Key;
    use super::*;

    const EVERYTHING: Span = Span { from: None, until: None };

    fn entry(offset: Offset, digest: u128, detected_at: Millis) -> Entry {
        let key = Key { id: 1, sequence: 0 };
        Entry { key, partition: 0, offset, form: AlertForm::Json, digest, detected_at, home: None }
    }

    fn check(entries: &[Entry], span: Span, standing: Standing, extra: usize) {
        let digest = |form| if form == AlertForm::Json { 7 } else { 8 };
        assert_eq!(verdict(entries, span, digest), Verdict { standing, extra }, "{entries:?}");
    }

    #[test]
    fn an_expected_record_is_equal_different_missing_or_doubled() {
        let avro = Entry { form: AlertForm::Avro, ..entry(0, 8, 0) };
        check(&[], EVERYTHING, Standing::Missing, 0);
        check(&[entry(0, 7, 0)], EVERYTHING, Standing::Equal, 0);
        check(&[avro], EVERYTHING, Standing::Equal, 0);
        check(&[entry(0, 8, 0)], EVERYTHING, Standing::Different, 0);
        check(&[entry(0, 7, 0), entry(1, 7, 1)], EVERYTHING, Standing::Equal, 1);
        check(&[entry(0, 9, 0), entry(1, 7, 1)], EVERYTHING, Standing::Equal, 1);
        check(&[entry(0, 9, 0), entry(1, 9, 1), entry(2, 6, 2)], EVERYTHING, Standing::Different, 2);
    }

    #[test]
    fn what_was_there_before_the_span_does_not_count_as_doubled() {
        let span = Span { from: Some(100), until: None };
        check(&[entry(0, 7, 50), entry(1, 7, 100)], span, Standing::Equal, 0);
        check(&[entry(0, 7, 50), entry(1, 7, 100)], EVERYTHING, Standing::Equal, 1);
        check(&[entry(0, 7, 50)], span, Standing::Equal, 0);
    }

    #[test]
    fn what_nothing_explains_is_wrong_unless_it_is_new_or_cannot_be_judged() {
        const MINUTES: Millis = 60_000;
        let window = Window { after: Some(10 * MINUTES), until: Some(20 * MINUTES), shut: false };
        let check = |offset, at, span, window, expected| {
            assert_eq!(leftover(&entry(offset, 7, at), 5, span, window), expected, "{offset} {at}");
        };
        let all = Window::default();
        check(4, 0, EVERYTHING, all, Leftover::Unexplained);
        check(5, 0, EVERYTHING, all, Leftover::Newer);
        check(0, 11 * MINUTES, EVERYTHING, window, Leftover::Hidden);
        check(0, 11 * MINUTES + 1, EVERYTHING, window, Leftover::Unexplained);
        check(0, 19 * MINUTES + 1, EVERYTHING, window, Leftover::Hidden);
        check(0, 15 * MINUTES, EVERYTHING, Window { shut: true, ..window }, Leftover::Hidden);
        let span = Span { from: Some(12 * MINUTES), until: Some(18 * MINUTES) };
        check(0, 13 * MINUTES - 1, span, all, Leftover::OutOfSpan);
        check(0, 17 * MINUTES + 1, span, all, Leftover::OutOfSpan);
        check(0, 17 * MINUTES, span, all, Leftover::Unexplained);
        assert_eq!(
            window.and(Window { after: Some(15 * MINUTES), until: None, shut: false }),
            Window { after: Some(15 * MINUTES), ..window }
        );
    }

    #[test]
    fn retention_hides_what_is_older_than_what_is_left() {
        let kept = |first, oldest| Kept { first, oldest };
        let mut retained =
            Retained { partitions: vec![kept(0, Some(900_000)), kept(7, Some(900_000)), kept(3, None)], moved: false };
        assert!(!retained.may_hide(Some(0), 0), "its beginning is there");
        assert!(retained.may_hide(Some(1), 900_000 + CLOCKS));
        assert!(!retained.may_hide(Some(1), 900_001 + CLOCKS));
        assert!(retained.may_hide(Some(2), 1_000_000_000), "nothing is left of it");
        assert!(retained.may_hide(None, 0), "it may have been in any");
        retained.partitions.pop();
        assert!(!retained.may_hide(None, 1_000_000_000));
        retained.moved = true;
        assert!(retained.may_hide(Some(0), 0), "it may have been in another partition");
    }
}
