//! Random rules over what the random events carry.

use super::calendar::{ZONES, Zone};
use super::event::{COMPLAINT, FEEDBACK, INTERACTION, PROFILE, PURCHASE};
use super::generate::{Grid, Palette};
use super::generate_conditions::{About, atom, attribute_atom, condition, ladder, when};
use super::generate_events::{Domain, fields};
use super::generate_measures::{filter, measure, quiet, rhythm};
use super::items::Making;
use super::measure::Measure;
use super::rng::Rng;
use super::rule::{Condition, DateRule, ItemRule, Kind, LADDER, Rule};

pub fn rule(rng: &mut Rng, grid: Grid, n: i64, palette: Palette) -> Rule {
    match rng.range(1, 100) {
        1..=60 if palette.dates => date(rng, grid, n, palette),
        1..=60 if palette.items => item(rng, grid, n, palette, true),
        61..=80 if palette.dates => item(rng, grid, n, palette, true),
        61..=85 if palette.items => item(rng, grid, n, palette, false),
        _ => plain(rng, grid, n, palette),
    }
}

fn lets(
    rng: &mut Rng,
    grid: Grid,
    palette: Palette,
    of_items: bool,
    weights: &[(i64, usize)],
) -> Vec<(String, Measure)> {
    let count = rng.weighted(weights);
    let mut lets: Vec<(String, Measure)> =
        (0..count).map(|n| (["a", "b", "c"][n].to_owned(), measure(rng, grid, palette, of_items))).collect();
    if palette.values && rng.chance(10) {
        // A rhythm, and what may be longer than it: this, or the age of the item.
        lets.push(("rhythm".to_owned(), rhythm(rng, grid, of_items)));
        if !of_items {
            lets.push(("quiet".to_owned(), quiet(rng)));
        }
    }
    lets
}

fn plain(rng: &mut Rng, grid: Grid, n: i64, palette: Palette) -> Rule {
    let lets = lets(rng, grid, palette, false, &[(45, 1), (40, 2), (15, 3)]);
    let about = About { lets: &lets, trigger: None };
    // With nothing to slow it down a rule fires and resolves with every event.
    let (scoped, held, kept) = if rng.chance(35) { (10, 0, 0) } else { (22, 45, 60) };
    Rule {
        id: format!("rule-{n}"),
        kind: Kind::Condition,
        scope: rng.maybe(scoped, attribute_atom),
        require: rng.maybe(scoped, |rng| atom(rng, grid, about)),
        condition: if rng.chance(55) { ladder(rng, grid, about) } else { when(rng, grid, about) },
        hold_ms: pause(rng, grid, held),
        resolve_when: rng.maybe(held, |rng| condition(rng, grid, about, 1)),
        keep_firing_ms: pause(rng, grid, kept),
        cooldown_ms: pause(rng, grid, kept),
        note: 0,
        lets,
    }
}

fn item(rng: &mut Rng, grid: Grid, n: i64, palette: Palette, until: bool) -> Rule {
    let making = making(rng, until);
    let lets = lets(rng, grid, palette, true, &[(25, 0), (45, 1), (30, 2)]);
    let about = About { lets: &lets, trigger: Some(making.trigger) };
    let (scoped, held, kept) = if rng.chance(45) { (5, 0, 0) } else { (15, 35, 45) };
    let held = if until { held } else { 0 };
    Rule {
        id: format!("rule-{n}"),
        scope: rng.maybe(scoped, attribute_atom),
        require: rng.maybe(scoped, |rng| atom(rng, grid, about)),
        condition: match rng.range(1, 100) {
            1..=20 => always(rng),
            21..=60 => ladder(rng, grid, about),
            _ => when(rng, grid, about),
        },
        hold_ms: pause(rng, grid, held),
        resolve_when: rng.maybe(held, |rng| condition(rng, grid, about, 1)),
        keep_firing_ms: pause(rng, grid, held),
        cooldown_ms: pause(rng, grid, kept),
        note: 0,
        kind: Kind::Item(ItemRule {
            making,
            after_ms: pause(rng, grid, if until { 25 } else { 50 }),
            expire_ms: if until { rng.maybe(70, |rng| grid.length(rng, 2, 14)) } else { None },
        }),
        lets,
    }
}

