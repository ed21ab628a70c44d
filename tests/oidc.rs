//! Tokens of an issuer (`OpenID` Connect) at the gateway: whom they let in, and which are refused.

use std::io::{ErrorKind, Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::oidc::{ALGORITHMS, Issuer, claims};
use crate::support::people::{people, prompt_policies};
use crate::support::web::{Answer, Web, streaming, tokens};
use crate::support::{House, until};

const AGENTS: &str = people!(desk ada);
const POLICIES: &str = prompt_policies!();

fn house() -> House {
    House::on_blackboard(1, AGENTS, POLICIES)
}

/// A gateway that lets in whom a file or the issuer names, told this of the issuer besides.
fn serve(house: &House, issuer: &Issuer, besides: &str) -> Web {
    let people = tokens(&[("op", "operator")]);
    // More is tried here than anybody else would.
    let told = format!("failure_burst = 1000000\n{}{besides}", issuer.told());
    house.serve_told(Some(&people), &told)
}

/// What somebody gets who shows a token.
fn inbox(web: &Web, token: &str) -> Answer {
    let head = format!("Authorization: Bearer {token}");
    web.ask("GET", "/v1/inbox", &[head], "")
}

fn say(web: &Web, token: &str, path: &str, body: &Value) -> Answer {
    let head = format!("Authorization: Bearer {token}");
    web.ask("POST", path, &[head], &body.to_string())
}

fn lets_in(web: &Web, token: &str) -> bool {
    inbox(web, token).status == 200
}

#[test]
fn an_issuers_tokens_are_believed_and_say_as_whom_one_speaks() {
    let (house, issuer) = (house(), Issuer::start(&ALGORITHMS));
    let _processor = house.run();
    let web = serve(&house, &issuer, "");
    for alg in ALGORITHMS {
        let token = issuer.mint(&json!({ "alg": alg, "claims": claims("ada", &["agent"]) }));
        inbox(&web, &token).with(200);
    }
    let desk = issuer.token("desk", &["king", "agent"]);
    let mut proposal = json!({
        "domain": "pay.out", "probability": 0.95, "stakes": "LOW",
        "action": { "type": "payment.block", "subject": "payment-1" },
    });
    let path = "/v1/proposals?wait=30";
    let told = say(&web, &desk, path, &proposal).with(200);
    let round = format!("/v1/rounds/{}", told["id"].as_str().unwrap());
    // Who has a token of the file is let in as before, and sees as whom the other spoke.
    let seen = web.get("op", &round).with(200);
    assert_eq!(seen["opening"]["proposer"], "desk");
    proposal["proposer"] = "ada".into();
    say(&web, &desk, path, &proposal).problem(403, "not_yourself");
    // A role one does not have, and none at all, whoever one is.
    let reporter = issuer.token("desk", &["reporter", "operator"]);
    inbox(&web, &reporter).problem(403, "role_missing");
    say(&web, &reporter, path, &proposal).problem(403, "role_missing");
    let nobody = issuer.mint(&json!({ "claims": { "aud": "quorate", "sub": "desk" } }));
    inbox(&web, &nobody).problem(403, "role_missing");
    assert!(!web.log().contains(&desk) && !web.log().contains("eyJ"));
}

#[test]
fn what_an_issuer_did_not_sign_for_us_and_for_now_is_refused() {
    let (house, issuer) = (house(), Issuer::start(&["RS256", "ES256"]));
    let web = serve(&house, &issuer, "leeway_s = 5\n");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let with = |name: &str, value: Value| {
        let mut claims = claims("ada", &["agent"]);
        claims[name] = value;
        json!({ "claims": claims })
    };
    let sound = || json!({ "claims": claims("ada", &["agent"]) });
    let headed = |header: Value| {
        let mut how = sound();
        how["header"] = header;
        how
    };
    let forged = |way: &str| {
        let mut how = sound();
        how["forged"] = way.into();
        how
    };
    inbox(
        &web,
        &issuer.mint(&with("aud", json!(["other", "quorate"]))),
    )
    .with(200);
    inbox(&web, &issuer.mint(&with("nbf", (now - 60).into()))).with(200);
    let cases = [
        (with("aud", "other".into()), "for another audience"),
        (with("aud", json!(["other"])), "for another audience"),
        (with("aud", Value::Null), "has no `aud`"),
        (
            with("iss", "https://elsewhere.example".into()),
            "of another issuer",
        ),
        (
            with("iss", json!([issuer.address(), "x"])),
            "of another issuer",
        ),
        (with("iss", Value::Null), "has no `iss`"),
        (with("exp", (now - 30).into()), "has expired"),
        (with("exp", Value::Null), "has no `exp`"),
        (with("nbf", (now + 60).into()), "is not valid yet"),
        (with("sub", Value::Null), "does not name a subject"),
        (with("sub", "".into()), "does not name a subject"),
        (with("sub", 7.into()), "does not name a subject"),
        (headed(json!({ "kid": null })), "does not name its key"),
        (
            headed(json!({ "kid": "nobody's" })),
            "a key its issuer does not have",
        ),
        (
            headed(json!({ "crit": ["odd"], "odd": 1 })),
            "nobody here knows",
        ),
        (forged("none"), "no token that can be read"),
        (
            forged("public key as secret"),
            "not signed as its key is meant to",
        ),
        (forged("unsigned"), "not signed by its issuer"),
    ];
    for (how, why) in cases {
        let token = issuer.mint(&how);
        let problem = inbox(&web, &token).problem(401, "unauthenticated");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(why), "{how}: {detail}");
    }
    for token in ["a.b.c", "..", "eyJhbGciOiJSUzI1NiJ9..", &"x".repeat(20_000)] {
        inbox(&web, token).problem(401, "unauthenticated");
    }
    let long = format!("{}.{}", "x".repeat(20_000), issuer.token("ada", &["agent"]));
    inbox(&web, &long).problem(401, "unauthenticated");
}

