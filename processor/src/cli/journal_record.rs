//! A journal record, told: as lines for people, or as JSON.

use std::fmt::Write;

use serde_json::{Value, json};
use tocsin::codec::journal::{Context, JournalRecord, Position, Step};
use tocsin::task::world::Input;
use tocsin_core::time::Millis;

use super::rules::text_of;

/// A block of lines. What is wrong comes first, and loudly.
pub fn as_text(at: Input<'_>, record: Option<&JournalRecord>, problems: &[String]) -> String {
    let mut out = String::new();
    let place = format!("partition {}  offset {}", at.partition, at.offset);
    for problem in problems {
        _ = writeln!(out, "!!! {place}: {problem}");
    }
    let Some(record) = record else { return out };
    let JournalRecord { sequence, instance, worker, transitions, dead_letters, hash, .. } = record;
    let time = text_of(record.committed_at);
    _ = writeln!(out, "{place}  record {sequence}  {time}  {instance}/{worker}");
    _ = writeln!(out, "  from   {}", position(&record.from));
    _ = writeln!(out, "  to     {}", position(&record.to));
    for (number, step) in record.steps.iter().enumerate() {
        _ = writeln!(out, "  {:<6} {}", if number == 0 { "steps" } else { "" }, step_in_words(step));
    }
    _ = writeln!(out, "  alerts {transitions}, hash {hash:016x}; dead letters {dead_letters}");
    let rules = record.rules_fingerprint.as_deref().unwrap_or("none");
    _ = writeln!(out, "  under  rules {rules}, context {:016x}\n", record.context);
    out
}

fn position(position: &Position) -> String {
    let offsets = position.offsets.iter().map(|offset| format!("{} {}", offset.topic, offset.next));
    let offsets = offsets.collect::<Vec<_>>().join(", ");
    let mut out = format!("{offsets}  watermark {}", position.watermark.map_or("none".to_owned(), text_of));
    _ = match position.rules {
        0 => write!(out, "  no rules"),
        generation => write!(out, "  rules {generation}"),
    };
    _ = match position.sweep.as_deref() {
        None => Ok(()),
        Some("") => write!(out, "  sweep begun"),
        Some(customer) => write!(out, "  sweep up to {customer}"),
    };
    out
}

fn step_in_words(step: &Step) -> String {
    match step {
        Step::Run { topic, to_offset } => format!("took in {topic} up to offset {to_offset}"),
        Step::Tick { watermark } => format!("the wall clock moved the watermark to {}", text_of(*watermark)),
        Step::Drain { deadline, customer: Some(customer) } => {
            format!("judged what was due up to {}, there up to customer {customer}", text_of(*deadline))
        }
        Step::Drain { deadline, customer: None } => format!("judged what was due up to {}", text_of(*deadline)),
        Step::Rules { generation, fingerprint } => {
            format!("adopted generation {generation} of the rules ({fingerprint})")
        }
        Step::Sweep { customer: Some(customer) } => format!("swept customers up to {customer}"),
        Step::Sweep { customer: None } => "swept all customers that were left; the sweep is over".to_owned(),
        Step::Context(context) => {
            let Context { semantics, settings, schemas, time_zone_data } = context;
            let settings: Vec<_> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!(
                "context: semantics {semantics}, {} schemas, time zones {time_zone_data}, {}",
                schemas.len(),
                settings.join(", ")
            )
        }
    }
}

/// One object on a line. Hashes are hexadecimal texts, for JSON's numbers are doubles.
pub fn as_json(at: Input<'_>, record: Option<&JournalRecord>, problems: &[String]) -> String {
    let mut object = json!({
        "partition": at.partition,
        "offset": at.offset,
        "timestamp": at.timestamp.map(text_of),
        "problems": problems,
    });
    if let (Some(record), Some(object)) = (record, object.as_object_mut()) {
        let fields = json!({
            "application": record.application,
            "sequence": record.sequence,
            "from": position_as_json(&record.from),
            "to": position_as_json(&record.to),
            "steps": record.steps.iter().map(step_as_json).collect::<Vec<_>>(),
            "transitions": record.transitions,
            "dead_letters": record.dead_letters,
            "hash": format!("{:016x}", record.hash),
            "rules_fingerprint": record.rules_fingerprint,
            "context": format!("{:016x}", record.context),
            "instance": record.instance,
            "worker": record.worker,
            "committed_at": text_of(record.committed_at),
        });
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
    }
    format!("{object}\n")
}

fn position_as_json(position: &Position) -> Value {
    let offsets = position.offsets.iter().map(|offset| (offset.topic.clone(), Value::from(offset.next)));
    json!({
        "offsets": offsets.collect::<serde_json::Map<_, _>>(),
        "watermark": position.watermark.map(text_of),
        "rules": position.rules,
        "sweep": position.sweep,
    })
}

