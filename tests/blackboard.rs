//! The log in a file, by the verbs and by plain SQL: the same records come of the same words.

pub(crate) mod confined;
mod doctor;
mod foreign;
mod unwritable;

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate::clock::{Clock as _, System};
use quorate::wire::{Codec, Record};
use quorate_core::ids::{Digest, Offset};
use quorate_core::records::{Outcome, ResultKind, Round, TrustScore};
use quorate_core::topic::Topic;
use serde::Serialize;

use crate::support::load::{self, Random};
use crate::support::oracle::Log;
use crate::support::place::Pen;
use crate::support::{House, records, until};

const AGENTS: &str = r#"
[[agent]]
agent_id = "desk"

[[agent]]
agent_id = "expert"
domains = [{ domain = "pay", authority = 1.0, prior = { right = 57, wrong = 3, source = "test" } }]

[[agent]]
agent_id = "rita"
kind = "HUMAN"
reviews = [{ domain = "pay", up_to_stakes = "CRITICAL" }]

[[agent]]
agent_id = "ledger"
kind = "REPORTER"
"#;

const POLICIES: &str = r#"
[[policy]]
pattern = "pay"
deadline_default = "2 s"
deadline_min = "1 s"
"#;

fn proposed(house: &House, stakes: &str) -> String {
    house.propose(&[
        "--proposer",
        "desk",
        "--domain",
        "pay.out",
        "--type",
        "payment.block",
        "--subject",
        "payment-1",
        "--confidence",
        "0.9",
        "--stakes",
        stakes,
    ])
}

#[test]
fn a_round_goes_all_its_way_by_the_verbs_without_a_broker() {
    let house = House::on_blackboard(2, AGENTS, POLICIES);
    let processor = house.run();
    let round = proposed(&house, "CRITICAL");
    house.respond(&round, "expert", "endorse", "0.9");
    house.respond(&round, "stranger", "endorse", "0.9");
    let first = house.records("outcomes", Some(&round), 1).remove(0);
    assert_eq!(first["decision"]["status"], "ESCALATED");
    assert_eq!(first["decision"]["reasons"][0], "HIGH_STAKES");
    let package = house.records("escalations", Some(&round), 1).remove(0);
    let digest = package["package_digest"].as_str().unwrap();
    for name in ["rita", "nobody"] {
        let arguments = ["decide", "--proposal", &round, "--package", digest];
        house.ok(&[
            &arguments[..],
            &["--reviewer", name, "--verdict", "approve"],
        ]
        .concat());
    }
    house.ok(&[
        "suspend",
        "agent",
        "expert",
        "--operator",
        "op",
        "--reason",
        "test",
    ]);
    house.ok(&["resume", "agent", "expert"]);
    let letters = || house.ok(&["dead-letters", "list"]);
    until("a refused decision", || {
        letters().contains("reviewer_not_allowed")
    });
    let told = house.ok(&["explain", &round]);
    assert!(told.contains("ESCALATED"), "{told}");
    let shown = house.ok(&["show", &round]);
    assert!(
        shown.contains("stranger") && shown.contains("rita"),
        "{shown}"
    );
    assert!(letters().contains("agent_not_listed"));
    processor.stop();
}

#[test]
fn what_is_about_brokers_says_so() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    for (verb, why) in [
        (&["schemas", "check"][..], "this is about Kafka"),
        (&["offsets", "save", "-"], "by a copy of the file"),
    ] {
        let answer = house.call(verb);
        let complaint = String::from_utf8(answer.stderr).unwrap();
        assert!(
            !answer.status.success() && complaint.contains(why),
            "{verb:?}: {complaint}"
        );
    }
    let answer = house.ok(&["topics", "plan", "--partitions", "1"]);
    assert!(answer.contains("ok, 1 partitions"), "{answer}");
    let answer = house.call(&["topics", "apply", "--partitions", "2"]);
    assert!(!answer.status.success());
}

#[test]
fn what_is_written_wrongly_is_not_taken_for_something_else() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    let folder = tempfile::TempDir::new().unwrap();
    let id = uuid::Uuid::now_v7().to_string();
    let refused = |verb: &str, json: &str, flags: &[&str], why: &str| {
        let file = folder.path().join("said.json");
        std::fs::write(&file, json.replace("ROUND", &id)).unwrap();
        let answer = house.call(&[&[verb, file.to_str().unwrap()], flags].concat());
        let complaint = String::from_utf8(answer.stderr).unwrap();
        assert!(!answer.status.success(), "{verb} {json} {flags:?}");
        assert!(
            complaint.contains(why),
            "{verb} {json} {flags:?}: {complaint}"
        );
    };
    let verdicts = "`verdict` is one of ENDORSE, CHALLENGE, ABSTAIN, not";
    let response = r#"{"proposal_id": "ROUND", "agent_id": "expert", "confidence": 0.9}"#;
    refused("respond", response, &["--verdict", "endorsed"], verdicts);
    let written = response.replace('}', r#", "verdict": "endorse"}"#);
    refused("respond", &written, &[], verdicts);
    let twice = response.replace('}', r#", "verdict": "CHALLENGE", "verdict": "ENDORSE"}"#);
    refused("respond", &twice, &[], "key `verdict` is given twice");
    let proposal = r#"{"proposer": "desk", "domain": "pay.out", "confidence": 0.9,
        "action": {"type": "payment.block", "subject": "payment-1"}}"#;
    let stakes = "`stakes` is one of LOW, MEDIUM, HIGH, CRITICAL, not";
    refused("propose", proposal, &["--stakes", "none"], stakes);
    let decision = format!(
        r#"{{"proposal_id": "ROUND", "reviewer": "rita", "verdict": "approve",
            "package_digest": "{}"}}"#,
        "00".repeat(32)
    );
    let verdicts = "`verdict` is one of APPROVE, REJECT, SEND_BACK, not";
    refused("decide", &decision, &[], verdicts);
    let result = r#"{"proposal_id": "ROUND", "reporter": "ledger", "result": "right"}"#;
    let results = "`result` is one of RIGHT, WRONG, UNKNOWN, not";
    refused("report", result, &[], results);
    for topic in [
        Topic::Proposals,
        Topic::Responses,
        Topic::Decisions,
        Topic::Results,
    ] {
        assert_eq!(house.count(topic, 1), 0, "{topic}");
    }
}

