//! The other side when rules change: the core as a task drives it, with sweeps, drains, write backs and restarts in between
//! wherever a random number says so.

use super::model::coverage::Seen;
use super::model::rng::Rng;
use super::model::{Case, event, render};
use std::sync::Arc;
use tocsin::codec::alert::AlertWriter;
use tocsin::codec::decode::Decoder;
use tocsin::codec::rows::Position;
use tocsin::codec::schemas::Schemas;
use tocsin::rules::{Limits, Source};
use tocsin::store::MemoryStore;
use tocsin::task::cache::Cache;
use tocsin_core::alert::Judged;
use tocsin_core::engine::{Change, Engine, Settings};
use tocsin_core::partition::{Drained, InForce, Origin, Partition, States, Swept, TimeSettings};
use tocsin_core::time::Millis;

/// The alert records in the order of judging, and what was reached.
pub fn run_engine(case: &Case) -> (Vec<serde_json::Value>, Seen) {
    let schemas = super::engine::shipped();
    let sets = case.changes.iter().map(|change| &change.rules);
    let sets =
        [&case.rules].into_iter().chain(sets).map(|rules| engine(&render::rules(rules), &schemas, case)).collect();
    let mut rng = Rng::new(case.interleaving.unwrap_or(0));
    let mut run = Run {
        eager: case.interleaving.is_none(),
        // Looking keeps a customer in memory, so not every run looks.
        looks: rng.chance(50),
        writes_before_changes: rng.chance(50),
        capacity: rng.pick(&[0, 1, 1_000]),
        sweeps_in_100: rng.pick(&[0, 4, 30]),
        rng,
        partition: Partition::default(),
        cache: Cache::new(MemoryStore::default(), 0, None),
        sets,
        now: 0,
        before: None,
        judged: Judged::default(),
        decoder: Decoder::new(schemas.clone()),
        writer: AlertWriter::new(schemas),
        records: vec![],
        seen: Seen::default(),
    };
    run.restart();
    for place in 0..=case.events.len() {
        for _ in case.changes.iter().filter(|change| change.place == place) {
            run.change();
        }
        if let Some(event) = case.events.get(place)
            && case.settings.until_ms.is_none_or(|until| event.at <= until)
        {
            run.take(event, case.settings.max_out_of_orderness_ms);
        }
    }
    run.finish(case.settings.until_ms);
    (run.records, run.seen)
}

fn engine(yaml: &str, schemas: &Schemas, case: &Case) -> Engine {
    let history = case.settings.history_ms;
    let source = Source { name: "rules.yaml".into(), text: yaml.into() };
    let rules = tocsin::rules::load(&[source], schemas.catalog(), &Limits { history, ..Limits::default() });
    let rules = rules.unwrap_or_else(|error| panic!("{error}"));
    let settings = Settings { history, max_open_items: case.settings.max_open_items };
    Engine::new(Arc::new(rules.set), schemas.catalog(), settings)
}

struct Run {
    eager: bool,
    looks: bool,
    writes_before_changes: bool,
    capacity: usize,
    sweeps_in_100: i64,
    rng: Rng,
    partition: Partition,
    cache: Cache<MemoryStore>,
    sets: Vec<Engine>,
    now: usize,
    before: Option<(usize, Change)>,
    judged: Judged,
    decoder: Decoder,
    writer: AlertWriter,
    records: Vec<serde_json::Value>,
    seen: Seen,
}

impl Run {
    fn change(&mut self) {
        self.sweep_all();
        if self.writes_before_changes {
            self.write();
        }
        let old = self.now;
        self.now += 1;
        let change = Change::between(&self.sets[old], &self.sets[self.now]);
        self.seen.note_if(change.is_silent(), "change: silent");
        self.partition.adopt(self.now as i64, &change);
        self.before = Some((old, change));
        if self.eager {
            self.sweep_all();
        }
        self.interleave();
    }

    fn take(&mut self, event: &event::Event, max_out_of_orderness: Millis) {
        let line = event.json();
        let waits = self.waits(&event.customer);
        let settings = TimeSettings { max_out_of_orderness, ..TimeSettings::default() };
        let decoded = self.decoder.decode(line.as_bytes()).unwrap();
        let rules = in_force(&self.sets, self.now, self.before.as_ref());
        let (cache, out) = (&mut self.cache, &mut self.judged);
        self.partition.take(rules, &settings, cache, &decoded, Origin::default(), out).unwrap();
        let came_first = waits && !self.waits(&event.customer);
        self.seen.note_if(came_first, "sweep: an event came first");
        self.write_records();
        self.drain();
        self.interleave();
    }

