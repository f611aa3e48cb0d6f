//! `tocsin checkpoint verify`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tocsin::checkpoint::{Archive, Entry, Found, Progress, Search, Wanted, fetch};
use tocsin::store::{RocksOptions, RocksStore, StoreError, survey};

use super::VerifyArgs;
use super::list::size;
use super::with_stores::{Place, with_bar};
use crate::cli::arguments;
use crate::cli::failure::Failure;

/// For blocks, while rows are read.
const CACHE_BYTES: usize = 64 << 20;

pub async fn execute(place: &Place, args: &VerifyArgs) -> anyhow::Result<()> {
    let scratch = Scratch(std::env::temp_dir().join(format!("tocsin-verify-{}", std::process::id())));
    let (mut checked, mut damaged) = (0, 0);
    for partition in place.partitions(args.partition).await? {
        let (archive, entries) = place.entries(partition).await?;
        let first = if args.all { 0 } else { entries.len().saturating_sub(1) };
        for entry in entries[first..].iter().rev() {
            let verdict = verify(place, &archive, entry, &scratch.0).await?;
            let (sequence, text) = (entry.name.sequence, verdict.as_ref().unwrap_or_else(|why| why));
            println!("partition {partition}, sequence {sequence}: {text}");
            checked += 1;
            damaged += usize::from(verdict.is_err());
        }
    }
    match (checked, damaged) {
        (0, _) => Err(Failure::failed(format!("there are no checkpoints of {} in {}", place.application, place.url))
            .hint("a running application takes the first after checkpoint.interval")
            .into()),
        (_, 0) => Ok(()),
        _ => Err(Failure::failed(format!("{damaged} of {checked} checkpoints are damaged"))
            .hint("an older one is used in their stead; the next upload replaces what is damaged")
            .into()),
    }
}

/// What is in a checkpoint, or what is wrong with it. An error is only that nobody could tell.
async fn verify(
    place: &Place,
    archive: &Archive,
    entry: &Entry,
    scratch: &Path,
) -> anyhow::Result<Result<String, String>> {
    let progress = Progress::default();
    let search = Search {
        wanted: Wanted::Exactly(entry.name.clone()),
        target: scratch.to_owned(),
        at_hand: Vec::new(),
        progress: progress.clone(),
    };
    let what = format!("sequence {}", entry.name.sequence);
    let fetched = with_bar(what, &progress, fetch(archive, &search)).await.map_err(|error| place.unreachable(error))?;
    let found = match (fetched.found, fetched.refused.first()) {
        (Some(found), _) => found,
        (None, Some(refused)) => return Ok(Err(format!("damaged: {}", refused.reason))),
        (None, None) => return Ok(Err("gone: it was removed meanwhile".to_owned())),
    };
    let read = read(found, scratch.to_owned()).await;
    drop(std::fs::remove_dir_all(scratch));
    match read {
        Ok(text) => {
            archive.mark_verified(&entry.name, arguments::wall_clock(), "tocsin checkpoint verify").await.map_err(
                |error| {
                    Failure::failed("the checkpoint is whole, but that cannot be noted beside it")
                        .caused_by(error)
                        .hint("verify with the rights to write to the object store")
                },
            )?;
            Ok(Ok(text))
        }
        Err(error) if error.is_damage() => {
            archive.distrust(&entry.name, &BTreeSet::new()).await.map_err(|error| place.unreachable(error))?;
            Ok(Err(format!("damaged: {error}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Opens the store and reads every row.
async fn read(found: Found, directory: PathBuf) -> Result<String, StoreError> {
    let work = move || {
        let store = RocksStore::open(&directory, &RocksOptions::new(CACHE_BYTES))?;
        let contents = survey(&store, &mut |_| {})?;
        let (stored, told) = (contents.position.map_or(0, |position| position.journal_sequence), found.name.sequence);
        if stored != told {
            let message = format!("it stands at sequence {stored}, but its manifest says {told}");
            return Err(StoreError::Corrupt { place: directory.display().to_string(), action: "agree", message });
        }
        let (files, bytes) = (found.manifest.files.len(), size(found.manifest.size));
        let (customers, timers, rows) = (contents.customers, contents.timers, contents.rows);
        Ok(format!("whole: {files} files, {bytes}, {rows} rows, {customers} customers, {timers} timers"))
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let message = error.to_string();
        Err(StoreError::Failed { place: "the temporary directory".to_owned(), action: "be read", message })
    })
}

/// Removed at the end, however that comes.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
