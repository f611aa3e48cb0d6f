//! Where a recomputation begins and ends, and what of a partition cannot be judged.

use std::ops::Range;

use tocsin_core::time::Millis;

use super::survey::{Link, Survey};
use crate::task::world::Offset;

/// A store to begin with, as it stood behind a journal record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// How [`super::Bases::open`] knows it.
    pub name: String,
    /// Of that journal record.
    pub journal_offset: Offset,
    pub journal_sequence: i64,
    /// Next offset of each input topic.
    pub next: Vec<Offset>,
}

/// Where a recomputation begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Before the first journal record, at these offsets of the input topics.
    Beginning(Vec<Offset>),
    Base(Base),
}

/// What is to be done with a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// `None`: nothing can be recomputed, or there is nothing.
    pub start: Option<Start>,
    /// Journal records that are done again.
    pub replayed: Range<Offset>,
    /// Those of them whose outcome is judged; the others only explain what is found.
    pub judged: Range<Offset>,
    /// Whether more follows that cannot be done again.
    pub is_cut: bool,
    /// What cannot be judged, and why.
    pub hidden: Vec<String>,
}

/// What outputs of a partition the recomputation explains, by when they were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Only later ones; `None`: from the beginning.
    pub after: Option<Millis>,
    /// Only up to here; `None`: up to the end.
    pub until: Option<Millis>,
    /// None at all.
    pub shut: bool,
}

impl Window {
    #[must_use]
    pub fn contains(&self, at: Millis) -> bool {
        !self.shut && self.after.is_none_or(|after| at > after) && self.until.is_none_or(|until| at <= until)
    }

    /// What both contain.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let until = [self.until, other.until].into_iter().flatten().min();
        Self { after: self.after.max(other.after), until, shut: self.shut || other.shut }
    }
}

/// What is known of the log of a partition.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub survey: &'a Survey,
    /// Journal offsets that are audited.
    pub journal: &'a Range<Offset>,
    /// The first event that is kept, of each input topic.
    pub events: &'a [Offset],
    /// Names of the input topics.
    pub topics: &'a [String],
}

impl Plan {
    /// Makes the most of what there is. `bases` are in the order of their positions.
    #[must_use]
    pub fn make(known: Known<'_>, bases: &[Base]) -> Self {
        let Known { survey, journal, .. } = known;
        let (Some(first), Some(last)) = (&survey.first, &survey.last) else {
            let gone = (journal.start > 0).then(|| "all of its journal is gone: retention has taken it".to_owned());
            return Self { hidden: gone.into_iter().collect(), ..Self::default() };
        };
        let wanted = survey.span.0.unwrap_or(journal.end);
        let (end, judged_end) = (survey.beyond.unwrap_or(journal.end), survey.span.1.unwrap_or(journal.end));
        let foreign = survey.first_foreign.filter(|foreign| *foreign < end);
        let own = foreign.map_or(0, |_| survey.own_from.unwrap_or(last.offset + 1));
        let (early, late): (Vec<_>, Vec<_>) = starts(known, first, bases).partition(|start| start.after() <= wanted);
        // The latest one before what is wanted; else the earliest, and what lies before it is hidden.
        let is_own = |start: &&Start| start.after() >= own;
        let whole = early.iter().rfind(is_own).or_else(|| late.iter().find(is_own));
        // If none leads to the end: one that leads as far as our context goes.
        let part = || {
            let foreign = foreign?;
            early.iter().rfind(|start| start.after() < foreign).map(|start| (start, foreign))
        };
        let (start, cut) = match (whole, part()) {
            (Some(start), _) => (start, None),
            (None, Some((start, foreign))) => (start, Some(foreign)),
            (None, None) => return Self { hidden: vec![why_not(known, first)], ..Self::default() },
        };
        let begins = start.after().max(journal.start);
        let end = cut.unwrap_or(end).max(begins);
        let judged_begins = wanted.max(begins);
        let mut hidden = Vec::new();
        if let (true, Start::Base(base)) = (begins > wanted.max(first.offset), start) {
            hidden.push(format!("{}; it is judged from {} on", why_not(known, first), base.name));
        }
        if let Some(foreign) = cut {
            hidden.push(format!(
                "its journal goes on at offset {foreign} under other schemas or settings, or another version's semantics"
            ));
        }
        Self {
            start: Some(start.clone()),
            replayed: begins..end,
            judged: judged_begins..judged_end.min(end).max(judged_begins),
            is_cut: cut.is_some(),
            hidden,
        }
    }
}

