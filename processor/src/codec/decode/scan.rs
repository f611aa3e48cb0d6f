//! Finds the members of a JSON object, without making anything of them.
//!
//! The grammar is that of RFC 8259, nothing more: what `serde_json` takes for an object, this takes, and nothing else
//! (the tests compare the two). It exists because the type of an event, and so the meaning of its members, may come
//! last; because a number is read from its text, exactly, which `serde_json` does not promise by default; and because
//! members found need no memory of their own. It takes about the time that `serde_json` takes to fill a fixed struct.
//! No recursion: the depth of nesting is bounded by [`DEPTH_MAX`].

use super::Malformed;

/// Deepest nesting, the object itself included; as in `serde_json`.
const DEPTH_MAX: usize = 127;

/// A part of the text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    #[inline]
    pub fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// As [`Span::of`], for comparing: a text must be checked to begin and end between characters.
    #[inline]
    pub fn bytes_of(self, text: &str) -> &[u8] {
        text.as_bytes().get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    pub fn start(self) -> usize {
        self.start as usize
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    True,
    False,
    Number,
    Text,
    /// A text with escapes, which [`unescape`] resolves.
    EscapedText,
    Object,
    Array,
}

impl Kind {
    /// As an error names it.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::True | Self::False => "a bool",
            Self::Number => "a number",
            Self::Text | Self::EscapedText => "a text",
            Self::Object => "an object",
            Self::Array => "an array",
        }
    }
}

/// A member of an object. Spans of texts do not include the quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub key: Span,
    pub key_escaped: bool,
    pub value: Span,
    pub kind: Kind,
    /// For the caller to mark; at first false.
    pub taken: bool,
}

/// Appends the members of the object that begins at `start`, and returns where it ends.
pub(super) fn members(text: &str, start: usize, out: &mut Vec<Member>) -> Result<usize, Malformed> {
    let mut scanner = Scanner::new(text, start);
    match scanner.members(out) {
        Some(()) => Ok(scanner.at),
        None => Err(Malformed::not_json(scanner.at, scanner.problem)),
    }
}

/// Checks that nothing but white space comes after `end`.
pub(super) fn nothing_follows(text: &str, end: usize) -> Result<(), Malformed> {
    let mut scanner = Scanner::new(text, end);
    scanner.space();
    if scanner.at == text.len() { Ok(()) } else { Err(Malformed::not_json(scanner.at, "something follows the object")) }
}

