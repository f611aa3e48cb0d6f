//! Hand-written cases, each named after the sentence of the contract that it pins.
//!
//! Times are ms after [`BASE_MS`], and small: windows of 10 ms show an edge as well as windows of a week. Each case is a test
//! of the model here, and of the engine in `property.rs`.

pub mod build;
pub mod changes;
pub mod clock;
pub mod dates;
pub mod dates_change;
pub mod firing;
pub mod gaps;
pub mod items;
pub mod items_change;
pub mod items_late;
pub mod items_records;
pub mod nulls;
pub mod once;
pub mod once_late;
pub mod opens;
pub mod order;
pub mod records;
pub mod rendered;
pub mod resolving;
pub mod silences;
pub mod values;
pub mod windows;

use super::change::Change;
use super::count::Count;
use super::event::{COMPLAINT, Event, Field, INTERACTION, PROFILE, PURCHASE};
use super::expr::Expr;
use super::measure::{Measure, Selection, Stands, Window};
use super::rule::{Condition, Kind, Rule, Severity};
use super::silence::Silence;
use super::sum::Sum;
use super::world::run;
use super::{BASE_MS, Case, Settings};
use std::fmt::Write as _;

/// Cases as functions, each with its test, and `all()` of them for the engine.
macro_rules! cases {
    ($($(#[doc = $doc:literal])* $name:ident: $expected:expr, $case:expr;)*) => {
        $(
            $(#[doc = $doc])*
            #[test]
            fn $name() {
                $crate::model::cases::check(&$case, &$expected);
            }
        )*
        pub fn all() -> Vec<(&'static str, $crate::model::Case)> {
            vec![$((stringify!($name), $case)),*]
        }
    };
}
pub(crate) use cases;

/// Every case, with its name.
pub fn all() -> Vec<(&'static str, Case)> {
    [
        windows::all(),
        silences::all(),
        nulls::all(),
        firing::all(),
        resolving::all(),
        clock::all(),
        order::all(),
        records::all(),
        changes::all(),
        values::all_values(),
        gaps::all_values(),
        opens::all_values(),
        items::all(),
        items_late::all(),
        once::all(),
        once_late::all(),
        items_change::all(),
        dates::all(),
        dates_change::all(),
    ]
    .concat()
}

/// Expected: one line per transition, `"<ms> <rule> fired|severity_changed|resolved <severity> <reason>"`, the reason of a
/// firing left out, the item named if there is one, and the customer if it is not `c`. Instead of ms: `2026-01-03 09:00`.
pub fn check(case: &Case, expected: &[&str]) {
    let dated = expected.iter().any(|line| line.contains(':'));
    let line = |record: &serde_json::Value| {
        let text = |field: &str| record[field].as_str().unwrap();
        let (customer, transition, reason) = (text("customer_id"), text("transition"), text("reason"));
        let time = if dated { shortened(text("occurred_at")) } else { ms(text("occurred_at")).to_string() };
        let mut line = format!("{time} {} {transition} {}", text("rule_id"), text("severity"));
        if transition == "resolved" {
            write!(line, " {reason}").unwrap();
        }
        if let Some(item) = record["item"].as_str() {
            write!(line, " for {item}").unwrap();
        }
        if customer != "c" {
            write!(line, " of {customer}").unwrap();
        }
        line
    };
    let found: Vec<String> = run(case).records.iter().map(line).collect();
    assert_eq!(found, expected);
}

/// Without seconds, if they are zero.
fn shortened(time: &str) -> String {
    time.replace('T', " ").trim_end_matches('Z').trim_end_matches(":00.000").to_owned()
}

/// Within the first month.
fn ms(time: &str) -> i64 {
    let part = |from: usize, to: usize| time[from..to].parse::<i64>().unwrap();
    assert!(time.starts_with("2026-01"), "{time}");
    let day = 86_400_000 * (part(8, 10) - 1);
    day + ((part(11, 13) * 60 + part(14, 16)) * 60 + part(17, 19)) * 1000 + part(20, 23)
}

pub const MINUTE: i64 = 60_000;

/// No lateness allowed, history of 400 days, no `until`.
pub fn case(rules: impl Into<Vec<Rule>>, events: impl Into<Vec<Event>>) -> Case {
    let settings =
        Settings { max_out_of_orderness_ms: 0, history_ms: 400 * 86_400_000, max_open_items: 1_000, until_ms: None };
    Case { rules: rules.into(), events: events.into(), changes: vec![], interleaving: None, settings }
}

impl Case {
    /// These are the rules from before the event at this place on.
    pub fn change(mut self, place: usize, rules: impl Into<Vec<Rule>>) -> Case {
        self.changes.push(Change { place, rules: rules.into() });
        self
    }
    pub fn until(mut self, at: i64) -> Case {
        self.settings.until_ms = Some(BASE_MS + at);
        self
    }
    pub fn lateness(mut self, ms: i64) -> Case {
        self.settings.max_out_of_orderness_ms = ms;
        self
    }
    pub fn max_open(mut self, items: usize) -> Case {
        self.settings.max_open_items = items;
        self
    }
    pub fn history(mut self, ms: i64) -> Case {
        self.settings.history_ms = ms;
        self
    }
}

fn event(kind: &'static str, at: i64) -> Event {
    // Ids differ by time; two at one instant in one case are told apart with `id`.
    let id = format!("{}{at}", &kind[..2]);
    Event { id, kind, customer: "c".to_owned(), at: BASE_MS + at, fields: vec![] }
}

pub fn purchase(at: i64) -> Event {
    event(PURCHASE, at)
}

pub fn paid(at: i64, amount: f64) -> Event {
    purchase(at).number("amount", amount)
}

pub fn complaint(at: i64) -> Event {
    event(COMPLAINT, at)
}

pub fn interaction(at: i64) -> Event {
    event(INTERACTION, at)
}

pub fn profile(at: i64, name: &'static str, text: &str) -> Event {
    event(PROFILE, at).text(name, text)
}

pub fn feedback(at: i64) -> Event {
    event(super::event::FEEDBACK, at)
}

impl Event {
    pub fn id(mut self, id: &str) -> Event {
        id.clone_into(&mut self.id);
        self
    }
    pub fn of(mut self, customer: &str) -> Event {
        customer.clone_into(&mut self.customer);
        self
    }
    pub fn text(self, name: &'static str, text: &str) -> Event {
        self.with(name, Field::Text(text.to_owned()))
    }
    pub fn number(self, name: &'static str, n: f64) -> Event {
        self.with(name, Field::Millionths((n * 1_000_000.0).round() as i64))
    }
    pub fn with(mut self, name: &'static str, value: Field) -> Event {
        self.fields.push((name, value));
        self
    }
}

fn selection(kinds: &[&'static str]) -> Selection {
    Selection { kinds: kinds.to_vec(), filter: None }
}

pub fn window(over: i64) -> Window {
    Window { over, offset: 0, stands: Stands::AtTheInstant }
}

pub fn count(kinds: &[&'static str], over: i64) -> Measure {
    Measure::Count(Count { selection: selection(kinds), window: window(over) })
}

/// `purchases(10)`: how many in the last 10 ms.
pub fn purchases(over: i64) -> Measure {
    count(&[PURCHASE], over)
}

pub fn spent(over: i64) -> Measure {
    sum(&[(PURCHASE, "amount")], over)
}

pub fn sum(paths: &[(&'static str, &'static str)], over: i64) -> Measure {
    let (kinds, fields): (Vec<_>, Vec<_>) = paths.iter().copied().unzip();
    Measure::Sum(Sum { selection: selection(&kinds), fields, window: window(over) })
}

pub fn silence(kinds: &[&'static str]) -> Measure {
    Measure::Silence(Silence { selection: selection(kinds), since_first_seen: false })
}

pub fn silence_since_first_seen(kinds: &[&'static str]) -> Measure {
    Measure::Silence(Silence { selection: selection(kinds), since_first_seen: true })
}

impl Measure {
    pub fn filter(mut self, filter: Expr) -> Measure {
        self.selection_mut().unwrap().filter = Some(filter);
        self
    }
    pub fn offset(mut self, offset: i64) -> Measure {
        self.window_mut().unwrap().offset = offset;
        self
    }
}

/// `when`, with the severity left out.
pub fn rule(id: &str, lets: &[(&str, Measure)], when: Expr) -> Rule {
    Rule {
        id: id.to_owned(),
        kind: Kind::Condition,
        scope: None,
        lets: lets.iter().map(|(name, measure)| ((*name).to_owned(), measure.clone())).collect(),
        require: None,
        condition: Condition::When(when, None),
        hold_ms: 0,
        resolve_when: None,
        keep_firing_ms: 0,
        cooldown_ms: 0,
        note: 0,
    }
}

pub fn ladder(id: &str, lets: &[(&str, Measure)], levels: &[(Severity, Expr)]) -> Rule {
    Rule { condition: Condition::Levels(levels.to_vec()), ..rule(id, lets, super::expr::truth(true)) }
}

/// Fires as long as there are so many purchases in the last so many ms.
pub fn at_least(id: &str, n: f64, over: i64) -> Rule {
    rule(id, &[("n", purchases(over))], super::expr::value("n").at_least(super::expr::number(n)))
}

impl Rule {
    pub fn scope(mut self, expr: Expr) -> Rule {
        self.scope = Some(expr);
        self
    }
    pub fn require(mut self, expr: Expr) -> Rule {
        self.require = Some(expr);
        self
    }
    pub fn resolve_when(mut self, expr: Expr) -> Rule {
        self.resolve_when = Some(expr);
        self
    }
    pub fn hold(mut self, ms: i64) -> Rule {
        self.hold_ms = ms;
        self
    }
    pub fn keep_firing(mut self, ms: i64) -> Rule {
        self.keep_firing_ms = ms;
        self
    }
    pub fn cooldown(mut self, ms: i64) -> Rule {
        self.cooldown_ms = ms;
        self
    }
}
