//! How an error reaches the user: what happened, what caused it, what to do next. Never a backtrace.

use std::error::Error;
use std::fmt::{self, Write};

use tocsin::config::Problems;

const FAILED: u8 = 1;
const UNUSABLE: u8 = 2;

/// An error that knows what to do about it, or whose fault it is. Any other error is a failure without a hint.
#[derive(Debug)]
pub struct Failure {
    what: String,
    hint: Option<String>,
    exit_code: u8,
    source: Option<anyhow::Error>,
}

#[allow(dead_code, reason = "the subcommands that fail in these ways are not built yet")]
impl Failure {
    /// Something went wrong while running.
    pub fn failed(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None, exit_code: FAILED, source: None }
    }

    /// What the user gave cannot be used: rules, events, an argument.
    pub fn unusable(what: impl Into<String>) -> Self {
        Self { exit_code: UNUSABLE, ..Self::failed(what) }
    }

    #[must_use]
    pub fn caused_by(self, source: impl Into<anyhow::Error>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// What to do next, as a sentence.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(AsRef::as_ref)
    }
}

/// The lines for standard error.
pub fn report(error: &anyhow::Error) -> String {
    let mut out = format!("error: {error}\n");
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Many errors repeat their source in their own text.
        if !told.contains(&cause) {
            _ = writeln!(out, "  caused by: {}", cause.replace('\n', "\n    "));
        }
        told = cause;
    }
    let hints = error.chain().filter_map(|cause| cause.downcast_ref::<Failure>()?.hint.as_ref());
    for hint in hints {
        _ = writeln!(out, "  hint: {}", hint.replace('\n', "\n    "));
    }
    out
}

pub fn exit_code(error: &anyhow::Error) -> u8 {
    let codes = error.chain().map(|cause| match cause.downcast_ref::<Failure>() {
        Some(failure) => failure.exit_code,
        None if cause.is::<Problems>() => UNUSABLE,
        None => FAILED,
    });
    codes.max().unwrap_or(FAILED)
}
