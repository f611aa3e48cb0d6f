use std::ffi::OsString;
use std::path::Path;

use tocsin_core::time::{DAY, MINUTE, SECOND};

use super::keys::{Initial, KEYS, PROPERTIES};
use super::*;

/// The least that has to be given.
const LEAST: &str = "rules: rules\nkafka: {bootstrap: 'localhost:9092'}\n";

fn write(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("tocsin.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

fn given(file: &str, environment: &[(&str, &str)], set: &[&str]) -> Given {
    let dir = tempfile::tempdir().unwrap();
    let sources = Sources {
        file: Some(write(dir.path(), file)),
        environment: environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect(),
        flags: set.iter().map(|text| Flag::Set((*text).to_owned())).collect(),
    };
    Given::read(&sources)
}

/// What is refused, one line a problem; the directory of the file is left out.
fn problems(given: &Given) -> Vec<String> {
    let Err(Problems(problems)) = given.config() else { return Vec::new() };
    let line = |problem: &Problem| {
        let text = problem.to_string().replace("\n      ", " | ");
        match text.find("tocsin.yaml") {
            Some(start) => text[start..].to_owned(),
            None => text,
        }
    };
    problems.iter().map(line).collect()
}

fn with(file: &str) -> Given {
    given(&format!("{LEAST}{file}"), &[], &[])
}

#[track_caller]
fn check(file: &str, expected: &[&str]) {
    assert_eq!(problems(&with(file)), expected, "{file}");
}

#[test]
fn little_has_to_be_given() {
    let config = with("").config().unwrap();
    assert_eq!((config.application.as_str(), config.workers), ("tocsin", 1));
    assert_eq!((config.topics.journal.as_str(), config.topics.rules.as_str()), ("tocsin.journal", "tocsin.rules"));
    assert_eq!(
        (config.time.history, config.time.idle_after, config.time.feed_timeout),
        (400 * DAY, Some(10_000), None)
    );
    assert_eq!(config.kafka.session_timeout, 10 * SECOND);
    assert_eq!(config.memory_budget, 1_000_000_000);
    assert_eq!(config.state_compression, StateCompression::Lz4);
    assert_eq!(with("state_compression: zstd").config().unwrap().state_compression, StateCompression::Zstd);
    assert_eq!((config.partitioner, config.topics.replication, config.schemas), (None, None, None));
    assert!(!config.instance.is_empty());
    assert_eq!(config.rules.as_deref(), Some(Path::new("rules")));
    assert_eq!(
        problems(&given("", &[], &[])),
        ["kafka.bootstrap: is not given | set it in the file, by TOCSIN_KAFKA__BOOTSTRAP or by --bootstrap",]
    );
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = format!("{LEAST}workers: 2\ncommit: {{max_batch: 2, interval: 2s}}");
    let environment = [("TOCSIN_WORKERS", "3"), ("TOCSIN_COMMIT__MAX_BATCH", "3"), ("PATH", "/bin")];
    let config = given(&file, &environment, &["workers=4"]).config().unwrap();
    assert_eq!((config.workers, config.commit.max_batch, config.commit.interval), (4, 3, 2 * SECOND));

    let flags = vec![
        Flag::Named { flag: "--bootstrap", key: "kafka.bootstrap", value: "a:1,b:2".to_owned() },
        Flag::Set("rules=one".to_owned()),
        Flag::Set("rules=two".to_owned()),
    ];
    let config = Given::read(&Sources { flags, ..Sources::default() }).config().unwrap();
    assert_eq!((config.kafka.bootstrap.as_str(), config.rules.as_deref()), ("a:1,b:2", Some(Path::new("two"))));
}

#[test]
fn a_wrong_name_is_refused_where_it_stands() {
    check("wrokers: 2", &["tocsin.yaml:3: wrokers: there is no such setting | did you mean workers?"]);
    check(
        "\n\ntime:\n  idle_afer: 1s",
        &["tocsin.yaml:6: time.idle_afer: there is no such setting | did you mean time.idle_after?"],
    );
    check("idle_after: 1s", &["tocsin.yaml:3: idle_after: there is no such setting | did you mean time.idle_after?"]);
    check("qqq: 1", &["tocsin.yaml:3: qqq: there is no such setting | tocsin run --print-config lists all settings"]);
    check(
        "workers: {a: 1}",
        &["tocsin.yaml:3: workers.a: there is no such setting: `workers` has no parts | give workers one value"],
    );
    check(
        "time: 1m",
        &["tocsin.yaml:3: time: is a section, not a setting | give its settings, such as time.max_out_of_orderness"],
    );
    let environment = [("TOCSIN_KAFKA__BOOTSTRP", "x"), ("TOCSIN_WORKER", "2")];
    assert_eq!(
        problems(&given(LEAST, &environment, &["log.fromat=json", "nothing"])),
        [
            "TOCSIN_KAFKA__BOOTSTRP: kafka.bootstrp: there is no such setting | did you mean TOCSIN_KAFKA__BOOTSTRAP?",
            "TOCSIN_WORKER: worker: there is no such setting | did you mean TOCSIN_WORKERS?",
            "--set nothing: no `=` in it | write --set KEY=VALUE, such as --set workers=2",
            "--set log.fromat: there is no such setting | did you mean --set log.format=...?",
        ]
    );
}

#[test]
fn a_setting_given_twice_in_one_place_is_refused() {
    for (file, expected) in [
        ("commit.interval: 1s\ncommit: {interval: 2s}", "tocsin.yaml:4: commit.interval: given twice, first by "),
        ("workers: 1\nworkers: 2", "tocsin.yaml:4: workers: given twice, first by "),
    ] {
        let problems = problems(&with(file));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with(expected) && problems[0].contains("tocsin.yaml:3 |"), "{problems:?}");
    }
    let flags = vec![
        Flag::Set("kafka.bootstrap=a:1".to_owned()),
        Flag::Named { flag: "--bootstrap", key: "kafka.bootstrap", value: "b:1".to_owned() },
        Flag::Set("rules=r".to_owned()),
    ];
    assert_eq!(
        problems(&Given::read(&Sources { flags, ..Sources::default() })),
        ["--bootstrap: kafka.bootstrap: given twice, first by --set kafka.bootstrap | keep one of them"]
    );
}

#[test]
fn wrong_values_are_refused_with_what_to_write() {
    for (file, expected) in [
        ("workers: 0", "workers: `0` is not usable | write a whole number from 1 to 256"),
        ("workers: [1]", "workers: is a list | give it one value"),
        ("workers: ''", "workers: is empty | give it a value, or remove it to have the default"),
        (
            "time: {idle_after: 10 s}",
            "time.idle_after: `10 s` is not a duration | write whole numbers with the units ms, s, m, h, d, w, \
             such as `90d` or `1d12h`, or never",
        ),
        (
            "memory_budget: 1000",
            "memory_budget: `1000` is not a size | write a whole number and a unit: 512MB, 1GB, 1GiB \
             (KB MB GB TB by 1000, KiB MiB GiB TiB by 1024)",
        ),
        (
            "log: {filter: 'inof,tocsin::kafka=debug'}",
            "log.filter: `inof` is not a level | write a level (trace, debug, info, warn, error, off), or a level and \
             modules: info,tocsin::kafka=debug",
        ),
        ("partitioner: md5", "partitioner: `md5` is not one of its values | write one of: murmur2, crc32, null"),
        ("kafka.create_topics: yes", "kafka.create_topics: `yes` is not one of its values | write one of: true, false"),
        (
            "time: {timezone: Asia/Shangai}",
            "time.timezone: `Asia/Shangai` is not a time zone | did you mean Asia/Shanghai?",
        ),
        (
            "topics: {alerts: my alerts}",
            "topics.alerts: `my alerts` is not a name that Kafka takes | write up to 200 letters (a to z), digits, \
             `.`, `_` and `-`",
        ),
        ("topics: {events: [a, b, a]}", "topics.events: `a` is given twice | give each topic once"),
        (
            "topics: {events: [a, b c]}",
            "topics.events: `b c` is not a name that Kafka takes | write up to 200 letters (a to z), digits, \
             `.`, `_` and `-`",
        ),
        (
            "checkpoint: {url: /var/lib/checkpoints}",
            "checkpoint.url: `/var/lib/checkpoints` is not usable | write file:///DIRECTORY or s3://BUCKET/PREFIX",
        ),
        ("checkpoint: {keep: 1}", "checkpoint.keep: `1` is not usable | write a whole number from 2 to 1000"),
        (
            "http: {listen: 'localhost:1'}",
            "http.listen: `localhost:1` is not an address | write IP:PORT: 127.0.0.1:9464 for this machine only, \
             0.0.0.0:9464 for every network it is on",
        ),
    ] {
        check(file, &[&format!("tocsin.yaml:3: {expected}")]);
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for (file, expected) in [
        ("time: {idle_after: 0s}", "time.idle_after: must be more than 0s"),
        ("time: {feed_timeout: 5s}", "time.feed_timeout: 5s is not longer than time.idle_after (10s)"),
        ("time: {idle_after: never, feed_timeout: 1h}", "time.feed_timeout: has no effect while"),
        ("time: {max_out_of_orderness: 401d}", "time.max_out_of_orderness: is longer than time.history (400d)"),
        ("time: {history: 1s}", "time.history: 1s is shorter than an hour"),
        ("commit: {min_interval: 101ms}", "commit.min_interval: is longer than commit.interval (100ms)"),
        ("commit: {write_behind: 0s}", "commit.write_behind: must be more than 0s"),
        ("checkpoint: {interval: 999ms}", "checkpoint.interval: 999ms is less than a second"),
        ("kafka: {transaction_timeout: 1h}", "kafka.transaction_timeout: 1h is out of range"),
        ("commit: {interval: 5s}", "kafka.transaction_timeout: is not well above commit.interval (5s)"),
        ("kafka: {session_timeout: 1ms}", "kafka.session_timeout: 1ms is out of range"),
        (
            "kafka: {properties: {heartbeat.interval.ms: 10000}}",
            "kafka.properties.heartbeat.interval.ms: is not shorter",
        ),
        ("topics: {rules: tocsin.journal}", "topics.rules: `tocsin.journal` is the topic of topics.journal as well"),
        ("topics: {events: [a, b], alerts: b}", "topics.alerts: `b` is the topic of topics.events as well"),
        ("topics: {alerts: events}", "topics.alerts: `events` is the topic of topics.events as well"),
        ("memory_budget: 100MB\nworkers: 2", "memory_budget: 100000000 bytes are too few for 2 worker(s)"),
    ] {
        let file = file.replace("kafka: {", "kafka: {bootstrap: 'a:1', ");
        let base = if file.contains("bootstrap") { "rules: r\n" } else { LEAST };
        let problems = problems(&given(&format!("{base}{file}"), &[], &[]));
        assert_eq!(problems.len(), 1, "{file}: {problems:?}");
        assert!(problems[0].contains(expected), "{file}: {problems:?}");
    }
}

#[test]
fn librdkafka_settings_are_passed_on_but_for_our_own() {
    let file = "rules: r\nkafka:\n  bootstrap: [a:1, b:2]\n  properties:\n    security.protocol: SASL_SSL\n    sasl: {password: 0123}\n";
    let environment = [("TOCSIN_KAFKA__PROPERTIES__SASL__USERNAME", "me"), ("TOCSIN_KAFKA__PROPERTIES__SSL_KEY", "k")];
    let config = given(file, &environment, &["kafka.properties.debug=broker"]).config().unwrap();
    let expected = [
        ("debug", "broker"),
        ("sasl.password", "0123"),
        ("sasl.username", "me"),
        ("security.protocol", "SASL_SSL"),
        ("ssl_key", "k"),
    ];
    assert_eq!(config.kafka.properties.iter().collect::<Vec<_>>(), expected);
    assert_eq!(config.kafka.bootstrap, "a:1,b:2");
    assert!(!format!("{config:?}").contains("0123"));

    check(
        "kafka.properties.group.id: x",
        &["tocsin.yaml:3: kafka.properties.group.id: is set by Tocsin itself | it is the name of the application: \
           use application"],
    );
    check(
        "kafka.properties.sasl.password: '********'",
        &["tocsin.yaml:3: kafka.properties.sasl.password: holds the mask of --print-config, not a secret | \
           give the value itself, best by its environment variable"],
    );
}

#[test]
fn what_is_printed_reads_back_the_same() {
    let file = "workers: 3\ntime: {idle_after: never}\npartitioner: crc32\ntopics: {events: [all-events]}\n";
    let environment = [
        ("TOCSIN_LOG__FILTER", "info,tocsin::kafka=debug"),
        ("TOCSIN_KAFKA__PROPERTIES__CLIENT__RACK", "a: \"b\" #c\\"),
        ("TOCSIN_STATE_DIR", "/var/lib/tocsin"),
    ];
    let first = given(&format!("{LEAST}{file}"), &environment, &["schemas=true"]);
    let printed = first.to_yaml();
    assert!(printed.contains("workers: 3  # from "), "{printed}");
    assert!(printed.contains("  idle_after: never  # from "), "{printed}");
    let second = given(&printed, &[], &[]);
    assert_eq!(first.config(), second.config(), "{printed}");

    let secret = given(LEAST, &[("TOCSIN_KAFKA__PROPERTIES__SASL__PASSWORD", "hunter2")], &[]).to_yaml();
    assert!(
        secret.contains("sasl.password: \"********\"  # from TOCSIN_KAFKA__PROPERTIES__SASL__PASSWORD"),
        "{secret}"
    );
    assert!(!secret.contains("hunter2"));

    let nothing = Given::default().to_yaml();
    assert!(nothing.contains("  # bootstrap:  # has to be given\n"), "{nothing}");
}

#[test]
fn every_default_is_usable_and_every_key_is_read() {
    let mut names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), KEYS.len(), "two keys of one name");
    // A value that suits no setting is refused by each: so each is read. Plain texts and paths take anything.
    for key in KEYS {
        let anything = ["rules", "schemas", "state_dir", "kafka.bootstrap", PROPERTIES];
        if !anything.contains(&key.name) {
            let set = format!("{}=\u{1}!", key.name);
            let problems = problems(&given(LEAST, &[], &[&set]));
            assert!(problems.iter().any(|problem| problem.contains(key.name)), "{}: {problems:?}", key.name);
        }
        if let Initial::Text(text) = key.initial {
            assert!(given(LEAST, &[], &[&format!("{}={text}", key.name)]).config().is_ok(), "{}", key.name);
        }
    }
}

