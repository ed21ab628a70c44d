//! Refusals as HTTP has them: problem details (RFC 9457).

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use quorate_core::reject::Reject;
use serde_json::json;

use super::claims::told;
use crate::gateway::refusal::{Refusal, Sort};

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = status(self.sort);
        let mut body = json!({
            "type": format!("urn:quorate:problem:{}", self.code),
            "title": title(&self),
            "status": status.as_u16(),
            "detail": self.detail,
            "code": self.code,
        });
        if let (Some(id), Some(body)) = (self.id, body.as_object_mut()) {
            body.insert("id".to_owned(), id.into());
        }
        if let (Some(claim), Some(body)) = (&self.claim, body.as_object_mut()) {
            body.insert("claim".to_owned(), told(claim));
        }
        let kind = [(CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, kind, format!("{body}\n")).into_response();
        let headers = response.headers_mut();
        match self.sort {
            Sort::Away | Sort::TooMany => {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds(self.wait)))
            }
            Sort::Unknown => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            _ => None,
        };
        response
    }
}

/// Whole seconds, and no fewer than it takes.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// How a sort is told apart.
pub(super) const fn status(sort: Sort) -> StatusCode {
    match sort {
        Sort::Unknown => StatusCode::UNAUTHORIZED,
        Sort::Forbidden => StatusCode::FORBIDDEN,
        Sort::Bad => StatusCode::BAD_REQUEST,
        Sort::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Sort::Missing => StatusCode::NOT_FOUND,
        Sort::Gone => StatusCode::GONE,
        Sort::NotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Sort::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        Sort::Taken => StatusCode::CONFLICT,
        Sort::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Sort::Away => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What a code means: as the protocol has it, for what the protocol refused.
fn title(refusal: &Refusal) -> &'static str {
    let mut codes = Reject::ALL.iter();
    let named = codes.find(|reject| reject.code() == refusal.code);
    match (refusal.sort, named) {
        (Sort::Refused | Sort::TooLarge, Some(reject)) => reject.meaning(),
        (sort, _) => meaning(sort),
    }
}

/// What a sort of refusal means.
pub(super) const fn meaning(sort: Sort) -> &'static str {
    match sort {
        Sort::Unknown => "Nobody is known by this token",
        Sort::Forbidden => "This token does not allow it",
        Sort::Bad => "The request is not sound",
        Sort::TooLarge => "The request is too large",
        Sort::Missing => "There is no such thing",
        Sort::Gone => "It is not remembered any more",
        Sort::NotAllowed => "Not by this method",
        Sort::Refused => "The record was refused",
        Sort::Taken => "Somebody else has it",
        Sort::TooMany => "Too much is asked",
        Sort::Away => "Try again later",
    }
}
