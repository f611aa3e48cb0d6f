//! An object store that is down, hangs or garbles delays checkpoints, and harms nothing else.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tocsin::checkpoint::{Background, CheckpointError, Progress, Repository, Search, Settings, Taken, Wanted};
use tocsin::store::RocksStore;
use tocsin::telemetry::Metrics;

use super::faulty::{Fault, Faulty};
use super::stage::{APPLICATION, PARTITION, PREFIX, Stage, facts, fill, open};

/// No call may take longer, whatever the object store does.
const AT_ONCE: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(30);

struct Uploader {
    stage: Stage,
    faulty: Faulty,
    metrics: Arc<Metrics>,
    background: Background,
    store: RocksStore,
    taken: i64,
}

impl Uploader {
    fn new(patience: Duration) -> Self {
        let stage = Stage::in_a_directory();
        let faulty = Faulty::new(stage.objects.clone());
        let metrics = Metrics::new().unwrap();
        let objects = Arc::new(faulty.clone());
        let repository = Repository::new(objects, PREFIX.into(), APPLICATION).with_patience(patience);
        let (first_pause, longest_pause) = (Duration::from_millis(20), Duration::from_millis(50));
        let settings = Settings { first_pause, longest_pause, ..Settings::keeping(2) };
        let background = Background::start(repository, settings, metrics.clone()).unwrap();
        let mut store = open(&stage.path("store"));
        fill(&mut store, 0..100, 0);
        Self { stage, faulty, metrics, background, store, taken: 0 }
    }

    /// Takes a checkpoint and hands it over; returns its directory.
    fn take(&mut self) -> PathBuf {
        self.taken += 1;
        fill(&mut self.store, 0..100, self.taken);
        let directory = self.stage.path(&format!("taken-{}", self.taken));
        self.store.checkpoint(&directory).unwrap();
        let started = Instant::now();
        self.background.submit(Taken { facts: facts(self.taken), directory: directory.clone() });
        assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
        directory
    }

    fn metric(&self, line: &str) -> f64 {
        let text = self.metrics.render().unwrap();
        let found = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
        found.unwrap_or_else(|| panic!("no {line} in {text}"))
    }

    fn failures(&self) -> f64 {
        self.metric("tocsin_checkpoint_failures_total{stage=\"upload\"}")
    }

