//! Payloads to events: JSON and Avro, events of the usual types and one whose every field is there.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use tocsin::codec::decode::Decoder;
use tocsin::codec::encode::Encoder;
use tocsin::codec::schemas::Schemas;
use tocsin_benches::lines;

const PROFILE: &str = r#"{"id":"e-1","type":"profile","customer_id":"c-1","occurred_at":"2026-01-01T00:00:00.000Z","name":"Li Wei","owner":"a-7@example.com","region":"north","segment":"private","birthday":"04-17","tier":"gold","stage":"active","status":"active"}"#;

pub fn bench(criterion: &mut Criterion) {
    let schemas = Arc::new(Schemas::shipped());
    let mixed: Vec<String> = lines(1_000, 100).lines().map(str::to_owned).collect();
    let mut encoder = Encoder::new(schemas.clone());
    let mut avro = |line: &String| {
        let mut out = Vec::new();
        encoder.encode(line.as_bytes(), &mut out).unwrap_or_else(|bad| unreachable!("{}", bad.message));
        out
    };
    for (kind, payloads) in [("three types mixed", mixed), ("a full profile", vec![PROFILE.to_owned()])] {
        let packed: Vec<Vec<u8>> = payloads.iter().map(&mut avro).collect();
        let json: Vec<Vec<u8>> = payloads.into_iter().map(String::into_bytes).collect();
        for (format, payloads) in [("JSON", json), ("Avro", packed)] {
            let mut decoder = Decoder::new(schemas.clone());
            let mut group = criterion.benchmark_group("decode");
            group.throughput(Throughput::Elements(payloads.len() as u64));
            group.bench_function(format!("{format}, {kind}"), |bencher| {
                bencher.iter(|| {
                    for payload in &payloads {
                        black_box(decoder.decode(payload).is_ok());
                    }
                });
            });
            group.finish();
        }
    }
}
