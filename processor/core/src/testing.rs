//! What tests need: rules over two types of event, and a partition's states in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use compact_str::CompactString;

use crate::alert::{Judged, Severity, Transition};
use crate::customer::Customer;
use crate::engine::{Engine, Settings};
use crate::event::{Catalog, Event, Record, RecordWriter, TypeId, stable_hash};
use crate::expr::{Compare, Expr, Running};
use crate::partition::{Drained, InForce, Origin, Partition, States, Swept, TimeSettings};
use crate::rule::{
    Aggregate, Let, LetSource, Presentation, Rule, RuleKey, RuleSet, Selected, Selector, Silence, Span, Subject, Window,
};
use crate::time::{Duration, Millis};
use crate::value::OwnedValue;

pub const HISTORY: Duration = 1_000;

/// What a test rule is about; the numbers are the least at which it fires.
#[derive(Clone, Copy, Debug)]
pub enum Asks {
    Purchases {
        over: Duration,
        least: f64,
    },
    Silence {
        of: &'static str,
        least: f64,
    },
    /// As [`Asks::Purchases`], with a silence that is merely shown.
    Shows {
        silence_of: &'static str,
        over: Duration,
        least: f64,
    },
}

fn selector(name: &str) -> Selector {
    Selector { types: vec![Selected { type_id: Catalog::type_id(name), field: None, filter: None }] }
}

fn place_of<T: PartialEq>(shared: &mut Vec<T>, item: T) -> usize {
    shared.iter().position(|other| *other == item).unwrap_or_else(|| {
        shared.push(item);
        shared.len() - 1
    })
}

fn window(set: &mut RuleSet, over: Duration) -> LetSource {
    let window =
        Window { aggregate: Aggregate::Count, selector: selector("purchase"), span: Span::Sliding { over, offset: 0 } };
    LetSource::Window(place_of(&mut set.windows, window))
}

fn silence(set: &mut RuleSet, of: &str) -> LetSource {
    let silence = Silence { selector: selector(of), since_first_seen: false, key: stable_hash(of) };
    LetSource::Silence(place_of(&mut set.silences, silence))
}

/// An engine over rules `(id, version, what it asks)`.
pub fn engine(rules: &[(&str, &str, Asks)]) -> Engine {
    let mut set = RuleSet::default();
    for (id, version, asks) in rules {
        let number = |least| Expr::Constant(OwnedValue::Number(least));
        let at_least = |least| Expr::Compare(Compare::GreaterOrEqual, Box::new([Expr::Let(0), number(least)]));
        let (sources, condition) = match *asks {
            Asks::Purchases { over, least } => (vec![window(&mut set, over)], at_least(least)),
            Asks::Shows { silence_of, over, least } => {
                (vec![window(&mut set, over), silence(&mut set, silence_of)], at_least(least))
            }
            Asks::Silence { of, least } => {
                let bound = Box::new(Expr::Constant(OwnedValue::Duration(least)));
                let runs = Expr::Running(Running::Silence(0), Compare::GreaterOrEqual, bound);
                (vec![silence(&mut set, of)], runs)
            }
        };
        let lets = sources.into_iter().zip(["a", "b"]).map(|(value, name)| Let { name: name.into(), value });
        set.rules.push(Arc::new(Rule {
            id: (*id).into(),
            key: RuleKey::of(id),
            version: (*version).into(),
            description: None,
            subject: Subject::Customer,
            scope: None,
            lets: lets.collect(),
            require: None,
            levels: vec![(Severity::Medium, condition)],
            hold: 0,
            resolve_when: None,
            keep_firing_for: 0,
            cooldown: 0,
            presentation: Presentation::default(),
        }));
    }
    let mut catalog = Catalog::default();
    for name in ["purchase", "complaint"] {
        catalog.add(name, vec![], false).unwrap();
    }
    Engine::new(Arc::new(set), &catalog, Settings { history: HISTORY, ..Settings::default() })
}

