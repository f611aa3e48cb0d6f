//! The rule sets, and who knows which generation when.

use std::sync::{Arc, OnceLock};

use tocsin::codec::alert::AlertWriter;
use tocsin::codec::journal::Context;
use tocsin::codec::schemas::Schemas;
use tocsin::config::AlertsFormat;
use tocsin::rules::{Limits, Source};
use tocsin::task::cache::CUSTOMER_BYTES;
use tocsin::task::rulebook::{Generation, Rulebook};
use tocsin::task::{CommitSettings, IdleSettings, Shared};
use tocsin::telemetry::Metrics;
use tocsin_core::engine::{Engine, Settings as EngineSettings};
use tocsin_core::partition::TimeSettings;
use tocsin_core::time::{HOUR, MINUTE};

use crate::sim::Sim;

pub const TOPICS: [&str; 3] = ["events", "answers", "more"];
pub const TIME: TimeSettings = TimeSettings { max_out_of_orderness: MINUTE, max_future_skew: 5 * MINUTE };

const BURST: &str = r#"
  - id: burst
    scope: customer.status != "closed"
    let: {complaints: {count: complaint, where: event.status == "opened", over: 2h}}
    levels: {medium: complaints >= 2, high: complaints >= 4}
    resolve_when: complaints < 1
    cooldown: 30m
"#;
const DROP: &str = r"
  - id: drop
    let:
      recent: {sum: purchase.amount, over: 2h}
      before: {sum: purchase.amount, over: 4h, offset: 2h}
    levels: {low: recent < before, high: recent < before / 2}
    for: 10m
    keep_firing_for: 20m
";
const QUIET: &str = r"
  - id: quiet
    let: {quiet: {silence: [purchase, interaction], since: first_seen}}
    levels: {low: quiet >= hours(1), medium: quiet >= hours(2), high: quiet >= hours(5)}
";
const GOLD: &str = r#"
  - id: gold
    scope: customer.tier == "gold"
    let: {n: {count: [purchase, feedback], over: 1h}, spent: {sum: purchase.amount, over: 1h}}
    require: spent >= 0
    when: n >= 2
"#;

const UNANSWERED: &str = r#"
  - id: unanswered
    trigger: complaint
    where: event.status == "opened"
    after: 20m
    until: [{interaction: has(event.id)}, {complaint: event.status == "resolved"}]
    expire: 3h
    let: {spent: {sum: purchase.amount, over: item}, open: {open: complaint, until: [{interaction: has(event.id)}], expire: 2h}}
    levels: {low: age >= minutes(20), high: age >= hours(1) || open >= 2}
    keep_firing_for: 5m
"#;
const FOLLOW_UP: &str = r"
  - id: follow-up
    trigger: purchase
    after: 45m
    let: {contacts: {count: interaction, over: item}, usual: {avg: purchase.amount, over: 3h, prior: true}}
    levels: {info: contacts < 1, medium: contacts < 1 && usual > 20}
    cooldown: 10m
";
const BIRTHDAY: &str = r#"
  - id: birthday
    date: customer.birthday
    at: "01:00"
    timezone: Europe/Berlin
    let: {n: {count: purchase, over: 2h}}
    when: n < 5
"#;

/// Every rule set, made ready. Among them some that differ from another in texts alone.
fn engines() -> &'static [Engine] {
    static ENGINES: OnceLock<Vec<Engine>> = OnceLock::new();
    ENGINES.get_or_init(|| {
        let sets = [
            vec![BURST.to_owned(), DROP.to_owned(), QUIET.to_owned(), GOLD.to_owned()],
            vec![BURST.to_owned(), QUIET.replace("hours(1)", "minutes(30)"), GOLD.to_owned()],
            vec![QUIET.replace("[purchase, interaction]", "[complaint, feedback]"), BURST.replace(">= 2,", ">= 1,")],
            vec![
                format!("{BURST}    annotations: {{summary: {{en: burst}}}}\n"),
                DROP.to_owned(),
                QUIET.to_owned(),
                GOLD.to_owned(),
            ],
            vec![GOLD.replace("n >= 2", "n >= 1"), DROP.replace("for: 10m", "for: 1h")],
            vec![UNANSWERED.to_owned(), BURST.to_owned(), FOLLOW_UP.to_owned(), BIRTHDAY.to_owned()],
            vec![FOLLOW_UP.replace("45m", "2h"), UNANSWERED.replace("after: 20m", "after: 40m"), QUIET.to_owned()],
            vec![UNANSWERED.replace("[{interaction", "[{feedback"), FOLLOW_UP.to_owned(), DROP.to_owned()],
        ];
        sets.iter().map(|rules| engine(&format!("rules:{}", rules.concat()))).collect()
    })
}

