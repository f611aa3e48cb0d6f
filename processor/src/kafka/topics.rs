//! At start: are the topics there, and set up so that nothing is lost?

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::RDKafkaErrorCode;

use super::errors;
use super::quiet::QuietContext;
use super::settings::KafkaSettings;
use crate::task::world::WorldError;

mod rules;
mod watch;

pub use rules::Retention;
use rules::{NEW_EVENTS, NEW_JOURNAL, NEW_OUTPUT, NEW_RULES, TopicConfig};
pub use watch::Watch;

/// How long topics may take to be there and to have leaders.
const LEADER_PATIENCE: Duration = Duration::from_secs(30);
/// A replication factor.
const BROKERS_DEFAULT: i32 = -1;

/// What is asked of the topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicPolicy {
    /// Create those that are missing; `None`: they are an error.
    pub create: Option<NewTopics>,
    /// How far ahead of its record an event may lie.
    pub max_future_skew: Duration,
}

/// Topics to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTopics {
    /// Of the events, if they are missing, and of the outputs. The journal has as many as the events, the rules have one.
    pub partitions: i32,
    /// `None`: what the broker is set to.
    pub replication: Option<i32>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Partitions of the events topic.
    pub partitions: i32,
    pub created: Vec<String>,
    /// `None` where the broker did not tell.
    pub events_retention: Option<Retention>,
    pub journal_retention: Option<Retention>,
    /// Sentences for the log: what could go wrong, and what to do.
    pub warnings: Vec<String>,
}

impl Findings {
    /// How long all that a replay needs is kept; `None`: for ever, or the broker did not tell.
    #[must_use]
    pub fn log_retention(&self) -> Option<Duration> {
        let kept = [self.events_retention, self.journal_retention];
        kept.into_iter().flatten().filter_map(|retention| retention.age).min()
    }
}

/// Checks the topics, and creates what is missing if that is wanted.
///
/// # Errors
/// [`WorldError::Fatal`] naming all that is missing, or what a topic must not be; [`WorldError::Transient`] if no broker
/// answers.
pub fn check(settings: &KafkaSettings, policy: &TopicPolicy) -> Result<Findings, WorldError> {
    settings.check()?;
    let mut wanted: Vec<Missing<'_>> = settings.input_topics().map(|topic| (topic, NEW_EVENTS)).collect();
    wanted.extend([
        (settings.journal_topic.as_str(), NEW_JOURNAL),
        (&settings.rules_topic, NEW_RULES),
        (&settings.alerts_topic, NEW_OUTPUT),
        (&settings.dead_letters_topic, NEW_OUTPUT),
    ]);
    let admin = Admin::new(settings, wanted)?;
    let (known, created) = admin.present(policy.create)?;
    let counted = |topic| (topic, known.partitions.get(topic).copied().unwrap_or_default());
    let inputs: Vec<(&str, i32)> = settings.input_topics().map(counted).collect();
    let (events, journal) = (counted(&settings.events_topic), counted(&settings.journal_topic));
    rules::check_inputs(&inputs).map_err(WorldError::Fatal)?;
    rules::check_partitions(events, journal).map_err(WorldError::Fatal)?;
    let mut findings = Findings { partitions: events.1, created, ..Findings::default() };
    for (topic, _) in inputs {
        let Some(config) = admin.config(topic, &mut findings.warnings) else { continue };
        let found = rules::check_events(topic, &config, policy.max_future_skew);
        findings.warnings.extend(found.map_err(WorldError::Fatal)?);
        let kept = rules::retention(&config);
        // The topic that keeps least.
        let shortest = findings.events_retention.filter(|other| {
            let age = |kept: &Retention| kept.age.unwrap_or(Duration::MAX);
            age(other) <= age(&kept)
        });
        findings.events_retention = Some(shortest.unwrap_or(kept));
    }
    if let Some(config) = admin.config(journal.0, &mut findings.warnings) {
        let found = rules::check_journal(journal.0, &config);
        findings.warnings.extend(found.map_err(WorldError::Fatal)?);
        findings.journal_retention = Some(rules::retention(&config));
    }
    admin.check_rules(&known, &mut findings.warnings)?;
    Ok(findings)
}

