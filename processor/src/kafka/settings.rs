//! What a world needs to know, and the settings of the librdkafka clients that follow from it.
//!
//! A client's settings are laid over each other: our defaults, then `properties`, then what exactly-once rests on. So
//! `properties` may tune anything but the last, and is refused if it tries.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use crate::task::world::{TopicId, WorldError};

/// Where Kafka is, who we are, and which topics are ours.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `HOST:PORT`, several joined by commas.
    pub bootstrap: String,
    /// Settings for librdkafka, by its names, for all clients.
    pub properties: BTreeMap<String, String>,
    /// The consumer group: the application.
    pub group: String,
    /// `<application>-<instance>-<worker>`: stable over restarts, and no other worker's.
    pub transactional_id: String,
    /// Set: static membership; the partitions wait for a restart within `session_timeout`.
    pub group_instance_id: Option<String>,
    /// The input topic that the group subscribes to.
    pub events_topic: String,
    /// Input topics whose partitions are read with those of the first.
    pub further_topics: Vec<String>,
    pub alerts_topic: String,
    pub dead_letters_topic: String,
    pub journal_topic: String,
    pub rules_topic: String,
    /// A member that is silent for so long loses its partitions.
    pub session_timeout: Duration,
    /// The broker aborts a transaction that stays open for so long.
    pub transaction_timeout: Duration,
    /// How long one answer of a broker is waited for.
    pub request_timeout: Duration,
    /// What a consumer may have read ahead.
    pub read_ahead_bytes: u64,
}

