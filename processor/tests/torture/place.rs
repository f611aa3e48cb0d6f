//! What a machine stands on and can be taken from it: room on its disk, the right time.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::Machine;

/// A small file system for a machine's state.
#[derive(Debug)]
pub struct Disk {
    place: PathBuf,
}

impl Disk {
    const SIZE: &str = "size=1g";

    /// Puts a machine's state on a small disk, or says why not.
    pub fn of(machine: &Machine) -> Result<Self, String> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", Self::SIZE, "tmpfs"]).arg(&machine.state);
        let done = mount.output().map_err(|error| format!("mount cannot be run: {error}"))?;
        if done.status.success() {
            Ok(Self { place: machine.state.clone() })
        } else {
            Err(format!("no small disk can be mounted: {}", String::from_utf8_lossy(&done.stderr).trim()))
        }
    }

    fn ballast(&self) -> PathBuf {
        self.place.join("ballast")
    }

    /// Takes all room there is.
    pub fn fill(&self) {
        let mut file = File::create(self.ballast()).unwrap();
        for size in [1 << 20, 4_096, 1] {
            let bytes = vec![0; size];
            while file.write_all(&bytes).is_ok() {}
        }
    }

    pub fn empty(&self) {
        drop(fs::remove_file(self.ballast()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process may still be on its way out.
        drop(Command::new("umount").arg("-l").arg(&self.place).output());
    }
}

/// The clock of one machine, by a library that comes before the system's (`tests/tools/clock.c`): the host's is left alone.
#[derive(Debug)]
pub struct Clock {
    file: File,
}

impl Clock {
    pub fn of(machine: &mut Machine, folder: &Path) -> Result<Self, String> {
        let (library, offset) = (folder.join("clock.so"), folder.join("clock"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/clock.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(source).arg("-ldl");
        let done = compiler.output().map_err(|error| format!("cc cannot be run: {error}"))?;
        if !done.status.success() {
            return Err(format!("clock.c does not compile: {}", String::from_utf8_lossy(&done.stderr).trim()));
        }
        let clock = Self { file: File::create(&offset).unwrap() };
        clock.set(0);
        machine.set_environment("LD_PRELOAD", &library.display().to_string());
        machine.set_environment("TEST_CLOCK_OFFSET_FILE", &offset.display().to_string());
        Ok(clock)
    }

    /// By how many milliseconds it is ahead of the true time.
    pub fn set(&self, ms: i64) {
        self.file.write_all_at(&ms.to_ne_bytes(), 0).unwrap();
    }
}
