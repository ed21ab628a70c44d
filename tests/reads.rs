//! What can be asked of a gateway: rounds and what they came to, what waits for people, the
//! tables, what was refused; in pages that stay as they are while records come.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::web::{AGENTS, Answer, POLICIES, Web, bearer, everybody, house};
use crate::support::{House, until};

fn respond(web: &Web, agent: &str, round: &str, verdict: &str) -> Value {
    let said = json!({ "proposal_id": round, "verdict": verdict, "confidence": 0.9 });
    let answer = web.post(agent, "/v1/responses?wait=30", &said);
    answer.body
}

/// What a list holds, whoever asks.
fn list(web: &Web, name: &str, query: &str) -> Vec<Value> {
    let path = format!("/v1/{}{query}", name.replace('_', "-"));
    let mut body = web.get("op", &path).with(200);
    assert!(body.get("next").is_some(), "{body}");
    serde_json::from_value(body[name].take()).unwrap()
}

fn ids(records: &[Value]) -> Vec<&str> {
    let id = |record: &Value| record["proposal_id"].as_str().is_some();
    assert!(records.iter().all(id), "{records:?}");
    let ids = records.iter().map(|record| record["proposal_id"].as_str());
    ids.map(Option::unwrap).collect()
}

#[test]
fn what_waits_for_a_person_is_read_and_decided_over_http_alone() {
    let house = house();
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    let other = web.proposed("pay.out", "small");
    let round = web.proposed("pay.big", "large");
    let place = format!("/v1/escalations/{round}");
    until("it is escalated", || {
        !list(&web, "escalations", "").is_empty()
    });
    let mut package = web.get("rita", &place).with(200);
    let waiting = web.get("rita", "/v1/escalations").with(200);
    assert_eq!(waiting["escalations"], json!([package]));
    let lies = house.records("escalations", Some(&round), 1).remove(0);
    let beside = package.as_object_mut().unwrap();
    assert_eq!(beside.remove("claim"), Some(Value::Null), "nobody is at it");
    let may_decide = beside.remove("may_decide").unwrap();
    assert_eq!(may_decide["allowed"], true);
    assert_eq!(package, lies, "it is the record, with its names");
    assert_eq!(package["content"]["proposal"]["action"]["subject"], "large");
    for (query, count) in [
        ("?domain=pay", 1),
        ("?domain=pay.big&stakes=LOW&proposer=desk&subject=large", 1),
        ("?state=ESCALATED", 1),
        ("?state=CLOSED", 0),
        ("?domain=pay.out", 0),
        ("?stakes=HIGH", 0),
    ] {
        assert_eq!(list(&web, "escalations", query).len(), count, "{query}");
    }
    let decision = json!({
        "proposal_id": round, "package_digest": package["package_digest"], "verdict": "APPROVE",
    });
    let said = web.post("rita", "/v1/decisions?wait=30", &decision);
    assert_eq!(said.with(200)["state"], "admitted");
    let told = web.get("rita", &format!("/v1/rounds/{round}")).with(200);
    assert_eq!(told["closed"]["status"], "APPROVED");
    assert!(list(&web, "escalations", "").is_empty());
    assert_eq!(list(&web, "escalations", "?state=CLOSED").len(), 1);
    web.get("rita", &place).with(200);

    let path = format!("/v1/escalations/{other}");
    web.get("rita", &path).problem(404, "unknown_escalation");
    let path = format!("/v1/escalations/{}", uuid::Uuid::now_v7());
    web.get("rita", &path).problem(404, "unknown_round");
}

