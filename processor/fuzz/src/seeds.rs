//! Where fuzzing begins: the events and rules that are written down in this repository.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Target;

/// When a history that rules are judged over is at its end: 2026-06-01.
pub(crate) const UNTIL: i64 = 1_780_272_000_000;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn texts(folder: &str, extension: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(repository().join(folder)) else { panic!("{folder} is not there") };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

const TRANSCRIPTS: &str = "processor/tests/golden/transcripts";

/// Events as JSON: those of the transcripts, and one with every kind of value.
pub(crate) fn events() -> Vec<Vec<u8>> {
    let all = texts(TRANSCRIPTS, "md");
    let lines = all.iter().flat_map(|text| text.lines()).filter(|line| line.starts_with("{\"id\""));
    let visit = r#"{"id":"v","type":"visit","customer_id":"c\u002d1","occurred_at":"2026-01-01T00:00:00.5+08:00","count":3,
        "bytes":-7,"ratio":0.5,"exact":"1.000001","coarse":2.25,"kind":"long","paid":true,"first":"中\n","other":[{"a":null}]}"#;
    let extras =
        r#"{"id":"p","type":"profile","customer_id":"c","occurred_at":1,"tier":"gold","extras":{"a":1e-3},"vip":true}"#;
    lines.chain([visit, extras]).map(|line| line.as_bytes().to_vec()).collect()
}

/// Rule files: the packs, and what stands between fences in the manual and in the transcripts.
pub(crate) fn rules() -> Vec<Vec<u8>> {
    let mut files = texts("rules", "yaml");
    for text in texts("rules", "md").into_iter().chain(texts(TRANSCRIPTS, "md")) {
        let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        files.extend(blocks.map(str::to_owned));
    }
    files.into_iter().map(String::into_bytes).collect()
}

/// Schemas of event types: the shipped ones, one more, and their parts.
pub(crate) fn schemas(further: &str) -> Vec<Vec<u8>> {
    let mut schemas = texts("schemas/events", "avsc");
    schemas.push(further.to_owned());
    // Each with one line left out, too.
    let shorter = |schema: &String| {
        let lines: Vec<&str> = schema.lines().collect();
        let without = |left_out: usize| {
            let kept = lines.iter().enumerate().filter(|(place, _)| *place != left_out);
            kept.map(|(_, line)| *line).collect::<Vec<_>>().join("\n")
        };
        (0..lines.len()).map(without).collect::<Vec<String>>()
    };
    let shorter: Vec<String> = schemas.iter().flat_map(shorter).collect();
    schemas.into_iter().chain(shorter).map(String::into_bytes).collect()
}

/// Events of every type over some months, not all in order, for whatever rules come.
pub(crate) fn history() -> Vec<u8> {
    const HOUR: i64 = 3_600_000;
    const KINDS: [&str; 7] = [
        r#""type":"purchase","amount":19.99,"status":"completed","channel":"web""#,
        r#""type":"complaint","status":"opened","ticket_id":"t-1","priority":"high""#,
        r#""type":"interaction","channel":"phone","purpose":"follow_up","automatic":false"#,
        r#""type":"feedback","kind":"csat","score":2,"sentiment":-0.9"#,
        r#""type":"profile","tier":"gold","stage":"lead","birthday":"03-01","vip":true"#,
        r#""type":"score","name":"churn","value":0.9"#,
        r#""type":"complaint","status":"resolved","ticket_id":"t-1""#,
    ];
    let mut lines = Vec::new();
    let start = UNTIL - 120 * 24 * HOUR;
    for number in 0..48_i64 {
        // Now and then one comes days late, or at the instant of the one before.
        let hours = number * 37 - if number % 11 == 10 { 90 } else { 0 } - if number % 13 == 12 { 37 } else { 0 };
        let (at, kind) = (start + hours * HOUR, KINDS[(number as usize * 5) % KINDS.len()]);
        let line =
            format!("{{\"id\":\"h{number}\",\"customer_id\":\"c{}\",\"occurred_at\":{at},{kind}}}\n", number % 2);
        lines.extend_from_slice(line.as_bytes());
    }
    lines
}

/// Writes a target's seeds where `TOCSIN_FUZZ_SEEDS` says, for libFuzzer reads files.
pub fn write_seeds(target: &Target) {
    let Some(folder) = std::env::var_os("TOCSIN_FUZZ_SEEDS").map(PathBuf::from) else { return };
    fs::create_dir_all(&folder).unwrap();
    for (number, seed) in (target.seeds)().into_iter().enumerate() {
        fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
    }
}
