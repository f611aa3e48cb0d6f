//! Rules over a file of events: the same engine as live, with the file for a log and memory for a store.
//!
//! The lines are split over partitions as a producer would, each with its own watermark, so that the result is that of a
//! live run over a topic of as many partitions.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tocsin_core::alert::{Detail, Judged, Severity, TransitionKind};
use tocsin_core::engine::{Engine, Outcome, Settings as EngineSettings};
use tocsin_core::event::Event;
use tocsin_core::partition::{Drained, InForce, Origin, Partition, Taken, TimeSettings};
use tocsin_core::rule::RuleSet;
use tocsin_core::time::Millis;

use crate::codec::alert::AlertWriter;
use crate::codec::decode::Decoder;
use crate::codec::schemas::Schemas;
use crate::partitioner::Partitioner;
use crate::store::MemoryStore;
use crate::task::cache::Cache;

/// Lines between two calls of the progress function.
const REPORT_EVERY: u64 = 4_096;
/// Bad lines that are kept to be shown.
const SHOWN_LINES: usize = 10;

/// How a backtest is to be run.
#[derive(Clone, Debug)]
pub struct Settings {
    pub engine: EngineSettings,
    pub time: TimeSettings,
    /// Later events are left out, and at the end all that is due by then is judged. `None`: what the watermark of the
    /// last event reaches.
    pub until: Option<Millis>,
    pub partitions: i32,
    pub partitioner: Partitioner,
    /// Stop at the first line that is no event.
    pub strict: bool,
    /// Whether alert records are made, or transitions only counted.
    pub records: bool,
    /// What records give as `detected_at`.
    pub detected_at: Millis,
    /// Lines that are read and decoded before the first of them is judged.
    pub read_ahead: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            engine: EngineSettings::default(),
            time: TimeSettings::default(),
            until: None,
            partitions: 1,
            partitioner: Partitioner::Murmur2,
            strict: false,
            records: true,
            detected_at: 0,
            read_ahead: 64,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Lines that are events, those refused included.
    pub events: u64,
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Events left out because they are later than `until`.
    pub after_until: u64,
    /// Fields that their event's type does not have.
    pub ignored_fields: u64,
    /// Lines that are no event, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// The first of them.
    pub bad_lines: Vec<BadLine>,
    pub customers: usize,
    /// Transitions by rule id, kind and severity.
    pub alerts: BTreeMap<(Box<str>, TransitionKind, Severity), u64>,
    /// Triggers that opened no item, because the customer held as many as may be, by rule id.
    pub items_refused: BTreeMap<Box<str>, u64>,
    pub elapsed: Duration,
}

/// A line that is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// From 1.
    pub line: u64,
    pub reason: &'static str,
    pub message: String,
}

/// Why a backtest stopped.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The input cannot be read on.
    #[error("line {line}: the input cannot be read: {source}")]
    Input { line: u64, source: std::io::Error },
    /// With [`Settings::strict`]: a line that is no event.
    #[error("line {}: {} ({})", .0.line, .0.message, .0.reason)]
    Strict(BadLine),
    #[error("the alerts cannot be written: {0}")]
    Output(std::io::Error),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

/// Runs `rules` over `input`, one JSON object a line, and writes one alert record a line to `output`.
///
/// `progress` is told from time to time how many events have been read.
///
/// # Errors
/// See [`BacktestError`].
pub fn run(
    rules: Arc<RuleSet>,
    schemas: &Arc<Schemas>,
    settings: &Settings,
    input: impl BufRead,
    output: &mut impl Write,
    progress: &mut dyn FnMut(u64),
) -> Result<Summary, BacktestError> {
    run_and_keep(rules, schemas, settings, input, output, progress).map(|(summary, _)| summary)
}

/// The state of all customers at the end of a backtest.
#[derive(Debug)]
pub struct State {
    _partitions: Vec<(Partition, Cache<MemoryStore>)>,
}

/// The same, and gives the state back. A program that ends next may forget it: to take it apart, customer by customer, lasts
/// as long as a tenth of the run.
///
/// # Errors
/// See [`BacktestError`].
pub fn run_and_keep(
    rules: Arc<RuleSet>,
    schemas: &Arc<Schemas>,
    settings: &Settings,
    mut input: impl BufRead,
    output: &mut impl Write,
    progress: &mut dyn FnMut(u64),
) -> Result<(Summary, State), BacktestError> {
    let started = Instant::now();
    let mut run = Run::new(rules, schemas.clone(), settings, output);
    let mut decoders: Vec<Decoder> = (0..settings.read_ahead.max(1)).map(|_| Decoder::new(schemas.clone())).collect();
    let (mut lines, mut number) = (Lines::default(), 0);
    loop {
        let first = number + 1;
        let read = lines.read(&mut input, decoders.len());
        number += lines.len() as u64;
        run.lines(&lines, first, &mut decoders)?;
        read.map_err(|source| BacktestError::Input { line: number + 1, source })?;
        if lines.len() < decoders.len() {
            break;
        }
        if number.is_multiple_of(REPORT_EVERY) {
            progress(run.summary.events);
        }
    }
    run.summary.ignored_fields = decoders.iter().map(Decoder::ignored_fields).sum();
    run.finish()?;
    let mut summary = run.summary;
    progress(summary.events);
    summary.elapsed = started.elapsed();
    Ok((summary, State { _partitions: run.partitions }))
}