    fn drain(&mut self) {
        loop {
            let budget = if self.eager { 1_000 } else { self.rng.range(1, 3) as usize };
            let waiting = ["c-1", "c-2", "c-10"].map(|id| self.waits(id));
            let rules = in_force(&self.sets, self.now, self.before.as_ref());
            let drained = self.partition.drain(rules, &mut self.cache, budget, &mut self.judged).unwrap();
            let waits = ["c-1", "c-2", "c-10"].map(|id| self.waits(id));
            self.seen.note_if(waits != waiting, "sweep: a timer came first");
            self.write_records();
            if drained == Drained::Done {
                return;
            }
            self.interleave();
        }
    }

    fn finish(&mut self, until: Option<Millis>) {
        if self.eager || self.rng.chance(30) {
            self.sweep_all();
        }
        if let Some(until) = until {
            self.partition.advance(until);
        }
        self.drain();
        self.sweep_all();
        for id in ["c-1", "c-2", "c-10", "c"] {
            let customer = self.cache.customer(id).unwrap();
            let due = customer.due();
            assert!(due.is_none_or(|due| Some(due) > self.partition.watermark), "{id} is due and was not judged");
            assert!(due.is_none_or(|due| customer.armed.get().is_some_and(|armed| armed <= due)), "{id} has no timer");
            assert!(customer.armed.get().is_none_or(|armed| Some(armed) > self.partition.watermark), "a timer is lost");
        }
    }

    /// A bit of the sweep, a write back, a restart, or nothing.
    fn interleave(&mut self) {
        if self.eager {
            return;
        }
        if self.rng.chance(self.sweeps_in_100) {
            self.sweep_one();
        } else if self.rng.chance(self.sweeps_in_100 / 6) {
            self.sweep_through();
        }
        match self.rng.range(1, 100) {
            1..=12 => self.write(),
            13..=20 => {
                self.seen.note_if(self.partition.sweep.is_some(), "sweep: restarted under way");
                self.write();
                self.restart();
            }
            _ => {}
        }
    }

    fn sweep_all(&mut self) {
        while self.sweep_one() == Swept::More {}
    }

    fn sweep_one(&mut self) -> Swept {
        let rules = in_force(&self.sets, self.now, self.before.as_ref());
        let under_way = self.partition.sweep.is_some();
        let swept = self.partition.sweep(rules, &mut self.cache, 1, &mut self.judged).unwrap();
        self.seen.note_if(under_way && swept == Swept::More, "sweep: a customer");
        let instants = self.judged.transitions.iter().map(|transition| transition.occurred_at);
        self.seen.note_if(instants.clone().min() != instants.max(), "sweep: more had become due since");
        assert_eq!(swept == Swept::Done, self.partition.sweep.is_none());
        self.write_records();
        swept
    }

    /// As far as some customer, whether there is such a one or not.
    fn sweep_through(&mut self) {
        let last = self.rng.pick(&["c-1", "c-2", "c-9", "c-10"]);
        let rules = in_force(&self.sets, self.now, self.before.as_ref());
        self.partition.sweep_through(rules, &mut self.cache, last, &mut self.judged).unwrap();
        self.write_records();
    }

    /// Whether a sweep is under way and this customer is still to be looked at.
    fn waits(&mut self, id: &str) -> bool {
        let Some(sweep) = self.partition.sweep.as_ref().filter(|_| self.looks) else { return false };
        let passed = sweep.judged.as_deref().is_some_and(|judged| (id.len(), id) <= (judged.len(), judged));
        let customer = self.cache.customer(id).unwrap();
        !passed && !customer.is_unknown() && customer.generation != self.partition.generation
    }

    fn write(&mut self) {
        self.cache.write_back(&Position::default()).unwrap();
    }

    fn restart(&mut self) {
        let last_taken = self.cache.last_taken().cloned();
        self.cache = Cache::new(self.cache.store().clone(), self.capacity, last_taken);
    }

    fn write_records(&mut self) {
        for transition in self.judged.transitions.drain(..) {
            let mut record = vec![];
            self.writer.json(&transition, 0, &mut record);
            self.records.push(serde_json::from_slice(&record).unwrap());
        }
    }
}

fn in_force<'a>(sets: &'a [Engine], now: usize, before: Option<&'a (usize, Change)>) -> InForce<'a> {
    InForce { engine: &sets[now], change: before.map(|(old, change)| (&sets[*old], change)) }
}
