//! What operators do by way of a gateway: suspend and resume agents and policies, and what others are
//! told who try.

use std::ops::ControlFlow;

use quorate::transport::Stored;
use quorate_core::records::Control;
use quorate_core::topic::Topic;
use serde_json::{Value, json};

use crate::support::people::people;
use crate::support::web::{Answer, POLICIES, Web, bearer, everybody};
use crate::support::{House, until};

const AGENTS: &str = people!(desk ada bob rita ledger);
const AGENT: &str = "/v1/agents/ada/suspension";
const POLICY: &str = "/v1/policies/pay/suspension";

fn why() -> Value {
    json!({ "reason": "device ids are wrong since the update" })
}

fn put(web: &Web, name: &str, path: &str, body: &Value) -> Answer {
    web.ask("PUT", path, &[bearer(name)], &body.to_string())
}

fn delete(web: &Web, name: &str, path: &str) -> Answer {
    web.ask("DELETE", path, &[bearer(name)], "")
}

#[test]
fn an_operator_suspends_and_resumes_by_way_of_a_gateway_that_may() {
    let house = House::on_blackboard(3, AGENTS, POLICIES);
    let processor = house.run();
    let web = house.serve_told(Some(&everybody()), "operates = true\n");
    let proposal = json!({
        "domain": "pay.out", "confidence": 0.9, "stakes": "LOW",
        "action": { "type": "payment.block", "subject": "payment-1" },
    });
    let told = web
        .post("desk", "/v1/proposals?wait=30", &proposal)
        .with(200);
    let id = told["id"].as_str().unwrap();
    let said = |verdict| {
        json!({
            "proposal_id": id, "verdict": verdict, "confidence": 0.9, "reasoning": "it is odd",
        })
    };
    let path = "/v1/responses?wait=30";
    web.post("ada", path, &said("CHALLENGE")).with(200);
    let told = put(&web, "op", AGENT, &why()).with(200);
    assert_eq!(told["change"], "written");
    let orders = told["orders"].as_array().unwrap();
    let partitions: Vec<_> = orders.iter().map(|order| &order["partition"]).collect();
    assert_eq!(partitions, [0, 1, 2], "every partition is told");
    web.post("bob", path, &said("ENDORSE")).with(200);
    // Who has ordered it, and why, is on the log.
    let controls = controls(&house, 3);
    assert_eq!(controls.len(), 3);
    for control in controls {
        assert_eq!(control.operator, "op");
        assert_eq!(why()["reason"], *control.reason);
        assert_eq!(control.agent_id.as_deref(), Some("ada"));
        assert_eq!(told["control_id"], *control.control_id);
    }
    let outcome = house.records("outcomes", Some(id), 1).remove(0);
    let ballots = outcome["decision"]["ballots"].as_array().unwrap();
    let ada = ballots
        .iter()
        .find(|ballot| ballot["agent_id"] == "ada")
        .unwrap();
    assert_eq!(
        (&ada["reason"], &ada["weight"]),
        (&json!("suspended"), &json!(0.0))
    );
    // To do it again tells them again, and changes no table.
    let again = put(&web, "op", AGENT, &why()).with(200);
    assert_eq!(again["change"], "unchanged");
    assert_eq!(again["table_offset"], told["table_offset"]);
    assert_eq!(again["orders"].as_array().unwrap().len(), 3);
    // Whoever asks next is told so.
    let status = || web.get("op", "/v1/agents/ada").with(200)["status"].clone();
    assert_eq!(status(), "SUSPENDED");
    let told = delete(&web, "op", AGENT).with(200);
    assert_eq!(status(), "ACTIVE");
    assert_eq!(
        (&told["change"], &told["control_id"]),
        (&json!("written"), &Value::Null)
    );
    assert_eq!(delete(&web, "op", AGENT).with(200)["change"], "unchanged");

    assert_eq!(
        put(&web, "op", POLICY, &why()).with(200)["change"],
        "written"
    );
    assert_eq!(mode(&house, "pay"), "suspended");
    assert_eq!(delete(&web, "op", POLICY).with(200)["change"], "written");
    assert_eq!(mode(&house, "pay"), "live");
    who_did_it_is_told(&house, &web);

    for nobody in [
        "/v1/agents/zoe/suspension",
        "/v1/policies/garden/suspension",
    ] {
        let code = if nobody.contains("agents") {
            "unknown_agent"
        } else {
            "unknown_policy"
        };
        put(&web, "op", nobody, &why()).problem(404, code);
        delete(&web, "op", nobody).problem(404, code);
    }
    for body in [
        json!({}),
        json!({ "reason": "" }),
        json!({ "reason": "a", "operator": "b" }),
    ] {
        put(&web, "op", AGENT, &body).problem(400, "malformed");
    }
    for name in ["ada", "rita", "ledger"] {
        for path in [AGENT, POLICY] {
            put(&web, name, path, &why()).problem(403, "role_missing");
            delete(&web, name, path).problem(403, "role_missing");
        }
    }
    web.stop();
    processor.stop();
}

