//! What single values cannot tell: settings that contradict each other, and librdkafka's that contradict ours.

use std::collections::BTreeMap;

use tocsin_core::time::{DAY, HOUR, SECOND, format_duration};

use super::Config;
use super::given::{Given, Value};
use super::keys::PROPERTIES;
use super::properties::{self, MASK, Properties};
use super::read::{Reader, Refusal};

/// Below this the caches of a worker are smaller than its write buffers.
const MEMORY_MIN: u64 = 64_000_000;

/// Refuses combinations that cannot work. Every value is known to be one.
pub fn consistency(config: &Config, reader: &mut Reader<'_>) {
    topics(config, reader);
    time(config, reader);
    commit(config, reader);
    kafka(config, reader);
    checkpoint(config, reader);
    if config.memory_budget < MEMORY_MIN * config.workers as u64 {
        let what = format!("{} bytes are too few for {} worker(s)", config.memory_budget, config.workers);
        reader.refuse("memory_budget", Refusal::new(what, "give at least 64MB for each worker"));
    }
}

fn topics(config: &Config, reader: &mut Reader<'_>) {
    let topics = &config.topics;
    let mut seen = BTreeMap::new();
    for (key, name) in topics.events.iter().map(|name| ("topics.events", name)).chain([
        ("topics.alerts", &topics.alerts),
        ("topics.dead_letters", &topics.dead_letters),
        ("topics.journal", &topics.journal),
        ("topics.rules", &topics.rules),
    ]) {
        if let Some(other) = seen.insert(name, key) {
            let what = format!("`{name}` is the topic of {other} as well");
            reader.refuse(key, Refusal::new(what, "give each its own topic"));
        }
    }
}

fn time(config: &Config, reader: &mut Reader<'_>) {
    let time = &config.time;
    let history = format_duration(time.history);
    if time.history < HOUR {
        let what = format!("{history} is shorter than an hour; windows could see next to nothing");
        reader.refuse("time.history", Refusal::new(what, format!("the default is {}", format_duration(400 * DAY))));
    } else if time.max_out_of_orderness > time.history {
        let what = format!("is longer than time.history ({history}); late events would all be too old");
        reader.refuse("time.max_out_of_orderness", Refusal::new(what, "make it shorter, or the history longer"));
    }
    if time.idle_after == Some(0) {
        let next = "write never if the wall clock shall not move the watermark, or a time such as 10s";
        reader.refuse("time.idle_after", Refusal::new("must be more than 0s", next));
    }
    // A feed that breaks before it idles would never idle: that is what `never` says.
    if let (Some(idle), Some(feed)) = (time.idle_after, time.feed_timeout)
        && feed <= idle
    {
        let what = format!("{} is not longer than time.idle_after ({})", format_duration(feed), format_duration(idle));
        reader.refuse("time.feed_timeout", Refusal::new(what, "make it longer, or write off"));
    }
    if time.feed_timeout.is_some() && time.idle_after.is_none() {
        let next = "write off, or give time.idle_after a time";
        reader.refuse("time.feed_timeout", Refusal::new("has no effect while time.idle_after is never", next));
    }
}

fn commit(config: &Config, reader: &mut Reader<'_>) {
    let commit = &config.commit;
    for (key, value) in [("commit.interval", commit.interval), ("commit.write_behind", commit.write_behind)] {
        if value == 0 {
            reader.refuse(key, Refusal::new("must be more than 0s", "write a time such as 100ms"));
        }
    }
    if commit.min_interval > commit.interval {
        let what = format!("is longer than commit.interval ({})", format_duration(commit.interval));
        reader.refuse("commit.min_interval", Refusal::new(what, "make it at most as long"));
    }
}

fn checkpoint(config: &Config, reader: &mut Reader<'_>) {
    if config.checkpoint.interval < SECOND {
        let what = format!("{} is less than a second", format_duration(config.checkpoint.interval));
        let next = "write how much you are ready to replay on a machine without state, such as 10m";
        reader.refuse("checkpoint.interval", Refusal::new(what, next));
    }
}

fn kafka(config: &Config, reader: &mut Reader<'_>) {
    let kafka = &config.kafka;
    let most = 15 * 60 * SECOND;
    if !(SECOND..=most).contains(&kafka.transaction_timeout) {
        let next = "write 1s to 15m, the longest that brokers allow by default; readers of the alerts wait that long";
        let what = format!("{} is out of range", format_duration(kafka.transaction_timeout));
        reader.refuse("kafka.transaction_timeout", Refusal::new(what, next));
    } else if kafka.transaction_timeout <= 2 * config.commit.interval {
        let what = format!("is not well above commit.interval ({})", format_duration(config.commit.interval));
        let next = "make it more than twice as long, or transactions are aborted while they work";
        reader.refuse("kafka.transaction_timeout", Refusal::new(what, next));
    }
    if !(SECOND..=30 * 60 * SECOND).contains(&kafka.session_timeout) {
        let what = format!("{} is out of range", format_duration(kafka.session_timeout));
        reader.refuse("kafka.session_timeout", Refusal::new(what, "write 6s to 30m, as brokers allow by default"));
    }
    let heartbeat = kafka.properties.get("heartbeat.interval.ms").and_then(|text| text.parse::<i64>().ok());
    if heartbeat.is_some_and(|ms| ms >= kafka.session_timeout) {
        let key = format!("{PROPERTIES}.heartbeat.interval.ms");
        let what = "is not shorter than kafka.session_timeout";
        reader.refuse(&key, Refusal::new(what, "make it a third of that, or leave it out"));
    }
}

/// The settings for librdkafka. Whether it knows them it says itself, when a client is made.
pub fn properties(given: &Given, reader: &mut Reader<'_>) -> Properties {
    let mut pairs = Vec::new();
    for (name, setting) in given.properties() {
        let text = match &setting.value {
            Value::Text(text) => Ok(text.trim()),
            Value::List(_) => Err(Refusal::new("is a list", "give it one value, as librdkafka takes it")),
        };
        let checked = text.and_then(|text| match properties::owned(name) {
            Some(next) => Err(Refusal::new("is set by Tocsin itself", next)),
            None if text == MASK && properties::is_secret(name) => {
                let next = "give the value itself, best by its environment variable";
                Err(Refusal::new("holds the mask of --print-config, not a secret", next))
            }
            None => Ok(text.to_owned()),
        });
        match checked {
            Ok(text) => pairs.push((name.to_owned(), text)),
            Err(refusal) => reader.refuse(&setting.key, refusal),
        }
    }
    pairs.into_iter().collect()
}
