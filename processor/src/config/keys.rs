//! Every setting there is: its name, what it is when nobody gives it, and what it means.
//!
//! This table is what names are checked against, what `--print-config` explains, and where defaults are written:
//! a default is a text like any other and goes through the same reading and the same checks.

/// A setting.
#[derive(Debug)]
pub struct Key {
    /// Sections and name, joined by dots.
    pub name: &'static str,
    pub initial: Initial,
    /// One or two lines, with the unit.
    pub doc: &'static str,
}

/// What a setting is when nobody gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    Text(&'static str),
    /// It has to be given.
    Required,
    /// It may be left out altogether.
    Unset,
    /// The name of the machine.
    HostName,
    /// The application's name with this appended.
    ApplicationWith(&'static str),
}

/// The one setting that is a map: its keys are librdkafka's, dots and all.
pub const PROPERTIES: &str = "kafka.properties";

const fn key(name: &'static str, initial: Initial, doc: &'static str) -> Key {
    Key { name, initial, doc }
}

use Initial::{ApplicationWith, HostName, Required, Text, Unset};

/// In the order in which they are printed; the keys of a section stand together.
pub const KEYS: &[Key] = &[
    key(
        "application",
        Text("tocsin"),
        "Name of this application: the consumer group, the prefix of its transactional ids and of its own topics.\n\
         Two applications on one cluster need two names.",
    ),
    key(
        "instance",
        HostName,
        "Name of this process among those of the application; the same after a restart. Default: the host name.",
    ),
    key("workers", Text("1"), "Worker threads, each with its own consumer and producer (number, 1 to 256)."),
    key(
        "rules",
        Unset,
        "Rules: a YAML file, or a directory whose .yaml files are one set (path). Published at start if they are not the\n\
         newest generation. Left out: whatever `tocsin rules apply` published. With several processes leave it out.",
    ),
    key("schemas", Unset, "Avro schemas of further event types (directory). Left out: the built-in types only."),
    key("state_dir", Text("tocsin-state"), "Where the stores of the partitions are kept (directory, on a local disk)."),
    key(
        "state_compression",
        Text("lz4"),
        "How the stores are packed on disk: lz4, or zstd, which takes two thirds of the room, and nearly twice the CPU time\n\
         where most customers are not in memory. It may be changed at any start.",
    ),
    key(
        "partitioner",
        Text("null"),
        "How producers choose the partition of a customer: murmur2 (Java clients), crc32 (librdkafka clients), or null\n\
         (look at a sample, and warn if it shows both). With a name, events on another partition than it gives become\n\
         dead letters (misplaced).",
    ),
    key("alerts_format", Text("json"), "Format of alert records: json or avro."),
    key(
        "max_open_items",
        Text("1000"),
        "Open items that one rule may hold for one customer (number, 1 to 1000000). Further triggers are counted.",
    ),
    key(
        "memory_budget",
        Text("1GB"),
        "Memory for decoded customers, RocksDB's blocks and write buffers, and what is read ahead, of all workers together\n\
         (bytes: MB, GB, MiB, GiB). Plan for a fifth more; below 512MB for twice as much, as code and threads weigh more.",
    ),
    key("kafka.bootstrap", Required, "Brokers to start from (HOST:PORT, several joined by commas or as a list)."),
    key(
        "kafka.session_timeout",
        Text("10s"),
        "A process that stays silent this long loses its partitions (duration; the broker allows 6s to 30m by default).",
    ),
    key(
        "kafka.transaction_timeout",
        Text("10s"),
        "The broker aborts a transaction that stays open this long (duration; readers of the alerts wait that long at most).",
    ),
    key(
        "kafka.create_topics",
        Text("false"),
        "Create the topics that are missing (true or false). Off by default: a mistyped name would look like a quiet one.",
    ),
    key(
        "kafka.static_membership",
        Text("true"),
        "Keep the partitions over a restart within session_timeout, so that a process that was killed goes on at once\n\
         when it comes back (true or false). A stopped process keeps its partitions from others for session_timeout, too:\n\
         choose false where `instance` is another one after each restart, as in a Kubernetes Deployment.",
    ),
    key(
        PROPERTIES,
        Unset,
        "Further settings for librdkafka, by its names, such as security.protocol and sasl.username.",
    ),
    key(
        "topics.events",
        Text("events"),
        "The topic with all events, keyed by customer_id; or a list of topics that have them between them, with as many\n\
         partitions each and the same partitioner. Of a customer the events of all of them are judged in the order of their\n\
         times (see time.merge_wait). The list stays as it is for as long as the application lives.",
    ),
    key("topics.alerts", Text("alerts"), "Where alerts go, keyed by customer_id."),
    key("topics.dead_letters", Text("dead-letters"), "Where events go that cannot be read."),
    key(
        "topics.journal",
        ApplicationWith(".journal"),
        "What was done, for replay; of this application alone, partitioned as the events. Default: APPLICATION.journal.",
    ),
    key(
        "topics.rules",
        ApplicationWith(".rules"),
        "Every generation of the rules; of this application alone, one partition, compacted. Default: APPLICATION.rules.",
    ),
    key("topics.partitions", Text("6"), "Partitions of a topic that is created (number, 1 to 10000)."),
    key(
        "topics.replication",
        Text("broker"),
        "Replicas of a topic that is created (number, 1 to 100), or `broker` for the broker's own default.",
    ),
    key(
        "time.max_out_of_orderness",
        Text("1m"),
        "How much later than its neighbours an event may come before the watermark has passed it (duration).",
    ),
    key("time.history", Text("400d"), "How far back events are kept and accepted; no window is longer (duration)."),
    key(
        "time.max_future_skew",
        Text("5m"),
        "An event this far ahead of its record's timestamp is refused to the dead letters (duration).",
    ),
    key(
        "time.idle_after",
        Text("10s"),
        "A partition read to its end and quiet this long follows the wall clock (duration), or never.",
    ),
    key(
        "time.feed_timeout",
        Text("off"),
        "Input that is silent this long counts as broken and does not follow the wall clock (duration), or off.",
    ),
    key(
        "time.merge_wait",
        Text("5s"),
        "With several topics of events: how long the events of one wait for those of another that may be older, while\n\
         that one brings nothing and is not known to be at its end (duration).",
    ),
    key("time.timezone", Text("UTC"), "Time zone of date rules that name none (IANA name, such as Asia/Shanghai)."),
    key("commit.interval", Text("100ms"), "The longest a finished event waits for its transaction (duration)."),
    key("commit.min_interval", Text("5ms"), "The shortest time between the starts of two transactions (duration)."),
    key(
        "commit.max_batch",
        Text("10000"),
        "Records read at a time, and alerts in one transaction, about (number, 1 to 1000000).",
    ),
    key(
        "commit.write_behind",
        Text("5s"),
        "How often changed customers are written to the store, if they do not fill half of the cache before (duration).\n\
         Fewer writes, but as much more to replay after a crash.",
    ),
    key(
        "checkpoint.url",
        Unset,
        "Where checkpoints of the stores are kept: file:///DIRECTORY on a disk that outlives this machine, or\n\
         s3://BUCKET/PREFIX with credentials, region and endpoint from the usual AWS_... variables. Left out: there are none.",
    ),
    key("checkpoint.interval", Text("10m"), "How often each partition's store is copied there (duration)."),
    key(
        "checkpoint.keep",
        Text("2"),
        "Verified checkpoints of a partition that are kept (number, 2 to 1000); older ones are removed.",
    ),
    key(
        "checkpoint.prefetch",
        Text("false"),
        "Keep the newest checkpoints of partitions that other members have on this disk, too (true or false). Who takes one\n\
         over then downloads next to nothing; every machine needs the disk for all partitions.",
    ),
    key(
        "http.listen",
        Text("127.0.0.1:9464"),
        "Address of metrics and health (IP:PORT; port 0 takes a free one). It has no access control.",
    ),
    key("log.format", Text("auto"), "Format of log lines: human, json, or auto (human on a terminal, json otherwise)."),
    key(
        "log.filter",
        Text("info"),
        "What is logged: trace, debug, info, warn, error or off, also by module: info,tocsin::kafka=debug.",
    ),
];

