//! A thread that makes the calls that may not return.
//!
//! librdkafka does not keep to the timeout of `send_offsets_to_transaction` (its issue 5456), and when the group's
//! coordinator has left the cluster's metadata for a moment, as a broker does that is started anew, the call waits for
//! something that need not happen (its issue 5511). Nobody can end such a call. So it is made on a thread of its own, and
//! where it does not return, that thread is left to itself.

use std::cell::Cell;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Does one task at a time, on its own thread.
pub(super) struct Clerk<T, R> {
    tasks: Option<SyncSender<T>>,
    outcomes: Receiver<R>,
    thread: Option<JoinHandle<()>>,
    /// Whether a task has not been done in its time.
    is_stuck: Cell<bool>,
}

impl<T: Send + 'static, R: Send + 'static> Clerk<T, R> {
    /// # Errors
    /// If there can be no further thread.
    pub fn new(name: &str, mut work: impl FnMut(T) -> R + Send + 'static) -> std::io::Result<Self> {
        let (tasks, tasks_to_do) = mpsc::sync_channel(1);
        let (outcomes_done, outcomes) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            for task in tasks_to_do {
                if outcomes_done.send(work(task)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { tasks: Some(tasks), outcomes, thread: Some(thread), is_stuck: Cell::new(false) })
    }

    /// Has a task done; `None` if that takes longer than `patience`. Then nothing more is done, ever.
    pub fn have_done(&self, task: T, patience: Duration) -> Option<R> {
        if self.is_stuck.get() || self.tasks.as_ref()?.send(task).is_err() {
            return None;
        }
        let outcome = self.outcomes.recv_timeout(patience).ok();
        self.is_stuck.set(outcome.is_none());
        outcome
    }
}

/// Waits for the thread, unless it is stuck. Then whatever it works on lives for as long as that takes.
impl<T, R> Drop for Clerk<T, R> {
    fn drop(&mut self) {
        drop(self.tasks.take());
        if let Some(thread) = self.thread.take().filter(|_| !self.is_stuck.get()) {
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_call_that_does_not_return_is_left_to_itself() {
        let (patience, end) = (Duration::from_secs(20), Arc::new(Barrier::new(2)));
        let held = end.clone();
        let clerk = Clerk::new("clerk", move |number: i32| {
            if number == 0 {
                held.wait();
            }
            number + 1
        });
        let clerk = clerk.unwrap();
        assert_eq!(clerk.have_done(1, patience), Some(2));
        assert_eq!(clerk.have_done(2, patience), Some(3));
        assert_eq!(clerk.have_done(0, Duration::from_millis(20)), None);
        let begun = Instant::now();
        assert_eq!(clerk.have_done(1, patience), None, "what comes back now would be of another task");
        drop(clerk);
        assert!(begun.elapsed() < patience / 2);
        assert_eq!(Arc::strong_count(&end), 2, "the task goes on");
        end.wait();
    }

    #[test]
    fn what_a_clerk_has_is_let_go_of_with_it() {
        let held = Arc::new(());
        let also = held.clone();
        let clerk = Clerk::new("clerk", move |()| Arc::strong_count(&also)).unwrap();
        assert_eq!(clerk.have_done((), Duration::from_secs(20)), Some(2));
        drop(clerk);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
