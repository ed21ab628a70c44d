//! Signing in at an issuer's page: a browser is sent there, and comes back with a code.
//!
//! What must be remembered meanwhile is in a cookie that only gateways can read, so that people may
//! come back to any of them. Nobody is sent on to anywhere but the console.

use std::sync::Arc;

use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum_extra::extract::cookie::{Cookie, PrivateCookieJar, SameSite};
use form_urlencoded::Serializer;
use quorate_core::ids::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

use super::Gateway;
use super::entrance::Peer;
use super::session::{Sessions, Way};
use crate::clock::{Clock as _, System};
use crate::gateway::access::Pending;
use crate::gateway::refusal::{Refusal, Sort};

/// The cookie of whoever is away.
const NAME: &str = "quorate_login";
/// How long somebody may be away.
const SPAN: Millis = Millis(10 * 60_000);
/// The longest place in the console that is remembered.
const PLACE_MAX: usize = 2_000;

/// What is remembered of whoever is away.
#[derive(Serialize, Deserialize)]
struct Away {
    pending: Pending,
    /// Where in the console they were.
    place: String,
    until: Timestamp,
}

/// What an issuer has browsers bring back.
struct Brought {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

impl Brought {
    fn of(query: &str) -> Self {
        let [code, state, iss, error] =
            ["code", "state", "iss", "error"].map(|name| parameter(query, name));
        Self {
            code,
            state,
            iss,
            error,
        }
    }
}

/// Sends a browser to the issuer's page.
pub(super) async fn begin(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let place = place(query.as_deref().unwrap_or_default());
    let from = gateway.from(&headers, peer.address);
    let sessions = &gateway.sessions;
    let sent = gateway.access.send(from).await.and_then(|(url, pending)| {
        let until = System.now().plus(SPAN);
        let place = place.clone();
        let away = Away {
            pending,
            place,
            until,
        };
        Ok((url, given(sessions, &away)?))
    });
    match sent {
        Ok((url, cookie)) => to(&url, sessions.jar(&headers).add(cookie)),
        Err(refusal) => sorry(&refusal, &place, sessions.jar(&headers)),
    }
}

/// Signs in whoever comes back from the issuer's page.
pub(super) async fn back(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let brought = Brought::of(query.as_deref().unwrap_or_default());
    let sessions = &gateway.sessions;
    let jar = sessions.jar(&headers);
    let away = jar.get(NAME).and_then(|cookie| read(&cookie));
    // Whatever comes of it, nobody comes back twice.
    let jar = jar.remove(gone(sessions));
    let place = away.as_ref().map_or("", |away| &away.place).to_owned();
    let signed_in = async {
        let away = away.as_ref().ok_or_else(|| {
            refused(
                "login_expired",
                "this sign-in was not begun here, or too long ago",
            )
        })?;
        let code = code(brought, away, gateway.access.issuer())?;
        let from = gateway.from(&headers, peer.address);
        let caller = gateway.access.returned(code, &away.pending, from).await?;
        sessions.begin(caller, Way::Issuer)
    };
    match signed_in.await {
        // What asks for the session is the page that is shown then, which nobody else has opened:
        // a cookie that is for its own site alone is sent along with that.
        Ok((cookie, _)) => to(&console(&place, None), jar.add(cookie)),
        Err(refusal) => sorry(&refusal, &place, jar),
    }
}

/// The code of somebody who is expected, and was let in by the issuer.
fn code(brought: Brought, away: &Away, issuer: Option<&str>) -> Result<String, Refusal> {
    let is_expected = brought.state.as_ref() == Some(&away.pending.state);
    let is_there = brought.iss.is_none() || brought.iss.as_deref() == issuer;
    if !is_expected || !is_there {
        let detail = "this is the end of another sign-in than the one that was begun here last";
        return Err(refused("login_mismatch", detail));
    }
    let Some(code) = brought.code.filter(|_| brought.error.is_none()) else {
        return Err(refused("login_refused", "the issuer has not let them in"));
    };
    Ok(code)
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut given = form_urlencoded::parse(query.as_bytes());
    let (_, value) = given.find(|(of, _)| of == name)?;
    Some(value.into_owned())
}

fn refused(code: &str, detail: &str) -> Refusal {
    Refusal::new(Sort::Unknown, code, detail)
}

/// Where in the console somebody is, as its query: nothing else leads back there, so that nobody
/// can be sent elsewhere.
fn place(query: &str) -> String {
    let given = parameter(query, "to").filter(|to| to.len() <= PLACE_MAX);
    let given = given.as_deref().and_then(|to| to.strip_prefix('?'));
    given.unwrap_or_default().to_owned()
}

/// A place in the console, seen from below it; with a code, if somebody is not let in.
fn console(place: &str, code: Option<&str>) -> String {
    let mut query = Serializer::new(String::new());
    let place = form_urlencoded::parse(place.as_bytes());
    query.extend_pairs(place.filter(|(name, _)| name != "refused"));
    if let Some(code) = code {
        query.append_pair("refused", code);
    }
    match query.finish() {
        query if query.is_empty() => "../".to_owned(),
        query => format!("../?{query}"),
    }
}

fn to(place: &str, jar: PrivateCookieJar) -> Response {
    let told = [
        (LOCATION, place),
        (CACHE_CONTROL, "no-store"),
        // What came back in the URL is nobody else's business.
        (REFERRER_POLICY, "no-referrer"),
    ];
    (StatusCode::SEE_OTHER, jar, told).into_response()
}

/// Sends somebody who is not let in to where that is said in words.
fn sorry(refusal: &Refusal, place: &str, jar: PrivateCookieJar) -> Response {
    let (code, detail) = (&*refusal.code, &*refusal.detail);
    tracing::info!(
        code,
        detail,
        "somebody could not sign in at the issuer's page"
    );
    to(&console(place, Some(code)), jar)
}

fn given(sessions: &Sessions, away: &Away) -> Result<Cookie<'static>, Refusal> {
    let value = serde_json::to_string(away);
    let value = value.map_err(|_| refused("login_expired", "it cannot be remembered"))?;
    let mut cookie = gone(sessions);
    cookie.set_value(value);
    Ok(cookie)
}

/// The cookie, with nothing in it. Browsers send it along when the issuer sends them back.
fn gone(sessions: &Sessions) -> Cookie<'static> {
    Cookie::build(NAME)
        .path(format!("{}/console/session", sessions.path()))
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(sessions.is_secure())
        .build()
}

/// What a cookie says, if it is not too old.
fn read(cookie: &Cookie<'_>) -> Option<Away> {
    let away: Away = serde_json::from_str(cookie.value()).ok()?;
    (System.now() < away.until).then_some(away)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_away_for_too_long_is_not_expected_any_more() {
        let pending = serde_json::json!({ "state": "a", "nonce": "b", "verifier": "c" });
        let away = |span| Away {
            pending: serde_json::from_value(pending.clone()).unwrap(),
            place: String::new(),
            until: System.now().plus(Millis(span)),
        };
        let sessions = Sessions::default();
        let expected = |span| read(&given(&sessions, &away(span)).unwrap()).is_some();
        assert!(expected(60_000));
        assert!(!expected(0) && !expected(-1));
    }

    #[test]
    fn the_cookie_is_sent_where_browsers_find_the_gateway() {
        let path = |sessions: Sessions| gone(&sessions).path().unwrap().to_owned();
        assert_eq!(path(Sessions::default()), "/console/session");
        let found = Sessions::default().found_at("https://bank.example/quorate/");
        assert_eq!(path(found.unwrap()), "/quorate/console/session");
    }
}
