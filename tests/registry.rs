//! A registry that is away, broken, forgetful or late, in front of a processor that goes on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;

use quorate::transport::kafka::{Appender, Registry, Schemas};
use quorate::wire::{Codec, Kind, Record, partition_of};
use quorate_core::records::{Response, Verdict};
use quorate_core::topic::Topic;
use serde_json::{Value, json};

use crate::support::registry::{Door, Fresh, Mood};
use crate::support::{House, Observed, parts, until};

pub(crate) const AGENTS: &str = r#"
[[agent]]
agent_id = "desk"

[[agent]]
agent_id = "ada"
domains = [{ domain = "pay", authority = 1.0, prior = { right = 40, wrong = 2, source = "test" } }]

[[agent]]
agent_id = "ben"
domains = [{ domain = "pay", authority = 1.0, prior = { right = 40, wrong = 2, source = "test" } }]
"#;
pub(crate) const POLICIES: &str = r#"
[[policy]]
pattern = "pay"
proposer_counts = false
min_weight = 0.1
deadline_default = "6s"
"#;
/// How long ids are waited for here: less than a registry is kept silent.
pub(crate) const HASTY: &str = "[run]\nschema_wait_ms = 1000\n";

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

/// A schema of responses with one field more, as an agent of later times writes them; its id, of
/// which `acp.schemas` knows nothing.
pub(crate) fn later_schema(registry: &str, field: &str) -> i32 {
    let mut schema: Value = serde_json::from_str(Kind::Response.schema()).unwrap();
    let more = json!({"name": field, "type": "string", "default": "", "doc": "More."});
    schema["fields"].as_array_mut().unwrap().push(more);
    let subject = format!("later-{}-value", uuid::Uuid::now_v7());
    let registry = Registry::new(registry, "", None).unwrap();
    wait_for(registry.register(&subject, &schema.to_string())).unwrap()
}

/// How many records a processor has passed, of all topics.
pub(crate) fn passed(observed: &Observed) -> f64 {
    let text = observed.get("/metrics").1;
    let of = text
        .lines()
        .filter(|line| line.starts_with("quorate_passed_records_total{"));
    of.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum()
}

/// A policy whose rounds close as soon as everybody was heard.
pub(crate) fn prompt(policies: &str) -> String {
    format!("{policies}revision = \"first\"\nearly_close = true\n")
}

/// An agent's endorsement under an id, with the later schema's field if it has one.
pub(crate) fn endorse(house: &House, proposal: &str, agent: &str, id: i32, later: bool) {
    append(
        house,
        Topic::Responses,
        proposal,
        &endorsement(proposal, agent, id, later),
    );
}

fn endorsement(proposal: &str, agent: &str, id: i32, later: bool) -> Vec<u8> {
    let response = Response {
        response_id: format!("{agent}-1").into(),
        proposal_id: proposal.into(),
        proposal_digest: None,
        agent_id: agent.into(),
        verdict: Verdict::Endorse,
        confidence: 0.9,
        reasoning: "looked at it".into(),
        evidence: Vec::new(),
    };
    let mut value = Codec::confluent([(Kind::Response, id)])
        .encode(&response)
        .unwrap();
    if later {
        value.push(0);
    }
    value
}

fn append(house: &House, topic: Topic, proposal: &str, value: &[u8]) {
    append_among(house, topic, proposal, value, 2);
}

fn append_among(house: &House, topic: Topic, proposal: &str, value: &[u8], count: i32) {
    let appender = Appender::open(&house.connection()).unwrap();
    let (key, partition) = (
        proposal.as_bytes(),
        partition_of(proposal.as_bytes(), count),
    );
    appender
        .append(topic, partition, Some(key), Some(value), &[])
        .unwrap();
    appender.settle().unwrap();
}

/// A proposal on a partition of two.
pub(crate) fn propose_on(house: &House, partition: i32) -> String {
    propose_among(house, partition, 2)
}

/// A proposal on a partition of so many.
fn propose_among(house: &House, partition: i32, count: i32) -> String {
    loop {
        let id = uuid::Uuid::now_v7().to_string();
        if partition_of(id.as_bytes(), count) == partition {
            let arguments = ["--id", &id, "--proposer", "desk", "--domain", "pay"];
            let more = [
                "--type",
                "pay",
                "--summary",
                "pay it",
                "--subject",
                "it",
                "--confidence",
                "0.8",
                "--stakes",
                "LOW",
            ];
            return house.propose(&[&arguments[..], &more].concat());
        }
    }
}

