use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::telemetry::{PartitionAssigned, PartitionRevoked, RestoreDone};

use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn start(workers: usize) -> (Server, Handles) {
    let handles = Handles { metrics: Metrics::new().unwrap(), health: Health::new(workers, HOUR) };
    (serve(([127, 0, 0, 1], 0).into(), handles.clone()).unwrap(), handles)
}

/// The whole answer to a GET, over a connection of its own.
fn get(server: &Server, path: &str) -> String {
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[track_caller]
fn check(server: &Server, path: &str, status: u16, body: &str) {
    let answer = get(server, path);
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1, body, "{path}");
}

#[test]
fn metrics_are_served_as_prometheus_wants_them() {
    let (server, handles) = start(1);
    handles.metrics.count_timers_judged(3);
    let answer = get(&server, "/metrics");
    assert!(answer.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
    assert!(answer.contains("\ntocsin_timers_judged_total 3\n"), "{answer}");
    assert!(get(&server, "/").contains("/readyz"));
    assert!(get(&server, "/nothing").starts_with("HTTP/1.1 404 "));
}

#[test]
fn health_follows_the_workers() {
    let (server, handles) = start(2);
    check(&server, "/healthz", 200, "alive\n");
    let _first = handles.health.worker(0).unwrap();
    handles.health.worker(1).unwrap().died("the broker is gone");
    check(&server, "/healthz", 503, "not alive:\nworker 1 died: the broker is gone\n");
}

#[test]
fn readiness_follows_the_partitions() {
    let (server, Handles { metrics, health }) = start(1);
    let worker = health.worker(0).unwrap();
    check(&server, "/readyz", 503, "not ready:\nworker 0 has not joined the group yet\n");
    let topic = "events";
    for partition in [2, 10] {
        drop(PartitionAssigned { worker: 0, topic, partition }.emit(&metrics));
    }
    worker.joined();
    check(&server, "/readyz", 503, "not ready:\nevents/2 is restoring\nevents/10 is restoring\n");
    RestoreDone { topic, partition: 10, took: Duration::ZERO, replayed: 0 }.emit(&metrics);
    check(&server, "/readyz", 503, "not ready:\nevents/2 is restoring\n");
    PartitionRevoked { worker: 0, topic, partition: 2, lost: true }.emit(&metrics);
    check(&server, "/readyz", 200, "ready\n");
    worker.died("out of memory");
    check(&server, "/readyz", 503, "not ready:\nworker 0 died: out of memory\n");
}

#[test]
fn a_port_in_use_is_refused_with_what_to_do() {
    let (server, handles) = start(1);
    let error = serve(server.local_addr(), handles).unwrap_err().to_string();
    let expected = format!("cannot listen on {}: another program listens there", server.local_addr());
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn a_client_that_does_nothing_does_not_hold_up_the_end() {
    let (server, _handles) = start(1);
    let mut idle = TcpStream::connect(server.local_addr()).unwrap();
    idle.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    check(&server, "/healthz", 200, "alive\n");
    let address = server.local_addr();
    let start = Instant::now();
    server.shutdown();
    assert!(start.elapsed() < 5 * DRAIN, "{:?}", start.elapsed());
    assert!(TcpStream::connect(address).is_err());
}
