//! Serves what a processor shows of itself over HTTP: `/metrics`, `/healthz`, `/readyz`.
//!
//! It answers from what the engines have said, so an engine that hangs cannot make it hang, and a
//! scrape asks neither a broker nor the registry anything. Nothing can be changed here.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::clock::{Clock, System};
use crate::telemetry::{CONTENT_TYPE, Report, Vitals};

/// Serves until told to stop, then ends once what was asked before is answered.
///
/// # Errors
/// If the listener cannot be listened on any more.
pub async fn serve(
    listener: TcpListener,
    vitals: Arc<Vitals>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .with_state(vitals);
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop)
        .await
}

async fn metrics(State(vitals): State<Arc<Vitals>>) -> Response {
    match vitals.scrape(System.now()) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn health(State(vitals): State<Arc<Vitals>>) -> Response {
    answer(&vitals.health())
}

async fn readiness(State(vitals): State<Arc<Vitals>>) -> Response {
    answer(&vitals.readiness())
}

fn answer(report: &Report) -> Response {
    let status = if report.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    match serde_json::to_string(report) {
        Ok(json) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (status, kind, json + "\n").into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
