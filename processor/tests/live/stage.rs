//! What a test stands on: the broker, a folder and names of its own, and the independent clients.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::broker::{Broker, Skip, or_skip};
use crate::upstream::Written;

/// How long anything may take before the test gives up.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The exit code of a tool that cannot be had here.
const UNAVAILABLE: i32 = 3;

/// Topics, state and files of one test.
#[derive(Debug)]
pub struct Stage {
    pub broker: Arc<Broker>,
    /// The application, and what the names of its topics start with.
    pub name: &'static str,
    folder: TempDir,
}

impl Stage {
    /// `None` after having said so: what is needed cannot be had here.
    pub fn open(name: &'static str) -> Option<Self> {
        let tools = python().map_err(Skip).and_then(|_| Broker::shared());
        let broker = or_skip(name, tools)?;
        Some(Self { broker, name, folder: tempfile::tempdir().unwrap() })
    }

    pub fn topic(&self, role: &str) -> String {
        format!("{}.{role}", self.name)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.path(file);
        fs::write(&path, text).unwrap();
        path
    }

    /// One of the Python tools, aimed at a topic.
    pub fn tool(&self, script: &str, topic: &str) -> Command {
        let mut command = Command::new(python().unwrap());
        command.arg(repository().join("processor/tests/tools").join(script));
        command.args(["--bootstrap", &self.broker.bootstrap, "--topic", &self.topic(topic)]);
        command
    }

    /// Writes records to the events topic, which is created with so many partitions if it is not there.
    pub fn produce(&self, partitions: u32, partitioner: &str, records: impl IntoIterator<Item = Written>) {
        let mut command = self.tool("produce.py", "events");
        command.args(["--create", &partitions.to_string(), "--partitioner", partitioner]);
        write(command, records);
    }

    /// Writes records to a topic that is there, whatever it is for.
    pub fn produce_to(&self, topic: &str, records: impl IntoIterator<Item = Written>) {
        write(self.tool("produce.py", topic), records);
    }

    /// The same for a topic of three partitions that is not there yet.
    pub fn produce_anew(&self, topic: &str, records: impl IntoIterator<Item = Written>) {
        let mut command = self.tool("produce.py", topic);
        command.args(["--create", "3"]);
        write(command, records);
    }

    /// Deletes what lies before an offset, as retention does.
    pub fn delete_records(&self, topic: &str, partition: i64, before: i64) {
        let mut command = self.tool("delete_records.py", topic);
        command.args(["--partition", &partition.to_string(), "--before", &before.to_string()]);
        assert!(command.status().unwrap().success(), "the records could not be deleted");
    }

    /// All records of a topic that readers of committed records see, by partition and offset.
    pub fn read(&self, topic: &str) -> Vec<Value> {
        self.read_with(topic, &[])
    }

    /// Waits for so many records of a topic.
    pub fn await_records(&self, topic: &str, count: usize) -> Vec<Value> {
        let patience = PATIENCE.as_secs().to_string();
        self.read_with(topic, &["--follow", "--count", &count.to_string(), "--timeout", &patience])
    }

    fn read_with(&self, topic: &str, arguments: &[&str]) -> Vec<Value> {
        let read = self.tool("read_committed.py", topic).args(arguments).stderr(Stdio::inherit()).output().unwrap();
        assert!(read.status.success(), "{topic} could not be read");
        let text = String::from_utf8(read.stdout).unwrap();
        let mut records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        records.sort_by_key(|record| (record["partition"].as_i64(), record["offset"].as_i64()));
        records
    }
}

fn write(mut command: Command, records: impl IntoIterator<Item = Written>) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = std::io::BufWriter::new(child.stdin.take().unwrap());
    for record in records {
        writeln!(lines, "{}", record.0).unwrap();
    }
    drop(lines);
    assert!(child.wait().unwrap().success(), "the records could not be written");
}

/// The python with the clients in it, or why there is none.
fn python() -> Result<&'static Path, String> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = PYTHON.get_or_init(|| {
        let made =
            Command::new(repository().join("processor/tests/tools/venv.sh")).output().expect("venv.sh can be run");
        let told = String::from_utf8_lossy(&made.stderr).trim().to_owned();
        if made.status.code() == Some(UNAVAILABLE) {
            return Err(told);
        }
        assert!(made.status.success(), "no Python client: {told}");
        Ok(String::from_utf8(made.stdout).expect("a path").trim().into())
    });
    found.as_deref().map_err(Clone::clone)
}

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Asks again and again.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
