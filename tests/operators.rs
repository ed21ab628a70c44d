//! What operators do to a running house and ask of it: suspend and resume, list, show, explain.

use quorate::transport::kafka::{Appender, Connection};
use quorate_core::topic::Topic;
use serde_json::{Value, json};

use crate::support::people::{people, prompt_policies};
use crate::support::{House, parts};

/// Three experts, a proposer without a vote, and a person.
const AGENTS: &str = people!(desk ada bob cyd rita);

/// Rounds close as soon as everybody active was heard.
const POLICIES: &str = prompt_policies!();

const BY: [&str; 4] = ["--operator", "olga", "--reason", "it misbehaves"];

fn propose(house: &House) -> String {
    house.propose(&[
        "--proposer",
        "desk",
        "--domain",
        "pay",
        "--type",
        "payment.release",
        "--subject",
        "payment-7",
        "--confidence",
        "0.9",
        "--stakes",
        "LOW",
    ])
}

/// Lets agents endorse, and waits for the round's outcome.
fn endorsed(house: &House, id: &str, agents: &[&str]) -> Value {
    for agent in agents {
        house.respond(id, agent, "endorse", "0.9");
    }
    house.records("outcomes", Some(id), 1).remove(0)
}

/// A round that is open with ada's challenge heard: a later one of the same partition is out.
fn challenged(house: &House) -> String {
    let id = propose(house);
    house.respond(&id, "ada", "challenge", "0.9");
    let later = propose(house);
    endorsed(house, &later, &["ada", "bob", "cyd"]);
    id
}

fn said(outcome: &Value) -> (&Value, &Value) {
    let decision = &outcome["decision"];
    (&decision["status"], &decision["reasons"][0])
}

fn ballot<'a>(outcome: &'a Value, agent: &str) -> Option<&'a Value> {
    let ballots = outcome["decision"]["ballots"].as_array().unwrap();
    ballots.iter().find(|ballot| ballot["agent_id"] == agent)
}

/// What a list in JSON says of a key.
fn listed(house: &House, verb: &str, field: &str, key: &str) -> Value {
    let text = house.ok(&[verb, "list", "--output", "json"]);
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut of_key = list.into_iter().filter(|each| each["record"][field] == key);
    let found = of_key.next().unwrap();
    assert!(of_key.next().is_none(), "{text}");
    found
}

#[test]
fn a_round_escalates_when_the_agent_that_kept_it_from_approval_is_suspended() {
    let house = House::with(1, AGENTS, POLICIES);
    let _processor = house.run();
    let id = challenged(&house);
    let told = house.ok(&[&["suspend", "agent", "ada"], &BY[..]].concat());
    assert!(told.contains("agents/0@"), "{told}");
    assert!(told.contains("responses/0@"), "{told}");

    let outcome = endorsed(&house, &id, &["bob", "cyd"]);
    assert_eq!(said(&outcome), (&json!("ESCALATED"), &json!("SUSPENDED")));
    let ada = ballot(&outcome, "ada").unwrap();
    assert_eq!(ada["reason"], "suspended");
    assert_eq!(ada["weight"], 0.0);

    let next = propose(&house);
    house.respond(&next, "ada", "challenge", "0.9");
    let outcome = endorsed(&house, &next, &["bob", "cyd"]);
    assert_eq!(outcome["decision"]["status"], "APPROVED");
    assert_eq!(ballot(&outcome, "ada"), None);
    let letters = house.records("dead-letters", Some(&next), 1);
    assert_eq!(letters[0]["reason"], "agent_not_active");
}

#[test]
fn every_partition_is_told_and_telling_again_changes_no_table() {
    let house = House::with(3, AGENTS, POLICIES);
    let suspend = [&["suspend", "agent", "ada"], &BY[..]].concat();
    let first = house.ok(&suspend);
    let again = house.ok(&suspend);
    for partition in 0..3 {
        let place = format!("responses/{partition}@");
        assert!(first.contains(&place), "{first}");
        assert!(again.contains(&place), "{again}");
    }
    assert!(again.starts_with("ada: unchanged\n"), "{again}");
    let before = listed(&house, "agents", "agent_id", "ada");
    assert_eq!(before["record"]["status"], "SUSPENDED");
    house.ok(&["resume", "agent", "ada"]);
    let after = listed(&house, "agents", "agent_id", "ada");
    assert_eq!(after["record"]["status"], "ACTIVE");
    assert!(after["offset"].as_i64() > before["offset"].as_i64());
    let again = house.ok(&["resume", "agent", "ada"]);
    assert_eq!(again, "ada: unchanged\n");
}

