//! What is asked for by its name: a round, what it came to, what a person needs to decide it, an
//! agent.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::response::{IntoResponse as _, Response};
use axum_extra::TypedHeader;
use axum_extra::headers::{ETag, IfNoneMatch};

use super::lists::told;
use super::{Gateway, answer, claims};
use crate::gateway::access::Caller;
use crate::gateway::desk::{Desk, follows};
use crate::gateway::refusal::{Refusal, Sort};
use crate::gateway::view::{Known, Seen};
use crate::wire::{Kind, sha256};

/// The last record of a round.
pub(super) async fn round(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    had: Option<TypedHeader<IfNoneMatch>>,
) -> Result<Response, Refusal> {
    let of = |seen: &Seen| seen.round.as_ref().map(|held| held.value.clone());
    let value = of_round(&gateway.desk, &id, of).and_then(|value| value.ok_or_else(no_round))?;
    unless_had(&gateway.desk, Kind::Round, &value, had)
}

/// What a round has come to so far.
pub(super) async fn outcomes(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let values = |seen: &Seen| -> Vec<Bytes> {
        let outcomes = seen.outcomes.iter();
        outcomes.map(|outcome| outcome.value.clone()).collect()
    };
    let values = of_round(&gateway.desk, &id, values)?;
    let outcomes = told(&gateway.desk, Kind::Outcome, &values)?;
    let body = format!("{{\"outcomes\":[{}]}}", outcomes.join(","));
    Ok(answer(StatusCode::OK, [], &body))
}

/// The last decision package of a round that waits, or waited, for people.
pub(super) async fn escalation(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let desk = &gateway.desk;
    let found = look(desk, |known| {
        let id = id.parse().ok()?;
        let seen = known.round(&id).filter(|seen| seen.round.is_some())?;
        let package = seen.package.as_ref().map(|package| package.value.clone());
        Some((package, claims::beside_of(desk, known, &id, &caller)))
    })?;
    let (value, beside) = found.ok_or_else(no_round)?;
    let none = || {
        let detail = "nobody was asked to decide this round, or its package is gone from the log";
        Refusal::new(Sort::Missing, "unknown_escalation", detail)
    };
    let value = value.ok_or_else(none)?;
    let text = Kind::DecisionPackage.to_json(desk.codec(), &value)?;
    let text = claims::beside(&text, &beside);
    Ok(answer(StatusCode::OK, [], &text))
}

/// The last record of an agent.
pub(super) async fn agent(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    had: Option<TypedHeader<IfNoneMatch>>,
) -> Result<Response, Refusal> {
    let value = look(&gateway.desk, |known| {
        known.agent_item(&name).map(|item| item.value.clone())
    })?;
    unless_had(
        &gateway.desk,
        Kind::Agent,
        &value.ok_or_else(no_agent)?,
        had,
    )
}

pub(super) fn no_agent() -> Refusal {
    let detail = "nobody of this name is listed";
    Refusal::new(Sort::Missing, "unknown_agent", detail)
}

/// Something of a round that is known to have been opened.
fn of_round<T>(desk: &Desk, id: &str, what: impl FnOnce(&Seen) -> T) -> Result<T, Refusal> {
    let found = look(desk, |known| {
        let seen = known.round(&id.parse().ok()?);
        seen.filter(|seen| seen.round.is_some()).map(what)
    })?;
    found.ok_or_else(no_round)
}

/// Something that is known, if the log is followed.
pub(super) fn look<T>(desk: &Desk, at: impl FnOnce(&Known) -> T) -> Result<T, Refusal> {
    let known = desk.view().known();
    follows(&known)?;
    Ok(at(&known))
}

/// A record as JSON by the schema it was written with, under a tag; nothing but the tag to who has
/// what it names, so that to ask again and again costs little.
fn unless_had(
    desk: &Desk,
    kind: Kind,
    value: &[u8],
    had: Option<TypedHeader<IfNoneMatch>>,
) -> Result<Response, Refusal> {
    // The same record is told in the same words by the same release, at whatever gateway.
    let tag = format!("\"{}-{}\"", env!("CARGO_PKG_VERSION"), sha256(value));
    let is_new = match (had, tag.parse::<ETag>()) {
        (Some(TypedHeader(had)), Ok(tag)) => had.precondition_passes(&tag),
        _ => true,
    };
    let headers = [(ETAG, tag), (CACHE_CONTROL, "private, no-cache".to_owned())];
    if !is_new {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let text = kind.to_json(desk.codec(), value)?;
    Ok(answer(StatusCode::OK, headers, &text))
}

pub(super) fn no_round() -> Refusal {
    let detail = "no such round runs, or is remembered; `quorate show` finds any";
    Refusal::new(Sort::Missing, "unknown_round", detail)
}