pub fn always(rng: &mut Rng) -> Condition {
    Condition::Always(rng.maybe(50, |rng| rng.pick(&LADDER)))
}

/// What opens items and what closes them. Keys are texts that the closing types have too.
pub fn making(rng: &mut Rng, until: bool) -> Making {
    let trigger = rng.weighted(&[(45, PURCHASE), (20, COMPLAINT), (15, INTERACTION), (12, PROFILE), (8, FEEDBACK)]);
    let is_text = |(_, domain): &&(&'static str, Domain)| matches!(domain, Domain::Text(_));
    let keys: Vec<&'static str> = fields(trigger).iter().filter(is_text).map(|(name, _)| *name).collect();
    let by = if keys.is_empty() { None } else { rng.maybe(60, |rng| rng.pick(&keys)) };
    let has_key = |kind: &&'static str| by.is_none_or(|by| fields(kind).iter().any(|(name, _)| *name == by));
    let kinds: Vec<&'static str> =
        [PURCHASE, COMPLAINT, INTERACTION, PROFILE, FEEDBACK].into_iter().filter(has_key).collect();
    let one = |rng: &mut Rng| {
        let kind = if rng.chance(35) { trigger } else { rng.pick(&kinds) };
        (kind, rng.maybe(75, |rng| filter(rng, &[kind], 1)))
    };
    let count = if until { rng.weighted(&[(75, 1), (25, 2)]) } else { 0 };
    let mut until: Vec<(&'static str, _)> = (0..count).map(|_| one(rng)).collect();
    until.dedup_by_key(|(kind, _)| *kind);
    Making { trigger, filter: rng.maybe(50, |rng| filter(rng, &[trigger], 1)), by, until }
}

impl Making {
    /// Whether every type has the field of the key.
    pub fn has_its_key(&self) -> bool {
        let has = |kind: &str, by: &str| fields(kind).iter().any(|(name, _)| *name == by);
        self.by.is_none_or(|by| self.until.iter().all(|(kind, _)| has(kind, by)) && has(self.trigger, by))
    }
}

fn date(rng: &mut Rng, grid: Grid, n: i64, palette: Palette) -> Rule {
    let lets = lets(rng, grid, palette, false, &[(55, 0), (35, 1), (10, 2)]);
    let about = About { lets: &lets, trigger: None };
    // Times that a clock change skips or has twice.
    let odd =
        [(150, Zone::Berlin), (150, Zone::NewYork), (90, Zone::NewYork), (0, Zone::Beirut), (1_410, Zone::Beirut)];
    let (at_minutes, zone) = if rng.chance(40) {
        let (at_minutes, zone) = rng.pick(&odd);
        (at_minutes, Some(zone))
    } else {
        (30 * rng.pick(&[0, 0, 0, 1, 3, 18, 24, 47]), rng.maybe(65, |rng| rng.pick(&ZONES[1..])))
    };
    Rule {
        id: format!("rule-{n}"),
        kind: Kind::Date(DateRule {
            attribute: rng.weighted(&[(75, "birthday"), (25, "renewal")]),
            lead_days: rng.weighted(&[(60, 0), (20, 1), (15, 3), (5, 10)]),
            at_minutes,
            zone,
        }),
        scope: rng.maybe(15, attribute_atom),
        require: rng.maybe(10, |rng| atom(rng, grid, about)),
        condition: match rng.range(1, 100) {
            1..=60 => always(rng),
            61..=75 => ladder(rng, grid, about),
            _ => when(rng, grid, about),
        },
        hold_ms: 0,
        resolve_when: None,
        keep_firing_ms: 0,
        cooldown_ms: if rng.chance(20) { 86_400_000 * rng.range(1, 4) } else { 0 },
        note: 0,
        lets,
    }
}

/// A `for`, `keep_firing_for`, `cooldown` or `after`.
pub fn pause(rng: &mut Rng, grid: Grid, percent: i64) -> i64 {
    let length = grid.length(rng, 1, 5);
    let pause = rng.weighted(&[(10, 1), (10, grid.step / 2), (80, length)]);
    if rng.chance(percent) { pause } else { 0 }
}
