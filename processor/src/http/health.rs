//! Whether the workers live.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The state of all workers, told by themselves.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    stuck_after: Duration,
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    state: Mutex<State>,
    /// When it last said that it goes round, in milliseconds since `started`.
    beat_ms: AtomicU64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Not yet in the group.
    Joining,
    /// Has been given its partitions, be it none.
    Joined,
    /// Ended as it was told to.
    Stopped,
    Died(String),
}

impl Health {
    /// For this many workers. One that does not [`beat`](WorkerHealth::beat) for `stuck_after` counts as dead: the
    /// group would not notice, its heartbeats come from a thread of librdkafka's.
    #[must_use]
    pub fn new(workers: usize, stuck_after: Duration) -> Arc<Self> {
        let worker = || Worker { state: Mutex::new(State::Joining), beat_ms: AtomicU64::new(0) };
        let workers = std::iter::repeat_with(worker).take(workers).collect();
        Arc::new(Self { started: Instant::now(), stuck_after, workers })
    }

    /// The handle by which a worker tells; `None` if there are not that many.
    #[must_use]
    pub fn worker(self: &Arc<Self>, worker: usize) -> Option<WorkerHealth> {
        self.workers.get(worker)?;
        let handle = WorkerHealth { health: Arc::clone(self), worker };
        handle.beat();
        Some(handle)
    }

    /// Why workers are dead, one line each; empty if all live.
    #[must_use]
    pub fn dead(&self) -> Vec<String> {
        let now = self.now_ms();
        let dead = |(number, worker): (usize, &Worker)| match &*worker.lock() {
            State::Died(reason) => Some(format!("worker {number} died: {reason}")),
            State::Stopped => None,
            State::Joining | State::Joined => {
                let silent = now.saturating_sub(worker.beat_ms.load(Relaxed));
                let stuck = silent > self.stuck_after.as_millis() as u64;
                stuck.then(|| format!("worker {number} is stuck: no sign of life for {} s", silent / 1000))
            }
        };
        self.workers.iter().enumerate().filter_map(dead).collect()
    }

    /// Workers that have not been given partitions yet.
    #[must_use]
    pub fn joining(&self) -> Vec<usize> {
        let joining = self.workers.iter().enumerate().filter(|(_, worker)| *worker.lock() == State::Joining);
        joining.map(|(number, _)| number).collect()
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

impl Worker {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By which a worker tells how it is. Dropped without a word, by a panic or a return, the worker is dead.
#[derive(Debug)]
pub struct WorkerHealth {
    health: Arc<Health>,
    worker: usize,
}

impl WorkerHealth {
    /// It goes round; to be called in every round of the loop, also while restoring.
    #[inline]
    pub fn beat(&self) {
        self.me().beat_ms.store(self.health.now_ms(), Relaxed);
    }

    /// The group has given it its partitions, be it none.
    pub fn joined(&self) {
        self.set(State::Joined);
    }

    /// It left the group and its producer has ended; another attempt follows.
    pub fn joining(&self) {
        self.set(State::Joining);
    }

    /// It ended as it was told to.
    pub fn stopped(self) {
        self.set(State::Stopped);
    }

    /// It cannot go on.
    pub fn died(self, reason: &str) {
        self.set(State::Died(reason.to_owned()));
    }

    fn set(&self, state: State) {
        *self.me().lock() = state;
    }

    fn me(&self) -> &Worker {
        &self.health.workers[self.worker]
    }
}

impl Drop for WorkerHealth {
    fn drop(&mut self) {
        let mut state = self.me().lock();
        if matches!(*state, State::Joining | State::Joined) {
            *state = State::Died(if std::thread::panicking() { "it panicked" } else { "it ended" }.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_dead_when_it_says_so_panics_or_is_silent() {
        let health = Health::new(4, Duration::from_hours(1));
        assert!(health.worker(4).is_none());
        assert_eq!(health.joining(), [0, 1, 2, 3]);
        health.worker(0).unwrap().died("disk full");
        health.worker(1).unwrap().stopped();
        let worker = health.worker(2).unwrap();
        let panics = move || {
            worker.joined();
            panic!("on purpose");
        };
        assert!(std::thread::spawn(panics).join().is_err());
        let last = health.worker(3).unwrap();
        last.joined();
        assert_eq!(health.joining(), [0; 0]);
        assert_eq!(health.dead(), ["worker 0 died: disk full", "worker 2 died: it panicked"]);
        drop(last);
        assert_eq!(health.dead()[2], "worker 3 died: it ended");
    }

    #[test]
    fn a_silent_worker_is_stuck_until_it_beats() {
        let health = Health::new(1, Duration::from_millis(1));
        let worker = health.worker(0).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(health.dead(), ["worker 0 is stuck: no sign of life for 0 s"]);
        let patient = Health::new(1, Duration::from_hours(1));
        patient.worker(0).unwrap().stopped();
        assert_eq!(patient.dead(), [""; 0]);
        worker.stopped();
        assert_eq!(health.dead(), [""; 0]);
    }
}
