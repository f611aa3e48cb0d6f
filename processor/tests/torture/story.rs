//! What was done and seen, when: for who wants to know how it came to a failure.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

#[derive(Debug)]
pub struct Story {
    started: Instant,
    file: Mutex<File>,
}

impl Story {
    pub fn open(folder: &Path) -> Self {
        let file = File::create(folder.join("story.log")).unwrap();
        Self { started: Instant::now(), file: Mutex::new(file) }
    }

    pub fn tell(&self, text: &str) {
        let (at, now) = (self.started.elapsed().as_secs_f64(), chrono::Utc::now().format("%H:%M:%S%.3f"));
        writeln!(self.file.lock().unwrap(), "{now} {at:8.2} {text}").unwrap();
    }
}
