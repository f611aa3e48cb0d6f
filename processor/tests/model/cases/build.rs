//! Words for cases on items, dates and all values.

use super::super::aggregate::{Aggregate, What};
use super::super::calendar::Zone;
use super::super::expr::{Expr, event, text, truth};
use super::super::items::Making;
use super::super::measure::Stands;
use super::super::median_gap::MedianGap;
use super::super::open::Open;
use super::super::rule::{DateRule, ItemRule, Kind};
use super::*;

pub fn aggregate(what: What, paths: &[(&'static str, &'static str)], over: i64) -> Measure {
    let (kinds, fields): (Vec<_>, Vec<_>) = paths.iter().copied().unzip();
    Measure::Aggregate(Aggregate { what, selection: selection(&kinds), fields, window: window(over) })
}

pub fn amounts(what: What, over: i64) -> Measure {
    aggregate(what, &[(PURCHASE, "amount")], over)
}

pub fn median_gap(kinds: &[&'static str], over: i64) -> Measure {
    Measure::MedianGap(MedianGap { selection: selection(kinds), window: window(over) })
}

pub fn making(trigger: &'static str, until: &[&'static str]) -> Making {
    Making { trigger, filter: None, by: None, until: until.iter().map(|kind| (*kind, None)).collect() }
}

pub fn open(making: Making, expire_ms: Option<i64>) -> Measure {
    Measure::Open(Open { making, expire_ms })
}

impl Measure {
    pub fn prior(mut self) -> Measure {
        self.window_mut().unwrap().stands = Stands::BeforeTheTrigger;
        self
    }
    /// `over: item`
    pub fn since_the_trigger(mut self) -> Measure {
        self.window_mut().unwrap().stands = Stands::SinceTheTrigger;
        self
    }
}

/// A rule for items, always true and without `until`.
pub fn once(id: &str, trigger: &'static str) -> Rule {
    items(id, making(trigger, &[]))
}

pub fn items(id: &str, making: Making) -> Rule {
    let kind = Kind::Item(ItemRule { making, after_ms: 0, expire_ms: None });
    Rule { kind, condition: Condition::Always(None), ..rule(id, &[], truth(true)) }
}

/// Complaints that are opened, by ticket, until an interaction, or an answer to the ticket.
pub fn tickets() -> Rule {
    items("r", making(COMPLAINT, &[]))
        .only(event("status").equals(text("opened")))
        .by("ticket_id")
        .until_one(COMPLAINT, Some(event("status").equals(text("answered"))))
}

pub fn opened(at: i64, ticket: &str) -> Event {
    complaint(at).text("status", "opened").text("ticket_id", ticket)
}

pub fn answered(at: i64, ticket: &str) -> Event {
    complaint(at).text("status", "answered").text("ticket_id", ticket)
}

/// So many purchases, one a ms from `at` on, that values are moved on from event to event.
pub fn many(at: i64) -> Vec<Event> {
    (at..at + 40).map(purchase).collect()
}

/// Someone else, who moves the watermark and nothing more.
pub fn mover(at: i64) -> Event {
    super::event("score", at).of("mover")
}

pub fn date(id: &str, attribute: &'static str) -> Rule {
    let kind = Kind::Date(DateRule { attribute, lead_days: 0, at_minutes: 0, zone: None });
    Rule { kind, condition: Condition::Always(None), ..rule(id, &[], truth(true)) }
}

impl Rule {
    fn item_rule(&mut self) -> &mut ItemRule {
        if let Kind::Item(items) = &mut self.kind { items } else { panic!("no rule for items") }
    }
    fn date_rule(&mut self) -> &mut DateRule {
        if let Kind::Date(date) = &mut self.kind { date } else { panic!("no rule for dates") }
    }
    /// `where`
    pub fn only(mut self, filter: Expr) -> Rule {
        self.item_rule().making.filter = Some(filter);
        self
    }
    pub fn by(mut self, field: &'static str) -> Rule {
        self.item_rule().making.by = Some(field);
        self
    }
    pub fn until_one(mut self, kind: &'static str, filter: Option<Expr>) -> Rule {
        self.item_rule().making.until.push((kind, filter));
        self
    }
    pub fn after(mut self, ms: i64) -> Rule {
        self.item_rule().after_ms = ms;
        self
    }
    pub fn expire(mut self, ms: i64) -> Rule {
        self.item_rule().expire_ms = Some(ms);
        self
    }
    pub fn lead(mut self, days: i64) -> Rule {
        self.date_rule().lead_days = days;
        self
    }
    pub fn at(mut self, hour: i64, minute: i64) -> Rule {
        self.date_rule().at_minutes = hour * 60 + minute;
        self
    }
    pub fn zone(mut self, zone: Zone) -> Rule {
        self.date_rule().zone = Some(zone);
        self
    }
    pub fn with(mut self, name: &str, measure: Measure) -> Rule {
        self.lets.push((name.to_owned(), measure));
        self
    }
    pub fn when(mut self, expr: Expr) -> Rule {
        self.condition = Condition::When(expr, None);
        self
    }
    pub fn levels_of(mut self, levels: &[(Severity, Expr)]) -> Rule {
        self.condition = Condition::Levels(levels.to_vec());
        self
    }
    pub fn noted(mut self, note: u32) -> Rule {
        self.note = note;
        self
    }
}
