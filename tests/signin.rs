//! Signing in at an issuer's page: who is let in, and who is not, by HTTP and in a browser.

use serde_json::{Value, json};

use crate::support::oidc::Issuer;
use crate::support::people::people;
use crate::support::web::{Answer, POLICIES, Web, tokens};
use crate::support::{House, node};

const AGENTS: &str = people!(desk ada bob rita);

fn house() -> House {
    House::on_blackboard(1, AGENTS, POLICIES)
}

/// A gateway at which people sign in at the issuer's page, told this of that besides.
fn serve(house: &House, issuer: &Issuer, besides: &str) -> Web {
    let people = tokens(&[("op", "operator"), ("desk", "agent"), ("rita", "reviewer")]);
    // More is tried here than anybody else would.
    let told = format!(
        "failure_burst = 1000000\nsession_minutes = 60\n{}client_id = \"console\"\n{besides}",
        issuer.told()
    );
    house.serve_told(Some(&people), &told)
}

/// An issuer at whose page rita signs in, as a reviewer, and what is said of it besides.
fn issuer(more: &Value) -> Issuer {
    let issuer = Issuer::start(&["RS256"]);
    issuer.person(&rita(more));
    issuer
}

fn rita(more: &Value) -> Value {
    let mut claims = json!({ "sub": "rita", "realm_access": { "roles": ["reviewer"] } });
    let (all, more) = (claims.as_object_mut().unwrap(), more.as_object().unwrap());
    all.extend(more.clone());
    json!({ "claims": claims })
}

/// A browser on its way to the issuer's page: what it is to bring along, and where it is sent.
struct Sent {
    cookie: String,
    to: String,
}

fn begin(web: &Web, to: &str) -> Sent {
    let answer = web.ask("GET", &format!("/console/session/begin{to}"), &[], "");
    assert_eq!(answer.status, 303);
    let cookie = answer.header("set-cookie").unwrap();
    let flags = "; HttpOnly; SameSite=Lax; Path=/console/session";
    assert!(cookie.contains(flags), "{cookie}");
    Sent {
        cookie: cookie.split(';').next().unwrap().to_owned(),
        to: answer.header("location").unwrap(),
    }
}

/// What a browser asks for when it comes back: path and query.
fn brought(url: &str) -> String {
    let (_, after) = url.split_once("://").unwrap();
    after[after.find('/').unwrap()..].to_owned()
}

fn back(web: &Web, path: &str, cookie: &str) -> Answer {
    web.ask("GET", path, &[format!("Cookie: {cookie}")], "")
}

/// The cookie of a session, of an answer that gives one.
fn session(answer: &Answer) -> Option<String> {
    let given = answer.headers("set-cookie");
    let mine = given.iter().find(|of| of.starts_with("quorate_session="));
    mine.map(|cookie| {
        assert!(
            cookie.contains("; HttpOnly; SameSite=Strict; Path=/"),
            "{cookie}"
        );
        cookie.split(';').next().unwrap().to_owned()
    })
}

/// Goes all the way; the answer to whoever comes back.
fn sign_in(web: &Web, issuer: &Issuer, to: &str) -> Answer {
    let sent = begin(web, to);
    back(web, &brought(&issuer.visit(&sent.to)), &sent.cookie)
}

/// Nobody is signed in, and the console is told why.
fn refused(answer: &Answer, code: &str, why: &str) {
    assert_eq!(answer.status, 303, "{why}");
    assert_eq!(session(answer), None, "{why}");
    let to = answer.header("location").unwrap();
    assert_eq!(to, format!("../?refused={code}"), "{why}");
}

fn who(web: &Web, cookie: &str) -> Answer {
    web.ask(
        "GET",
        "/console/session",
        &[format!("Cookie: {cookie}")],
        "",
    )
}

