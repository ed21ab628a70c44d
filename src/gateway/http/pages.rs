//! Pages for people: static files, and what browsers are told to keep out of them.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::header::{REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;

/// Nothing but what is served here, no markup made of text, and no page around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// A file: its name, empty for the page itself; its type; what is in it.
pub type Page = (&'static str, &'static str, &'static str);

/// Routes to pages, below `/console/`.
pub(super) fn router<S: Clone + Send + Sync + 'static>(pages: &[Page]) -> Router<S> {
    let mut router = Router::new();
    for &(name, kind, content) in pages {
        let path = format!("/console/{name}");
        router = router.route(&path, get(move || async move { page(kind, content) }));
    }
    if !pages.is_empty() {
        router = router.route("/", get(|| async { Redirect::temporary("console/") }));
        router = router.route(
            "/console",
            get(|| async { Redirect::temporary("console/") }),
        );
    }
    router
}

fn page(kind: &'static str, content: &'static str) -> Response {
    let told = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        // What is served changes with the program.
        (CACHE_CONTROL, "no-cache"),
    ];
    let told = told.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (told, content).into_response()
}
