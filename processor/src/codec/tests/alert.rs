use crate::codec::alert::{AlertForm, AlertWriter, PublishedAlert, TransitionHasher, alert_id, hash_transitions};
use crate::codec::schemas::Schemas;
use apache_avro::reader::datum::GenericDatumReader;
use std::sync::Arc;
use tocsin_core::alert::{Details, Episode, Reason, Severity, Transition, TransitionKind, Trigger};
use tocsin_core::attributes::Attribute;
use tocsin_core::decimal::Decimal;
use tocsin_core::event::{Catalog, FieldValue, RecordWriter};
use tocsin_core::expr::{AttributeRef, FieldRef};
use tocsin_core::rule::{Let, LetSource, Notify, Presentation, Rule, RuleKey, Subject, Task, Template, TemplatePart};
use tocsin_core::time::{DAY, HOUR};
use tocsin_core::value::OwnedValue;

/// 2026-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_767_225_600_000;

fn template(parts: Vec<TemplatePart>) -> Template {
    Template { parts }
}

fn text(text: &str) -> TemplatePart {
    TemplatePart::Text(text.into())
}

fn presentation() -> Presentation {
    let notify = |levels: &[Severity], roles: &[&str], channels: &[&str]| Notify {
        levels: levels.to_vec(),
        roles: roles.iter().map(|role| (*role).into()).collect(),
        channels: channels.iter().map(|channel| (*channel).into()).collect(),
    };
    let complaints = || vec![TemplatePart::Let(0), text(" complaints, silent for "), TemplatePart::Let(1)];
    let zh = vec![text("7天内"), TemplatePart::Let(0), text("次投诉，"), TemplatePart::Let(1), text("未联系")];
    Presentation {
        labels: vec![("team".into(), "care".into()), ("area".into(), "\"x\"".into())],
        summary: vec![("en".into(), template(complaints())), ("zh".into(), template(zh))],
        notify: vec![
            notify(&[Severity::High], &["owner", "sales_lead"], &["email"]),
            notify(&[Severity::Critical], &["board"], &["phone"]),
            notify(&[], &["region"], &[]),
        ],
        task: Some(Task {
            title: vec![("en".into(), template(vec![text("Call "), TemplatePart::Attribute(AttributeRef::Slot(0))]))],
            assignee: Some("owner".into()),
            due: Some(2 * DAY),
        }),
    }
}

fn rule(presentation: Presentation) -> Arc<Rule> {
    let named = |name: &str| Let { name: name.into(), value: LetSource::Window(0) };
    Arc::new(Rule {
        id: "complaint-burst".into(),
        key: RuleKey::of("complaint-burst"),
        version: "5f3a".into(),
        description: None,
        subject: Subject::Customer,
        scope: None,
        lets: ["complaints", "quiet", "spent", "share"].map(named).into(),
        require: None,
        levels: Vec::new(),
        hold: 0,
        resolve_when: None,
        keep_firing_for: 0,
        cooldown: 0,
        presentation,
    })
}

fn transition() -> Transition {
    let attribute = |name, value: OwnedValue| Attribute { name, since: 0, value };
    let slot = |slot, value: &str| attribute(AttributeRef::Slot(slot), OwnedValue::Text(value.into()));
    let extra = |name: &str, value| attribute(AttributeRef::Extra(name.into()), value);
    Transition {
        rule: rule(Presentation::default()),
        customer_id: "c-1".into(),
        item: None,
        kind: TransitionKind::SeverityChanged,
        reason: Reason::SeverityRaised,
        severity: Severity::High,
        previous_severity: Some(Severity::Medium),
        occurred_at: NEW_YEAR + DAY,
        episode: Episode { fired_at: NEW_YEAR, refire: 0, sequence: 1, severity: Severity::High },
        details: Some(Details {
            values: vec![
                OwnedValue::Number(3.0),
                OwnedValue::Duration((90 * DAY + 2 * HOUR) as f64),
                OwnedValue::Null,
                OwnedValue::Number(0.25),
            ],
            trigger: None,
            customer: [
                slot(1, "anna@example.com"),
                slot(4, "gold"),
                slot(0, "Łukasz \"Luk\" \n"),
                extra("vip", OwnedValue::Bool(true)),
                extra("board", OwnedValue::Text("b".into())),
            ]
            .into_iter()
            .collect(),
            evidence: vec!["t-1".into(), "t-2".into()],
        }),
    }
}