    fn wait(&self, what: &str, until: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !until(self) {
            assert!(started.elapsed() < DEADLINE, "still waiting for {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn uploaded(&self) -> f64 {
        self.metric("tocsin_checkpoint_upload_duration_seconds_count")
    }

    fn listed(&self) -> Vec<(i64, bool)> {
        tokio::runtime::Runtime::new().unwrap().block_on(self.stage.listed())
    }
}

#[test]
fn one_that_is_down_delays_checkpoints_until_it_is_back() {
    let mut uploader = Uploader::new(Duration::from_secs(5));
    uploader.faulty.set(Fault::Down);
    let directories: Vec<_> = (0..5).map(|_| uploader.take()).collect();
    uploader.wait("failures", |uploader| uploader.failures() >= 3.0);
    // The newest waits or is under way; at most one other is not removed yet.
    uploader
        .wait("the others to be removed", |_| directories.iter().filter(|directory| directory.exists()).count() <= 1);
    assert!(directories[4].exists());
    assert!(uploader.background.holds(&directories[4]));
    uploader.faulty.set(Fault::None);
    uploader.wait("an upload", |uploader| uploader.uploaded() >= 1.0);
    uploader.wait("its links to be removed", |_| !directories[4].exists());
    assert_eq!(uploader.listed(), [(5, true)]);
    assert!(uploader.metric("tocsin_checkpoints_superseded_total") >= 3.0);
    assert!(uploader.background.finish(DEADLINE));
}

#[test]
fn one_that_hangs_holds_up_nobody() {
    let mut uploader = Uploader::new(Duration::from_millis(50));
    uploader.faulty.set(Fault::Hangs);
    uploader.take();
    uploader.wait("a failure", |uploader| uploader.failures() >= 2.0);
    uploader.take();
    uploader.faulty.set(Fault::None);
    uploader.wait("an upload", |uploader| uploader.uploaded() >= 1.0);
    assert_eq!(uploader.listed().last(), Some(&(2, true)));
}

#[test]
fn the_end_waits_for_the_last_checkpoint_but_not_for_ever() {
    let mut uploader = Uploader::new(Duration::from_secs(5));
    let last = uploader.take();
    assert!(uploader.background.finish(DEADLINE));
    assert_eq!(uploader.listed(), [(1, true)]);
    assert!(!last.exists());

    let mut uploader = Uploader::new(Duration::from_mins(1));
    uploader.faulty.set(Fault::Hangs);
    uploader.take();
    let started = Instant::now();
    assert!(!uploader.background.finish(Duration::from_millis(300)));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // Afterwards nothing is taken on, and nothing breaks.
    uploader.take();
    let mut handle = uploader.background.fetch(PARTITION, search(&uploader.stage));
    assert!(matches!(handle.poll(), Poll::Ready(Err(_))));
}

#[test]
fn what_is_garbled_on_the_way_is_no_checkpoint() {
    let mut uploader = Uploader::new(Duration::from_secs(5));
    uploader.faulty.set(Fault::Garbles);
    uploader.take();
    uploader.wait("failures", |uploader| uploader.failures() >= 2.0);
    assert!(uploader.listed().iter().all(|(_, verified)| !verified), "{:?}", uploader.listed());
    uploader.faulty.set(Fault::None);
    uploader.wait("an upload", |uploader| uploader.uploaded() >= 1.0);
    assert_eq!(uploader.listed(), [(1, true)]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fetched = runtime.block_on(uploader.stage.fetch("fetched", 0)).unwrap();
    assert_eq!((fetched.refused.len(), fetched.found.unwrap().name.sequence), (0, 1));
}

#[test]
fn a_search_that_gets_no_answer_says_so() {
    let uploader = Uploader::new(Duration::from_millis(50));
    for fault in [Fault::Down, Fault::Hangs] {
        uploader.faulty.set(fault);
        let mut handle = uploader.background.fetch(PARTITION, search(&uploader.stage));
        let started = Instant::now();
        let done = loop {
            match handle.poll() {
                Poll::Pending => std::thread::sleep(Duration::from_millis(5)),
                Poll::Ready(done) => break done,
            }
            assert!(started.elapsed() < DEADLINE);
        };
        assert!(matches!(done, Err(CheckpointError::Unavailable { .. })), "{done:?}");
    }
    assert!(uploader.metric("tocsin_checkpoint_failures_total{stage=\"fetch\"}") >= 6.0);
}

/// Whoever takes over many partitions at once.
#[test]
fn many_searches_take_turns() {
    let uploader = Uploader::new(Duration::from_millis(100));
    uploader.faulty.set(Fault::Hangs);
    let mut handles: Vec<_> =
        (0..20).map(|partition| uploader.background.fetch(partition, search(&uploader.stage))).collect();
    let started = Instant::now();
    while !handles.is_empty() {
        handles.retain_mut(|handle| handle.poll().is_pending());
        assert!(started.elapsed() < DEADLINE, "{} are left", handles.len());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(uploader.faulty.most_hanging(), 4);
}

#[test]
fn a_checkpoint_whose_files_are_gone_is_given_up() {
    let mut uploader = Uploader::new(Duration::from_secs(5));
    uploader.faulty.set(Fault::HoldManifests);
    uploader.take();
    let waiting = uploader.take();
    std::fs::remove_dir_all(&waiting).unwrap();
    uploader.faulty.set(Fault::None);
    uploader.wait("the failure", |uploader| uploader.failures() >= 1.0);
    uploader.take();
    uploader.wait("an upload", |uploader| uploader.listed().last() == Some(&(3, true)));
}

fn search(stage: &Stage) -> Search {
    Search {
        wanted: Wanted::NewerThan { sequence: 0, topic: None },
        target: stage.path("searched"),
        at_hand: Vec::new(),
        progress: Progress::default(),
    }
}
