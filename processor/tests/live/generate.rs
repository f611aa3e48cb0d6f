//! What `tocsin generate` sends to a topic is what it writes to a file.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use tocsin::partitioner::Partitioner;

use crate::app::{ended, tocsin};
use crate::stage::Stage;

const LOAD: [&str; 9] = ["generate", "--events", "3000", "--customers", "400", "--days", "20", "--duplicates", "0.01"];

#[test]
fn generated_events_in_a_topic_are_those_of_a_file_by_customer_and_in_order() {
    let Some(stage) = Stage::open("live-generate") else { return };
    let file = stage.path("events.jsonl");
    let (code, _, told) = ended(tocsin().args(LOAD).arg("--output").arg(&file));
    assert_eq!(code, Some(0), "{told}");
    let topic = stage.topic("events");
    let kafka = ["--kafka", "--bootstrap", &stage.broker.bootstrap, "--topic", &topic];

    // Nothing is created unless that is asked for.
    let (code, _, told) = ended(tocsin().args(LOAD).args(kafka));
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains(&topic), "{told}");

    let create = ["--set", "kafka.create_topics=true", "--set", "topics.partitions=3"];
    let (code, _, told) = ended(tocsin().args(LOAD).args(kafka).args(create));
    assert_eq!(code, Some(0), "{told}");

    let mut expected: BTreeMap<i64, Vec<(String, String)>> = BTreeMap::new();
    for line in fs::read_to_string(file).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let customer = event["customer_id"].as_str().unwrap().to_owned();
        let partition = Partitioner::Murmur2.partition(customer.as_bytes(), 3);
        expected.entry(partition.into()).or_default().push((customer, line.to_owned()));
    }
    let mut found: BTreeMap<i64, Vec<(String, String)>> = BTreeMap::new();
    for record in stage.read("events") {
        let text = |name: &str| record[name].as_str().unwrap().to_owned();
        found.entry(record["partition"].as_i64().unwrap()).or_default().push((text("key"), text("value")));
    }
    assert_eq!(expected.len(), 3);
    assert!(found == expected, "{} records in {} partitions", found.values().map(Vec::len).sum::<usize>(), found.len());
}
