//! Which checkpoints there are, and which of them are known to be whole.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tocsin_core::time::Millis;

use super::archive::{Archive, Kind};
use super::manifest::{Manifest, ManifestName};
use super::{CheckpointError, Damage, Harm};

/// A checkpoint as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: ManifestName,
    /// Or why it cannot be read.
    pub manifest: Result<Manifest, String>,
    /// Every file has been read back since it was written, and nothing has been found wrong with it since.
    pub verified: bool,
}

/// The checkpoints of a partition, in the order of their positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub entries: Vec<Entry>,
}

impl Listing {
    /// The one with the newest position that can be read.
    #[must_use]
    pub fn newest(&self) -> Option<&Manifest> {
        self.readable().last().map(|(_, manifest)| manifest)
    }

    /// Hashes of all blobs of verified checkpoints.
    pub(super) fn confirmed(&self) -> BTreeSet<&str> {
        let verified = self.readable().filter(|(entry, _)| entry.verified);
        verified.flat_map(|(_, manifest)| hashes(manifest)).collect()
    }

    /// Hashes of all blobs of checkpoints.
    pub(super) fn named(&self) -> BTreeSet<&str> {
        self.readable().flat_map(|(_, manifest)| hashes(manifest)).collect()
    }

    fn readable(&self) -> impl Iterator<Item = (&Entry, &Manifest)> {
        self.entries.iter().filter_map(|entry| Some((entry, entry.manifest.as_ref().ok()?)))
    }
}

pub(super) fn hashes(manifest: &Manifest) -> impl Iterator<Item = &str> {
    manifest.files.iter().map(|file| file.sha256.as_str())
}

/// What a mark says, for people; that it is there is what counts.
#[derive(Debug, Serialize, Deserialize)]
struct Mark<'a> {
    #[serde(with = "super::manifest::instant")]
    verified_at: Millis,
    by: &'a str,
}

impl Archive {
    /// All checkpoints of the partition.
    ///
    /// # Errors
    /// [`CheckpointError::Unavailable`]. A manifest that is damaged is listed as such.
    pub async fn listing(&self) -> Result<Listing, CheckpointError> {
        let verified: BTreeSet<_> = self.names(Kind::Verified).await?.into_iter().collect();
        let mut entries = Vec::new();
        for name in self.names(Kind::Manifest).await? {
            let manifest = match self.manifest(Kind::Manifest, &name).await {
                Ok(manifest) => Ok(manifest),
                // Retired between the list and this request.
                Err(CheckpointError::Damaged { damages, .. }) if damages[0].how == Harm::Missing => continue,
                Err(CheckpointError::Damaged { damages, .. }) => Err(super::in_words(&damages)),
                Err(error) => return Err(error),
            };
            entries.push(Entry { verified: verified.contains(&name), name, manifest });
        }
        Ok(Listing { entries })
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if it is not what was written, or not there; [`CheckpointError::Unavailable`].
    pub(super) async fn manifest(&self, kind: Kind, name: &ManifestName) -> Result<Manifest, CheckpointError> {
        let read = match self.get(kind, &name.to_string()).await? {
            Some(content) => Manifest::read(name, &content).map_err(Harm::Unreadable),
            None => Err(Harm::Missing),
        };
        read.map_err(|how| CheckpointError::Damaged {
            place: self.name_of(name),
            damages: vec![Damage { what: "the manifest".to_owned(), how }],
        })
    }

    /// Notes that every file of a checkpoint has been read back and is what it should be.
    ///
    /// # Errors
    /// [`CheckpointError::Unavailable`].
    pub async fn mark_verified(&self, name: &ManifestName, now: Millis, by: &str) -> Result<(), CheckpointError> {
        // Two plain fields: this cannot fail.
        let text = serde_json::to_vec(&Mark { verified_at: now, by }).unwrap_or_default();
        self.put(Kind::Verified, &name.to_string(), text).await
    }

    /// Takes the mark from every checkpoint that one of these blobs belongs to, so that none of them counts among those
    /// that are kept, and the next upload reads the blobs again and replaces what is bad.
    ///
    /// # Errors
    /// [`CheckpointError::Unavailable`].
    pub async fn distrust(&self, name: &ManifestName, blobs: &BTreeSet<&str>) -> Result<(), CheckpointError> {
        self.delete(Kind::Verified, &name.to_string()).await?;
        for entry in self.listing().await?.entries.iter().filter(|entry| entry.verified) {
            let names_one =
                entry.manifest.as_ref().is_ok_and(|manifest| hashes(manifest).any(|hash| blobs.contains(hash)));
            if names_one {
                self.delete(Kind::Verified, &entry.name.to_string()).await?;
            }
        }
        Ok(())
    }
}
