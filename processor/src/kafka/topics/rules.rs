//! What the settings of a topic must and should be. Knows no broker.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::task::partitions_added;

/// Settings of a topic, by Kafka's names.
pub(super) type TopicConfig = BTreeMap<String, String>;

/// What a topic keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// `None`: whatever its age.
    pub age: Option<Duration>,
    /// Of one partition. `None`: however much it is.
    pub bytes: Option<u64>,
}

/// A journal that forgets sooner cannot restore a store of a few days ago.
const SHORTEST_JOURNAL: Duration = Duration::from_hours(7 * 24);

/// Settings of the topics that are created here.
pub(super) const NEW_EVENTS: &[(&str, &str)] =
    &[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("message.timestamp.type", "LogAppendTime")];
pub(super) const NEW_JOURNAL: &[(&str, &str)] = NEW_EVENTS;
pub(super) const NEW_RULES: &[(&str, &str)] = &[("cleanup.policy", "compact")];
/// A clock that is an hour ahead would have its records refused, if they were stamped by who writes them.
pub(super) const NEW_OUTPUT: &[(&str, &str)] =
    &[("cleanup.policy", "delete"), ("message.timestamp.type", "LogAppendTime")];

pub(super) fn retention(config: &TopicConfig) -> Retention {
    let limit = |name: &str| {
        config.get(name).and_then(|value| value.parse::<i64>().ok()).and_then(|value| u64::try_from(value).ok())
    };
    Retention { age: limit("retention.ms").map(Duration::from_millis), bytes: limit("retention.bytes") }
}

/// Warnings about the events topic.
///
/// # Errors
/// What makes it unusable.
pub(super) fn check_events(
    topic: &str,
    config: &TopicConfig,
    max_future_skew: Duration,
) -> Result<Vec<String>, String> {
    not_compacted(topic, config)?;
    let mut warnings = Vec::new();
    let kept = retention(config);
    if let Some(what) = limits(kept) {
        warnings.push(format!(
            "{topic} keeps events for {what} only: state older than that cannot be rebuilt from it, and a store or a \
             checkpoint that lags further behind is of no use"
        ));
    }
    let stamped_by_broker = config.get("message.timestamp.type").is_some_and(|kind| kind == "LogAppendTime");
    let ahead = future_limit(config);
    if !stamped_by_broker && ahead.is_none_or(|ahead| ahead > max_future_skew) {
        let ahead =
            ahead.map_or_else(|| "as far ahead as they like".to_owned(), |ahead| format!("{} ahead", show(ahead)));
        warnings.push(format!(
            "producers may stamp records of {topic} {ahead}: one bad clock can then fire inactivity alerts of everybody. \
             Set message.timestamp.after.max.ms to at most {} or message.timestamp.type to LogAppendTime",
            max_future_skew.as_millis()
        ));
    }
    Ok(warnings)
}

/// As [`check_events`], for the journal.
pub(super) fn check_journal(topic: &str, config: &TopicConfig) -> Result<Vec<String>, String> {
    not_compacted(topic, config)?;
    let kept = retention(config);
    if kept.age.is_some_and(|age| age < SHORTEST_JOURNAL) {
        return Err(format!(
            "{topic} keeps the journal for {} only, and a task cannot be restored without it: set retention.ms to -1, or \
             to more than the age of the oldest checkpoint that is kept, and 7 days at the least",
            kept.age.map(show).unwrap_or_default()
        ));
    }
    let mut warnings = Vec::new();
    if let Some(what) = limits(kept) {
        warnings.push(format!(
            "{topic} keeps the journal for {what} only: a store or a checkpoint older than that cannot be restored. Set \
             retention.ms and retention.bytes to -1"
        ));
    }
    if config.get("message.timestamp.type").is_none_or(|kind| kind != "LogAppendTime") {
        warnings.push(format!(
            "{topic} has message.timestamp.type={}: without LogAppendTime our clock cannot be compared with the broker's, \
             and a wrong one moves the watermark of idle partitions",
            config.get("message.timestamp.type").map_or("CreateTime", String::as_str)
        ));
    }
    Ok(warnings)
}

