use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tocsin_core::alert::TransitionKind;
use tocsin_core::event::Catalog;
use tocsin_core::rule::{Presentation, Rule, RuleKey, RuleSet, Subject};

use super::*;

fn metrics() -> Arc<Metrics> {
    Metrics::with_clock(|| 1_000_000).unwrap()
}

/// The lines of one metric, without the prefix that they all have.
fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = metrics.render().unwrap();
    let lines = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    lines.map(|line| line[name.len()..].to_owned()).collect()
}

#[track_caller]
fn check(metrics: &Metrics, name: &str, expected: &[&str]) {
    assert_eq!(lines(metrics, name), expected, "{name}");
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for name in ["purchase", "complaint"] {
        catalog.add(name, Vec::new(), false).unwrap();
    }
    catalog
}

fn rule() -> Rule {
    Rule {
        id: "complaint-burst".into(),
        key: RuleKey::of("complaint-burst"),
        version: "1".into(),
        description: None,
        subject: Subject::Customer,
        scope: None,
        lets: Vec::new(),
        require: None,
        levels: Vec::new(),
        hold: 0,
        resolve_when: None,
        keep_firing_for: 0,
        cooldown: 0,
        presentation: Presentation::default(),
    }
}

#[test]
fn events_are_counted_by_type_and_outcome() {
    let (metrics, catalog) = (metrics(), catalog());
    let counters = metrics.event_counters(&catalog);
    let event_type = catalog.by_name("purchase").unwrap();
    counters.accepted(event_type.id, 5);
    counters.accepted(4_000, 7);
    let (partition, offset) = (0, 1);
    LateEvent { event_type, partition, offset, late_by_ms: 9 }.emit(&metrics);
    LateEvent { event_type, partition, offset, late_by_ms: 9 }.emit(&metrics);
    DuplicateEvent { event_type, partition, offset }.emit(&metrics);
    TooOldEvent { event_type, partition, offset, late_by_ms: 9 }.emit(&metrics);
    FieldsIgnored { event_type, partition, offset, fields: 3 }.emit(&metrics);
    check(
        &metrics,
        "tocsin_events_total",
        &[
            r#"{outcome="accepted",type="complaint"} 0"#,
            r#"{outcome="accepted",type="purchase"} 5"#,
            r#"{outcome="duplicate",type="complaint"} 0"#,
            r#"{outcome="duplicate",type="purchase"} 1"#,
            r#"{outcome="late",type="complaint"} 0"#,
            r#"{outcome="late",type="purchase"} 2"#,
            r#"{outcome="too_old",type="complaint"} 0"#,
            r#"{outcome="too_old",type="purchase"} 1"#,
        ],
    );
    check(&metrics, "tocsin_ignored_fields_total", &[r#"{type="complaint"} 0"#, r#"{type="purchase"} 3"#]);
}

#[test]
fn dead_letters_and_alerts_are_counted() {
    let (metrics, rule) = (metrics(), rule());
    let topic = "events";
    metrics.expect_dead_letters(&["malformed", "unknown_type"]);
    DeadLettered { reason: "malformed", topic, partition: 0, offset: 1, detail: "no `id`" }.emit(&metrics);
    check(&metrics, "tocsin_dead_letters_total", &[r#"{reason="malformed"} 1"#, r#"{reason="unknown_type"} 0"#]);

    AlertPublished { rule: &rule, kind: TransitionKind::Fired }.emit(&metrics);
    check(&metrics, "tocsin_alerts_total", &[r#"{rule="complaint-burst",transition="fired"} 1"#]);
    ItemRefused { rule: &rule, partition: 0 }.emit(&metrics);
    check(&metrics, "tocsin_items_refused_total", &[r#"{rule="complaint-burst"} 1"#]);

    MixedPartitioners { topic, partition: 0, offset: 1, expected_partition: 2 }.emit(&metrics);
    check(&metrics, "tocsin_split_customers_total", &[" 1"]);
}

/// `{label="value"} count`, for several values of one label.
#[track_caller]
fn check_by(metrics: &Metrics, name: &str, label: &str, expected: &[(&str, u64)]) {
    let expected: Vec<_> = expected.iter().map(|(value, count)| format!("{{{label}=\"{value}\"}} {count}")).collect();
    assert_eq!(lines(metrics, name), expected, "{name}");
}

#[test]
fn transactions_and_idle_partitions_are_counted() {
    let metrics = metrics();
    let topic = "events";
    let took = Duration::from_millis(3);
    TransactionCommitted { worker: 0, took, events: 10, records: 1 }.emit(&metrics);
    TransactionFailed { worker: 0, outcome: FailedOutcome::Fenced, error: "fenced" }.emit(&metrics);
    let outcomes = [("aborted", 0), ("committed", 1), ("failed", 0), ("fenced", 1), ("timed_out", 0)];
    check_by(&metrics, "tocsin_transactions_total", "outcome", &outcomes);
    check(&metrics, "tocsin_transaction_commit_duration_seconds_count", &[" 1"]);

    IdleAdvanced { topic, partition: 0, watermark: 5 }.emit(&metrics);
    check(&metrics, "tocsin_idle_advances_total", &[" 1"]);
    IdleRefused { topic, partition: 0, reason: IdleRefusal::ClockOff }.emit(&metrics);
    let refusals = [("backlog", 0), ("clock_off", 1), ("feed_broken", 0), ("no_answer", 0)];
    check_by(&metrics, "tocsin_idle_refusals_total", "reason", &refusals);
    FeedBroken { worker: 1, silent_ms: 9 }.emit(&metrics);
    check(&metrics, "tocsin_feed_broken", &[r#"{worker="1"} 1"#]);
    FeedRestored { worker: 1 }.emit(&metrics);
    check(&metrics, "tocsin_feed_broken", &[r#"{worker="1"} 0"#]);
}

#[test]
fn stores_workers_and_times_are_counted() {
    let metrics = metrics();
    let topic = "events";
    let took = Duration::from_millis(3);
    StoreSetAside { partition: 0, path: "old".as_ref(), reason: "damaged" }.emit(&metrics);
    ReplayDiverged { topic, partition: 0, journal_offset: 1 }.emit(&metrics);
    WorkerDied { worker: 0, reason: "panic" }.emit(&metrics);
    Rebalanced { worker: 0, partitions: 3 }.emit(&metrics);
    metrics.count_timers_judged(4);
    for (name, expected) in [
        ("tocsin_stores_set_aside_total", " 1"),
        ("tocsin_replays_diverged_total", " 1"),
        ("tocsin_workers_died_total", " 1"),
        ("tocsin_rebalances_total", " 1"),
        ("tocsin_timers_judged_total", " 4"),
    ] {
        check(&metrics, name, &[expected]);
    }

    StoreWritten { partition: 0, took, customers: 2 }.emit(&metrics);
    metrics.observe_poll(took);
    metrics.observe_batch(20, took);
    for name in ["tocsin_store_write_duration", "tocsin_poll_duration", "tocsin_apply_duration"] {
        check(&metrics, &format!("{name}_seconds_count"), &[" 1"]);
        check(&metrics, &format!("{name}_seconds_sum"), &[" 0.003"]);
    }
    check(&metrics, "tocsin_batch_events_sum", &[" 20"]);
    let version = format!("{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    check(&metrics, "tocsin_build_info", &[&version]);
}

#[test]
fn checkpoints_are_counted_and_aged() {
    let metrics = metrics();
    let (topic, took, sequence) = ("events", Duration::from_secs(2), 5);
    let gauges = PartitionAssigned { worker: 0, topic, partition: 3 }.emit(&metrics);
    check(&metrics, "tocsin_checkpoint_age_seconds", &[]);
    metrics.expect_checkpoint(topic, 3, 900_000);
    metrics.expect_checkpoint(topic, 3, 950_000);
    check(&metrics, "tocsin_checkpoint_age_seconds", &[r#"{partition="3",topic="events"} 100"#]);
    CheckpointTaken { topic, partition: 3, sequence, took }.emit(&metrics);
    let uploaded = CheckpointUploaded {
        topic,
        partition: 3,
        sequence,
        created_at: 400_000,
        bytes: 100,
        new_bytes: 10,
        new_blobs: 1,
        took,
    };
    uploaded.emit(&metrics);
    CheckpointUploaded { partition: 4, ..uploaded }.emit(&metrics);
    check(&metrics, "tocsin_checkpoint_age_seconds", &[r#"{partition="3",topic="events"} 600"#]);
    for (kept_s, at_risk) in [(0, " 0"), (1_201, " 0"), (1_199, " 1")] {
        metrics.set_log_retention(Duration::from_secs(kept_s));
        check(&metrics, "tocsin_checkpoints_at_risk", &[at_risk]);
    }
    gauges.set_checkpoint_time(2_000_000);
    check(&metrics, "tocsin_checkpoint_age_seconds", &[r#"{partition="3",topic="events"} 0"#]);
    CheckpointFailed { topic, partition: 3, stage: CheckpointFailure::Upload, error: "down" }.emit(&metrics);
    check_by(
        &metrics,
        "tocsin_checkpoint_failures_total",
        "stage",
        &[("fetch", 0), ("prefetch", 0), ("sweep", 0), ("take", 0), ("upload", 1)],
    );
    CheckpointSuperseded { topic, partition: 3, sequence, by: 6 }.emit(&metrics);
    CheckpointRefused { partition: 3, sequence, reason: "torn" }.emit(&metrics);
    CheckpointFetched { topic, partition: 3, sequence, bytes: 100, downloaded: 30, took }.emit(&metrics);
    for (name, expected) in [
        ("tocsin_checkpoint_uploaded_bytes_total", " 20"),
        ("tocsin_checkpoint_fetched_bytes_total", " 30"),
        ("tocsin_checkpoints_superseded_total", " 1"),
        ("tocsin_checkpoints_refused_total", " 1"),
        ("tocsin_checkpoint_take_duration_seconds_count", " 1"),
        ("tocsin_checkpoint_upload_duration_seconds_sum", " 4"),
        ("tocsin_checkpoint_fetch_duration_seconds_sum", " 2"),
    ] {
        check(&metrics, name, &[expected]);
    }
}

#[test]
fn a_partition_is_shown_while_it_is_assigned() {
    let metrics = metrics();
    let (worker, topic) = (0, "events");
    let gauges = PartitionAssigned { worker, topic, partition: 3 }.emit(&metrics);
    let other = PartitionAssigned { worker, topic, partition: 4 }.emit(&metrics);
    check(&metrics, "tocsin_lag_records", &[]);
    check(&metrics, "tocsin_watermark_staleness_seconds", &[]);
    gauges.set_lag("events", 7);
    gauges.set_watermark(940_000);
    gauges.set_store_bytes(4096);
    other.set_cached_customers(12);
    let series = |value: &str| format!("{{partition=\"3\",topic=\"events\"}} {value}");
    check(&metrics, "tocsin_lag_records", &[&series("7")]);
    check(&metrics, "tocsin_watermark_timestamp_seconds", &[&series("940")]);
    check(&metrics, "tocsin_watermark_staleness_seconds", &[&series("60")]);
    gauges.set_lag("answers", 2);
    let further = r#"{partition="3",topic="answers"} 2"#;
    check(&metrics, "tocsin_lag_records", &[further, &series("7")]);
    let other = r#"{partition="4",topic="events"} 0"#;
    check(&metrics, "tocsin_store_size_bytes", &[&series("4096"), other]);

    assert_eq!(metrics.restoring(), [(topic.to_owned(), 3), (topic.to_owned(), 4)]);
    RestoreDone { topic, partition: 3, took: Duration::from_secs(2), replayed: 100 }.emit(&metrics);
    assert_eq!(metrics.restoring(), [(topic.to_owned(), 4)]);
    check(&metrics, "tocsin_partitions_assigned", &[" 2"]);
    check(&metrics, "tocsin_partitions_restoring", &[" 1"]);
    check(&metrics, "tocsin_restore_duration_seconds_sum", &[" 2"]);

    PartitionRevoked { worker, topic, partition: 3, lost: false }.emit(&metrics);
    gauges.set_lag("events", 9);
    check(&metrics, "tocsin_lag_records", &[]);
    check(&metrics, "tocsin_partitions_assigned", &[" 1"]);
}

#[test]
fn generations_of_rules_show_and_their_rules_are_expected() {
    let metrics = metrics();
    check(&metrics, "tocsin_rules_newest_generation", &[" 0"]);
    let rules = RuleSet { rules: vec![Arc::new(rule())], ..RuleSet::default() };
    GenerationRead { generation: 7, fingerprint: "0", applied_by: "ann@desk", rules: &rules }.emit(&metrics);
    check(&metrics, "tocsin_rules_newest_generation", &[" 7"]);
    assert_eq!(lines(&metrics, "tocsin_alerts_total").len(), 3, "a first alert is an increase");
    for _ in 0..2 {
        RulesUnreachable { reason: "no answer" }.emit(&metrics);
    }
    check(&metrics, "tocsin_rules_unreachable_total", &[" 2"]);
}

#[test]
fn the_text_is_what_prometheus_reads() {
    let metrics = metrics();
    metrics.count_timers_judged(1);
    let text = metrics.render().unwrap();
    let expected = "# HELP tocsin_timers_judged_total Deadlines of customers that were judged.\n\
                    # TYPE tocsin_timers_judged_total counter\ntocsin_timers_judged_total 1\n";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
}

#[test]
fn names_keep_to_the_rules_of_prometheus() {
    let metrics = metrics();
    for name in metrics.names() {
        let units = ["_total", "_seconds", "_bytes", "_records", "_info", "_events"];
        let unitless = [
            "tocsin_partitions_assigned",
            "tocsin_partitions_restoring",
            "tocsin_cached_customers",
            "tocsin_feed_broken",
            "tocsin_checkpoints_at_risk",
            "tocsin_rules_generation",
            "tocsin_rules_newest_generation",
            "tocsin_sweep_customers",
        ];
        let fine = units.iter().any(|unit| name.ends_with(unit)) || unitless.contains(&name.as_str());
        assert!(name.starts_with("process_") || name.starts_with("tocsin_") && fine, "{name}");
    }
}

#[test]
fn the_alerting_rules_name_only_metrics_that_exist() {
    let rules = include_str!("../../../deploy/prometheus/alerts.yml");
    let metrics = metrics();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let used: BTreeSet<_> = rules
        .split(|c| !is_name(c))
        .filter(|word| word.starts_with("tocsin_") || word.starts_with("process_"))
        .collect();
    assert!(used.len() > 10, "{used:?}");
    for name in used {
        let base = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(metrics.names().contains(base), "alerts.yml names {name}, which does not exist");
    }
}

/// A log that is kept.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_are_throttled_and_counts_are_not() {
    let (metrics, kept, catalog) = (metrics(), Kept::default(), catalog());
    let writer = kept.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        for offset in 0..1000 {
            let detail = "no `id`";
            DeadLettered { reason: "malformed", topic: "events", partition: 0, offset, detail }.emit(&metrics);
            let event_type = catalog.by_name("purchase").unwrap();
            LateEvent { event_type, partition: 0, offset, late_by_ms: 1 }.emit(&metrics);
        }
    });
    check(&metrics, "tocsin_dead_letters_total", &[r#"{reason="malformed"} 1000"#]);
    let log = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert_eq!(
        (&lines[0]["level"], &lines[0]["offset"], &lines[0]["reason"]),
        (&"WARN".into(), &0.into(), &"malformed".into())
    );
    assert_eq!((&lines[1]["message"], &lines[1]["type"]), (&"late event".into(), &"purchase".into()));
}
