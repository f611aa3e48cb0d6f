//! The audit: what was published against what the log says must have been.
//!
//! ```text
//!  ends ──────> survey ─────────> plan ───────────> recount ──────────> compare ──> report
//!  up to where  journal: one      where to begin,   the journal again,  expected
//!               chain?            what is hidden    by the loop's code  against found
//!                                                                          ^
//!  alerts, dead letters ──> index: what was published, by what it says it is
//! ```
//!
//! The recomputation is the replay of a restore with an audience (`task::recount`). All else here only reads: it is a member
//! of no group and has no producer, so the application runs on beside it and does not notice.
//!
//! Must not know: librdkafka, RocksDB; it sees [`Logs`] and [`Bases`].

mod compare;
mod differences;
mod ends;
mod index;
mod logs;
mod partition;
mod plan;
mod report;
mod run;
mod seen;
mod survey;

use tocsin_core::time::Millis;

pub use ends::{Ends, Output};
pub use logs::{Bounds, Logs, Seen, Topic};
pub use plan::Base;
pub use report::{
    AlertName, Compared, Counts, Difference, Finding, OutputReport, PartitionReport, Problem, Report, Subject,
};
pub use run::{Progress, run};

use crate::store::{Store, StoreError};
use crate::task::world::{PartitionId, WorldError};

/// What is asked of an audit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// Transactions committed at or after it, by the clocks of the workers.
    pub from: Option<Millis>,
    /// And up to it.
    pub until: Option<Millis>,
    /// Findings that are told one by one, at most.
    pub show: usize,
    /// Whether other applications write the topics of alerts and dead letters as well, so that what this journal does not
    /// explain is theirs.
    pub shared_topics: bool,
    /// How long after its output was found a transaction may be committed, at most.
    pub longest_commit: Millis,
}

/// Stores for an audit: scraps, and copies of what a partition once was.
pub trait Bases {
    type Store: Store;

    /// A new, empty store, which is gone when it is dropped.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    fn scratch(&mut self) -> Result<Self::Store, StoreError>;

    /// What a recomputation of a partition may begin with, in the order of their positions.
    ///
    /// # Errors
    /// [`WorldError::Transient`].
    fn list(&mut self, partition: PartitionId) -> Result<Vec<Base>, WorldError>;

    /// A copy of one of them; gone when it is dropped.
    ///
    /// # Errors
    /// [`WorldError::Fatal`] if it is damaged; [`WorldError::Transient`].
    fn open(&mut self, partition: PartitionId, base: &Base) -> Result<Self::Store, WorldError>;
}

/// Why an audit came to no outcome.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    World(#[from] WorldError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("stopped before its end")]
    Stopped,
}
