//! An independent client: what a reader of committed records finds on the alerts topic, each identity once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::broker::Skip;

/// The exit code of a tool that cannot be had here.
const UNAVAILABLE: i32 = 3;

/// The python with the client in it.
pub fn python(requirements: &str) -> Result<PathBuf, Skip> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/venv.sh");
    let made = Command::new(script).arg(requirements).output().expect("venv.sh can be run");
    let told = String::from_utf8_lossy(&made.stderr).trim().to_owned();
    if made.status.code() == Some(UNAVAILABLE) {
        return Err(Skip(told));
    }
    assert!(made.status.success(), "no Python client: {told}");
    Ok(String::from_utf8(made.stdout).expect("a path").trim().into())
}

#[derive(Debug)]
pub struct Witness {
    python: PathBuf,
    bootstrap: String,
    topic: String,
    next: Vec<i64>,
    identities: BTreeSet<(String, i64)>,
}

impl Witness {
    pub fn new(python: &Path, bootstrap: &str, topic: &str, partitions: usize) -> Self {
        Self {
            python: python.to_owned(),
            bootstrap: bootstrap.to_owned(),
            topic: topic.to_owned(),
            next: vec![0; partitions],
            identities: BTreeSet::new(),
        }
    }

    /// The alerts that are new since the last look, in the order of each partition.
    pub fn look(&mut self) -> Result<Vec<Value>, String> {
        let from: Vec<String> = self.next.iter().map(ToString::to_string).collect();
        let mut alerts = Vec::new();
        for record in self.read(&["--from", &from.join(",")])? {
            let (partition, offset) = (record["partition"].as_u64(), record["offset"].as_i64());
            let next = &mut self.next[partition.ok_or("a record without a partition")? as usize];
            *next = (*next).max(offset.ok_or("a record without an offset")? + 1);
            let (identity, alert) = identity(&record)?;
            if !self.identities.insert(identity) {
                return Err(format!("published twice: {record}"));
            }
            alerts.push(alert);
        }
        Ok(alerts)
    }

    /// All of the topic once more, from its beginning: the same identities, each once.
    pub fn look_again(&self) -> Result<usize, String> {
        let mut identities = BTreeSet::new();
        for record in self.read(&[])? {
            let (identity, _) = identity(&record)?;
            if !identities.insert(identity) {
                return Err(format!("published twice: {record}"));
            }
        }
        if let Some(lost) = self.identities.difference(&identities).next() {
            return Err(format!("it was there, and is not there any more: {lost:?}"));
        }
        Ok(identities.len())
    }

    fn read(&self, arguments: &[&str]) -> Result<Vec<Value>, String> {
        let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/read_committed.py");
        let mut command = Command::new(&self.python);
        command.arg(tool).args(["--bootstrap", &self.bootstrap, "--topic", &self.topic, "--timeout", "60"]);
        let read = command.args(arguments).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
        if !read.status.success() {
            return Err(String::from_utf8_lossy(&read.stderr).into_owned());
        }
        let text = String::from_utf8(read.stdout).map_err(|error| error.to_string())?;
        text.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))).collect()
    }
}

fn identity(record: &Value) -> Result<((String, i64), Value), String> {
    let alert: Value = record["value"]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| format!("this is no alert: {record}"))?;
    let identity = alert["alert_id"].as_str().map(str::to_owned).zip(alert["sequence"].as_i64());
    Ok((identity.ok_or_else(|| format!("an alert without an identity: {record}"))?, alert))
}
