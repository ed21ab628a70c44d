//! Sessions of people who come by a browser: a cookie that only gateways can make and read.
//!
//! It says who somebody is, in which roles and until when, so that every gateway that has the key
//! lets them in. A browser sends it along with whatever a page asks; what a page of somebody else
//! asks to be said is refused.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum_extra::extract::cookie::{Cookie, Key, PrivateCookieJar, SameSite};
use quorate_core::ids::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::entrance::Peer;
use super::{Gateway, answer};
use crate::clock::{Clock as _, System};
use crate::gateway::access::{Caller, Role};
use crate::gateway::refusal::{Refusal, Sort};
use crate::wire::json::parse_strict;

/// How long somebody is signed in where nothing else is said.
const SPAN: Millis = Millis(8 * 3_600_000);
/// The cookie.
const NAME: &str = "quorate_session";

/// How sessions are kept.
#[derive(Clone)]
pub struct Sessions {
    key: Key,
    /// How long one lasts.
    span: Millis,
    /// Whether browsers may send it only over TLS.
    is_secure: bool,
    /// What stands before every path where browsers find this.
    path: String,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

/// What a cookie says, and who is signed in is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Session {
    subject: String,
    roles: Vec<Role>,
    until: Timestamp,
    by: Way,
}

/// By what somebody signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Way {
    /// A token.
    Token,
    /// A name, in `quorate dev`.
    Name,
    /// The page of an issuer.
    Issuer,
}

/// What somebody shows to be signed in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    token: Option<String>,
    name: Option<String>,
}

impl Default for Sessions {
    /// By a key that is gone with this process.
    fn default() -> Self {
        Self {
            key: Key::generate(),
            span: SPAN,
            is_secure: false,
            path: String::new(),
        }
    }
}

impl Sessions {
    /// The same by a key that gateways of one house share, of 64 bytes at least.
    ///
    /// # Errors
    /// If it is shorter.
    pub fn by_key(self, key: &[u8]) -> io::Result<Self> {
        let key = Key::try_from(key).map_err(io::Error::other)?;
        Ok(Self { key, ..self })
    }

    /// The same, of which each lasts so long.
    #[must_use]
    pub fn lasting(self, span: Millis) -> Self {
        Self { span, ..self }
    }

    /// The same, where browsers find this at a URL: over https they send cookies over TLS only.
    ///
    /// # Errors
    /// If it is not a URL of http or https.
    pub fn found_at(self, url: &str) -> io::Result<Self> {
        let not_one = || io::Error::other(format!("`{url}` is not a URL of http or https"));
        let uri: Uri = url.parse().map_err(|_| not_one())?;
        let is_secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(not_one()),
        };
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self {
            is_secure,
            path,
            ..self
        })
    }

    /// What stands before every path where browsers find this.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn jar(&self, headers: &HeaderMap) -> PrivateCookieJar {
        PrivateCookieJar::from_headers(headers, self.key.clone())
    }

    /// Who has a session, if it has not ended.
    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let cookie = self.jar(headers).get(NAME)?;
        let session: Session = serde_json::from_str(cookie.value()).ok()?;
        (System.now() < session.until).then_some(session)
    }

    /// Who comes by a session.
    ///
    /// # Errors
    /// A [`Refusal`] if a page of somebody else asks for more than to look.
    pub(super) fn caller(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Option<Caller>, Refusal> {
        let Some(session) = self.session(headers) else {
            return Ok(None);
        };
        is_own_page(method, headers)?;
        Ok(Some(Caller {
            subject: session.subject,
            roles: session.roles.into_iter().collect(),
            is_guest: false,
            until: Some(session.until),
        }))
    }

    /// Whether browsers may send a cookie over TLS only.
    pub(super) const fn is_secure(&self) -> bool {
        self.is_secure
    }

    fn cookie(&self, value: String) -> Cookie<'static> {
        Cookie::build((NAME, value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Strict)
            .secure(self.is_secure)
            .build()
    }

    /// The cookie of a session that begins now: a new one, whatever a browser has shown.
    pub(super) fn begin(
        &self,
        caller: Caller,
        by: Way,
    ) -> Result<(Cookie<'static>, Session), Refusal> {
        let until = System.now().plus(self.span);
        let session = Session {
            subject: caller.subject,
            roles: caller.roles.into_iter().collect(),
            // Nobody is let in for longer than the token would have let them in.
            until: caller.until.map_or(until, |expires| until.min(expires)),
            by,
        };
        let value = serde_json::to_string(&session).map_err(|_| nobody())?;
        Ok((self.cookie(value), session))
    }
}

/// A page of this gateway, or no page at all; browsers say so by `Sec-Fetch-Site`, older ones by
/// `Origin`. To look on does no harm, as nobody else's page is shown the answer.
fn is_own_page(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_own = match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => ["same-origin", "none"].contains(&site),
        (None, None) => true,
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && host == text(HOST.as_str())
        }
    };
    if is_own {
        return Ok(());
    }
    let detail = "a page of somebody else has asked for it";
    Err(Refusal::new(Sort::Forbidden, "other_origin", detail))
}

/// Whether a browser has asked this machine by a name that nobody else can have: a name of somebody
/// else's may lead here, too, and its pages with it.
fn is_here(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority: Option<Authority> = host.and_then(|host| host.parse().ok());
    authority.is_some_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    })
}

/// Who is signed in.
pub(super) async fn who(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let session = gateway.sessions.session(&headers).ok_or_else(nobody)?;
    Ok(told(&session))
}

