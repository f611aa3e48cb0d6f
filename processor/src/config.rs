//! The configuration: from what the user typed ([`Given`]) to what the program needs ([`Config`]).
//!
//! A setting has one name, such as `kafka.bootstrap`, and three places, each over the ones before it:
//!
//! | place | form |
//! | --- | --- |
//! | a YAML file | sections: `kafka: {bootstrap: ...}` |
//! | the environment | `TOCSIN_`, then the name in capitals with `__` for each dot: `TOCSIN_KAFKA__BOOTSTRAP` |
//! | flags | `--set kafka.bootstrap=...` for all of them, and a few of their own |
//!
//! librdkafka's settings follow the same rule: `kafka.properties.sasl.username`, also as
//! `TOCSIN_KAFKA__PROPERTIES__SASL__USERNAME`. A name that does not exist is refused wherever it stands.
//!
//! This module knows the settings ([`keys`]) and checks values on their own and with each other. It opens none of the
//! files that they name, and asks no broker.

mod check;
mod given;
pub mod keys;
mod print;
mod problem;
pub mod properties;
mod read;
mod yaml;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use chrono_tz::Tz;
use tocsin_core::time::Duration;

use crate::partitioner::Partitioner;

pub use given::{Flag, Given, Setting, Sources, Value};
pub use problem::{Origin, Problem, Problems};
pub use properties::Properties;
use read::{Reader, Refusal};

/// What the variables of settings start with.
pub const ENVIRONMENT_PREFIX: &str = "TOCSIN_";
/// The variable that names the file; the only one that is not a setting.
pub const FILE_VARIABLE: &str = "TOCSIN_CONFIG";

/// Everything the program was told, checked. Durations are milliseconds, as everywhere in Tocsin.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub application: String,
    pub instance: String,
    pub workers: usize,
    /// `None`: those of the rules topic, whoever put them there.
    pub rules: Option<PathBuf>,
    pub schemas: Option<PathBuf>,
    pub state_dir: PathBuf,
    pub state_compression: StateCompression,
    /// `None`: the input's partitioning is not checked.
    pub partitioner: Option<Partitioner>,
    pub alerts_format: AlertsFormat,
    pub max_open_items: u32,
    /// Bytes, of all workers together.
    pub memory_budget: u64,
    pub kafka: Kafka,
    pub topics: Topics,
    pub time: Time,
    pub commit: Commit,
    pub checkpoint: Checkpoint,
    pub http: Http,
    pub log: Log,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    /// As librdkafka takes it: `HOST:PORT,HOST:PORT`.
    pub bootstrap: String,
    /// None of them is one that Tocsin sets itself.
    pub properties: Properties,
    pub session_timeout: Duration,
    pub transaction_timeout: Duration,
    pub create_topics: bool,
    pub static_membership: bool,
}

