//! One partition: its journal done again, record by record, and each compared with what was published.

use std::collections::BTreeSet;

use tocsin_core::alert::Transition;
use tocsin_core::time::Millis;

use super::compare::{Standing, verdict};
use super::differences;
use super::index::{Entry, Key};
use super::logs::{Logs, Topic};
use super::plan::{Plan, Start, Window};
use super::report::{AlertName, Compared, Finding, Problem, Subject, instant};
use super::run::{Audit, Counted};
use super::seen::{letter_digest, letter_key, place_of};
use super::survey::place;
use super::{AuditError, Bases};
use crate::codec::alert::{AlertForm, PublishedAlert, alert_id};
use crate::codec::journal::{JournalRecord, Position, Step};
use crate::task::Shared;
use crate::task::outbox::{LETTER_OFFSET, LETTER_TOPIC};
use crate::task::recount::{Recount, Recounted};
use crate::task::world::{Offset, Outgoing, PartitionId, Source};

/// Bytes of memory for customers, for each event between two writes of the scrap: timers stay in memory until they are written.
const BYTES_FOR_EACH: usize = 1_024;

/// A partition on its way.
struct Walk<S> {
    partition: PartitionId,
    recount: Recount<S>,
    /// The record before, as it says of itself.
    last: Option<(i64, Position)>,
    /// When the first and the last record that was done again was committed.
    committed: Option<(Millis, Millis)>,
    /// Partitions of the alerts topic in which one of its alerts was found: what comes after it there is not hidden.
    reached: BTreeSet<PartitionId>,
    unwritten: u64,
}

/// A journal record that is being compared.
#[derive(Clone, Copy)]
struct Place<'r> {
    partition: PartitionId,
    offset: Offset,
    record: &'r JournalRecord,
    /// Whether its outcome is judged, or only explains what is found.
    judged: bool,
}