/// As [`check`], for the rules topic alone: to publish rules before anything else is there. Returns the warnings, and
/// whether the topic was created.
///
/// # Errors
/// As for [`check`].
pub fn check_rules(settings: &KafkaSettings, create: Option<NewTopics>) -> Result<(Vec<String>, bool), WorldError> {
    settings.check()?;
    let admin = Admin::new(settings, vec![(&settings.rules_topic, NEW_RULES)])?;
    let (known, created) = admin.present(create)?;
    let mut warnings = Vec::new();
    admin.check_rules(&known, &mut warnings)?;
    Ok((warnings, !created.is_empty()))
}

/// As [`check`], for the events topic alone: for who only feeds it. Returns its partitions, and whether it was created.
///
/// # Errors
/// As for [`check`].
pub fn check_events(settings: &KafkaSettings, create: Option<NewTopics>) -> Result<(i32, bool), WorldError> {
    settings.check()?;
    let admin = Admin::new(settings, vec![(&settings.events_topic, NEW_EVENTS)])?;
    let (known, created) = admin.present(create)?;
    Ok((known.partitions.get(&settings.events_topic).copied().unwrap_or_default(), !created.is_empty()))
}

/// The topics there are.
struct Known {
    partitions: BTreeMap<String, i32>,
    /// Those of which a partition can be neither read nor written at the moment.
    leaderless: BTreeSet<String>,
}

/// A topic that is not there, and the settings it would be created with.
type Missing<'a> = (&'a str, &'static [(&'static str, &'static str)]);

struct Admin<'a> {
    settings: &'a KafkaSettings,
    /// The topics that have to be there.
    wanted: Vec<Missing<'a>>,
    client: AdminClient<QuietContext>,
    options: AdminOptions,
}

impl<'a> Admin<'a> {
    fn new(settings: &'a KafkaSettings, wanted: Vec<Missing<'a>>) -> Result<Self, WorldError> {
        let client = AdminClient::from_config_and_context(&settings.admin_client(), QuietContext)
            .map_err(|error| errors::making("admin client", &error))?;
        let options = AdminOptions::new()
            .request_timeout(Some(settings.request_timeout))
            .operation_timeout(Some(settings.request_timeout));
        Ok(Self { settings, wanted, client, options })
    }

    /// The topics once all are there, and the names of those that were created.
    fn present(&self, create: Option<NewTopics>) -> Result<(Known, Vec<String>), WorldError> {
        let mut known = self.known()?;
        let missing = self.missing(&known);
        match create {
            _ if missing.is_empty() => {}
            None => return Err(self.complaint(&missing, &known)),
            Some(new) => self.create(&missing, new, &known)?,
        }
        let started = Instant::now();
        while !self.missing(&known).is_empty() || self.wanted.iter().any(|(topic, _)| known.leaderless.contains(*topic))
        {
            if started.elapsed() > LEADER_PATIENCE {
                let names: Vec<_> = self.wanted.iter().map(|(topic, _)| *topic).collect();
                return Err(WorldError::Transient(format!(
                    "of the topics {} a partition has no leader: are all brokers up?",
                    names.join(", ")
                )));
            }
            thread::sleep(Duration::from_millis(50));
            known = self.known()?;
        }
        Ok((known, missing.iter().map(|(topic, _)| (*topic).to_owned()).collect()))
    }