/// Its methods return `None` where the text is not JSON; then `at` and `problem` tell where and why.
struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    problem: &'static str,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str, at: usize) -> Self {
        Self { text, bytes: text.as_bytes(), at, problem: "" }
    }

    fn members(&mut self, out: &mut Vec<Member>) -> Option<()> {
        self.expect(b'{', "an object must begin with `{`")?;
        self.space();
        if self.skip(b'}') {
            return Some(());
        }
        loop {
            let (key, key_escaped) = self.key()?;
            let (value, kind) = self.value()?;
            out.push(Member { key, key_escaped, value, kind, taken: false });
            self.space();
            if self.skip(b'}') {
                return Some(());
            }
            self.expect(b',', "`,` or `}` must follow a value")?;
            self.space();
        }
    }

    #[cold]
    fn fail<T>(&mut self, problem: &'static str) -> Option<T> {
        self.problem = problem;
        None
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn expect(&mut self, byte: u8, otherwise: &'static str) -> Option<()> {
        if self.skip(byte) { Some(()) } else { self.fail(otherwise) }
    }

    #[inline]
    fn span(&self, start: usize) -> Span {
        // Payloads are far below 4 GiB, see `PAYLOAD_BYTES_MAX`.
        Span { start: start as u32, end: self.at as u32 }
    }

    /// A key and the colon after it.
    #[inline]
    fn key(&mut self) -> Option<(Span, bool)> {
        self.expect(b'"', "a key in quotes is missing")?;
        let key = self.string()?;
        self.space();
        self.expect(b':', "`:` must follow a key")?;
        self.space();
        Some(key)
    }

    #[inline]
    fn value(&mut self) -> Option<(Span, Kind)> {
        let start = self.at;
        let kind = match self.peek() {
            Some(b'"') => {
                self.at += 1;
                let (span, escaped) = self.string()?;
                return Some((span, if escaped { Kind::EscapedText } else { Kind::Text }));
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'n') => self.word("null", Kind::Null)?,
            Some(b't') => self.word("true", Kind::True)?,
            Some(b'f') => self.word("false", Kind::False)?,
            Some(b'{') => self.nested(Kind::Object)?,
            Some(b'[') => self.nested(Kind::Array)?,
            Some(_) => return self.fail("this is no value"),
            None => return self.fail("it ends where a value should be"),
        };
        Some((self.span(start), kind))
    }

    fn word(&mut self, word: &str, kind: Kind) -> Option<Kind> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return self.fail("this is no value");
        }
        self.at += word.len();
        Some(kind)
    }

    /// The rest of a string after its opening quote; whether it has escapes.
    #[inline]
    fn string(&mut self) -> Option<(Span, bool)> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = plain_until(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    let span = self.span(start);
                    self.at += 1;
                    return Some((span, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    let Some((_, length)) = escape(self.text, self.at) else { return self.fail("this is no escape") };
                    self.at += length;
                }
                Some(_) => return self.fail("a control character stands in a text"),
                None => return self.fail("it ends within a text"),
            }
        }
    }

    #[inline]
    fn number(&mut self) -> Option<Kind> {
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        }
        if self.skip(b'.') {
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _ = self.skip(b'+') || self.skip(b'-');
            self.digits()?;
        }
        Some(Kind::Number)
    }

    #[inline]
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { self.fail("a digit is missing") } else { Some(()) }
    }

    /// An object or array within the object: checked, and stepped over.
    fn nested(&mut self, kind: Kind) -> Option<Kind> {
        // One bit for each level: whether it is an object.
        let mut levels: u128 = 0;
        let mut depth = 0;
        loop {
            // Here a value begins.
            let opens = self.peek();
            if let Some(b'{' | b'[') = opens {
                depth += 1;
                if depth >= DEPTH_MAX {
                    return self.fail("it is nested too deep");
                }
                let object = opens == Some(b'{');
                levels = levels << 1 | u128::from(object);
                self.at += 1;
                self.space();
                if !self.skip(if object { b'}' } else { b']' }) {
                    if object {
                        self.key()?;
                    }
                    continue;
                }
                depth -= 1;
                levels >>= 1;
            } else {
                self.value()?;
            }
            // Here a value has ended.
            if self.close(&mut levels, &mut depth)? {
                return Some(kind);
            }
        }
    }

    /// After a value in a nested one: closes what ends here. Returns whether that was all, else the next value begins.
    fn close(&mut self, levels: &mut u128, depth: &mut usize) -> Option<bool> {
        while *depth > 0 {
            let object = *levels & 1 == 1;
            self.space();
            if self.skip(b',') {
                self.space();
                if object {
                    self.key()?;
                }
                return Some(false);
            }
            self.expect(if object { b'}' } else { b']' }, "`,` or a closing bracket must follow a value")?;
            *levels >>= 1;
            *depth -= 1;
        }
        Some(true)
    }
}

/// The first place from `at` on where a quote, a backslash or a control character stands; eight bytes at a time.
#[inline]
fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte that is zero; above the lowest such byte there may be false ones.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\'))) | control;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

/// The character that the escape at `at` stands for, and the length of the escape.
fn escape(text: &str, at: usize) -> Option<(char, usize)> {
    let rest = text.get(at..)?.as_bytes();
    let plain = match *rest.get(1)? {
        b'u' => return unicode_escape(rest),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        byte @ (b'"' | b'\\' | b'/') => char::from(byte),
        _ => return None,
    };
    Some((plain, 2))
}

/// `\u0041`, or two of them that are a surrogate pair.
fn unicode_escape(rest: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let escape = rest.get(at..at + 6)?;
        let digits = escape.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
    };
    let first = unit(0)?;
    if let Some(plain) = char::from_u32(first) {
        return Some((plain, 6));
    }
    let second = unit(6).filter(|unit| (0xdc00..0xe000).contains(unit))?;
    let high = first.checked_sub(0xd800).filter(|high| *high < 0x400)?;
    Some((char::from_u32(0x1_0000 + (high << 10) + (second - 0xdc00))?, 12))
}

/// Replaces `out` by a text whose escapes are resolved.
pub(super) fn unescape(raw: &str, out: &mut String) {
    out.clear();
    let mut at = 0;
    while let Some(length) = raw.get(at..).and_then(|rest| rest.find('\\')) {
        out.push_str(&raw[at..at + length]);
        at += length;
        // The scanner has let only escapes pass.
        let Some((character, length)) = escape(raw, at) else { break };
        out.push(character);
        at += length;
    }
    out.push_str(raw.get(at..).unwrap_or_default());
}

/// Whether a text is a JSON number.
pub(super) fn is_number(text: &str) -> bool {
    let mut scanner = Scanner::new(text, 0);
    scanner.number().is_some() && scanner.at == text.len()
}
