//! What a run is told: rules, events, changes, settings.

use super::change::Change;
use super::event::Event;
use super::rule::Rule;

/// 2026-01-01T00:00:00Z in ms: the zero of every case's time line.
pub const BASE_MS: i64 = 1_767_225_600_000;

/// What a run is told besides rules and events.
#[derive(Clone, Debug)]
pub struct Settings {
    pub max_out_of_orderness_ms: i64,
    pub history_ms: i64,
    /// The contract's default is 1,000.
    pub max_open_items: usize,
    /// After the last event the watermark advances to this instant; later events are left out.
    pub until_ms: Option<i64>,
}

/// Everything that decides which alerts there are. Events are in the order of arrival, all in one partition.
#[derive(Clone, Debug)]
pub struct Case {
    pub rules: Vec<Rule>,
    pub events: Vec<Event>,
    /// By their place.
    pub changes: Vec<Change>,
    /// What decides when the engine looks at whom after a change, which must not matter to any customer; `None`: at once.
    pub interleaving: Option<u64>,
    pub settings: Settings,
}