#[test]
fn rounds_and_outcomes_are_found_by_what_they_are_about() {
    let house = house();
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    let first = web.proposed("pay.out", "a");
    let second = web.proposed("pay.in", "b");
    let told = list(&web, "rounds", "");
    assert_eq!(ids(&told), [&*second, &*first], "the latest first");
    assert_eq!(
        told[1],
        web.get("op", &format!("/v1/rounds/{first}")).with(200)
    );
    assert_eq!(ids(&list(&web, "rounds", "?domain=pay.in")), [&*second]);
    assert_eq!(ids(&list(&web, "rounds", "?subject=a")), [&*first]);
    assert!(list(&web, "rounds", "?state=CLOSED").is_empty());
    assert!(list(&web, "rounds", "?proposer=ada").is_empty());
    assert!(list(&web, "outcomes", "").is_empty());
    for agent in ["ada", "bob"] {
        respond(&web, agent, &first, "ENDORSE");
    }
    until("it is closed", || {
        ids(&list(&web, "rounds", "?state=CLOSED&domain=pay.out")) == [&*first]
    });
    until("it has an outcome", || {
        !list(&web, "outcomes", "").is_empty()
    });
    let outcomes = list(
        &web,
        "outcomes",
        "?domain=pay.out&status=APPROVED&subject=a",
    );
    assert_eq!(ids(&outcomes), [&*first]);
    let path = format!("/v1/rounds/{first}/outcomes");
    assert_eq!(web.get("op", &path).with(200)["outcomes"][0], outcomes[0]);
    assert!(list(&web, "outcomes", "?status=REJECTED").is_empty());
    assert!(list(&web, "outcomes", "?domain=pay.in").is_empty());

    // Another gateway, which reads of rounds that are over, finds the same.
    let later = house.serve(Some(&everybody()));
    for query in [
        "",
        "?domain=pay.out",
        "?subject=a&proposer=desk",
        "?state=CLOSED",
    ] {
        assert_eq!(list(&later, "rounds", query), list(&web, "rounds", query));
    }
    assert_eq!(list(&later, "outcomes", "?domain=pay.out"), outcomes);
}

#[test]
fn pages_stay_as_they_are_while_records_come_and_on_any_gateway() {
    let house = house();
    let _processor = house.run();
    let webs = [(); 2].map(|()| house.serve(Some(&everybody())));
    let mut rounds: Vec<String> = (0..5)
        .map(|number| webs[0].proposed("pay.out", &number.to_string()))
        .collect();
    rounds.sort();
    rounds.reverse();
    until("the other one has read them", || {
        list(&webs[1], "rounds", "").len() == 5
    });
    let (mut seen, mut after) = (Vec::new(), String::new());
    for turn in 0..3 {
        let path = format!("/v1/rounds?limit=2{after}");
        let page = webs[turn % 2].get("op", &path).with(200);
        seen.extend(
            ids(page["rounds"].as_array().unwrap())
                .iter()
                .map(|id| (*id).to_owned()),
        );
        let next = page["next"].as_str();
        assert_eq!(next.is_none(), turn == 2, "{page}");
        after = next.map_or_else(String::new, |next| format!("&after={next}"));
        webs[0].proposed("pay.out", "later");
        respond(&webs[0], "ada", &rounds[0], "ENDORSE");
    }
    assert_eq!(seen, rounds, "each once, and nothing that came later");
    let (mut seen, mut after) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/v1/inbox?limit=3{after}");
        let page = webs[0].get("bob", &path).with(200);
        for id in ids(page["rounds"].as_array().unwrap()) {
            assert!(seen.insert(id.to_owned()), "{id} is told twice");
        }
        let Some(next) = page["next"].as_str() else {
            break;
        };
        after = format!("&after={next}");
    }
    assert_eq!(seen.len(), 8);
}

