//! The rules of a running process: published if it brings its own, read from their topic, made ready with its schemas.
//!
//! Nobody judges by files. A process that is given some publishes them at its start, unless they are the newest
//! generation already, and from then on follows the topic like any other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tocsin_core::engine::{Engine, Settings as EngineSettings};
use tocsin_core::event::stable_hash;
use tocsin_core::rule::RuleSet;

use crate::codec::generation::{RulesDocument, RulesFile};
use crate::codec::schemas::Schemas;
use crate::codec::timestamp;
use crate::config::Config;
use crate::kafka::KafkaSettings;
use crate::kafka::generations::{
    GenerationsError, GenerationsReader, GenerationsWriter, PublishedGeneration, RulesDraft,
};
use crate::rules::{self, Limits, LoadErrors, Source};
use crate::task::Stop;
use crate::task::rulebook::{Generation, NO_GENERATION, Rulebook};
use crate::task::world::WorldError;
use crate::telemetry::{GenerationRead, Metrics, RulesUnreachable, RulesUnusable};

/// How often the topic is asked for a new generation.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How often a thread that waits looks whether it is to stop.
const TICK: Duration = Duration::from_millis(50);
/// How long a start waits for the rules topic to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Times that own rules are tried to be published while others publish theirs.
const TRIES: u32 = 5;

/// What makes rules of texts: all that has a say in what they mean.
#[derive(Clone, Debug)]
pub struct RuleMaker {
    pub schemas: Arc<Schemas>,
    pub limits: Limits,
    /// Open items that one rule holds for one customer.
    pub max_open_items: usize,
}

impl RuleMaker {
    /// As this configuration has it.
    #[must_use]
    pub fn new(config: &Config, schemas: Arc<Schemas>) -> Self {
        let limits = Limits { history: config.time.history, timezone: config.time.timezone };
        Self { schemas, limits, max_open_items: config.max_open_items as usize }
    }

    /// As it is with no configuration.
    #[must_use]
    pub fn standard(schemas: Arc<Schemas>) -> Self {
        Self { schemas, limits: Limits::default(), max_open_items: EngineSettings::default().max_open_items }
    }

    /// What is judged by beside the rules.
    #[must_use]
    pub fn settings(&self) -> EngineSettings {
        EngineSettings { history: self.limits.history, max_open_items: self.max_open_items }
    }

    /// The rules in these files.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn load(&self, files: &[RulesFile]) -> Result<RuleSet, LoadErrors> {
        let source = |file: &RulesFile| Source { name: file.name.clone(), text: file.text.clone() };
        let sources: Vec<Source> = files.iter().map(source).collect();
        Ok(rules::load(&sources, self.schemas.catalog(), &self.limits)?.set)
    }

    /// Makes a generation ready to judge by.
    ///
    /// # Errors
    /// Why this process cannot judge by it, and what to do.
    pub fn make(&self, published: &PublishedGeneration) -> Result<Generation, String> {
        self.make_of(&published.document, &published.text)
    }

    fn make_of(&self, document: &RulesDocument, text: &Arc<str>) -> Result<Generation, String> {
        let set = self.load(&document.files).map_err(|errors| {
            format!(
                "{} cannot be used by this process: {errors}: it was checked with other `schemas` or another \
                 `time.history`; give this process those, for it must not judge by anything else",
                named(document)
            )
        })?;
        let fingerprint = fingerprint(&set);
        if *fingerprint != *document.fingerprint {
            return Err(format!(
                "{} is understood otherwise here: its fingerprint was {}, and is {fingerprint} by this process. It was \
                 published by another version of tocsin: run that one",
                named(document),
                document.fingerprint
            ));
        }
        let engine = Engine::new(Arc::new(set), self.schemas.catalog(), self.settings());
        Ok(Generation { number: document.generation, fingerprint, document: text.clone(), engine })
    }

    /// A book whose generations are made by this maker.
    fn rulebook(&self) -> Rulebook {
        let maker = self.clone();
        Rulebook::making(move |text| {
            let document = RulesDocument::decode(text.as_bytes()).map_err(|error| error.to_string())?;
            maker.make_of(&document, text)
        })
    }
}

fn named(document: &RulesDocument) -> String {
    let mut at = Vec::new();
    timestamp::write(&mut at, document.applied_at);
    let (at, by) = (String::from_utf8_lossy(&at), &document.applied_by);
    format!("generation {} of the rules, applied at {at} by {by},", document.generation)
}

/// The same for rules that decide alike, in the same order.
#[must_use]
pub fn fingerprint(rules: &RuleSet) -> Box<str> {
    let mut text = String::new();
    for rule in &rules.rules {
        text.push_str(&rule.id);
        text.push('\u{1f}');
        text.push_str(&rule.version);
        text.push('\n');
    }
    format!("{:016x}", stable_hash(&text)).into()
}

