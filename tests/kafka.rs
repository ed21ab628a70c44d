//! The main job on a real broker and registry, driven as a person would: topics, schemas, agents
//! and policies applied, a processor run, records appended, and what comes of them read back.

use quorate::transport::Stored;
use quorate::transport::kafka::{Appender, Gauge, Reader, Registry};
use quorate::wire::{Codec, Kind, partition_of};
use quorate_core::records::{Response, Verdict};
use quorate_core::topic::Topic;
use rdkafka::producer::Producer as _;
use serde_json::Value;

use crate::observe::{LONG, hanging};
use crate::registry::log_of;
use crate::support::people::{people, prompt_policies};
use crate::support::{House, parts, until};

/// Three experts, a proposer without a vote, a person and a source of results.
const AGENTS: &str = people!(desk ada bob cyd rita ledger);

/// Closes as soon as all three were heard, so that nothing has to wait for a deadline; what lies
/// below `pay.slow` closes by its deadline alone.
const POLICIES: &str = prompt_policies!(
    r#"
[[policy]]
pattern = "pay.slow"
trust_domain = "pay"
deadline_default = "4 s"
proposer_counts = false
"#
);

const EXPERTS: [&str; 3] = ["ada", "bob", "cyd"];

fn propose(house: &House, domain: &str, stakes: &str) -> String {
    house.propose(&[
        "--proposer",
        "desk",
        "--domain",
        domain,
        "--type",
        "payment.release",
        "--subject",
        "payment-7",
        "--confidence",
        "0.9",
        "--stakes",
        stakes,
    ])
}

/// A round that all three endorse; its last outcome so far.
fn endorsed(house: &House, stakes: &str) -> (String, Value) {
    let id = propose(house, "pay", stakes);
    std::thread::scope(|scope| {
        for agent in EXPERTS {
            let id = &id;
            scope.spawn(move || house.respond(id, agent, "endorse", "0.9"));
        }
    });
    let outcome = house.records("outcomes", Some(&id), 1).remove(0);
    (id, outcome)
}

fn ballot<'a>(outcome: &'a Value, agent: &str) -> &'a Value {
    let ballots = outcome["decision"]["ballots"].as_array().unwrap();
    ballots.iter().find(|b| b["agent_id"] == agent).unwrap()
}

#[test]
fn topics_are_made_once_and_never_repartitioned() {
    let house = House::bare();
    let made = house.ok(&["topics", "apply", "--partitions", "2"]);
    assert_eq!(made.lines().count(), Topic::ALL.len(), "{made}");
    assert!(
        made.lines().all(|line| line.ends_with(": created")),
        "{made}"
    );
    let again = house.ok(&["topics", "apply", "--partitions", "2"]);
    assert!(
        again.lines().all(|line| line.ends_with(": unchanged")),
        "{again}"
    );
    let other = house.call(&["topics", "apply", "--partitions", "3"]);
    assert_eq!(other.status.code(), Some(1));
    let complaint = String::from_utf8(other.stderr).unwrap();
    assert!(complaint.contains("has 2 partitions, not 3"), "{complaint}");
}

#[test]
fn only_what_has_changed_is_written_to_a_table() {
    let house = House::with(1, AGENTS, POLICIES);
    let again = house.told(&["agents", "apply", "-"], AGENTS);
    assert!(
        again.lines().all(|line| line.ends_with(": unchanged")),
        "{again}"
    );
    let changed = AGENTS.replace(
        "agent_id = \"bob\"",
        "agent_id = \"bob\"\ndisplay_name = \"B\"",
    );
    let said = house.told(&["agents", "apply", "-"], &changed);
    let written: Vec<_> = said
        .lines()
        .filter(|line| line.ends_with(": written"))
        .collect();
    assert_eq!(written, ["bob: written"]);
}

#[test]
fn a_round_is_approved_and_shows_every_ballot() {
    let house = House::with(3, AGENTS, POLICIES);
    let _processor = house.run();
    let (_, outcome) = endorsed(&house, "LOW");
    assert_eq!(outcome["decision"]["status"], "APPROVED");
    assert_eq!(outcome["final"], true);
    assert_eq!(outcome["coordinates"]["closed_early"], true);
    for agent in EXPERTS {
        assert_eq!(ballot(&outcome, agent)["counted"], true, "{agent}");
    }
}