impl KafkaSettings {
    /// Settings of one worker, with default timeouts and the usual names of topics.
    #[must_use]
    pub fn new(bootstrap: &str, application: &str, instance: &str, worker: usize) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            properties: BTreeMap::new(),
            group: application.to_owned(),
            transactional_id: format!("{application}-{instance}-{worker}"),
            group_instance_id: None,
            events_topic: "events".to_owned(),
            further_topics: Vec::new(),
            alerts_topic: "alerts".to_owned(),
            dead_letters_topic: "dead-letters".to_owned(),
            journal_topic: format!("{application}.journal"),
            rules_topic: format!("{application}.rules"),
            session_timeout: Duration::from_secs(10),
            transaction_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(5),
            read_ahead_bytes: 64 << 20,
        }
    }

    /// Whether these settings can keep what they are to keep.
    ///
    /// # Errors
    /// [`WorldError::Fatal`] with what is wrong and what to do.
    pub fn check(&self) -> Result<(), WorldError> {
        for name in self.properties.keys() {
            if let Some(instead) = owned(name) {
                return Err(fatal(format!("`{name}` cannot be set among librdkafka's properties: {instead}")));
            }
        }
        let mut named = vec![
            ("list of brokers", &self.bootstrap),
            ("group", &self.group),
            ("transactional id", &self.transactional_id),
            ("events topic", &self.events_topic),
            ("alerts topic", &self.alerts_topic),
            ("dead letters topic", &self.dead_letters_topic),
            ("journal topic", &self.journal_topic),
            ("rules topic", &self.rules_topic),
        ];
        named.extend(self.further_topics.iter().map(|topic| ("further events topic", topic)));
        if let Some((what, _)) = named.iter().find(|(_, value)| value.is_empty() || value.contains('\0')) {
            return Err(fatal(format!("the {what} has no usable name: give it one")));
        }
        let topics = &named[3..];
        for (index, (what, name)) in topics.iter().enumerate() {
            if let Some((other, _)) = topics[..index].iter().find(|(_, taken)| taken == name) {
                return Err(fatal(format!("`{name}` cannot be both the {other} and the {what}: give them two names")));
            }
        }
        if self.transaction_timeout < Duration::from_secs(1) {
            return Err(fatal("a transaction timeout below 1 s aborts healthy transactions: raise it".to_owned()));
        }
        Ok(())
    }

    /// All input topics, in order.
    pub fn input_topics(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.events_topic).chain(&self.further_topics).map(String::as_str)
    }

    pub(crate) fn input_topic(&self, topic: TopicId) -> &str {
        self.input_topics().nth(topic).unwrap_or_default()
    }

    /// A member of the consumer group.
    pub(super) fn group_client(&self) -> ClientConfig {
        let session_ms = self.session_timeout.as_millis();
        let mut config = self.base("group");
        config
            .set("heartbeat.interval.ms", (session_ms / 5).clamp(100, 3_000).to_string())
            .set("max.poll.interval.ms", session_ms.max(300_000).to_string())
            .set("fetch.wait.max.ms", "100")
            // With its second by default, reading stalls for a second each time the queue was full (librdkafka 2879).
            .set("fetch.queue.backoff.ms", "20");
        self.bound(&mut config);
        self.buffer_apart(&mut config);
        self.tune(&mut config);
        self.reads(&mut config, "read_committed")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("group.protocol", "classic")
            .set("session.timeout.ms", session_ms.to_string());
        if let Some(id) = &self.group_instance_id {
            config.set("group.instance.id", id);
        }
        config
    }

    /// A reader of the further input topics. It takes the group's name, and never joins.
    pub(super) fn companion_client(&self) -> ClientConfig {
        let mut config = self.base("companion");
        config.set("fetch.wait.max.ms", "100").set("fetch.queue.backoff.ms", "20");
        self.buffer_apart(&mut config);
        self.tune(&mut config);
        self.reads(&mut config, "read_committed");
        config
    }

    /// With several input topics each partition has a queue of its own, and librdkafka's limits hold for each: its 64 MB
    /// would be too much.
    fn buffer_apart(&self, config: &mut ClientConfig) {
        if !self.further_topics.is_empty() {
            config.set("queued.max.messages.kbytes", "4096");
        }
    }

    /// A reader of chosen partitions. It takes the group's name, so that it needs no rights of its own, and never joins.
    pub(super) fn reader_client(&self) -> ClientConfig {
        let mut config = self.base("reader");
        // A fetch that waits for records holds up whatever is asked on its connection after it.
        config.set("fetch.wait.max.ms", "5").set("fetch.queue.backoff.ms", "20");
        self.bound(&mut config);
        self.tune(&mut config);
        self.reads(&mut config, "read_committed");
        config
    }

    /// A client that asks for high watermarks, not for last stable offsets.
    pub(super) fn edges_client(&self) -> ClientConfig {
        let mut config = self.base("edges");
        self.tune(&mut config);
        config.set("isolation.level", "read_uncommitted").set("allow.auto.create.topics", "false");
        config
    }

    pub(super) fn admin_client(&self) -> ClientConfig {
        let mut config = self.base("admin");
        self.tune(&mut config);
        config
    }

    /// A producer of events, for trials: in order, each once, with nothing else behind it.
    pub(super) fn feeder_client(&self) -> ClientConfig {
        let mut config = self.base("feeder");
        config.set("linger.ms", "20").set("batch.size", "262144").set("queue.buffering.max.kbytes", "65536");
        self.tune(&mut config);
        config.set("enable.idempotence", "true").set("acks", "all");
        config
    }

    /// The transactional producer.
    pub(super) fn publisher_client(&self) -> ClientConfig {
        let mut config = self.base("publisher");
        config
            // A transaction is handed over at once, so there is nothing to wait for.
            .set("linger.ms", "0")
            .set("queue.buffering.max.messages", "1000000")
            // A transaction that follows the last one closely is turned away until that one's markers are written; with
            // the 100 ms of the default it would wait that long.
            .set("retry.backoff.ms", "10");
        self.tune(&mut config);
        // Broken connections are told of in these lines only: see `reports`.
        let debug = self.properties.get("debug").map_or_else(|| "broker".to_owned(), |more| format!("broker,{more}"));
        config
            .set("debug", debug)
            .set_log_level(RDKafkaLogLevel::Debug)
            .set("transactional.id", &self.transactional_id)
            .set("transaction.timeout.ms", self.transaction_timeout.as_millis().to_string())
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("delivery.report.only.error", "false")
            // The Java client's own choice, so that all who look a customer's alerts up agree on the partition.
            .set("partitioner", "murmur2_random");
        config
    }

    fn base(&self, role: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", format!("{}-{role}", self.transactional_id))
            .set("socket.keepalive.enable", "true")
            // Else small requests wait for each other's acknowledgements, up to 40 ms.
            .set("socket.nagle.disable", "true")
            .set("enable.metrics.push", "false")
            .set_log_level(RDKafkaLogLevel::Info);
        config
    }

    fn tune(&self, config: &mut ClientConfig) {
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        if self.properties.contains_key("debug") {
            config.set_log_level(RDKafkaLogLevel::Debug);
        }
    }

    /// All of a worker's partitions come into one queue; what a fetch brings may come on top of what it holds.
    fn bound(&self, config: &mut ClientConfig) {
        let half = self.read_ahead_bytes / 2;
        // librdkafka refuses to fetch less than a message may have.
        let largest = self.properties.get("message.max.bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or(1 << 20);
        config
            .set("queued.max.messages.kbytes", (half / 1024).max(1).to_string())
            .set("fetch.max.bytes", half.max(largest).to_string());
    }

    fn reads<'a>(&self, config: &'a mut ClientConfig, isolation: &str) -> &'a mut ClientConfig {
        config
            .set("group.id", &self.group)
            .set("isolation.level", isolation)
            .set("check.crcs", "true")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("allow.auto.create.topics", "false")
    }
}

