//! Refusals as HTTP has them: problem details (RFC 9457).

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use quorate_core::reject::Reject;
use serde_json::json;

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
        let kind = [(CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, kind, format!("{body}\n")).into_response();
        let headers = response.headers_mut();
        match self.sort {
            Sort::Away => headers.insert(RETRY_AFTER, HeaderValue::from_static("1")),
            Sort::Unknown => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            _ => None,
        };
        response
    }
}

const fn status(sort: Sort) -> StatusCode {
    match sort {
        Sort::Unknown => StatusCode::UNAUTHORIZED,
        Sort::Forbidden => StatusCode::FORBIDDEN,
        Sort::Bad => StatusCode::BAD_REQUEST,
        Sort::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Sort::Missing => StatusCode::NOT_FOUND,
        Sort::NotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Sort::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        Sort::Away => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What a code means: as the protocol has it, for what the protocol refused.
fn title(refusal: &Refusal) -> &'static str {
    let mut codes = Reject::ALL.iter();
    let named = codes.find(|reject| reject.code() == refusal.code);
    match (refusal.sort, named) {
        (Sort::Refused | Sort::TooLarge, Some(reject)) => reject.meaning(),
        (Sort::Unknown, _) => "Nobody is known by this token",
        (Sort::Forbidden, _) => "This token does not allow it",
        (Sort::Bad, _) => "The request is not sound",
        (Sort::TooLarge, _) => "The request is too large",
        (Sort::Missing, _) => "There is no such thing",
        (Sort::NotAllowed, _) => "Not by this method",
        (Sort::Refused, None) => "The record was refused",
        (Sort::Away, _) => "Try again later",
    }
}
