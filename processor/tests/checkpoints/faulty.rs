//! An object store that fails as it is told to.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Notify;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Every request is refused.
    Down,
    /// No request is ever answered.
    Hangs,
    /// Manifests are not written before this is over.
    HoldManifests,
    /// What is written to blobs is not what was given.
    Garbles,
}

#[derive(Clone)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    state: Arc<State>,
}

struct State {
    fault: Mutex<Fault>,
    changed: Notify,
    held: Notify,
    /// Requests that hang now, and the most that ever did.
    hanging: AtomicUsize,
    most: AtomicUsize,
}

/// A request that hangs.
struct Hanging<'a>(&'a State);

impl<'a> Hanging<'a> {
    fn new(state: &'a State) -> Self {
        let now = state.hanging.fetch_add(1, SeqCst) + 1;
        state.most.fetch_max(now, SeqCst);
        Self(state)
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.hanging.fetch_sub(1, SeqCst);
    }
}

impl Faulty {
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        let state = State {
            fault: Mutex::new(Fault::None),
            changed: Notify::new(),
            held: Notify::new(),
            hanging: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        };
        Self { inner, state: Arc::new(state) }
    }

    pub fn set(&self, fault: Fault) {
        *self.state.fault.lock().unwrap() = fault;
        self.state.changed.notify_waiters();
    }

    /// The most requests that have hung at a time.
    pub fn most_hanging(&self) -> usize {
        self.state.most.load(SeqCst)
    }

    /// Until something is held.
    pub async fn held(&self) {
        self.state.held.notified().await;
    }

    fn fault(&self) -> Fault {
        *self.state.fault.lock().unwrap()
    }

    async fn pass(&self) -> Result<()> {
        match self.fault() {
            Fault::Down => Err(object_store::Error::Generic { store: "faulty", source: "it is down".into() }),
            Fault::Hangs => {
                let _hanging = Hanging::new(&self.state);
                std::future::pending().await
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({:?})", self.fault())
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.pass().await?;
        if location.as_ref().contains("/manifests/") {
            loop {
                let changed = self.state.changed.notified();
                if self.fault() != Fault::HoldManifests {
                    break;
                }
                self.state.held.notify_one();
                changed.await;
            }
        }
        if self.fault() == Fault::Garbles && location.as_ref().contains("/blobs/") {
            let mut bytes: Vec<u8> = Bytes::from(payload).to_vec();
            if let Some(byte) = bytes.last_mut() {
                *byte ^= 1;
            }
            return self.inner.put_opts(location, bytes.into(), options).await;
        }
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.pass().await?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.pass().await?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.pass().await?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (this, deleted) = (self.clone(), self.inner.delete_stream(locations));
        let passed = async move { this.pass().await.map_or_else(refused, |()| deleted) };
        futures_util::stream::once(passed).flatten().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, listed) = (self.clone(), self.inner.list(prefix));
        let passed = async move { this.pass().await.map_or_else(refused, |()| listed) };
        futures_util::stream::once(passed).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.pass().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.pass().await?;
        self.inner.copy_opts(from, to, options).await
    }
}

fn refused<T: Send + 'static>(error: object_store::Error) -> BoxStream<'static, Result<T>> {
    futures_util::stream::iter([Err(error)]).boxed()
}
