//! An audit from its beginning to its end.

use std::ops::{ControlFlow, Range};

use tocsin_core::time::Millis;

use super::compare::{Kept, Leftover, Retained, leftover};
use super::ends::{Ends, Output};
use super::index::{Entry, HELD_BYTES, Index, Key};
use super::logs::{Logs, Topic};
use super::plan::{Known, Plan, Window};
use super::report::{Finding, PartitionReport, Problem, Report, Subject, instant};
use super::seen::{Owned, letter_key, letter_topic, name_of, output_finding, place_of};
use super::survey::{Question, Span, Survey};
use super::{Asked, AuditError, Bases};
use crate::codec::alert::{AlertForm, PublishedAlert};
use crate::codec::journal::JournalRecord;
use crate::task::outbox::LETTER_TOPIC;
use crate::task::world::{Input, Offset, PartitionId, Source, TopicId, WorldError};
use crate::task::{Events, Shared};

/// Offsets read between two looks at whether to go on.
const CHUNK: Offset = 2_000;

/// How far an audit has come, in offsets of all kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub doing: &'static str,
    pub done: u64,
    pub total: u64,
}

/// Told now and then; whether to go on.
pub type Watch<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Audits an application up to these ends.
///
/// # Errors
/// What kept it from coming to an outcome. That something is wrong with what was published is no error.
pub fn run<L: Logs, B: Bases>(
    shared: &Shared,
    logs: &mut L,
    bases: &mut B,
    ends: &Ends,
    asked: &Asked,
    watch: Watch<'_>,
) -> Result<Report, AuditError> {
    let mut audit = Audit::new(shared, logs, bases, ends, asked, watch)?;
    let plans = audit.survey()?;
    audit.read_alerts()?;
    audit.read_letters()?;
    for (partition, plan) in plans.iter().enumerate() {
        audit.recount(partition as PartitionId, plan)?;
    }
    audit.leftover_alerts()?;
    audit.leftover_letters()?;
    audit.report.conclude();
    Ok(audit.report)
}

pub(super) struct Audit<'a, L, B: Bases> {
    pub shared: &'a Shared,
    pub logs: &'a mut L,
    pub bases: &'a mut B,
    pub ends: &'a Ends,
    pub asked: &'a Asked,
    pub span: Span,
    pub meter: Meter<'a>,
    pub alerts: Index<B::Store>,
    pub letters: Index<B::Store>,
    pub kept_alerts: Retained,
    pub kept_letters: Retained,
    /// What is explained of each partition.
    pub windows: Vec<Window>,
    /// The events of each partition that were judged again, by topic.
    pub inputs: Vec<Vec<Range<Offset>>>,
    pub report: Report,
}

/// Counts what is done.
pub(super) struct Meter<'a> {
    progress: Progress,
    untold: u64,
    watch: Watch<'a>,
}

impl Meter<'_> {
    pub fn begin(&mut self, doing: &'static str) -> Result<(), AuditError> {
        self.progress.doing = doing;
        self.tell()
    }

    pub fn expect(&mut self, units: Offset) {
        self.progress.total += units.max(0) as u64;
    }

    pub fn tell(&mut self) -> Result<(), AuditError> {
        self.untold = 0;
        match (self.watch)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(AuditError::Stopped),
        }
    }

    fn add(&mut self, units: Offset) {
        let units = units.max(0) as u64;
        self.progress.done += units;
        self.untold += units;
    }

    /// From within a long step, which goes on even if it is to stop.
    fn count_event(&mut self) {
        self.add(1);
        if self.untold >= CHUNK as u64 {
            drop(self.tell());
        }
    }
}

/// Events on their way to being judged again, counted.
pub(super) struct Counted<'c, 'a, L> {
    pub logs: &'c mut L,
    pub meter: &'c mut Meter<'a>,
    pub events: u64,
}

impl<L: Logs> Events for Counted<'_, '_, L> {
    fn again(
        &mut self,
        source: Source,
        from: Offset,
        to: Offset,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), WorldError> {
        let Self { logs, meter, events } = self;
        logs.again(source, from, to, &mut |input| {
            *events += 1;
            meter.count_event();
            each(input);
        })
    }
}