/// What is to be published of a set.
#[must_use]
pub fn draft(files: &[RulesFile], set: &RuleSet, applied_by: &str) -> RulesDraft {
    RulesDraft { fingerprint: fingerprint(set).into(), applied_by: applied_by.to_owned(), files: files.to_vec() }
}

/// Whether these files, to the letter, are the newest generation.
#[must_use]
pub fn is_newest(generations: &[PublishedGeneration], files: &[RulesFile]) -> bool {
    generations.last().is_some_and(|newest| newest.document.files == files)
}

/// Rules that a process brings itself.
#[derive(Clone, Debug)]
pub struct OwnRules {
    pub files: Vec<RulesFile>,
    pub applied_by: String,
}

/// The rule book as the topic has it by now, after a process's own rules have been published, and the reader that goes
/// on from there.
///
/// # Errors
/// If the topic cannot be read or is damaged, or holds what this process cannot judge by.
pub fn open(
    settings: &KafkaSettings,
    maker: &RuleMaker,
    own: Option<&OwnRules>,
    metrics: &Metrics,
) -> anyhow::Result<(Arc<Rulebook>, GenerationsReader)> {
    if let Some(own) = own {
        patiently(|| publish(settings, maker, own))?;
    }
    let mut reader = GenerationsReader::new(settings)?;
    let published = patiently(|| Ok(reader.read_all()?))?;
    let rulebook = Arc::new(maker.rulebook());
    for generation in &published {
        rulebook.add_document(generation.document.generation, generation.text.clone())?;
    }
    if let Some(newest) = published.last() {
        tell(newest, &rulebook, metrics).map_err(anyhow::Error::msg)?;
    } else {
        tracing::warn!(
            topic = settings.rules_topic,
            "there are no rules yet: waiting for a first generation; publish it with `tocsin rules apply`"
        );
    }
    Ok((rulebook, reader))
}

/// Calls again what may succeed if it is called again: brokers that start, or a topic that has no leader yet.
fn patiently<T>(mut call: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        match call() {
            Err(error) if is_passing(&error) && Instant::now() < until => {
                tracing::warn!(error = format!("{error:#}"), "the rules topic does not answer; it is asked again");
                std::thread::sleep(ASK_EVERY);
            }
            done => return done,
        }
    }
}

fn is_passing(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(WorldError::Transient(_) | WorldError::Pending(_)))
            || matches!(
                cause.downcast_ref(),
                Some(GenerationsError::World(WorldError::Transient(_) | WorldError::Pending(_)))
            )
    })
}

/// Publishes a process's own rules, unless they are the newest generation. Of several processes that come with the same
/// rules at one time, one publishes them.
fn publish(settings: &KafkaSettings, maker: &RuleMaker, own: &OwnRules) -> anyhow::Result<()> {
    let set = maker.load(&own.files).context("the rules cannot be used")?;
    let mut tries = 0;
    loop {
        // Without the right to write, which is only taken if there is something to write: it fences whoever has it.
        if is_newest(&GenerationsReader::new(settings)?.read_all()?, &own.files) {
            return Ok(());
        }
        let writer = GenerationsWriter::open(settings)?;
        if is_newest(writer.generations(), &own.files) {
            return Ok(());
        }
        tries += 1;
        match writer.publish(draft(&own.files, &set, &own.applied_by)) {
            Ok(published) => {
                let (generation, offset) = (published.document.generation, published.offset);
                tracing::info!(generation, offset, topic = settings.rules_topic, "own rules published");
                return Ok(());
            }
            Err(error @ (WorldError::Fenced(_) | WorldError::Unsettled(_))) if tries < TRIES => {
                tracing::info!(%error, "the rules are looked at again: somebody else publishes, or nobody knows");
                // Time for the other one to finish.
                std::thread::sleep(ASK_EVERY * tries);
            }
            Err(error) => return Err(error).context("the rules were not published"),
        }
    }
}

/// The newest generation is made at once, whoever needs it: if that fails, better now.
fn tell(published: &PublishedGeneration, rulebook: &Rulebook, metrics: &Metrics) -> Result<(), String> {
    let Some(generation) = rulebook.get(published.document.generation) else {
        return Err(rulebook.unusable().unwrap_or("the generation is not in the book").to_owned());
    };
    GenerationRead {
        generation: generation.number,
        fingerprint: &generation.fingerprint,
        applied_by: &published.document.applied_by,
        rules: generation.engine.rules(),
    }
    .emit(metrics);
    Ok(())
}