#[test]
fn variables_that_kubernetes_makes_for_a_service_are_left_alone() {
    let links = [
        ("TOCSIN_SERVICE_HOST", "10.0.0.1"),
        ("TOCSIN_SERVICE_PORT", "9464"),
        ("TOCSIN_SERVICE_PORT_METRICS", "9464"),
        ("TOCSIN_PORT", "tcp://10.0.0.1:9464"),
        ("TOCSIN_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
        ("TOCSIN_METRICS_PORT_9464_TCP_ADDR", "10.0.0.1"),
        (FILE_VARIABLE, "tocsin.yaml"),
    ];
    assert_eq!(problems(&given(LEAST, &links, &[])), [""; 0]);
}

#[test]
fn a_file_that_is_not_yaml_says_where() {
    for (file, expected) in [
        ("workers: [1", "tocsin.yaml:"),
        ("- a\n- b", "tocsin.yaml:1: the file holds no settings"),
        ("workers: *x", "tocsin.yaml:1: not YAML: "),
        ("workers: 1\n---\nworkers: 2", "tocsin.yaml:3: a second YAML document"),
        ("topics: {events: [{a: 1}]}", "tocsin.yaml:1: a list of other than plain values"),
    ] {
        let problems = problems(&given(file, &[], &[]));
        assert!(problems[0].starts_with(expected), "{file}: {problems:?}");
    }
    for empty in ["", "# nothing\n", "---\n", "kafka:\n"] {
        assert_eq!(problems(&given(empty, &[], &["rules=r", "kafka.bootstrap=b"])), [""; 0], "{empty:?}");
    }
    let missing = Sources { file: Some("no/such.yaml".into()), ..Sources::default() };
    let problems = problems(&Given::read(&missing));
    assert_eq!(problems.len(), 1, "what a file that cannot be read would have given is not missed: {problems:?}");
    assert!(problems[0].starts_with("no/such.yaml: cannot be read"), "{problems:?}");
}

#[test]
fn sizes_have_units() {
    for (text, expected) in [
        ("1GB", Some(1_000_000_000)),
        ("512 MiB", Some(512 << 20)),
        ("2gi", Some(2 << 30)),
        ("7B", Some(7)),
        ("1", None),
        ("1.5GB", None),
        ("GB", None),
        ("99999999999TB", None),
    ] {
        assert_eq!(read::bytes(text).ok(), expected, "{text}");
    }
}

#[test]
fn checkpoints_have_a_place_an_interval_and_a_number() {
    let config = with("").config().unwrap().checkpoint;
    assert_eq!((config.url, config.interval, config.keep), (None, 10 * MINUTE, 2));
    for url in ["file:///var/lib/checkpoints", "s3://bucket", "s3://bucket/some/prefix"] {
        let config =
            with(&format!("checkpoint: {{url: '{url}', interval: 30s, keep: 5}}")).config().unwrap().checkpoint;
        assert_eq!((config.url.as_deref(), config.interval, config.keep), (Some(url), 30 * SECOND, 5));
    }
    for url in ["s3://", "s3:///prefix", "file://relative", "https://bucket"] {
        check(
            &format!("checkpoint: {{url: '{url}'}}"),
            &[&format!(
                "tocsin.yaml:3: checkpoint.url: `{url}` is not usable | write file:///DIRECTORY or s3://BUCKET/PREFIX"
            )],
        );
    }
}

#[test]
fn the_example_file_is_usable() {
    let example = include_str!("../../../deploy/tocsin.yaml");
    let config = given(example, &[], &[]).config().unwrap();
    assert_eq!(config.time.max_out_of_orderness, MINUTE);
    assert_eq!(config.topics.events, ["customer-events"]);
}

#[test]
fn events_may_come_in_several_topics() {
    let flag = given(LEAST, &[], &["topics.events=a, b,c"]).config().unwrap();
    let file =
        given(&format!("{LEAST}topics: {{events: [a, b, c]}}\ntime: {{merge_wait: 2s}}\n"), &[], &[]).config().unwrap();
    for (config, merge_wait) in [(flag, 5_000), (file, 2_000)] {
        assert_eq!((config.topics.first_input(), config.time.merge_wait), ("a", merge_wait));
        assert_eq!(config.topics.events, ["a", "b", "c"]);
    }
}

#[test]
fn names_at_the_broker_hold_application_instance_and_worker() {
    let config = given(LEAST, &[], &["application=care", "instance=pod-0"]).config().unwrap();
    assert_eq!((config.group_id(), config.transactional_id(1).as_str()), ("care", "care-pod-0-1"));
    assert_eq!(config.application_dir(), Path::new("tocsin-state/care"));
}