impl<L: Logs, B: Bases> Audit<'_, L, B> {
    /// Recomputes a partition and compares.
    pub fn recount(&mut self, partition: PartitionId, plan: &Plan) -> Result<(), AuditError> {
        self.meter.begin("recomputing")?;
        let number = partition as usize;
        for why in &plan.hidden {
            self.report.hidden.push(format!("partition {partition}: {why}"));
        }
        self.report.partitions[number].hidden.clone_from(&plan.hidden);
        let Some(start) = &plan.start else {
            if !plan.hidden.is_empty() {
                self.windows[number].shut = true;
                self.inputs[number].fill(0..0);
            }
            return Ok(());
        };
        let store = match start {
            Start::Beginning(_) => self.bases.scratch()?,
            Start::Base(base) => self.bases.open(partition, base)?,
        };
        let recount = Recount::begin(self.shared, partition, store, start.next(), self.logs.now())?;
        let mut walk = Walk { partition, recount, last: None, committed: None, reached: BTreeSet::new(), unwritten: 0 };
        self.read(Topic::Journal, partition, plan.replayed.clone(), |audit, offset, record| {
            // What cannot be read has been told by the survey.
            match JournalRecord::decode(record.payload()) {
                Ok(record) => audit.again(&mut walk, offset, &record, plan.judged.contains(&offset)),
                Err(_) => Ok(()),
            }
        })?;
        self.windows[number] = window(start, plan.is_cut, walk.committed);
        let is_all = plan.replayed.end == self.ends.journal[number].end;
        let judged = start.next().iter().zip(walk.recount.next());
        self.inputs[number] = judged.map(|(from, to)| *from..if is_all { Offset::MAX } else { *to }).collect();
        Ok(())
    }

    fn again(
        &mut self,
        walk: &mut Walk<B::Store>,
        offset: Offset,
        record: &JournalRecord,
        judged: bool,
    ) -> Result<(), AuditError> {
        let partition = walk.partition;
        let place = Place { partition, offset, record, judged };
        // The survey has told of what is out of place; what was written twice was done once.
        let is_ours = record.application == self.shared.application && record.partition == partition;
        if !is_ours || walk.last.as_ref().is_some_and(|(last, _)| record.sequence <= *last) {
            return Ok(());
        }
        if let Some(to) = self.beyond_the_log(partition, record) {
            self.judge_record(place, Err(format!("was made of events up to offset {to}, which are not there")));
            return Ok(());
        }
        let goes_on = walk.last.as_ref().is_none_or(|(last, to)| record.sequence == last + 1 && record.from == *to);
        walk.last = Some((record.sequence, record.to.clone()));
        let mut counted = Counted { logs: &mut *self.logs, meter: &mut self.meter, events: 0 };
        let recounted = walk.recount.record(&mut counted, self.shared, offset, record)?;
        let events = counted.events;
        let (first, _) = walk.committed.unwrap_or((record.committed_at, 0));
        walk.committed = Some((first, record.committed_at));
        walk.unwritten += events + recounted.transitions.len() as u64;
        if walk.unwritten >= (self.shared.cached_bytes / BYTES_FOR_EACH) as u64 {
            walk.recount.write_back(self.shared)?;
            walk.unwritten = 0;
        }
        walk.recount.make_room(self.shared)?;
        if judged {
            self.report.partitions[partition as usize].counts.journal_records += 1;
        }
        self.report.partitions[partition as usize].counts.events += events;
        if goes_on {
            self.judge_record(place, agrees(record, &recounted));
        }
        for transition in &recounted.transitions {
            self.compare_alert(walk, place, transition)?;
        }
        for letter in &recounted.dead_letters {
            self.compare_letter(place, letter)?;
        }
        Ok(())
    }

    /// The offset up to which a record claims to have read, if the topic does not go so far.
    fn beyond_the_log(&self, partition: PartitionId, record: &JournalRecord) -> Option<Offset> {
        let end = |topic: &str| {
            let events = self.shared.topic_id(topic).and_then(|topic| self.ends.events.get(topic));
            events.and_then(|events| events.get(partition as usize)).map_or(0, |events| events.end)
        };
        let beyond = record.steps.iter().filter_map(|step| match step {
            Step::Run { topic, to_offset } if *to_offset > end(topic) => Some(*to_offset),
            _ => None,
        });
        beyond.max()
    }

    fn judge_record(&mut self, place: Place<'_>, agrees: Result<(), String>) {
        if let (true, Err(what)) = (place.judged, agrees) {
            self.journal_is_wrong(place.partition, place.offset, Problem::Different, what);
        }
    }

    fn compare_alert(
        &mut self,
        walk: &mut Walk<B::Store>,
        place: Place<'_>,
        transition: &Transition,
    ) -> Result<(), AuditError> {
        let id = id_of(transition);
        let key = Key { id: id.as_u128(), sequence: i64::from(transition.episode.sequence) };
        let entries = self.alerts.take(key)?;
        let customer = transition.customer_id.as_bytes();
        let there = place_of(customer, self.ends.alerts.len() as i32);
        let is_hidden = entries.is_empty()
            && !walk.reached.contains(&there)
            && self.kept_alerts.may_hide(Some(there), place.record.committed_at);
        walk.reached.extend(entries.iter().map(|entry| entry.partition));
        if !place.judged {
            return Ok(());
        }
        let found = verdict(&entries, self.span, |form| digest_of(self.shared, transition, form));
        let counts = &mut self.report.partitions[place.partition as usize].counts.alerts;
        count(counts, found.standing, found.extra, is_hidden);
        let name = || AlertName {
            alert_id: id.to_string(),
            sequence: key.sequence,
            transition: transition.kind.name().to_owned(),
            rule_id: transition.rule.id.to_string(),
            customer_id: transition.customer_id.to_string(),
            occurred_at: instant(transition.occurred_at),
        };
        if let Some(problem) = problem(found.standing, is_hidden)
            && self.has_room()
        {
            let mut finding = finding(Subject::Alert, problem, place, &entries, String::new());
            finding.alert = Some(name());
            if let (Problem::Different, Some(entry)) = (problem, entries.first()) {
                finding.differences = self.differences(transition, entry)?;
            }
            self.find(finding);
        }
        if found.extra > 0 && self.has_room() {
            let what = format!("it is there {} times", entries.len());
            let finding = finding(Subject::Alert, Problem::Doubled, place, &entries, what);
            self.find(Finding { alert: Some(name()), ..finding });
        }
        Ok(())
    }

    /// What differs between an alert and the record that was published in its place.
    fn differences(&mut self, transition: &Transition, entry: &Entry) -> Result<Vec<super::Difference>, AuditError> {
        let expected = rendered(self.shared, transition, entry.form);
        let Some(found) = self.fetch(Topic::Alerts, (entry.partition, entry.offset))? else { return Ok(Vec::new()) };
        let mut differences = differences::of_alerts(entry.form, &expected, found.payload());
        if found.key() != transition.customer_id.as_bytes() {
            differences.push(super::Difference {
                field: "key of the record".to_owned(),
                expected: transition.customer_id.to_string(),
                found: String::from_utf8_lossy(found.key()).into_owned(),
            });
        }
        if differences.is_empty() {
            differences.push(super::Difference {
                field: "bytes, with the same content".to_owned(),
                expected: String::from_utf8_lossy(&expected).into_owned(),
                found: String::from_utf8_lossy(found.payload()).into_owned(),
            });
        }
        Ok(differences)
    }

    fn compare_letter(&mut self, place: Place<'_>, letter: &Outgoing) -> Result<(), AuditError> {
        let header = |name| letter.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_slice());
        let offset =
            header(LETTER_OFFSET).and_then(|value| std::str::from_utf8(value).ok()?.parse().ok()).unwrap_or(-1);
        let topic = header(LETTER_TOPIC).and_then(|name| self.topic_id(name)).unwrap_or_default();
        let source = Source { topic, partition: place.partition };
        let entries = self.letters.take(letter_key(source, offset))?;
        if !place.judged {
            return Ok(());
        }
        let headers = letter.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
        let digest = letter_digest(&letter.key, letter.payload.as_deref(), headers);
        let found = verdict(&entries, self.span, |_| digest);
        let is_hidden = entries.is_empty() && self.kept_letters.may_hide(None, place.record.committed_at);
        let counts = &mut self.report.partitions[place.partition as usize].counts.dead_letters;
        count(counts, found.standing, found.extra, is_hidden);
        let of_topic =
            if self.shared.merges() { format!(" of {}", self.shared.topic_name(topic)) } else { String::new() };
        let of = format!("of the event at offset {offset}{of_topic}");
        if let Some(problem) = problem(found.standing, is_hidden) {
            self.find(finding(Subject::DeadLetter, problem, place, &entries, of.clone()));
        }
        if found.extra > 0 {
            let what = format!("{of}: it is there {} times", entries.len());
            self.find(finding(Subject::DeadLetter, Problem::Doubled, place, &entries, what));
        }
        Ok(())
    }
}