/// The setting called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The setting whose name is most like `name`, if any is at all.
///
/// A name that lacks its section (`idle_after`) or has the wrong one is near, too.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static Key> {
    fn last(name: &str) -> &str {
        name.rsplit('.').next().unwrap_or(name)
    }
    let likeness = |key: &Key| {
        let whole = strsim::normalized_damerau_levenshtein(name, key.name);
        let tail = strsim::normalized_damerau_levenshtein(last(name), last(key.name));
        // The tails alone say less: two sections may have a key of one name.
        whole.max(tail * 0.9)
    };
    let (key, score) =
        KEYS.iter().map(|key| (key, likeness(key))).max_by(|(_, one), (_, other)| one.total_cmp(other))?;
    (score >= 0.6).then_some(key)
}

/// Settings with a flag of their own beside `--set`: the flag and the setting.
pub const NAMED_FLAGS: [(&str, &str); 3] =
    [("--bootstrap", "kafka.bootstrap"), ("--state-dir", "state_dir"), ("--rules", "rules")];

/// The flag to write for a setting.
#[must_use]
pub fn flag(name: &str) -> String {
    match NAMED_FLAGS.iter().find(|(_, key)| *key == name) {
        Some((flag, _)) => (*flag).to_owned(),
        None => format!("--set {name}=..."),
    }
}

/// The environment variable of a setting: its name in capitals, dots doubled into underscores.
#[must_use]
pub fn variable(name: &str) -> String {
    format!("{}{}", super::ENVIRONMENT_PREFIX, name.replace('.', "__").to_uppercase())
}
