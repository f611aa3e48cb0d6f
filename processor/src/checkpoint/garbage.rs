//! What is of no more use goes, and never what somebody may still rely on.
//!
//! Nobody is alone here: a process that has just lost the partition may be uploading still, another may be fetching. So
//! nothing goes at once. A manifest that is not kept is *retired*: moved to another name, by which no upload and no fetch
//! finds it. Its blobs, and those that never got a manifest, go when nothing has named them for [`GRACE`], and no upload
//! may take longer than half of that ([`super::upload`]):
//!
//! - An upload relies on a blob only if a manifest names it that is not retired, or if it is younger than half of the
//!   grace. In the first case that manifest can be retired no earlier than the upload began, in the second the blob is
//!   not old enough before the upload has ended: either way the upload's own manifest is there in time.
//! - A fetch that has read a manifest has at least the whole grace to read the blobs.

use std::collections::BTreeSet;

use object_store::ObjectMeta;
use tocsin_core::time::{HOUR, Millis};

use super::CheckpointError;
use super::archive::{Archive, Kind};
use super::catalog::{Listing, hashes};
use super::manifest::ManifestName;

/// A blob that nothing has named for this long is removed.
pub const GRACE: Millis = 6 * HOUR;

/// What was cleaned up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Checkpoints that are one no longer.
    pub retired: usize,
    /// Blobs that are gone, and their bytes.
    pub blobs: usize,
    pub bytes: u64,
}

/// Retires checkpoints until `keep` verified ones are left, and those with newer positions; removes what nothing names.
///
/// # Errors
/// [`CheckpointError::Unavailable`]; what is left is removed by the next sweep. If a manifest cannot be read, nothing is
/// removed, for nobody knows what it names.
pub async fn sweep(archive: &Archive, keep: usize, now: Millis) -> Result<Swept, CheckpointError> {
    let mut swept = Swept::default();
    let listing = archive.listing().await?;
    for name in superfluous(&listing, keep) {
        let text = archive.get(Kind::Manifest, &name.to_string()).await?.unwrap_or_default();
        archive.put(Kind::Retired, &name.to_string(), text).await?;
        archive.delete(Kind::Manifest, &name.to_string()).await?;
        archive.delete(Kind::Verified, &name.to_string()).await?;
        swept.retired += 1;
    }
    collect(archive, now, &mut swept).await?;
    Ok(swept)
}

/// All before the last `keep` verified ones.
fn superfluous(listing: &Listing, keep: usize) -> Vec<ManifestName> {
    let verified = listing.entries.iter().enumerate().filter(|(_, entry)| entry.verified && entry.manifest.is_ok());
    let Some((first_kept, _)) = verified.rev().nth(keep.max(1) - 1) else { return Vec::new() };
    listing.entries[..first_kept].iter().map(|entry| entry.name.clone()).collect()
}

async fn collect(archive: &Archive, now: Millis, swept: &mut Swept) -> Result<(), CheckpointError> {
    // Blobs are listed before manifests are read: one that is written in between is not in the list.
    let blobs = archive.list(Kind::Blob).await?;
    let is_old = |at: Millis| now - at >= GRACE;
    let mut named = BTreeSet::new();
    let mut gone = Vec::new();
    for (name, object) in archive.list(Kind::Retired).await? {
        let Ok(name) = name.parse::<ManifestName>() else { continue };
        if is_old(object.last_modified.timestamp_millis()) {
            gone.push(name);
            continue;
        }
        match archive.manifest(Kind::Retired, &name).await {
            Ok(manifest) => named.extend(hashes(&manifest).map(str::to_owned)),
            // For as long as it might still be read, nobody knows what it names.
            Err(CheckpointError::Damaged { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    for entry in archive.listing().await?.entries {
        let Ok(manifest) = entry.manifest else { return Ok(()) };
        named.extend(hashes(&manifest).map(str::to_owned));
    }
    for (name, object) in blobs {
        let at = |object: &ObjectMeta| object.last_modified.timestamp_millis();
        if named.contains(&name) || !is_old(at(&object)) {
            continue;
        }
        // Another process may have written it anew since the list was made.
        if archive.look_at(Kind::Blob, &name).await?.is_some_and(|object| is_old(at(&object))) {
            archive.delete(Kind::Blob, &name).await?;
            swept.blobs += 1;
            swept.bytes += object.size;
        }
    }
    for name in gone {
        archive.delete(Kind::Retired, &name.to_string()).await?;
    }
    Ok(())
}