#[test]
fn keys_are_taken_up_and_given_up_as_the_issuer_has_them() {
    let (house, issuer) = (house(), Issuer::start(&["RS256"]));
    let web = serve(&house, &issuer, "");
    let old = issuer.token("ada", &["agent"]);
    inbox(&web, &old).with(200);
    issuer.rotate(&["RS256"]);
    let new = issuer.token("ada", &["agent"]);
    until("the new key is known", || lets_in(&web, &new));
    let problem = inbox(&web, &old).problem(401, "unauthenticated");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("does not have")
    );
}

#[test]
fn a_key_that_is_gone_is_given_up_without_another_to_show() {
    let (house, issuer) = (house(), Issuer::start(&["RS256"]));
    let web = serve(&house, &issuer, "refresh_s = 5\n");
    let old = issuer.token("ada", &["agent"]);
    inbox(&web, &old).with(200);
    issuer.rotate(&["RS256"]);
    until("the old key is gone", || !lets_in(&web, &old));
    inbox(&web, &old).problem(401, "unauthenticated");
}

#[test]
fn a_flood_of_unknown_keys_does_not_reach_the_issuer() {
    let (house, issuer) = (house(), Issuer::start(&["RS256"]));
    let web = serve(&house, &issuer, "");
    inbox(&web, &issuer.token("ada", &["agent"])).with(200);
    let since = Instant::now();
    let (mut shown, before) = (0, issuer.times());
    while since.elapsed() < Duration::from_secs(7) {
        let kid = format!("key-{shown}");
        let token = issuer.mint(&json!({
            "header": { "kid": kid }, "claims": claims("ada", &["agent"]),
        }));
        inbox(&web, &token).problem(401, "unauthenticated");
        shown += 1;
        thread::sleep(Duration::from_millis(20));
    }
    let (asked, spans) = (issuer.times() - before, since.elapsed().as_secs() / 5);
    assert!(asked >= 1, "nobody asked for an unknown key");
    assert!(
        asked <= spans + 1 && asked < shown / 10,
        "{asked} of {shown}"
    );
}