pub(crate) fn counted(outcome: &Value) -> Vec<&str> {
    let ballots = outcome["decision"]["ballots"].as_array().unwrap();
    let counted = ballots.iter().filter(|ballot| ballot["counted"] == true);
    counted.map(|b| b["agent_id"].as_str().unwrap()).collect()
}

fn said(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr].concat();
    let code = output.status.code().unwrap();
    (code, String::from_utf8(text).unwrap())
}

pub(crate) fn log_of(house: &House) -> PathBuf {
    std::env::temp_dir().join(format!("{}log", house.prefix))
}

#[test]
fn a_partition_waits_while_the_registry_is_silent_and_the_others_go_on() {
    let door = Door::before(&parts().registry);
    let house = House::served_by(door.url(), 2, AGENTS, POLICIES);
    let id = later_schema(&parts().registry, "mood");
    door.set(Mood::Deaf);
    let log = log_of(&house);
    // Started while the registry is away: what is registered works from `acp.schemas`.
    let processor = house.run_logged("one", HASTY, &log);
    let waiting = propose_on(&house, 0);
    endorse(&house, &waiting, "ada", id, true);
    let moods = [
        Mood::Deaf,
        Mood::Page(500, "{\"error_code\":50001,\"message\":\"store\"}"),
        Mood::Page(503, ""),
        Mood::Page(401, "{\"error_code\":401,\"message\":\"who are you\"}"),
        Mood::Page(404, "<html>nothing here</html>"),
        Mood::Page(200, "<html>please log in</html>"),
    ];
    for mood in moods {
        door.set(mood.clone());
        // Longer than an unknown id is given.
        until(&format!("{mood:?}"), || door.asked_for(id) >= 5);
    }
    let other = propose_on(&house, 1);
    house.respond(&other, "ben", "endorse", "0.9");
    assert_eq!(
        counted(&house.records("outcomes", Some(&other), 1)[0]),
        ["ben"]
    );
    assert!(house.records_so_far("outcomes", &waiting).is_empty());
    door.set(Mood::Sound);
    let outcome = house.records("outcomes", Some(&waiting), 1).remove(0);
    assert_eq!(counted(&outcome), ["ada"]);
    assert!(house.records_so_far("dead-letters", &waiting).is_empty());
    processor.stop();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("the registry does not answer"), "{log}");
}

#[test]
fn a_partition_that_cannot_be_restored_without_the_registry_lets_the_others_pass() {
    let door = Door::before(&parts().registry);
    let policies = POLICIES.replace("6s", "10 min");
    let house = House::served_by(door.url(), 3, AGENTS, &prompt(&policies));
    let id = later_schema(&parts().registry, "weather");
    // One engine for all, which restores them in order; the first and the second have to wait.
    let processor = house.run_observed("one", HASTY);
    let proposals = [0, 1, 2].map(|partition| propose_among(&house, partition, 3));
    let [waiting, other, sound] = &proposals;
    for proposal in [waiting, other] {
        let value = endorsement(proposal, "ada", id, true);
        append_among(&house, Topic::Responses, proposal, &value, 3);
    }
    house.respond(sound, "ada", "endorse", "0.9");
    until("all of it is read", || passed(&processor) >= 6.0);
    processor.stop();

    door.set(Mood::Deaf);
    let processor = house.run_observed("one", HASTY);
    until("the registry is asked", || door.asked_for(id) >= 2);
    house.respond(sound, "ben", "endorse", "0.9");
    let outcome = house.records("outcomes", Some(sound), 1).remove(0);
    assert_eq!(counted(&outcome), ["ada", "ben"]);
    let (status, why) = processor.get("/readyz");
    assert_eq!(status, 503);
    for partition in [0, 1] {
        let restored = format!("partition {partition} is being restored");
        assert!(why.contains(&restored), "{why}");
    }
    assert!(!why.contains("partition 2"), "{why}");
    for proposal in [waiting, other] {
        house.respond(proposal, "ben", "endorse", "0.9");
    }
    door.set(Mood::Sound);
    for proposal in [waiting, other] {
        let outcome = house.records("outcomes", Some(proposal), 1).remove(0);
        assert_eq!(counted(&outcome), ["ada", "ben"]);
        assert!(house.records_so_far("dead-letters", proposal).is_empty());
    }
    until("it is ready", || processor.get("/readyz").0 == 200);
    processor.stop();
}