/// A customer's events of all topics lie in partitions of the same number.
pub(super) fn check_inputs(topics: &[(&str, i32)]) -> Result<(), String> {
    let most = topics.iter().map(|(_, partitions)| *partitions).max().unwrap_or_default();
    if topics.iter().all(|(_, partitions)| *partitions == most) {
        return Ok(());
    }
    let counts: Vec<_> = topics.iter().map(|(topic, partitions)| format!("{topic} has {partitions}")).collect();
    Err(format!(
        "the input topics must have as many partitions each, for a customer's events are brought together by the number of \
         the partition, but {}. Make new topics with {most} partitions in place of those that have fewer, and of any whose \
         partitions were added later, for their keys have moved; copy the events into them by their keys, with the same \
         partitioner; and start on those with another `application` id",
        counts.join(", ")
    ))
}

/// The journal record of a partition lies in the partition of the same number.
pub(super) fn check_partitions(events: (&str, i32), journal: (&str, i32)) -> Result<(), String> {
    let ((events, wanted), (journal, found)) = (events, journal);
    if wanted == found {
        return Ok(());
    }
    let advice = if found < wanted {
        format!(
            "if this application has never run, add some: kafka-topics.sh --alter --topic {journal} --partitions {wanted}. If \
             it has, {}",
            partitions_added(events, found, wanted)
        )
    } else {
        format!(
            "the state of {found} partitions does not fit {wanted}: use another application name, or another journal"
        )
    };
    Err(format!("{journal} has {found} partitions, but {events} has {wanted}, and they must be as many: {advice}"))
}

/// What makes the topic of the rules unusable: whatever deletes a generation that a partition may still have to adopt.
pub(super) fn check_rules(topic: &str, config: &TopicConfig) -> Result<(), String> {
    let policy = config.get("cleanup.policy").map_or("delete", String::as_str);
    if policy.trim() == "compact" {
        return Ok(());
    }
    Err(format!(
        "{topic} has cleanup.policy={policy}, so generations of the rules would be deleted with time, and partitions that \
         have yet to adopt them could not go on: kafka-configs.sh --alter --topic {topic} --add-config \
         cleanup.policy=compact"
    ))
}

/// Generations have an order, so they lie in one partition.
pub(super) fn check_rules_partitions(topic: &str, found: i32) -> Result<(), String> {
    if found == 1 {
        return Ok(());
    }
    Err(format!(
        "{topic} has {found} partitions, but the generations of the rules must have an order, and so lie in one: name \
         another topic by topics.rules. If this one holds generations already, copy them there in their order, keys and all"
    ))
}

fn not_compacted(topic: &str, config: &TopicConfig) -> Result<(), String> {
    let policy = config.get("cleanup.policy").map_or("delete", String::as_str);
    if policy.split(',').any(|policy| policy.trim() == "compact") {
        return Err(format!(
            "{topic} has cleanup.policy={policy}: compaction removes records that a replay needs. Set cleanup.policy=delete, \
             and start with a topic that was never compacted"
        ));
    }
    Ok(())
}

/// How far ahead of the broker's clock a producer may stamp; `None`: without limit. Brokers before 3.6 have one setting
/// for both directions.
fn future_limit(config: &TopicConfig) -> Option<Duration> {
    let limit = ["message.timestamp.after.max.ms", "message.timestamp.difference.max.ms"]
        .iter()
        .find_map(|name| config.get(*name)?.parse::<u64>().ok());
    limit.filter(|limit| *limit < i64::MAX as u64).map(Duration::from_millis)
}

fn limits(kept: Retention) -> Option<String> {
    match (kept.age, kept.bytes) {
        (None, None) => None,
        (Some(age), None) => Some(show(age)),
        (None, Some(bytes)) => Some(format!("{bytes} bytes a partition")),
        (Some(age), Some(bytes)) => Some(format!("{}, and {bytes} bytes a partition", show(age))),
    }
}