/// What a verb says with `--output json`, a value a line.
fn in_json(house: &House, arguments: &[&str]) -> Vec<Value> {
    let said = house.ok(&[arguments, &["--output", "json"]].concat());
    let line = |line| serde_json::from_str(line).unwrap();
    said.lines().map(line).collect()
}

#[test]
fn what_suspending_and_resuming_wrote_is_said_to_machines_too() {
    let house = House::with(3, AGENTS, POLICIES);
    let agents = format!("{}agents", house.prefix);
    let suspend = [&["suspend", "agent", "ada"], &BY[..]].concat();
    let told = in_json(&house, &suspend);
    let offset = listed(&house, "agents", "agent_id", "ada")["offset"].clone();
    let written = json!({
        "key": "ada", "change": "written", "topic": agents, "partition": 0, "offset": offset,
    });
    assert_eq!(told[0], written);
    let orders: Vec<_> = told[1..].iter().collect();
    for (partition, order) in orders.iter().enumerate() {
        assert_eq!(order["partition"], partition);
        assert_eq!(order["id"], orders[0]["id"]);
        assert_eq!(order["topic"], format!("{}responses", house.prefix));
        assert!(order["offset"].is_i64(), "{order}");
    }
    assert_eq!(orders.len(), 3);
    let again = in_json(&house, &suspend);
    let unchanged = |key: &str| json!({ "key": key, "change": "unchanged" });
    assert_eq!((&again[0], again.len()), (&unchanged("ada"), 4));

    let resume = ["resume", "agent", "ada"];
    let resumed = in_json(&house, &resume);
    assert_eq!(resumed.len(), 1);
    assert_eq!(resumed[0]["change"], "written");
    assert_eq!(in_json(&house, &resume), [unchanged("ada")]);
    let told = in_json(&house, &[&["suspend", "pattern", "pay"], &BY[..]].concat());
    assert_eq!((&told[0]["key"], told.len()), (&json!("pay"), 4));
    let resume = ["resume", "pattern", "pay", "--mode", "shadow"];
    assert_eq!(in_json(&house, &resume)[0]["key"], "pay");
    assert_eq!(in_json(&house, &resume), [unchanged("pay")]);
}

#[test]
fn rounds_under_a_suspended_pattern_escalate_until_it_is_resumed_in_the_mode_it_had() {
    let house = House::with(1, AGENTS, POLICIES);
    let _processor = house.run();
    let digest = listed(&house, "policies", "pattern", "pay")["record"]["digest"].clone();
    let id = challenged(&house);
    house.ok(&[&["suspend", "pattern", "pay"], &BY[..]].concat());
    let outcome = endorsed(&house, &id, &["bob", "cyd"]);
    assert_eq!(said(&outcome), (&json!("ESCALATED"), &json!("SUSPENDED")));
    let suspended = listed(&house, "policies", "pattern", "pay");
    assert_eq!(suspended["record"]["mode"], "suspended");
    assert_ne!(suspended["record"]["digest"], digest);

    house.ok(&["resume", "pattern", "pay"]);
    let resumed = listed(&house, "policies", "pattern", "pay");
    assert_eq!(resumed["record"]["mode"], "live");
    assert_eq!(resumed["record"]["digest"], digest);
    // A round is opened by the table as it was read then, so it may take some rounds.
    let approved = (0..20).any(|_| {
        let outcome = endorsed(&house, &propose(&house), &["ada", "bob", "cyd"]);
        outcome["decision"]["status"] == "APPROVED"
    });
    assert!(approved, "a resumed policy reaches a later round");
}