#[test]
fn whoever_signs_in_at_the_issuers_page_is_signed_in_here() {
    // What is said of a sign-in is good for a moment; the session is not over with it.
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let (house, issuer) = (house(), issuer(&json!({ "exp": now + 60 })));
    let web = serve(&house, &issuer, "scopes = \"openid groups\"\n");
    let ways = web.ask("GET", "/console/session/ways", &[], "").with(200);
    assert_eq!(ways["by"], json!(["issuer", "token"]));
    let sent = begin(&web, "?to=%3Fpage%3Dagents%26domain%3Dpay");
    for asked in [
        "code_challenge_method=S256",
        "scope=openid+groups",
        "response_type=code",
    ] {
        assert!(sent.to.contains(asked), "{}", sent.to);
    }
    let came = issuer.visit(&sent.to);
    assert!(
        came.starts_with(&web.url("/console/session/callback?")),
        "{came}"
    );
    // A session that somebody else has planted is not the one that is signed in.
    let planted = "quorate_session=planted";
    let answer = back(
        &web,
        &brought(&came),
        &format!("{planted}; {}", sent.cookie),
    );
    assert_eq!(
        answer.header("location").unwrap(),
        "../?page=agents&domain=pay"
    );
    assert_eq!(answer.header("cache-control").unwrap(), "no-store");
    let gone = answer.headers("set-cookie");
    let is_gone = |of: &String| of.starts_with("quorate_login=;") && of.contains("Max-Age=0");
    assert!(gone.iter().any(is_gone), "{gone:?}");
    let cookie = session(&answer).unwrap();
    assert_ne!(cookie, planted);
    who(&web, planted).problem(401, "unauthenticated");
    let told = who(&web, &cookie).with(200);
    assert_eq!(told["subject"], "rita");
    assert_eq!(told["roles"], json!(["reviewer"]));
    assert_eq!(told["by"], "issuer");
    let until = told["until"].as_u64().unwrap() / 1000;
    assert!((now + 3590..now + 3700).contains(&until), "{until}");
    let shown = issuer.shown();
    assert_eq!(shown["client_id"], "console");
    assert_eq!(shown["authorization"], Value::Null, "it has no secret");
    assert!(shown["code_verifier"].as_str().unwrap().len() >= 43);
    // To sign out leads to the issuer, and back.
    let out = web.ask(
        "DELETE",
        "/console/session",
        &[format!("Cookie: {cookie}")],
        "",
    );
    let then = out.with(200)["then"].as_str().unwrap().to_owned();
    assert!(then.starts_with(&format!(
        "{}/endsession?client_id=console&",
        issuer.address()
    )));
    assert_eq!(issuer.visit(&then), web.url("/console/"));
    assert!(!web.log().contains("eyJ"), "no token is logged");
}

#[test]
fn a_gateway_with_a_secret_shows_it_and_others_of_its_house_finish_what_it_began() {
    let (house, issuer) = (house(), issuer(&json!({})));
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, content: &[u8]| {
        std::fs::write(folder.path().join(name), content).unwrap();
        folder.path().join(name).display().to_string()
    };
    let secret = file("secret", b"s3cr:t %\n");
    let key = file("key", &[7; 64]);
    let people = tokens(&[("op", "operator")]);
    let told = format!(
        "session_key_file = \"{key}\"\n{}client_id = \"console\"\n\
         client_secret_file = \"{secret}\"\n",
        issuer.told()
    );
    let [one, other] = [(); 2].map(|()| house.serve_told(Some(&people), &told));
    let sent = begin(&one, "");
    let answer = back(&other, &brought(&issuer.visit(&sent.to)), &sent.cookie);
    let cookie = session(&answer).unwrap();
    assert_eq!(who(&one, &cookie).with(200)["subject"], "rita");
    // It is encoded before it is put behind our name (RFC 6749, 2.3.1).
    let shown = issuer.shown()["authorization"].as_str().unwrap().to_owned();
    assert_eq!(shown, "Basic Y29uc29sZTpzM2NyJTNBdCslMjU=");
    assert!(!one.log().contains("s3cr") && !other.log().contains("s3cr"));
}

