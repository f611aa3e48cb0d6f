//! What it says when it cannot start, and which settings count.

use crate::app::{config, ended, tocsin};
use crate::bad_records::BUYERS;
use crate::stage::Stage;

#[test]
fn missing_topics_are_named_all_of_them() {
    let Some(stage) = Stage::open("live-missing") else { return };
    stage.produce(3, "murmur2_random", []);
    let rules = stage.write("rules.yaml", BUYERS);
    let mut run = tocsin();
    run.arg("run").arg("--config").arg(config(&stage, &rules)).args(["--set", "kafka.create_topics=false"]);
    let (code, _, told) = ended(&mut run);
    assert_eq!(code, Some(1), "{told}");
    let error = told.lines().find(|line| line.starts_with("error: ")).unwrap();
    for role in ["alerts", "dead-letters", "journal", "rules"] {
        assert!(error.contains(&stage.topic(role)), "{told}");
    }
    assert!(!error.contains(&stage.topic("events")), "{told}");
    assert!(told.contains("--create --topic live-missing.journal --partitions 3"), "{told}");
}

#[test]
fn no_broker_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, BUYERS).unwrap();
    let mut run = tocsin();
    run.current_dir(folder.path()).args(["run", "--bootstrap", "127.0.0.1:9", "--rules"]).arg(&rules);
    let (code, _, told) = ended(run.args(["--set", "http.listen=127.0.0.1:0"]));
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("127.0.0.1:9"), "{told}");
}

#[test]
fn a_topic_of_events_that_is_given_twice_is_refused() {
    let mut run = tocsin();
    run.args(["run", "--bootstrap", "127.0.0.1:9", "--rules", "rules", "--set", "topics.events=one,two,one"]);
    let (code, _, told) = ended(&mut run);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("topics.events") && told.contains("`one` is given twice"), "{told}");
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tocsin.yaml");
    let text = "rules: rules\nworkers: 2\nkafka: {bootstrap: 'from-file:1'}\ntopics: {alerts: from-file}\n";
    std::fs::write(&file, text).unwrap();
    let mut run = tocsin();
    run.args(["run", "--print-config", "--bootstrap", "from-flag:1", "--set", "workers=4"]);
    run.env("TOCSIN_CONFIG", &file).env("TOCSIN_WORKERS", "3").env("TOCSIN_TOPICS__EVENTS", "from-environment");
    run.env("TOCSIN_KAFKA__BOOTSTRAP", "from-environment:1");
    run.env("TOCSIN_KAFKA__PROPERTIES__SASL__PASSWORD", "hunter2");
    let (code, shown, told) = ended(&mut run);
    assert_eq!(code, Some(0), "{told}");
    for line in ["workers: 4", "alerts: from-file", "events: from-environment"] {
        assert!(shown.lines().any(|shown| shown.trim().starts_with(line)), "no `{line}` in:\n{shown}");
    }
    assert!(shown.contains("from-flag:1") && !shown.contains("from-environment:1"), "{shown}");
    assert!(shown.contains("sasl.password") && !shown.contains("hunter2"), "{shown}");
}