#[test]
fn an_issuer_that_is_away_is_waited_for_and_known_keys_go_on_for_a_while() {
    let (house, issuer) = (house(), Issuer::start(&["RS256"]));
    let token = issuer.token("ada", &["agent"]);
    issuer.go_away();
    let web = serve(&house, &issuer, "refresh_s = 5\nstale_s = 15\n");
    let answer = inbox(&web, &token);
    assert_eq!(answer.header("retry-after").as_deref(), Some("5"));
    answer.problem(503, "issuer_unavailable");
    web.get("op", "/v1/rounds/-").problem(404, "unknown_round");
    issuer.come_back();
    until("it answers", || lets_in(&web, &token));
    issuer.go_away();
    let since = Instant::now();
    let mut unknown = json!({ "claims": claims("ada", &["agent"]) });
    unknown["header"] = json!({ "kid": "another" });
    let unknown = issuer.mint(&unknown);
    until("it is missed", || inbox(&web, &unknown).status == 503);
    // Keys were last fetched when it was still there, or up to 5 s before.
    let known = lets_in(&web, &token);
    assert!(known || since.elapsed() > Duration::from_secs(9));
    until("the known key is not trusted any more", || {
        !lets_in(&web, &token)
    });
    inbox(&web, &token).problem(503, "issuer_unavailable");
    assert_eq!(
        web.log()
            .matches("keys of tokens cannot be fetched")
            .count(),
        2
    );
    issuer.come_back();
    until("it answers again", || lets_in(&web, &token));
}

#[test]
fn a_stream_ends_when_the_token_it_was_asked_for_by_expires() {
    let (house, issuer) = (house(), Issuer::start(&["RS256"]));
    let web = serve(&house, &issuer, "leeway_s = 0\n");
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let expires = now() + 5;
    let mut claims = claims("ada", &["agent"]);
    claims["exp"] = expires.into();
    let token = issuer.mint(&json!({ "claims": claims }));
    let mut stream = web.connect();
    let head = format!("Authorization: Bearer {token}\r\n{}", streaming());
    let asked = format!("GET /v1/inbox HTTP/1.0\r\nHost: it\r\n{head}\r\n\r\n");
    stream.write_all(asked.as_bytes()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let (mut said, mut some) = (Vec::new(), [0; 1024]);
    until("it ends", || match stream.read(&mut some) {
        Ok(0) => true,
        Ok(count) => {
            said.extend_from_slice(&some[..count]);
            false
        }
        Err(error) => {
            assert!(matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::TimedOut
            ));
            false
        }
    });
    assert!(now() >= expires);
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains(" 200 ") && said.contains("text/event-stream"),
        "{said}"
    );
    until("it is refused", || inbox(&web, &token).status == 401);
}

#[test]
fn an_issuer_in_the_open_is_refused_at_the_start() {
    let house = house();
    let refused = |told: &str, why: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        // It would fail in another way, not serve, if it got so far.
        let told = format!("[gateway]\naddress_header = \"no header\"\n{told}");
        std::fs::write(file.path(), told).unwrap();
        let said = house.call(&["serve", "--config", file.path().to_str().unwrap()]);
        let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(1), "{complaint}");
        assert!(complaint.contains(why), "{complaint}");
    };
    let issuer = "[gateway.oidc]\nissuer = \"http://id.bank.example\"\n";
    refused(
        &format!("{issuer}audience = \"quorate\"\n"),
        "is not a URL under https",
    );
    refused(&issuer.replace("http:", "https:"), "`audience` must be set");
    refused("[gateway.oidc]\naudience = \"quorate\"\n", "has no effect");
}
