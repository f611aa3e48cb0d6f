//! Several input topics: which record is next, who waits for whom, and what holds the watermark.

use std::collections::BTreeMap;

use tocsin::codec::journal::Step;
use tocsin::codec::rows::{POSITION_KEY, read_position};
use tocsin::store::{Column, Store as _};
use tocsin::task::world::{Source, WorldError};
use tocsin_core::time::{MINUTE, Millis, SECOND};

use crate::memory_world::{Disk, Event, SharedLog, rows};
use crate::random::{END, backtest_by, merged};
use crate::setup::{
    BASE, LATER, Member, Options, TOPIC, alert, event, header, journal, json, loaded, log_of, member, round,
};

/// A complaint that nobody answers.
const UNANSWERED: &str = r#"
rules:
  - id: unanswered
    trigger: complaint
    where: event.status == "opened"
    by: ticket_id
    until: [{complaint: 'event.status == "answered"'}]
    levels: {medium: age >= hours(2), high: age >= hours(6)}
"#;

const ANSWERS: Source = Source { topic: 1, partition: 0 };
const WAIT: Millis = 5 * SECOND;
const IDLE_AFTER: Millis = 10 * SECOND;

fn options() -> Options {
    Options {
        topics: vec![TOPIC.into(), "answers".into()],
        idle_after: Some(IDLE_AFTER),
        merge_wait: WAIT,
        rules: Some(UNANSWERED),
        ..Options::default()
    }
}

fn complaint(ticket: i64, status: &str, at: Millis) -> Event {
    let customer = format!("c-{ticket}");
    let rest = format!(",\"ticket_id\":\"{ticket}\",\"status\":\"{status}\"");
    event(&customer, &json(&format!("{status}-{ticket}"), "complaint", &customer, at, &rest), LATER)
}

fn opened(ticket: i64, at: Millis) -> Event {
    complaint(ticket, "opened", at)
}

fn answered(ticket: i64, at: Millis) -> Event {
    complaint(ticket, "answered", at)
}

/// Complaints in one topic, answers in the other, all there before anybody reads them.
fn log_with(complaints: Vec<Event>, answers: Vec<Event>) -> SharedLog {
    let log = log_of(BTreeMap::from([(0, complaints)]), BASE);
    log.lock().unwrap().further.insert(ANSWERS, answers);
    log
}

fn rounds_at(log: &SharedLog, member: &mut Member, now: Millis) {
    log.lock().unwrap().now = now;
    (0..12).for_each(|_| round(member));
}

/// What was taken, in order: the topic, and the offset up to which.
fn runs(log: &SharedLog) -> Vec<(String, i64)> {
    let steps = journal(log, 0).into_iter().flat_map(|record| record.steps);
    let run = |step| if let Step::Run { topic, to_offset } = step { Some((topic, to_offset)) } else { None };
    steps.filter_map(run).collect()
}

fn expect_runs(log: &SharedLog, expected: &[(&str, i64)]) {
    let expected: Vec<_> = expected.iter().map(|(topic, to)| ((*topic).to_owned(), *to)).collect();
    assert_eq!(runs(log), expected);
}

/// Tickets of which something was published, and when it occurred.
fn alerts(log: &SharedLog) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let alerts = log.lock().unwrap().alerts.clone();
    let alert = |record: &tocsin::task::world::Outgoing| alert(record.payload.as_deref().unwrap());
    alerts.iter().map(alert).map(|alert| (text(&alert["item"]), text(&alert["occurred_at"]))).collect()
}

fn at(minutes: i64) -> Millis {
    BASE + minutes * MINUTE
}

#[test]
fn the_oldest_is_next_and_of_equals_that_of_the_first_topic() {
    let complaints = [0, 10, 10, 30].map(|minutes| opened(minutes, at(minutes)));
    let answers = [5, 10, 20, 40].map(|minutes| answered(minutes, at(minutes)));
    let log = log_with(complaints.to_vec(), answers.to_vec());
    let mut member = member(0, &log, &Disk::default(), &options());
    rounds_at(&log, &mut member, BASE);
    let expected = [("events", 1), ("answers", 1), ("events", 3), ("answers", 3), ("events", 4), ("answers", 4)];
    expect_runs(&log, &expected);
    let last = journal(&log, 0).pop().unwrap();
    assert_eq!((last.to.next("events"), last.to.next("answers")), (Some(4), Some(4)));
    assert_eq!(last.to.watermark, Some(at(29)), "that of the topic that is behind");
    let committed = log.lock().unwrap().committed.clone();
    assert_eq!(committed, BTreeMap::from([(Source::first(0), 4), (ANSWERS, 4)]));
}