#[test]
fn whom_nobody_listed_cannot_be_suspended() {
    let house = House::with(1, AGENTS, POLICIES);
    for what in [["agent", "eve"], ["pattern", "play"]] {
        let refused = house.call(&[&["suspend"], &what[..], &BY[..]].concat());
        assert_eq!(refused.status.code(), Some(1));
        let complaint = String::from_utf8(refused.stderr).unwrap();
        assert!(complaint.contains(&format!("`{}`", what[1])), "{complaint}");
    }
}

#[test]
fn lists_for_people_show_a_line_each() {
    let house = House::with(1, AGENTS, POLICIES);
    let agents = house.ok(&["agents", "list"]);
    assert_eq!(agents.lines().count(), 5, "{agents}");
    let ada = agents.lines().next().unwrap();
    assert!(ada.starts_with("ada ") && ada.contains("ACTIVE"), "{ada}");
    let policies = house.ok(&["policies", "list"]);
    assert_eq!(policies.lines().count(), 1, "{policies}");
    assert!(policies.contains("live"), "{policies}");
}

/// The records of a kind that `show` tells of, by a field that others have not.
fn shown<'a>(records: &'a Value, topic: &str, field: &str) -> Vec<&'a Value> {
    let records = records["records"].as_array().unwrap().iter();
    let of_topic = records.filter(|entry| entry["topic"] == topic);
    of_topic
        .filter(|entry| entry["record"].get(field).is_some())
        .collect()
}

#[test]
fn a_round_is_shown_with_every_record_that_belongs_to_it() {
    let house = House::with(1, AGENTS, POLICIES);
    let _processor = house.run();
    let id = challenged(&house);
    let show = |id: &str| -> Value {
        serde_json::from_str(&house.ok(&["show", id, "--output", "json"])).unwrap()
    };
    let open = show(&id);
    assert_eq!(open["round"]["record"]["state"], "OPEN");
    assert_eq!(shown(&open, "outcomes", "decision").len(), 0);

    house.ok(&[&["suspend", "agent", "ada"], &BY[..]].concat());
    house.respond(&id, "eve", "endorse", "0.9");
    endorsed(&house, &id, &["bob", "cyd"]);
    house.ok(&[&["suspend", "agent", "bob"], &BY[..]].concat());
    let closed = show(&id);
    assert_eq!(closed["round"]["record"]["state"], "ESCALATED");
    assert_eq!(shown(&closed, "proposals", "proposer").len(), 1);
    let said = shown(&closed, "responses", "response_id");
    let who: Vec<_> = said
        .iter()
        .map(|entry| &entry["record"]["agent_id"])
        .collect();
    assert_eq!(who, ["ada", "eve", "bob", "cyd"]);
    assert!(said.iter().all(|entry| entry["timestamp"].is_i64()));
    // The second order came after the round had closed, so it is none of its business.
    let orders = shown(&closed, "responses", "control_id");
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!(orders[0]["record"]["agent_id"], "ada");
    assert_eq!(orders[0]["record"]["operator"], "olga");
    assert_eq!(shown(&closed, "outcomes", "decision").len(), 1);
    assert_eq!(shown(&closed, "escalations", "package_digest").len(), 1);
    let letters = shown(&closed, "dead-letters", "reason");
    assert_eq!(letters[0]["record"]["reason"], "agent_not_listed");

    let text = house.ok(&["show", &id]);
    assert!(text.starts_with("rounds/0@"), "{text}");
    assert_eq!(
        text.lines().count(),
        1 + closed["records"].as_array().unwrap().len()
    );
    let nothing = house.call(&["show", "nothing"]);
    assert_eq!(nothing.status.code(), Some(1));
}

#[test]
fn an_outcome_is_explained_with_its_ballots_and_its_place() {
    let house = House::with(1, AGENTS, POLICIES);
    let _processor = house.run();
    let id = propose(&house);
    let early = house.call(&["explain", &id]);
    assert_eq!(early.status.code(), Some(1));
    let outcome = endorsed(&house, &id, &["ada", "bob", "cyd"]);
    let words = house.ok(&["explain", &id]);
    assert!(words.starts_with("APPROVED\n"), "{words}");
    for agent in ["ada", "bob", "cyd"] {
        assert!(words.contains(&format!("  {agent} ")), "{words}");
    }
    let at = &outcome["coordinates"]["closing_offset"];
    assert!(
        words.contains(&format!("closed: responses/0@{at}, ")),
        "{words}"
    );
    assert!(words.contains("not waited for"), "{words}");
    let digest = outcome["decision_digest"].as_str().unwrap();
    assert!(words.contains(digest), "{words}");
    let same = house.ok(&["explain", &id, "--output", "json"]);
    let same: Vec<Value> = serde_json::from_str(&same).unwrap();
    assert_eq!(same, [outcome]);
}

