//! In which order a transaction is put together.

use std::sync::Mutex;
use std::time::Instant;

use super::*;
use crate::task::world::{Offset, Source};

/// Notes what is asked of it, and does it.
#[derive(Default)]
struct Notes {
    asked: Mutex<Vec<String>>,
    reports: Reports,
}

impl Notes {
    #[allow(clippy::unnecessary_wraps, reason = "the answer to every call")]
    fn note(&self, what: &str) -> Result<(), Trouble> {
        self.asked.lock().unwrap().push(what.to_owned());
        Ok(())
    }
}

impl Producer for Notes {
    type Membership = ();

    fn init_transactions(&self, _: Duration) -> Result<(), Trouble> {
        self.note("init")
    }

    fn begin_transaction(&self) -> Result<(), Trouble> {
        self.note("begin")
    }

    fn send(&self, record: &Addressed<'_>) -> Result<(), Trouble> {
        self.reports.delivered(record.mark, Delivered { offset: 0, appended: None, reported: 0 });
        self.note(record.topic)
    }

    fn in_flight(&self) -> usize {
        0
    }

    fn poll(&self, _: Duration) {}

    fn send_offsets(&self, _: &[(&str, PartitionId, Offset)], (): &(), _: Duration) -> Result<(), Trouble> {
        self.note("offsets")
    }

    fn commit_transaction(&self, _: Duration) -> Result<(), Trouble> {
        self.note("commit")
    }

    fn abort_transaction(&self, _: Duration) -> Result<(), Trouble> {
        self.note("abort")
    }

    fn reports(&self) -> &Reports {
        &self.reports
    }

    fn now(&self) -> Moment {
        Moment { steady: Instant::now(), wall: 0 }
    }
}

/// The journal is written as the member whose offsets the broker has just taken, so it comes last.
#[test]
fn outputs_then_offsets_then_the_journal() {
    let (producer, settings) = (Notes::default(), KafkaSettings::new("localhost:9092", "care", "a", 0));
    let record = || Outgoing { key: b"c".to_vec(), payload: Some(b"x".to_vec()), headers: Vec::new() };
    let transaction = Transaction {
        alerts: vec![record()],
        dead_letters: vec![record()],
        offsets: vec![(Source::first(0), 1)],
        journal: vec![(0, b"j".to_vec()), (1, b"j".to_vec())],
    };
    let committed = Attempt::new(&producer, &settings).publish(&transaction, &());
    assert!(committed.is_ok_and(|committed| committed.journal.len() == 2));
    let KafkaSettings { alerts_topic: alerts, dead_letters_topic: letters, journal_topic: journal, .. } = &settings;
    let expected = ["begin", alerts, letters, "offsets", journal, journal, "commit"];
    assert_eq!(*producer.asked.lock().unwrap(), expected);
}