/// All names are different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// At least one.
    pub events: Vec<String>,
    pub alerts: String,
    pub dead_letters: String,
    pub journal: String,
    pub rules: String,
    /// Of a topic that is created. The journal has as many as the events, the rules have one.
    pub partitions: u32,
    /// Of a topic that is created; `None`: what the broker is set to.
    pub replication: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Time {
    pub max_out_of_orderness: Duration,
    pub history: Duration,
    pub max_future_skew: Duration,
    /// `None`: the wall clock never moves the watermark.
    pub idle_after: Option<Duration>,
    /// `None`: silence is never taken for a broken feed.
    pub feed_timeout: Option<Duration>,
    pub merge_wait: Duration,
    pub timezone: Tz,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub interval: Duration,
    /// At most `interval`.
    pub min_interval: Duration,
    /// Events.
    pub max_batch: usize,
    pub write_behind: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// `None`: there are no checkpoints.
    pub url: Option<String>,
    pub interval: Duration,
    /// At least 2: one of them may turn out to be damaged.
    pub keep: usize,
    /// Whether those of other members' partitions are kept on this disk.
    pub prefetch: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    /// Directives of [`tracing_subscriber::EnvFilter`], known to parse.
    pub filter: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateCompression {
    #[default]
    Lz4,
    Zstd,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertsFormat {
    #[default]
    Json,
    Avro,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    #[default]
    Auto,
    Human,
    Json,
}

impl Config {
    /// The consumer group.
    #[must_use]
    pub fn group_id(&self) -> &str {
        &self.application
    }

    /// The transactional id of a worker's producer; the same after a restart, so that it fences what came before.
    #[must_use]
    pub fn transactional_id(&self, worker: usize) -> String {
        self.client_id(worker)
    }

    /// How a worker is called at the broker; also its `group.instance.id` with `static_membership`.
    #[must_use]
    pub fn client_id(&self, worker: usize) -> String {
        format!("{}-{}-{worker}", self.application, self.instance)
    }

    /// Where the store of a partition lives, below `state_dir`.
    #[must_use]
    pub fn application_dir(&self) -> PathBuf {
        self.state_dir.join(&self.application)
    }
}

impl Given {
    /// Checks every value, on its own and with the others.
    ///
    /// # Errors
    /// All that is wrong, names included: what, where, and what to do.
    pub fn config(&self) -> Result<Config, Problems> {
        if self.is_unreadable() {
            return Err(Problems(self.problems().to_vec()));
        }
        let mut reader = Reader::new(self);
        let config = self.read_config(&mut reader);
        // Values that were refused stand in the configuration as zeros; comparing those would only mislead.
        if reader.problems.is_empty() {
            check::consistency(&config, &mut reader);
        }
        if reader.problems.is_empty() { Ok(config) } else { Err(Problems(reader.problems)) }
    }

    fn read_config(&self, reader: &mut Reader<'_>) -> Config {
        Config {
            application: reader.parsed("application", read::name),
            instance: reader.parsed("instance", read::name),
            workers: reader.number("workers", 1..=256) as usize,
            rules: reader.optional("rules", |text| Ok(PathBuf::from(text))),
            schemas: reader.optional("schemas", |text| Ok(PathBuf::from(text))),
            state_dir: reader.path("state_dir"),
            state_compression: reader
                .choice("state_compression", &[("lz4", StateCompression::Lz4), ("zstd", StateCompression::Zstd)]),
            partitioner: reader.choice("partitioner", &partitioner_choices()),
            alerts_format: reader
                .choice("alerts_format", &[("json", AlertsFormat::Json), ("avro", AlertsFormat::Avro)]),
            max_open_items: reader.number("max_open_items", 1..=1_000_000),
            memory_budget: reader.parsed("memory_budget", read::bytes),
            kafka: Kafka::read(reader, self),
            topics: Topics::read(reader),
            time: Time::read(reader),
            commit: Commit::read(reader),
            checkpoint: Checkpoint::read(reader),
            http: Http { listen: reader.optional("http.listen", address).unwrap_or(([127, 0, 0, 1], 0).into()) },
            log: Log::read(reader),
        }
    }
}

impl Kafka {
    fn read(reader: &mut Reader<'_>, given: &Given) -> Self {
        Self {
            bootstrap: reader.list("kafka.bootstrap").join(","),
            properties: check::properties(given, reader),
            session_timeout: reader.duration("kafka.session_timeout"),
            transaction_timeout: reader.duration("kafka.transaction_timeout"),
            create_topics: reader.bool("kafka.create_topics"),
            static_membership: reader.bool("kafka.static_membership"),
        }
    }
}

impl Topics {
    /// The topic of events that the group subscribes to; partitions are called by it.
    #[must_use]
    pub fn first_input(&self) -> &str {
        self.events.first().map_or("", String::as_str)
    }

    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            events: events_topics(reader),
            alerts: reader.parsed("topics.alerts", read::name),
            dead_letters: reader.parsed("topics.dead_letters", read::name),
            journal: reader.parsed("topics.journal", read::name),
            rules: reader.parsed("topics.rules", read::name),
            partitions: reader.number("topics.partitions", 1..=10_000),
            replication: reader.parsed("topics.replication", |text| {
                if text == "broker" { Ok(None) } else { read::number(text, 1..=100).map(Some) }
            }),
        }
    }
}

