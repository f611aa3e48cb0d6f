//! Random cases: few customers, few rules, and times on a coarse grid with one ms to either side, so that ties and window
//! edges are the rule rather than the exception.

use super::event::Event;
use super::generate_changes::changes;
use super::generate_events::{add_dates, events, long_events};
use super::generate_rules::rule;
use super::measure::Measure;
use super::rng::Rng;
use super::rule::{Kind, Rule};
use super::{Case, Settings};

const DAY_MS: i64 = 86_400_000;
const LONG_ONE_IN: i64 = 200;

/// The step of the time grid, in ms.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    pub step: i64,
}

impl Grid {
    /// A length of so many steps, now and then a ms longer or shorter; never below 1 ms.
    pub fn length(self, rng: &mut Rng, low: i64, high: i64) -> i64 {
        let length = self.step * rng.range(low, high);
        (length + rng.weighted(&[(80, 0), (10, 1), (10, -1)])).max(1)
    }
}

/// What the rules of a case may be made of, beside conditions over `count`, `sum` and `silence`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Palette {
    /// All other values.
    pub values: bool,
    /// Rules with a `trigger`.
    pub items: bool,
    /// Rules with a `date`.
    pub dates: bool,
}

pub const PLAIN: Palette = Palette { values: false, items: false, dates: false };
pub const VALUES: Palette = Palette { values: true, items: false, dates: false };
pub const ITEMS: Palette = Palette { values: true, items: true, dates: false };
pub const DATES: Palette = Palette { values: true, items: true, dates: true };

/// The case of a seed, for the engine: steps of a minute or an hour.
pub fn case(seed: u64) -> Case {
    seeded(seed, PLAIN, case_on)
}

/// The case of a seed in which rules change.
pub fn changing_case(seed: u64) -> Case {
    seeded(seed, PLAIN, changing_case_on)
}

pub fn case_with_values(seed: u64) -> Case {
    seeded(seed, VALUES, case_on)
}

pub fn case_with_items(seed: u64) -> Case {
    seeded(seed, ITEMS, case_on)
}

pub fn case_with_dates(seed: u64) -> Case {
    seeded(seed, DATES, case_on)
}

/// Rules of all kinds become others.
pub fn changing_case_with_all(seed: u64) -> Case {
    let palette = if seed.is_multiple_of(4) { DATES } else { ITEMS };
    seeded(seed, palette, changing_case_on)
}

fn seeded(seed: u64, palette: Palette, make: fn(&mut Rng, Grid, Palette) -> Case) -> Case {
    let mut rng = Rng::new(seed);
    let grid = grid(&mut rng, palette);
    make(&mut rng, grid, palette)
}

fn grid(rng: &mut Rng, palette: Palette) -> Grid {
    let hour = 3_600_000;
    let minute = if palette.dates { 5 } else { 80 };
    let step = rng.weighted(&[(minute, 60_000), (20, hour), (if palette.dates { 60 } else { 0 }, 6 * hour)]);
    Grid { step }
}

pub fn changing_case_on(rng: &mut Rng, grid: Grid, palette: Palette) -> Case {
    let mut case = case_on(rng, grid, palette);
    case.changes = changes(rng, grid, &case, palette);
    // The others at once, so that even the order of customers can be compared.
    let interleaving = rng.range(0, i64::MAX - 1) as u64;
    case.interleaving = rng.maybe(75, |_| interleaving);
    let longest = case.changes.iter().filter_map(|change| longest_window(&change.rules)).max();
    case.settings.history_ms = case.settings.history_ms.max(longest.unwrap_or(0));
    if palette.items {
        // What a new rule makes of items from before the history is nobody's business.
        case.settings.history_ms = 400 * DAY_MS;
    }
    case
}

pub fn case_on(rng: &mut Rng, grid: Grid, palette: Palette) -> Case {
    let count = rng.weighted(&[(30, 1), (38, 2), (20, 3), (12, 4)]);
    let rules: Vec<Rule> = (1..=count).map(|n| rule(rng, grid, n, palette)).collect();
    let bound = rng.pick(&[0, 1, grid.step / 2, grid.step, grid.step * 2, grid.step * 6, grid.step * 25]);
    // Now and then as many events as fill whatever the engine keeps a customer's events in.
    let long = rng.range(1, LONG_ONE_IN) == 1 && !palette.dates;
    let mut events = if long { long_events(rng, grid) } else { events(rng, grid) };
    if palette.dates {
        add_dates(rng, grid, &mut events);
    }
    let settings = Settings {
        max_out_of_orderness_ms: bound,
        history_ms: history(rng, grid, &rules),
        max_open_items: if palette.items { rng.weighted(&[(60, 1_000), (15, 1), (15, 2), (10, 3)]) } else { 1_000 },
        until_ms: until(rng, grid, &events),
    };
    Case { rules, events, changes: vec![], interleaving: None, settings }
}

/// Mostly the default; else hardly longer than the longest window, which it must not be shorter than.
fn history(rng: &mut Rng, grid: Grid, rules: &[Rule]) -> i64 {
    let longest = longest_window(rules).unwrap_or(grid.step * rng.range(1, 5));
    let more = rng.pick(&[0, 0, 1, grid.step, grid.step * 4]);
    if rng.chance(45) { 400 * DAY_MS } else { longest + more }
}

/// Or the longest item.
fn longest_window(rules: &[Rule]) -> Option<i64> {
    let windows = rules.iter().flat_map(|rule| &rule.lets).filter_map(|(_, measure)| match measure.clone() {
        Measure::Silence(_) => None,
        Measure::Open(open) => open.expire_ms,
        mut windowed => windowed.window_mut().map(|window| window.over + window.offset),
    });
    let items = rules.iter().filter_map(|rule| match &rule.kind {
        Kind::Item(items) => Some(items.after_ms.max(items.expire_ms.unwrap_or(0))),
        _ => None,
    });
    windows.chain(items).max().filter(|longest| *longest > 0)
}

/// Mostly well after the last event, so that everything falls silent and resolves; at times before it.
fn until(rng: &mut Rng, grid: Grid, events: &[Event]) -> Option<i64> {
    let last = events.iter().map(|event| event.at).max()?;
    let far = grid.step * rng.range(1, 25) + rng.range(-1, 1);
    let early = grid.step * rng.range(1, 6);
    rng.weighted(&[(15, None), (5, Some(last)), (5, Some(last + 1)), (65, Some(last + far)), (10, Some(last - early))])
}