impl Start {
    /// Offset of each input topic at which it goes on.
    #[must_use]
    pub fn next(&self) -> &[Offset] {
        match self {
            Self::Beginning(next) => next,
            Self::Base(base) => &base.next,
        }
    }

    /// The first journal offset that is not in it.
    fn after(&self) -> Offset {
        match self {
            Self::Beginning(_) => 0,
            Self::Base(base) => base.journal_offset + 1,
        }
    }
}

/// Where the journal begins in each input topic.
fn begins(known: Known<'_>, first: &Link) -> Option<Vec<Offset>> {
    known.topics.iter().map(|topic| first.from.next(topic)).collect()
}

/// Those from which the log goes on without a gap, in order.
fn starts<'a>(known: Known<'a>, first: &'a Link, bases: &'a [Base]) -> impl Iterator<Item = Start> + 'a {
    let is_kept = move |next: &[Offset]| next.iter().zip(known.events).all(|(next, first)| next >= first);
    let beginning = begins(known, first).filter(|next| first.sequence == 1 && is_kept(next));
    let goes_on = move |base: &&Base| {
        let journal_goes_on = base.journal_offset >= first.offset || base.journal_sequence + 1 == first.sequence;
        journal_goes_on && is_kept(&base.next) && base.journal_offset < known.journal.end
    };
    beginning.map(Start::Beginning).into_iter().chain(bases.iter().filter(goes_on).cloned().map(Start::Base))
}