/// Values of `properties` may be secrets.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("bootstrap", &self.bootstrap)
            .field("properties", &self.properties.keys())
            .field("group", &self.group)
            .field("transactional_id", &self.transactional_id)
            .field("group_instance_id", &self.group_instance_id)
            .field("events_topic", &self.events_topic)
            .field("further_topics", &self.further_topics)
            .field("alerts_topic", &self.alerts_topic)
            .field("dead_letters_topic", &self.dead_letters_topic)
            .field("journal_topic", &self.journal_topic)
            .field("rules_topic", &self.rules_topic)
            .field("session_timeout", &self.session_timeout)
            .field("transaction_timeout", &self.transaction_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("read_ahead_bytes", &self.read_ahead_bytes)
            .finish()
    }
}

/// What to use in place of a property that is not the user's to set, if it is one.
fn owned(name: &str) -> Option<&'static str> {
    Some(match name {
        "bootstrap.servers" | "metadata.broker.list" => "it is where the brokers are",
        "group.id" => "it is the application's name",
        "client.id" | "transactional.id" | "group.instance.id" => {
            "it is made of the application, the instance and the worker"
        }
        "session.timeout.ms" => "use the session timeout",
        "transaction.timeout.ms" => "use the transaction timeout",
        "partitioner" => "alerts lie where the Java client's murmur2 puts their customer",
        "log_level" | "log.queue" => "use the log filter, such as librdkafka=debug",
        "acks"
        | "allow.auto.create.topics"
        | "auto.commit.enable"
        | "auto.commit.interval.ms"
        | "auto.offset.reset"
        | "check.crcs"
        | "delivery.report.only.error"
        | "enable.auto.commit"
        | "enable.auto.offset.store"
        | "enable.gapless.guarantee"
        | "enable.idempotence"
        | "enable.partition.eof"
        | "group.protocol"
        | "group.remote.assignor"
        | "isolation.level"
        | "offset.store.method"
        | "partition.assignment.strategy"
        | "request.required.acks" => "exactly-once depends on our own value; remove it",
        _ => return None,
    })
}

fn fatal(message: String) -> WorldError {
    WorldError::Fatal(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut KafkaSettings)) -> Result<(), String> {
        let mut settings = KafkaSettings::new("localhost:9092", "care", "a", 0);
        change(&mut settings);
        settings.check().map_err(|error| error.to_string())
    }

    #[test]
    fn what_exactly_once_rests_on_cannot_be_set() {
        assert_eq!(check(|_| ()), Ok(()));
        for name in ["isolation.level", "transactional.id", "enable.auto.commit", "acks", "bootstrap.servers"] {
            let refused = check(|settings| drop(settings.properties.insert(name.to_owned(), "x".to_owned())));
            assert!(refused.is_err_and(|error| error.contains(name)), "{name}");
        }
    }

    #[test]
    fn names_are_there_and_differ() {
        assert!(check(|settings| settings.alerts_topic.clear()).is_err_and(|error| error.contains("alerts topic")));
        let again = check(|settings| settings.further_topics = vec!["more".to_owned(), "events".to_owned()]);
        assert!(again.is_err_and(|error| error.contains("`events`") && error.contains("further events topic")));
        let twice = check(|settings| settings.journal_topic = "events".to_owned());
        assert!(twice.is_err_and(|error| error.contains("`events`") && error.contains("journal")));
    }

    #[test]
    fn properties_tune_and_our_own_values_stay() {
        let mut settings = KafkaSettings::new("localhost:9092", "care", "a", 0);
        settings.properties.insert("linger.ms".to_owned(), "3".to_owned());
        settings.properties.insert("debug".to_owned(), "eos".to_owned());
        let publisher = settings.publisher_client();
        assert_eq!(publisher.get("linger.ms"), Some("3"));
        assert_eq!(publisher.get("debug"), Some("broker,eos"));
        assert_eq!(publisher.get("transactional.id"), Some("care-a-0"));
        assert_eq!(settings.group_client().get("isolation.level"), Some("read_committed"));
        assert_eq!(settings.edges_client().get("isolation.level"), Some("read_uncommitted"));
    }

    #[test]
    fn what_is_read_ahead_is_bounded_and_messages_get_through() {
        let mut settings = KafkaSettings::new("localhost:9092", "care", "a", 0);
        settings.read_ahead_bytes = 8 << 20;
        let group = settings.group_client();
        assert_eq!(group.get("queued.max.messages.kbytes"), Some("4096"));
        assert_eq!(group.get("fetch.max.bytes"), Some("4194304"));
        settings.properties.insert("message.max.bytes".to_owned(), "5000000".to_owned());
        assert_eq!(settings.reader_client().get("fetch.max.bytes"), Some("5000000"));
        settings.properties.insert("queued.max.messages.kbytes".to_owned(), "7".to_owned());
        assert_eq!(settings.group_client().get("queued.max.messages.kbytes"), Some("7"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut settings = KafkaSettings::new("localhost:9092", "care", "a", 0);
        settings.properties.insert("sasl.password".to_owned(), "hunter2".to_owned());
        let shown = format!("{settings:?}");
        assert!(shown.contains("sasl.password") && !shown.contains("hunter2"));
    }
}
