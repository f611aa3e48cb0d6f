//! From the text of a setting to its value, with every refusal kept beside the place it came from.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use tocsin_core::time::{Duration, parse_duration};

use super::given::{Given, Value};
use super::keys::{self, Initial};
use super::problem::{Origin, Problem};

/// Why a text is not the value it should be, and what to write.
#[derive(Debug)]
pub struct Refusal {
    pub what: String,
    pub next: String,
}

impl Refusal {
    pub fn new(what: impl Display, next: impl Display) -> Self {
        Self { what: what.to_string(), next: next.to_string() }
    }
}

/// Takes settings one after the other and goes on after a refusal, so that all of them are reported at once.
#[derive(Debug)]
pub struct Reader<'a> {
    given: &'a Given,
    pub problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub fn new(given: &'a Given) -> Self {
        Self { given, problems: given.problems().to_vec() }
    }

    /// Reads a setting; a default stands in for a value that was refused, and is never used.
    pub fn parsed<T: Default>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, Refusal>) -> T {
        self.optional(key, parse).unwrap_or_default()
    }

    /// Reads a setting that may be left out.
    pub fn optional<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, Refusal>) -> Option<T> {
        let value = match resolve(self.given, key) {
            Ok(Some((Value::Text(text), _))) if text.trim().is_empty() => {
                Err(Refusal::new("is empty", "give it a value, or remove it to have the default"))
            }
            Ok(Some((Value::Text(text), _))) => parse(text.trim()),
            Ok(Some((Value::List(_), _))) => Err(Refusal::new("is a list", "give it one value")),
            Ok(None) => return None,
            Err(missing) => Err(missing),
        };
        value.map_err(|refusal| self.refuse(key, refusal)).ok()
    }

    /// Reads a setting that is a list in the file, and texts joined by commas elsewhere.
    pub fn list(&mut self, key: &str) -> Vec<String> {
        let items = match resolve(self.given, key) {
            Ok(Some((Value::List(items), _))) => items,
            Ok(Some((Value::Text(text), _))) => text.split(',').map(str::to_owned).collect(),
            Ok(None) => Vec::new(),
            Err(missing) => {
                self.refuse(key, missing);
                return Vec::new();
            }
        };
        let items: Vec<_> = items.iter().map(|item| item.trim().to_owned()).collect();
        if items.is_empty() || items.iter().any(String::is_empty) {
            self.refuse(key, Refusal::new("is empty, or has an empty entry", "give every entry a value"));
        }
        items
    }

    pub fn duration(&mut self, key: &str) -> Duration {
        self.parsed(key, duration)
    }

    /// A duration, or `word` for none.
    pub fn duration_or(&mut self, key: &str, word: &str) -> Option<Duration> {
        self.parsed(key, |text| if text == word { Ok(None) } else { duration_with(text, Some(word)).map(Some) })
    }

    pub fn number(&mut self, key: &str, range: RangeInclusive<u32>) -> u32 {
        self.parsed(key, |text| number(text, range))
    }

    pub fn bool(&mut self, key: &str) -> bool {
        self.parsed(key, |text| choice(text, &[("true", true), ("false", false)]))
    }

    pub fn choice<T: Copy + Default>(&mut self, key: &str, choices: &[(&str, T)]) -> T {
        self.parsed(key, |text| choice(text, choices))
    }

    pub fn path(&mut self, key: &str) -> PathBuf {
        self.parsed(key, |text| Ok(PathBuf::from(text)))
    }

    /// Notes that the value of `key` cannot be used.
    pub fn refuse(&mut self, key: &str, refusal: Refusal) {
        let origin = self.given.get(key).map_or(Origin::Default, |setting| setting.origin.clone());
        let Refusal { what, next } = refusal;
        self.problems.push(Problem { origin, key: Some(key.to_owned()), what, next });
    }
}

/// A setting's value and where it is from: what was given, else its default; `None` if it may be left out and was.
///
/// # Errors
/// If it has to be given, or its default cannot be had on this machine.
pub fn resolve(given: &Given, key: &str) -> Result<Option<(Value, Origin)>, Refusal> {
    if let Some(setting) = given.get(key) {
        return Ok(Some((setting.value.clone(), setting.origin.clone())));
    }
    let text = match keys::find(key).map_or(Initial::Unset, |key| key.initial) {
        Initial::Unset => return Ok(None),
        Initial::Text(text) => text.to_owned(),
        Initial::Required => {
            let (variable, flag) = (keys::variable(key), keys::flag(key));
            return Err(Refusal::new("is not given", format!("set it in the file, by {variable} or by {flag}")));
        }
        Initial::HostName => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        Initial::ApplicationWith(end) => match resolve(given, "application")? {
            Some((Value::Text(application), _)) => format!("{}{end}", application.trim()),
            _ => return Ok(None),
        },
    };
    Ok(Some((Value::Text(text), Origin::Default)))
}

pub fn duration(text: &str) -> Result<Duration, Refusal> {
    duration_with(text, None)
}

fn duration_with(text: &str, word: Option<&str>) -> Result<Duration, Refusal> {
    parse_duration(text).map_err(|reason| {
        // The core's sentence is `what; what to write`.
        let (what, next) = reason.split_once("; ").unwrap_or((&reason, "write a shorter one"));
        match word {
            Some(word) => Refusal::new(what, format!("{next}, or {word}")),
            None => Refusal::new(what, next),
        }
    })
}

pub fn number(text: &str, range: RangeInclusive<u32>) -> Result<u32, Refusal> {
    let (least, most) = (range.start(), range.end());
    let parsed = text.parse().ok().filter(|number| range.contains(number));
    parsed.ok_or_else(|| {
        Refusal::new(format!("`{text}` is not usable"), format!("write a whole number from {least} to {most}"))
    })
}

pub fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, Refusal> {
    let found = choices.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        Refusal::new(format!("`{text}` is not one of its values"), format!("write one of: {}", names.join(", ")))
    })
}

/// Bytes with a unit: `512MB`, `1GiB`, `2Gi`. Whole numbers; `K` to `T` are thousands, `Ki` to `Ti` multiples of 1024.
pub fn bytes(text: &str) -> Result<u64, Refusal> {
    let refusal = || {
        Refusal::new(
            format!("`{text}` is not a size"),
            "write a whole number and a unit: 512MB, 1GB, 1GiB (KB MB GB TB by 1000, KiB MiB GiB TiB by 1024)",
        )
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let (base, power): (u64, _) = match unit.strip_suffix('b').unwrap_or(&unit) {
        "" if !unit.is_empty() => (1, 1),
        "k" => (1000, 1),
        "m" => (1000, 2),
        "g" => (1000, 3),
        "t" => (1000, 4),
        "ki" => (1024, 1),
        "mi" => (1024, 2),
        "gi" => (1024, 3),
        "ti" => (1024, 4),
        _ => return Err(refusal()),
    };
    let number: u64 = number.parse().map_err(|_| refusal())?;
    number.checked_mul(base.pow(power)).ok_or_else(refusal)
}

/// A name that Kafka takes as a topic's, and every other system takes as well.
pub fn name(text: &str) -> Result<String, Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if text.len() > 200 || !text.bytes().all(allowed) || text.bytes().all(|byte| byte == b'.') {
        let next = "write up to 200 letters (a to z), digits, `.`, `_` and `-`";
        return Err(Refusal::new(format!("`{text}` is not a name that Kafka takes"), next));
    }
    Ok(text.to_owned())
}
