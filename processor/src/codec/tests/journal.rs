use crate::codec::avro::put_header;
use crate::codec::journal::{Context, JOURNAL_FINGERPRINT, JournalError, JournalRecord, Position, Step, TopicOffset};
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;

fn example() -> JournalRecord {
    let position = |next: i64, watermark, sweep: Option<&str>| Position {
        offsets: vec![TopicOffset { topic: "customer-events".to_owned(), next }],
        watermark,
        rules: 3,
        sweep: sweep.map(str::to_owned),
    };
    JournalRecord {
        application: "tocsin".to_owned(),
        partition: 7,
        partitions: 12,
        sequence: 42,
        from: position(100, None, None),
        to: position(205, Some(1_767_225_600_000), Some("c-9")),
        steps: vec![
            Step::Tick { watermark: -1 },
            Step::Run { topic: "customer-events".to_owned(), to_offset: 205 },
            Step::Drain { deadline: 1_767_225_600_000, customer: Some("c-1".to_owned()) },
            Step::Drain { deadline: 1_767_225_600_001, customer: None },
            Step::Rules { generation: 4, fingerprint: "9f".to_owned() },
            Step::Sweep { customer: Some("c-9".to_owned()) },
            Step::Sweep { customer: None },
            Step::Context(Context {
                semantics: 1,
                settings: [("history".to_owned(), "400d".to_owned())].into(),
                schemas: vec!["{}".to_owned()],
                time_zone_data: "2026a".to_owned(),
            }),
        ],
        transitions: 2,
        dead_letters: 1,
        hash: u64::MAX - 5,
        rules_fingerprint: Some("9f".to_owned()),
        context: 1 << 63,
        instance: "a".to_owned(),
        worker: 1,
        committed_at: 1_767_225_601_234,
    }
}

fn encoded(record: &JournalRecord) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

#[test]
fn a_record_reads_back() {
    let plain = JournalRecord { steps: Vec::new(), from: Position::default(), rules_fingerprint: None, ..example() };
    for record in [example(), plain] {
        assert_eq!(JournalRecord::decode(&encoded(&record)), Ok(record));
    }
    assert_eq!(example().to.next("customer-events"), Some(205));
    assert_eq!(example().to.next("other"), None);
}

#[test]
fn the_rust_library_reads_it_by_the_schema() {
    let schema = apache_avro::Schema::parse_str(include_str!("../../../../schemas/journal.avsc")).unwrap();
    let bytes = encoded(&example());
    let mut datum = &bytes[10..];
    let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut datum).unwrap();
    assert!(datum.is_empty());
    let json = serde_json::Value::try_from(value.clone()).unwrap();
    assert_eq!(json["to"]["sweep"], "c-9");
    assert_eq!(json["steps"][1], serde_json::json!({"topic": "customer-events", "to_offset": 205}));
    assert_eq!(json["steps"][7]["settings"]["history"], "400d");
    assert_eq!(json["hash"], -6);
    let Value::Record(fields) = value else { panic!() };
    assert_eq!(fields.last().unwrap().1, Value::TimestampMillis(1_767_225_601_234));
}

#[test]
fn damage_is_an_error_that_says_so() {
    let bytes = encoded(&example());
    for length in 0..bytes.len() {
        let expected = if length < 10 { JournalError::NotAvro } else { JournalError::Damaged };
        assert_eq!(JournalRecord::decode(&bytes[..length]), Err(expected), "{length}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(JournalRecord::decode(&longer), Err(JournalError::TrailingBytes(1)));
    let mut other = Vec::new();
    put_header(&mut other, 0x1122_3344_5566_7788);
    let error = JournalRecord::decode(&other).unwrap_err();
    assert_eq!(error, JournalError::UnknownSchema(0x8877_6655_4433_2211));
    assert!(error.to_string().contains("8877665544332211"), "{error}");
    let mut hostile = Vec::new();
    put_header(&mut hostile, JOURNAL_FINGERPRINT);
    hostile.extend([0xff; 20]);
    assert_eq!(JournalRecord::decode(&hostile), Err(JournalError::Damaged));
}

#[test]
fn the_hash_of_a_context_covers_all_of_it() {
    let context = |settings: &[(&str, &str)], schemas: &[&str], time_zone_data: &str| Context {
        semantics: 1,
        settings: settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        schemas: schemas.iter().map(|schema| (*schema).to_owned()).collect(),
        time_zone_data: time_zone_data.to_owned(),
    };
    let hashes: std::collections::BTreeSet<u64> = [
        Context::default(),
        context(&[], &[], ""),
        context(&[("a", "b")], &[], ""),
        context(&[], &["a", "b"], ""),
        context(&[("a", "")], &["b"], "2026a"),
        context(&[("a", "")], &["b"], "2026b"),
    ]
    .iter()
    .map(Context::hash)
    .collect();
    assert_eq!(hashes.len(), 6);
}
