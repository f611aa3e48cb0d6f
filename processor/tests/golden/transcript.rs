//! Stories of rules, told in Markdown and run: the transcripts beside this file, and the examples of the manual.
//!
//! A block ```` ```yaml ```` holds rules; a block ```` ```json ```` the schema of a further event type; a block
//! ```` ```events ```` what comes in, line by line, and beneath each line what became of it:
//!
//! ```text
//! show: values evidence          which further members of the records are written down; also `counts`
//! history: 30d                   a setting: history, max_out_of_orderness, max_open_items, timezone, partitions
//! {"id":"e1","type":...}         an event as the program reads it
//! 2026-03-02 09:00 complaint status=opened        the same, in short: `customer=` is `anna` unless given
//! -> 2026-03-02 09:00 burst anna fired medium #0  a record: its time, rule, customer/item, what, sequence
//!    values: {"complaints":3}    a member of the record above
//! ! rules.yaml:3:5: ...          why the rules are refused
//! = accepted 3, late 1           what was counted
//! until: 2026-04-01 00:00        last: what is due by then is judged, with nothing more coming in
//! # a remark
//! ```

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{self, BufRead, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tocsin::backtest::{self, Settings, Summary};
use tocsin::codec::schemas::Schemas;
use tocsin::codec::timestamp;
use tocsin::rules::{self, Limits, Source};
use tocsin_core::time::{Millis, parse_duration};

/// A document with what was found in place of what it expects, and how many sets of rules it ran.
pub struct Told {
    pub text: String,
    pub stories: usize,
}

/// Runs every story of a document.
///
/// # Panics
/// If a set of rules has no events, or a line is of no known kind: with the file's name and the line's number.
pub fn tell(file: &str, document: &str) -> Told {
    let mut told = Told { text: String::new(), stories: 0 };
    let (mut rules, mut schemas, mut tested) = (None, Vec::new(), true);
    let mut lines = document.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        put(&mut told.text, line);
        let Some(kind @ ("yaml" | "json" | "events")) = line.strip_prefix("```") else { continue };
        let mut block = Vec::new();
        let end = loop {
            match lines.next() {
                Some((_, "```")) => break "```",
                Some((_, line)) => block.push(line),
                None => panic!("{file}:{}: this block has no end", number + 1),
            }
        };
        if kind == "events" {
            let rules = rules.as_deref().unwrap_or_else(|| panic!("{file}:{}: events without rules", number + 1));
            let story = Story::read(&block).unwrap_or_else(|(at, why)| panic!("{file}:{}: {why}", number + 2 + at));
            story.told(rules, &schemas, &mut told.text);
            (told.stories, tested) = (told.stories + 1, true);
        } else {
            put_all(&mut told.text, &block);
            if kind == "yaml" {
                assert!(tested, "{file}:{}: the rules before this line have no events", number + 1);
                (rules, tested) = (Some(block.join("\n")), false);
            } else {
                schemas.push(block.join("\n"));
            }
        }
        put(&mut told.text, end);
    }
    assert!(tested, "{file}: the last rules have no events");
    told
}

fn put(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn put_all(text: &mut String, lines: &[impl AsRef<str>]) {
    for line in lines {
        put(text, line.as_ref());
    }
}

/// A block of events: its lines but for what it expects, which of them come in, and under which settings.
struct Story<'d> {
    lines: Vec<&'d str>,
    input: Vec<(usize, String)>,
    show: Vec<&'d str>,
    settings: Settings,
    limits: Limits,
}