fn show(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let unit = units.iter().find(|(size, _)| milliseconds >= *size && milliseconds.is_multiple_of(*size));
    unit.map_or_else(|| "0 ms".to_owned(), |(size, name)| format!("{} {name}", milliseconds / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKEW: Duration = Duration::from_mins(5);

    fn config(settings: &[(&str, &str)]) -> TopicConfig {
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn check(found: Result<Vec<String>, String>, expected: &[&str]) {
        match found {
            Ok(warnings) => {
                assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
                for (warning, part) in warnings.iter().zip(expected) {
                    assert!(warning.contains(part), "{warning}");
                }
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn topics_made_here_are_beyond_reproach() {
        check(check_events("events", &config(NEW_EVENTS), SKEW), &[]);
        check(check_journal("journal", &config(NEW_JOURNAL)), &[]);
    }

    #[test]
    fn events_that_expire_and_producers_that_stamp_the_future_are_warned_about() {
        let defaults = [
            ("cleanup.policy", "delete"),
            ("retention.ms", "604800000"),
            ("retention.bytes", "-1"),
            ("message.timestamp.type", "CreateTime"),
            ("message.timestamp.after.max.ms", "3600000"),
        ];
        check(check_events("events", &config(&defaults), SKEW), &["for 7 d only", "1 h ahead"]);
        check(check_events("events", &config(&defaults), Duration::from_hours(1)), &["for 7 d only"]);
        let old = [("retention.ms", "-1"), ("message.timestamp.difference.max.ms", "9223372036854775807")];
        check(check_events("events", &config(&old), SKEW), &["as far ahead as they like"]);
    }

    #[test]
    fn compaction_and_a_short_journal_are_refused() {
        for policy in ["compact", "delete, compact"] {
            let compacted = config(&[("cleanup.policy", policy)]);
            assert!(check_events("events", &compacted, SKEW).is_err_and(|error| error.contains("cleanup.policy")));
            assert!(check_journal("journal", &compacted).is_err_and(|error| error.contains("cleanup.policy")));
        }
        let short = config(&[("retention.ms", "3600000")]);
        assert!(check_journal("journal", &short).is_err_and(|error| error.contains("for 1 h only")));
        let week = config(&[("retention.ms", "604800000"), ("retention.bytes", "1000")]);
        check(check_journal("journal", &week), &["7 d, and 1000 bytes", "CreateTime"]);
    }

    #[test]
    fn no_generation_of_the_rules_may_be_deleted() {
        assert_eq!(check_rules("rules", &config(NEW_RULES)), Ok(()));
        for policy in ["delete", "compact,delete", "delete, compact"] {
            let refused = check_rules("rules", &config(&[("cleanup.policy", policy)]));
            assert!(refused.is_err_and(|error| error.contains(&format!("cleanup.policy={policy}"))), "{policy}");
        }
        assert!(check_rules("rules", &config(&[])).is_err(), "deleting is Kafka's default");
        assert_eq!(check_rules_partitions("rules", 1), Ok(()));
        let several = check_rules_partitions("rules", 6);
        assert!(several.is_err_and(|error| error.contains("6 partitions") && error.contains("topics.rules")));
    }

    #[test]
    fn all_input_topics_have_as_many_partitions() {
        assert_eq!(check_inputs(&[("events", 6)]), Ok(()));
        assert_eq!(check_inputs(&[("events", 6), ("answers", 6)]), Ok(()));
        let unlike = check_inputs(&[("events", 6), ("answers", 6), ("more", 8)]).unwrap_err();
        for part in ["events has 6, answers has 6, more has 8", "topics with 8 partitions", "`application` id"] {
            assert!(unlike.contains(part), "{unlike}");
        }
    }

    #[test]
    fn the_journal_has_as_many_partitions_as_the_events() {
        assert_eq!(check_partitions(("events", 6), ("journal", 6)), Ok(()));
        let fewer = check_partitions(("events", 6), ("journal", 4));
        assert!(fewer.is_err_and(|error| error.contains("--alter --topic journal --partitions 6")));
        let more = check_partitions(("events", 4), ("journal", 6));
        assert!(more.is_err_and(|error| error.contains("another application name")));
    }
}
