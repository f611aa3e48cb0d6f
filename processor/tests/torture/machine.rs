//! A machine: a process of the program, a place for its state, and its own ways to the brokers.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::{self, Cluster};
use crate::proxy::{Link, Way};

/// How long a clean stop is waited for: the last checkpoints may take 30 s.
const STOP_PATIENCE: Duration = Duration::from_secs(40);
/// A service manager waits a little before it starts again what has failed.
const RESTART_AFTER: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct Machine {
    pub name: String,
    /// Its `state_dir`.
    pub state: PathBuf,
    logs: PathBuf,
    config: PathBuf,
    bootstrap: String,
    links: Vec<Arc<Link>>,
    environment: Vec<(String, String)>,
    process: Option<Process>,
    starts: usize,
    /// Whether it is to be started again when it ends.
    is_wanted: bool,
    ended: Option<Instant>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    log: PathBuf,
    address: Option<String>,
    is_frozen: bool,
}

/// The program, with no setting from the environment that the tests run in. `TOCSIN_TORTURE_PROGRAM` names another build.
pub fn tocsin() -> Command {
    let program = std::env::var_os("TOCSIN_TORTURE_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_tocsin").into());
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TOCSIN_")) {
        command.env_remove(name);
    }
    command
}

impl Machine {
    /// With a door its ways to the brokers can be cut.
    pub fn new(name: &str, folder: &Path, config: &Path, cluster: &Cluster, door: Option<usize>) -> Self {
        let links = door.map_or(Vec::new(), |door| cluster.links[door].clone());
        let bootstrap: Vec<String> = links.iter().map(|link| link.address.to_string()).collect();
        let state = folder.join(format!("state-{name}"));
        fs::create_dir_all(&state).unwrap();
        Self {
            name: name.to_owned(),
            state,
            logs: folder.join("logs"),
            config: config.to_owned(),
            bootstrap: if links.is_empty() { cluster.bootstrap.clone() } else { bootstrap.join(",") },
            links,
            environment: Vec::new(),
            process: None,
            starts: 0,
            is_wanted: false,
            ended: None,
        }
    }

    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    pub fn start(&mut self) {
        self.is_wanted = true;
        if self.process.is_some() {
            return;
        }
        self.starts += 1;
        fs::create_dir_all(&self.logs).unwrap();
        let log = self.logs.join(format!("{}-{}.log", self.name, self.starts));
        let mut command = tocsin();
        command.arg("run").arg("--config").arg(&self.config).arg("--bootstrap").arg(&self.bootstrap);
        command.arg("--set").arg(format!("instance={}", self.name)).arg("--state-dir").arg(&self.state);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let child = command.stdin(Stdio::null()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        self.process = Some(Process { child, log, address: None, is_frozen: false });
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.is_wanted = false;
        if let Some(mut process) = self.process.take() {
            drop(process.child.kill());
            drop(process.child.wait());
        }
    }

    /// SIGTERM, and its end. What was not well about it, if it was not.
    pub fn stop(&mut self) -> Option<String> {
        self.is_wanted = false;
        let mut process = self.process.take()?;
        process.signal("-CONT");
        process.signal("-TERM");
        let asked = Instant::now();
        while asked.elapsed() < STOP_PATIENCE {
            if let Some(status) = process.child.try_wait().unwrap() {
                return (!status.success()).then(|| format!("{status} at a clean stop: {}", process.last_words()));
            }
            thread::sleep(Duration::from_millis(10));
        }
        drop(process.child.kill());
        drop(process.child.wait());
        Some(format!("no clean stop in {STOP_PATIENCE:?}: {}", process.last_words()))
    }

    pub fn freeze(&mut self) {
        if let Some(process) = &mut self.process {
            process.is_frozen = true;
            process.signal("-STOP");
        }
    }

    pub fn thaw(&mut self) {
        if let Some(process) = &mut self.process {
            process.is_frozen = false;
            process.signal("-CONT");
        }
    }

    /// Cuts or opens the way to a broker, or to all.
    pub fn set_way(&self, broker: Option<usize>, way: Way) {
        for (number, link) in self.links.iter().enumerate() {
            if broker.is_none_or(|broker| broker == number) {
                link.set(way);
            }
        }
    }

    /// Starts again what has ended by itself; why it has, if it has just done so.
    pub fn tend(&mut self) -> Option<String> {
        if let Some(process) = &mut self.process
            && let Some(status) = process.child.try_wait().unwrap()
        {
            let told = format!("{} ended by itself: {status}: {}", self.name, process.last_words());
            (self.process, self.ended) = (None, Some(Instant::now()));
            return Some(told);
        }
        if self.process.is_none() && self.is_wanted && self.ended.is_none_or(|ended| ended.elapsed() > RESTART_AFTER) {
            self.start();
        }
        None
    }

    /// The body of an answer with status 200.
    pub fn get(&mut self, path: &str) -> Option<String> {
        let process = self.process.as_mut().filter(|process| !process.is_frozen)?;
        if process.address.is_none() {
            let log = fs::read_to_string(&process.log).unwrap_or_default();
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let started = lines.rfind(|line| line["message"] == "started");
            process.address = started.and_then(|line| Some(line["address"].as_str()?.to_owned()));
        }
        let mut stream = TcpStream::connect(process.address.as_ref()?).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: tocsin\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        (head.split(' ').nth(1) == Some("200")).then(|| body.to_owned())
    }

    /// The sum of a metric's series.
    pub fn metric(&mut self, name: &str) -> Option<f64> {
        let text = self.get("/metrics")?;
        let series =
            text.lines().filter_map(|line| line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' '])));
        Some(series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Whether it runs, and all its partitions do.
    pub fn is_ready(&mut self) -> bool {
        self.get("/readyz").is_some()
    }
}

impl Process {
    fn signal(&self, signal: &str) {
        cluster::signal(&self.child.id().to_string(), signal);
    }

    /// The last errors of its log.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let telling =
            |line: &&str| line.contains("\"ERROR\"") || line.starts_with("error") || line.contains("panicked");
        let lines: Vec<&str> = log.lines().filter(telling).collect();
        let start = lines.len().saturating_sub(3);
        format!("{} ({})", lines[start..].join(" | "), self.log.display())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}
