//! The audit over what the loop has published: equal, and after every kind of tampering, not.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::time::Duration;

use tocsin::audit::{self, Asked, AuditError, Base, Bases, Bounds, Ends, Logs, Problem, Report, Seen, Subject, Topic};
use tocsin::codec::journal::{JournalRecord, Step};
use tocsin::store::{MemoryStore, Store, StoreError};
use tocsin::task::Events;
use tocsin::task::world::{Input, Offset, Outgoing, PartitionId, Source, World, WorldError};
use tocsin_core::time::{HOUR, MINUTE, Millis};

use crate::memory_world::{Checkpoints, Disk, DiskStores, Event, MemoryWorld, SharedLog};
use crate::random::END;
use crate::setup::{BASE, LATER, Options, event, journal, json, log_of, member, member_with, round, shared};

/// A log that is read from outside.
#[derive(Debug)]
struct Outside {
    log: SharedLog,
    events: MemoryWorld<DiskStores>,
    /// The first alert that retention has left.
    alerts_first: Offset,
    letters_first: Offset,
}

impl Outside {
    fn new(log: &SharedLog) -> Self {
        let events = MemoryWorld::new(log, 99, DiskStores::default());
        Self { log: log.clone(), events, alerts_first: 0, letters_first: 0 }
    }

    /// First offset and end.
    fn kept(&self, topic: Topic, partition: PartitionId) -> Range<Offset> {
        let log = self.log.lock().unwrap();
        let first = |starts: &BTreeMap<PartitionId, Offset>| starts.get(&partition).copied().unwrap_or(0);
        match topic {
            Topic::Events(0) => first(&log.input_start)..log.input[&partition].len() as Offset,
            Topic::Events(topic) => 0..log.events(Source { topic, partition }).len() as Offset,
            Topic::Journal => {
                first(&log.journal_start)..log.journal.get(&partition).map_or(0, |journal| journal.len() as Offset)
            }
            Topic::Alerts => self.alerts_first..log.alerts.len() as Offset,
            Topic::DeadLetters => self.letters_first..log.dead_letters.len() as Offset,
        }
    }
}

impl Logs for Outside {
    fn now(&self) -> Millis {
        self.log.lock().unwrap().now
    }

    fn partitions(&mut self, topic: Topic) -> Result<i32, WorldError> {
        Ok(match topic {
            Topic::Events(_) | Topic::Journal => self.log.lock().unwrap().input.len() as i32,
            Topic::Alerts | Topic::DeadLetters => 1,
        })
    }

    fn bounds(&mut self, topic: Topic, partition: PartitionId) -> Result<Bounds, WorldError> {
        let kept = self.kept(topic, partition);
        Ok(Bounds { first: kept.start, end: kept.end, stable: kept.end })
    }

    fn read(
        &mut self,
        topic: Topic,
        partition: PartitionId,
        within: Range<Offset>,
        each: &mut dyn FnMut(Seen<'_>),
    ) -> Result<(), WorldError> {
        let kept = self.kept(topic, partition);
        assert!(kept.start <= within.start && within.end <= kept.end, "{topic:?} {partition}: {within:?} of {kept:?}");
        let log = self.log.lock().unwrap();
        let timestamp = Some(log.now);
        for offset in within {
            let place = offset as usize;
            let outgoing = |record: &Outgoing, each: &mut dyn FnMut(Seen<'_>)| {
                let headers: Vec<_> =
                    record.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
                let (key, payload) = (Some(record.key.as_slice()), record.payload.as_deref());
                each(Seen { offset, timestamp, key, payload, headers: &headers });
            };
            match topic {
                Topic::Journal => {
                    let payload = Some(log.journal[&partition][place].as_slice());
                    each(Seen { offset, timestamp, key: None, payload, headers: &[] });
                }
                Topic::Alerts => outgoing(&log.alerts[place], each),
                Topic::DeadLetters => outgoing(&log.dead_letters[place], each),
                Topic::Events(_) => panic!("events are judged, not read"),
            }
        }
        Ok(())
    }
}

impl Events for Outside {
    fn again(
        &mut self,
        source: Source,
        from: Offset,
        to: Offset,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<(), WorldError> {
        let kept = self.kept(Topic::Events(source.topic), source.partition);
        assert!(kept.start <= from && to <= kept.end, "{from} to {to} of {kept:?}");
        self.events.replay(source, from, to, each)
    }
}

/// Checkpoints, of which an audit takes copies.
#[derive(Debug, Default)]
struct Copies {
    checkpoints: Checkpoints,
    bases: Vec<Base>,
}

impl Bases for Copies {
    type Store = MemoryStore;