    fn missing(&self, known: &Known) -> Vec<Missing<'a>> {
        self.wanted.iter().copied().filter(|(topic, _)| !known.partitions.contains_key(*topic)).collect()
    }

    fn check_rules(&self, known: &Known, warnings: &mut Vec<String>) -> Result<(), WorldError> {
        let topic = &self.settings.rules_topic;
        let partitions = known.partitions.get(topic).copied().unwrap_or_default();
        rules::check_rules_partitions(topic, partitions).map_err(WorldError::Fatal)?;
        let Some(config) = self.config(topic, warnings) else { return Ok(()) };
        rules::check_rules(topic, &config).map_err(WorldError::Fatal)
    }

    /// Asks for all topics: a question for a single one creates it, where the broker allows that.
    fn known(&self) -> Result<Known, WorldError> {
        let metadata = self.client.inner().fetch_metadata(None, self.settings.request_timeout);
        let metadata = metadata.map_err(|error| {
            errors::asking(format_args!("the topics of {} are not known", self.settings.bootstrap), &error)
        })?;
        let mut known = Known { partitions: BTreeMap::new(), leaderless: BTreeSet::new() };
        for topic in metadata.topics().iter().filter(|topic| !topic.partitions().is_empty()) {
            known.partitions.insert(topic.name().to_owned(), topic.partitions().len() as i32);
            if topic.partitions().iter().any(|partition| partition.leader() < 0) {
                known.leaderless.insert(topic.name().to_owned());
            }
        }
        Ok(known)
    }

    fn create(&self, missing: &[Missing<'_>], new: NewTopics, known: &Known) -> Result<(), WorldError> {
        let replication = new.replication.unwrap_or(BROKERS_DEFAULT);
        let topics: Vec<_> = missing
            .iter()
            .map(|(name, config)| {
                let partitions = self.partitions_of(name, new.partitions, known);
                let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
                config.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
            })
            .collect();
        let created = wait(self.client.create_topics(&topics, &self.options));
        let created = created.map_err(|error| errors::asking("topics are not created", &error))?;
        for (topic, code) in created.into_iter().filter_map(Result::err) {
            // Another instance may have been faster.
            if code != RDKafkaErrorCode::TopicAlreadyExists {
                return Err(WorldError::Fatal(format!(
                    "the topic {topic} cannot be created: {code}: create it by hand, or correct partitions and replication"
                )));
            }
        }
        Ok(())
    }

    /// All input topics and the journal have as many, and the rules have one, whatever was asked for.
    fn partitions_of(&self, topic: &str, asked: i32, known: &Known) -> i32 {
        if topic == self.settings.rules_topic {
            return 1;
        }
        let alike: Vec<_> = self.settings.input_topics().chain([self.settings.journal_topic.as_str()]).collect();
        let found = alike.contains(&topic).then(|| alike.iter().find_map(|twin| known.partitions.get(*twin)));
        found.flatten().copied().unwrap_or(asked)
    }

    fn complaint(&self, missing: &[Missing<'_>], known: &Known) -> WorldError {
        let names: Vec<_> = missing.iter().map(|(topic, _)| *topic).collect();
        let bootstrap = &self.settings.bootstrap;
        let broker = bootstrap.split(',').next().unwrap_or_default();
        let command = |(topic, config): &Missing<'_>| {
            let partitions = match self.partitions_of(topic, 0, known) {
                0 => "PARTITIONS".to_owned(),
                known => known.to_string(),
            };
            let config: Vec<_> = config.iter().map(|(key, value)| format!("--config {key}={value}")).collect();
            format!(
                "\n  kafka-topics.sh --bootstrap-server {broker} --create --topic {topic} --partitions {partitions} {}",
                config.join(" ")
            )
        };
        let commands: Vec<_> = missing.iter().map(command).collect();
        WorldError::Fatal(format!(
            "there are no topics {} at {bootstrap}, or this principal may not see them. Have them created at start, or \
             create them:{}",
            names.join(", "),
            commands.concat()
        ))
    }

    /// A topic's settings. They may be hidden from us; that is a warning only.
    fn config(&self, topic: &str, warnings: &mut Vec<String>) -> Option<TopicConfig> {
        let asked = [ResourceSpecifier::Topic(topic)];
        let answer = wait(self.client.describe_configs(&asked, &self.options));
        let why = match answer.map(|mut resources| resources.pop()) {
            Ok(Some(Ok(resource))) => {
                let entries = resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
                return Some(entries.collect());
            }
            Ok(Some(Err(code))) => code.to_string(),
            Ok(None) => "no answer".to_owned(),
            Err(error) => error.to_string(),
        };
        warnings.push(format!(
            "the settings of {topic} could not be read ({why}), so nobody has checked its retention and its timestamps: allow \
             this principal to describe the topic's configuration"
        ));
        None
    }
}

/// Runs a future of rdkafka's on this thread: its answers come from a thread of its own, and need no runtime.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}
