//! Three brokers, each of which may stop, be killed or stand still.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::Skip;
use crate::proxy::Link;

pub const BROKERS: usize = 3;
/// Processes whose ways to the brokers can be cut, each by itself.
pub const DOORS: usize = 3;
/// The script's exit code for what cannot be had on this machine.
const UNAVAILABLE: i32 = 3;

/// Running brokers; dropping them stops them and removes their data.
#[derive(Debug)]
pub struct Cluster {
    pub bootstrap: String,
    /// The ways through each door to each broker.
    pub links: Vec<Vec<Arc<Link>>>,
    folder: PathBuf,
}

impl Cluster {
    pub fn start(folder: PathBuf) -> Result<Self, Skip> {
        let mut script = script("up", &folder);
        script.args(["--brokers", &BROKERS.to_string(), "--doors", &DOORS.to_string(), "--timeout", "120"]);
        let up = script.output().expect("deploy/local/kafka can be run");
        let told = String::from_utf8_lossy(&up.stderr).trim().to_owned();
        if up.status.code() == Some(UNAVAILABLE) {
            return Err(Skip(told));
        }
        assert!(up.status.success(), "no brokers: {told}");
        let text = String::from_utf8(up.stdout).expect("lines of text");
        let bootstrap = text.lines().find_map(|line| line.strip_prefix("bootstrap=")).expect("the bootstrap line");
        let links = text.lines().filter(|line| line.starts_with("door-")).map(door).collect();
        Ok(Self { bootstrap: bootstrap.to_owned(), links, folder })
    }

    /// Starts those that do not run, and waits until all know each other.
    pub fn up(&self) {
        let up = script("up", &self.folder).args(["--timeout", "120"]).output().expect("deploy/local/kafka can be run");
        assert!(up.status.success(), "the brokers do not come back: {}", String::from_utf8_lossy(&up.stderr));
    }

    /// SIGTERM, and its end.
    pub fn stop(&self, broker: usize) {
        self.end(broker, "-TERM", Duration::from_secs(15));
    }

    /// SIGKILL.
    pub fn kill(&self, broker: usize) {
        self.end(broker, "-KILL", Duration::ZERO);
    }

    pub fn freeze(&self, broker: usize) {
        signal(&self.pid(broker), "-STOP");
    }

    pub fn thaw(&self, broker: usize) {
        signal(&self.pid(broker), "-CONT");
    }

    fn end(&self, broker: usize, how: &str, patience: Duration) {
        let pid = self.pid(broker);
        signal(&pid, how);
        let started = Instant::now();
        while Path::new("/proc").join(&pid).exists() {
            if started.elapsed() > patience {
                signal(&pid, "-KILL");
            }
            assert!(started.elapsed() < patience + Duration::from_secs(30), "broker {broker} does not end");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn pid(&self, broker: usize) -> String {
        let file = self.folder.join(format!("broker-{}.pid", broker + 1));
        std::fs::read_to_string(file).expect("the broker's pid").trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A frozen one would outlive being asked to end.
        (0..BROKERS).for_each(|broker| signal(&self.pid(broker), "-CONT"));
        drop(script("down", &self.folder).stdout(Stdio::null()).stderr(Stdio::null()).status());
    }
}

/// Opens the ways of `door-1=PROXY>BROKER,PROXY>BROKER,...`.
fn door(line: &str) -> Vec<Arc<Link>> {
    let (_, ways) = line.split_once('=').expect("NAME=WAYS");
    let address = |text: &str| text.parse().expect("an address");
    let way = |way: &str| {
        let (proxy, broker) = way.split_once('>').expect("PROXY>BROKER");
        Arc::new(Link::open(address(proxy), address(broker)))
    };
    ways.split(',').map(way).collect()
}

pub fn signal(pid: &str, signal: &str) {
    drop(Command::new("kill").args([signal, pid]).stderr(Stdio::null()).status());
}

fn script(command: &str, folder: &Path) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/local/kafka");
    let mut process = Command::new(script);
    process.arg(command).arg("--dir").arg(folder).stdin(Stdio::null());
    process
}