#[test]
fn a_person_ends_what_was_escalated() {
    let house = House::with(3, AGENTS, POLICIES);
    let _processor = house.run();
    let (id, first) = endorsed(&house, "HIGH");
    assert_eq!(first["decision"]["status"], "ESCALATED");
    assert_eq!(first["final"], false);
    let package = house.records("escalations", Some(&id), 1).remove(0);
    let digest = package["package_digest"].as_str().unwrap();
    let who = ["decide", "--proposal", &id, "--reviewer", "rita"];
    let what = ["--package", digest, "--verdict", "approve"];
    house.ok(&[&who[..], &what[..]].concat());
    let outcomes = house.records("outcomes", Some(&id), 2);
    assert_eq!(outcomes[1]["decision"]["status"], "APPROVED");
    assert_eq!(outcomes[1]["decision"]["resolved_by"], "HUMAN");
    assert_eq!(outcomes[1]["resolution"], 2);
    assert_eq!(outcomes[1]["final"], true);
}

#[test]
fn a_result_moves_the_trust_that_the_next_round_weighs_with() {
    let house = House::with(3, AGENTS, POLICIES);
    let _processor = house.run();
    let before = taught(&house);
    let scores = house.records("trust", None, EXPERTS.len());
    let score = scores
        .iter()
        .find(|score| score["agent_id"] == "ada")
        .unwrap();
    assert_eq!(score["revision"], 1);
    // A round is weighed with the table as it was read when it opened, so it may take some rounds.
    let after = (0..20)
        .map(|_| endorsed(&house, "LOW").1)
        .find(|outcome| ballot(outcome, "ada")["trust_revision"] == 1)
        .expect("trust reaches a later round");
    let (then, now) = (ballot(&before, "ada"), ballot(&after, "ada"));
    assert_eq!(now["trust"], score["trust"]);
    assert!(
        now["weight"].as_f64() < then["weight"].as_f64(),
        "{then} {now}"
    );
}

/// A round that all three endorse, and that turns out wrong; its outcome.
fn taught(house: &House) -> Value {
    let (id, outcome) = endorsed(house, "LOW");
    let who = ["report", "--proposal", &id, "--reporter", "ledger"];
    house.ok(&[&who[..], &["--result", "wrong"]].concat());
    outcome
}

/// The first so many records of `acp.trust`, but those that cannot be read.
fn scores(house: &House, count: &str) -> Vec<Value> {
    let what = ["watch", "--topic", "trust", "--from-beginning"];
    let how = ["--output", "json", "--count", count, "--timeout", "90"];
    let said = house.ok(&[&what[..], &how].concat());
    let lines = said.lines();
    let read = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    read.map(|mut line| line["record"].take()).collect()
}

/// Appends a score as somebody might who may not.
fn misled(house: &House, key: &str, value: &[u8]) {
    let appender = appender(house);
    let key = Some(key.as_bytes());
    appender
        .append(Topic::Trust, 0, key, Some(value), &[])
        .unwrap();
    appender.settle().unwrap();
}

#[test]
fn results_are_folded_into_the_scores_that_rounds_are_weighed_by() {
    let house = House::with(1, AGENTS, POLICIES);
    let one = house.run_alone();
    taught(&house);
    scores(&house, "3");
    taught(&house);
    scores(&house, "6");
    one.stop();
    // Nobody's score, either: the one under another's key, the other is no record.
    let mut first = None;
    let reader = Reader::open(&house.connection()).unwrap();
    let each = |stored: Stored| {
        let of_ada = stored.key.as_deref() == Some(&b"pay:ada"[..]);
        if of_ada && first.is_none() {
            first = stored.value;
        }
        Ok(())
    };
    reader.read_to(Topic::Trust, 0, 0, 6, each).unwrap();
    misled(&house, "pay:zoe", &first.unwrap());
    misled(&house, "pay:bob", b"nonsense");
    let _one = house.run_alone();
    taught(&house);
    let scores = scores(&house, "11");
    for agent in EXPERTS {
        let mut of_agent = scores.iter().filter(|score| score["agent_id"] == agent);
        assert_eq!(of_agent.next_back().unwrap()["revision"], 3, "{agent}");
    }
}

#[test]
fn a_score_of_an_unknown_schema_halts_the_partition_that_folds_into_it() {
    let house = House::with(3, AGENTS, POLICIES);
    misled(&house, "pay:ada", &framed(1_900_000_001, b"whatever"));
    let log = log_of(&house);
    let one = house.run_logged("one", "", &log);
    let said = |what: &str| {
        let text = std::fs::read_to_string(&log).unwrap();
        text.lines().filter(|line| line.contains(what)).count()
    };
    until("the others go on", || said("restored partition=") >= 2);
    until("it is halted", || said("partition halted") >= 1);
    let owner = partition_of(b"pay", 3);
    assert_eq!(said(&format!("restored partition={owner}")), 0);
    one.stop();
}

