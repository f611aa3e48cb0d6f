//! From a checkpoint to a directory: the newest position that is whole.
//!
//! Files are downloaded side by side into a directory that has another name until every one of them is there, has the
//! right hash and is on the disk. What an older store on this machine has already is linked rather than downloaded.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::archive::{Archive, Kind};
use super::manifest::{FileEntry, Manifest, ManifestName};
use super::upload::blocking;
use super::{CheckpointError, Damage, hash, remove};

/// Files under way at a time.
const AT_ONCE: usize = 4;

/// Which checkpoint is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The newest one behind this journal sequence, and older ones in its stead if it is damaged.
    NewerThan {
        sequence: i64,
        /// Of this topic only.
        topic: Option<String>,
    },
    /// This one, damaged or not.
    Exactly(ManifestName),
}

impl Wanted {
    fn may_be(&self, name: &ManifestName) -> bool {
        match self {
            Self::NewerThan { sequence, .. } => name.sequence > *sequence,
            Self::Exactly(exactly) => name == exactly,
        }
    }

    fn is(&self, manifest: &Manifest) -> bool {
        match self {
            Self::NewerThan { topic: Some(topic), .. } => *topic == manifest.facts.topic,
            Self::NewerThan { topic: None, .. } | Self::Exactly(_) => true,
        }
    }
}

/// A search for a checkpoint, and where its files go.
#[derive(Clone, Debug)]
pub struct Search {
    pub wanted: Wanted,
    /// Must not be there; is there, whole, when the search has found something.
    pub target: PathBuf,
    /// Stores whose files may be linked instead of downloaded.
    pub at_hand: Vec<PathBuf>,
    pub progress: Progress,
}

/// Bytes to fetch and bytes fetched; for whoever shows them.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<(AtomicU64, AtomicU64)>);

impl Progress {
    /// Bytes done, and bytes in all.
    #[must_use]
    pub fn get(&self) -> (u64, u64) {
        (self.0.0.load(Relaxed), self.0.1.load(Relaxed))
    }

    fn begin(&self, bytes: u64) {
        self.0.0.store(0, Relaxed);
        self.0.1.store(bytes, Relaxed);
    }

    fn add(&self, bytes: u64) {
        self.0.0.fetch_add(bytes, Relaxed);
    }
}

/// What a search came to.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Its files are in the directory. `None`: there is none that was wanted and is whole.
    pub found: Option<Found>,
    /// Those that were wanted before it, and could not be used.
    pub refused: Vec<Refused>,
}

/// A checkpoint whose files are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub name: ManifestName,
    pub manifest: Manifest,
    /// Bytes that were not at hand.
    pub downloaded: u64,
}

/// A checkpoint that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub name: ManifestName,
    pub reason: String,
}

