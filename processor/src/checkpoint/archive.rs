//! The object store, request by request: each has a time limit, and an error that names what was asked of what.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::hash::Hasher;
use super::manifest::{FileEntry, ManifestName};
use super::{CheckpointError, Damage, Harm};

/// No answer within this time is a failure. Bodies are read and written in pieces, and each piece has as long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where the checkpoints of an application are kept.
#[derive(Clone, Debug)]
pub struct Repository {
    objects: Arc<dyn ObjectStore>,
    root: Path,
    patience: Duration,
}

impl Repository {
    /// Below `prefix` in `objects`.
    #[must_use]
    pub fn new(objects: Arc<dyn ObjectStore>, prefix: Path, application: &str) -> Self {
        Self { objects, root: prefix.join(application), patience: PATIENCE }
    }

    /// Waits this long for an answer.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The checkpoints of one partition.
    #[must_use]
    pub fn partition(&self, partition: i32) -> Archive {
        Archive { repository: self.clone(), base: self.root.clone().join(partition.to_string()) }
    }

    /// The partitions that have something here, in order.
    ///
    /// # Errors
    /// [`CheckpointError::Unavailable`].
    pub async fn partitions(&self) -> Result<Vec<i32>, CheckpointError> {
        let listed = self.within("list", &self.root, self.objects.list_with_delimiter(Some(&self.root))).await?;
        let names = listed.common_prefixes.iter().filter_map(|prefix| prefix.filename()?.parse().ok());
        let mut partitions: Vec<_> = names.collect();
        partitions.sort_unstable();
        Ok(partitions)
    }

    async fn within<T>(
        &self,
        action: &'static str,
        place: &Path,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, CheckpointError> {
        self.answer(action, place, request).await?.map_err(|error| unavailable(action, place, &error))
    }

    /// The answer, good or bad, unless none comes in time.
    async fn answer<T>(
        &self,
        action: &'static str,
        place: &Path,
        request: impl Future<Output = T>,
    ) -> Result<T, CheckpointError> {
        tokio::time::timeout(self.patience, request).await.map_err(|_| CheckpointError::Unavailable {
            action,
            place: place.to_string(),
            message: format!("no answer within {:?}", self.patience),
        })
    }
}

fn unavailable(action: &'static str, place: &Path, error: &object_store::Error) -> CheckpointError {
    CheckpointError::Unavailable { action, place: place.to_string(), message: error.to_string() }
}

/// The checkpoints of one partition.
#[derive(Clone, Debug)]
pub struct Archive {
    repository: Repository,
    base: Path,
}

/// What lies below an [`Archive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Blob,
    Manifest,
    Verified,
    Retired,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Self::Blob => "blobs",
            Self::Manifest => "manifests",
            Self::Verified => "verified",
            Self::Retired => "retired",
        }
    }
}

impl Archive {
    fn place(&self, kind: Kind, name: &str) -> Path {
        self.base.clone().join(kind.folder()).join(name)
    }

    /// For messages.
    pub(super) fn name_of(&self, name: &ManifestName) -> String {
        format!("checkpoint {}", self.place(Kind::Manifest, &name.to_string()))
    }

    pub(super) async fn put(&self, kind: Kind, name: &str, content: Vec<u8>) -> Result<(), CheckpointError> {
        let place = self.place(kind, name);
        let request = self.repository.objects.put(&place, content.into());
        self.repository.within("write", &place, request).await.map(drop)
    }

    /// A small object's content; `None` if there is no such object.
    pub(super) async fn get(&self, kind: Kind, name: &str) -> Result<Option<Vec<u8>>, CheckpointError> {
        let mut content = Vec::new();
        let mut keep = |bytes: &[u8]| content.extend_from_slice(bytes);
        Ok(self.read(kind, name, &mut keep).await?.then_some(content))
    }

