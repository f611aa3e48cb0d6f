//! A server that speaks S3: moto, on a loopback port of its own, one for all tests of this program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::broker::Skip;

/// `venv.sh`'s exit code for what cannot be had on this machine.
const UNAVAILABLE: i32 = 3;

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// `127.0.0.1:PORT`
    pub address: String,
}

impl Server {
    /// The one of all tests: started by the first, stopped by the last that holds it.
    pub fn shared() -> Result<Arc<Self>, Skip> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    fn start() -> Result<Self, Skip> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/venv.sh");
        let made = Command::new(script).arg("requirements-s3.txt").output().expect("venv.sh can be run");
        if made.status.code() == Some(UNAVAILABLE) {
            return Err(Skip(String::from_utf8_lossy(&made.stderr).trim().to_owned()));
        }
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let python = String::from_utf8(made.stdout).expect("a path");
        let mut child = Command::new(python.trim())
            .args(["-c", "from moto.server import main; main(['-H', '127.0.0.1', '-p', '0'])"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python can be run");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped"));
        let (mut line, mut told) = (String::new(), String::new());
        let address = loop {
            line.clear();
            assert!(lines.read_line(&mut line).expect("text") > 0, "no S3 server: {told}");
            told.push_str(&line);
            if let Some((_, address)) = line.split_once("Running on http://") {
                break address.trim().to_owned();
            }
        };
        // Its log goes on; somebody has to read it.
        std::thread::spawn(move || drop(std::io::copy(&mut lines, &mut std::io::sink())));
        Ok(Self { child, address })
    }

    /// Stops the process where it stands: connections stay open, nothing is answered.
    #[allow(dead_code, reason = "not every test does so")]
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    #[allow(dead_code, reason = "not every test does so")]
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill can be run").success());
    }

    /// Makes a bucket.
    pub fn bucket(&self, name: &str) {
        let mut stream = TcpStream::connect(&self.address).expect("the server");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let request =
            format!("PUT /{name} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).expect("the request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// What tells the program of this server.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
