//! Checkpoints: copies of a partition's store in an object store, from which a machine without state starts.
//!
//! Below the configured URL, for every application and partition:
//!
//! ```text
//! APPLICATION/PARTITION/blobs/SHA256              content of files, named by its hash
//!                      /manifests/SEQUENCE-HASH.json  a checkpoint: its position, and its files by name, size and hash
//!                      /verified/SEQUENCE-HASH.json   every file of it has been read back and was what it should be
//!                      /retired/SEQUENCE-HASH.json    was a checkpoint; its blobs are on their way out
//! ```
//!
//! A checkpoint exists when its manifest does, and that is written last, in one request. A manifest's name holds the
//! journal sequence of its position, with leading zeros so that names sort by it, and the start of the hash of its own
//! text. The newest *position* wins, whenever it was made. Blobs are named by what is in them, so what has not changed
//! since the last checkpoint is not uploaded again, and what has changed by itself is noticed ([`Damage`]).
//!
//! Several processes may write here at once, for a partition moves: none relies on being alone ([`garbage`]).
//!
//! The room knows files, objects and manifests. What a position means, what rules are, how a store is opened: all that
//! comes and goes as [`Facts`], as it was given.

mod archive;
mod background;
mod catalog;
mod connect;
mod fetch;
mod garbage;
mod hash;
mod manifest;
mod prefetch;
mod queue;
mod upload;

use std::fmt;
use std::path::{Path, PathBuf};

pub use archive::{Archive, Repository};
pub use background::{Background, FetchHandle, Settings};
pub use catalog::{Entry, Listing};
pub use connect::connect;
pub use fetch::{Fetched, Found, Progress, Refused, Search, Wanted, fetch};
pub use garbage::{GRACE, Swept, sweep};
pub use hash::KnownHashes;
pub use manifest::{Facts, FileEntry, Manifest, ManifestName, RulesInForce};
pub use prefetch::{Owned, Prefetch, Renewed, Shelf};
pub use queue::Taken;
pub use upload::{Uploaded, upload};

/// What went wrong, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The object store failed or did not answer in time; it may do so later.
    #[error("the object store failed to {action} {place}: {message}")]
    Unavailable { action: &'static str, place: String, message: String },
    /// What is stored is not what was put there.
    #[error("{place} is damaged: {}", in_words(damages))]
    Damaged { place: String, damages: Vec<Damage> },
    /// This machine's disk failed.
    #[error("failed to {action} {}: {source}", path.display())]
    Local { action: &'static str, path: PathBuf, source: std::io::Error },
}

impl CheckpointError {
    fn local(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Local { action, path: path.to_owned(), source }
    }
}

/// Removes a directory with all that is in it, if it is there.
///
/// # Errors
/// If it stays.
pub fn remove(directory: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What is wrong with one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file that it was to become, or what else it is.
    pub what: String,
    pub how: Harm,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Harm {
    Missing,
    Size { expected: u64, found: u64 },
    Content { expected: String, found: String },
    Unreadable(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = &self.what;
        match &self.how {
            Harm::Missing => write!(f, "{what} is missing"),
            Harm::Size { expected, found } => write!(f, "{what} has {found} bytes, not {expected}"),
            Harm::Content { expected, found } => {
                write!(f, "{what} has other content (sha256 {found:.16}, not {expected:.16})")
            }
            Harm::Unreadable(why) => write!(f, "{what} cannot be read: {why}"),
        }
    }
}

fn in_words(damages: &[Damage]) -> String {
    const NAMED: usize = 3;
    let mut words: Vec<_> = damages.iter().take(NAMED).map(ToString::to_string).collect();
    if damages.len() > NAMED {
        words.push(format!("{} more", damages.len() - NAMED));
    }
    words.join("; ")
}
