//! One budget of memory, and who gets what of it.
//!
//! | share | what for | how it is kept |
//! | --- | --- | --- |
//! | a third | decoded customers | each task's cache measures its customers and lets go of the oldest: [`crate::task::cache`] |
//! | a quarter | RocksDB: blocks, indexes, filters, write buffers | one block cache for all stores, which the write buffers are booked to |
//! | a thirty-second | what librdkafka has read ahead: it takes three times that, with what is on its way | `queued.max.messages.kbytes` and `fetch.max.bytes` of each worker |
//! | the rest | batches on their way, threads, code, what the allocator keeps | |

use crate::config::Config;

/// Bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// For decoded customers, of all partitions.
    pub cached: u64,
    /// For RocksDB, of all stores.
    pub rocks: u64,
    /// For what one worker's consumer has read ahead.
    pub read_ahead: u64,
}

/// What librdkafka takes by default, which is enough for anybody.
const READ_AHEAD_MAX: u64 = 64 << 20;

impl Shares {
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let budget = config.memory_budget;
        let workers = config.workers.max(1) as u64;
        Self { cached: budget / 3, rocks: budget / 4, read_ahead: (budget / 32 / workers).min(READ_AHEAD_MAX) }
    }
}
