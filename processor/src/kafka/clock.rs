//! How far our clock is off the broker's, from the times at which the broker appended what we wrote.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tocsin_core::time::Millis;

/// Beyond this, our clock is no guide to what may still come.
const TOLERATED: Millis = 60_000;

/// The wall clock.
pub(super) fn now() -> Millis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since_epoch.as_millis()).unwrap_or(Millis::MAX)
}

/// A clock that only runs on, since this was first asked for.
pub(super) fn steady() -> Millis {
    static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
    Millis::try_from(BEGINNING.elapsed().as_millis()).unwrap_or(Millis::MAX)
}

/// Our clock minus the broker's, and when that was found.
#[derive(Clone, Copy, Debug)]
pub struct Skew {
    pub ms: Millis,
    pub found: Moment,
}

impl Skew {
    /// What it must be by now: if our clock was set since, it has not moved on as much as the steady one.
    #[must_use]
    pub fn at(&self, now: &Moment) -> Millis {
        let passed = Millis::try_from(now.steady.saturating_duration_since(self.found.steady).as_millis());
        self.ms.saturating_add(now.wall - self.found.wall).saturating_sub(passed.unwrap_or(Millis::MAX))
    }
}

/// A moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub steady: Instant,
    /// The wall clock goes on while a machine is suspended.
    pub wall: Millis,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { steady: Instant::now(), wall: now() }
    }
}

/// Our clock minus the broker's, as little as the evidence allows: the record was appended at some moment between
/// those, by our clock, at which it was sent and reported.
pub(super) fn skew(sent: Millis, appended: Millis, reported: Millis) -> Millis {
    let (least, most) = (sent.saturating_sub(appended), reported.saturating_sub(appended));
    if least > 0 {
        least
    } else if most < 0 {
        most
    } else {
        0
    }
}

/// Why our clock is not to be trusted, if it is not.
#[must_use]
pub fn objection(skew: Millis) -> Option<String> {
    (skew.saturating_abs() > TOLERATED).then(|| {
        let direction = if skew > 0 { "ahead of" } else { "behind" };
        format!("our clock is {} s {direction} the broker's: set the clocks", skew.saturating_abs() / 1_000)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_skew_is_no_larger_than_the_evidence() {
        assert_eq!(skew(1_000, 1_005, 1_010), 0);
        assert_eq!(skew(1_000, 900, 1_010), 100);
        assert_eq!(skew(1_000, 1_500, 1_010), -490);
    }

    #[test]
    fn a_clock_that_was_set_since_is_known_to_be_off() {
        let found = Moment { steady: Instant::now(), wall: 1_000_000 };
        let later = |passed: u64, set: Millis| Moment {
            steady: found.steady + Duration::from_millis(passed),
            wall: found.wall + passed as Millis + set,
        };
        let skew = Skew { ms: -200, found };
        assert_eq!(skew.at(&found), -200);
        assert_eq!(skew.at(&later(90_000, 0)), -200);
        assert_eq!(skew.at(&later(90_000, 7_200_000)), 7_199_800);
        assert_eq!(skew.at(&later(90_000, -7_200_000)), -7_200_200);
    }

    #[test]
    fn a_minute_is_tolerated() {
        assert_eq!(objection(60_000), None);
        assert!(objection(60_001).is_some_and(|why| why.contains("ahead of")));
        assert!(objection(-61_000).is_some_and(|why| why.contains("behind")));
    }
}
