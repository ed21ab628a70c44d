//! The protocol over HTTP: rounds from their opening to their outcome, who may say what, and how
//! what is wrong is told.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;
use serde_json::{Value, json};

use crate::support::web::{AGENTS, Answer, POLICIES, Web, bearer, everybody, house};
use crate::support::{House, until};

fn proposal(domain: &str) -> Value {
    json!({
        "domain": domain,
        "action": { "type": "payment.block", "subject": "payment-1" },
        "probability": 0.95,
        "stakes": "LOW",
    })
}

fn proposed(web: &Web, domain: &str) -> String {
    let answer = web.post("desk", "/v1/proposals?wait=30", &proposal(domain));
    let body = answer.with(200);
    assert_eq!(body["state"], "admitted");
    body["id"].as_str().unwrap().to_owned()
}

fn response(round: &str, verdict: &str) -> Value {
    json!({ "proposal_id": round, "verdict": verdict, "confidence": 0.9 })
}

fn waiting(inbox: Answer) -> Vec<String> {
    let body = inbox.with(200);
    let rounds = body["rounds"].as_array().unwrap().iter();
    rounds
        .map(|round| round["proposal_id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_round_goes_all_its_way_over_http() {
    let house = house();
    let processor = house.run();
    let web = house.serve(Some(&everybody()));
    let answer = web.post("desk", "/v1/proposals?wait=30", &proposal("pay.out"));
    let round = answer.body["id"].as_str().unwrap().to_owned();
    let place = format!("/v1/rounds/{round}");
    assert_eq!(answer.header("location"), Some(place.clone()));
    let told = answer.with(200);
    assert_eq!(
        (&told["topic"], &told["state"]),
        (&"proposals".into(), &"admitted".into())
    );
    assert!(
        told["partition"].is_i64() && told["offset"].is_i64(),
        "{told}"
    );
    assert_eq!(web.get("op", &place).with(200)["state"], "OPEN");
    let outcomes = format!("{place}/outcomes");
    let none = web.get("ada", &outcomes).with(200);
    assert_eq!(none["outcomes"], json!([]));

    // One is waited for, the other only appended.
    let said = web.post("ada", "/v1/responses?wait=30", &response(&round, "ENDORSE"));
    assert_eq!(said.with(200)["state"], "admitted");
    let said = web.post("bob", "/v1/responses", &response(&round, "ENDORSE"));
    let said = said.with(202);
    assert!(
        said["id"].is_string() && said.get("state").is_none(),
        "{said}"
    );

    let outcome = || {
        web.get("ada", &outcomes).with(200)["outcomes"]
            .get(0)
            .cloned()
    };
    until("it is decided", || outcome().is_some());
    assert_eq!(outcome().unwrap()["decision"]["status"], "APPROVED");
    let state = || web.get("ada", &place).with(200)["state"].take();
    until("it is closed", || state() == "CLOSED");

    let turned = json!({ "proposal_id": round, "result": "RIGHT" });
    let said = web.post("ledger", "/v1/results?wait=30", &turned).with(200);
    assert_eq!(said["state"], "admitted");
    let again = web.post("ledger", "/v1/results?wait=30", &turned);
    again.problem(422, "already_settled");
    web.stop();
    processor.stop();
}

#[test]
fn a_person_decides_over_http() {
    let house = house();
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    let round = proposed(&web, "pay.big");
    let package = house.records("escalations", Some(&round), 1).remove(0);
    let decision = |digest: &Value| json!({ "proposal_id": round, "package_digest": digest, "verdict": "REJECT" });
    let wrong = decision(&"00".repeat(32).into());
    let said = web.post("rita", "/v1/decisions?wait=30", &wrong);
    said.problem(422, "package_mismatch");
    let said = web.post(
        "rita",
        "/v1/decisions?wait=30",
        &decision(&package["package_digest"]),
    );
    assert_eq!(said.with(200)["state"], "admitted");
    let place = format!("/v1/rounds/{round}");
    let told = web.get("rita", &place).with(200);
    assert_eq!(told["closed"]["resolved_by"], "HUMAN");
}

#[test]
fn whoever_waits_learns_why_a_record_was_refused() {
    let house = house();
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    let round = proposed(&web, "pay.out");
    let said = web.post(
        "ada",
        "/v1/responses?wait=30",
        &response(&round, "CHALLENGE"),
    );
    let problem = said.problem(422, "reasoning_missing");
    assert_eq!(problem["title"], "A challenge gives no reasoning.");
    assert!(problem["id"].is_string());
    let said = web.post("desk", "/v1/proposals?wait=30", &proposal("garden"));
    said.problem(422, "no_policy");
    let mut odd = response(&round, "ENDORSE");
    odd["confidence"] = json!(1.5);
    web.post("ada", "/v1/responses?wait=30", &odd)
        .problem(422, "bad_number");
    // What is refused is no answer: the round is still there to be answered.
    assert_eq!(waiting(web.get("ada", "/v1/inbox")), [round]);
}

#[test]
fn a_response_that_waits_for_its_round_is_not_called_admitted() {
    let house = house();
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    // Processors pass it at once, and keep it in case its proposal comes.
    let mut later = proposal("pay.out");
    later["proposal_id"] = json!(uuid::Uuid::now_v7().to_string());
    let id = later["proposal_id"].as_str().unwrap().to_owned();
    let said = web.post("ada", "/v1/responses?wait=1", &response(&id, "ENDORSE"));
    assert_eq!(said.with(202)["state"], "pending");
    // Of two that wait, one is refused once the round is opened.
    thread::scope(|scope| {
        let path = "/v1/responses?wait=30";
        let (id, web) = (&id, &web);
        let bad = scope.spawn(move || web.post("ada", path, &response(id, "CHALLENGE")));
        let good = scope.spawn(move || web.post("bob", path, &response(id, "ABSTAIN")));
        until("they lie there", || {
            let shown = house.ok(&["show", id]);
            shown.contains("bob") && shown.contains("CHALLENGE")
        });
        web.post("desk", "/v1/proposals?wait=30", &later).with(200);
        bad.join().unwrap().problem(422, "reasoning_missing");
        assert_eq!(good.join().unwrap().with(200)["state"], "admitted");
    });
}

#[test]
fn without_a_processor_a_record_is_pending() {
    let house = house();
    let web = house.serve(Some(&everybody()));
    let said = web.post("desk", "/v1/proposals?wait=0.3", &proposal("pay.out"));
    let told = said.with(202);
    assert_eq!(told["state"], "pending");
    let place = format!("/v1/rounds/{}", told["id"].as_str().unwrap());
    web.get("desk", &place).problem(404, "unknown_round");
    web.get("desk", "/v1/rounds/nonsense/outcomes")
        .problem(404, "unknown_round");
}

#[test]
fn one_speaks_only_as_oneself_and_in_ones_role() {
    let house = house();
    let web = house.serve(Some(&everybody()));
    let id = uuid::Uuid::now_v7().to_string();
    let decision = json!({
        "proposal_id": id, "package_digest": "00".repeat(32), "verdict": "APPROVE",
    });
    let result = json!({ "proposal_id": id, "result": "RIGHT" });
    let cases = [
        (
            "/v1/proposals",
            proposal("pay.out"),
            "proposer",
            "desk",
            "rita",
        ),
        (
            "/v1/responses",
            response(&id, "ENDORSE"),
            "agent_id",
            "ada",
            "ledger",
        ),
        ("/v1/decisions", decision, "reviewer", "rita", "ada"),
        ("/v1/results", result, "reporter", "ledger", "op"),
    ];
    for (path, mut body, field, right, wrong) in cases {
        web.post(wrong, path, &body).problem(403, "role_missing");
        body[field] = json!("bob");
        web.post(right, path, &body).problem(403, "not_yourself");
        body[field] = json!(right);
        web.post(right, path, &body).with(202);
    }
    web.get("rita", "/v1/inbox").problem(403, "role_missing");
    for topic in [
        Topic::Proposals,
        Topic::Responses,
        Topic::Decisions,
        Topic::Results,
    ] {
        assert_eq!(house.count(topic, 2), 1, "{topic}");
    }
}

#[test]
fn nobody_is_let_in_without_a_token_that_is_known() {
    let house = house();
    let body = proposal("pay.out").to_string();
    for tokens in [None, Some(&*everybody())] {
        let web = house.serve(tokens);
        let odd = bearer("desk").replace("Bearer", "Basic");
        for head in [vec![], vec![bearer("mallory")], vec![odd]] {
            for path in [
                "/v1/proposals",
                "/v1/responses",
                "/v1/decisions",
                "/v1/results",
            ] {
                let answer = web.ask("POST", path, &head, &body);
                assert_eq!(answer.header("www-authenticate").as_deref(), Some("Bearer"));
                answer.problem(401, "unauthenticated");
            }
            let round = format!("/v1/rounds/{}", uuid::Uuid::now_v7());
            for path in ["/v1/inbox", &round, &format!("{round}/outcomes")] {
                web.ask("GET", path, &head, "")
                    .problem(401, "unauthenticated");
            }
        }
        if tokens.is_none() {
            web.post("desk", "/v1/proposals", &proposal("pay.out"))
                .problem(401, "unauthenticated");
        }
    }
    assert_eq!(house.count(Topic::Proposals, 2), 0);
}

#[test]
fn what_is_no_record_is_refused_before_it_is_appended() {
    let house = house();
    let web = house.serve(Some(&everybody()));
    let head = [bearer("desk")];
    let post = |body: &str| web.ask("POST", "/v1/proposals", &head, body);
    for body in ["", "nonsense", "[]", "{}", "{\"domain\": 3}", "\u{0}"] {
        post(body).problem(400, "malformed");
    }
    let doubled = proposal("pay.out").to_string();
    let doubled = doubled.replacen('{', r#"{"stakes": "HIGH", "#, 1);
    let odd = proposal("pay.out").to_string().replace("LOW", "low");
    for (body, why) in [
        (doubled, "key `stakes` is given twice"),
        (odd, "`stakes` is one of LOW, MEDIUM, HIGH, CRITICAL"),
    ] {
        let problem = post(&body).problem(400, "malformed");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(why), "{problem}");
    }
    let mut unknown = proposal("pay.out");
    unknown["dommain"] = json!("pay");
    let problem = post(&unknown.to_string()).problem(400, "malformed");
    assert!(
        problem["detail"].as_str().unwrap().contains("`domain`"),
        "{problem}"
    );
    let mut doubtful = proposal("pay.out");
    doubtful["probability"] = json!(0.2);
    let problem = post(&doubtful.to_string()).problem(400, "probability_below_half");
    assert!(
        problem["detail"].as_str().unwrap().contains("0.8"),
        "{problem}"
    );
    let mut long = proposal("pay.out");
    long["rationale"] = "x".repeat(64 * 1024).into();
    post(&long.to_string()).problem(413, "record_too_large");
    // Whatever it holds: nobody reads it.
    let padded = format!("{}{}", proposal("pay.out"), " ".repeat(64 * 1024));
    post(&padded).problem(413, "record_too_large");
    for wait in ["x", "-1", "31", "NaN", "1&more=2"] {
        let path = format!("/v1/proposals?wait={wait}");
        web.post("desk", &path, &proposal("pay.out"))
            .problem(400, "bad_query");
    }
    web.get("desk", "/v1/nothing").problem(404, "not_found");
    web.get("desk", "/v1/proposals")
        .problem(405, "method_not_allowed");
    assert_eq!(house.count(Topic::Proposals, 2), 0);
}

#[test]
fn a_log_that_does_not_answer_is_told_to_be_asked_later() {
    let house = house();
    let web = house.serve(Some(&everybody()));
    std::fs::rename(house.file(), house.file().with_extension("away")).unwrap();
    let answer = web.post("desk", "/v1/proposals", &proposal("pay.out"));
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    let problem = answer.problem(503, "log_unavailable");
    assert!(!problem.to_string().contains("log.db"), "{problem}");
}

#[test]
fn the_inbox_has_what_an_agent_can_still_answer() {
    let house = house();
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    let inbox = |name: &str, query: &str| waiting(web.get(name, &format!("/v1/inbox{query}")));
    assert!(inbox("ada", "").is_empty());
    // Somebody who waits is told as soon as a round opens.
    let round = thread::scope(|scope| {
        let since = Instant::now();
        let polled = scope.spawn(|| inbox("ada", "?wait=30"));
        thread::sleep(Duration::from_millis(300));
        assert!(!polled.is_finished());
        let round = proposed(&web, "pay.out");
        assert_eq!(polled.join().unwrap(), [&*round]);
        assert!(since.elapsed() < Duration::from_secs(20));
        round
    });
    let shown = web.get("bob", "/v1/inbox?domain=pay.out").with(200);
    assert_eq!(shown["agent_id"], "bob");
    let shown = &shown["rounds"][0];
    assert_eq!(shown["proposal"]["action"]["subject"], "payment-1");
    assert!(
        shown["deadline"].is_i64() && shown["proposal_digest"].is_string(),
        "{shown}"
    );
    assert_eq!(inbox("bob", "?domain=pay"), [&*round]);
    assert!(inbox("bob", "?domain=pay.outer").is_empty());
    assert!(inbox("bob", "?domain=pa").is_empty());
    assert!(inbox("desk", "").is_empty(), "no authority, and its own");

    let said = web.post("ada", "/v1/responses?wait=30", &response(&round, "ENDORSE"));
    said.with(200);
    until("what was answered is gone", || inbox("ada", "").is_empty());
    assert_eq!(inbox("bob", ""), [&*round]);
    assert!(inbox("ada", "?wait=0.2").is_empty(), "time is up");

    // A gateway that starts later knows the same.
    let later = house.serve(Some(&everybody()));
    assert!(waiting(later.get("ada", "/v1/inbox")).is_empty());
    assert_eq!(waiting(later.get("bob", "/v1/inbox")), [&*round]);
    web.post("bob", "/v1/responses", &response(&round, "ABSTAIN"))
        .with(202);
    until("a closed round is gone", || inbox("bob", "").is_empty());
}

#[test]
fn a_trace_goes_on_to_the_outcome() {
    let house = house();
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let head = [bearer("desk"), format!("traceparent: {trace}")];
    let body = proposal("pay.out").to_string();
    let told = web
        .ask("POST", "/v1/proposals?wait=30", &head, &body)
        .with(200);
    let round = format!("/v1/rounds/{}", told["id"].as_str().unwrap());
    assert_eq!(
        web.get("desk", &round).with(200)["opening"]["traceparent"],
        trace
    );
}

#[test]
fn on_kafka_it_is_the_same() {
    let house = House::with(1, AGENTS, POLICIES);
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    let round = proposed(&web, "pay.out");
    let path = "/v1/responses?wait=30";
    // A refusal leaves a transaction's marker behind it, which no record shows.
    web.post("ada", path, &response(&round, "CHALLENGE"))
        .problem(422, "reasoning_missing");
    assert_eq!(waiting(web.get("ada", "/v1/inbox")), [&*round]);
    let said = web.post("ada", path, &response(&round, "ENDORSE"));
    assert_eq!(said.with(200)["state"], "admitted");
    let said = web.post("bob", path, &response(&round, "ENDORSE"));
    assert_eq!(said.with(200)["state"], "admitted");
    let outcomes = format!("/v1/rounds/{round}/outcomes");
    let outcome = || {
        web.get("ada", &outcomes).with(200)["outcomes"]
            .get(0)
            .cloned()
    };
    until("it is decided", || outcome().is_some());
    let late = web.post("bob", path, &response(&round, "ABSTAIN"));
    late.problem(422, "round_closed");
    web.stop();
}

#[test]
fn whoever_still_waits_does_not_keep_it_from_stopping() {
    let house = house();
    let web = house.serve(Some(&everybody()));
    let mut waits = web.connect();
    let head = format!(
        "GET /v1/inbox?wait=30 HTTP/1.1\r\nHost: it\r\n{}\r\n\r\n",
        bearer("ada")
    );
    waits.write_all(head.as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(200));
    let since = Instant::now();
    web.stop();
    assert!(since.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_is_sent_again_changes_nothing_and_what_differs_is_refused() {
    let house = house();
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    let mut first = proposal("pay.out");
    first["proposal_id"] = json!(uuid::Uuid::now_v7().to_string());
    let path = "/v1/proposals?wait=30";
    let round = web.post("desk", path, &first).with(200)["id"].take();
    assert_eq!(round, first["proposal_id"]);
    let again = web.post("desk", path, &first).with(200);
    assert_eq!(
        (&again["id"], &again["state"]),
        (&round, &json!("admitted"))
    );
    first["summary"] = json!("another");
    web.post("desk", path, &first)
        .problem(422, "proposal_conflict");
    let mut said = response(round.as_str().unwrap(), "ENDORSE");
    said["response_id"] = json!("mine");
    for _ in 0..2 {
        let path = "/v1/responses?wait=30";
        assert_eq!(web.post("ada", path, &said).with(200)["id"], "mine");
    }
}
