//! A real Kafka broker for a test, through `deploy/local/kafka`: loopback only, its files in a folder of its own.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Its exit code for what cannot be had on this machine.
const UNAVAILABLE: i32 = 3;

/// A running broker; dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Broker {
    pub bootstrap: String,
    folder: PathBuf,
}

/// Why there is no broker here.
#[derive(Debug)]
pub struct Skip(pub String);

impl Broker {
    /// Starts a broker of the test's own.
    pub fn start() -> Result<Self, Skip> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = root().join(format!("tocsin-kafka-{}-{number}", std::process::id()));
        let up = script("up", &folder).stderr(Stdio::piped()).output().expect("deploy/local/kafka can be run");
        let told = String::from_utf8_lossy(&up.stderr).trim().to_owned();
        if up.status.code() == Some(UNAVAILABLE) {
            drop(std::fs::remove_dir_all(&folder));
            return Err(Skip(told));
        }
        assert!(up.status.success(), "no broker: {told}");
        let line = String::from_utf8(up.stdout).expect("a line of text");
        let bootstrap = line.trim().strip_prefix("bootstrap=").expect("the bootstrap line").to_owned();
        Ok(Self { bootstrap, folder })
    }

    /// The broker of all tests that do not disturb it: started by the first, stopped by the last that holds it.
    pub fn shared() -> Result<Arc<Self>, Skip> {
        static SHARED: Mutex<Weak<Broker>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(broker) = shared.upgrade() {
            return Ok(broker);
        }
        let broker = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&broker);
        Ok(broker)
    }

    /// Stops the process where it stands: connections stay open, nothing is answered.
    pub fn freeze(&self) {
        self.signal("-STOP");
        // The signal takes effect once one of its threads has run, which may take a while on a busy machine.
        let tasks = format!("/proc/{}/task", self.pid().trim());
        let is_stopped = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('T'))
        };
        let started = Instant::now();
        while !std::fs::read_dir(&tasks).expect("the broker's threads").flatten().all(is_stopped) {
            assert!(started.elapsed() < Duration::from_secs(10), "the broker does not stop");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn pid(&self) -> String {
        std::fs::read_to_string(self.folder.join("broker-1.pid")).expect("the broker's pid")
    }

    fn signal(&self, signal: &str) {
        let pid = self.pid();
        let done = Command::new("kill").args([signal, pid.trim()]).status().expect("kill can be run");
        assert!(done.success(), "kill {signal} {pid}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // A frozen process would outlive being asked to end.
        let pid = std::fs::read_to_string(self.folder.join("broker-1.pid")).unwrap_or_default();
        drop(Command::new("kill").args(["-CONT", pid.trim()]).stderr(Stdio::null()).status());
        let down = script("down", &self.folder).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if down.is_ok_and(|status| status.success()) && !std::thread::panicking() {
            // Kept after a failure: the broker's log is in it.
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

/// The broker, or `None` after saying, where it is seen in any case, that the test was skipped and why.
pub fn or_skip<B>(test: impl Display, broker: Result<B, Skip>) -> Option<B> {
    match broker {
        Ok(broker) => Some(broker),
        Err(Skip(why)) => {
            // The test harness holds back what is printed by macros.
            writeln!(std::io::stderr(), "skipped: {test}: {why}").expect("standard error");
            None
        }
    }
}

fn root() -> PathBuf {
    std::env::var_os("TOCSIN_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

fn script(command: &str, folder: &Path) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/local/kafka");
    let mut process = Command::new(script);
    process.arg(command).arg("--dir").arg(folder).stdin(Stdio::null());
    process
}