impl<'a, L: Logs, B: Bases> Audit<'a, L, B> {
    fn new(
        shared: &'a Shared,
        logs: &'a mut L,
        bases: &'a mut B,
        ends: &'a Ends,
        asked: &'a Asked,
        watch: Watch<'a>,
    ) -> Result<Self, AuditError> {
        // An eighth of what the customers may take.
        let room = shared.cached_bytes / 8 / HELD_BYTES;
        let (alerts, letters) = (Index::new(bases.scratch()?, room), Index::new(bases.scratch()?, room / 8));
        let partition = |partition| PartitionReport { partition, ..PartitionReport::default() };
        let report = Report {
            application: shared.application.clone(),
            as_of: instant(ends.as_of),
            from: asked.from.map(instant),
            until: asked.until.map(instant),
            partitions: (0..ends.journal.len() as PartitionId).map(partition).collect(),
            ..Report::default()
        };
        let progress = Progress { doing: "", done: 0, total: 0 };
        let kept = |outputs: &[Output]| {
            let partitions = outputs.iter().map(|output| Kept { first: output.first, oldest: None }).collect();
            Retained { partitions, moved: false }
        };
        Ok(Self {
            shared,
            logs,
            bases,
            ends,
            asked,
            span: Span { from: asked.from, until: asked.until },
            meter: Meter { progress, untold: 0, watch },
            alerts,
            letters,
            kept_alerts: kept(&ends.alerts),
            kept_letters: kept(&ends.dead_letters),
            windows: vec![Window::default(); ends.journal.len()],
            inputs: vec![vec![0..Offset::MAX; shared.topics.len()]; ends.journal.len()],
            report,
        })
    }

    /// Notes something that is wrong; the first of them are told one by one.
    pub fn find(&mut self, finding: Finding) {
        if self.has_room() {
            self.report.findings.push(finding);
        }
    }

    /// Whether a further finding would be told.
    pub fn has_room(&self) -> bool {
        self.report.findings.len() < self.asked.show
    }

    /// Reads a stretch of a topic, piece by piece.
    pub fn read(
        &mut self,
        topic: Topic,
        partition: PartitionId,
        within: Range<Offset>,
        mut each: impl FnMut(&mut Self, Offset, Owned) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let mut from = within.start;
        while from < within.end {
            let to = within.end.min(from + CHUNK);
            let mut records = Vec::new();
            self.logs.read(topic, partition, from..to, &mut |seen| records.push((seen.offset, Owned::of(seen))))?;
            for (offset, record) in records {
                each(self, offset, record)?;
            }
            self.meter.add(to - from);
            self.meter.tell()?;
            from = to;
        }
        Ok(())
    }

    /// Reads the journal, and decides what can be done with each partition.
    fn survey(&mut self) -> Result<Vec<Plan>, AuditError> {
        for journal in &self.ends.journal {
            // Once here, once for the recomputation.
            self.meter.expect(2 * (journal.end - journal.start));
        }
        for output in self.ends.alerts.iter().chain(&self.ends.dead_letters) {
            self.meter.expect(output.end - output.first);
        }
        self.meter.begin("reading the journal")?;
        let mut plans = Vec::new();
        for (partition, journal) in self.ends.journal.iter().enumerate() {
            let partition = partition as PartitionId;
            let survey = self.survey_partition(partition, journal)?;
            let bases = self.bases.list(partition)?;
            let first = |topic: &Vec<Range<Offset>>| topic.get(partition as usize).map_or(0, |events| events.start);
            let events: Vec<_> = self.ends.events.iter().map(first).collect();
            let topics = &self.shared.topics;
            let plan = Plan::make(Known { survey: &survey, journal, events: &events, topics }, &bases);
            if let (Some(start), Some(last)) = (&plan.start, &survey.last) {
                for (topic, start) in topics.iter().zip(start.next()) {
                    self.meter.expect(last.to.next(topic).unwrap_or(0) - start);
                }
            }
            plans.push(plan);
        }
        Ok(plans)
    }

