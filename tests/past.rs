//! What is asked of the past over HTTP: every record of a round, how trust moved and whether an agent
//! was as sure as it was right, which rules there were, what was refused, what people did; and files
//! of it.

use serde_json::{Value, json};

use crate::support::people::people;
use crate::support::web::{POLICIES, Web, everybody, tokens};
use crate::support::{House, until};

const AGENTS: &str = concat!(
    people!(desk ada bob rita ledger),
    "\n[[agent]]\nagent_id = \"olga\"\nkind = \"HUMAN\"\n"
);
/// Tried out, and told about by people.
const SHADOW: &str = "\n[[policy]]\npattern = \"pay.tried\"\nmode = \"shadow\"\nrevision = \"first\"\n\
     early_close = true\ndeadline_default = \"5 min\"\nproposer_counts = false\n";

/// A house in which something has happened.
struct Past {
    house: House,
    web: Web,
    _processor: crate::support::Processor,
    /// Approved by both, and right.
    agreed: String,
    /// Approved by people where the shadow policy would have approved it, and wrong.
    tried: String,
}

fn propose(web: &Web, domain: &str, subject: &str) -> String {
    let proposal = json!({
        "domain": domain,
        "action": { "type": "payment.block", "subject": subject },
        "confidence": 0.9,
        "stakes": "LOW",
    });
    let answer = web
        .post("desk", "/v1/proposals?wait=30", &proposal)
        .with(200);
    answer["id"].as_str().unwrap().to_owned()
}

fn respond(web: &Web, agent: &str, round: &str, verdict: &str, confidence: f64) {
    let response = json!({
        "proposal_id": round,
        "verdict": verdict,
        "confidence": confidence,
        "reasoning": "=because",
    });
    web.post(agent, "/v1/responses", &response).with(202);
}

fn report(web: &Web, name: &str, round: &str, result: &str, corrects: Option<&str>) -> String {
    let result = json!({ "proposal_id": round, "result": result, "corrects": corrects,
        "note": "=HYPERLINK(\"http://evil\")" });
    let answer = web.post(name, "/v1/results?wait=30", &result).with(200);
    answer["id"].as_str().unwrap().to_owned()
}

fn decided(web: &Web, house: &House, round: &str) {
    let package = house.records("escalations", Some(round), 1).remove(0);
    let decision = json!({ "proposal_id": round, "verdict": "APPROVE",
        "package_digest": package["package_digest"], "reason_code": "+known",
        "rationale": "@seen before" });
    let answer = web.post("rita", "/v1/decisions?wait=30", &decision);
    answer.with(200);
}

impl Past {
    fn new() -> Self {
        let house = House::on_blackboard(2, AGENTS, &format!("{POLICIES}{SHADOW}"));
        let processor = house.run();
        let also = tokens(&[("olga", "reporter")]);
        let web = house.serve(Some(&(everybody() + &also)));
        let agreed = propose(&web, "pay.out", "payment-1");
        respond(&web, "ada", &agreed, "ENDORSE", 0.9);
        respond(&web, "bob", &agreed, "ENDORSE", 0.3);
        let tried = propose(&web, "pay.tried", "payment-2");
        respond(&web, "ada", &tried, "ENDORSE", 0.95);
        respond(&web, "bob", &tried, "ENDORSE", 0.95);
        let state = |round: &str, state: &str| {
            let place = format!("/v1/rounds/{round}");
            until("a round moves on", || {
                web.get("op", &place).with(200)["state"] == state
            });
        };
        state(&agreed, "CLOSED");
        state(&tried, "ESCALATED");
        // Too late, and refused.
        let late = json!({ "proposal_id": agreed, "verdict": "CHALLENGE", "confidence": 0.5,
            "reasoning": "late" });
        web.post("ada", "/v1/responses?wait=30", &late)
            .problem(422, "round_closed");
        decided(&web, &house, &tried);
        report(&web, "ledger", &agreed, "RIGHT", None);
        report(&web, "olga", &tried, "WRONG", None);
        let scores = || {
            web.get("op", "/v1/trust").with(200)["trust"]
                .as_array()
                .unwrap()
                .len()
        };
        until("trust has moved", || scores() >= 4);
        Self {
            house,
            web,
            _processor: processor,
            agreed,
            tried,
        }
    }

    fn ask(&self, path: &str) -> Value {
        self.web.get("op", path).with(200)
    }

    /// A file, as text, with its kind and what browsers are told to do with it.
    fn file(&self, path: &str) -> (String, String, String) {
        let answer = self.web.get("op", path);
        let kind = answer.header("content-type").unwrap();
        let kept = answer.header("content-disposition").unwrap();
        let lines = match answer.body {
            Value::String(text) => text,
            other => other.to_string(),
        };
        (whole(&lines), kind, kept)
    }
}