#[test]
fn a_value_that_is_no_record_becomes_a_dead_letter_and_the_next_is_taken() {
    let house = House::with(1, AGENTS, POLICIES);
    let _processor = house.run();
    let appender = appender(&house);
    let nonsense = Some(&b"nonsense"[..]);
    appender
        .append(Topic::Proposals, 0, Some(b"k"), nonsense, &[])
        .unwrap();
    appender.settle().unwrap();
    let letter = house.records("dead-letters", None, 1).remove(0);
    assert_eq!(letter["reason"], "malformed");
    assert_eq!(letter["topic"], "proposals");
    assert_eq!(letter["offset"], 0);
    assert_eq!(letter["value"], "6e6f6e73656e7365");
    let (_, outcome) = endorsed(&house, "LOW");
    assert_eq!(outcome["decision"]["status"], "APPROVED");
}

#[test]
fn a_silent_partition_is_ticked_until_its_round_closes() {
    let house = House::with(1, AGENTS, POLICIES);
    let _processor = house.run();
    let id = propose(&house, "pay.slow", "LOW");
    let outcome = house.records("outcomes", Some(&id), 1).remove(0);
    assert_eq!(
        outcome["decision"]["reasons"],
        serde_json::json!(["QUORUM_NOT_MET"])
    );
    assert_eq!(outcome["coordinates"]["closed_early"], false);
    let time = |field: &str| outcome["coordinates"][field].as_i64().unwrap();
    assert!(time("closing_time") > time("deadline"));
}

/// Appends as an agent would that knows the topics alone.
fn appender(house: &House) -> Appender {
    Appender::open(&house.connection()).unwrap()
}

/// A response's bytes after the framing header, as every schema of it begins.
fn response(proposal: &str, agent: &str) -> Vec<u8> {
    let response = Response {
        response_id: "r".into(),
        proposal_id: proposal.into(),
        proposal_digest: None,
        agent_id: agent.into(),
        verdict: Verdict::Endorse,
        confidence: 0.9,
        reasoning: "seen".into(),
        evidence: Vec::new(),
    };
    let framed = Codec::confluent([(Kind::Response, 1)]).encode(&response);
    framed.unwrap().split_off(5)
}

fn framed(id: i32, datum: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], datum].concat()
}

/// The id a registry gives a schema, or gave it before.
fn registered(house: &House, kind: Kind, schema: &str) -> i32 {
    let registry = Registry::new(&parts().registry, "", None).unwrap();
    let subject = kind.subject(&house.prefix);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let registering = registry.register(&subject, schema);
    runtime.unwrap().block_on(registering).unwrap()
}

#[test]
fn a_response_of_a_newer_schema_is_read_once_the_registry_has_said_what_it_is() {
    let house = House::with(1, AGENTS, POLICIES);
    let _processor = house.run();
    let id = propose(&house, "pay", "LOW");
    house.respond(&id, "ada", "endorse", "0.9");
    let mut schema: Value = serde_json::from_str(Kind::Response.schema()).unwrap();
    let field = serde_json::json!({"name": "mood", "type": "string", "default": ""});
    schema["fields"].as_array_mut().unwrap().push(field);
    let newer = registered(&house, Kind::Response, &schema.to_string());
    let datum = [response(&id, "bob"), vec![2, b'x']].concat();
    let value = framed(newer, &datum);
    let appender = appender(&house);
    let key = Some(id.as_bytes());
    appender
        .append(Topic::Responses, 0, key, Some(&value), &[])
        .unwrap();
    appender.settle().unwrap();
    house.respond(&id, "cyd", "endorse", "0.9");
    let outcome = house.records("outcomes", Some(&id), 1).remove(0);
    assert_eq!(ballot(&outcome, "bob")["counted"], true);
}

/// The schema of decisions stands for one that the registry has and no response can be read by; for
/// one that it does not have this processor would wait longer than the test.
#[test]
fn a_response_that_names_another_records_schema_is_refused_without_waiting() {
    let house = House::with(1, AGENTS, POLICIES);
    let _processor = house.run_configured("one", "[run]\nschema_wait_ms = 600000\n");
    let id = propose(&house, "pay", "LOW");
    let value = framed(
        registered(&house, Kind::Decision, Kind::Decision.schema()),
        &response(&id, "bob"),
    );
    let appender = appender(&house);
    let key = Some(id.as_bytes());
    appender
        .append(Topic::Responses, 0, key, Some(&value), &[])
        .unwrap();
    appender.settle().unwrap();
    let letter = house.records("dead-letters", Some(&id), 1).remove(0);
    assert_eq!(letter["reason"], "unknown_schema");
}

