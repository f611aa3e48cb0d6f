//! The paths and their answers, as plain text.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Handles;

const INDEX: &str = "\
tocsin

/metrics   metrics, for Prometheus
/healthz   200 while all workers are alive
/readyz    200 while all assigned partitions run
";

/// What Prometheus expects of text format 0.0.4.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub fn router(handles: Handles) -> Router {
    Router::new()
        .route("/", get(async || INDEX))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(async || (StatusCode::NOT_FOUND, format!("no such path\n\n{INDEX}")))
        .with_state(handles)
}

async fn metrics(State(handles): State<Handles>) -> Response {
    match handles.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn healthz(State(handles): State<Handles>) -> Response {
    answer("alive", &handles.health.dead())
}

/// Not ready while dead, either: a probe of readiness alone shall not send anyone to a corpse.
async fn readyz(State(handles): State<Handles>) -> Response {
    let mut missing = handles.health.dead();
    let joining = handles.health.joining();
    missing.extend(joining.iter().map(|worker| format!("worker {worker} has not joined the group yet")));
    let restoring = handles.metrics.restoring();
    missing.extend(restoring.iter().map(|(topic, partition)| format!("{topic}/{partition} is restoring")));
    answer("ready", &missing)
}

fn answer(fine: &str, missing: &[String]) -> Response {
    if missing.is_empty() {
        return format!("{fine}\n").into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not {fine}:\n{}\n", missing.join("\n"))).into_response()
}