/// Of an item that a purchase without a currency opened a day and a half before.
fn item() -> Transition {
    let mut writer = RecordWriter::default();
    writer.begin(Catalog::type_id("purchase"), "p-1");
    writer.field(0, FieldValue::Decimal(Decimal(199_900)));
    writer.field(1, FieldValue::Text("CNY"));
    writer.field(2, FieldValue::Number(2.0));
    writer.field(7, FieldValue::Text("\"done\""));
    let record = writer.record().unwrap().bytes().into();
    let mut transition = Transition { item: Some("p-1".into()), ..transition() };
    let trigger = Trigger { occurred_at: transition.occurred_at - DAY - 12 * HOUR - 1, record };
    transition.details.as_mut().unwrap().trigger = Some(trigger);
    transition
}

fn json(rule: Arc<Rule>, transition: &Transition) -> String {
    let mut out = Vec::new();
    let transition = Transition { rule, ..transition.clone() };
    AlertWriter::new(Arc::new(Schemas::shipped())).json(&transition, NEW_YEAR + 2 * DAY + 7, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_record_is_that_of_the_contract() {
    let expected = [
        r#"{"alert_id":"99da54a5-8727-55f2-b8a1-8c4f9bd02004","sequence":1"#,
        r#""transition":"severity_changed","reason":"severity_raised","severity":"high","previous_severity":"medium""#,
        r#""rule_id":"complaint-burst","rule_version":"5f3a","customer_id":"c-1","item":null"#,
        r#""occurred_at":"2026-01-02T00:00:00.000Z","detected_at":"2026-01-03T00:00:00.007Z","fired_at":"2026-01-01T00:00:00.000Z""#,
        r#""values":{"complaints":3,"quiet":7783200,"spent":null,"share":0.25}"#,
        r#""customer":{"name":"Łukasz \"Luk\" \n","owner":"anna@example.com","tier":"gold"}"#,
        r#""labels":{"team":"care","area":"\"x\""}"#,
        r#""summary":{"en":"3 complaints, silent for 90d 2h","zh":"7天内3次投诉，90天2小时未联系"}"#,
        r#""notify":[{"role":"owner","recipient":"anna@example.com","channels":["email"]},{"role":"sales_lead","recipient":null,"channels":["email"]},{"role":"region","recipient":null,"channels":[]}]"#,
        r#""task":{"title":{"en":"Call Łukasz \"Luk\" \n"},"assignee":{"role":"owner","recipient":"anna@example.com"},"due_at":"2026-01-03T00:00:00.000Z"}"#,
        r#""evidence":["t-1","t-2"]}"#,
    ]
    .join(",");
    assert_eq!(json(rule(presentation()), &transition()), expected);
}

#[test]
fn an_item_tells_its_age_and_its_trigger() {
    let presentation = Presentation {
        summary: vec![
            ("en".into(), template(vec![TemplatePart::Trigger(FieldRef::Slot(0)), text(" "), TemplatePart::Age])),
            ("zh".into(), template(vec![TemplatePart::Trigger(FieldRef::Id), text(" "), TemplatePart::Age])),
            ("de".into(), template(vec![TemplatePart::Trigger(FieldRef::Slot(3))])),
        ],
        ..Presentation::default()
    };
    let record = json(rule(presentation.clone()), &item());
    let values = concat!(
        r#""values":{"complaints":3,"quiet":7783200,"spent":null,"share":0.25,"age":129600.001,"#,
        r#""trigger":{"amount":19.99,"currency":"CNY","quantity":2,"status":"\"done\""}}"#
    );
    assert!(record.contains(values), "{record}");
    let summary = r#""summary":{"en":"19.99 1d 12h","zh":"p-1 1天12小时","de":"-"}"#;
    assert!(record.contains(summary), "{record}");
    // Extras too, and the number of an unknown type tells no names.
    let mut of_profile = item();
    let mut writer = RecordWriter::default();
    writer.begin(Catalog::type_id("profile"), "p-1");
    writer.field(0, FieldValue::Text("Ann"));
    writer.extra("vip", FieldValue::Bool(true));
    let record = writer.record().unwrap().bytes().into();
    of_profile.details.as_mut().unwrap().trigger = Some(Trigger { occurred_at: of_profile.occurred_at, record });
    let record = json(rule(presentation.clone()), &of_profile);
    assert!(record.contains(r#""age":0,"trigger":{"name":"Ann","vip":true}}"#), "{record}");
    for transition in [item(), of_profile] {
        assert_eq!(
            avro(rule(presentation.clone()), &transition),
            as_avro(&json(rule(presentation.clone()), &transition))
        );
    }
}

#[test]
fn a_rule_that_says_little_gives_a_record_with_every_field() {
    let fired = Transition {
        kind: TransitionKind::Fired,
        reason: Reason::ConditionMet,
        previous_severity: None,
        item: Some("T 1".into()),
        details: None,
        ..transition()
    };
    let record: serde_json::Value = serde_json::from_str(&json(rule(Presentation::default()), &fired)).unwrap();
    assert_eq!(record["item"], "T 1");
    for field in ["values", "customer", "labels", "summary"] {
        assert_eq!(record[field], serde_json::json!({}), "{field}");
    }
    for field in ["notify", "evidence"] {
        assert_eq!(record[field], serde_json::json!([]), "{field}");
    }
    for field in ["previous_severity", "task"] {
        assert!(record.as_object().unwrap()[field].is_null(), "{field}");
    }
}

#[test]
fn ids_are_those_of_the_contract() {
    // Computed with Python's uuid module.
    for (item, refire, expected) in [
        (None, 0, "99da54a5-8727-55f2-b8a1-8c4f9bd02004"),
        (None, 1, "77e875be-f87f-51c1-951e-4ecb65db46c6"),
        (Some("T-1"), 0, "b742f93a-79c6-55fc-a72b-c2717255f1e2"),
        (Some("T-1"), 2, "3d7af90c-d12d-561d-9eaa-5c4a0c257f4e"),
    ] {
        assert_eq!(
            alert_id("complaint-burst", "c-1", item, NEW_YEAR, refire).to_string(),
            expected,
            "{item:?} {refire}"
        );
    }
}

/// The Avro form, read back by the Rust library, as JSON.
fn avro(rule: Arc<Rule>, transition: &Transition) -> serde_json::Value {
    let mut out = Vec::new();
    let transition = Transition { rule, ..transition.clone() };
    AlertWriter::new(Arc::new(Schemas::shipped())).avro(&transition, NEW_YEAR + 2 * DAY + 7, &mut out);
    let schema = apache_avro::Schema::parse_str(include_str!("../../../../schemas/alert.avsc")).unwrap();
    let mut datum = &out[10..];
    let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut datum).unwrap();
    assert!(datum.is_empty());
    serde_json::Value::try_from(value).unwrap()
}

/// Brings JSON to the form in which the Rust library shows Avro: instants as numbers, absent attributes as null.
fn as_avro(json: &str) -> serde_json::Value {
    let mut record: serde_json::Value = serde_json::from_str(json).unwrap();
    let to_number = |value: &mut serde_json::Value| {
        if let Some(text) = value.as_str() {
            *value = chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis().into();
        }
    };
    for field in ["occurred_at", "detected_at", "fired_at"] {
        to_number(&mut record[field]);
    }
    if !record["task"].is_null() {
        to_number(&mut record["task"]["due_at"]);
    }
    for name in ["name", "owner", "region", "segment", "tier", "stage"] {
        record["customer"].as_object_mut().unwrap().entry(name).or_insert(serde_json::Value::Null);
    }
    let values = record["values"].as_object_mut().unwrap().values_mut();
    let values = values.flat_map(|value| match value {
        serde_json::Value::Object(fields) => fields.values_mut().collect(),
        value => vec![value],
    });
    for value in values.filter(|value| value.is_number()) {
        *value = value.as_f64().into();
    }
    record
}

#[test]
fn avro_says_the_same_as_json() {
    let resolved = Transition { item: Some("T-1".into()), details: None, severity: Severity::Low, ..transition() };
    for transition in [transition(), resolved] {
        for presentation in [presentation(), Presentation::default()] {
            let json = json(rule(presentation.clone()), &transition);
            assert_eq!(avro(rule(presentation), &transition), as_avro(&json));
        }
    }
}

#[test]
fn the_hash_covers_all_but_the_details() {
    let base = transition();
    let hash = |transition: &Transition| hash_transitions(std::slice::from_ref(transition));
    assert_eq!(hash(&base), 6_705_674_994_333_982_889, "stable over releases");
    assert_eq!(hash(&base), hash(&Transition { details: None, ..base.clone() }));
    let episode = base.episode;
    let others = [
        Transition { customer_id: "c-2".into(), ..base.clone() },
        Transition { item: Some("".into()), ..base.clone() },
        Transition { item: Some("x".into()), ..base.clone() },
        Transition { kind: TransitionKind::Fired, ..base.clone() },
        Transition { reason: Reason::Closed, ..base.clone() },
        Transition { severity: Severity::Low, ..base.clone() },
        Transition { previous_severity: None, ..base.clone() },
        Transition { occurred_at: 0, ..base.clone() },
        Transition { episode: Episode { fired_at: 0, ..episode }, ..base.clone() },
        Transition { episode: Episode { refire: 1, ..episode }, ..base.clone() },
        Transition { episode: Episode { sequence: 2, ..episode }, ..base.clone() },
    ];
    let mut hashes: std::collections::BTreeSet<u64> = others.iter().map(hash).collect();
    hashes.insert(hash(&base));
    assert_eq!(hashes.len(), 12);
    let both = |one: usize, other: usize| hash_transitions(&[others[one].clone(), others[other].clone()]);
    assert_ne!(both(0, 1), both(1, 0));
    assert_eq!(TransitionHasher::default().finish(), hash_transitions(&[]));
}

#[test]
fn a_published_record_is_known_by_what_it_says_of_itself() {
    let writer = AlertWriter::new(Arc::new(Schemas::shipped()));
    let write = |form: AlertForm, transition: &Transition, detected_at| {
        let mut out = Vec::new();
        match form {
            AlertForm::Json => writer.json(transition, detected_at, &mut out),
            AlertForm::Avro => writer.avro(transition, detected_at, &mut out),
        }
        out
    };
    let mut tricky = transition();
    tricky.customer_id = ",\"detected_at\":\"2020".into();
    tricky.item = Some("i".into());
    for form in [AlertForm::Json, AlertForm::Avro] {
        for transition in [transition(), tricky.clone()] {
            let (early, late) = (write(form, &transition, NEW_YEAR), write(form, &transition, NEW_YEAR + DAY + 7));
            let alert = PublishedAlert::read(&early).unwrap();
            let id = alert_id("complaint-burst", &transition.customer_id, transition.item.as_deref(), NEW_YEAR, 0);
            assert_eq!((alert.form, alert.alert_id, alert.sequence), (form, id, 1));
            assert_eq!(*alert.customer_id, *transition.customer_id);
            assert_eq!((&*alert.rule_id, &*alert.transition), ("complaint-burst", "severity_changed"));
            assert_eq!((alert.occurred_at, alert.detected_at), (NEW_YEAR + DAY, NEW_YEAR));
            // Nothing but the time of detection may differ.
            let later = PublishedAlert::read(&late).unwrap();
            assert_eq!(later.detected_at, NEW_YEAR + DAY + 7);
            assert_eq!(alert.digest(b"key"), later.digest(b"key"));
            assert_ne!(alert.digest(b"key"), alert.digest(b"other"));
            for other in [
                Transition { severity: Severity::Low, ..transition.clone() },
                Transition { occurred_at: NEW_YEAR, ..transition.clone() },
                Transition { details: None, ..transition.clone() },
            ] {
                let other = write(form, &other, NEW_YEAR);
                assert_ne!(PublishedAlert::read(&other).unwrap().digest(b"key"), alert.digest(b"key"));
            }
            assert_eq!(PublishedAlert::read(&early[..early.len() / 3]), None);
        }
    }
    for nonsense in [&b""[..], b"{}", b"text", b"\xc3\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"] {
        assert_eq!(PublishedAlert::read(nonsense), None);
    }
}