/// Customers and timers in memory, and what was asked of them.
#[derive(Debug, Default)]
pub struct Memory {
    pub customers: BTreeMap<(usize, String), Customer>,
    pub timers: BTreeSet<(Millis, CompactString)>,
    /// Timers at or before it are never found again.
    pub scanned: Option<Millis>,
    pub passed_over: Vec<Box<str>>,
}

impl States for Memory {
    type Error = Infallible;

    fn customer(&mut self, customer_id: &str) -> Result<&mut Customer, Infallible> {
        Ok(self.customers.entry((customer_id.len(), customer_id.to_owned())).or_default())
    }

    fn arm(&mut self, at: Millis, customer_id: &str) {
        assert!(self.scanned.is_none_or(|scanned| at > scanned), "a timer is set where nobody looks any more");
        self.timers.insert((at, customer_id.into()));
    }

    fn take_due(&mut self, through: Millis) -> Result<Option<(Millis, CompactString)>, Infallible> {
        if self.timers.first().is_none_or(|(at, _)| *at > through) {
            self.scanned = self.scanned.max(Some(through));
            return Ok(None);
        }
        Ok(self.timers.pop_first())
    }

    fn next_customer(&mut self, after: Option<&str>) -> Result<Option<Box<str>>, Infallible> {
        let is_after = |id: &str| after.is_none_or(|after| (id.len(), id) > (after.len(), after));
        let next = self.customers.keys().find(|(_, id)| is_after(id));
        Ok(next.map(|(_, id)| id.as_str().into()))
    }

    fn pass_over(&mut self, customer_id: &str) {
        self.passed_over.push(customer_id.into());
    }
}

/// A partition that is driven by hand.
#[derive(Debug, Default)]
pub struct Stage {
    pub partition: Partition,
    pub states: Memory,
    taken: usize,
}

impl Stage {
    /// An event of the customer; what it and the watermark bring about.
    pub fn event(&mut self, rules: InForce<'_>, name: &str, at: Millis, customer_id: &str) -> Vec<String> {
        let settings = TimeSettings { max_out_of_orderness: 0, ..TimeSettings::default() };
        let mut writer = RecordWriter::default();
        self.taken += 1;
        let record = written(&mut writer, Catalog::type_id(name), &format!("e{}", self.taken));
        let (event, mut out) = (Event { customer_id, occurred_at: at, record }, Judged::default());
        self.partition.take(rules, &settings, &mut self.states, &event, Origin::default(), &mut out).unwrap();
        while self.partition.drain(rules, &mut self.states, 1, &mut out).unwrap() == Drained::More {}
        told(&out.transitions)
    }

    pub fn sweep(&mut self, rules: InForce<'_>, budget: usize) -> (Swept, Vec<String>) {
        let mut out = Judged::default();
        let swept = self.partition.sweep(rules, &mut self.states, budget, &mut out).unwrap();
        (swept, told(&out.transitions))
    }

    pub fn customer(&mut self, id: &str) -> &mut Customer {
        self.states.customer(id).unwrap()
    }
}

pub fn written<'a>(writer: &'a mut RecordWriter, type_id: TypeId, id: &str) -> Record<'a> {
    writer.begin(type_id, id);
    writer.record().unwrap()
}

/// One short line for each: when, which rule, whose, what, why, values, evidence.
pub fn told(transitions: &[Transition]) -> Vec<String> {
    let line = |transition: &Transition| {
        let (at, rule, customer) = (transition.occurred_at, &transition.rule.id, &transition.customer_id);
        let (reason, episode) = (transition.reason.name(), transition.episode);
        let again = if episode.refire > 0 { format!(" again {}", episode.refire) } else { String::new() };
        format!("{at} {rule} {customer} {reason}{again}")
    };
    transitions.iter().map(line).collect()
}

/// A small pseudo-random number: a linear congruential generator with Knuth's constants for MMIX.
pub fn random(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}
