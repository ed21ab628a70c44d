//! What is asked of the past, each answer as it is told and as OpenAPI describes it.

pub(super) mod audit;
pub(super) mod export;
pub(super) mod records;
pub(super) mod rules;
pub(super) mod track;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{Ref, RefOr, Schema};

use super::answer;
use super::openapi::Schemas;
use crate::gateway::refusal::{Refusal, Sort};

/// How an answer is described.
pub(super) type Described = fn(&mut Schemas) -> RefOr<Schema>;

/// An answer of a type, and what it is made of, by name.
pub(super) fn described<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    schemas.extend(parts);
    schemas.insert(T::name().into_owned(), T::schema());
    Ref::from_schema_name(T::name()).into()
}

/// An answer as JSON.
pub(super) fn json(body: &impl Serialize) -> Result<Response, Refusal> {
    let text = serde_json::to_string(body).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        Refusal::new(
            Sort::Away,
            "log_unavailable",
            "the answer cannot be written",
        )
    })?;
    Ok(answer(StatusCode::OK, [], &text))
}