/// What a recomputation of these records explains.
fn window(start: &Start, is_cut: bool, committed: Option<(Millis, Millis)>) -> Window {
    let is_base = matches!(start, Start::Base(_));
    let Some((first, last)) = committed else { return Window { shut: is_base || is_cut, ..Window::default() } };
    Window { after: is_base.then_some(first), until: is_cut.then_some(last), shut: false }
}

/// Whether a record tells what came of it.
fn agrees(record: &JournalRecord, recounted: &Recounted) -> Result<(), String> {
    let (transitions, letters) = (recounted.transitions.len() as u64, recounted.dead_letters.len() as u64);
    if (record.transitions, record.hash) != (transitions, recounted.hash) {
        return Err(format!(
            "tells of {} alerts with hash {:016x}, but {transitions} with {:016x} come of it",
            record.transitions, record.hash, recounted.hash
        ));
    }
    if record.dead_letters != letters {
        return Err(format!("tells of {} dead letters, but {letters} come of it", record.dead_letters));
    }
    if record.rules_fingerprint.as_deref() != Some(&*recounted.rules_fingerprint) {
        return Err("was made under rules that the rules topic does not have under that number".to_owned());
    }
    if record.to != recounted.to {
        return Err(format!("ends at {}, but what it tells ends at {}", place(&record.to), place(&recounted.to)));
    }
    Ok(())
}

fn count(counts: &mut Compared, standing: Standing, extra: usize, is_hidden: bool) {
    counts.expected += 1;
    counts.doubled += extra as u64;
    match standing {
        Standing::Equal => counts.equal += 1,
        Standing::Different => counts.different += 1,
        Standing::Missing if is_hidden => counts.hidden += 1,
        Standing::Missing => counts.missing += 1,
    }
}

fn problem(standing: Standing, is_hidden: bool) -> Option<Problem> {
    match standing {
        Standing::Equal => None,
        Standing::Different => Some(Problem::Different),
        Standing::Missing => (!is_hidden).then_some(Problem::Missing),
    }
}

fn finding(subject: Subject, problem: Problem, place: Place<'_>, entries: &[Entry], what: String) -> Finding {
    Finding {
        subject,
        problem,
        partition: Some(place.partition),
        journal_offset: Some(place.offset),
        what,
        at: entries.iter().map(|entry| (entry.partition, entry.offset)).collect(),
        alert: None,
        differences: Vec::new(),
    }
}

fn id_of(transition: &Transition) -> uuid::Uuid {
    let Transition { rule, customer_id, item, episode, .. } = transition;
    alert_id(&rule.id, customer_id, item.as_deref(), episode.fired_at, episode.refire)
}

/// The record as it must have been published, but for `detected_at`.
fn rendered(shared: &Shared, transition: &Transition, form: AlertForm) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    match form {
        AlertForm::Json => shared.writer.json(transition, 0, &mut out),
        AlertForm::Avro => shared.writer.avro(transition, 0, &mut out),
    }
    out
}

fn digest_of(shared: &Shared, transition: &Transition, form: AlertForm) -> u128 {
    let record = rendered(shared, transition, form);
    // What was just written can be read; the zero stands for what cannot happen.
    PublishedAlert::read(&record).map_or(0, |alert| alert.digest(transition.customer_id.as_bytes()))
}
