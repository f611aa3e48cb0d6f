use crate::codec::journal::{Chain, JournalRecord, Position, TopicOffset};

fn position(next: i64) -> Position {
    let offsets = vec![TopicOffset { topic: "events".to_owned(), next }];
    Position { offsets, watermark: Some(1_000 * next), rules: 1, sweep: None }
}

fn record(sequence: i64) -> JournalRecord {
    JournalRecord {
        application: "care".to_owned(),
        partition: 3,
        partitions: 4,
        sequence,
        from: position(sequence),
        to: position(sequence + 1),
        steps: Vec::new(),
        transitions: 0,
        dead_letters: 0,
        hash: 0,
        rules_fingerprint: None,
        context: 0,
        instance: "a".to_owned(),
        worker: 0,
        committed_at: 0,
    }
}

/// Records 1 and 2, then a third that was changed; what is said of it, and of a fourth that follows on it.
#[track_caller]
fn check(change: impl FnOnce(&mut JournalRecord), expected: &[&str]) {
    let mut chain = Chain::new("care", 3);
    for sequence in [1, 2] {
        assert_eq!(chain.follow(&record(sequence)), [""; 0]);
    }
    let mut third = record(3);
    change(&mut third);
    assert_eq!(chain.follow(&third), expected);
    let fourth = JournalRecord { sequence: third.sequence + 1, from: third.to, ..record(4) };
    assert_eq!(chain.follow(&fourth), [""; 0], "it goes on from what it found");
}

#[test]
fn a_record_that_follows_is_nothing_to_speak_of() {
    check(|_| (), &[]);
    // Who begins in the middle has nothing to compare with.
    assert_eq!(Chain::new("care", 3).follow(&record(7)), [""; 0]);
}

#[test]
fn each_link_that_breaks_is_told() {
    check(|third| third.sequence = 4, &["it is number 4 after number 2: number 3 is missing"]);
    check(|third| third.sequence = 9, &["it is number 9 after number 2: numbers 3 to 8 are missing"]);
    check(|third| third.sequence = 2, &["it is number 2 after number 2: it was written again"]);
    check(|third| third.sequence = 1, &["it is number 1 after number 2: it was written again"]);
    let begins = |what: &str| format!("it does not begin where the one before ended: {what}");
    check(|third| third.from.offsets[0].next = 5, &[&begins("offsets events 5 and not events 3")]);
    check(|third| third.from.watermark = None, &[&begins("watermark none and not 1970-01-01T00:00:03.000Z")]);
    check(|third| third.from.rules = 2, &[&begins("generation 2 of the rules and not 1")]);
    check(|third| third.from.sweep = Some("c".to_owned()), &[&begins("sweep up to `c` and not none")]);
    check(
        |third| (third.application, third.partition) = ("sales".to_owned(), 4),
        &["it is of the application `sales`, not `care`", "it is of partition 4, not 3"],
    );
}
