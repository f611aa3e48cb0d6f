//! What a stretch of work cost this process, and tables of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

/// CPU time of all threads, wall time and bytes written since it was made.
#[derive(Debug)]
pub struct Meter {
    begun: Instant,
    cpu_s: f64,
    written: u64,
}

/// What a stretch of work cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub cpu_s: f64,
    pub wall_s: f64,
    /// Bytes that the process had the system write: by calls, so before they come together in the page cache.
    pub written: u64,
}

impl Meter {
    #[must_use]
    #[allow(clippy::new_without_default, reason = "it begins to measure")]
    pub fn new() -> Self {
        Self { begun: Instant::now(), cpu_s: cpu_s(), written: written() }
    }

    #[must_use]
    pub fn read(&self) -> Cost {
        Cost {
            cpu_s: cpu_s() - self.cpu_s,
            wall_s: self.begun.elapsed().as_secs_f64(),
            written: written() - self.written,
        }
    }
}

impl Cost {
    /// How many of something in a CPU second.
    #[must_use]
    pub fn rate(&self, of: u64) -> f64 {
        of as f64 / self.cpu_s
    }

    /// Nanoseconds of CPU for each.
    #[must_use]
    pub fn each_ns(&self, of: u64) -> f64 {
        self.cpu_s * 1e9 / of as f64
    }
}

fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn written() -> u64 {
    number_in("/proc/self/io", "wchar:")
}

/// Bytes of memory that the process has now.
#[must_use]
pub fn resident() -> u64 {
    number_in("/proc/self/status", "VmRSS:") * 1_024
}

/// The number behind a name, in a file of the system; 0 if there is none.
fn number_in(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    found.unwrap_or(0)
}

/// Rows of named figures, for people and, as JSON, for programs.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<(String, BTreeMap<&'static str, Value>)>,
    columns: Vec<&'static str>,
}

impl Table {
    /// Adds a row, and says at once what it is, for what comes next may take long.
    pub fn row(&mut self, name: impl Into<String>, figures: impl IntoIterator<Item = (&'static str, Value)>) {
        let (name, mut row) = (name.into(), BTreeMap::new());
        for (column, figure) in figures {
            if !self.columns.contains(&column) {
                self.columns.push(column);
            }
            row.insert(column, figure);
        }
        let told: Vec<String> = row.iter().map(|(column, figure)| format!("{column} {}", shown(figure))).collect();
        eprintln!("{name}: {}", told.join(", "));
        self.rows.push((name, row));
    }

    /// As aligned columns.
    #[must_use]
    pub fn text(&self) -> String {
        let cell = |row: &BTreeMap<_, _>, column| row.get(column).map_or_else(|| "-".to_owned(), shown);
        let mut lines =
            vec![std::iter::once(String::new()).chain(self.columns.iter().map(|c| (*c).to_owned())).collect()];
        for (name, row) in &self.rows {
            let cells = self.columns.iter().map(|column| cell(row, column));
            lines.push(std::iter::once(name.clone()).chain(cells).collect::<Vec<_>>());
        }
        let widths: Vec<usize> = (0..=self.columns.len())
            .map(|place| lines.iter().map(|line| line[place].chars().count()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for line in &lines {
            for (place, (cell, width)) in line.iter().zip(&widths).enumerate() {
                // Writing to a text cannot fail.
                _ = if place == 0 { write!(out, "{cell:<width$}") } else { write!(out, "  {cell:>width$}") };
            }
            out.push('\n');
        }
        out
    }

    #[must_use]
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|(name, row)| serde_json::json!({ "name": name, "figures": row }));
        Value::Array(rows.collect())
    }
}

/// Whole numbers with groups of thousands; others with two digits.
fn shown(figure: &Value) -> String {
    match figure {
        Value::Number(number) if number.is_f64() => {
            let x = number.as_f64().unwrap_or(0.0);
            if x.abs() < 100.0 { format!("{x:.2}") } else { grouped(x.round() as i64) }
        }
        Value::Number(number) => number.as_i64().map_or_else(|| number.to_string(), grouped),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = if number < 0 { "-".to_owned() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_are_aligned_and_lack_nothing() {
        let mut table = Table::default();
        table.row("small", [("events/s", json!(1_234_567)), ("times", json!(0.5))]);
        table.row("larger", [("events/s", json!(12))]);
        assert_eq!(table.text(), "         events/s  times\nsmall   1,234,567   0.50\nlarger         12      -\n");
    }
}