/// A body that came in chunks, put together.
fn whole(chunked: &str) -> String {
    let mut rest = chunked;
    let mut text = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let Ok(length) = usize::from_str_radix(length, 16) else {
            return chunked.to_owned();
        };
        text.push_str(&after[..length]);
        rest = after[length..].trim_start_matches("\r\n");
    }
    text
}

fn column<'a>(records: &'a Value, field: &str) -> Vec<&'a str> {
    let records = records.as_array().unwrap().iter();
    records
        .map(|record| record[field].as_str().unwrap())
        .collect()
}

#[test]
fn the_past_is_told_as_it_was() {
    let past = Past::new();
    every_record_of_a_round(&past);
    trust_and_calibration(&past);
    rules_and_refusals(&past);
    what_people_did(&past);
    files(&past);
    a_restart(&past);
}

fn every_record_of_a_round(past: &Past) {
    let place = format!("/v1/rounds/{}/records", past.agreed);
    let told = past.ask(&place);
    let records = &told["records"];
    let topics = column(records, "topic");
    assert_eq!(topics[0], "proposals");
    for (topic, count) in [
        ("rounds", 3),
        ("responses", 3),
        ("outcomes", 1),
        ("results", 1),
        ("trust-updates", 1),
        ("dead-letters", 1),
    ] {
        let found = topics.iter().filter(|found| **found == topic).count();
        assert_eq!(found, count, "{topic}: {records:#}");
    }
    let records = records.as_array().unwrap();
    let times: Vec<_> = records
        .iter()
        .map(|one| one["timestamp"].as_i64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let late = records.iter().find(|one| one["words"] == "late").unwrap();
    assert_eq!(late["refused"]["code"], "round_closed");
    assert_eq!(
        (&late["by"], &late["says"]),
        (&"ada".into(), &"CHALLENGE".into())
    );
    // A page goes on where another one ended.
    let first = past.ask(&format!("{place}?limit=2"));
    let next = first["next"].as_str().unwrap();
    let rest = past.ask(&format!("{place}?after={next}"));
    let both =
        first["records"].as_array().unwrap().len() + rest["records"].as_array().unwrap().len();
    assert_eq!((both, &rest["next"]), (records.len(), &Value::Null));
    let unknown = format!("/v1/rounds/{}/records", uuid::Uuid::now_v7());
    past.web.get("op", &unknown).problem(404, "unknown_round");
    past.web.get("ada", &place).problem(403, "role_missing");
}

fn trust_and_calibration(past: &Past) {
    let told = past.ask("/v1/agents/ada/trust");
    assert_eq!(told["domains"].as_array().unwrap().len(), 2, "{told:#}");
    let pay = &told["domains"][0];
    assert_eq!(pay["trust_domain"], "pay");
    let step = &pay["steps"][0];
    let score = past.ask("/v1/trust?agent_id=ada&trust_domain=pay")["trust"].take();
    let mut scores = score.as_array().unwrap().iter();
    let score = scores.find(|score| score["trust_domain"] == "pay").unwrap();
    for field in ["trust", "revision"] {
        assert_eq!(step[field], score[field], "{field}");
    }
    assert_eq!(step["proposal_id"], past.agreed.as_str());
    assert_eq!(
        (&step["was_right"], &step["reporter"]),
        (&true.into(), &"ledger".into())
    );
    assert_eq!(pay["right"]["count"], 1);
    let bin = &pay["calibration"][0];
    assert_eq!((&bin["from"], &bin["said"]), (&0.9.into(), &0.95.into()));
    let tried = &told["domains"][1];
    assert_eq!(tried["right"]["count"], 0, "it endorsed what was wrong");
    assert!(told["standing_since"].is_i64());
    let one = past.ask("/v1/agents/ada/trust?trust_domain=pay.tried");
    assert_eq!(one["domains"].as_array().unwrap().len(), 1);
    past.web
        .get("op", "/v1/agents/nobody/trust")
        .problem(404, "unknown_agent");
}

fn rules_and_refusals(past: &Past) {
    let history = past.ask("/v1/policies/history?limit=2");
    assert_eq!(history["versions"].as_array().unwrap().len(), 2);
    let next = history["next"].as_str().unwrap();
    let rest = past.ask(&format!("/v1/policies/history?after={next}"));
    let (first, last) = (&history["versions"][0], &rest["versions"][0]);
    assert!(first["offset"].as_i64() > last["offset"].as_i64());
    assert!(first["policy"]["digest"].is_string());
    let findings = past.ask("/v1/policies/findings");
    let findings = findings["policies"].as_array().unwrap();
    for policy in findings {
        let codes = column(&policy["findings"], "code");
        assert!(codes.contains(&"newcomers"), "{policy:#}");
    }
    let shadow = past.ask("/v1/policies/shadow");
    let shadow = &shadow["policies"][0];
    assert_eq!(shadow["pattern"], "pay.tried");
    assert_eq!(
        (&shadow["rounds"], &shadow["would_approve"]),
        (&1.into(), &1.into())
    );
    let disagreed = &shadow["people_disagreed"];
    assert_eq!(
        (&disagreed["of"], &disagreed["count"]),
        (&1.into(), &0.into())
    );
    assert_eq!(
        shadow["wrong"]["count"], 1,
        "it would have approved what was wrong"
    );
    let codes = past.ask("/v1/dead-letters/codes");
    let code = &codes["codes"][0];
    assert_eq!(
        (&code["reason"], &code["topic"], &code["count"]),
        (&"round_closed".into(), &"responses".into(), &1.into())
    );
}

fn what_people_did(past: &Past) {
    let audit = past.ask("/v1/audit");
    let kinds = column(&audit["actions"], "kind");
    assert_eq!(kinds.iter().filter(|kind| **kind == "decision").count(), 1);
    let results = kinds.iter().filter(|kind| **kind == "result").count();
    assert_eq!(
        results, 1,
        "olga is a person, the ledger is none: {audit:#}"
    );
    assert!(kinds.contains(&"policy") && kinds.contains(&"agent"));
    let decision = past.ask("/v1/audit?kind=decision&by=rita")["actions"][0].take();
    let package = past
        .house
        .records("escalations", Some(&past.tried), 1)
        .remove(0);
    assert_eq!(decision["digest"], package["package_digest"]);
    assert_eq!(
        (&decision["about"], &decision["says"]),
        (&past.tried.as_str().into(), &"APPROVE".into())
    );
    let at = decision["timestamp"].as_i64().unwrap();
    let from = past.ask(&format!("/v1/audit?kind=decision&from={}", at + 1));
    assert_eq!(from["actions"], json!([]));
    let first = past.ask("/v1/audit?limit=1");
    let next = first["next"].as_str().unwrap();
    let rest = past.ask(&format!("/v1/audit?after={next}"));
    assert_eq!(rest["actions"].as_array().unwrap().len() + 1, kinds.len());
    past.web
        .get("ada", "/v1/audit")
        .problem(403, "role_missing");
}

fn files(past: &Past) {
    let (text, kind, kept) = past.file("/v1/outcomes/export");
    assert_eq!(kind, "text/csv; charset=utf-8");
    assert_eq!(kept, "attachment; filename=\"outcomes.csv\"");
    let lines: Vec<_> = text.split("\r\n").collect();
    // A head, three outcomes of two rounds, and the end of the last line.
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines[0].starts_with("\"proposal_id\",\"domain\",\"subject\""));
    let (text, kind, _) = past.file("/v1/outcomes/export?format=jsonl&resolved_by=HUMAN");
    assert_eq!(kind, "application/jsonl");
    let outcome: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(outcome["proposal_id"], past.tried.as_str());
    for (query, count) in [
        ("subject_prefix=payment-", 3),
        ("subject_prefix=ayment-", 0),
        ("from=0", 3),
        ("to=1000", 0),
        ("resolved_by=HUMAN", 1),
    ] {
        let outcomes = past.ask(&format!("/v1/outcomes?{query}"))["outcomes"].take();
        assert_eq!(outcomes.as_array().unwrap().len(), count, "{query}");
    }
    let (text, ..) = past.file("/v1/audit/export");
    assert!(
        text.contains("\"'=HYPERLINK(\"\"http://evil\"\")\""),
        "{text}"
    );
    assert!(text.contains("\"'+known\"") && text.contains("\"'@seen before\""));
    past.web
        .get("op", "/v1/audit/export?format=xls")
        .problem(400, "bad_query");
    past.web
        .get("op", "/v1/outcomes?from=now")
        .problem(400, "bad_query");
}

/// A gateway that reads all of it anew tells the same.
fn a_restart(past: &Past) {
    let other = past.house.serve(Some(&everybody()));
    for path in [
        &*format!("/v1/rounds/{}/records", past.agreed),
        "/v1/agents/ada/trust",
        "/v1/policies/shadow",
        "/v1/audit?kind=decision",
    ] {
        let told = compacted(other.get("op", path).with(200));
        assert_eq!(told, compacted(past.ask(path)), "{path}");
    }
    other.stop();
    // What is told to remember little, forgets.
    let little = "memory_hours = 1\nmemory_history_mib = 1\n";
    let little = past.house.serve_told(Some(&everybody()), little);
    little.get("op", "/v1/audit").with(200);
    little.stop();
}

/// What is told of a round once the log has forgotten its earlier states, as it may at any time.
fn compacted(mut told: Value) -> Value {
    if let Some(records) = told.get_mut("records").and_then(Value::as_array_mut) {
        let is_state = |record: &Value| record["topic"] == "rounds";
        let last = records.iter().rposition(is_state);
        let mut at = 0..;
        records.retain(|record| at.next() == last || !is_state(record));
    }
    told
}
