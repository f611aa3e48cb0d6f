//! The rule sets, as the naive model has them: they fire, change and resolve within seconds.

use crate::model::Settings;
use crate::model::count::Count;
use crate::model::event::{COMPLAINT, INTERACTION, PURCHASE};
use crate::model::expr::{Expr, age, customer, event, minutes, number, text, value};
use crate::model::items::Making;
use crate::model::measure::{Measure, Selection, Stands, Window};
use crate::model::render;
use crate::model::rule::{Condition, ItemRule, Kind, Rule, Severity};
use crate::model::silence::Silence;
use crate::model::sum::Sum;

pub const SECOND: i64 = 1_000;
/// What the program is told, too.
pub const SETTINGS: Settings =
    Settings { max_out_of_orderness_ms: SECOND, history_ms: 3_600 * SECOND, max_open_items: 1_000, until_ms: None };

/// The sets that follow on each other in the middle of everything. What stays, goes, comes and changes differs from one
/// to the next.
pub fn sets() -> Vec<Vec<Rule>> {
    let noted = |mut rule: Rule, note: u32| {
        rule.note = note;
        rule
    };
    vec![
        vec![burst(2.0), dwindling(), quiet(5), unanswered(2), follow_up(3)],
        vec![burst(3.0), quiet(4), unanswered(2), follow_up(3), spent(60.0)],
        vec![noted(burst(3.0), 1), dwindling(), quiet(4), noted(unanswered(2), 2), spent(60.0)],
        vec![spent(90.0), quiet(5), unanswered(1), follow_up(2)],
    ]
}

/// A set as a file of rules.
pub fn text_of(set: &[Rule]) -> String {
    render::rules(set)
}

fn blank(id: &str, condition: Condition) -> Rule {
    Rule {
        id: id.to_owned(),
        kind: Kind::Condition,
        scope: None,
        lets: vec![],
        require: None,
        condition,
        hold_ms: 0,
        resolve_when: None,
        keep_firing_ms: 0,
        cooldown_ms: 0,
        note: 0,
    }
}

fn seconds(n: i64) -> Expr {
    minutes(n as f64 / 60.0)
}

fn of(kinds: &[&'static str]) -> Selection {
    Selection { kinds: kinds.to_vec(), filter: None }
}

fn window(over: i64, offset: i64) -> Window {
    Window { over: over * SECOND, offset: offset * SECOND, stands: Stands::AtTheInstant }
}

fn count(kind: &'static str, over: i64) -> Measure {
    Measure::Count(Count { selection: of(&[kind]), window: window(over, 0) })
}

fn sum(over: i64, offset: i64) -> Measure {
    Measure::Sum(Sum { selection: of(&[PURCHASE]), fields: vec!["amount"], window: window(over, offset) })
}

fn burst(least: f64) -> Rule {
    let levels = vec![
        (Severity::Medium, value("n").at_least(number(least))),
        (Severity::High, value("n").at_least(number(2.0 * least))),
    ];
    Rule {
        scope: Some(customer("tier").differs(text("closed"))),
        lets: vec![("n".to_owned(), count(PURCHASE, 4))],
        cooldown_ms: SECOND,
        ..blank("burst", Condition::Levels(levels))
    }
}

fn dwindling() -> Rule {
    let levels = vec![
        (Severity::Low, value("recent").below(value("before"))),
        (Severity::High, value("recent").below(value("before").over(number(2.0)))),
    ];
    Rule {
        lets: vec![("recent".to_owned(), sum(5, 0)), ("before".to_owned(), sum(5, 5))],
        hold_ms: 700,
        keep_firing_ms: 900,
        ..blank("dwindling", Condition::Levels(levels))
    }
}

fn spent(much: f64) -> Rule {
    let condition = Condition::When(value("spent").above(number(much)), Some(Severity::Info));
    Rule {
        lets: vec![("spent".to_owned(), sum(6, 0))],
        resolve_when: Some(value("spent").below(number(much / 2.0))),
        ..blank("spent", condition)
    }
}

fn quiet(least: i64) -> Rule {
    let silence = Silence { selection: of(&[PURCHASE, INTERACTION]), since_first_seen: true };
    let levels = vec![
        (Severity::Low, value("quiet").at_least(seconds(least))),
        (Severity::Medium, value("quiet").at_least(seconds(2 * least))),
    ];
    Rule { lets: vec![("quiet".to_owned(), Measure::Silence(silence))], ..blank("quiet", Condition::Levels(levels)) }
}

fn unanswered(after: i64) -> Rule {
    let is = |status: &str| Some(event("status").equals(text(status)));
    let making = Making {
        trigger: COMPLAINT,
        filter: is("opened"),
        by: Some("ticket_id"),
        until: vec![(COMPLAINT, is("answered"))],
    };
    let levels =
        vec![(Severity::Medium, age().at_least(seconds(after))), (Severity::High, age().at_least(seconds(3 * after)))];
    Rule {
        kind: Kind::Item(ItemRule { making, after_ms: 500, expire_ms: Some(15 * SECOND) }),
        ..blank("unanswered", Condition::Levels(levels))
    }
}

fn follow_up(after: i64) -> Rule {
    let making = Making { trigger: PURCHASE, filter: None, by: None, until: vec![] };
    let contacts = Measure::Count(Count {
        selection: of(&[INTERACTION]),
        window: Window { over: 1, offset: 0, stands: Stands::SinceTheTrigger },
    });
    Rule {
        kind: Kind::Item(ItemRule { making, after_ms: after * SECOND, expire_ms: None }),
        lets: vec![("contacts".to_owned(), contacts)],
        cooldown_ms: 3 * SECOND,
        ..blank("follow-up", Condition::When(value("contacts").below(number(1.0)), None))
    }
}
