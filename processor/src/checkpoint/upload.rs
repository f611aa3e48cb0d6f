//! From a directory to a checkpoint: new content goes up, is read back, and only then trusted.
//!
//! 1. Hash the files (each once in the life of the process).
//! 2. A blob that a verified checkpoint names and that is there with its size is taken as it is. Another that is there is
//!    read first, and taken if it is whole. The rest is written.
//! 3. The manifest is written: now the checkpoint exists.
//! 4. What was written is read back, and the checkpoint is marked as verified. If it is not what was written, the
//!    checkpoint is taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tocsin_core::time::Millis;

use super::archive::{Archive, Kind};
use super::hash::{self, Identity, KnownHashes};
use super::manifest::{Facts, FileEntry, Manifest, ManifestName};
use super::{CheckpointError, Damage, GRACE};

/// Larger files are written in pieces of this size, the least that S3 takes being 5 MiB.
const PIECE_BYTES: usize = 8 << 20;
/// Blobs under way at a time; each holds a piece in memory.
const AT_ONCE: usize = 4;
/// An upload that takes longer is given up, and what it has written is taken over by the next. It has to be well below
/// [`GRACE`]: a blob that this upload found and relies on is not collected before.
pub const LONGEST: Duration = Duration::from_millis(GRACE as u64 / 2);

/// What came of an upload.
#[derive(Clone, Debug)]
pub struct Uploaded {
    pub name: ManifestName,
    pub manifest: Manifest,
    /// Blobs that were written.
    pub new_blobs: usize,
}

/// Files of one directory, hashed.
#[derive(Debug)]
struct Content {
    directory: PathBuf,
    files: Vec<FileEntry>,
}

/// Makes a checkpoint of all files in `directory`, which must not change meanwhile.
///
/// # Errors
/// If there is no checkpoint, or one that is not verified; what has been written is used by the next attempt.
pub async fn upload(
    archive: &Archive,
    directory: &Path,
    facts: Facts,
    known: &Arc<Mutex<KnownHashes>>,
    now: Millis,
) -> Result<Uploaded, CheckpointError> {
    let whole = upload_all(archive, directory, facts, known, now);
    let late = |_| CheckpointError::Unavailable {
        action: "take all of",
        place: directory.display().to_string(),
        message: format!("it took longer than {LONGEST:?}"),
    };
    tokio::time::timeout(LONGEST, whole).await.map_err(late)?
}

async fn upload_all(
    archive: &Archive,
    directory: &Path,
    facts: Facts,
    known: &Arc<Mutex<KnownHashes>>,
    now: Millis,
) -> Result<Uploaded, CheckpointError> {
    let content = hashed(directory.to_owned(), known.clone()).await?;
    let missing = missing(archive, &content, now).await?;
    write(archive, &content, &missing).await?;
    let new_bytes = missing.iter().map(|file| file.size).sum();
    let manifest = Manifest::new(facts, now, content.files, new_bytes);
    let (name, text) = manifest.to_text().map_err(|error| CheckpointError::Local {
        action: "write the manifest of",
        path: directory.to_owned(),
        source: error.into(),
    })?;
    archive.put(Kind::Manifest, &name.to_string(), text.into_bytes()).await?;
    let damages = damages(archive, &missing).await?;
    if !damages.is_empty() {
        archive.delete(Kind::Manifest, &name.to_string()).await?;
        return Err(CheckpointError::Damaged { place: archive.name_of(&name), damages });
    }
    archive.mark_verified(&name, now, "upload").await?;
    Ok(Uploaded { name, manifest, new_blobs: missing.len() })
}

