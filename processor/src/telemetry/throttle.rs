//! Keeps lines that every record could cause from flooding the log.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// At most one line of a kind in this time.
const EVERY: Duration = Duration::from_secs(10);

/// What happened, and why if that makes a line of its own.
pub type Kind = (&'static str, &'static str);

/// For each kind of line: the first is written, then one every ten seconds.
#[derive(Debug, Default)]
pub struct Throttle {
    kinds: Mutex<BTreeMap<Kind, (Instant, u64)>>,
}

impl Throttle {
    /// `Some` if a line may be written, with the number of those left out since the last one.
    ///
    /// Lines left out before a silence are told by the next line of their kind, whenever that comes.
    pub fn admit(&self, kind: Kind) -> Option<u64> {
        self.admit_at(kind, Instant::now())
    }

    fn admit_at(&self, kind: Kind, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((last, suppressed)) = kinds.get_mut(&kind) else {
            kinds.insert(kind, (now, 0));
            return Some(0);
        };
        if now.saturating_duration_since(*last) < EVERY {
            *suppressed += 1;
            return None;
        }
        *last = now;
        Some(std::mem::take(suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_written_and_then_one_in_ten_seconds() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let at = |kind, ms| throttle.admit_at((kind, ""), start + Duration::from_millis(ms));
        let expected = [(0, Some(0)), (1, None), (9_999, None), (10_000, Some(2)), (10_001, None), (99_000, Some(1))];
        for (ms, admitted) in expected {
            assert_eq!(at("late", ms), admitted, "at {ms} ms");
        }
        assert_eq!(at("other", 5), Some(0), "kinds do not hide each other");
    }
}