/// Why a recomputation cannot begin at the beginning.
fn why_not(known: Known<'_>, first: &Link) -> String {
    let at = super::report::instant(first.committed_at);
    match begins(known, first) {
        _ if first.sequence != 1 => {
            format!(
                "its journal begins at record number {}, committed at {at}: retention has taken those before",
                first.sequence
            )
        }
        None => format!("its journal is of another topic than `{}`", known.topics.join("`, `")),
        Some(next) => match next.iter().zip(known.events).find(|(next, first)| next < first) {
            Some((next, first)) => format!("its events from offset {next} to {first} are gone"),
            None => "it was begun under other schemas or settings".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::journal::{Position, TopicOffset};

    const TOPIC: &str = "events";

    fn position(next: Offset) -> Position {
        Position { offsets: vec![TopicOffset { topic: TOPIC.to_owned(), next }], ..Position::default() }
    }

    /// A journal whose record number n has the offset 2 n and the events from 10 (n - 1) on.
    fn survey(first: i64, last: i64) -> Survey {
        let link = |sequence: i64| Link {
            offset: 2 * sequence,
            sequence,
            committed_at: 0,
            from: position(10 * (sequence - 1)),
            to: position(10 * sequence),
        };
        let own_from = Some(2 * first);
        let span = (Some(2 * first), None);
        Survey { first: Some(link(first)), last: Some(link(last)), span, own_from, ..Survey::default() }
    }

    fn base(sequence: i64) -> Base {
        let name = format!("checkpoint {sequence}");
        Base { name, journal_offset: 2 * sequence, journal_sequence: sequence, next: vec![10 * sequence] }
    }

    fn plan(survey: &Survey, journal: Range<Offset>, events: Offset, bases: &[i64]) -> Plan {
        let bases: Vec<_> = bases.iter().map(|sequence| base(*sequence)).collect();
        let topics = [TOPIC.to_owned()];
        Plan::make(Known { survey, journal: &journal, events: &[events], topics: &topics }, &bases)
    }

    fn check(plan: &Plan, start: &Start, replayed: Range<Offset>, judged: Range<Offset>, hidden: &[&str]) {
        assert_eq!((plan.start.as_ref(), &plan.replayed, &plan.judged), (Some(start), &replayed, &judged));
        assert_eq!(plan.hidden.len(), hidden.len(), "{:?}", plan.hidden);
        for (why, part) in plan.hidden.iter().zip(hidden) {
            assert!(why.contains(part), "{why}");
        }
    }

    #[test]
    fn it_begins_at_the_beginning_if_that_is_there() {
        check(&plan(&survey(1, 9), 0..20, 0, &[4]), &Start::Beginning(vec![0]), 0..20, 2..20, &[]);
        assert_eq!(plan(&Survey::default(), 0..0, 0, &[]), Plan::default());
        assert_eq!(plan(&Survey::default(), 5..5, 0, &[]).hidden.len(), 1);
    }

    #[test]
    fn it_begins_at_the_last_base_before_what_is_wanted() {
        let mut survey = survey(1, 9);
        (survey.span, survey.beyond) = ((Some(12), Some(16)), Some(18));
        let all = [2, 4, 5, 6];
        check(&plan(&survey, 0..20, 0, &all), &Start::Base(base(5)), 11..18, 12..16, &[]);
        check(&plan(&survey, 0..20, 0, &[]), &Start::Beginning(vec![0]), 0..18, 12..16, &[]);
        // A span in which nothing was committed.
        survey.span = (Some(12), Some(12));
        check(&plan(&survey, 0..20, 0, &all), &Start::Base(base(5)), 11..18, 12..12, &[]);
    }

    #[test]
    fn what_lies_before_the_first_usable_base_is_hidden() {
        // The one right before the first record that is left hides nothing that is not gone.
        check(&plan(&survey(4, 9), 8..20, 0, &[2, 3, 6]), &Start::Base(base(3)), 8..20, 8..20, &[]);
        check(
            &plan(&survey(4, 9), 8..20, 0, &[2, 6]),
            &Start::Base(base(6)),
            13..20,
            13..20,
            &["begins at record number 4"],
        );
        check(&plan(&survey(1, 9), 0..20, 45, &[2, 4, 5]), &Start::Base(base(5)), 11..20, 11..20, &["offset 0 to 45"]);
        let none = plan(&survey(4, 9), 8..20, 0, &[2]);
        assert_eq!((none.start, none.hidden.len()), (None, 1));
        // One from another journal, behind its end.
        assert_eq!(plan(&survey(4, 9), 8..20, 0, &[30]).start, None);
    }

    #[test]
    fn records_made_under_other_settings_are_hidden() {
        let mut survey = survey(1, 9);
        (survey.first_foreign, survey.own_from) = (Some(2), Some(8));
        check(&plan(&survey, 0..20, 0, &[2, 3, 5]), &Start::Base(base(5)), 11..20, 11..20, &["other schemas"]);
        let nothing = plan(&survey, 0..20, 0, &[2]);
        check(&nothing, &Start::Beginning(vec![0]), 0..2, 2..2, &["goes on at offset 2"]);
        (survey.first_foreign, survey.own_from) = (Some(8), None);
        let cut = plan(&survey, 0..20, 0, &[2]);
        check(&cut, &Start::Beginning(vec![0]), 0..8, 2..8, &["goes on at offset 8"]);
        assert!(cut.is_cut);
        // What is not asked for does not matter.
        (survey.span, survey.beyond) = ((Some(4), Some(6)), Some(8));
        check(&plan(&survey, 0..20, 0, &[]), &Start::Beginning(vec![0]), 0..8, 4..6, &[]);
    }
}