#[test]
fn what_a_person_decided_is_shown_and_explained_after_what_the_agents_did() {
    let house = House::with(1, AGENTS, POLICIES);
    let _processor = house.run();
    let id = challenged(&house);
    endorsed(&house, &id, &["bob", "cyd"]);
    let package = house.records("escalations", Some(&id), 1).remove(0);
    let digest = package["package_digest"].as_str().unwrap();
    let who = ["decide", "--proposal", &id, "--reviewer", "rita"];
    let what = ["--package", digest, "--verdict", "reject"];
    house.ok(&[&who[..], &what[..]].concat());
    house.records("outcomes", Some(&id), 2);
    let words = house.ok(&["explain", &id]);
    let (first, last) = words.split_once("\nREJECTED\n").unwrap();
    assert!(first.starts_with("ESCALATED\n"), "{words}");
    assert!(
        first.contains("ada is pivotal: without it, APPROVED"),
        "{words}"
    );
    assert!(last.contains("a human decided"), "{words}");
    assert!(last.contains("rita judged it: decisions/0@0, "), "{words}");
    let shown = house.ok(&["show", &id]);
    assert!(
        shown.lines().next().unwrap().contains("state CLOSED"),
        "{shown}"
    );
    assert!(shown.contains("\ndecisions/0@0  "), "{shown}");
}

#[test]
fn dead_letters_are_listed_by_code_and_opened_without_moving_the_terminal() {
    let house = House::with(1, AGENTS, POLICIES);
    let _processor = house.run();
    let id = propose(&house);
    house.respond(&id, "eve\u{1b}[31m\u{9b}2J", "endorse", "0.9");
    nonsense(&house);
    house.records("dead-letters", None, 2);
    let all = house.ok(&["dead-letters", "list"]);
    assert_eq!(all.lines().count(), 2, "{all}");
    let list = ["dead-letters", "list", "--output", "json", "--reason"];
    for (code, content) in [
        ("agent_not_listed", "endorse"),
        ("malformed", "6e6f6e73656e7365"),
    ] {
        let some = house.ok(&[&list[..], &[code]].concat());
        let some: Vec<Value> = serde_json::from_str(&some).unwrap();
        assert_eq!(some.len(), 1, "{code}");
        assert_eq!(some[0]["record"]["reason"], code);
        let (partition, offset) = (
            some[0]["partition"].to_string(),
            some[0]["offset"].to_string(),
        );
        let text = house.ok(&["dead-letters", "show", &partition, &offset]);
        assert!(text.contains(&format!("refused: {code} (")), "{text}");
        assert!(text.to_lowercase().contains(content), "{text}");
        assert!(
            !text.chars().any(|c| c.is_control() && c != '\n'),
            "{text:?}"
        );
    }
    assert!(!all.chars().any(|c| c.is_control() && c != '\n'), "{all:?}");
    let unknown = house.call(&[&list[..], &["bored"]].concat());
    assert_eq!(unknown.status.code(), Some(2));
    let nowhere = house.call(&["dead-letters", "show", "0", "99"]);
    assert_eq!(nowhere.status.code(), Some(1));
}

/// Appends a proposal that is none.
fn nonsense(house: &House) {
    let properties = std::collections::BTreeMap::new();
    let connection = Connection::new(&parts().bootstrap, &house.prefix, properties);
    let appender = Appender::open(&connection.unwrap()).unwrap();
    let value = Some(&b"nonsense"[..]);
    appender
        .append(Topic::Proposals, 0, Some(b"k"), value, &[])
        .unwrap();
    appender.settle().unwrap();
}
