//! A YAML file as a flat list of settings, each with its line.
//!
//! Scalars keep the text that stands in the file, whatever YAML would make of it: `0123` as a password stays `0123`.
//! What a setting is to be, a number or a duration, is known only to whoever reads it.

use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::given::{Setting, Value};
use super::problem::{Origin, Problem};

/// Deeper than any setting; keeps a hostile file from exhausting the stack.
const DEPTH_MAX: usize = 16;

/// Reads a file's text. `path` is what problems name.
///
/// A key of a section becomes `section.key`; a key without a value counts as not given.
///
/// # Errors
/// The first place at which the text is not YAML, or not of sections and plain values.
pub fn settings(path: &Path, text: &str) -> Result<Vec<Setting>, Problem> {
    let mut reader = Reader { path, parser: Parser::new_from_str(text), settings: Vec::new() };
    reader.document()?;
    Ok(reader.settings)
}

struct Reader<'a> {
    path: &'a Path,
    parser: Parser<'a, StrInput<'a>>,
    settings: Vec<Setting>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<(), Problem> {
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(_) => documents += 1,
                Event::MappingStart(..) if documents == 1 => self.section("", 0)?,
                Event::Scalar(text, style, ..) if is_null(&text, style) => {}
                Event::MappingStart(..) => {
                    return Err(self.problem(span, "a second YAML document", "keep all settings in the first one"));
                }
                Event::Scalar(..) | Event::SequenceStart(..) | Event::Alias(_) => {
                    let next = "write keys and values, such as `workers: 2`";
                    return Err(self.problem(span, "the file holds no settings", next));
                }
                _ => {}
            }
        }
    }

    /// Reads up to the end of a mapping whose start has been read.
    fn section(&mut self, prefix: &str, depth: usize) -> Result<(), Problem> {
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(text, ..) if prefix.is_empty() => text.into_owned(),
                Event::Scalar(text, ..) => format!("{prefix}.{text}"),
                _ => return Err(self.problem(span, "a key that is not plain text", "write `name: value`")),
            };
            self.value(key, span, depth)?;
        }
    }

    fn value(&mut self, key: String, at: Span, depth: usize) -> Result<(), Problem> {
        let (event, span) = self.next()?;
        let value = match event {
            Event::Scalar(text, style, ..) if is_null(&text, style) => return Ok(()),
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) => Value::List(self.list()?),
            Event::MappingStart(..) if depth < DEPTH_MAX => return self.section(&key, depth + 1),
            Event::MappingStart(..) => return Err(self.problem(span, "sections nested too deep", "take some out")),
            _ => return Err(self.problem(span, "an alias (`*name`)", "write the value itself; aliases are not read")),
        };
        self.settings.push(Setting { key, value, origin: self.origin(at.start.line()) });
        Ok(())
    }

    /// Reads up to the end of a sequence whose start has been read.
    fn list(&mut self) -> Result<Vec<String>, Problem> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::SequenceEnd => return Ok(items),
                Event::Scalar(text, ..) => items.push(text.into_owned()),
                _ => return Err(self.problem(span, "a list of other than plain values", "write one value an item")),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.not_yaml(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn not_yaml(&self, error: &ScanError) -> Problem {
        Problem {
            origin: self.origin(error.marker().line()),
            key: None,
            what: format!("not YAML: {}", error.info()),
            next: "mend the file at or shortly before this line; indent with spaces, quote texts with `: ` or ` #`"
                .to_owned(),
        }
    }

    fn problem(&self, span: Span, what: &str, next: &str) -> Problem {
        let origin = self.origin(span.start.line());
        Problem { origin, key: None, what: what.to_owned(), next: next.to_owned() }
    }

    fn origin(&self, line: usize) -> Origin {
        Origin::File { path: self.path.to_owned(), line }
    }
}

fn is_null(text: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
