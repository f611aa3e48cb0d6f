//! YAML as a tree in which everything knows its place.
//!
//! Built from the parser's events rather than from one of its ready-made trees: those resolve `1.10` to a number,
//! keep one of two equal keys or stop at the first, and cannot say where in a quoted text a character stands.

use std::collections::{HashMap, HashSet};
use std::iter::Peekable;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::problem::{Complaint, Position, quoted};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub at: Position,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A text as the author wrote it: never turned into a number or a boolean.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scalar {
    pub text: String,
    pub style: ScalarStyle,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    pub at: Position,
    pub value: Node,
}

impl Scalar {
    /// Nothing, or one of the plain words for it.
    pub(super) fn is_null(&self) -> bool {
        self.style == ScalarStyle::Plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Value {
    /// For sentences such as "`when` is a list".
    pub(super) fn shape(&self) -> &'static str {
        match self {
            Self::Scalar(scalar) if scalar.is_null() => "empty",
            Self::Scalar(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Lists and mappings within each other; a rule needs six.
const DEEPEST: usize = 64;
/// Nodes that aliases may repeat, in one file.
const MOST_REPEATED: usize = 10_000;

/// Reads one YAML document. `None` if there is none, which `complain` has then been told; what is told beside a
/// result does not keep the rest from being checked.
pub(super) fn parse(text: &str, complain: &mut dyn FnMut(Position, Complaint)) -> Option<Node> {
    let mut builder = Builder { complain, open: Vec::new(), root: None, anchors: HashMap::new(), repeated: 0 };
    let mut parser = Parser::new_from_str(without_bom(text));
    let mut documents = 0;
    while let Some(event) = parser.next_event() {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                (builder.complain)(position(*error.marker()), Complaint::new(explained(&error)));
                return None;
            }
        };
        let at = position(span.start);
        if let Event::DocumentStart(_) = event {
            documents += 1;
            if documents > 1 {
                (builder.complain)(at, "a second YAML document; write all rules of a file in one `rules:` list".into());
                return None;
            }
        }
        builder.take(event, at)?;
    }
    if builder.root.is_none() {
        (builder.complain)(Position { line: 1, column: 1 }, "the file is empty; write `rules:` and a list".into());
    }
    builder.root
}

fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn position(marker: Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

fn explained(error: &ScanError) -> String {
    let hint = match error.info() {
        info if info.contains("mapping values are not allowed") => "; put a text that holds `: ` in quotes",
        info if info.contains("flow ") => "; put an expression that holds any of , [ ] { } in quotes",
        info if info.contains("unknown anchor") => "; a text that begins with `*` needs quotes",
        info if info.contains("unexpected character") => "; a text that begins with it needs quotes",
        _ => "",
    };
    format!("not YAML: {}{hint}", error.info())
}

enum Open {
    List { at: Position, anchor: usize, items: Vec<Node> },
    Map { at: Position, anchor: usize, entries: Vec<Entry>, seen: HashSet<String>, key: Option<(String, Position)> },
}

struct Builder<'a> {
    complain: &'a mut dyn FnMut(Position, Complaint),
    /// Lists and mappings whose end is still to come, outermost first.
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    repeated: usize,
}

impl Builder<'_> {
    /// `None` if there is no point in reading on.
    fn take(&mut self, event: Event<'_>, at: Position) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                // What was taken for a tag is the beginning of the text.
                let text = tag.map_or(String::new(), |tag| tag.to_string()) + &text;
                let scalar = Scalar { text, style };
                self.add(Node { at, value: Value::Scalar(scalar) }, anchor);
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                self.open(Open::List { at, anchor, items: Vec::new() }, at)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                let (entries, seen) = (Vec::new(), HashSet::new());
                self.open(Open::Map { at, anchor, entries, seen, key: None }, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop()? {
                Open::List { at, anchor, items } => self.add(Node { at, value: Value::List(items) }, anchor),
                Open::Map { at, anchor, entries, .. } => self.add(Node { at, value: Value::Map(entries) }, anchor),
            },
            Event::Alias(anchor) => self.repeat(anchor, at)?,
            _ => {}
        }
        Some(())
    }

    fn open(&mut self, open: Open, at: Position) -> Option<()> {
        if self.open.len() >= DEEPEST {
            (self.complain)(at, format!("more than {DEEPEST} lists and mappings within each other").into());
            return None;
        }
        self.open.push(open);
        Some(())
    }

    /// A tag would change how a value is read. Nobody means one here: it is a condition that begins with `!`.
    fn refuse_tag(&mut self, tag: Option<&Tag>, at: Position) {
        if let Some(tag) = tag {
            let reason = format!(
                "YAML takes {} for a tag; put a condition that begins with `!` in quotes",
                quoted(&tag.to_string())
            );
            (self.complain)(at, reason.into());
        }
    }

    fn repeat(&mut self, anchor: usize, at: Position) -> Option<()> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            (self.complain)(at, "this alias stands within what it repeats".into());
            return None;
        };
        self.repeated += size(&node);
        if self.repeated > MOST_REPEATED || self.open.len() + height(&node) > DEEPEST {
            (self.complain)(at, format!("aliases repeat more than {MOST_REPEATED} values, or nest too deep").into());
            return None;
        }
        self.add(node, 0);
        Some(())
    }

