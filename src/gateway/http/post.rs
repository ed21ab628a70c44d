//! What is said: a record's JSON, appended, and waited for if asked to.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::query::{Parameter, asked};
use super::{Gateway, answer};
use crate::gateway::access::Caller;
use crate::gateway::desk::Fate;
use crate::gateway::draft::{Draft, Said};
use crate::gateway::refusal::{Refusal, Sort};
use crate::wire::check_traceparent;

/// What can be asked of what is said.
pub(super) const QUERY: &[Parameter] = &[Parameter::Wait];

/// Appends a record; answers once it is there, or once it is known what became of it.
pub(super) async fn say(
    said: Said,
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let span = asked(query, QUERY)?.wait;
    let body = body.map_err(unread)?;
    let desk = &gateway.desk;
    let draft = Draft::of(desk.codec(), &caller, said, &body)?;
    let appended = desk.append(&draft, trace(&headers)).await?;
    let mut told = json!({
        "id": draft.id,
        "topic": appended.topic,
        "partition": appended.partition,
        "offset": appended.offset,
    });
    let mut status = StatusCode::ACCEPTED;
    // Whoever is refused is still at it.
    let decided = desk.release_decided(&caller, said, draft.round());
    if let Some(span) = span {
        let state = match desk.fate(&draft, &appended, span).await {
            Fate::Refused(refusal) => return Err(refusal),
            Fate::Admitted => {
                status = StatusCode::OK;
                "admitted"
            }
            Fate::Pending => "pending",
        };
        decided.await;
        if let Some(told) = told.as_object_mut() {
            told.insert("state".to_owned(), state.into());
        }
    } else {
        decided.await;
    }
    Ok(match draft.round() {
        Some(id) => answer(status, [(LOCATION, format!("/v1/rounds/{id}"))], &told),
        None => answer(status, [], &told),
    })
}

/// The trace a request belongs to; as the standard has it, one that is not sound is none.
fn trace(headers: &HeaderMap) -> Option<String> {
    let given = headers.get("traceparent")?.to_str().ok()?;
    let is_sound = check_traceparent(given).is_ok();
    is_sound.then(|| given.to_owned())
}

fn unread(rejection: BytesRejection) -> Refusal {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = "the body is longer than 64 KiB";
        return Refusal::new(Sort::TooLarge, "record_too_large", detail);
    }
    Refusal::new(Sort::Bad, "malformed", "the body did not come")
}