    fn scratch(&mut self) -> Result<MemoryStore, StoreError> {
        Ok(MemoryStore::default())
    }

    fn list(&mut self, _: PartitionId) -> Result<Vec<Base>, WorldError> {
        Ok(self.bases.clone())
    }

    fn open(&mut self, partition: PartitionId, base: &Base) -> Result<MemoryStore, WorldError> {
        let checkpoints = self.checkpoints.lock().unwrap();
        let (sequence, store) = &checkpoints[&partition];
        assert_eq!(*sequence, base.journal_sequence);
        assert!(store.size_bytes() > 0);
        Ok(store.clone())
    }
}

fn ends(outside: &mut Outside) -> Ends {
    let further = outside.log.lock().unwrap().further.keys().map(|source| source.topic).max().unwrap_or(0);
    Ends::take(outside, 1 + further, Duration::ZERO).unwrap()
}

fn audit_with(mut outside: Outside, mut copies: Copies, options: &Options, change: impl FnOnce(&mut Asked)) -> Report {
    let ends = ends(&mut outside);
    audit_to(&mut outside, &mut copies, options, &ends, change)
}

fn audit_to(
    outside: &mut Outside,
    copies: &mut Copies,
    options: &Options,
    ends: &Ends,
    change: impl FnOnce(&mut Asked),
) -> Report {
    let mut asked = Asked { show: 10, ..Asked::default() };
    change(&mut asked);
    let mut watch = |progress: audit::Progress| {
        assert!(progress.done <= progress.total, "{progress:?}");
        ControlFlow::Continue(())
    };
    audit::run(&shared(options), outside, copies, ends, &asked, &mut watch).unwrap()
}

/// The audit of all that is in a log.
fn audit(log: &SharedLog, options: &Options) -> Report {
    audit_with(Outside::new(log), Copies::default(), options, |_| ())
}

/// What was published is what the log says it must be.
pub fn check_equal(log: &SharedLog, options: &Options) {
    let report = audit(log, options);
    assert!(report.equal && report.hidden.is_empty(), "{report:#?}");
    let log = log.lock().unwrap();
    assert_eq!(report.totals.alerts.equal, log.alerts.len() as u64);
    assert_eq!(report.totals.dead_letters.equal, log.dead_letters.len() as u64);
}

/// Complaints and purchases of some customers, with a bad record now and then.
fn events(count: i64) -> Vec<Event> {
    let one = |number: i64| {
        let at = BASE + number * 7 * MINUTE;
        let customer = format!("c-{}", number % 5);
        let (kind, rest) =
            if number % 3 == 0 { ("purchase", r#","amount":10"#) } else { ("complaint", r#","status":"opened""#) };
        let payload = json(&format!("e-{number}"), kind, &customer, at, rest);
        event(&customer, if number % 20 == 13 { "no event" } else { &payload }, LATER)
    };
    (0..count).map(one).collect()
}

/// A log in which all is done, in many transactions.
fn published(options: &Options) -> SharedLog {
    let log = log_of(BTreeMap::from([(0, events(150))]), BASE);
    let mut member = member(0, &log, &Disk::default(), options);
    member.world().batch = 10;
    for _ in 0..60 {
        round(&mut member);
        log.lock().unwrap().now += 1_000;
    }
    assert!(log.lock().unwrap().alerts.len() > 40);
    assert!(log.lock().unwrap().dead_letters.len() > 4);
    assert!(journal(&log, 0).len() > 10);
    log
}

#[test]
fn what_the_loop_publishes_is_what_the_audit_expects() {
    let options = Options::default();
    let log = published(&options);
    check_equal(&log, &options);
    let report = audit(&log, &options);
    assert_eq!(report.totals.events, 150);
    assert_eq!(report.totals.journal_records, journal(&log, 0).len() as u64);
    assert_eq!((report.wrong(), report.findings.len()), (0, 0));
}

/// Tampers with a log and looks at the one thing that is found.
#[track_caller]
fn check(
    tamper: impl FnOnce(&SharedLog),
    subject: Subject,
    problem: Problem,
    count: impl FnOnce(&Report) -> u64,
) -> Report {
    let options = Options::default();
    let log = published(&options);
    tamper(&log);
    let report = audit(&log, &options);
    assert!(!report.equal);
    assert_eq!((report.wrong(), count(&report)), (1, 1), "{report:#?}");
    assert_eq!((report.findings[0].subject, report.findings[0].problem), (subject, problem));
    report
}

fn change_alert(log: &SharedLog, place: usize, from: &str, to: &str) {
    let mut log = log.lock().unwrap();
    let payload = log.alerts[place].payload.as_mut().unwrap();
    let text = String::from_utf8(payload.clone()).unwrap();
    assert!(text.contains(from), "{text}");
    *payload = text.replacen(from, to, 1).into_bytes();
}

#[test]
fn a_missing_alert_is_found() {
    let mut gone = None;
    let report = check(
        |log| gone = Some(log.lock().unwrap().alerts.remove(17)),
        Subject::Alert,
        Problem::Missing,
        |report| report.totals.alerts.missing,
    );
    let name = report.findings[0].alert.as_ref().unwrap();
    let gone = crate::setup::alert(&gone.unwrap().payload.unwrap());
    let expected =
        ["alert_id", "transition", "rule_id", "customer_id", "occurred_at"].map(|field| gone[field].as_str().unwrap());
    let found = [&name.alert_id, &name.transition, &name.rule_id, &name.customer_id, &name.occurred_at];
    assert_eq!(found, expected);
    assert!(report.findings[0].journal_offset.is_some());
}

#[test]
fn a_doubled_alert_is_found() {
    let double = |log: &SharedLog| {
        let mut log = log.lock().unwrap();
        let twin = log.alerts[5].clone();
        log.alerts.push(twin);
    };
    let report = check(double, Subject::Alert, Problem::Doubled, |report| report.totals.alerts.doubled);
    let last = report.alerts_topic.read as Offset - 1;
    assert_eq!(report.findings[0].at, [(0, 5), (0, last)]);
}

#[test]
fn a_changed_alert_is_found_with_what_differs() {
    let change = |log: &SharedLog| change_alert(log, 3, "\"summary\":{", "\"summary\":{\"fr\":\"x\"");
    let report = check(change, Subject::Alert, Problem::Different, |report| report.totals.alerts.different);
    let difference = &report.findings[0].differences[0];
    assert_eq!((difference.field.as_str(), difference.found.as_str()), ("summary.fr", "\"x\""));
    let change = |log: &SharedLog| log.lock().unwrap().alerts[3].key = b"somebody".to_vec();
    let report = check(change, Subject::Alert, Problem::Different, |report| report.totals.alerts.different);
    assert_eq!(report.findings[0].differences[0].field, "key of the record");
    // Only when it was found may differ.
    let options = Options::default();
    let log = published(&options);
    change_alert(&log, 3, "\"detected_at\":\"2026", "\"detected_at\":\"2027");
    check_equal(&log, &options);
}

#[test]
fn an_alert_that_nobody_found_is_found() {
    let invent = |log: &SharedLog| {
        let twin = log.lock().unwrap().alerts[5].clone();
        log.lock().unwrap().alerts.push(twin);
        let last = log.lock().unwrap().alerts.len() - 1;
        change_alert(log, last, "\"sequence\":", "\"sequence\":7");
    };
    let report = check(invent, Subject::Alert, Problem::Unexplained, |report| report.alerts_topic.unexplained);
    assert!(report.findings[0].alert.as_ref().unwrap().sequence >= 70);
    let nonsense = |log: &SharedLog| {
        let payload = Some(b"{}".to_vec());
        log.lock().unwrap().alerts.push(Outgoing { key: b"c".to_vec(), payload, headers: Vec::new() });
    };
    check(nonsense, Subject::Alert, Problem::Unreadable, |report| report.alerts_topic.unreadable);
    let options = Options::default();
    let log = published(&options);
    invent(&log);
    nonsense(&log);
    let report = audit_with(Outside::new(&log), Copies::default(), &options, |asked| asked.shared_topics = true);
    assert!(report.equal);
    assert_eq!(report.alerts_topic.of_others, 2);
}

#[test]
fn dead_letters_are_compared_as_well() {
    let lose = |log: &SharedLog| drop(log.lock().unwrap().dead_letters.remove(2));
    check(lose, Subject::DeadLetter, Problem::Missing, |report| report.totals.dead_letters.missing);
    let double = |log: &SharedLog| {
        let mut log = log.lock().unwrap();
        let twin = log.dead_letters[1].clone();
        log.dead_letters.push(twin);
    };
    check(double, Subject::DeadLetter, Problem::Doubled, |report| report.totals.dead_letters.doubled);
    let change = |log: &SharedLog| log.lock().unwrap().dead_letters[0].payload = Some(b"another".to_vec());
    check(change, Subject::DeadLetter, Problem::Different, |report| report.totals.dead_letters.different);
    let invent = |log: &SharedLog| {
        let mut log = log.lock().unwrap();
        let mut twin = log.dead_letters[1].clone();
        let offset = twin.headers.iter_mut().find(|(name, _)| *name == "tocsin.offset").unwrap();
        offset.1 = b"14".to_vec();
        log.dead_letters.push(twin);
    };
    check(invent, Subject::DeadLetter, Problem::Unexplained, |report| report.dead_letters_topic.unexplained);
}

fn append(log: &SharedLog, change: impl FnOnce(&mut JournalRecord)) {
    let mut last = journal(log, 0).pop().unwrap();
    last.sequence += 1;
    last.from = last.to.clone();
    last.steps.clear();
    (last.transitions, last.dead_letters) = (0, 0);
    last.hash = tocsin::codec::alert::hash_transitions(&[]);
    change(&mut last);
    let mut bytes = Vec::new();
    last.encode(&mut bytes);
    log.lock().unwrap().journal.get_mut(&0).unwrap().push(bytes);
}

#[test]
fn a_journal_that_does_not_agree_is_found() {
    let options = Options::default();
    let log = published(&options);
    append(&log, |_| ());
    check_equal(&log, &options);
    let journal_wrong = |report: &Report| report.totals.journal_wrong;
    let check_record = |problem, text: &str, change: fn(&mut JournalRecord)| {
        let report = check(|log| append(log, change), Subject::Journal, problem, journal_wrong);
        assert!(report.findings[0].what.contains(text), "{}", report.findings[0].what);
    };
    check_record(Problem::Different, "tells of 3 alerts", |record| record.transitions = 3);
    check_record(Problem::Different, "tells of 0 alerts", |record| record.hash ^= 1);
    check_record(Problem::Different, "tells of 1 dead letters", |record| record.dead_letters = 1);
    check_record(Problem::Different, "ends at", |record| record.to.watermark = Some(7));
    check_record(Problem::Different, "under rules", |record| record.rules_fingerprint = Some("x".into()));
    check_record(Problem::Different, "are not there", |record| {
        record.steps.push(Step::Run { topic: "events".into(), to_offset: 10_000 });
    });
    check_record(Problem::OutOfPlace, "written twice", |record| record.sequence -= 1);
    check_record(Problem::OutOfPlace, "missing", |record| record.sequence += 1);
    check_record(Problem::OutOfPlace, "had 7 partitions", |record| record.partitions = 7);
    check_record(Problem::OutOfPlace, "begins at", |record| record.from.watermark = Some(7));
    check_record(Problem::OutOfPlace, "application other", |record| record.application = "other".into());
    let damage = |log: &SharedLog| log.lock().unwrap().journal.get_mut(&0).unwrap().push(b"nothing".to_vec());
    check(damage, Subject::Journal, Problem::Unreadable, journal_wrong);
}

#[test]
fn what_retention_has_taken_of_the_alerts_is_hidden_and_not_missing() {
    let options = Options::default();
    let log = published(&options);
    let all = log.lock().unwrap().alerts.len() as u64;
    let with_retention = |first| Outside { alerts_first: first, letters_first: 2, ..Outside::new(&log) };
    let report = audit_with(with_retention(10), Copies::default(), &options, |_| ());
    assert!(report.equal, "{report:#?}");
    let alerts = report.totals.alerts;
    assert_eq!((alerts.hidden, alerts.equal, alerts.missing), (10, all - 10, 0));
    assert_eq!(report.totals.dead_letters.hidden, 2);
    // What comes after one that is there cannot have been taken.
    log.lock().unwrap().alerts.remove(30);
    let report = audit_with(with_retention(10), Copies::default(), &options, |_| ());
    assert_eq!((report.totals.alerts.hidden, report.totals.alerts.missing), (10, 1));
}

#[test]
fn newer_alerts_are_left_alone_while_the_application_runs() {
    let options = Options::default();
    let log = log_of(BTreeMap::from([(0, events(150))]), BASE);
    let mut member = member(0, &log, &Disk::default(), &options);
    member.world().batch = 10;
    (0..10).for_each(|_| round(&mut member));
    let mut outside = Outside::new(&log);
    let then = ends(&mut outside);
    (0..10).for_each(|_| round(&mut member));
    // Between the journal's end and the last end of the alerts something was published.
    let now = ends(&mut outside);
    let mut ends = then.clone();
    assert!(then.alerts[0].end < now.alerts[0].end);
    ends.alerts[0].end = now.alerts[0].end;
    ends.dead_letters[0].end = now.dead_letters[0].end;
    let report = audit_to(&mut outside, &mut Copies::default(), &options, &ends, |_| ());
    assert!(report.equal, "{report:#?}");
    assert_eq!(report.alerts_topic.newer, (now.alerts[0].end - then.alerts[0].end) as u64);
    // Were the order of the ends another, what is new would look wrong.
    ends.alerts[0].sure = ends.alerts[0].end;
    let report = audit_to(&mut outside, &mut Copies::default(), &options, &ends, |_| ());
    assert_eq!(report.alerts_topic.unexplained, (now.alerts[0].end - then.alerts[0].end) as u64);
}

/// A log with a checkpoint about in the middle of its journal.
fn with_checkpoint(options: &Options) -> (SharedLog, Copies) {
    let log = log_of(BTreeMap::from([(0, events(150))]), BASE);
    let stores = DiskStores::default();
    let checkpoints = stores.checkpoints.clone();
    let mut first = member_with(0, &log, stores, &Options { checkpoint_interval: Some(0), ..options.clone() });
    let rounds = |member: &mut crate::setup::Member| {
        member.world().batch = 10;
        for _ in 0..10 {
            round(member);
            log.lock().unwrap().now += 2 * MINUTE;
        }
    };
    rounds(&mut first);
    drop(first);
    let mut second = member(0, &log, &Disk::default(), options);
    rounds(&mut second);
    rounds(&mut second);
    let (sequence, _) = checkpoints.lock().unwrap()[&0];
    let record = journal(&log, 0).into_iter().find(|record| record.sequence == sequence).unwrap();
    let base = Base {
        name: "the checkpoint".into(),
        journal_offset: sequence - 1,
        journal_sequence: sequence,
        next: vec![record.to.next("events").unwrap()],
    };
    assert!(sequence > 4 && (sequence as usize) < journal(&log, 0).len() - 4);
    (log, Copies { checkpoints, bases: vec![base] })
}

#[test]
fn a_checkpoint_stands_in_for_what_retention_has_taken() {
    let options = Options::default();
    let (log, copies) = with_checkpoint(&options);
    let base = copies.bases[0].clone();
    let records = journal(&log, 0);
    let after: u64 =
        records.iter().filter(|record| record.sequence > base.journal_sequence).map(|record| record.transitions).sum();
    assert!(after > 5);
    log.lock().unwrap().journal_start.insert(0, 3);
    log.lock().unwrap().input_start.insert(0, base.next[0]);
    let report = audit_with(Outside::new(&log), copies, &options, |_| ());
    assert!(report.equal, "{report:#?}");
    assert_eq!(report.totals.alerts.equal, after);
    assert_eq!(report.totals.events, 150 - base.next[0] as u64);
    assert!(report.hidden[0].contains("record number 4") && report.hidden[0].contains("the checkpoint"), "{report:#?}");
    assert!(report.alerts_topic.hidden > 0, "those from before the checkpoint");
    // Without it nothing can be said, and nothing is.
    let report = audit_with(Outside::new(&log), Copies::default(), &options, |_| ());
    assert!(report.equal && !report.hidden.is_empty(), "{report:#?}");
    assert_eq!(report.totals.alerts.expected, 0);
    assert_eq!(report.alerts_topic.hidden, log.lock().unwrap().alerts.len() as u64);
}

#[test]
fn a_span_is_judged_from_the_last_checkpoint_before_it() {
    let options = Options::default();
    let (log, copies) = with_checkpoint(&options);
    let base = copies.bases[0].clone();
    let records = journal(&log, 0);
    let place = base.journal_sequence as usize + 2;
    let (from, until) = (records[place].committed_at, records[place + 1].committed_at);
    let in_span = |record: &&JournalRecord| (from..=until).contains(&record.committed_at);
    let expected: u64 = records.iter().filter(in_span).map(|record| record.transitions).sum();
    let count = records.iter().filter(in_span).count() as u64;
    let span = |asked: &mut Asked| (asked.from, asked.until) = (Some(from), Some(until));
    let report = audit_with(Outside::new(&log), copies, &options, span);
    assert!(report.equal && report.hidden.is_empty(), "{report:#?}");
    assert_eq!((report.totals.alerts.equal, report.totals.journal_records), (expected, count));
    assert!(report.totals.events < 150 - base.next[0] as u64, "it begins at the checkpoint, and ends before the end");
    // The same from the beginning.
    let report = audit_with(Outside::new(&log), Copies::default(), &options, span);
    assert!(report.equal && report.hidden.is_empty(), "{report:#?}");
    assert_eq!((report.totals.alerts.equal, report.totals.journal_records), (expected, count));
    // What is wrong elsewhere was not asked about.
    log.lock().unwrap().alerts.remove(0);
    let report = audit_with(Outside::new(&log), Copies::default(), &options, span);
    assert!(report.equal);
}

#[test]
fn what_was_made_under_other_settings_is_not_judged() {
    let options = Options::default();
    let log = published(&options);
    let all = journal(&log, 0).iter().map(|record| record.transitions).sum::<u64>();
    append(&log, |record| record.context ^= 1);
    let report = audit(&log, &options);
    assert!(report.equal && report.hidden[0].contains("other schemas or settings"), "{report:#?}");
    assert_eq!(report.totals.alerts.equal, all);
}

#[test]
fn an_audit_can_be_stopped() {
    let options = Options::default();
    let log = published(&options);
    let mut outside = Outside::new(&log);
    let ends = ends(&mut outside);
    let mut watch = |_| ControlFlow::Break(());
    let asked = Asked::default();
    let stopped = audit::run(&shared(&options), &mut outside, &mut Copies::default(), &ends, &asked, &mut watch);
    assert!(matches!(stopped, Err(AuditError::Stopped)));
}

#[test]
fn what_the_clock_makes_due_is_audited_too() {
    let options = Options { idle_after: Some(0), max_batch: 3, ..Options::default() };
    let log = log_of(BTreeMap::from([(0, events(40))]), BASE + HOUR);
    let mut member = member(0, &log, &Disk::default(), &options);
    (0..60).for_each(|_| round(&mut member));
    log.lock().unwrap().now = END;
    (0..60).for_each(|_| round(&mut member));
    let steps: Vec<_> = journal(&log, 0).into_iter().flat_map(|record| record.steps).collect();
    assert!(steps.iter().any(|step| matches!(step, Step::Tick { .. })));
    assert!(steps.iter().any(|step| matches!(step, Step::Drain { .. })));
    check_equal(&log, &options);
}