#[test]
fn whoever_comes_back_otherwise_than_sent_is_not_signed_in() {
    let (house, issuer) = (house(), issuer(&json!({})));
    let web = serve(&house, &issuer, "");
    let fresh = || {
        let sent = begin(&web, "");
        let path = brought(&issuer.visit(&sent.to));
        (sent.cookie, path)
    };
    let state = |path: &str| path.split("state=").nth(1).unwrap().to_owned();
    let ((cookie, path), (other_cookie, other_path)) = (fresh(), fresh());
    // Somebody else's end, or nobody's.
    let wrong = path.replace(&state(&path), &state(&other_path));
    refused(
        &back(&web, &wrong, &cookie),
        "login_mismatch",
        "another state",
    );
    let none = path.replace("state=", "estate=");
    refused(&back(&web, &none, &cookie), "login_mismatch", "no state");
    let elsewhere = format!("{path}&iss=https%3A%2F%2Felsewhere.example");
    refused(
        &back(&web, &elsewhere, &cookie),
        "login_mismatch",
        "another issuer",
    );
    refused(
        &back(&web, &path, &other_cookie),
        "login_mismatch",
        "another's cookie",
    );
    refused(&back(&web, &path, "a=b"), "login_expired", "no cookie");
    let forged = cookie.replace("quorate_login=", "quorate_login=A");
    refused(
        &back(&web, &path, &forged),
        "login_expired",
        "a forged cookie",
    );
    // A cookie of one sort is none of the other.
    let swapped = cookie.replace("quorate_login", "quorate_session");
    who(&web, &swapped).problem(401, "unauthenticated");
    // Another sign-in's code, with the right state: it was asked for with another verifier.
    let code = |path: &str| {
        path.split("code=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap()
            .to_owned()
    };
    let wrong = path.replace(&code(&path), &code(&other_path));
    refused(
        &back(&web, &wrong, &cookie),
        "unauthenticated",
        "another's code",
    );
    // It is let in once, and not again by the same code.
    assert!(session(&back(&web, &path, &cookie)).is_some());
    refused(
        &back(&web, &path, &cookie),
        "unauthenticated",
        "a code once more",
    );
    let (cookie, path) = fresh();
    let denied = path.replace("code=", "error=access_denied&was=");
    refused(&back(&web, &denied, &cookie), "login_refused", "denied");
    let denied = format!("{path}&error=access_denied");
    refused(
        &back(&web, &denied, &cookie),
        "login_refused",
        "denied all the same",
    );
}

#[test]
fn what_an_issuer_says_of_another_sign_in_or_of_nobody_lets_nobody_in() {
    let (house, issuer) = (house(), issuer(&json!({})));
    let web = serve(&house, &issuer, "leeway_s = 0\n");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    for (claims, code) in [
        (json!({ "nonce": "another" }), "unauthenticated"),
        (json!({ "nonce": null }), "unauthenticated"),
        // As bearer tokens are for the gateway itself.
        (json!({ "aud": "quorate" }), "unauthenticated"),
        (json!({ "aud": ["console", "other"] }), "unauthenticated"),
        (json!({ "azp": "other" }), "unauthenticated"),
        (
            json!({ "iss": "https://elsewhere.example" }),
            "unauthenticated",
        ),
        (json!({ "exp": now - 10, "nbf": null }), "unauthenticated"),
        (json!({ "sub": null }), "unauthenticated"),
        (json!({ "realm_access": null }), "role_missing"),
        (
            json!({ "realm_access": { "roles": ["king"] } }),
            "role_missing",
        ),
    ] {
        issuer.person(&rita(&claims));
        refused(&sign_in(&web, &issuer, ""), code, &claims.to_string());
    }
    for sound in [
        json!({}),
        json!({ "azp": "console" }),
        json!({ "aud": ["console", "other"], "azp": "console" }),
    ] {
        issuer.person(&rita(&sound));
        assert!(session(&sign_in(&web, &issuer, "")).is_some(), "{sound}");
    }
    // What it signed for people to sign in by is no bearer token.
    let token = issuer.mint(&json!({ "claims": {
        "aud": "console", "sub": "rita", "realm_access": { "roles": ["reviewer"] },
    } }));
    let head = format!("Authorization: Bearer {token}");
    let answer = web.ask("GET", "/v1/escalations", &[head], "");
    answer.problem(401, "unauthenticated");
    for answer in [
        json!({ "body": { "access_token": "a", "token_type": "Bearer" } }),
        json!({ "body": { "access_token": "a", "token_type": "Bearer", "id_token": "a.b.c" } }),
        json!({ "body": "no", "statusCode": 500 }),
    ] {
        let mut person = rita(&json!({}));
        person["answer"] = answer;
        issuer.person(&person);
        refused(
            &sign_in(&web, &issuer, ""),
            "unauthenticated",
            "an odd answer",
        );
    }
}

#[test]
fn an_issuer_that_is_away_signs_nobody_in() {
    let (house, issuer) = (house(), issuer(&json!({})));
    issuer.go_away();
    let web = serve(&house, &issuer, "");
    let answer = web.ask("GET", "/console/session/begin?to=%3Fround%3D7", &[], "");
    assert_eq!(answer.status, 303);
    let to = answer.header("location").unwrap();
    assert_eq!(to, "../?round=7&refused=issuer_unavailable");
    issuer.come_back();
    crate::support::until("it is asked again", || {
        let answer = web.ask("GET", "/console/session/begin", &[], "");
        answer
            .header("location")
            .unwrap()
            .starts_with(issuer.address())
    });
    let sent = begin(&web, "");
    let path = brought(&issuer.visit(&sent.to));
    issuer.go_away();
    refused(
        &back(&web, &path, &sent.cookie),
        "issuer_unavailable",
        "away",
    );
    issuer.come_back();
    crate::support::until("it lets in", || {
        session(&sign_in(&web, &issuer, "")).is_some()
    });
}

#[test]
fn nobody_is_sent_on_to_anywhere_but_the_console() {
    let (house, issuer) = (house(), issuer(&json!({})));
    let web = serve(&house, &issuer, "");
    for to in [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "%2F%2Fevil.example",
        "../../evil",
        "?//evil.example",
        "?a=b#//evil.example",
        "?a\r\nLocation: https://evil.example",
        "?https://evil.example/?refused=x",
    ] {
        let query: String = form(to);
        let answer = sign_in(&web, &issuer, &format!("?to={query}"));
        assert!(session(&answer).is_some());
        let all = answer.headers("location");
        assert_eq!(all.len(), 1, "{to}: {all:?}");
        let rest = all[0].strip_prefix("../").unwrap();
        // Nothing, or a query in which nothing can end it or lead out of it.
        let sound = |c: char| c.is_ascii_alphanumeric() || "=&%+-._*".contains(c);
        let query = rest.strip_prefix('?').unwrap_or(rest);
        assert!(query.chars().all(sound), "{to}: {rest}");
        assert_eq!(rest.is_empty(), !to.starts_with('?'), "{to}: {rest}");
    }
}

fn form(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn what_could_let_nobody_in_or_anybody_is_refused_at_the_start() {
    let house = house();
    let refused = |told: &str, listen: &str, why: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        // It would fail in another way, not serve, if it got so far.
        let told = format!("[gateway]\naddress_header = \"no header\"\n{told}");
        std::fs::write(file.path(), told).unwrap();
        let config = file.path().to_str().unwrap();
        let said = house.call(&["serve", "--config", config, "--listen", listen]);
        let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(1), "{complaint}");
        assert!(complaint.contains(why), "{complaint}");
    };
    let oidc = "[gateway.oidc]\nissuer = \"https://id.bank.example\"\n";
    let client = format!("{oidc}client_id = \"console\"\n");
    let here = "127.0.0.1:0";
    refused(&client, "0.0.0.0:0", "set `gateway.public_url`");
    refused(
        &format!("{client}scopes = \"profile\"\n"),
        here,
        "does not have `openid`",
    );
    let odd = format!("public_url = \"bank.example\"\n{client}");
    refused(&odd, here, "is not a URL");
    refused(
        "[gateway.oidc]\nclient_id = \"console\"\n",
        here,
        "has no effect",
    );
    let secret = format!("{oidc}audience = \"a\"\nclient_secret_file = \"b\"\n");
    refused(&secret, here, "has no effect");
}

#[test]
fn a_browser_signs_in_and_out_and_pages_of_others_get_nowhere() {
    let (house, issuer) = (house(), issuer(&json!({})));
    let web = serve(&house, &issuer, "");
    let mut command = node("console", "signin.mjs");
    let acted = command
        .args([&web.url(""), issuer.address()])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&acted.stderr);
    assert!(acted.status.success(), "{complaint}");
    web.stop();
}