/// The house's links, reasons and keys, for the pages of whoever is signed in.
pub(super) async fn settings(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    gateway.sessions.session(&headers).ok_or_else(nobody)?;
    Ok(answer(StatusCode::OK, [], &gateway.settings))
}

/// By what one signs in here.
pub(super) async fn ways(State(gateway): State<Arc<Gateway>>) -> Response {
    let access = &gateway.access;
    let page = access.has_page().then_some(Way::Issuer);
    let shown = if access.knows_names() {
        Way::Name
    } else {
        Way::Token
    };
    let by: Vec<Way> = page.into_iter().chain([shown]).collect();
    answer(StatusCode::OK, [], &json!({ "by": by }))
}

/// Signs in whoever shows a token, or in `quorate dev` a name.
pub(super) async fn sign_in(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    is_own_page(&Method::POST, &headers)?;
    let shown: Shown = serde_json::from_value(parse_strict(&body)?)
        .map_err(|error| Refusal::new(Sort::Bad, "malformed", error.to_string()))?;
    let (caller, by) = match (shown.token, shown.name) {
        (Some(token), None) => {
            let from = gateway.from(&headers, peer.address);
            let caller = gateway.access.caller(Some(&token), from).await?;
            if caller.is_guest {
                return Err(nobody());
            }
            (caller, Way::Token)
        }
        (None, Some(name)) if is_here(&headers) => (gateway.access.by_name(&name)?, Way::Name),
        _ => return Err(nobody()),
    };
    let sessions = &gateway.sessions;
    let (cookie, session) = sessions.begin(caller, by)?;
    Ok((sessions.jar(&headers).add(cookie), told(&session)).into_response())
}

/// Signs out; whoever has signed in at an issuer's page is told where to do so there, too, as
/// `then`, if it says where.
pub(super) async fn sign_out(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    is_own_page(&Method::DELETE, &headers)?;
    let sessions = &gateway.sessions;
    let session = sessions.session(&headers);
    let gone = sessions.cookie(String::new());
    let jar = sessions.jar(&headers).remove(gone);
    let then = match session {
        Some(session) if session.by == Way::Issuer => gateway.access.farewell().await,
        _ => None,
    };
    let told = answer(StatusCode::OK, [], &json!({ "then": then }));
    Ok((jar, told).into_response())
}

fn told(session: &Session) -> Response {
    answer(StatusCode::OK, [], &json!(session))
}

fn nobody() -> Refusal {
    Refusal::new(Sort::Unknown, "unauthenticated", "nobody is signed in")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Caller {
        Caller {
            subject: "rita".to_owned(),
            roles: [Role::Reviewer].into(),
            is_guest: false,
            until: None,
        }
    }

    /// The cookie that somebody is given, as it is sent.
    fn cookie(sessions: &Sessions) -> HeaderMap {
        cookie_of(sessions, caller())
    }

    fn cookie_of(sessions: &Sessions, caller: Caller) -> HeaderMap {
        let (cookie, _) = sessions.begin(caller, Way::Token).unwrap();
        let given = sessions.jar(&HeaderMap::new()).add(cookie).into_response();
        let given = given.headers().get("set-cookie").unwrap();
        let sent = given.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([("cookie".parse().unwrap(), sent.parse().unwrap())])
    }

    fn come(sessions: &Sessions, headers: &HeaderMap) -> Option<Caller> {
        sessions.caller(&Method::GET, headers).unwrap()
    }

    #[test]
    fn who_has_the_key_knows_who_is_signed_in() {
        let keyed = |byte| Sessions::default().by_key(&[byte; 64]).unwrap();
        let headers = cookie(&keyed(1));
        let come_back = come(&keyed(1), &headers).unwrap();
        assert!(come_back.until.is_some_and(|until| System.now() < until));
        let until = None;
        assert_eq!(Caller { until, ..come_back }, caller());
        assert_eq!(come(&keyed(2), &headers), None);
        assert_eq!(come(&Sessions::default(), &headers), None);
        assert!(Sessions::default().by_key(&[1; 63]).is_err());
    }

    #[test]
    fn a_session_ends() {
        let sessions = Sessions::default();
        assert!(come(&sessions, &cookie(&sessions)).is_some());
        // One lasts no longer than the token it was begun with.
        let until = Some(System.now().plus(Millis(60_000)));
        let short = cookie_of(&sessions, Caller { until, ..caller() });
        assert_eq!(come(&sessions, &short).unwrap().until, until);
        let over = sessions.lasting(Millis(0));
        assert_eq!(come(&over, &cookie(&over)), None);
    }

    #[test]
    fn over_tls_browsers_send_it_over_tls_only() {
        let given = |sessions: Sessions| {
            let (cookie, _) = sessions.begin(caller(), Way::Token).unwrap();
            cookie.secure() == Some(true)
        };
        let found_at = |url| Sessions::default().found_at(url);
        assert!(!given(Sessions::default()));
        assert!(!given(found_at("http://bank.example").unwrap()));
        assert!(given(found_at("https://bank.example/quorate/").unwrap()));
        for wrong in ["bank.example", "ftp://bank.example", "https://"] {
            assert!(found_at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_enough_only_where_this_machine_was_asked_for() {
        for (host, here) in [
            ("127.0.0.1:8080", true),
            ("localhost", true),
            ("[::1]:9", true),
            ("127.0.0.1.evil.example", false),
            ("evil.example:8080", false),
            ("10.0.0.1", false),
        ] {
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            assert_eq!(is_here(&headers), here, "{host}");
        }
        assert!(!is_here(&HeaderMap::new()));
    }
}
