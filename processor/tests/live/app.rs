//! The binary, run as a user runs it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::stage::{Stage, wait_until};

/// How long a clean stop may take.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

/// A running `tocsin run`; dropping it kills it.
#[derive(Debug)]
pub struct App {
    child: Child,
    log: PathBuf,
    address: String,
    pub started: Instant,
}

/// The program, with no setting from the environment that the tests run in.
pub fn tocsin() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tocsin"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TOCSIN_")) {
        command.env_remove(name);
    }
    command
}

/// The file of a test's configuration.
pub fn config(stage: &Stage, rules: &Path) -> PathBuf {
    let text = config_text(stage);
    stage.write("tocsin.yaml", &format!("rules: {}\n{text}", rules.display()))
}

/// The same without `rules`: those of the rules topic.
pub fn config_without_rules(stage: &Stage) -> PathBuf {
    stage.write("without-rules.yaml", &config_text(stage))
}

fn config_text(stage: &Stage) -> String {
    let topic = |role| stage.topic(role);
    format!(
        "application: {}\ninstance: live\nworkers: 1\nmemory_budget: 200MB\nstate_dir: {}\n\
         kafka:\n  bootstrap: {}\n  create_topics: true\n  session_timeout: 2s\n\
         topics: {{events: {}, alerts: {}, dead_letters: {}, journal: {}, partitions: 3}}\n\
         http: {{listen: '127.0.0.1:0'}}\nlog: {{format: json, filter: info}}\n",
        stage.name,
        stage.path("state").display(),
        stage.broker.bootstrap,
        topic("events"),
        topic("alerts"),
        topic("dead-letters"),
        topic("journal"),
    )
}

impl App {
    /// Starts it and waits until it serves; `settings` go over those of the file.
    pub fn start(stage: &Stage, rules: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start_with(stage, &config(stage, rules), settings)
    }

    /// As [`Self::start`], with a configuration file.
    pub fn start_with(stage: &Stage, config: &Path, settings: &[(&str, &str)]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let log = stage.path(&format!("log-{}", STARTED.fetch_add(1, Ordering::Relaxed)));
        let mut command = tocsin();
        command.arg("run").arg("--config").arg(config);
        for (name, value) in settings {
            command.args(["--set", &format!("{name}={value}")]);
        }
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        let mut app = Self { child, log, address: String::new(), started };
        wait_until("the line `started`", || {
            assert!(app.child.try_wait().unwrap().is_none(), "it ended at once");
            let started = app.lines().into_iter().find(|line| line["message"] == "started");
            app.address = started.map_or(String::new(), |line| line["address"].as_str().unwrap().to_owned());
            !app.address.is_empty()
        });
        app
    }

    /// As [`Self::start`], and waits until all partitions are restored.
    pub fn start_ready(stage: &Stage, rules: &Path, settings: &[(&str, &str)]) -> Self {
        let app = Self::start(stage, rules, settings);
        wait_until("/readyz", || app.get("/readyz").0 == 200);
        app
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The whole lines of its log.
    pub fn lines(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Status and body of an answer.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: tocsin\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The sum of a metric's series whose labels contain `label`.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let (_, text) = self.get("/metrics");
        let series = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label)
        });
        series.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Waits until so many records of the input have been dealt with since the start.
    pub fn await_input(&self, records: usize) {
        wait_until(&format!("{records} records to be taken in"), || self.taken_in() >= records);
        assert_eq!(self.taken_in(), records);
    }

    pub fn taken_in(&self) -> usize {
        // An event that is too old counts there and becomes a dead letter as well.
        let too_old = self.metric("tocsin_dead_letters_total", "too_old");
        (self.metric("tocsin_events_total", "") + self.metric("tocsin_dead_letters_total", "") - too_old) as usize
    }

    /// Waits until it ends by itself; its exit code and its log.
    pub fn await_end(mut self) -> (Option<i32>, String) {
        let mut ended = None;
        wait_until("the end", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        (ended.and_then(|status| status.code()), self.log())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// SIGTERM; it must end well, and soon.
    pub fn stop(mut self) {
        self.signal("-TERM");
        let asked = Instant::now();
        let mut ended = None;
        wait_until("the end after SIGTERM", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        assert_eq!(ended.and_then(|status| status.code()), Some(0), "after SIGTERM");
        assert!(asked.elapsed() < STOPS_WITHIN, "it stopped only after {:?}", asked.elapsed());
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = self.log();
            let start = log.char_indices().rev().nth(4_000).map_or(0, |(place, _)| place);
            eprintln!("the end of its log:\n{}", &log[start..]);
        }
    }
}

/// Runs a command to its end, which must come by itself.
pub fn ended(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// What a backtest says of events, one alert record a line.
pub fn backtest(stage: &Stage, rules: &Path, events: &str, flags: &[&str]) -> Vec<String> {
    let (input, output) = (stage.write("events.jsonl", events), stage.path("expected.jsonl"));
    let mut command = tocsin();
    command.arg("backtest").arg("--strict").arg("--rules").arg(rules);
    command.arg("--events").arg(input).arg("--output").arg(&output);
    command.args(["--partitions", "3", "--partitioner", "murmur2"]).args(flags);
    let (code, _, told) = ended(&mut command);
    assert_eq!(code, Some(0), "{told}");
    fs::read_to_string(output).unwrap().lines().map(str::to_owned).collect()
}