#[test]
fn a_topic_that_may_bring_an_older_record_is_waited_for() {
    let log = log_with(vec![opened(1, at(10))], vec![answered(1, at(5))]);
    log.lock().unwrap().away.insert(ANSWERS);
    let mut member = member(0, &log, &Disk::default(), &options());
    rounds_at(&log, &mut member, BASE);
    rounds_at(&log, &mut member, BASE + WAIT - 1);
    expect_runs(&log, &[]);
    log.lock().unwrap().away.clear();
    rounds_at(&log, &mut member, BASE + WAIT - 1);
    expect_runs(&log, &[("answers", 1), ("events", 1)]);
}

#[test]
fn the_wait_has_an_end_but_the_watermark_stays() {
    let complaints = vec![opened(1, BASE), opened(2, at(1)), opened(3, at(600))];
    let answers = vec![answered(1, at(60)), answered(3, at(601))];
    for hidden in [false, true] {
        let log = log_with(complaints.clone(), answers.clone());
        if hidden {
            // Its end as far as can be read: an upstream transaction is open.
            log.lock().unwrap().open_at.insert(ANSWERS, 0);
        } else {
            log.lock().unwrap().away.insert(ANSWERS);
        }
        let disk = Disk::default();
        let mut first = member(0, &log, &disk, &options());
        rounds_at(&log, &mut first, BASE);
        expect_runs(&log, &[]);
        rounds_at(&log, &mut first, BASE + WAIT);
        expect_runs(&log, &[("events", 3)]);
        assert_eq!((journal(&log, 0).pop().unwrap().to.watermark, alerts(&log)), (None, vec![]));
        drop(first);
        // The next one, with the store and without, knows as well what holds the watermark.
        for disk in [disk, Disk::default()] {
            let mut next = member(0, &log, &disk, &options());
            rounds_at(&log, &mut next, BASE + 2 * WAIT);
            let row = disk.lock().unwrap().kept[&0].get(Column::Meta, POSITION_KEY).unwrap().unwrap();
            assert_eq!(read_position(&row).unwrap().watermarks, [Some(at(599)), None]);
        }
        assert_eq!(alerts(&log), []);
        log.lock().unwrap().away.clear();
        log.lock().unwrap().open_at.clear();
        let mut last = member(0, &log, &Disk::default(), &options());
        rounds_at(&log, &mut last, BASE + 3 * WAIT);
        assert_eq!(
            alerts(&log),
            [("2".to_owned(), crate::setup::time(at(121))), ("2".to_owned(), crate::setup::time(at(361)))]
        );
        crate::audit::check_equal(&log, &options());
    }
}

#[test]
fn what_is_no_event_waits_for_nobody() {
    let bad = event("c", "no event", LATER);
    let log = log_with(vec![bad.clone(), opened(1, at(10))], vec![answered(1, at(5)), bad]);
    log.lock().unwrap().away.insert(ANSWERS);
    let mut member = member(0, &log, &Disk::default(), &options());
    rounds_at(&log, &mut member, BASE);
    expect_runs(&log, &[("events", 1)]);
    log.lock().unwrap().away.clear();
    rounds_at(&log, &mut member, BASE);
    expect_runs(&log, &[("events", 1), ("answers", 2), ("events", 2)]);
    let place = |letter| (header(letter, "tocsin.topic"), header(letter, "tocsin.offset"));
    let letters: Vec<_> = log.lock().unwrap().dead_letters.iter().map(place).collect();
    assert_eq!(letters, [("events".to_owned(), "0".to_owned()), ("answers".to_owned(), "1".to_owned())]);
    crate::audit::check_equal(&log, &options());
}

/// Forty tickets, most of them answered in time, some late, some never.
fn history() -> (Vec<Event>, Vec<Event>) {
    let opened = (0..40).map(|ticket| opened(ticket, at(ticket * 13))).collect();
    let answer = |ticket: i64| {
        let after = match ticket % 5 {
            0 => return None,
            1 => 200,
            _ => 30 + ticket,
        };
        Some((at(ticket * 13 + after), ticket))
    };
    let mut answers: Vec<_> = (0..40).filter_map(answer).collect();
    answers.sort_unstable();
    (opened, answers.into_iter().map(|(at, ticket)| answered(ticket, at)).collect())
}