#[test]
fn an_id_nobody_knows_is_refused_in_the_end_and_stays_so_for_that_record_alone() {
    let door = Door::before(&parts().registry);
    let policies = POLICIES.replace("6s", "40s");
    let house = House::served_by(door.url(), 2, AGENTS, &policies);
    let id = later_schema(&parts().registry, "late");
    door.set(Mood::Without(id));
    let processor = house.run_configured("one", HASTY);
    let proposal = propose_on(&house, 0);
    endorse(&house, &proposal, "ada", id, true);
    let letter = house.records("dead-letters", Some(&proposal), 1).remove(0);
    assert_eq!(letter["reason"], "unknown_schema");
    // The registry has learned it, and is asked again: what comes from now on counts...
    door.set(Mood::Sound);
    until("it is asked for again", || {
        endorse(&house, &proposal, "desk", id, true);
        door.asked_for(id) > 0
    });
    endorse(&house, &proposal, "ben", id, true);
    append(&house, Topic::Responses, &proposal, b"the end");
    until("all of it is read", || {
        let letters = house.records_so_far("dead-letters", &proposal);
        letters.iter().any(|letter| letter["reason"] == "malformed")
    });
    // ...and what was refused stays refused when it is read again, though it could be read now.
    processor.stop();
    let refused = house.records_so_far("dead-letters", &proposal).len();
    let processor = house.run_configured("one", HASTY);
    let outcome = house.records("outcomes", Some(&proposal), 1).remove(0);
    assert_eq!(counted(&outcome), ["ben"]);
    let letters = house.records_so_far("dead-letters", &proposal).len();
    assert_eq!(letters, refused);
    processor.stop();
}

#[test]
fn a_registry_that_issued_its_ids_anew_is_noticed_and_nothing_is_misread() {
    let (first, second) = (Fresh::start(), Fresh::start());
    let door = Door::before(first.url());
    let house = House::served_by(door.url(), 2, AGENTS, POLICIES);
    let (code, check) = said(&house.call(&["schemas", "check"]));
    assert_eq!(code, 0, "{check}");
    assert!(check.lines().all(|line| line.starts_with("ok ")), "{check}");
    // Another registry comes up without its memory, and takes its schemas in another order.
    let ids = Schemas::load(&house.connection()).unwrap();
    let ids: BTreeMap<_, _> = ids
        .entries()
        .iter()
        .map(|e| (&*e.subject, e.schema_id))
        .collect();
    let forgetful = Registry::new(second.url(), "", None).unwrap();
    let mut anew = BTreeMap::new();
    for kind in Kind::ALL.iter().rev() {
        let subject = kind.subject(&house.prefix);
        let id = wait_for(forgetful.register(&subject, kind.schema())).unwrap();
        anew.insert(subject, id);
    }
    let subject = Response::KIND.subject(&house.prefix);
    let (before, after) = (ids[&*subject], anew[&subject]);
    assert_ne!(before, after);
    door.turn_to(second.url());

    let log = log_of(&house);
    let processor = house.run_logged("one", HASTY, &log);
    let proposal = propose_on(&house, 0);
    endorse(&house, &proposal, "ada", before, false);
    endorse(&house, &proposal, "ben", after, false);
    let letter = house.records("dead-letters", Some(&proposal), 1).remove(0);
    assert_eq!(letter["reason"], "unknown_schema", "{letter}");
    let outcome = house.records("outcomes", Some(&proposal), 1).remove(0);
    assert_eq!(counted(&outcome), ["ada"]);
    until("it is noticed", || {
        let log = std::fs::read_to_string(&log).unwrap();
        log.contains("ERROR") && log.contains("is another schema in the registry than recorded")
    });
    processor.stop();

    let (code, doctor) = said(&house.call(&["doctor"]));
    assert_eq!(code, 1);
    assert!(
        doctor.contains("is another schema in the registry than recorded"),
        "{doctor}"
    );
    let (code, check) = said(&house.call(&["schemas", "check", "--output", "json"]));
    assert_eq!(code, 1);
    let lines = check
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let differ = lines.filter(|line| !line["differences"].as_array().unwrap().is_empty());
    assert!(differ.count() > 1, "{check}");
    let (code, register) = said(&house.call(&["schemas", "register"]));
    assert_eq!(code, 1);
    assert!(
        register.contains("to another schema than `acp.schemas` recorded"),
        "{register}"
    );
    let entries = Schemas::load(&house.connection()).unwrap().entries().len();
    assert_eq!(entries, ids.len());
}

