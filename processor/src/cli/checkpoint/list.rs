//! `tocsin checkpoint list`.

use std::fmt::Write;

use serde::Serialize;
use tocsin::checkpoint::Entry;
use tocsin::codec::timestamp;

use super::ListArgs;
use super::with_stores::Place;
use crate::cli::run::print;

pub async fn execute(place: &Place, args: &ListArgs) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for partition in place.partitions(args.partition).await? {
        rows.extend(place.entries(partition).await?.1.iter().map(|entry| Row::of(partition, entry)));
    }
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&rows)?))?;
    } else if rows.is_empty() {
        eprintln!("no checkpoints of {} in {}", place.application, place.url);
    } else {
        print(&table(&rows))?;
    }
    Ok(())
}

/// A checkpoint; what comes from its manifest is null if that is damaged.
#[derive(Debug, Serialize)]
struct Row {
    partition: i32,
    sequence: i64,
    journal_offset: Option<i64>,
    generation: Option<i64>,
    created_at: Option<String>,
    size: Option<u64>,
    new_bytes: Option<u64>,
    files: Option<usize>,
    topic: Option<String>,
    semantics: Option<i32>,
    tocsin: Option<String>,
    verified: bool,
    /// Why the manifest cannot be read.
    damage: Option<String>,
    name: String,
}

impl Row {
    fn of(partition: i32, entry: &Entry) -> Self {
        let manifest = entry.manifest.as_ref().ok();
        let facts = manifest.map(|manifest| &manifest.facts);
        Self {
            partition,
            sequence: entry.name.sequence,
            journal_offset: facts.map(|facts| facts.journal_offset),
            generation: facts.map(|facts| facts.rules.generation),
            created_at: manifest.map(|manifest| instant(manifest.created_at)),
            size: manifest.map(|manifest| manifest.size),
            new_bytes: manifest.map(|manifest| manifest.new_bytes),
            files: manifest.map(|manifest| manifest.files.len()),
            topic: facts.map(|facts| facts.topic.clone()),
            semantics: facts.map(|facts| facts.semantics),
            tocsin: manifest.map(|manifest| manifest.tocsin.clone()),
            verified: entry.verified,
            damage: entry.manifest.as_ref().err().cloned(),
            name: entry.name.to_string(),
        }
    }
}

fn instant(at: i64) -> String {
    let mut text = Vec::new();
    timestamp::write(&mut text, at);
    String::from_utf8_lossy(&text).into_owned()
}

fn table(rows: &[Row]) -> String {
    let mut out = String::new();
    line(
        &mut out,
        ["partition", "sequence", "journal", "rules", "created", "size", "new", "verified"].map(str::to_owned),
    );
    for row in rows {
        let shown = |number: Option<i64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "?".to_owned(), size);
        let state = match (&row.damage, row.verified) {
            (Some(_), _) => "damaged",
            (None, true) => "yes",
            (None, false) => "no",
        };
        line(
            &mut out,
            [
                row.partition.to_string(),
                row.sequence.to_string(),
                shown(row.journal_offset),
                shown(row.generation),
                row.created_at.clone().unwrap_or_else(|| "?".to_owned()),
                bytes(row.size),
                bytes(row.new_bytes),
                state.to_owned(),
            ],
        );
    }
    out
}

fn line(out: &mut String, [partition, sequence, journal, rules, created, size, new, verified]: [String; 8]) {
    _ = writeln!(
        out,
        "{partition:>9}  {sequence:>10}  {journal:>10}  {rules:>5}  {created:<24}  {size:>10}  {new:>10}  {verified}"
    );
}

/// Bytes with a unit, by 1000 as in the configuration.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 999.95 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1e3, unit + 1);
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, expected) in
            [(0, "0 B"), (999, "999 B"), (1_000, "1.0 KB"), (999_960, "1.0 MB"), (12_345_678_901, "12.3 GB")]
        {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn a_row_has_its_place_in_the_table() {
        let entry = Entry {
            name: "00000000000000000017-0123456789abcdef.json".parse().unwrap(),
            manifest: Err("torn".to_owned()),
            verified: false,
        };
        let text = table(&[Row::of(3, &entry)]);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("partition    sequence     journal  rules  created"), "{text}");
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["3", "17", "?", "?", "?", "?", "?", "damaged"]);
    }
}