/// Adds further generations to the book as they come, until it is told to stop. Brokers may come and go.
///
/// # Errors
/// If the topic is damaged or holds what this process cannot judge by: it must end, for a partition may have to adopt
/// just that.
pub fn watch(mut reader: GenerationsReader, rulebook: &Rulebook, metrics: &Metrics, stop: &Stop) -> Result<(), String> {
    let unusable = |reason: String| {
        RulesUnusable { reason: &reason }.emit();
        reason
    };
    while !stop.load(Ordering::Relaxed) {
        match reader.read_new() {
            Ok(published) => {
                for published in published {
                    let added = rulebook.add_document(published.document.generation, published.text.clone());
                    added.map_err(|error| unusable(error.to_string()))?;
                    tell(&published, rulebook, metrics).map_err(unusable)?;
                }
            }
            Err(GenerationsError::Damaged(reason)) => return Err(unusable(reason)),
            Err(GenerationsError::World(error)) => RulesUnreachable { reason: &error.to_string() }.emit(metrics),
        }
        // A task may have asked for an older generation, which was not made before.
        if let Some(reason) = rulebook.unusable() {
            return Err(unusable(reason.to_owned()));
        }
        pause(ASK_EVERY, stop);
    }
    Ok(())
}

/// Waits for the first generation; returns whether there is one, or else it was told to stop. `beat` is called
/// meanwhile.
pub fn await_first(rulebook: &Rulebook, stop: &Stop, mut beat: impl FnMut()) -> bool {
    while rulebook.latest() == NO_GENERATION {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        beat();
        std::thread::sleep(TICK);
    }
    true
}

fn pause(time: Duration, stop: &Stop) {
    let mut left = time;
    while !left.is_zero() && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(left.min(TICK));
        left = left.saturating_sub(TICK);
    }
}

#[cfg(test)]
mod tests {
    use tocsin_core::time::DAY;

    use super::*;

    const TEXT: &str = "rules:\n- {id: a, let: {n: {count: purchase, over: 7d}}, when: n > 3}\n";

    fn maker(history: i64) -> RuleMaker {
        let limits = Limits { history, ..Limits::default() };
        RuleMaker { limits, ..RuleMaker::standard(Arc::new(Schemas::shipped())) }
    }

    fn published(text: &str) -> PublishedGeneration {
        let files = vec![RulesFile { name: "a.yaml".to_owned(), text: text.to_owned() }];
        let set = maker(400 * DAY).load(&files).unwrap();
        let RulesDraft { fingerprint, applied_by, files } = draft(&files, &set, "ann@desk");
        let applied_at = 1_767_225_600_000;
        let document = RulesDocument { generation: 2, fingerprint, applied_at, applied_by, files };
        PublishedGeneration { offset: 7, text: document.encode().unwrap().into(), document }
    }

    #[test]
    fn a_generation_is_made_ready_with_what_it_was_made_of() {
        let published = published(TEXT);
        let made = maker(30 * DAY).make(&published).unwrap();
        assert_eq!((made.number, &*made.fingerprint), (2, published.document.fingerprint.as_str()));
        assert_eq!(made.engine.rules().rules.len(), 1);
        assert_eq!(RulesDocument::decode(made.document.as_bytes()).unwrap(), published.document);
    }

    #[test]
    fn a_generation_that_means_something_else_here_is_refused() {
        let error = maker(DAY).make(&published(TEXT)).unwrap_err();
        let parts =
            ["generation 2 of the rules, applied at 2026-01-01T00:00:00.000Z by ann@desk, cannot be used", "a.yaml:2:"];
        for part in parts.into_iter().chain(["`schemas`", "`time.history`"]) {
            assert!(error.contains(part), "{part}: {error}");
        }
        let mut other = published(TEXT);
        other.document.fingerprint = "0".repeat(16);
        let error = maker(400 * DAY).make(&other).unwrap_err();
        assert!(error.contains("is understood otherwise here: its fingerprint was 0000000000000000"), "{error}");
    }

    #[test]
    fn the_fingerprint_is_of_what_rules_decide() {
        let of = |text: &str| published(text).document.fingerprint;
        assert_eq!(of(TEXT), of(&TEXT.replace("{id: a", "{id: a, description: why, labels: {team: care}")));
        assert_ne!(of(TEXT), of(&TEXT.replace("n > 3", "n > 4")));
        assert_ne!(of(TEXT), of(&TEXT.replace("id: a", "id: b")));
    }

    #[test]
    fn the_newest_generation_is_known_to_the_letter() {
        let (one, two) = (published(TEXT), published(&TEXT.replace("n > 3", "n > 4")));
        assert!(is_newest(&[one.clone(), two.clone()], &two.document.files));
        assert!(!is_newest(&[one.clone(), two.clone()], &one.document.files), "going back is a change");
        assert!(!is_newest(&[two], &published(&format!("{TEXT}# a remark\n")).document.files));
        assert!(!is_newest(&[], &one.document.files));
    }
}
