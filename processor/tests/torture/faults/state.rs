//! The local store: gone, torn, or without room.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Fault, away};
use crate::act::Act;
use crate::model::rng::Rng;

/// Killed, and its state directory is gone when it comes back.
pub struct Lost {
    pub machine: usize,
    pub away: Duration,
}

impl Fault for Lost {
    fn what(&self) -> String {
        format!("m{} is killed and loses its state, away for {:?}", self.machine, self.away)
    }

    fn lasts(&self) -> Duration {
        self.away
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        let machine = &mut act.machines[self.machine];
        machine.kill();
        empty(&machine.state);
    }

    fn heal(&mut self, act: &mut Act<'_>) {
        act.machines[self.machine].start();
    }
}

/// Removes what lies in a directory; that itself may be a mount point.
pub fn empty(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        drop(if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) });
    }
}

/// Killed, and some file of its stores has another content when it comes back.
pub struct Torn {
    machine: usize,
    away: Duration,
    rng: Rng,
}

impl Torn {
    pub fn new(machine: usize, rng: &mut Rng) -> Self {
        Self { machine, away: away(rng), rng: Rng::new(rng.range(0, i64::MAX - 1) as u64) }
    }

    /// Cuts a file off, or turns some of its bits over.
    fn tear(&mut self, file: &Path) -> String {
        let size = size_of(file);
        let mut open = OpenOptions::new().read(true).write(true).open(file).unwrap();
        let place = self.rng.range(0, size as i64 - 1) as u64;
        if self.rng.chance(40) {
            open.set_len(place).unwrap();
            return format!("{} is cut from {size} to {place} bytes", file.display());
        }
        let mut byte = [0];
        open.seek(SeekFrom::Start(place)).unwrap();
        open.read_exact(&mut byte).unwrap();
        byte[0] ^= self.rng.range(1, 255) as u8;
        open.seek(SeekFrom::Start(place)).unwrap();
        open.write_all(&byte).unwrap();
        format!("{} has another byte {place} of {size}", file.display())
    }
}

impl Fault for Torn {
    fn what(&self) -> String {
        format!("m{} is killed and its stores are torn, away for {:?}", self.machine, self.away)
    }

    fn lasts(&self) -> Duration {
        self.away
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        act.machines[self.machine].kill();
        let mut files = Vec::new();
        collect(&act.machines[self.machine].state, &mut files);
        files.sort();
        // One of each sort, or one of one sort: else nearly all would be logs.
        let sorts = ["sst", "log", "CURRENT", "MANIFEST"];
        for _ in 0..self.rng.range(1, 3) {
            let sort = self.rng.pick(&sorts);
            let of_sort: Vec<&PathBuf> = files.iter().filter(|file| is_of(file, sort) && size_of(file) > 0).collect();
            if !of_sort.is_empty() {
                let file = self.rng.pick(&of_sort);
                let told = self.tear(file);
                act.tell(&told);
            }
        }
    }

    fn heal(&mut self, act: &mut Act<'_>) {
        act.machines[self.machine].start();
    }
}

fn size_of(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |found| found.len())
}

fn is_of(file: &Path, sort: &str) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.extension().is_some_and(|extension| extension == sort) || name.starts_with(sort)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

/// No room on its disk for a while.
pub struct Full {
    pub lasts: Duration,
}

impl Fault for Full {
    fn what(&self) -> String {
        format!("the disk of m2 is full for {:?}", self.lasts)
    }

    fn lasts(&self) -> Duration {
        self.lasts
    }

    fn inflict(&mut self, act: &mut Act<'_>) {
        act.disk.as_ref().expect("it was asked for").fill();
    }

    fn heal(&mut self, act: &mut Act<'_>) {
        act.disk.as_ref().expect("it was asked for").empty();
    }
}
