//! The protocol over HTTP: JSON in, JSON out, `docs/http.md`. It translates and never decides.

mod ask;
mod claims;
mod entrance;
mod health;
mod history;
mod inbox;
mod lists;
mod login;
pub mod openapi;
mod operate;
mod pages;
mod post;
mod problem;
mod query;
mod routes;
mod session;
mod stream;
mod traffic;

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use futures_util::StreamExt as _;
use quorate_core::ids::Timestamp;
use tokio::net::TcpListener;

use self::entrance::{Entrance, Peer};
use super::access::{Access, Verb};
use super::desk::Desk;
use super::refusal::{Refusal, Sort};
use crate::clock::{Clock as _, System};
use crate::telemetry::{Deliveries, Traffic};
pub use pages::Page;
pub use session::Sessions;

/// The longest body.
const BODY_MAX: usize = 64 * 1024;
/// Most connections at once where nobody says how many.
const CONNECTIONS: usize = 16_384;

/// What every request is answered from.
#[derive(Debug)]
pub struct Gateway {
    /// Who is let in.
    pub access: Access,
    /// The log.
    pub desk: Desk,
    /// Who is signed in, by a browser.
    sessions: Sessions,
    /// What is shown to people.
    pages: Vec<Page>,
    /// What those pages are told, as JSON.
    settings: String,
    /// Where what stands in front says whose requests it passes on.
    address_header: Option<HeaderName>,
    /// Most connections at once.
    connections: usize,
    /// Whether operators suspend and resume by way of it.
    operates: bool,
    /// What is asked of it.
    traffic: Traffic,
}

impl Gateway {
    /// A gateway that is asked by everybody itself.
    #[must_use]
    pub fn new(access: Access, desk: Desk) -> Self {
        Self {
            access,
            desk,
            sessions: Sessions::default(),
            pages: Vec::new(),
            settings: "{}".to_owned(),
            address_header: None,
            connections: CONNECTIONS,
            operates: false,
            traffic: Traffic::default(),
        }
    }

    /// What becomes of what a webhook is told, counted.
    #[must_use]
    pub fn counting(&self, webhook: &str) -> Deliveries {
        self.traffic.webhook(webhook)
    }

    /// The same, with room for so many connections at once.
    #[must_use]
    pub fn with_room_for(self, connections: usize) -> Self {
        Self {
            connections,
            ..self
        }
    }

    /// The same, by way of which operators suspend and resume.
    #[must_use]
    pub fn operating(self, operates: bool) -> Self {
        Self { operates, ..self }
    }

    /// The same, with pages for people, who are signed in by these.
    #[must_use]
    pub fn with_pages(self, pages: Vec<Page>, sessions: Sessions) -> Self {
        Self {
            pages,
            sessions,
            ..self
        }
    }

    /// The same, whose pages are told this, as JSON.
    #[must_use]
    pub fn with_settings(self, settings: String) -> Self {
        Self { settings, ..self }
    }

    /// The same, behind something that says whose requests it passes on: the last address in this
    /// header is believed.
    ///
    /// # Errors
    /// If that is no name of a header.
    pub fn behind(self, header: &str) -> io::Result<Self> {
        let name = header.parse().map_err(io::Error::other)?;
        Ok(Self {
            address_header: Some(name),
            ..self
        })
    }

    /// What was asked of it and what it has read, as OpenMetrics text.
    ///
    /// # Errors
    /// None in practice: text can always be written to memory.
    pub fn scrape(&self) -> Result<String, fmt::Error> {
        let read = self.desk.view().known().read_so_far();
        self.traffic.scrape(&read)
    }

    /// From where a request is, as far as that is known.
    fn from(&self, headers: &HeaderMap, peer: SocketAddr) -> IpAddr {
        let told = self.address_header.as_ref();
        let told = told.and_then(|name| headers.get_all(name).iter().next_back());
        let told =
            told.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        told.unwrap_or_else(|| peer.ip())
    }
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
    let entrance = Entrance::new(listener, gateway.connections);
    let routes = router(Arc::clone(&gateway)).into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(entrance, routes).with_graceful_shutdown(stop);
    tokio::select! {
        served = serving => served,
        // It is never done.
        () = gateway.access.keep() => Ok(()),
    }
}

