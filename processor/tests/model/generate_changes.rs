//! Random changes of the rule set: rules go, come, come back and become others, at random places between the events.

use super::Case;
use super::change::Change;
use super::generate::{Grid, Palette};
use super::generate_conditions::{About, atom, attribute_atom, condition, ladder, when};
use super::generate_measures::{filter, measure};
use super::generate_rules::{always, making, pause, rule};
use super::rng::Rng;
use super::rule::{DateRule, ItemRule, Kind, Rule};

/// One to three, at times several at one place.
pub fn changes(rng: &mut Rng, grid: Grid, case: &Case, palette: Palette) -> Vec<Change> {
    let count = rng.weighted(&[(45, 1), (30, 2), (25, 3)]);
    let mut places: Vec<usize> = (0..count).map(|_| rng.range(0, case.events.len() as i64) as usize).collect();
    places.sort_unstable();
    if count > 1 && rng.chance(30) {
        places[1] = places[0];
    }
    let mut author = Author { rules: case.rules.clone(), gone: vec![], made: case.rules.len() as i64, palette };
    let mut before = case.rules.clone();
    let mut changes = vec![];
    for place in places {
        let last = std::mem::replace(&mut before, author.rules.clone());
        if !changes.is_empty() && rng.chance(20) {
            // Taken back.
            author.rules = last;
        } else {
            for _ in 0..rng.weighted(&[(50, 1), (35, 2), (15, 3)]) {
                author.edit(rng, grid);
            }
        }
        changes.push(Change { place, rules: author.rules.clone() });
    }
    changes
}

/// Who writes the rules.
struct Author {
    rules: Vec<Rule>,
    gone: Vec<Rule>,
    made: i64,
    palette: Palette,
}

impl Author {
    fn edit(&mut self, rng: &mut Rng, grid: Grid) {
        let place = rng.range(0, self.rules.len() as i64 - 1) as usize;
        match rng.range(1, 100) {
            1..=18 if self.rules.len() > 1 => self.gone.push(self.rules.remove(place)),
            19..=48 if !self.gone.is_empty() => self.bring_back(rng, grid),
            19..=32 => {
                self.made += 1;
                self.rules.insert(place, rule(rng, grid, self.made, self.palette));
            }
            33..=42 => {
                let number = self.rules[place].id.trim_start_matches("rule-").parse().expect("`rule` named it");
                self.rules[place] = rule(rng, grid, number, self.palette);
            }
            43..=76 => alter(rng, grid, &mut self.rules[place]),
            77..=94 => retouch(rng, grid, &mut self.rules[place], self.palette),
            _ => self.rules.rotate_left(1),
        }
    }

    /// A rule that went comes back, as it was or as another.
    fn bring_back(&mut self, rng: &mut Rng, grid: Grid) {
        let mut back = self.gone.remove(rng.range(0, self.gone.len() as i64 - 1) as usize);
        if self.rules.iter().any(|rule| rule.id == back.id) {
            return;
        }
        if rng.chance(30) {
            alter(rng, grid, &mut back);
        }
        let place = rng.range(0, self.rules.len() as i64) as usize;
        self.rules.insert(place, back);
    }
}

/// Changes one thing that decides when the rule fires.
fn alter(rng: &mut Rng, grid: Grid, rule: &mut Rule) {
    match &mut rule.kind {
        Kind::Item(items) if rng.chance(30) => return alter_items(rng, grid, items),
        Kind::Date(date) if rng.chance(40) => return alter_date(rng, date),
        _ => {}
    }
    let lets = rule.lets.clone();
    let about = About { lets: &lets, trigger: rule.items().map(|items| items.making.trigger) };
    let resolves = !rule.is_judged_once() && !matches!(rule.kind, Kind::Date(_));
    match rng.range(1, 100) {
        1..=6 if resolves => rule.hold_ms = pause(rng, grid, 60),
        7..=14 => rule.hold_ms /= 4,
        15..=21 if resolves => rule.keep_firing_ms = pause(rng, grid, 60),
        22..=30 => rule.cooldown_ms = pause(rng, grid, 60),
        31..=38 if resolves => rule.resolve_when = rng.maybe(60, |rng| condition(rng, grid, about, 1)),
        39..=46 => rule.scope = rng.maybe(70, attribute_atom),
        47..=54 => rule.require = rng.maybe(70, |rng| atom(rng, grid, about)),
        75..=100 if !lets.is_empty() => alter_value(rng, grid, rule),
        _ if matches!(rule.kind, Kind::Date(_)) && rng.chance(50) => rule.condition = always(rng),
        _ => rule.condition = if rng.chance(60) { ladder(rng, grid, about) } else { when(rng, grid, about) },
    }
}

fn alter_value(rng: &mut Rng, grid: Grid, rule: &mut Rule) {
    let value = rng.range(0, rule.lets.len() as i64 - 1) as usize;
    let measure = &mut rule.lets[value].1;
    if rng.chance(50) {
        if let Some(window) = measure.window_mut() {
            window.over = grid.length(rng, 1, 12);
        }
    } else if let Some(selection) = measure.selection_mut() {
        selection.filter = rng.maybe(60, |rng| filter(rng, &selection.kinds, 1));
    }
}

fn alter_items(rng: &mut Rng, grid: Grid, items: &mut ItemRule) {
    match rng.range(1, 100) {
        1..=35 => items.after_ms = pause(rng, grid, 70),
        36..=70 if !items.making.until.is_empty() => items.expire_ms = Some(grid.length(rng, 1, 14)),
        71..=80 => {
            let trigger = items.making.trigger;
            items.making.filter = rng.maybe(50, |rng| filter(rng, &[trigger], 1));
        }
        81..=90 => items.making.until = making(rng, !items.making.until.is_empty()).until,
        _ => items.after_ms /= 3,
    }
    // Other types may not have the old key.
    if !items.making.has_its_key() {
        items.making.by = None;
    }
}

fn alter_date(rng: &mut Rng, date: &mut DateRule) {
    match rng.range(1, 100) {
        1..=40 => date.at_minutes = 30 * rng.range(0, 47),
        41..=80 => date.lead_days = rng.range(0, 3),
        _ => date.zone = None,
    }
}

/// Changes what does not decide: the label, or a value that is merely shown.
fn retouch(rng: &mut Rng, grid: Grid, rule: &mut Rule, palette: Palette) {
    let idle = |rule: &Rule, name: &str| !rule.expressions().iter().any(|expr| expr.mentions(name));
    match rng.range(1, 100) {
        1..=30 if !rule.lets.iter().any(|(name, _)| name == "shown") => {
            let place = rng.range(0, rule.lets.len() as i64) as usize;
            let shown = measure(rng, grid, palette, rule.items().is_some());
            rule.lets.insert(place, ("shown".to_owned(), shown));
        }
        31..=45 if rule.lets.len() > 1 => {
            let shown: Vec<(String, _)> = rule.lets.iter().filter(|(name, _)| !idle(rule, name)).cloned().collect();
            if !shown.is_empty() {
                rule.lets = shown;
            }
        }
        _ => rule.note += 1,
    }
}