    fn survey_partition(&mut self, partition: PartitionId, journal: &Range<Offset>) -> Result<Survey, AuditError> {
        let shared = self.shared;
        let question = Question {
            application: &shared.application,
            partition,
            partitions: shared.partitions,
            context: shared.context.hash(),
            span: self.span,
            longest_commit: self.asked.longest_commit,
        };
        let mut survey = Survey::default();
        self.read(Topic::Journal, partition, journal.clone(), |audit, offset, record| {
            let (problem, wrong) = match JournalRecord::decode(record.payload()) {
                Ok(record) => (Problem::OutOfPlace, survey.add(offset, &record, &question)),
                Err(error) => (Problem::Unreadable, Some(error.to_string())),
            };
            if let Some(what) = wrong {
                audit.journal_is_wrong(partition, offset, problem, what);
            }
            Ok(())
        })?;
        Ok(survey)
    }

    pub fn journal_is_wrong(&mut self, partition: PartitionId, offset: Offset, problem: Problem, what: String) {
        self.report.partitions[partition as usize].counts.journal_wrong += 1;
        self.find(Finding {
            subject: Subject::Journal,
            problem,
            partition: Some(partition),
            journal_offset: Some(offset),
            what,
            at: Vec::new(),
            alert: None,
            differences: Vec::new(),
        });
    }

    fn read_alerts(&mut self) -> Result<(), AuditError> {
        self.meter.begin("reading alerts")?;
        for (partition, output) in self.ends.alerts.iter().enumerate() {
            let number = partition as PartitionId;
            self.read(Topic::Alerts, number, output.first..output.end, |audit, offset, record| {
                audit.report.alerts_topic.read += 1;
                audit.kept_alerts.partitions[partition].oldest.get_or_insert(record.timestamp.unwrap_or(Millis::MAX));
                match audit.alert_entry(number, offset, &record) {
                    Some(entry) => audit.alerts.add(&entry)?,
                    None => audit.unreadable(Subject::Alert, number, offset),
                }
                Ok(())
            })?;
        }
        Ok(self.alerts.flush()?)
    }

    fn alert_entry(&mut self, partition: PartitionId, offset: Offset, record: &Owned) -> Option<Entry> {
        let alert = PublishedAlert::read(record.payload())?;
        let partitions = self.ends.alerts.len() as i32;
        self.kept_alerts.moved |= place_of(record.key(), partitions) != partition;
        let customer = alert.customer_id.as_bytes();
        Some(Entry {
            key: Key { id: alert.alert_id.as_u128(), sequence: alert.sequence },
            partition,
            offset,
            form: alert.form,
            digest: alert.digest(record.key()),
            detected_at: alert.detected_at,
            home: self.shared.partitioner.map(|by| by.partition(customer, self.shared.partitions)),
        })
    }

    fn read_letters(&mut self) -> Result<(), AuditError> {
        self.meter.begin("reading dead letters")?;
        for (partition, output) in self.ends.dead_letters.iter().enumerate() {
            let number = partition as PartitionId;
            self.read(Topic::DeadLetters, number, output.first..output.end, |audit, offset, record| {
                audit.report.dead_letters_topic.read += 1;
                audit.kept_letters.partitions[partition].oldest.get_or_insert(record.timestamp.unwrap_or(Millis::MAX));
                let topic = record.header(LETTER_TOPIC).map(|name| audit.topic_id(name));
                match (record.origin(), topic) {
                    (_, Some(None)) => audit.report.dead_letters_topic.of_others += 1,
                    (Some((home, of)), Some(Some(topic))) => audit.letters.add(&Entry {
                        key: letter_key(Source { topic, partition: home }, of),
                        partition: number,
                        offset,
                        form: AlertForm::Json,
                        digest: record.digest(),
                        detected_at: record.timestamp.unwrap_or(audit.ends.as_of),
                        home: Some(home),
                    })?,
                    _ => audit.unreadable(Subject::DeadLetter, number, offset),
                }
                Ok(())
            })?;
        }
        Ok(self.letters.flush()?)
    }

    /// The input topic of this name.
    pub fn topic_id(&self, name: &[u8]) -> Option<TopicId> {
        self.shared.topic_id(std::str::from_utf8(name).ok()?)
    }

