//! The journal: what each transaction did, so that a replay can do it again. One record for each partition it touched.
//!
//! A record is an Avro single object of the schema `journal.avsc`, whose comments define every field. It begins where
//! the one before it ended, and is numbered, so that a missing or repeated one shows.

mod chain;

pub use chain::Chain;

use super::avro::{Reader, put_block, put_header, put_long, put_option, put_text, split_header};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tocsin_core::event::stable_hash;
use tocsin_core::time::Millis;

/// CRC-64-AVRO of `journal.avsc`; a test computes it.
pub const JOURNAL_FINGERPRINT: u64 = 0xc6b3_48ac_86d1_47e1;

/// What one transaction did to one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRecord {
    pub application: String,
    pub partition: i32,
    /// Number of partitions that each input topic had.
    pub partitions: i32,
    /// 1 for the first record of a partition, then one more each.
    pub sequence: i64,
    pub from: Position,
    pub to: Position,
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// Number of alert records published for this partition.
    pub transitions: u64,
    /// Number of dead letters published for this partition.
    pub dead_letters: u64,
    /// Hash of the transitions, see [`super::alert::TransitionHasher`].
    pub hash: u64,
    /// Of the rule set in force at the end.
    pub rules_fingerprint: Option<String>,
    /// [`Context::hash`] of the context in force at the end.
    pub context: u64,
    pub instance: String,
    pub worker: i32,
    /// Wall clock when the worker set out to commit the transaction.
    pub committed_at: Millis,
}

/// A place in the log of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// How far each input topic has been read, by name.
    pub offsets: Vec<TopicOffset>,
    /// `None` before the first event.
    pub watermark: Option<Millis>,
    /// Generation of the rules in force; 0: none yet.
    pub rules: i64,
    /// The last customer that the sweep under way has judged, empty before the first; `None`: no sweep is under way.
    pub sweep: Option<String>,
}

/// How far a topic has been read in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicOffset {
    pub topic: String,
    /// The first offset that has not been dealt with; the log may have a gap there.
    pub next: i64,
}

impl Position {
    /// The first offset of the topic that has not been dealt with.
    #[must_use]
    pub fn next(&self, topic: &str) -> Option<i64> {
        self.offsets.iter().find(|offset| offset.topic == topic).map(|offset| offset.next)
    }
}

/// Something that changes the state of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Every event of the topic before `to_offset`, each with all that its watermark makes due; of the last one, if
    /// drains follow directly, only as much of that as they say.
    Run { topic: String, to_offset: i64 },
    /// The wall clock moved the watermark, with all that this makes due; if drains follow directly, only as much of
    /// that as they say.
    Tick { watermark: Millis },
    /// What is due, by (instant, customer), up to and including these. No customer: all at that instant.
    Drain { deadline: Millis, customer: Option<String> },
    /// A generation of the rule set was adopted; a sweep begins.
    Rules { generation: i64, fingerprint: String },
    /// The sweep judged everybody up to and including this customer. None: all who were left.
    Sweep { customer: Option<String> },
    /// All else that can change an answer, from here on.
    Context(Context),
}

/// All that can change an answer and is neither event, time nor rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Version of the engine's semantics.
    pub semantics: i32,
    /// Every setting that can change an answer, by key.
    pub settings: BTreeMap<String, String>,
    /// The event schemas, see [`super::schemas::Schemas::sources`].
    pub schemas: Vec<String>,
    /// Release of the time zone data.
    pub time_zone_data: String,
}

impl Context {
    /// The same for the same context, on every machine and in every release.
    #[must_use]
    pub fn hash(&self) -> u64 {
        // The lengths keep one part from running into the next.
        let mut text = format!("{}\u{1f}{}", self.semantics, self.settings.len());
        for part in self
            .settings
            .iter()
            .flat_map(|(key, value)| [key, value])
            .chain([&self.time_zone_data])
            .chain(&self.schemas)
        {
            let _ = write!(text, "\u{1f}{}\u{1f}{part}", part.len());
        }
        stable_hash(&text)
    }
}

/// Why bytes are no journal record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error("not a journal record: it does not begin as an Avro single object; is this the journal's topic?")]
    NotAvro,
    #[error(
        "a journal record of the schema {0:016x}, which this program does not know; \
         it was written by another version: replay it with that one"
    )]
    UnknownSchema(u64),
    #[error("a damaged journal record: it ends too early, or holds what no writer writes")]
    Damaged,
    #[error("a damaged journal record: {0} bytes follow it")]
    TrailingBytes(usize),
}