/// Some lines of the input, in one piece of memory.
#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Lines {
    /// Reads the next lines in place of those before; fewer than `most` are the last ones.
    fn read(&mut self, input: &mut impl BufRead, most: usize) -> std::io::Result<()> {
        self.text.clear();
        self.ends.clear();
        while self.ends.len() < most && input.read_until(b'\n', &mut self.text)? > 0 {
            self.ends.push(self.text.len());
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.text[start..*end].trim_ascii())
    }
}

struct Run<'a, W> {
    engine: Engine,
    writer: AlertWriter,
    settings: &'a Settings,
    partitions: Vec<(Partition, Cache<MemoryStore>)>,
    judged: Judged,
    record: Vec<u8>,
    output: &'a mut W,
    summary: Summary,
}

impl<'a, W: Write> Run<'a, W> {
    fn new(rules: Arc<RuleSet>, schemas: Arc<Schemas>, settings: &'a Settings, output: &'a mut W) -> Self {
        let detail = if settings.records { Detail::Full } else { Detail::TransitionsOnly };
        let partition = || (Partition::default(), Cache::new(MemoryStore::default(), usize::MAX, None));
        Self {
            engine: Engine::new(rules, schemas.catalog(), settings.engine),
            writer: AlertWriter::new(schemas),
            settings,
            partitions: (0..settings.partitions.max(1)).map(|_| partition()).collect(),
            judged: Judged { detail, ..Judged::default() },
            record: Vec::new(),
            output,
            summary: Summary::default(),
        }
    }

    /// Judges some lines; the number of the first is given.
    fn lines(&mut self, lines: &Lines, first: u64, decoders: &mut [Decoder]) -> Result<(), BacktestError> {
        let numbered = lines.iter().zip(first..).filter(|(text, _)| !text.is_empty());
        let decoded: Vec<_> =
            numbered.zip(decoders).map(|((text, number), decoder)| (number, decoder.decode(text))).collect();
        let events = || decoded.iter().filter_map(|(_, event)| event.as_ref().ok());
        let latest = events().map(|event| event.occurred_at).max().unwrap_or(Millis::MIN);
        for (place, (_, cache)) in self.partitions.iter().enumerate() {
            let here = events().filter(|event| self::place(self.settings, event) == place);
            cache.warm(here.map(|event| event.customer_id), latest);
        }
        for (number, event) in decoded {
            match event {
                Ok(event) => self.event(&event)?,
                Err(malformed) => {
                    let bad = BadLine { line: number, reason: malformed.reason, message: malformed.message };
                    refuse(&mut self.summary, bad, self.settings.strict)?;
                }
            }
        }
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> Result<(), BacktestError> {
        self.summary.events += 1;
        if self.settings.until.is_some_and(|until| event.occurred_at > until) {
            self.summary.after_until += 1;
            return Ok(());
        }
        let place = place(self.settings, event);
        let (partition, cache) = &mut self.partitions[place];
        let rules = InForce::steady(&self.engine);
        let taken = partition.take(rules, &self.settings.time, cache, event, Origin::default(), &mut self.judged)?;
        if let Taken::Judged(outcome) = taken {
            *self.summary.outcomes.entry(outcome).or_default() += 1;
        }
        self.drain(place)
    }

    fn drain(&mut self, place: usize) -> Result<(), BacktestError> {
        loop {
            let (partition, cache) = &mut self.partitions[place];
            let drained = partition.drain(InForce::steady(&self.engine), cache, 10_000, &mut self.judged)?;
            self.write()?;
            if drained == Drained::Done {
                return Ok(());
            }
        }
    }

    fn write(&mut self) -> Result<(), BacktestError> {
        for rule in self.judged.refused.drain(..) {
            *self.summary.items_refused.entry(rule.id.clone()).or_default() += 1;
        }
        for transition in self.judged.transitions.drain(..) {
            let key = (transition.rule.id.clone(), transition.kind, transition.severity);
            *self.summary.alerts.entry(key).or_default() += 1;
            if self.settings.records {
                self.record.clear();
                self.writer.json(&transition, self.settings.detected_at, &mut self.record);
                self.record.push(b'\n');
                self.output.write_all(&self.record).map_err(BacktestError::Output)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), BacktestError> {
        for place in 0..self.partitions.len() {
            if let Some(until) = self.settings.until {
                self.partitions[place].0.advance(until);
            }
            self.drain(place)?;
        }
        self.summary.customers = self.partitions.iter().map(|(_, cache)| cache.known_customers()).sum();
        self.output.flush().map_err(BacktestError::Output)
    }
}

fn place(settings: &Settings, event: &Event<'_>) -> usize {
    if settings.partitions <= 1 {
        return 0;
    }
    settings.partitioner.partition(event.customer_id.as_bytes(), settings.partitions) as usize
}

fn refuse(summary: &mut Summary, bad: BadLine, strict: bool) -> Result<(), BacktestError> {
    if strict {
        return Err(BacktestError::Strict(bad));
    }
    *summary.refused.entry(bad.reason).or_default() += 1;
    if summary.bad_lines.len() < SHOWN_LINES {
        summary.bad_lines.push(bad);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