/// Records of tables have who had them written, where that is known.
fn who_did_it_is_told(house: &House, web: &Web) {
    house.ok(&["resume", "agent", "ada", "--operator", "nobody"]);
    house.ok(&[
        "suspend",
        "agent",
        "ada",
        "--operator",
        "opal",
        "--reason",
        "why",
    ]);
    house.ok(&["resume", "agent", "ada", "--operator", "otto"]);
    house.ok(&[
        "suspend",
        "pattern",
        "pay",
        "--operator",
        "opal",
        "--reason",
        "why",
    ]);
    house.ok(&["resume", "pattern", "pay"]);
    let done = |kind: &str, about: &str| -> Vec<Value> {
        let audit = web.get("op", &format!("/v1/audit?kind={kind}")).with(200);
        let all = audit["actions"].as_array().unwrap().iter();
        let of_it = all.filter(|action| action["about"] == about);
        of_it
            .map(|action| json!([action["says"], action["by"]]))
            .collect()
    };
    let ada = [
        json!(["ACTIVE", "otto"]),
        json!(["SUSPENDED", "opal"]),
        json!(["ACTIVE", "op"]),
        json!(["SUSPENDED", "op"]),
        json!(["ACTIVE", null]),
    ];
    until("what was done to ada is told", || {
        done("agent", "ada") == ada
    });
    let pay = [
        json!(["live", null]),
        json!(["suspended", "opal"]),
        json!(["live", "op"]),
        json!(["suspended", "op"]),
        json!(["live", null]),
    ];
    until("what was done to pay is told", || {
        let told = done("policy", "pay");
        assert!(told.len() <= pay.len(), "{told:?}");
        told == pay
    });
}

#[test]
fn a_gateway_that_was_not_told_so_suspends_nothing() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    let web = house.serve(Some(&everybody()));
    for path in [AGENT, POLICY] {
        put(&web, "op", path, &why()).problem(403, "not_operating");
        delete(&web, "op", path).problem(403, "not_operating");
    }
    let listed = web.get("op", "/v1/agents/ada").with(200);
    assert_eq!(listed["status"], "ACTIVE");
    web.stop();
}

/// The orders that lie on the log.
fn controls(house: &House, partitions: i32) -> Vec<Control> {
    let place = house.place();
    let (reader, codec) = (place.reader(), place.codec());
    let mut found = Vec::new();
    for partition in 0..partitions {
        let (start, end) = reader.ends(Topic::Responses, partition).unwrap();
        let take = &mut |stored: Stored| {
            if stored.control {
                let value = stored.value.unwrap();
                found.push(codec.decode::<Control>(&value).unwrap().0);
            }
            Ok(ControlFlow::Continue(()))
        };
        let read = reader.read_to(Topic::Responses, partition, start, end, take);
        read.unwrap();
    }
    found
}

#[test]
fn a_gateway_says_that_it_runs_and_whether_it_hears_of_the_log() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    let web = house.serve_told(Some(&everybody()), "observe = \"127.0.0.1:0\"\n");
    let ask = |path: &str| web.observed(path);
    for path in ["/healthz", "/readyz"] {
        assert!(ask(path).starts_with("HTTP/1.1 200"), "{path}");
    }
    // What is asked is counted, by templates, whoever asks.
    web.get("op", "/v1/rounds/nobody-knows")
        .problem(404, "unknown_round");
    web.ask("BREW", "/made/up", &[], "")
        .problem(404, "not_found");
    let listening = web.events("op", "/v1/outcomes", None);
    let has = |line: &str| ask("/metrics").lines().any(|written| written == line);
    assert!(has("quorate_gateway_streams 1") && has("quorate_gateway_following 1"));
    let metrics = ask("/metrics");
    for part in [
        "_count{method=\"GET\",route=\"/v1/rounds/{proposal_id}\",status=\"4xx\"} ",
        "_count{method=\"GET\",route=\"/v1/outcomes\",status=\"2xx\"} 1",
        "_count{method=\"other\",route=\"other\",status=\"4xx\"} 1",
        "quorate_gateway_remembered_bytes{of=\"history\"} ",
    ] {
        assert!(metrics.contains(part), "{part}\n{metrics}");
    }
    assert!(!metrics.contains("nobody-knows") && !metrics.contains("made/up"));
    let read = metrics.lines().find_map(|line| {
        let count = line.strip_prefix("quorate_gateway_records_total ")?;
        count.parse::<u64>().ok()
    });
    assert!(read.unwrap() > 5, "{metrics}");
    drop(listening);
    // Whoever went is noticed when there is something to be told, or to say that there is nothing.
    until("the stream has ended", || has("quorate_gateway_streams 0"));
    // The file that is the log goes away.
    std::fs::rename(house.file(), house.file().with_extension("away")).unwrap();
    until("it misses the log", || {
        ask("/readyz").starts_with("HTTP/1.1 503")
    });
    assert!(ask("/readyz").contains("was not heard of"));
    assert!(
        ask("/healthz").starts_with("HTTP/1.1 200"),
        "no reason to start it again"
    );
}

fn mode(house: &House, pattern: &str) -> Value {
    let text = house.ok(&["policies", "list", "--output", "json"]);
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    let found = list
        .iter()
        .find(|each| each["record"]["pattern"] == pattern);
    found.unwrap()["record"]["mode"].clone()
}
