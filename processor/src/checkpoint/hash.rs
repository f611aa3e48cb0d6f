//! SHA-256 of contents, in the form that `sha256sum` prints.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};

const READ_BYTES: usize = 1 << 20;

/// The hash of what it is fed.
#[derive(Clone, Debug, Default)]
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.0.finalize() {
            // Writing to a String does not fail.
            _ = write!(text, "{byte:02x}");
        }
        text
    }
}

pub(super) fn of_bytes(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

pub(super) fn of_file(path: &Path) -> io::Result<String> {
    let (mut file, mut hasher) = (File::open(path)?, Hasher::default());
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Hashes of files that do not change once they are there, so that each is read once in the life of the process.
///
/// A file is known again by its inode, size and time of change: hard links to it share all three.
#[derive(Debug, Default)]
pub struct KnownHashes {
    hashes: HashMap<Identity, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified_ns: i128,
}

impl Identity {
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        }
    }
}

impl KnownHashes {
    pub(super) fn get(&self, identity: &Identity) -> Option<&String> {
        self.hashes.get(identity)
    }

    /// Knows exactly these from now on: what is in none of the newest checkpoint's files is gone or soon will be.
    pub(super) fn replace(&mut self, hashes: impl IntoIterator<Item = (Identity, String)>) {
        self.hashes = hashes.into_iter().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_sha256sum_prints() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_bytes(b"abc"), abc);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        assert_eq!(of_file(file.path()).unwrap(), abc);
    }

    #[test]
    fn a_file_is_known_by_its_links_and_not_after_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::write(&file, b"one").unwrap();
        std::fs::hard_link(&file, &link).unwrap();
        let identity = |path: &Path| Identity::of(&path.metadata().unwrap());
        let mut known = KnownHashes::default();
        known.replace([(identity(&file), "hash".to_owned())]);
        assert_eq!(known.get(&identity(&link)).map(String::as_str), Some("hash"));
        std::fs::write(&file, b"other").unwrap();
        assert_eq!(known.get(&identity(&file)), None);
    }
}