    /// No longer being there is as good.
    pub(super) async fn delete(&self, kind: Kind, name: &str) -> Result<(), CheckpointError> {
        let place = self.place(kind, name);
        match self.repository.answer("delete", &place, self.repository.objects.delete(&place)).await? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable("delete", &place, &error)),
        }
    }

    /// What is known of an object; `None` if there is no such object.
    pub(super) async fn look_at(&self, kind: Kind, name: &str) -> Result<Option<ObjectMeta>, CheckpointError> {
        let place = self.place(kind, name);
        match self.repository.answer("look at", &place, self.repository.objects.head(&place)).await? {
            Ok(object) => Ok(Some(object)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable("look at", &place, &error)),
        }
    }

    /// What there is of a kind, by name.
    pub(super) async fn list(&self, kind: Kind) -> Result<Vec<(String, ObjectMeta)>, CheckpointError> {
        let place = self.base.clone().join(kind.folder());
        let (mut listed, mut stream) = (Vec::new(), self.repository.objects.list(Some(&place)));
        while let Some(object) = self.repository.answer("list", &place, stream.next()).await? {
            let object = object.map_err(|error| unavailable("list", &place, &error))?;
            if let Some(name) = object.location.filename() {
                listed.push((name.to_owned(), object));
            }
        }
        Ok(listed)
    }

    /// The names of manifests of a kind, in the order of their positions.
    pub(super) async fn names(&self, kind: Kind) -> Result<Vec<ManifestName>, CheckpointError> {
        let listed = self.list(kind).await?;
        let mut names: Vec<ManifestName> = listed.iter().filter_map(|(name, _)| name.parse().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Begins a blob that is written piece by piece.
    pub(super) async fn put_in_pieces(&self, hash: &str) -> Result<PieceWriter, CheckpointError> {
        let place = self.place(Kind::Blob, hash);
        let upload = self.repository.within("write", &place, self.repository.objects.put_multipart(&place)).await?;
        Ok(PieceWriter { repository: self.repository.clone(), place, upload })
    }

    /// Reads a blob into `sink` and says what is wrong with it, if anything is.
    pub(super) async fn read_blob(
        &self,
        expected: &FileEntry,
        sink: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Option<Damage>, CheckpointError> {
        let (mut hasher, mut size) = (Hasher::default(), 0);
        let mut take = |bytes: &[u8]| {
            size += bytes.len() as u64;
            hasher.update(bytes);
            sink(bytes);
        };
        let there = self.read(Kind::Blob, &expected.sha256, &mut take).await?;
        let found = hasher.finish();
        let how = if !there {
            Harm::Missing
        } else if size != expected.size {
            Harm::Size { expected: expected.size, found: size }
        } else if found != expected.sha256 {
            Harm::Content { expected: expected.sha256.clone(), found }
        } else {
            return Ok(None);
        };
        Ok(Some(Damage { what: expected.name.clone(), how }))
    }

    async fn read(
        &self,
        kind: Kind,
        name: &str,
        sink: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<bool, CheckpointError> {
        let place = self.place(kind, name);
        let found = match self.repository.answer("read", &place, self.repository.objects.get(&place)).await? {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(unavailable("read", &place, &error)),
        };
        let mut stream = found.into_stream();
        while let Some(piece) = self.repository.answer("read", &place, stream.next()).await? {
            sink(&piece.map_err(|error| unavailable("read", &place, &error))?);
        }
        Ok(true)
    }
}

/// A blob that is being written. It is there when it is complete, and not before.
#[derive(Debug)]
pub(super) struct PieceWriter {
    repository: Repository,
    place: Path,
    upload: Box<dyn MultipartUpload>,
}

impl PieceWriter {
    /// All pieces but the last have one size.
    pub(super) async fn put(&mut self, piece: Vec<u8>) -> Result<(), CheckpointError> {
        self.repository.within("write", &self.place, self.upload.put_part(piece.into())).await
    }

    pub(super) async fn complete(&mut self) -> Result<(), CheckpointError> {
        self.repository.within("write", &self.place, self.upload.complete()).await.map(drop)
    }

    /// As well as it can be done: what stays behind is no blob, and lifecycle rules of the object store remove it.
    pub(super) async fn abort(&mut self) {
        drop(self.repository.within("give up", &self.place, self.upload.abort()).await);
    }
}