/// Everything that can be asked for or said, behind what lets callers in.
fn router(gateway: Arc<Gateway>) -> Router {
    let mut places: BTreeMap<_, MethodRouter<_>> = BTreeMap::new();
    let measured = Arc::clone(&gateway);
    for route in routes::all() {
        let door = Door {
            gateway: Arc::clone(&gateway),
            verb: route.verb(),
        };
        let is_public = route.is_public;
        let handler = if is_public {
            route.handler
        } else {
            let door = middleware::from_fn_with_state(door, let_in);
            route.handler.route_layer(door)
        };
        let place = places.remove(route.path).unwrap_or_default();
        places.insert(route.path, place.merge(handler));
    }
    let mut router = Router::new();
    for (path, handler) in places {
        router = router.route(path, handler.fallback(not_allowed));
    }
    let session = get(session::who)
        .post(session::sign_in)
        .delete(session::sign_out);
    router
        .route("/console/session", session)
        .route("/console/session/ways", get(session::ways))
        .route("/console/settings", get(session::settings))
        .route("/console/session/begin", get(login::begin))
        .route("/console/session/callback", get(login::back))
        .merge(pages::router(&gateway.pages))
        .fallback(missing)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn(turn_away))
        .layer(middleware::from_fn_with_state(measured, traffic::measure))
        .with_state(gateway)
}

/// Turns away whom there is no room for.
async fn turn_away(ConnectInfo(peer): ConnectInfo<Peer>, request: Request, next: Next) -> Response {
    if peer.has_room {
        return next.run(request).await;
    }
    let detail = "there are as many connections as there is room for";
    let refusal = Refusal::new(Sort::Away, "too_many_connections", detail);
    ([(CONNECTION, "close")], refusal).into_response()
}

/// What is behind a door, and what one does there.
#[derive(Clone)]
struct Door {
    gateway: Arc<Gateway>,
    /// None: nobody may, since nobody said who.
    verb: Option<Verb>,
}

/// Lets in whoever shows a known token and may do this, before anything of the body is read.
async fn let_in(
    State(Door { gateway, verb }): State<Door>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let shown = request.headers().get(AUTHORIZATION);
    let shown = shown.and_then(|value| value.to_str().ok());
    let token = shown.and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let from = gateway.from(request.headers(), peer.address);
    let signed_in = match shown {
        Some(_) => None,
        None => gateway
            .sessions
            .caller(request.method(), request.headers())?,
    };
    let caller = match signed_in {
        Some(caller) => gateway.access.known(caller)?,
        None => gateway.access.caller(token, from).await?,
    };
    let nobody = || Refusal::new(Sort::Forbidden, "role_missing", "nobody may do this");
    caller.may(verb.ok_or_else(nobody)?)?;
    if caller.is_guest {
        gateway.desk.welcome(&caller.subject).await?;
    }
    let until = caller.until;
    request.extensions_mut().insert(caller);
    let response = next.run(request).await;
    let kind = response.headers().get(CONTENT_TYPE);
    let is_stream = kind.is_some_and(|kind| kind == "text/event-stream");
    Ok(match until {
        Some(until) if is_stream => response.map(|body| cut(body, until)),
        _ => response,
    })
}

/// A stream that ends once whoever asked for it is not let in any more.
fn cut(body: Body, until: Timestamp) -> Body {
    let rest = u64::try_from(until.since(System.now()).0).unwrap_or(0);
    let over = tokio::time::sleep(Duration::from_millis(rest));
    Body::from_stream(body.into_data_stream().take_until(over))
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
    body: &impl Display,
) -> Response {
    let kind = [(CONTENT_TYPE, "application/json")];
    (status, kind, headers, format!("{body}\n")).into_response()
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
        let gateway = Arc::new(Gateway::new(access, desk));
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
    fn an_address_is_that_of_the_socket_unless_what_stands_in_front_says_another() {
        let desk = Desk::open(Arc::new(Fake::default())).unwrap();
        let gateway = Gateway::new(Access::default(), desk);
        let peer = SocketAddr::from(([10, 0, 0, 1], 1));
        let mut headers = HeaderMap::new();
        let own = |gateway: &Gateway, headers: &HeaderMap| gateway.from(headers, peer).to_string();
        headers.append("x-forwarded-for", "10.9.9.9".parse().unwrap());
        assert_eq!(own(&gateway, &headers), "10.0.0.1");
        let gateway = gateway.behind("X-Forwarded-For").unwrap();
        // What somebody says of itself comes before what the one in front adds.
        headers.append("x-forwarded-for", "10.8.8.8, 10.7.7.7".parse().unwrap());
        assert_eq!(own(&gateway, &headers), "10.7.7.7");
        headers.append("x-forwarded-for", "nowhere".parse().unwrap());
        assert_eq!(own(&gateway, &headers), "10.0.0.1");
        assert!(gateway.behind("no header").is_err());
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