fn step_as_json(step: &Step) -> Value {
    let time = |at: &Millis| text_of(*at);
    match step {
        Step::Run { topic, to_offset } => json!({"run": {"topic": topic, "to_offset": to_offset}}),
        Step::Tick { watermark } => json!({"tick": {"watermark": time(watermark)}}),
        Step::Drain { deadline, customer } => json!({"drain": {"deadline": time(deadline), "customer": customer}}),
        Step::Rules { generation, fingerprint } => {
            json!({"rules": {"generation": generation, "fingerprint": fingerprint}})
        }
        Step::Sweep { customer } => json!({"sweep": {"customer": customer}}),
        Step::Context(Context { semantics, settings, schemas, time_zone_data }) => json!({"context": {
            "semantics": semantics, "settings": settings, "schemas": schemas, "time_zone_data": time_zone_data,
        }}),
    }
}

#[cfg(test)]
mod tests {
    use tocsin::codec::journal::TopicOffset;

    use super::*;

    const AT: Input<'static> = Input {
        topic: 0,
        partition: 3,
        offset: 12,
        timestamp: Some(1_000),
        key: None,
        payload: None,
        headers: tocsin::task::headers::Headers::packed(&[]),
    };

    fn record() -> JournalRecord {
        let offsets = |next| vec![TopicOffset { topic: "events".to_owned(), next }];
        JournalRecord {
            application: "care".to_owned(),
            partition: 3,
            partitions: 4,
            sequence: 7,
            from: Position { offsets: offsets(100), ..Position::default() },
            to: Position { offsets: offsets(250), watermark: Some(0), rules: 4, sweep: Some("c-9".to_owned()) },
            steps: vec![
                Step::Context(Context {
                    semantics: 1,
                    settings: [("time.history".to_owned(), "86400000".to_owned())].into(),
                    schemas: vec!["{}".to_owned()],
                    time_zone_data: "2026a".to_owned(),
                }),
                Step::Run { topic: "events".to_owned(), to_offset: 250 },
                Step::Tick { watermark: 0 },
                Step::Drain { deadline: 0, customer: None },
                Step::Rules { generation: 4, fingerprint: "9f".to_owned() },
                Step::Sweep { customer: Some("c-9".to_owned()) },
                Step::Sweep { customer: None },
                Step::Drain { deadline: 0, customer: Some("c-1".to_owned()) },
            ],
            transitions: 2,
            dead_letters: 1,
            hash: u64::MAX,
            rules_fingerprint: Some("9f".to_owned()),
            context: 1,
            instance: "pod-1".to_owned(),
            worker: 0,
            committed_at: 1_767_225_601_234,
        }
    }

    #[test]
    fn a_record_reads_like_a_log() {
        let expected = "\
!!! partition 3  offset 12: it is number 7 after number 5: number 6 is missing
partition 3  offset 12  record 7  2026-01-01T00:00:01.234Z  pod-1/0
  from   events 100  watermark none  no rules
  to     events 250  watermark 1970-01-01T00:00:00.000Z  rules 4  sweep up to c-9
  steps  context: semantics 1, 1 schemas, time zones 2026a, time.history=86400000
         took in events up to offset 250
         the wall clock moved the watermark to 1970-01-01T00:00:00.000Z
         judged what was due up to 1970-01-01T00:00:00.000Z
         adopted generation 4 of the rules (9f)
         swept customers up to c-9
         swept all customers that were left; the sweep is over
         judged what was due up to 1970-01-01T00:00:00.000Z, there up to customer c-1
  alerts 2, hash ffffffffffffffff; dead letters 1
  under  rules 9f, context 0000000000000001

";
        let problems = ["it is number 7 after number 5: number 6 is missing".to_owned()];
        assert_eq!(as_text(AT, Some(&record()), &problems), expected);
        assert_eq!(as_text(AT, None, &["damaged".to_owned()]), "!!! partition 3  offset 12: damaged\n");
    }

    #[test]
    fn as_json_a_record_says_the_same() {
        let value: Value = serde_json::from_str(&as_json(AT, Some(&record()), &[])).unwrap();
        assert_eq!(value["to"]["offsets"]["events"], 250);
        assert_eq!((&value["hash"], &value["sequence"]), (&json!("ffffffffffffffff"), &json!(7)));
        assert_eq!(value["problems"], json!([]));
        let kinds: Vec<_> = value["steps"].as_array().unwrap().iter().map(|step| step.as_object().unwrap()).collect();
        let kinds: Vec<_> = kinds.iter().map(|step| step.keys().next().unwrap().as_str()).collect();
        assert_eq!(kinds, ["context", "run", "tick", "drain", "rules", "sweep", "sweep", "drain"]);
        let value: Value = serde_json::from_str(&as_json(AT, None, &["damaged".to_owned()])).unwrap();
        assert_eq!((&value["problems"], value.get("sequence")), (&json!(["damaged"]), None));
    }
}