impl JournalRecord {
    /// Appends the record to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_header(out, JOURNAL_FINGERPRINT);
        put_text(out, &self.application);
        put_long(out, i64::from(self.partition));
        put_long(out, i64::from(self.partitions));
        put_long(out, self.sequence);
        put_position(out, &self.from);
        put_position(out, &self.to);
        put_block(out, self.steps.iter(), put_step);
        put_long(out, self.transitions as i64);
        put_long(out, self.dead_letters as i64);
        put_long(out, self.hash as i64);
        put_option(out, self.rules_fingerprint.as_deref(), put_text);
        put_long(out, self.context as i64);
        put_text(out, &self.instance);
        put_long(out, i64::from(self.worker));
        put_long(out, self.committed_at);
    }

    /// Reads what [`JournalRecord::encode`] wrote.
    ///
    /// # Errors
    /// If the bytes are no journal record, or one of a schema that this program does not know.
    pub fn decode(bytes: &[u8]) -> Result<Self, JournalError> {
        let (fingerprint, datum) = split_header(bytes).ok_or(JournalError::NotAvro)?;
        if fingerprint != JOURNAL_FINGERPRINT {
            return Err(JournalError::UnknownSchema(fingerprint.swap_bytes()));
        }
        let mut reader = Reader::new(datum);
        let record = read_record(&mut reader).ok_or(JournalError::Damaged)?;
        if reader.is_empty() { Ok(record) } else { Err(JournalError::TrailingBytes(reader.left())) }
    }
}

fn put_position(out: &mut Vec<u8>, position: &Position) {
    put_block(out, position.offsets.iter(), |out, offset| {
        put_text(out, &offset.topic);
        put_long(out, offset.next);
    });
    put_option(out, position.watermark, put_long);
    put_long(out, position.rules);
    put_option(out, position.sweep.as_deref(), put_text);
}

// Branches of the union of steps, in the order of the schema.
const RUN: i64 = 0;
const TICK: i64 = 1;
const DRAIN: i64 = 2;
const RULES: i64 = 3;
const SWEEP: i64 = 4;
const CONTEXT: i64 = 5;

fn put_step(out: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Run { topic, to_offset } => {
            put_long(out, RUN);
            put_text(out, topic);
            put_long(out, *to_offset);
        }
        Step::Tick { watermark } => {
            put_long(out, TICK);
            put_long(out, *watermark);
        }
        Step::Drain { deadline, customer } => {
            put_long(out, DRAIN);
            put_long(out, *deadline);
            put_option(out, customer.as_deref(), put_text);
        }
        Step::Rules { generation, fingerprint } => {
            put_long(out, RULES);
            put_long(out, *generation);
            put_text(out, fingerprint);
        }
        Step::Sweep { customer } => {
            put_long(out, SWEEP);
            put_option(out, customer.as_deref(), put_text);
        }
        Step::Context(context) => {
            put_long(out, CONTEXT);
            put_long(out, i64::from(context.semantics));
            put_block(out, context.settings.iter(), |out, (key, value)| {
                put_text(out, key);
                put_text(out, value);
            });
            put_block(out, context.schemas.iter(), |out, schema| put_text(out, schema));
            put_text(out, &context.time_zone_data);
        }
    }
}

fn read_record(reader: &mut Reader<'_>) -> Option<JournalRecord> {
    Some(JournalRecord {
        application: owned(reader)?,
        partition: reader.int()?,
        partitions: reader.int()?,
        sequence: reader.long()?,
        from: read_position(reader)?,
        to: read_position(reader)?,
        steps: reader.array(read_step)?,
        transitions: reader.long()? as u64,
        dead_letters: reader.long()? as u64,
        hash: reader.long()? as u64,
        rules_fingerprint: reader.option(owned)?,
        context: reader.long()? as u64,
        instance: owned(reader)?,
        worker: reader.int()?,
        committed_at: reader.long()?,
    })
}

fn owned(reader: &mut Reader<'_>) -> Option<String> {
    reader.text().map(str::to_owned)
}

fn read_position(reader: &mut Reader<'_>) -> Option<Position> {
    Some(Position {
        offsets: reader.array(|reader| Some(TopicOffset { topic: owned(reader)?, next: reader.long()? }))?,
        watermark: reader.option(Reader::long)?,
        rules: reader.long()?,
        sweep: reader.option(owned)?,
    })
}

fn read_step(reader: &mut Reader<'_>) -> Option<Step> {
    Some(match reader.long()? {
        RUN => Step::Run { topic: owned(reader)?, to_offset: reader.long()? },
        TICK => Step::Tick { watermark: reader.long()? },
        DRAIN => Step::Drain { deadline: reader.long()?, customer: reader.option(owned)? },
        RULES => Step::Rules { generation: reader.long()?, fingerprint: owned(reader)? },
        SWEEP => Step::Sweep { customer: reader.option(owned)? },
        CONTEXT => Step::Context(Context {
            semantics: reader.int()?,
            settings: reader.array(|reader| Some((owned(reader)?, owned(reader)?)))?.into_iter().collect(),
            schemas: reader.array(owned)?,
            time_zone_data: owned(reader)?,
        }),
        _ => return None,
    })
}
