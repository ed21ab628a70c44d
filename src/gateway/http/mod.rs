//! The protocol over HTTP: JSON in, JSON out, `docs/http.md`. It translates and never decides.

mod ask;
mod post;
mod problem;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;

use super::access::Access;
use super::desk::Desk;
use super::draft::Said;
use super::refusal::{Refusal, Sort};

/// The longest body.
const BODY_MAX: usize = 64 * 1024;
/// The longest anybody may wait.
const WAIT_MAX: f64 = 30.0;

/// What every request is answered from.
#[derive(Debug)]
pub struct Gateway {
    /// Who is let in.
    pub access: Access,
    /// The log.
    pub desk: Desk,
}

/// Serves until told to stop, then ends once what was asked before is answered.
///
/// # Errors
/// If the listener cannot be listened on any more.
pub async fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, routes(gateway))
        .with_graceful_shutdown(stop)
        .await
}

fn routes(gateway: Arc<Gateway>) -> Router {
    let say = |said| {
        post(move |state, caller, query, headers, body| {
            post::say(said, state, caller, query, headers, body)
        })
    };
    Router::new()
        .route("/v1/proposals", say(Said::Proposal))
        .route("/v1/responses", say(Said::Response))
        .route("/v1/decisions", say(Said::Decision))
        .route("/v1/results", say(Said::Result))
        .route("/v1/rounds/{id}", get(ask::round))
        .route("/v1/rounds/{id}/outcomes", get(ask::outcomes))
        .route("/v1/inbox", get(ask::inbox))
        .method_not_allowed_fallback(not_allowed)
        .route_layer(middleware::from_fn_with_state(Arc::clone(&gateway), let_in))
        .fallback(missing)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(gateway)
}

/// Lets in whoever shows a known token, before anything of the body is read.
async fn let_in(
    State(gateway): State<Arc<Gateway>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let shown = request.headers().get(AUTHORIZATION);
    let shown = shown.and_then(|value| value.to_str().ok());
    let token = shown.and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let caller = gateway.access.caller(token)?;
    if caller.is_guest {
        gateway.desk.welcome(&caller.subject).await?;
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

async fn missing() -> Refusal {
    Refusal::new(Sort::Missing, "not_found", "there is nothing of this name")
}

async fn not_allowed() -> Refusal {
    let detail = "what is here is asked for by another method";
    Refusal::new(Sort::NotAllowed, "method_not_allowed", detail)
}

/// A JSON answer.
fn answer<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, String); N],
    body: &Value,
) -> Response {
    let kind = [(CONTENT_TYPE, "application/json")];
    (status, kind, headers, format!("{body}\n")).into_response()
}

/// The parameters of a query.
#[derive(Debug, Default)]
struct Asked {
    /// How long to wait.
    wait: Option<Duration>,
    /// What the domains begin with.
    domain: Option<String>,
}

/// Reads a query, of which these parameters make sense.
fn asked(query: Option<String>, known: &[&str]) -> Result<Asked, Refusal> {
    let query = query.unwrap_or_default();
    let mut asked = Asked::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            name if !known.contains(&name) => {
                return Err(bad_query(format!("`{name}` means nothing here")));
            }
            "wait" => asked.wait = Some(span(&value)?),
            _ => asked.domain = Some(value.into_owned()),
        }
    }
    Ok(asked)
}

/// A time to wait.
fn span(text: &str) -> Result<Duration, Refusal> {
    let seconds = text.parse().ok().filter(|at| (0.0..=WAIT_MAX).contains(at));
    let refusal = || bad_query("`wait` is not a number of seconds from 0 to 30");
    seconds.map(Duration::from_secs_f64).ok_or_else(refusal)
}

fn bad_query(detail: impl Into<String>) -> Refusal {
    Refusal::new(Sort::Bad, "bad_query", detail)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use quorate_core::ids::ProposalId;
    use quorate_core::records::RoundState;

    use super::*;
    use crate::gateway::told::{Fake, Told};
    use crate::wire::sha256;

    /// What is answered to a question, by a gateway of a log nobody follows but the test.
    fn asked(path: &str, tell: impl FnOnce(&Desk)) -> String {
        let digest = sha256(b"ada");
        let tokens =
            format!("[[token]]\nsha256 = \"{digest}\"\nsubject = \"ada\"\nroles = [\"agent\"]");
        let access = Access::from_toml(&tokens).unwrap();
        let desk = Desk::open(Arc::new(Fake::default())).unwrap();
        tell(&desk);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = Arc::new(Gateway { access, desk });
        runtime.spawn(serve(listener, gateway, std::future::pending()));
        let mut stream = TcpStream::connect(address).unwrap();
        let head = "Host: it\r\nConnection: close\r\nAuthorization: bearer ada";
        let request = format!("GET {path} HTTP/1.1\r\n{head}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        runtime.shutdown_background();
        answer
    }

    #[test]
    fn nothing_is_told_of_a_log_that_is_not_followed() {
        let round = format!("/v1/rounds/{}", ProposalId::from_bytes([7; 16]));
        let outcomes = format!("{round}/outcomes");
        for path in [&*round, &outcomes, "/v1/inbox", "/v1/inbox?wait=0.1"] {
            let answer = asked(path, |_| ());
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            let answer = asked(path, |desk| desk.view().set_follows(true));
            assert!(!answer.starts_with("HTTP/1.1 503"), "{answer}");
        }
    }

    #[test]
    fn a_full_inbox_is_told_in_parts() {
        let answer = asked("/v1/inbox", |desk| {
            let mut told = Told::to(desk.shared_view());
            for number in 0..150 {
                told.round(ProposalId::from_bytes([number; 16]), RoundState::Open, 1);
            }
            desk.view().set_follows(true);
        });
        assert_eq!(answer.matches("\"deadline\":1001").count(), 100);
    }
}
