//! At start: are the topics there, and set up so that nothing is lost?

use std::collections::BTreeMap;
use std::fmt::Write;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::RDKafkaErrorCode;

use super::errors;
use super::group_context::QuietContext;
use super::settings::KafkaSettings;
pub use super::topic_rules::Retention;
use super::topic_rules::{self, NEW_EVENTS, NEW_JOURNAL, NEW_OUTPUT, TopicConfig};
use crate::task::world::WorldError;

/// How long new topics may take to have leaders.
const CREATION_PATIENCE: Duration = Duration::from_secs(30);

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
    /// Of the events, if they are missing, and of the outputs. The journal has as many as the events.
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

/// Checks the topics, and creates what is missing if that is wanted.
///
/// # Errors
/// [`WorldError::Fatal`] naming all that is missing, or what a topic must not be; [`WorldError::Transient`] if no broker
/// answers.
pub fn check(settings: &KafkaSettings, policy: &TopicPolicy) -> Result<Findings, WorldError> {
    settings.check()?;
    let admin = Admin::new(settings)?;
    let (known, created) = admin.present(policy.create)?;
    let partitions = |topic: &String| known.get(topic).copied().unwrap_or_default();
    let events = (settings.events_topic.as_str(), partitions(&settings.events_topic));
    let journal = (settings.journal_topic.as_str(), partitions(&settings.journal_topic));
    topic_rules::check_partitions(events, journal).map_err(WorldError::Fatal)?;
    let mut findings = Findings { partitions: events.1, created, ..Findings::default() };
    if let Some(config) = admin.config(events.0, &mut findings.warnings) {
        let found = topic_rules::check_events(events.0, &config, policy.max_future_skew);
        findings.warnings.extend(found.map_err(WorldError::Fatal)?);
        findings.events_retention = Some(topic_rules::retention(&config));
    }
    if let Some(config) = admin.config(journal.0, &mut findings.warnings) {
        let found = topic_rules::check_journal(journal.0, &config);
        findings.warnings.extend(found.map_err(WorldError::Fatal)?);
        findings.journal_retention = Some(topic_rules::retention(&config));
    }
    Ok(findings)
}

/// Partitions of topics that have a leader for each.
type Known = BTreeMap<String, i32>;

struct Admin<'a> {
    settings: &'a KafkaSettings,
    client: AdminClient<QuietContext>,
    options: AdminOptions,
}

impl<'a> Admin<'a> {
    fn new(settings: &'a KafkaSettings) -> Result<Self, WorldError> {
        let client = AdminClient::from_config_and_context(&settings.admin_client(), QuietContext)
            .map_err(|error| errors::making("admin client", &error))?;
        let options = AdminOptions::new()
            .request_timeout(Some(settings.request_timeout))
            .operation_timeout(Some(settings.request_timeout));
        Ok(Self { settings, client, options })
    }

    /// The topics as they are once all are there, and the names of those that were created.
    fn present(&self, create: Option<NewTopics>) -> Result<(Known, Vec<String>), WorldError> {
        let known = self.known()?;
        let missing: Vec<_> = self.wanted().into_iter().filter(|(topic, _)| !known.contains_key(*topic)).collect();
        if missing.is_empty() {
            return Ok((known, Vec::new()));
        }
        let Some(new) = create else { return Err(self.missing(&missing, &known)) };
        self.create(&missing, new, &known)?;
        let started = Instant::now();
        loop {
            let known = self.known()?;
            if missing.iter().all(|(topic, _)| known.contains_key(*topic)) {
                return Ok((known, missing.iter().map(|(topic, _)| (*topic).to_owned()).collect()));
            }
            if started.elapsed() > CREATION_PATIENCE {
                return Err(WorldError::Transient("the new topics have no leaders yet".to_owned()));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The topics we need, and the settings they would be created with.
    fn wanted(&self) -> [(&'a str, &'static [(&'static str, &'static str)]); 4] {
        let settings = self.settings;
        [
            (&settings.events_topic, NEW_EVENTS),
            (&settings.journal_topic, NEW_JOURNAL),
            (&settings.alerts_topic, NEW_OUTPUT),
            (&settings.dead_letters_topic, NEW_OUTPUT),
        ]
    }

    /// Asks for all topics: a question for a single one creates it, where the broker allows that.
    fn known(&self) -> Result<Known, WorldError> {
        let metadata = self.client.inner().fetch_metadata(None, self.settings.request_timeout);
        let metadata = metadata.map_err(|error| {
            errors::asking(format_args!("the topics of {} are not known", self.settings.bootstrap), &error)
        })?;
        let with_leaders = metadata.topics().iter().filter(|topic| {
            !topic.partitions().is_empty() && topic.partitions().iter().all(|partition| partition.leader() >= 0)
        });
        Ok(with_leaders.map(|topic| (topic.name().to_owned(), topic.partitions().len() as i32)).collect())
    }

    fn create(&self, missing: &[(&str, &[(&str, &str)])], new: NewTopics, known: &Known) -> Result<(), WorldError> {
        let replication = TopicReplication::Fixed(new.replication.unwrap_or(-1));
        let topics: Vec<_> = missing
            .iter()
            .map(|(name, config)| {
                let topic =
                    NewTopic::new(name, self.partitions_of(name, new.partitions, known), replication_of(&replication));
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

    /// The journal has as many as the events, whatever was asked for.
    fn partitions_of(&self, topic: &str, asked: i32, known: &Known) -> i32 {
        let twin = match topic {
            _ if topic == self.settings.journal_topic => &self.settings.events_topic,
            _ if topic == self.settings.events_topic => &self.settings.journal_topic,
            _ => return asked,
        };
        known.get(twin).copied().unwrap_or(asked)
    }

    fn missing(&self, missing: &[(&str, &[(&str, &str)])], known: &Known) -> WorldError {
        let names: Vec<_> = missing.iter().map(|(topic, _)| *topic).collect();
        let mut message = format!(
            "there are no topics {} at {}, or this principal may not see them. Have them created at start, or create them:",
            names.join(", "),
            self.settings.bootstrap
        );
        for (topic, config) in missing {
            let partitions = self.partitions_of(topic, 0, known);
            let partitions = if partitions > 0 { partitions.to_string() } else { "PARTITIONS".to_owned() };
            let first = self.settings.bootstrap.split(',').next().unwrap_or_default();
            let mut line = format!(
                "\n  kafka-topics.sh --bootstrap-server {first} --create --topic {topic} --partitions {partitions}"
            );
            for (key, value) in *config {
                // Writing to a string does not fail.
                let _ = write!(line, " --config {key}={value}");
            }
            message.push_str(&line);
        }
        WorldError::Fatal(message)
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

fn replication_of<'a>(replication: &TopicReplication<'a>) -> TopicReplication<'a> {
    match replication {
        TopicReplication::Fixed(count) => TopicReplication::Fixed(*count),
        TopicReplication::Variable(brokers) => TopicReplication::Variable(brokers),
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
