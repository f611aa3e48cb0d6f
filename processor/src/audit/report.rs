//! What an audit comes to.

use serde::Serialize;
use tocsin_core::time::Millis;

use crate::codec::timestamp;
use crate::task::world::{Offset, PartitionId};

/// The outcome of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub application: String,
    /// The journal was audited up to its end at this time.
    pub as_of: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Whether everything that can be judged is as it must be.
    pub equal: bool,
    pub totals: Counts,
    pub partitions: Vec<PartitionReport>,
    pub alerts_topic: OutputReport,
    pub dead_letters_topic: OutputReport,
    /// What cannot be judged, and why.
    pub hidden: Vec<String>,
    /// The first of them.
    pub findings: Vec<Finding>,
}

/// What was counted of a partition of the input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartitionReport {
    pub partition: PartitionId,
    #[serde(flatten)]
    pub counts: Counts,
    /// Why a part of it cannot be judged.
    pub hidden: Vec<String>,
}

/// What was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub journal_records: u64,
    /// Of those, what does not fit what comes before it, or what it says of itself.
    pub journal_wrong: u64,
    /// Events judged again.
    pub events: u64,
    pub alerts: Compared,
    pub dead_letters: Compared,
}

/// Expected records against published ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    pub expected: u64,
    pub equal: u64,
    pub missing: u64,
    pub doubled: u64,
    pub different: u64,
    /// Not found, where retention may have taken them.
    pub hidden: u64,
}

/// What was read of an output topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutputReport {
    pub read: u64,
    /// Published and expected by nobody.
    pub unexplained: u64,
    /// Nothing that this program publishes.
    pub unreadable: u64,
    /// Newer than the audited end.
    pub newer: u64,
    /// Outside of what was asked for.
    pub out_of_span: u64,
    /// Of what cannot be judged.
    pub hidden: u64,
    /// Of other applications on the same topic.
    pub of_others: u64,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub subject: Subject,
    pub problem: Problem,
    /// Of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<PartitionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal_offset: Option<Offset>,
    /// What it is about.
    pub what: String,
    /// Where it lies in the output topic: partition and offset.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<(PartitionId, Offset)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<AlertName>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Alert,
    DeadLetter,
    Journal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    Missing,
    Doubled,
    Different,
    /// Nobody ever found it.
    Unexplained,
    /// Nothing that this program writes.
    Unreadable,
    /// Of a journal record: it does not follow on the one before it.
    OutOfPlace,
}

impl Problem {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Doubled => "doubled",
            Self::Different => "different",
            Self::Unexplained => "unexplained",
            Self::Unreadable => "unreadable",
            Self::OutOfPlace => "out of place",
        }
    }
}

/// Which alert record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertName {
    pub alert_id: String,
    pub sequence: i64,
    pub transition: String,
    pub rule_id: String,
    pub customer_id: String,
    pub occurred_at: String,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub field: String,
    pub expected: String,
    pub found: String,
}

impl Compared {
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.missing == 0 && self.doubled == 0 && self.different == 0
    }

    /// Published records that were expected.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.equal + self.different
    }

    fn add(&mut self, other: &Self) {
        self.expected += other.expected;
        self.equal += other.equal;
        self.missing += other.missing;
        self.doubled += other.doubled;
        self.different += other.different;
        self.hidden += other.hidden;
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.journal_records += other.journal_records;
        self.journal_wrong += other.journal_wrong;
        self.events += other.events;
        self.alerts.add(&other.alerts);
        self.dead_letters.add(&other.dead_letters);
    }

    fn is_equal(&self) -> bool {
        self.journal_wrong == 0 && self.alerts.is_equal() && self.dead_letters.is_equal()
    }
}

impl OutputReport {
    fn is_equal(&self) -> bool {
        self.unexplained == 0 && self.unreadable == 0
    }
}

impl Report {
    /// Adds up.
    pub(super) fn conclude(&mut self) {
        self.totals = Counts::default();
        for partition in &self.partitions {
            self.totals.add(&partition.counts);
        }
        self.equal = self.totals.is_equal() && self.alerts_topic.is_equal() && self.dead_letters_topic.is_equal();
    }

    /// Number of things that are not as they must be.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        let of = |compared: &Compared| compared.missing + compared.doubled + compared.different;
        let outputs = [self.alerts_topic, self.dead_letters_topic].map(|topic| topic.unexplained + topic.unreadable);
        self.totals.journal_wrong
            + of(&self.totals.alerts)
            + of(&self.totals.dead_letters)
            + outputs.iter().sum::<u64>()
    }
}

/// An instant for people, as alert records have it.
#[must_use]
pub fn instant(at: Millis) -> String {
    let mut out = Vec::new();
    timestamp::write(&mut out, at);
    String::from_utf8_lossy(&out).into_owned()
}