impl<'d> Story<'d> {
    fn read(block: &[&'d str]) -> Result<Self, (usize, String)> {
        let mut story = Self {
            lines: Vec::new(),
            input: Vec::new(),
            show: Vec::new(),
            // Each line by itself, so that records stand beneath the line that made them known.
            settings: Settings { read_ahead: 1, ..Settings::default() },
            limits: Limits::default(),
        };
        for (at, line) in block.iter().enumerate() {
            if ["->", "   ", "! ", "= "].iter().any(|mark| line.starts_with(mark)) {
                continue;
            }
            let place = story.lines.len();
            story.lines.push(line);
            let first = line.chars().next();
            if first == Some('{') {
                story.input.push((place, (*line).to_owned()));
            } else if first.is_some_and(|first| first.is_ascii_digit()) {
                let id = format!("e{}", story.input.len() + 1);
                let event = in_full(&id, line).ok_or((at, format!("no event: {line}")))?;
                story.input.push((place, event));
            } else if !matches!(first, None | Some('#')) {
                story.set(line).ok_or((at, format!("neither an event nor a setting: {line}")))?;
            }
        }
        Ok(story)
    }

    fn set(&mut self, line: &'d str) -> Option<()> {
        let (name, value) = line.split_once(": ")?;
        match name {
            "show" => self.show = value.split(' ').collect(),
            "until" => self.settings.until = Some(instant(value)?),
            "history" => {
                self.limits.history = parse_duration(value).ok()?;
                self.settings.engine.history = self.limits.history;
            }
            "max_out_of_orderness" => self.settings.time.max_out_of_orderness = parse_duration(value).ok()?,
            "max_open_items" => self.settings.engine.max_open_items = value.parse().ok()?,
            "timezone" => self.limits.timezone = value.parse().ok()?,
            "partitions" => self.settings.partitions = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }

    /// Runs it and writes its lines, each with what became of it.
    fn told(&self, rules: &str, schemas: &[String], text: &mut String) {
        let schemas = schemas.iter().map(|schema| ("further.avsc", schema));
        let schemas = Arc::new(Schemas::from_sources(schemas).unwrap_or_else(|error| panic!("{error}")));
        let source = Source { name: "rules.yaml".to_owned(), text: rules.to_owned() };
        let mut found = vec![Vec::new(); self.lines.len()];
        let mut last = Vec::new();
        match rules::load(&[source], schemas.catalog(), &self.limits) {
            Err(errors) => last.extend(errors.problems.iter().map(|problem| format!("! {problem}"))),
            Ok(loaded) => {
                let now = Rc::new(Cell::new(0));
                let feed = Feed { lines: &self.input, next: 0, rest: Vec::new(), read: 0, now: now.clone() };
                let mut log = Log { now, records: Vec::new() };
                let summary =
                    backtest::run(Arc::new(loaded.set), &schemas, &self.settings, feed, &mut log, &mut |_| ()).unwrap();
                for (at, record) in log.records {
                    let lines = self.record(&serde_json::from_slice(&record).unwrap());
                    at.map_or(&mut last, |at| &mut found[at]).extend(lines);
                }
                last.extend(self.show.contains(&"counts").then(|| counts(&summary)));
            }
        }
        for (line, found) in self.lines.iter().zip(&found) {
            put(text, line);
            put_all(text, found);
        }
        put_all(text, &last);
    }

    fn record(&self, record: &Value) -> Vec<String> {
        let of = |name: &str| record[name].as_str().unwrap_or_default();
        let item = record["item"].as_str().map(|item| format!("/{item}")).unwrap_or_default();
        let at = short(of("occurred_at"));
        let mut line = format!("-> {at} {} {}{item} ", of("rule_id"), of("customer_id"));
        let severity = of("severity");
        let _ = match of("transition") {
            "fired" => write!(line, "fired {severity}"),
            "severity_changed" => write!(line, "{} {} to {severity}", of("reason"), of("previous_severity")),
            other => write!(line, "{other} {} {severity}", of("reason")),
        };
        let _ = write!(line, " #{}", record["sequence"]);
        let shown = self.show.iter().filter(|name| **name != "counts");
        let members = shown.map(|name| {
            let member = record.get(*name).unwrap_or_else(|| panic!("a record has no member {name}"));
            format!("   {name}: {member}")
        });
        std::iter::once(line).chain(members).collect()
    }
}

/// What a run counted, as one line.
fn counts(summary: &Summary) -> String {
    let mut parts: Vec<String> = summary
        .outcomes
        .iter()
        .map(|(outcome, count)| {
            let words: String = format!("{outcome:?}").chars().flat_map(in_words).collect();
            format!("{} {count}", words.trim_start())
        })
        .collect();
    parts.extend(summary.refused.iter().map(|(reason, count)| format!("refused as {reason} {count}")));
    for (what, count) in [("ignored fields", summary.ignored_fields), ("after `until`", summary.after_until)] {
        parts.extend((count > 0).then(|| format!("{what} {count}")));
    }
    format!("= {}", parts.join(", "))
}

fn in_words(letter: char) -> Vec<char> {
    if letter.is_uppercase() { vec![' ', letter.to_ascii_lowercase()] } else { vec![letter] }
}

/// `2026-01-01T00:00:00.000Z` without what is zero in it.
fn short(at: &str) -> String {
    let at = at.replace('T', " ");
    let at = at.strip_suffix(".000Z").unwrap_or(at.trim_end_matches('Z'));
    at.strip_suffix(":00").filter(|at| at.len() == 16).unwrap_or(at).to_owned()
}

/// The reverse.
fn instant(short: &str) -> Option<Millis> {
    let (date, time) = short.split_once(' ')?;
    let seconds = if time.len() == 5 { ":00" } else { "" };
    timestamp::parse(&format!("{date}T{time}{seconds}Z"))
}

/// An event in short as JSON.
fn in_full(id: &str, line: &str) -> Option<String> {
    let mut words = words(line).into_iter();
    let at = format!("{} {}", words.next()?, words.next()?);
    let mut event = Map::from_iter([
        ("id".to_owned(), json!(id)),
        ("type".to_owned(), json!(words.next()?)),
        ("customer_id".to_owned(), json!("anna")),
        ("occurred_at".to_owned(), json!(instant(&at)?)),
    ]);
    for word in words {
        let (name, value) = word.split_once('=')?;
        let name = if name == "customer" { "customer_id" } else { name };
        event.insert(name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| json!(value)));
    }
    Some(Value::Object(event).to_string())
}

/// Words between blanks; those within double quotes belong together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for letter in line.chars() {
        quoted ^= letter == '"';
        match words.last_mut() {
            Some(word) if letter != ' ' || quoted => word.push(letter),
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The events one at a time, so that it is known which of them was the last when a record is written.
struct Feed<'s> {
    lines: &'s [(usize, String)],
    next: usize,
    rest: Vec<u8>,
    read: usize,
    now: Rc<Cell<usize>>,
}

impl BufRead for Feed<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read == self.rest.len() {
            (self.rest, self.read) = (Vec::new(), 0);
            match self.lines.get(self.next) {
                Some((place, line)) => {
                    self.rest = format!("{line}\n").into_bytes();
                    self.now.set(*place);
                }
                None => self.now.set(usize::MAX),
            }
            self.next += 1;
        }
        Ok(&self.rest[self.read..])
    }

    fn consume(&mut self, amount: usize) {
        self.read += amount;
    }
}

impl Read for Feed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// The records, each with the line that was the last when it was written; `None`: all had been read.
struct Log {
    now: Rc<Cell<usize>>,
    records: Vec<(Option<usize>, Vec<u8>)>,
}

impl Write for Log {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let at = self.now.get();
        self.records.push(((at != usize::MAX).then_some(at), record.to_vec()));
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
