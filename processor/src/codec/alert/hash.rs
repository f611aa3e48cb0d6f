//! A hash of transitions: what the journal keeps of them, so that a replay can tell whether it found the same.

use tocsin_core::alert::{Severity, Transition};

// FNV-1a, 64 bits. Source: Fowler, Noll, Vo, RFC 9923.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// Hashes transitions one after the other; the order counts.
///
/// Stable over releases and machines. It covers all that a transition says but its details, whose texts and values a
/// replay need not compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransitionHasher {
    state: u64,
    count: u64,
}

impl Default for TransitionHasher {
    fn default() -> Self {
        Self { state: BASIS, count: 0 }
    }
}

impl TransitionHasher {
    /// Adds a transition.
    pub fn add(&mut self, transition: &Transition) {
        self.count += 1;
        let rule = &transition.rule;
        self.text(&rule.id);
        self.text(&rule.version);
        self.text(&transition.customer_id);
        self.number(i64::from(transition.item.is_some()));
        self.text(transition.item.as_deref().unwrap_or_default());
        self.text(transition.kind.name());
        self.text(transition.reason.name());
        self.text(transition.severity.name());
        self.text(transition.previous_severity.map_or("", Severity::name));
        self.number(transition.occurred_at);
        self.number(transition.episode.fired_at);
        self.number(i64::from(transition.episode.refire));
        self.number(i64::from(transition.episode.sequence));
    }

    /// How many transitions were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The hash of all that were added.
    #[must_use]
    pub fn finish(&self) -> u64 {
        self.state
    }

    fn text(&mut self, text: &str) {
        // The length keeps one text from running into the next.
        self.number(text.len() as i64);
        self.bytes(text.as_bytes());
    }

    fn number(&mut self, number: i64) {
        self.bytes(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.state = bytes.iter().fold(self.state, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
    }
}

/// The hash of these transitions.
#[must_use]
pub fn hash_transitions(transitions: &[Transition]) -> u64 {
    let mut hasher = TransitionHasher::default();
    for transition in transitions {
        hasher.add(transition);
    }
    hasher.finish()
}
