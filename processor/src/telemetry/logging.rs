//! Where log lines go and how they look.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Sends the log to standard error from now on, lines of libraries and panics included.
///
/// # Errors
/// If the filter does not parse, or a log is set up already.
pub fn init(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(&log.filter).with_context(|| format!("log.filter `{}`", log.filter))?;
    let terminal = io::stderr().is_terminal();
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    if human(log.format, terminal) {
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        registry.with(lines.with_ansi(colours)).try_init()?;
    } else {
        registry.with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false)).try_init()?;
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "{}", panic.payload_as_str().unwrap_or("panic"));
    }));
    Ok(())
}

fn human(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => terminal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_human_lines_unless_told_otherwise() {
        for (format, terminal, expected) in [
            (LogFormat::Auto, true, true),
            (LogFormat::Auto, false, false),
            (LogFormat::Human, false, true),
            (LogFormat::Json, true, false),
        ] {
            assert_eq!(human(format, terminal), expected, "{format:?}");
        }
    }
}
