//! Uploads and downloads aside from the workers: threads of their own, and a queue that never grows.
//!
//! No call of [`Background`] but [`Background::finish`] waits for the object store. One that is down, or hangs, delays
//! checkpoints: they are tried again, ever more slowly, and a newer one takes the place of an older one that still waits.
//! So each partition has at most two on the disk, one that waits and one under way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use tocsin_core::time::Millis;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, Semaphore, oneshot, watch};

use super::CheckpointError;
use super::archive::Repository;
use super::fetch::{Fetched, Search, Wanted, fetch};
use super::garbage::sweep;
use super::hash::KnownHashes;
use super::prefetch::{Prefetch, Renewed};
use super::queue::{Queue, Taken};
use super::upload::{Uploaded, upload};
use crate::telemetry::{
    CheckpointFailed, CheckpointFailure, CheckpointFetched, CheckpointPrefetched, CheckpointRefused,
    CheckpointSuperseded, CheckpointUploaded, Metrics,
};

/// Partitions whose checkpoints are fetched at a time; the others wait their turn. A member that takes over a hundred of them
/// would else open hundreds of connections, and an object store that is slow to accept them only gets slower.
const FETCHES_AT_ONCE: usize = 4;
/// Partitions of which the age of the newest checkpoint is asked at a time; nobody waits for that.
const LOOKS_AT_ONCE: usize = 2;
/// Tries of a fetch before whoever asked is told that the object store cannot be reached.
const FETCH_TRIES: u32 = 3;

/// How the uploader behaves.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Verified checkpoints of a partition that are kept.
    pub keep: usize,
    /// Pause after a first failure; it doubles with each further one, up to the longest.
    pub first_pause: Duration,
    pub longest_pause: Duration,
}

impl Settings {
    #[must_use]
    pub fn keeping(keep: usize) -> Self {
        Self { keep, first_pause: Duration::from_secs(5), longest_pause: Duration::from_mins(5) }
    }
}

/// The threads that talk to the object store.
#[derive(Debug)]
pub struct Background {
    inner: Arc<Inner>,
    /// Gone once it is finished.
    runtime: Mutex<Option<Runtime>>,
    ended: Mutex<mpsc::Receiver<()>>,
}

#[derive(Debug)]
struct Inner {
    repository: Repository,
    settings: Settings,
    metrics: Arc<Metrics>,
    queue: Mutex<Queue>,
    /// Directory of the upload that is under way.
    busy: Mutex<Option<PathBuf>>,
    known: Mutex<BTreeMap<i32, Arc<Mutex<KnownHashes>>>>,
    fetches: Semaphore,
    looks: Semaphore,
    woken: Notify,
    stop: watch::Sender<bool>,
}