/// What is in a directory. Reading gigabytes is not for the threads that talk to the object store.
async fn hashed(directory: PathBuf, known: Arc<Mutex<KnownHashes>>) -> Result<Content, CheckpointError> {
    blocking(move || {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut files, mut identities) = (Vec::new(), Vec::new());
        let entries = std::fs::read_dir(&directory).map_err(CheckpointError::local("list", &directory))?;
        for entry in entries {
            let path = entry.map_err(CheckpointError::local("list", &directory))?.path();
            let metadata = path.metadata().map_err(CheckpointError::local("look at", &path))?;
            let identity = Identity::of(&metadata);
            let sha256 = match known.get(&identity) {
                Some(hash) => hash.clone(),
                None => hash::of_file(&path).map_err(CheckpointError::local("read", &path))?,
            };
            identities.push((identity, sha256.clone()));
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push(FileEntry { name, size: metadata.len(), sha256 });
        }
        known.replace(identities);
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Content { directory, files })
    })
    .await
}

/// The files whose content is not there yet, each content once.
async fn missing(archive: &Archive, content: &Content, now: Millis) -> Result<Vec<FileEntry>, CheckpointError> {
    let listing = archive.listing().await?;
    let (confirmed, named) = (listing.confirmed(), listing.named());
    let blobs: BTreeMap<_, _> = archive.list(Kind::Blob).await?.into_iter().collect();
    let (mut missing, mut in_doubt, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for file in content.files.iter().filter(|file| seen.insert(&file.sha256)) {
        let hash = file.sha256.as_str();
        let there = blobs.get(hash).filter(|blob| blob.size == file.size);
        // One that nobody names may be collected before this upload is done, unless it is young.
        let is_young = |at: Millis| now - at < GRACE / 2;
        match there {
            Some(_) if confirmed.contains(hash) => {}
            Some(blob) if named.contains(hash) || is_young(blob.last_modified.timestamp_millis()) => {
                in_doubt.push(file.clone());
            }
            _ => missing.push(file.clone()),
        }
    }
    let bad: BTreeSet<_> = damages(archive, &in_doubt).await?.into_iter().map(|damage| damage.what).collect();
    missing.extend(in_doubt.into_iter().filter(|file| bad.contains(&file.name)));
    Ok(missing)
}

/// What is wrong with the blobs of these files.
async fn damages(archive: &Archive, files: &[FileEntry]) -> Result<Vec<Damage>, CheckpointError> {
    let read = |file: FileEntry| {
        let archive = archive.clone();
        async move { archive.read_blob(&file, &mut |_| {}).await }
    };
    let found: Vec<_> = stream::iter(files.to_vec()).map(read).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn write(archive: &Archive, content: &Content, files: &[FileEntry]) -> Result<(), CheckpointError> {
    let write = |file: FileEntry| {
        let (archive, path) = (archive.clone(), content.directory.join(&file.name));
        async move { write_file(&archive, &path, &file).await }
    };
    stream::iter(files.to_vec()).map(write).buffer_unordered(AT_ONCE).try_collect().await
}

async fn write_file(archive: &Archive, path: &Path, file: &FileEntry) -> Result<(), CheckpointError> {
    let mut opened = File::open(path).map_err(CheckpointError::local("read", path))?;
    let piece;
    (opened, piece) = next_piece(opened, path).await?;
    if file.size <= PIECE_BYTES as u64 {
        return archive.put(Kind::Blob, &file.sha256, piece).await;
    }
    let mut blob = archive.put_in_pieces(&file.sha256).await?;
    let written = async {
        blob.put(piece).await?;
        loop {
            let piece;
            (opened, piece) = next_piece(opened, path).await?;
            if piece.is_empty() {
                return blob.complete().await;
            }
            blob.put(piece).await?;
        }
    };
    let written = written.await;
    if written.is_err() {
        blob.abort().await;
    }
    written
}

/// Reads on in a file; nothing at its end.
async fn next_piece(mut file: File, path: &Path) -> Result<(File, Vec<u8>), CheckpointError> {
    let path = path.to_owned();
    blocking(move || {
        let mut piece = Vec::new();
        let read = file.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece);
        read.map_err(CheckpointError::local("read", &path))?;
        Ok((file, piece))
    })
    .await
}

/// Does what waits for the disk, or computes for long, aside.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CheckpointError> + Send + 'static,
) -> Result<T, CheckpointError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        let source = std::io::Error::other(error);
        Err(CheckpointError::Local { action: "work on", path: PathBuf::from("a checkpoint's files"), source })
    })
}
