//! What is wrong with a configuration: what, where, and what to do next.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave it.
    Default,
    File {
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The name of the variable.
    Environment(String),
    /// The flag as it was typed: `--bootstrap`, `--set workers`.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(variable) => f.write_str(variable),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    /// The setting, if it is about one: `kafka.bootstrap`.
    pub key: Option<String>,
    pub what: String,
    /// What to do about it.
    pub next: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin != Origin::Default {
            write!(f, "{}: ", self.origin)?;
        }
        match (&self.key, &self.origin) {
            // `--set workers` names it already.
            (Some(key), Origin::Flag(flag)) if flag.ends_with(&format!(" {key}")) => {}
            (Some(key), _) => write!(f, "{key}: ")?,
            (None, _) => {}
        }
        write!(f, "{}\n      {}", self.what, self.next)
    }
}

/// All that is wrong with a configuration, so that it is mended in one go. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration cannot be used: {count} problem{}", if count == 1 { "" } else { "s" })?;
        for problem in &self.0 {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
