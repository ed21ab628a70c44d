//! What is asked of a gateway, counted; by templates of paths, so that nobody can make up series.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt as _;

use super::Gateway;

/// What is said of a path that is none, or a method that is none here.
const OTHER: &str = "other";

/// Counts a request once the head of its answer is there, and a stream as long as it is open.
pub(super) async fn measure(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let method = named(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(OTHER, MatchedPath::as_str);
    let status = response.status().as_u16();
    gateway
        .traffic
        .asked(method, route, status, begun.elapsed());
    let kind = response.headers().get(CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "text/event-stream") {
        return response;
    }
    let listening = gateway.traffic.listening();
    response.map(|body| {
        let frames = body.into_data_stream();
        Body::from_stream(frames.map(move |frame| {
            // Dropped with the stream.
            let _open = &listening;
            frame
        }))
    })
}

fn named(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}