/// One log of two that are told the same.
struct Side {
    house: House,
    codec: Arc<Codec>,
    pen: Pen,
    log: Log,
}

impl Side {
    fn new(house: House) -> Self {
        let place = house.place();
        Self {
            codec: place.codec(),
            pen: place.pen(),
            log: Log::at(place, 1),
            house,
        }
    }

    fn tell<T: Record + Serialize>(&mut self, topic: Topic, key: &str, record: &T) {
        let value = self.codec.encode(record).unwrap();
        self.pen
            .append(topic, 0, Some(key.as_bytes()), Some(&value), &[]);
    }

    fn all<T: Record + serde::de::DeserializeOwned>(&self, topic: Topic) -> Vec<T> {
        let stored = self.log.read(topic, 0);
        let with_value = stored.iter().filter(|stored| stored.value.is_some());
        with_value.map(|stored| self.log.decode(stored)).collect()
    }

    /// What each round came to first.
    fn decided(&self) -> BTreeMap<String, Digest> {
        let outcomes: Vec<Outcome> = self.all(Topic::Outcomes);
        let first = outcomes.iter().filter(|outcome| outcome.resolution == 1);
        first
            .map(|outcome| (outcome.proposal_id.to_string(), outcome.decision_digest))
            .collect()
    }

    /// Every trust there was of every agent, in order.
    fn trust(&self) -> Vec<(String, u64)> {
        let scores: Vec<TrustScore> = self.all(Topic::Trust);
        let of = |score: &TrustScore| (score.agent_id.to_string(), score.trust.get());
        scores.iter().map(of).collect()
    }

    /// Whether a round was opened by as much of the trust as there is.
    fn knows_its_trust(&self, id: &str) -> Option<bool> {
        let last = self
            .log
            .read(Topic::Trust, 0)
            .last()
            .map(|last| last.offset);
        let rounds: Vec<Round> = self.all(Topic::Rounds);
        let round = rounds
            .iter()
            .find(|one| one.proposal_id.to_string() == id)?;
        Some(last.is_none_or(|last| round.opening.pins.trust >= Offset(last)))
    }
}

/// A phase: rounds that are proposed, answered, and come to their ends on both logs.
fn play_rounds(sides: &mut [Side; 2], random: &mut Random, count: usize) -> Vec<String> {
    let before = sides[0].decided().len();
    let mut ids = Vec::new();
    for _ in 0..count {
        let now = System.now();
        let id = random.id(now);
        let proposal = records::proposal(&id, "pay.out", now.0 + 10_000);
        let lean = random.within(10..95);
        for side in &mut *sides {
            side.tell(Topic::Proposals, &id, &proposal);
            side.pen.settle().unwrap();
        }
        for number in 0..load::AGENTS {
            let agent = format!("a{number}");
            let answer = records::answer(random, &id, &agent, lean);
            for side in &mut *sides {
                side.tell(Topic::Responses, &id, &answer);
            }
        }
        for side in &mut *sides {
            side.pen.settle().unwrap();
        }
        ids.push(id);
    }
    for side in &*sides {
        until("the outcomes of a phase", || {
            side.decided().len() == before + count
        });
    }
    ids
}

#[test]
fn the_same_history_comes_to_the_same_decisions_on_kafka_and_on_a_blackboard() {
    let mut random = Random::of_this_run("the same history twice");
    let mut sides = [
        Side::new(House::with(1, &load::agents(), load::POLICIES)),
        Side::new(House::on_blackboard(1, &load::agents(), load::POLICIES)),
    ];
    let processors = sides.each_ref().map(|side| side.house.run());
    let ids = play_rounds(&mut sides, &mut random, 12);
    // What is escalated waits for a person before a result is folded.
    let outcomes: Vec<Outcome> = sides[0].all(Topic::Outcomes);
    let ended = outcomes.iter().filter(|outcome| outcome.r#final);
    let ended = ended.map(|outcome| outcome.proposal_id.to_string());
    for (at, id) in ended.filter(|id| ids.contains(id)).take(6).enumerate() {
        let result = [ResultKind::Right, ResultKind::Wrong][at % 2];
        let report = records::report(&id, &format!("s{at}"), "ledger", result);
        let before = sides[0].trust().len();
        for side in &mut sides {
            side.tell(Topic::Results, &id, &report);
            side.pen.settle().unwrap();
        }
        // One after the other, so that they are folded in the same order.
        until("a result to be folded", || {
            let [one, other] = sides.each_ref().map(|side| side.trust().len());
            one > before && one == other
        });
    }
    // Until a round is opened by the trust that came of it.
    loop {
        let probe = play_rounds(&mut sides, &mut random, 1).remove(0);
        if sides
            .iter()
            .all(|side| side.knows_its_trust(&probe) == Some(true))
        {
            break;
        }
    }
    play_rounds(&mut sides, &mut random, 12);
    let [kafka, blackboard] = &sides;
    assert!(kafka.trust().len() > 20);
    assert_eq!(kafka.trust(), blackboard.trust());
    assert_eq!(kafka.decided(), blackboard.decided());
    for processor in processors {
        processor.stop();
    }
}
