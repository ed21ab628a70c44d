//! Serves what a processor shows of itself over HTTP: `/metrics`, `/healthz`, `/readyz`.
//!
//! It answers from what the engines have said, so an engine that hangs cannot make it hang, and a
//! scrape asks neither a broker nor the registry anything. Nothing can be changed here.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::http::Gateway;
use crate::clock::{Clock, System};
use crate::telemetry::{CONTENT_TYPE, Report, Verified, Vitals};

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

/// Serves what a verifier that follows a log came to and whether it gets on, until told to stop.
///
/// # Errors
/// If the listener cannot be listened on any more.
pub async fn serve_verifier(
    listener: TcpListener,
    verified: Arc<Verified>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    type Shown = State<Arc<Verified>>;
    let routes = Router::new()
        .route(
            "/metrics",
            get(async |State(of): Shown| scraped(of.scrape())),
        )
        .route(
            "/healthz",
            get(async |State(of): Shown| answer(&of.health())),
        )
        .route(
            "/readyz",
            get(async |State(of): Shown| answer(&of.readiness())),
        )
        .with_state(verified);
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop)
        .await
}

/// Serves whether a gateway runs (`/healthz`), whether it can tell what lies on the log
/// (`/readyz`), and what was asked of it (`/metrics`), for as long as it is awaited.
///
/// # Errors
/// If the listener cannot be listened on any more.
pub async fn serve_edge(listener: TcpListener, gateway: Arc<Gateway>) -> io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(traffic))
        .route("/healthz", get(async || well(true)))
        .route("/readyz", get(follows))
        .with_state(gateway);
    axum::serve(listener, routes).await
}

async fn follows(State(gateway): State<Arc<Gateway>>) -> Response {
    well(gateway.desk.is_following())
}

/// A gateway has no partitions to tell of, and one thing that may be the matter.
fn well(ok: bool) -> Response {
    let why = "the log is not read to its end yet, or was not heard of for ten seconds";
    let why = (!ok).then(|| why.to_owned()).into_iter().collect();
    let partitions = Vec::new();
    answer(&Report {
        ok,
        why,
        partitions,
    })
}

async fn metrics(State(vitals): State<Arc<Vitals>>) -> Response {
    scraped(vitals.scrape(System.now()))
}

async fn traffic(State(gateway): State<Arc<Gateway>>) -> Response {
    scraped(gateway.scrape())
}

fn scraped(text: Result<String, fmt::Error>) -> Response {
    match text {
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