#[test]
fn the_tables_and_what_was_refused_can_be_read() {
    let house = house();
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    let agents = list(&web, "agents", "");
    let names: Vec<_> = agents
        .iter()
        .map(|agent| agent["agent_id"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ada", "bob", "desk", "ledger", "rita"]);
    assert_eq!(web.get("ada", "/v1/agents/ada").with(200), agents[0]);
    web.get("ada", "/v1/agents/eve")
        .problem(404, "unknown_agent");
    assert_eq!(list(&web, "agents", "?domain=pay&status=ACTIVE").len(), 2);
    assert!(list(&web, "agents", "?status=RETIRED").is_empty());
    let page = web.get("op", "/v1/agents?limit=4").with(200);
    let path = format!("/v1/agents?after={}", page["next"].as_str().unwrap());
    let rest = web.get("op", &path).with(200);
    assert_eq!(
        (&rest["agents"], &rest["next"]),
        (&json!([agents[4]]), &Value::Null)
    );
    let policies = list(&web, "policies", "");
    let patterns: Vec<_> = policies.iter().map(|policy| &policy["pattern"]).collect();
    assert_eq!(patterns, ["pay", "pay.big"]);

    let round = web.proposed("pay.out", "a");
    respond(&web, "ada", &round, "CHALLENGE");
    let letters = list(
        &web,
        "dead_letters",
        "?topic=responses&reason=reasoning_missing",
    );
    assert_eq!(letters, house.records("dead-letters", None, 1));
    for query in ["?topic=proposals", "?reason=no_policy"] {
        assert!(list(&web, "dead_letters", query).is_empty(), "{query}");
    }
    for agent in ["ada", "bob"] {
        respond(&web, agent, &round, "ENDORSE");
    }
    let result = json!({ "proposal_id": round, "result": "RIGHT" });
    until("it is closed", || {
        !list(&web, "rounds", "?state=CLOSED").is_empty()
    });
    web.post("ledger", "/v1/results?wait=30", &result).with(200);
    until("it has taught", || list(&web, "trust", "").len() == 2);
    let score = list(&web, "trust", "?agent_id=ada&trust_domain=pay");
    assert_eq!((score.len(), &score[0]["agent_id"]), (1, &json!("ada")));
    assert!(list(&web, "trust", "?agent_id=desk").is_empty());
    assert!(list(&web, "trust", "?trust_domain=garden").is_empty());
}

#[test]
fn what_makes_no_sense_in_a_query_is_refused() {
    let house = house();
    let web = house.serve(Some(&everybody()));
    for path in [
        "/v1/rounds?state=open",
        "/v1/rounds?colour=red",
        "/v1/rounds?state=OPEN&state=CLOSED",
        "/v1/rounds?limit=0",
        "/v1/rounds?limit=1001",
        "/v1/rounds?limit=x",
        "/v1/rounds?after=x",
        "/v1/rounds?after=00",
        "/v1/rounds?wait=1",
        "/v1/outcomes?status=OPEN",
        "/v1/outcomes?after=2d31",
        "/v1/escalations?stakes=ALL",
        "/v1/agents?status=APPROVED",
        "/v1/dead-letters?topic=acp.responses",
        "/v1/dead-letters?after=312e32",
        "/v1/policies?domain=pay",
    ] {
        web.get("op", path).problem(400, "bad_query");
    }
    web.get("ada", "/v1/inbox?after=00")
        .problem(400, "bad_query");
    let problem = web
        .get("op", "/v1/rounds?state=open")
        .problem(400, "bad_query");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("OPEN, ESCALATED, CLOSED"), "{detail}");
}

#[test]
fn nothing_is_told_of_a_blackboard_that_was_moved_away() {
    let house = house();
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    let round = web.proposed("pay.out", "a");
    let paths = ["/v1/inbox", "/v1/rounds", "/v1/agents/ada"];
    let away = house.file().with_extension("away");
    let mut rounds = web.events("ada", "/v1/rounds", None);
    let mut inbox = web.events("ada", "/v1/inbox", None);
    assert_eq!(inbox.next().unwrap().data["proposal_id"], *round);
    std::fs::rename(house.file(), &away).unwrap();
    let gone = |path: &str| web.get("ada", path).status == 503;
    until("it is noticed", || gone("/v1/rounds"));
    for path in paths {
        let answer = web.get("ada", path);
        assert!(answer.header("retry-after").is_some());
        answer.problem(503, "log_unavailable");
    }
    assert!(
        rounds.next().is_none() && inbox.next().is_none(),
        "they ended"
    );
    // Another file in its place is another log.
    std::fs::copy(&away, house.file()).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(gone("/v1/rounds"));
    std::fs::rename(&away, house.file()).unwrap();
    until("it is there again", || !gone("/v1/rounds"));
    for path in paths {
        web.get("ada", path).with(200);
    }
}

#[test]
fn nothing_is_told_of_brokers_that_are_gone() {
    let mut house = House::alone(1, AGENTS, POLICIES);
    let processor = house.run();
    let web = house.serve(Some(&everybody()));
    let round = web.proposed("pay.out", "a");
    let mut inbox = web.events("ada", "/v1/inbox", None);
    assert_eq!(inbox.next().unwrap().data["proposal_id"], *round);
    // Nothing comes for longer than nothing may be heard: but it is heard of.
    std::thread::sleep(std::time::Duration::from_secs(12));
    assert_eq!(list(&web, "rounds", "").len(), 1);
    processor.stop();
    house.lose_broker();
    until("it is noticed", || {
        web.get("ada", "/v1/inbox").status == 503
    });
    let answer = web.get("ada", "/v1/rounds");
    assert!(answer.header("retry-after").is_some());
    answer.problem(503, "log_unavailable");
    assert!(inbox.next().is_none(), "it ended");
    let begin = std::time::Instant::now();
    web.stop();
    assert!(
        begin.elapsed() < std::time::Duration::from_secs(10),
        "nobody is waited for"
    );
}

#[test]
fn what_one_has_is_not_told_again_until_it_is_another() {
    let house = house();
    let _processor = house.run();
    let webs = [(); 2].map(|()| house.serve(Some(&everybody())));
    let [here, there] = &webs;
    let round = here.proposed("pay.out", "tagged");
    until("both know the round", || {
        let path = format!("/v1/rounds/{round}");
        webs.iter().all(|web| web.get("op", &path).status == 200)
    });
    for path in [&*format!("/v1/rounds/{round}"), "/v1/agents/ada"] {
        let first = here.get("op", path);
        let tag = first.header("etag").unwrap();
        assert_eq!(
            first.header("cache-control").as_deref(),
            Some("private, no-cache")
        );
        let told = first.with(200);
        let other = &*format!("\"{}\"", "0".repeat(64));
        for web in &webs {
            for had in [&*tag, &format!("W/{tag}"), &format!("{other}, {tag}"), "*"] {
                let answer = had_by(web, path, had);
                assert_eq!((answer.status, &answer.body), (304, &json!("")), "{had}");
                assert_eq!(answer.header("etag").as_deref(), Some(&*tag));
            }
            for had in [other, "none", ""] {
                assert_eq!(had_by(web, path, had).with(200), told, "{had}");
            }
        }
        let head = [format!("If-None-Match: {tag}")];
        here.ask("GET", path, &head, "")
            .problem(401, "unauthenticated");
    }
    let path = format!("/v1/rounds/{round}");
    let tag = here.get("op", &path).header("etag").unwrap();
    respond(here, "ada", &round, "ENDORSE");
    respond(here, "bob", &round, "ENDORSE");
    until("it is told once it is another", || {
        let answer = had_by(there, &path, &tag);
        answer.status == 200 && answer.header("etag").as_deref() != Some(&*tag)
    });
    had_by(here, "/v1/rounds/none", "*").problem(404, "unknown_round");
}

/// What is answered to whoever has what a tag was told with.
fn had_by(web: &Web, path: &str, tag: &str) -> Answer {
    let head = [bearer("op"), format!("If-None-Match: {tag}")];
    web.ask("GET", path, &head, "")
}