/// Looks for a checkpoint and puts its files into a directory.
///
/// # Errors
/// [`CheckpointError::Unavailable`] and [`CheckpointError::Local`]; a damaged checkpoint is no error but
/// [`Fetched::refused`].
pub async fn fetch(archive: &Archive, search: &Search) -> Result<Fetched, CheckpointError> {
    let mut fetched = Fetched::default();
    let names = archive.names(Kind::Manifest).await?;
    for name in names.into_iter().rev().filter(|name| search.wanted.may_be(name)) {
        match fetch_one(archive, search, &name).await {
            Ok(None) => {}
            Ok(Some((manifest, downloaded))) => {
                fetched.found = Some(Found { name, manifest, downloaded });
                return Ok(fetched);
            }
            Err(CheckpointError::Damaged { damages, .. }) => {
                fetched.refused.push(Refused { name, reason: super::in_words(&damages) });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(fetched)
}

/// `None`: it is of another topic.
async fn fetch_one(
    archive: &Archive,
    search: &Search,
    name: &ManifestName,
) -> Result<Option<(Manifest, u64)>, CheckpointError> {
    let manifest = match archive.manifest(Kind::Manifest, name).await {
        Err(error @ CheckpointError::Damaged { .. }) => {
            archive.delete(Kind::Verified, &name.to_string()).await?;
            return Err(error);
        }
        read => read?,
    };
    if !search.wanted.is(&manifest) {
        return Ok(None);
    }
    let (downloaded, damages) = download(archive, search, &manifest).await?;
    if !damages.is_empty() {
        archive.distrust(name, &bad_blobs(&manifest, &damages)).await?;
        return Err(CheckpointError::Damaged { place: archive.name_of(name), damages });
    }
    Ok(Some((manifest, downloaded)))
}

/// The blobs of the files that damages are about.
fn bad_blobs<'a>(manifest: &'a Manifest, damages: &[Damage]) -> BTreeSet<&'a str> {
    let bad = manifest.files.iter().filter(|file| damages.iter().any(|damage| damage.what == file.name));
    bad.map(|file| file.sha256.as_str()).collect()
}

/// Bytes downloaded, and all that is wrong; only if nothing is, the target is there.
async fn download(
    archive: &Archive,
    search: &Search,
    manifest: &Manifest,
) -> Result<(u64, Vec<Damage>), CheckpointError> {
    let parts = Unfinished::make(&search.target)?;
    search.progress.begin(manifest.size);
    let one = |file: FileEntry| {
        let (archive, at_hand) = (archive.clone(), search.at_hand.clone());
        let (path, progress) = (parts.path.join(&file.name), search.progress.clone());
        async move { one_file(&archive, &at_hand, &file, path, &progress).await }
    };
    let files = stream::iter(manifest.files.clone()).map(one).buffer_unordered(AT_ONCE);
    let files: Vec<(u64, Option<Damage>)> = files.try_collect().await?;
    let downloaded = files.iter().map(|(bytes, _)| bytes).sum();
    let damages: Vec<_> = files.into_iter().filter_map(|(_, damage)| damage).collect();
    if damages.is_empty() {
        parts.finish(&search.target)?;
    }
    Ok((downloaded, damages))
}

async fn one_file(
    archive: &Archive,
    at_hand: &[PathBuf],
    file: &FileEntry,
    path: PathBuf,
    progress: &Progress,
) -> Result<(u64, Option<Damage>), CheckpointError> {
    let (places, wanted, to) = (at_hand.to_vec(), file.clone(), path.clone());
    if blocking(move || Ok(link(&places, &wanted, &to))).await? {
        progress.add(file.size);
        return Ok((0, None));
    }
    let mut out = File::create(&path).map_err(CheckpointError::local("write", &path))?;
    let mut written = Ok(());
    let mut keep = |bytes: &[u8]| {
        if written.is_ok() {
            written = out.write_all(bytes);
        }
        progress.add(bytes.len() as u64);
    };
    let damage = archive.read_blob(file, &mut keep).await?;
    written.map_err(CheckpointError::local("write", &path))?;
    if damage.is_none() {
        blocking(move || out.sync_all().map_err(CheckpointError::local("write", &path))).await?;
    }
    Ok((file.size, damage))
}

/// Whether the file is at hand with the right content, and so now at `to` as well. Only tables: RocksDB writes each
/// once and never again, while other files of an older store may grow.
fn link(at_hand: &[PathBuf], file: &FileEntry, to: &Path) -> bool {
    if Path::new(&file.name).extension().is_none_or(|extension| extension != "sst") {
        return false;
    }
    let candidates = at_hand.iter().map(|place| place.join(&file.name));
    let same = |path: &PathBuf| {
        path.metadata().is_ok_and(|metadata| metadata.len() == file.size)
            && hash::of_file(path).is_ok_and(|found| found == file.sha256)
    };
    // Another file system cannot be linked to; then it is downloaded.
    candidates.filter(same).any(|path| std::fs::hard_link(path, to).is_ok())
}

/// A directory that is removed again unless it is finished.
#[derive(Debug)]
struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    fn make(target: &Path) -> Result<Self, CheckpointError> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let path = target.with_file_name(name);
        // Of a process that ended in the middle.
        remove(&path).map_err(CheckpointError::local("remove", &path))?;
        std::fs::create_dir_all(&path).map_err(CheckpointError::local("make", &path))?;
        Ok(Self { path })
    }

    fn finish(self, target: &Path) -> Result<(), CheckpointError> {
        let done = sync(&self.path).and_then(|()| std::fs::rename(&self.path, target));
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        done.and_then(|()| sync(parent)).map_err(CheckpointError::local("finish", target))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After `finish` it is no longer there.
        drop(std::fs::remove_dir_all(&self.path));
    }
}

/// The names in a directory survive the loss of power.
fn sync(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}