    /// A record of an output topic is none that this program publishes.
    fn unreadable(&mut self, subject: Subject, partition: PartitionId, offset: Offset) {
        if self.asked.shared_topics {
            self.output(subject).of_others += 1;
            return;
        }
        self.output(subject).unreadable += 1;
        let what = match subject {
            Subject::DeadLetter => "no dead letter: its headers do not say where it came from",
            _ => "no alert record",
        };
        self.find(output_finding(subject, Problem::Unreadable, what, (partition, offset)));
    }

    fn output(&mut self, subject: Subject) -> &mut super::OutputReport {
        match subject {
            Subject::DeadLetter => &mut self.report.dead_letters_topic,
            _ => &mut self.report.alerts_topic,
        }
    }

    fn leftover_alerts(&mut self) -> Result<(), AuditError> {
        self.meter.begin("looking for what nothing explains")?;
        for entry in self.unexplained(Subject::Alert)? {
            let at = (entry.partition, entry.offset);
            let mut finding = output_finding(Subject::Alert, Problem::Unexplained, "nobody ever found it", at);
            finding.alert = self.fetch(Topic::Alerts, at)?.and_then(|record| name_of(record.payload()));
            self.find(finding);
        }
        Ok(())
    }

    fn leftover_letters(&mut self) -> Result<(), AuditError> {
        for entry in self.unexplained(Subject::DeadLetter)? {
            let (home, offset) = (entry.home.unwrap_or(-1), entry.key.sequence);
            let topic = letter_topic(entry.key);
            let topic =
                if self.shared.merges() { format!(" of {}", self.shared.topic_name(topic)) } else { String::new() };
            let what = format!("the event at offset {offset} of partition {home}{topic} was never refused");
            let at = (entry.partition, entry.offset);
            self.find(output_finding(Subject::DeadLetter, Problem::Unexplained, &what, at));
        }
        Ok(())
    }

    /// Counts what is left of an index; returns the first of what nothing explains.
    fn unexplained(&mut self, subject: Subject) -> Result<Vec<Entry>, AuditError> {
        let room = self.asked.show.saturating_sub(self.report.findings.len());
        // Where it comes from is not always known: then it may come from anywhere.
        let anywhere = self.windows.iter().fold(Window::default(), |all, one| all.and(*one));
        let (windows, inputs) = (&self.windows, &self.inputs);
        let of_partition = |home: usize| Some(*windows.get(home)?);
        // A dead letter says of which event it is, so no clock is asked.
        let of_event = |home: usize, key: Key| {
            let judged = inputs.get(home)?.get(letter_topic(key))?;
            Some(Window { shut: !judged.contains(&key.sequence), ..Window::default() })
        };
        let (index, outputs, report) = match subject {
            Subject::DeadLetter => (&mut self.letters, &self.ends.dead_letters, &mut self.report.dead_letters_topic),
            _ => (&mut self.alerts, &self.ends.alerts, &mut self.report.alerts_topic),
        };
        let mut first = Vec::new();
        index.rest(|entry| {
            let window = entry.home.and_then(|home| match subject {
                Subject::DeadLetter => of_event(home as usize, entry.key),
                _ => of_partition(home as usize),
            });
            let sure = outputs.get(entry.partition as usize).map_or(0, |output| output.sure);
            match leftover(&entry, sure, self.span, window.unwrap_or(anywhere)) {
                Leftover::Newer => report.newer += 1,
                Leftover::OutOfSpan => report.out_of_span += 1,
                Leftover::Hidden => report.hidden += 1,
                Leftover::Unexplained if self.asked.shared_topics => report.of_others += 1,
                Leftover::Unexplained => {
                    report.unexplained += 1;
                    if first.len() < room {
                        first.push(entry);
                    }
                }
            }
            Ok::<_, AuditError>(())
        })?;
        Ok(first)
    }

    /// Reads one record of an output topic once more.
    pub fn fetch(&mut self, topic: Topic, at: (PartitionId, Offset)) -> Result<Option<Owned>, AuditError> {
        let (partition, offset) = at;
        let mut found = None;
        self.logs.read(topic, partition, offset..offset + 1, &mut |seen| found = Some(Owned::of(seen)))?;
        Ok(found)
    }
}