#[test]
fn a_response_on_the_wrong_partition_is_forwarded_and_counted() {
    let house = House::with(3, AGENTS, POLICIES);
    let _processor = house.run();
    let id = propose(&house, "pay", "LOW");
    house.respond(&id, "ada", "endorse", "0.9");
    house.respond(&id, "bob", "endorse", "0.9");
    let value = framed(
        registered(&house, Kind::Response, Kind::Response.schema()),
        &response(&id, "cyd"),
    );
    let right = partition_of(id.as_bytes(), 3);
    let appender = appender(&house);
    let (wrong, key) = ((right + 1) % 3, Some(id.as_bytes()));
    appender
        .append(Topic::Responses, wrong, key, Some(&value), &[])
        .unwrap();
    appender.settle().unwrap();
    let outcome = house.records("outcomes", Some(&id), 1).remove(0);
    assert_eq!(outcome["coordinates"]["partition"], right);
    assert_eq!(ballot(&outcome, "cyd")["counted"], true);
}

#[test]
fn partitions_move_to_a_second_processor_and_back() {
    let house = House::with(3, AGENTS, POLICIES);
    let one = house.run_as("one");
    let mut rounds = vec![endorsed(&house, "LOW").0];
    let open = propose(&house, "pay", "LOW");
    house.respond(&open, "ada", "endorse", "0.9");
    let two = house.run_as("two");
    rounds.extend((0..3).map(|_| endorsed(&house, "LOW").0));
    one.stop();
    rounds.extend((0..3).map(|_| endorsed(&house, "LOW").0));
    let one = house.run_as("one");
    two.kill();
    house.respond(&open, "bob", "endorse", "0.9");
    house.respond(&open, "cyd", "endorse", "0.9");
    house.records("outcomes", Some(&open), 1);
    rounds.push(open);
    one.stop();
    for id in &rounds {
        assert_eq!(house.records_so_far("outcomes", id).len(), 1, "{id}");
        assert_eq!(house.records_so_far("dead-letters", id).len(), 0, "{id}");
    }
}

/// Goes through a round with a processor that ends in the middle; there is one outcome, of all
/// three ballots.
fn interrupted(end: impl Fn(crate::support::Processor)) {
    let house = House::with(1, AGENTS, POLICIES);
    let processor = house.run();
    // What is answered for has been committed: the first round's outcome, then some of the second.
    endorsed(&house, "LOW");
    let id = propose(&house, "pay", "LOW");
    house.respond(&id, "ada", "endorse", "0.9");
    house.respond(&id, "bob", "endorse", "0.9");
    end(processor);
    house.respond(&id, "cyd", "challenge", "0.2");
    let _processor = house.run();
    let outcome = house.records("outcomes", Some(&id), 1).remove(0);
    for agent in EXPERTS {
        assert_eq!(ballot(&outcome, agent)["counted"], true, "{agent}");
    }
    // A later round of the same partition is out, so a second outcome of this one would be too.
    endorsed(&house, "LOW");
    assert_eq!(house.records_so_far("outcomes", &id), [outcome]);
    assert_eq!(house.records_so_far("dead-letters", &id), [] as [Value; 0]);
}

#[test]
fn a_processor_that_is_stopped_goes_on_with_an_open_round() {
    interrupted(crate::support::Processor::stop);
}

#[test]
fn a_processor_that_is_killed_gives_one_outcome() {
    interrupted(crate::support::Processor::kill);
}

#[test]
fn rounds_behind_a_transaction_that_is_open_are_waited_for() {
    let house = House::with(1, AGENTS, POLICIES);
    let ends = || {
        let gauge = Gauge::open(&house.connection()).unwrap();
        gauge.ends(Topic::Rounds, 0).unwrap()
    };
    // A second engine would come when it likes, and restart this one behind the open transaction.
    let one = house.run_alone();
    endorsed(&house, "low");
    // One thought dead, that has written and neither ends its transaction nor goes on with it.
    let open = hanging(&house, Topic::Rounds);
    let before = ends().high;
    let id = propose(&house, "pay", "low");
    house.respond(&id, "ada", "endorse", "0.9");
    until("the round is committed behind it", || {
        ends().high >= before + 2
    });
    one.stop();
    let one = house.run_alone();
    for agent in ["bob", "cyd"] {
        house.respond(&id, agent, "endorse", "0.9");
    }
    assert!(ends().is_held());
    open.abort_transaction(LONG).unwrap();
    let outcome = house.records("outcomes", Some(&id), 1).remove(0);
    assert_eq!(outcome["decision"]["status"], "APPROVED");
    one.stop();
}