    fn add(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, seen, key, .. }) => match key.take() {
                Some((key, at)) if seen.insert(key.clone()) => entries.push(Entry { key, at, value: node }),
                Some((key, at)) => {
                    (self.complain)(at, format!("the key {} is here twice", quoted(&key)).into());
                }
                None => match node.value {
                    Value::Scalar(scalar) => *key = Some((scalar.text, node.at)),
                    other => {
                        (self.complain)(node.at, format!("a key is a word, this is {}", other.shape()).into());
                        *key = Some((String::new(), node.at));
                    }
                },
            },
        }
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar(_) => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| 1 + size(&entry.value)).sum(),
    }
}

fn height(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(_) => 0,
        Value::List(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Value::Map(entries) => 1 + entries.iter().map(|entry| height(&entry.value)).max().unwrap_or(0),
    }
}

/// Where in the file the character at `offset` of a text stands.
///
/// Quotes, escapes and folded lines make a text differ from its source only in white space and in how single
/// characters are written, so the n-th visible character of one is the n-th of the other.
pub(super) fn position_in(source: &str, at: Position, scalar: &Scalar, offset: usize) -> Position {
    let visible = |c: &char| !c.is_whitespace();
    let wanted = scalar.text.chars().take(offset).filter(visible).count();
    let all = scalar.text.chars().filter(visible).count();
    let mut characters = characters(without_bom(source), at).peekable();
    skip_opening(&mut characters, scalar);
    let mut last = None;
    for count in 0..all {
        let Some(here) = next_visible(&mut characters, scalar.style) else { break };
        if count == wanted {
            return here;
        }
        last = Some(here);
    }
    last.map_or(at, |last| Position { line: last.line, column: last.column + 1 })
}

/// Goes past what stands before the first character of a text: an anchor, the head of a block, a quote.
fn skip_opening(characters: &mut Peekable<impl Iterator<Item = (Position, char)>>, scalar: &Scalar) {
    let block = matches!(scalar.style, ScalarStyle::Literal | ScalarStyle::Folded);
    let anchored = characters.peek().is_some_and(|(_, c)| *c == '&');
    if anchored && !(block && scalar.text.trim_start().starts_with('&')) {
        let within = |c: char| if block { c != '\n' } else { !c.is_whitespace() };
        while characters.next_if(|(_, c)| within(*c)).is_some() {}
        while characters.next_if(|(_, c)| c.is_whitespace()).is_some() {}
    }
    if matches!(scalar.style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
        characters.next();
    }
}

fn characters(source: &str, from: Position) -> impl Iterator<Item = (Position, char)> {
    let lines = source.lines().zip(1..).skip(from.line.saturating_sub(1));
    lines.flat_map(move |(text, line)| {
        let first = if line == from.line { from.column } else { 1 };
        let columns = text.chars().chain(['\n']).zip(1..).skip(first - 1);
        columns.map(move |(c, column)| (Position { line, column }, c))
    })
}

fn next_visible(characters: &mut impl Iterator<Item = (Position, char)>, style: ScalarStyle) -> Option<Position> {
    loop {
        let (here, c) = characters.next()?;
        let visible = match style {
            ScalarStyle::SingleQuoted if c == '\'' => {
                // The second of a pair that stands for one.
                characters.next();
                true
            }
            ScalarStyle::DoubleQuoted if c == '\\' => escapes_visible(characters)?,
            _ => !c.is_whitespace(),
        };
        if visible {
            return Some(here);
        }
    }
}

/// Reads what follows a backslash; whether it stands for a visible character.
fn escapes_visible(characters: &mut impl Iterator<Item = (Position, char)>) -> Option<bool> {
    let (_, c) = characters.next()?;
    let digits = match c {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return Some(!"ntrvfNLP_ \t\n".contains(c)),
    };
    let hex: String = characters.take(digits).map(|(_, c)| c).collect();
    let c = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32)?;
    Some(!c.is_whitespace())
}

#[cfg(test)]
#[path = "tests/yaml.rs"]
mod tests;