#[test]
fn history_in_two_topics_is_judged_as_if_it_were_one() {
    let (complaints, answers) = history();
    let log = log_with(complaints, answers);
    let options = Options { max_batch: 3, ..options() };
    let disk = Disk::default();
    // Read in pieces of one and the other topic, by one process after the other, some of which find no store.
    for number in 0..12 {
        let disk = if number % 3 == 2 { Disk::default() } else { disk.clone() };
        let mut member = member(0, &log, &disk, &options);
        member.world().batch = 1 + number % 4;
        for turn in 0..60 {
            let mut log = log.lock().unwrap();
            log.away.clear();
            if (turn + number) % 7 < 2 {
                log.away.insert(if turn % 2 == 0 { ANSWERS } else { Source::first(0) });
            }
            drop(log);
            round(&mut member);
        }
    }
    log.lock().unwrap().away.clear();
    let mut last = member(0, &log, &disk, &options);
    for now in [BASE, END, END + IDLE_AFTER] {
        log.lock().unwrap().now = now;
        (0..400).for_each(|_| round(&mut last));
    }
    let events: Vec<_> = merged(&log.lock().unwrap(), 0, 2).into_iter().map(|(_, _, event)| event).collect();
    let (mut expected, _) = backtest_by(&loaded(UNANSWERED), &events);
    let mut found: Vec<_> =
        log.lock().unwrap().alerts.iter().map(|record| alert(record.payload.as_deref().unwrap())).collect();
    let of = |alert: &serde_json::Value| alert["customer_id"].to_string();
    expected.sort_by_key(of);
    found.sort_by_key(of);
    assert_eq!(found, expected);
    // Eight were never answered, and eight late; the others would be among them if the answers were not read in time.
    let tickets: std::collections::BTreeSet<_> = found.iter().map(of).collect();
    assert_eq!(tickets.len(), 16);
    crate::audit::check_equal(&log, &options);
    let fresh = Disk::default();
    let before = journal(&log, 0).len();
    last.world().revoke(0, false);
    while last.world().holds(0) {
        round(&mut last);
    }
    let mut again = member(0, &log, &fresh, &options);
    (0..400).for_each(|_| round(&mut again));
    assert_eq!((journal(&log, 0).len(), rows(&fresh, 0)), (before, rows(&disk, 0)));
}

#[test]
fn a_topic_that_is_quiet_at_its_end_does_not_hold_up_the_others() {
    let log = log_with(vec![opened(1, BASE)], Vec::new());
    let disk = Disk::default();
    let mut member = member(0, &log, &disk, &options());
    rounds_at(&log, &mut member, BASE);
    let push = |ticket: i64, at: Millis| {
        log.lock().unwrap().input.get_mut(&0).unwrap().push(opened(ticket, at));
    };
    push(2, at(180));
    rounds_at(&log, &mut member, BASE + IDLE_AFTER - 1);
    assert_eq!(alerts(&log), [], "it may not be quiet at all");
    // The other topic is as far as 179 minutes, the clock at its beginning still: so far and no further.
    rounds_at(&log, &mut member, at(125));
    assert_eq!(alerts(&log), [("1".to_owned(), crate::setup::time(at(120)))]);
    push(3, at(400));
    rounds_at(&log, &mut member, at(500));
    let found: Vec<_> = alerts(&log).into_iter().skip(1).collect();
    let expected =
        [("2", 300), ("1", 360)].map(|(ticket, minutes)| (ticket.to_owned(), crate::setup::time(at(minutes))));
    assert_eq!(found, expected, "as far as the topic that brings something");
    let ticks = journal(&log, 0).into_iter().flat_map(|record| record.steps);
    let ticks: Vec<_> = ticks.filter(|step| matches!(step, Step::Tick { .. })).collect();
    assert_eq!(ticks, [Step::Tick { watermark: at(124) }, Step::Tick { watermark: at(399) }]);
    // Both are quiet by now.
    rounds_at(&log, &mut member, at(500) + IDLE_AFTER);
    assert_eq!(alerts(&log).len(), 3);
    rounds_at(&log, &mut member, at(541));
    assert_eq!(alerts(&log).len(), 5, "two that are due by the clock");
    crate::audit::check_equal(&log, &options());
}

#[test]
fn other_topics_than_it_began_with_are_refused_and_nothing_is_set_aside() {
    let log = log_with(vec![opened(1, at(10))], vec![answered(1, at(5))]);
    let disk = Disk::default();
    rounds_at(&log, &mut member(0, &log, &disk, &options()), BASE);
    for (topics, not_of) in [
        (vec![TOPIC.to_owned()], "not of the topic `events`"),
        (vec!["answers".to_owned(), TOPIC.to_owned()], "not of the topics `answers`, `events`"),
    ] {
        for disk in [disk.clone(), Disk::default()] {
            let mut member = member(0, &log, &disk, &Options { topics: topics.clone(), ..options() });
            let Some(WorldError::Fatal(message)) = (0..20).find_map(|_| member.round().err()) else {
                panic!("not refused")
            };
            assert!(message.contains("the journal is of the topics `events`, `answers`"), "{message}");
            assert!(message.contains(not_of) && message.contains("topics.events"), "{message}");
            assert!(disk.lock().unwrap().aside.is_empty());
        }
    }
}

#[test]
fn a_partition_that_was_not_there_at_start_ends_the_process() {
    let log = log_with(Vec::new(), Vec::new());
    let mut member = member(0, &log, &Disk::default(), &options());
    member.world().assign(1);
    let Some(WorldError::Fatal(message)) = (0..3).find_map(|_| member.round().err()) else { panic!("not refused") };
    for part in
        ["partitions were added to the topic events", "it had 1", "other partitions", "another `application` id"]
    {
        assert!(message.contains(part), "{message}");
    }
}