impl Background {
    /// Starts the threads.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn start(repository: Repository, settings: Settings, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(16)
            .thread_name("checkpoints")
            .enable_all()
            .build()?;
        let inner = Arc::new(Inner {
            repository,
            settings,
            metrics,
            queue: Mutex::default(),
            busy: Mutex::default(),
            known: Mutex::default(),
            fetches: Semaphore::new(FETCHES_AT_ONCE),
            looks: Semaphore::new(LOOKS_AT_ONCE),
            woken: Notify::new(),
            stop: watch::Sender::new(false),
        });
        let (end, ended) = mpsc::channel();
        let uploads = inner.clone();
        runtime.spawn(async move {
            uploads.run().await;
            drop(end);
        });
        Ok(Self { inner, runtime: Mutex::new(Some(runtime)), ended: Mutex::new(ended) })
    }

    /// Has a checkpoint uploaded; its directory is the uploader's from now on.
    pub fn submit(&self, taken: Taken) {
        let facts = taken.facts.clone();
        let replaced = lock(&self.inner.queue).put(taken);
        if let Some(replaced) = replaced {
            let Taken { facts: of, directory } = replaced;
            CheckpointSuperseded {
                topic: &of.topic,
                partition: of.partition,
                sequence: of.journal_sequence,
                by: facts.journal_sequence,
            }
            .emit(&self.inner.metrics);
            self.remove(directory);
        }
        self.inner.woken.notify_one();
    }

    /// Whether a directory belongs to a checkpoint that waits or is under way.
    #[must_use]
    pub fn holds(&self, directory: &Path) -> bool {
        let queue = lock(&self.inner.queue);
        queue.directories().any(|held| held == directory) || lock(&self.inner.busy).as_deref() == Some(directory)
    }

    /// Removes a directory, some time.
    pub fn remove(&self, directory: PathBuf) {
        if let Some(runtime) = &*lock(&self.runtime) {
            runtime.spawn_blocking(move || drop(std::fs::remove_dir_all(directory)));
        }
    }

    /// Begins to look for a checkpoint of a partition. Dropping the handle gives it up.
    #[must_use]
    pub fn fetch(&self, partition: i32, search: Search) -> FetchHandle {
        let (send, receive) = oneshot::channel();
        let inner = self.inner.clone();
        let task = lock(&self.runtime).as_ref().map(|runtime| {
            let searched = async move { drop(send.send(inner.fetch(partition, &search).await)) };
            runtime.spawn(searched).abort_handle()
        });
        FetchHandle { receive, task }
    }

    /// Keeps the newest checkpoints of partitions that this process does not have on its disk, from now on: looks for newer
    /// ones every so often.
    pub fn prefetch(&self, prefetch: Prefetch, every: Duration) {
        let inner = self.inner.clone();
        if let Some(runtime) = &*lock(&self.runtime) {
            runtime.spawn(async move {
                while !*inner.stop.borrow() {
                    inner.prefetch(&prefetch).await;
                    inner.sleep(every).await;
                }
            });
        }
    }

    /// Finds out how old the partition's newest checkpoint is, for the metric that says so.
    pub fn look(&self, topic: &str, partition: i32) {
        self.inner.metrics.expect_checkpoint(topic, partition, now());
        let (inner, topic) = (self.inner.clone(), topic.to_owned());
        if let Some(runtime) = &*lock(&self.runtime) {
            runtime.spawn(async move {
                let _turn = inner.looks.acquire().await;
                // If it cannot be had, the age counts from now, and uploads will tell what is wrong.
                if let Ok(listing) = inner.repository.partition(partition).listing().await
                    && let Some(newest) = listing.newest()
                {
                    inner.metrics.set_checkpoint_time(&topic, partition, newest.created_at);
                }
            });
        }
    }

    /// Uploads what waits, each tried once more, and ends; at the deadline in any case. Says whether all was uploaded.
    pub fn finish(&self, deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        self.inner.stop.send_replace(true);
        let ended = lock(&self.ended);
        // The sender is dropped at the end; nothing is ever sent.
        let done = ended.recv_timeout(until.saturating_duration_since(Instant::now()));
        let in_time = done == Err(mpsc::RecvTimeoutError::Disconnected);
        if let Some(runtime) = lock(&self.runtime).take() {
            // A thread that hangs in the file system below must not hold up the end of the process.
            runtime.shutdown_background();
        }
        in_time
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = lock(&self.runtime).take() {
            runtime.shutdown_background();
        }
    }
}

impl Inner {
    async fn run(self: Arc<Self>) {
        let mut pause = self.settings.first_pause;
        while let Some(taken) = self.next().await {
            let is_last_try = *self.stop.borrow();
            let error = self.clone().upload(taken.clone()).await.err();
            *lock(&self.busy) = None;
            let Some(error) = error else {
                discard(taken).await;
                pause = self.settings.first_pause;
                continue;
            };
            self.failed(&taken, CheckpointFailure::Upload, &error);
            let is_hopeless = is_last_try || matches!(error, CheckpointError::Local { .. });
            let dropped = if is_hopeless { Some(taken) } else { lock(&self.queue).put_back(taken) };
            if let Some(dropped) = dropped {
                discard(dropped).await;
            }
            self.sleep(pause).await;
            pause = (pause * 2).min(self.settings.longest_pause);
        }
    }

