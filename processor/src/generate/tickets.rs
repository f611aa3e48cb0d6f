//! What becomes of a complaint?

use fastrand::Rng;
use tocsin_core::time::{Duration, HOUR, MINUTE};

/// Where a ticket is: the status of a complaint event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Opened,
    Answered,
    Resolved,
    Reopened,
}

impl Step {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Answered => "answered",
            Self::Resolved => "resolved",
            Self::Reopened => "reopened",
        }
    }

    /// What follows, and after how long. One complaint in twelve is never answered; a few are opened again.
    pub(super) fn next(self, random: &mut Rng) -> Option<(Self, Duration)> {
        let (next, percent, from, to) = match self {
            Self::Opened => (Self::Answered, 92, 10 * MINUTE, 60 * HOUR),
            Self::Answered | Self::Reopened => (Self::Resolved, 90, HOUR, 72 * HOUR),
            Self::Resolved => (Self::Reopened, 5, 2 * HOUR, 96 * HOUR),
        };
        (random.u64(..100) < percent).then(|| (next, random.i64(from..to)))
    }
}

/// The number of events that a ticket has within a load of this length, on average, if it is opened at any time in it.
pub(super) fn mean_length(span: Duration) -> f64 {
    const TICKETS: u32 = 4_096;
    let mut random = Rng::with_seed(0);
    let mut events = 0_u32;
    for _ in 0..TICKETS {
        let (mut step, mut at) = (Step::Opened, random.i64(0..span.max(1)));
        events += 1;
        while let Some((next, after)) = step.next(&mut random) {
            (step, at) = (next, at + after);
            if at >= span {
                break;
            }
            events += 1;
        }
    }
    f64::from(events) / f64::from(TICKETS)
}
