//! What is wrong with a rule file, and where: the sentences an analyst reads.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// One reason why a rule set is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the file, as in [`super::Source::name`].
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// A sentence without its full stop.
    pub reason: String,
    /// The valid name that is nearest to an unknown one, if any is near.
    pub nearest: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.reason)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a rule set, by file and position; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadErrors {
    /// In the order of the files' names, then of their places.
    pub problems: Vec<Problem>,
}

impl fmt::Display for LoadErrors {
    /// One problem a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.problems.iter().enumerate() {
            let separator = if place == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadErrors {}

/// Rule files could not be read.
#[derive(Debug, Error)]
#[error("{}: {reason}", path.display())]
pub struct LoadError {
    /// The file or folder.
    pub path: PathBuf,
    /// A sentence without its full stop.
    pub reason: String,
}

/// A place in a file; line and column (in characters) are counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub line: usize,
    pub column: usize,
}

/// A complaint before its place in the file is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub reason: String,
    pub nearest: Option<String>,
}

impl Complaint {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), nearest: None }
    }

    /// About a name that is none of `valid`: names the nearest one, or else all of them.
    pub(super) fn unknown<'a>(
        reason: impl Into<String>,
        name: &str,
        valid: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        let mut reason = reason.into();
        let nearest = nearest(name, valid.clone()).map(str::to_owned);
        if nearest.is_none() {
            let valid: Vec<&str> = valid.into_iter().collect();
            if !valid.is_empty() {
                reason = format!("{reason}; there is {}", listed(&valid));
            }
        }
        Self { reason, nearest }
    }

    pub(super) fn at(self, file: &str, at: Position) -> Problem {
        Problem { file: file.to_owned(), line: at.line, column: at.column, reason: self.reason, nearest: self.nearest }
    }
}

impl<S: Into<String>> From<S> for Complaint {
    fn from(reason: S) -> Self {
        Self::new(reason)
    }
}

/// The valid name with the fewest slips of the pen to `name`, if those are few for its length. Distance: Damerau and
/// Levenshtein's, upper and lower case alike.
pub(super) fn nearest<'a>(name: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let lower = name.to_lowercase();
    let near = |candidate: &'a str| {
        let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
        let few = lower.chars().count().max(candidate.chars().count()).div_ceil(3);
        (distance <= few && distance < candidate.chars().count()).then_some((distance, candidate))
    };
    valid.into_iter().filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// `a`, `b`, `c`; cut off where it would no longer help.
pub(super) fn listed(names: &[&str]) -> String {
    const MOST: usize = 24;
    let mut text = names.iter().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text.push_str(", ...");
    }
    text
}

/// What the author wrote, in backquotes, on one line and of bearable length.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown: String =
        text.chars().take(MOST).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_near_and_another_word_is_not() {
        let valid = ["purchase", "interaction", "complaint", "for"];
        for (name, expected) in [
            ("purchas", Some("purchase")),
            ("Purchase", Some("purchase")),
            ("purcahse", Some("purchase")),
            ("complaints", Some("complaint")),
            ("fro", Some("for")),
            ("visit", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, valid), expected, "{name}");
        }
        assert_eq!(nearest(&"purchase".repeat(1_000), valid), None);
    }

    #[test]
    fn what_the_author_wrote_stays_on_one_line() {
        assert_eq!(quoted("a\nb"), "`a\u{fffd}b`");
        assert_eq!(quoted(&"中".repeat(61)), format!("`{}...`", "中".repeat(60)));
    }
}