impl Time {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            max_out_of_orderness: reader.duration("time.max_out_of_orderness"),
            history: reader.duration("time.history"),
            max_future_skew: reader.duration("time.max_future_skew"),
            idle_after: reader.duration_or("time.idle_after", "never"),
            feed_timeout: reader.duration_or("time.feed_timeout", "off"),
            merge_wait: reader.duration("time.merge_wait"),
            timezone: reader.parsed("time.timezone", timezone),
        }
    }
}

impl Commit {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            interval: reader.duration("commit.interval"),
            min_interval: reader.duration("commit.min_interval"),
            max_batch: reader.number("commit.max_batch", 1..=1_000_000) as usize,
            write_behind: reader.duration("commit.write_behind"),
        }
    }
}

impl Checkpoint {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            url: reader.optional("checkpoint.url", checkpoint_url),
            interval: reader.duration("checkpoint.interval"),
            keep: reader.number("checkpoint.keep", 2..=1_000) as usize,
            prefetch: reader.bool("checkpoint.prefetch"),
        }
    }
}

impl Log {
    fn read(reader: &mut Reader<'_>) -> Self {
        let formats = [("auto", LogFormat::Auto), ("human", LogFormat::Human), ("json", LogFormat::Json)];
        Self { format: reader.choice("log.format", &formats), filter: reader.parsed("log.filter", log_filter) }
    }
}

fn partitioner_choices() -> [(&'static str, Option<Partitioner>); 3] {
    let [murmur2, crc32] = Partitioner::ALL.map(|partitioner| (partitioner.name(), Some(partitioner)));
    [murmur2, crc32, ("null", None)]
}

fn events_topics(reader: &mut Reader<'_>) -> Vec<String> {
    const KEY: &str = "topics.events";
    let names = reader.list(KEY);
    // One refusal is enough to see what is meant.
    let refused = names.iter().filter(|name| !name.is_empty()).find_map(|name| read::name(name).err());
    let twice = names.iter().enumerate().find(|(place, name)| names[..*place].contains(name));
    if let Some(refusal) = refused {
        reader.refuse(KEY, refusal);
    } else if let Some((_, name)) = twice.filter(|(_, name)| !name.is_empty()) {
        reader.refuse(KEY, Refusal::new(format!("`{name}` is given twice"), "give each topic once"));
    }
    names
}

fn timezone(text: &str) -> Result<Tz, Refusal> {
    text.parse().map_err(|_| {
        let likeness = |tz: &Tz| strsim::jaro_winkler(&tz.name().to_lowercase(), &text.to_lowercase());
        let nearest = chrono_tz::TZ_VARIANTS.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
        let nearest = nearest.map_or("UTC", |tz| tz.name());
        Refusal::new(format!("`{text}` is not a time zone"), format!("did you mean {nearest}?"))
    })
}

/// Whether it can be reached is seen when it is used.
fn checkpoint_url(text: &str) -> Result<String, Refusal> {
    let bucket = text.strip_prefix("s3://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if bucket || text.strip_prefix("file://").is_some_and(|rest| rest.starts_with('/')) {
        return Ok(text.to_owned());
    }
    Err(Refusal::new(format!("`{text}` is not usable"), "write file:///DIRECTORY or s3://BUCKET/PREFIX"))
}

fn address(text: &str) -> Result<SocketAddr, Refusal> {
    text.parse().map_err(|_| {
        let next = "write IP:PORT: 127.0.0.1:9464 for this machine only, 0.0.0.0:9464 for every network it is on";
        Refusal::new(format!("`{text}` is not an address"), next)
    })
}

fn log_filter(text: &str) -> Result<String, Refusal> {
    const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];
    let next = "write a level (trace, debug, info, warn, error, off), or a level and modules: info,tocsin::kafka=debug";
    // A bare word would be taken for a module: `inof` would silence everything else.
    let bare = |part: &&str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let unknown = text.split(',').map(str::trim).filter(bare).find(|part| !LEVELS.contains(part));
    if let Some(word) = unknown {
        return Err(Refusal::new(format!("`{word}` is not a level"), next));
    }
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Refusal::new(format!("`{text}` is not a filter: {error}"), next)),
    }
}