    /// The next checkpoint to upload, when there is one. `None`: there will be no more.
    async fn next(&self) -> Option<Taken> {
        let mut stop = self.stop.subscribe();
        loop {
            let next = {
                let mut queue = lock(&self.queue);
                let next = queue.next();
                // Held by one or the other at every moment.
                *lock(&self.busy) = next.as_ref().map(|taken| taken.directory.clone());
                next
            };
            if next.is_some() || *stop.borrow_and_update() {
                return next;
            }
            tokio::select! {
                () = self.woken.notified() => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// Until the pause is over, or there is no time for pauses.
    async fn sleep(&self, pause: Duration) {
        let mut stop = self.stop.subscribe();
        drop(tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await);
    }

    /// In a task of its own: what panics in it is an error here.
    async fn upload(self: Arc<Self>, taken: Taken) -> Result<(), CheckpointError> {
        let directory = taken.directory.clone();
        let done = tokio::spawn(async move {
            let facts = taken.facts;
            let partition = facts.partition;
            let archive = self.repository.partition(partition);
            let known = lock(&self.known).entry(partition).or_default().clone();
            let started = Instant::now();
            let uploaded = upload(&archive, &taken.directory, facts.clone(), &known, now()).await?;
            let Uploaded { manifest, new_blobs, .. } = uploaded;
            CheckpointUploaded {
                topic: &manifest.facts.topic,
                partition,
                sequence: manifest.facts.journal_sequence,
                created_at: manifest.created_at,
                bytes: manifest.size,
                new_bytes: manifest.new_bytes,
                new_blobs,
                took: started.elapsed(),
            }
            .emit(&self.metrics);
            if let Err(error) = sweep(&archive, self.settings.keep, now()).await {
                self.failed_with(&facts.topic, partition, CheckpointFailure::Sweep, &error);
            }
            Ok(())
        });
        done.await.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(CheckpointError::Local { action: "upload", path: directory, source })
        })
    }

    async fn fetch(&self, partition: i32, search: &Search) -> Result<Fetched, CheckpointError> {
        let archive = self.repository.partition(partition);
        let (mut pause, started) = (self.settings.first_pause, Instant::now());
        let topic = match &search.wanted {
            Wanted::NewerThan { topic: Some(topic), .. } => topic.as_str(),
            Wanted::NewerThan { topic: None, .. } | Wanted::Exactly(_) => "",
        };
        for remaining in (0..FETCH_TRIES).rev() {
            let turn = self.fetches.acquire().await;
            let fetched = fetch(&archive, search).await;
            drop(turn);
            match fetched {
                Ok(fetched) => {
                    self.tell(partition, &fetched, started.elapsed());
                    return Ok(fetched);
                }
                Err(error) => {
                    self.failed_with(topic, partition, CheckpointFailure::Fetch, &error);
                    if remaining == 0 {
                        return Err(error);
                    }
                }
            }
            self.sleep(pause).await;
            pause *= 2;
        }
        Ok(Fetched::default())
    }

    async fn prefetch(&self, prefetch: &Prefetch) {
        let topic = prefetch.topic.as_str();
        let each = |Renewed { partition, fetched, took }| match fetched {
            Ok(fetched) => {
                self.tell_refused(partition, &fetched);
                if let Some(found) = fetched.found {
                    let (sequence, bytes) = (found.name.sequence, found.manifest.size);
                    CheckpointPrefetched { topic, partition, sequence, bytes, downloaded: found.downloaded, took }
                        .emit(&self.metrics);
                }
            }
            Err(error) => self.failed_with(topic, partition, CheckpointFailure::Prefetch, &error),
        };
        if let Err(error) = prefetch.round(&self.repository, each).await {
            self.failed_with(topic, -1, CheckpointFailure::Prefetch, &error);
        }
    }

    fn tell(&self, partition: i32, fetched: &Fetched, took: Duration) {
        self.tell_refused(partition, fetched);
        if let Some(found) = &fetched.found {
            let facts = &found.manifest.facts;
            CheckpointFetched {
                topic: &facts.topic,
                partition,
                sequence: facts.journal_sequence,
                bytes: found.manifest.size,
                downloaded: found.downloaded,
                took,
            }
            .emit(&self.metrics);
        }
    }

    fn tell_refused(&self, partition: i32, fetched: &Fetched) {
        for refused in &fetched.refused {
            let (sequence, reason) = (refused.name.sequence, refused.reason.as_str());
            CheckpointRefused { partition, sequence, reason }.emit(&self.metrics);
        }
    }

    fn failed(&self, taken: &Taken, stage: CheckpointFailure, error: &CheckpointError) {
        self.failed_with(&taken.facts.topic, taken.facts.partition, stage, error);
    }

    fn failed_with(&self, topic: &str, partition: i32, stage: CheckpointFailure, error: &CheckpointError) {
        CheckpointFailed { topic, partition, stage, error: &error.to_string() }.emit(&self.metrics);
    }
}

/// A search that is under way.
#[derive(Debug)]
pub struct FetchHandle {
    receive: oneshot::Receiver<Result<Fetched, CheckpointError>>,
    task: Option<tokio::task::AbortHandle>,
}

impl FetchHandle {
    /// Does not wait. To be asked no more once it is done.
    pub fn poll(&mut self) -> Poll<Result<Fetched, CheckpointError>> {
        match self.receive.try_recv() {
            Ok(done) => Poll::Ready(done),
            Err(oneshot::error::TryRecvError::Empty) => Poll::Pending,
            // It panicked, or the process is ending.
            Err(oneshot::error::TryRecvError::Closed) => Poll::Ready(Err(CheckpointError::Local {
                action: "fetch into",
                path: PathBuf::from("the state directory"),
                source: std::io::Error::other("the search has ended early"),
            })),
        }
    }
}

impl Drop for FetchHandle {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn discard(taken: Taken) {
    drop(tokio::task::spawn_blocking(move || std::fs::remove_dir_all(taken.directory)).await);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as Millis
}