fn engine(text: &str) -> Engine {
    let source = Source { name: "rules.yaml".into(), text: text.into() };
    let limits = Limits { history: HISTORY, ..Limits::default() };
    let loaded =
        tocsin::rules::load(&[source], schemas().catalog(), &limits).unwrap_or_else(|problems| panic!("{problems}"));
    Engine::new(Arc::new(loaded.set), schemas().catalog(), SETTINGS)
}

const HISTORY: i64 = 12 * HOUR;
/// Few items, so that now and then one is refused.
const SETTINGS: EngineSettings = EngineSettings { history: HISTORY, max_open_items: 4 };

pub fn schemas() -> Arc<Schemas> {
    static SCHEMAS: OnceLock<Arc<Schemas>> = OnceLock::new();
    SCHEMAS.get_or_init(|| Arc::new(Schemas::shipped())).clone()
}

/// What a partition judges by before it has adopted any generation.
pub fn no_rules() -> Arc<Generation> {
    static NONE: OnceLock<Arc<Generation>> = OnceLock::new();
    let make = || {
        let engine = Engine::new(Arc::default(), schemas().catalog(), SETTINGS);
        Arc::new(Generation { number: 0, fingerprint: "none".into(), document: "".into(), engine })
    };
    NONE.get_or_init(make).clone()
}

/// A generation as it was published.
pub fn generation(sim: &Sim, number: i64) -> Generation {
    let set = sim.generations.borrow()[number as usize - 1];
    Generation {
        number,
        fingerprint: format!("{set:016x}").into(),
        document: "".into(),
        engine: engines()[set].clone(),
    }
}

/// Somebody publishes rules, and some processes read them.
pub fn turn(sim: &Sim) {
    if sim.plan.rules > 0 && sim.chance(sim.plan.rules) {
        let set = sim.range(0, engines().len() as i64 - 1) as usize;
        sim.generations.borrow_mut().push(set);
        sim.note(None, "RULES", set as i64);
    }
    for slot in 0..sim.slots.len() - 1 {
        if sim.chance(30) {
            read(sim, slot);
        }
    }
}

pub fn read_all(sim: &Sim) {
    for slot in 0..sim.slots.len() {
        while read(sim, slot) {}
    }
}

/// A process reads the next generation, if there is one.
fn read(sim: &Sim, slot: usize) -> bool {
    let shared = sim.slots[slot].shared.borrow();
    let Some(book) = shared.as_ref().map(|shared| &shared.rulebook) else { return false };
    let next = book.latest() + 1;
    let is_there = sim.generations.borrow().len() as i64 >= next;
    if is_there {
        book.add(generation(sim, next)).unwrap();
    }
    is_there
}

/// What the tasks of a process that starts now share.
pub fn shared(sim: &Sim, slot: usize) -> Arc<Shared> {
    static METRICS: OnceLock<Arc<Metrics>> = OnceLock::new();
    let metrics = METRICS.get_or_init(|| Metrics::new().unwrap()).clone();
    let settings = &sim.plan.loop_settings;
    let is_checker = slot == sim.checker();
    Arc::new(Shared {
        application: "sim".into(),
        instance: format!("m{slot}"),
        rulebook: Arc::new(Rulebook::default()),
        no_rules: no_rules(),
        context: Context::default(),
        schemas: schemas(),
        writer: AlertWriter::new(schemas()),
        alerts_format: AlertsFormat::Json,
        counters: metrics.event_counters(schemas().catalog()),
        metrics,
        time: TIME,
        idle: IdleSettings { idle_after: settings.idle_after.filter(|_| !sim.no_idle.get()), feed_timeout: None },
        commit: CommitSettings {
            interval: settings.interval,
            min_interval: settings.min_interval,
            max_batch: settings.max_batch,
            write_behind: if is_checker { 0 } else { settings.write_behind },
        },
        topics: TOPICS[..sim.plan.topics].iter().map(|topic| (*topic).to_owned()).collect(),
        merge_wait: settings.merge_wait,
        partitions: sim.plan.partitions,
        partitioner: None,
        checkpoint_interval: settings.checkpoint_interval.filter(|_| !is_checker),
        cached_bytes: settings.cached_customers * (CUSTOMER_BYTES + 200),
    })
}
