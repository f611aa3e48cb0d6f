//! Random changes of the rule set: rules go, come, come back and become others, at random places between the events.

use super::Case;
use super::change::Change;
use super::generate::Grid;
use super::generate_rules::{atom, attribute_atom, condition, filter, ladder, measure, pause, rule, when};
use super::rng::Rng;
use super::rule::Rule;

/// One to three, at times several at one place.
pub fn changes(rng: &mut Rng, grid: Grid, case: &Case) -> Vec<Change> {
    let count = rng.weighted(&[(45, 1), (30, 2), (25, 3)]);
    let mut places: Vec<usize> = (0..count).map(|_| rng.range(0, case.events.len() as i64) as usize).collect();
    places.sort_unstable();
    if count > 1 && rng.chance(30) {
        places[1] = places[0];
    }
    let mut author = Author { rules: case.rules.clone(), gone: vec![], made: case.rules.len() as i64 };
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
}

impl Author {
    fn edit(&mut self, rng: &mut Rng, grid: Grid) {
        let place = rng.range(0, self.rules.len() as i64 - 1) as usize;
        match rng.range(1, 100) {
            1..=18 if self.rules.len() > 1 => self.gone.push(self.rules.remove(place)),
            19..=48 if !self.gone.is_empty() => self.bring_back(rng, grid),
            19..=32 => {
                self.made += 1;
                self.rules.insert(place, rule(rng, grid, self.made));
            }
            33..=42 => {
                let number = self.rules[place].id.trim_start_matches("rule-").parse().expect("`rule` named it");
                self.rules[place] = rule(rng, grid, number);
            }
            43..=76 => alter(rng, grid, &mut self.rules[place]),
            77..=94 => retouch(rng, grid, &mut self.rules[place]),
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
    let lets = rule.lets.clone();
    match rng.range(1, 100) {
        1..=6 => rule.hold_ms = pause(rng, grid, 60),
        7..=14 => rule.hold_ms /= 4,
        15..=21 => rule.keep_firing_ms = pause(rng, grid, 60),
        22..=30 => rule.cooldown_ms = pause(rng, grid, 60),
        31..=38 => rule.resolve_when = rng.maybe(60, |rng| condition(rng, grid, &lets, 1)),
        39..=46 => rule.scope = rng.maybe(70, attribute_atom),
        47..=54 => rule.require = rng.maybe(70, |rng| atom(rng, grid, &lets)),
        55..=74 => rule.condition = if rng.chance(60) { ladder(rng, grid, &lets) } else { when(rng, grid, &lets) },
        75..=88 => {
            let value = rng.range(0, lets.len() as i64 - 1) as usize;
            if let Some(window) = rule.lets[value].1.window_mut() {
                window.over = grid.length(rng, 1, 12);
            }
        }
        _ => {
            let value = rng.range(0, lets.len() as i64 - 1) as usize;
            let selection = rule.lets[value].1.selection_mut();
            selection.filter = rng.maybe(60, |rng| filter(rng, &selection.kinds, 1));
        }
    }
}

/// Changes what does not decide: the label, or a value that is merely shown.
fn retouch(rng: &mut Rng, grid: Grid, rule: &mut Rule) {
    let idle = |rule: &Rule, name: &str| !rule.expressions().iter().any(|expr| expr.mentions(name));
    match rng.range(1, 100) {
        1..=30 if !rule.lets.iter().any(|(name, _)| name == "shown") => {
            let place = rng.range(0, rule.lets.len() as i64) as usize;
            rule.lets.insert(place, ("shown".to_owned(), measure(rng, grid)));
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