#[test]
fn a_check_without_a_registry_says_so_and_what_the_log_has() {
    let door = Door::before(&parts().registry);
    let house = House::served_by(door.url(), 1, AGENTS, POLICIES);
    door.set(Mood::Page(200, "<html>please log in</html>"));
    let (code, check) = said(&house.call(&["schemas", "check"]));
    assert_eq!(code, 1);
    let (last, others) = check
        .trim_end()
        .rsplit_once('\n')
        .map(|(o, l)| (l, o))
        .unwrap();
    assert!(last.starts_with("why  http://"), "{check}");
    assert!(
        others.lines().all(|line| line.starts_with("ok ")),
        "{check}"
    );
    let bare = House::bare();
    bare.ok(&["topics", "apply", "--partitions", "1"]);
    let (code, check) = said(&bare.call(&["schemas", "check"]));
    assert_eq!(code, 1);
    let unregistered = "not in `acp.schemas`; run `quorate schemas register`";
    assert_eq!(
        check.matches(unregistered).count(),
        Kind::ALL.len(),
        "{check}"
    );
}

/// What a verb says with `--output json`, a value a line.
fn in_json(house: &House, arguments: &[&str], input: &str) -> Vec<Value> {
    let said = house.told(&[arguments, &["--output", "json"]].concat(), input);
    let line = |line| serde_json::from_str(line).unwrap();
    said.lines().map(line).collect()
}

#[test]
fn what_is_written_is_said_to_machines_too() {
    let house = House::bare();
    let topics = in_json(&house, &["topics", "apply", "--partitions", "1"], "");
    assert_eq!(topics.len(), Topic::ALL.len());
    assert!(topics.iter().all(|line| line["change"] == "created"));
    let schemas = in_json(&house, &["schemas", "register"], "");
    assert_eq!(schemas.len(), Kind::ALL.len());
    assert!(schemas.iter().all(|line| line["id"].is_i64()));
    let agents = in_json(&house, &["agents", "apply", "-"], AGENTS);
    assert_eq!(agents[0], json!({"key": "desk", "change": "written"}));
    let policies = in_json(&house, &["policies", "apply", "-"], POLICIES);
    let last = policies.last().unwrap();
    assert_eq!(*last, json!({"key": "pay", "change": "written"}));
    assert!(
        policies[..policies.len() - 1]
            .iter()
            .all(|line| line["severity"].is_string())
    );
    let proposal = r#"{"proposer": "desk", "domain": "pay", "summary": "s", "rationale": "r",
        "action": {"type": "pay", "subject": "it"}}"#;
    let placed = in_json(&house, &["propose", "-", "--probability", "0.9"], proposal);
    assert_eq!(placed[0]["offset"], 0, "{placed:?}");
    let id = placed[0]["id"].as_str().unwrap();
    let response = [
        "respond",
        "--proposal",
        id,
        "--agent",
        "ada",
        "--verdict",
        "abstain",
    ];
    let placed = in_json(
        &house,
        &[&response[..], &["--probability", "0.6"]].concat(),
        "",
    );
    assert!(placed[0]["topic"].as_str().unwrap().ends_with("responses"));
    let digest = "0".repeat(64);
    let decision = [
        "decide",
        "--proposal",
        id,
        "--package",
        &digest,
        "--reviewer",
        "ada",
    ];
    let more = [
        "--verdict",
        "REJECT",
        "--reason-code",
        "no",
        "--rationale",
        "no",
    ];
    let placed = in_json(&house, &[&decision[..], &more].concat(), "");
    assert!(placed[0]["topic"].as_str().unwrap().ends_with("decisions"));
    let result = [
        "report",
        "--proposal",
        id,
        "--reporter",
        "desk",
        "--result",
        "RIGHT",
    ];
    let placed = in_json(
        &house,
        &[&result[..], &["--basis", "OBSERVED"]].concat(),
        "",
    );
    assert!(placed[0]["topic"].as_str().unwrap().ends_with("results"));
}
