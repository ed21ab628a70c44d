//! A verifier that goes on with a log: it keeps up, takes nothing for broken that is only under way,
//! whatever becomes of the processor, and finds what is put in while it looks.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use quorate::clock::{Clock as _, System};
use quorate::history::{Live, OUTPUTS, Origin, Range};
use quorate::transport::{Appended, Entry, Handle, Stored, blackboard, kafka};
use quorate::verify::{Depth, Options, Report, Verdict, verify};
use quorate::wire::{self, partition_of};
use quorate_core::ids::Millis;
use quorate_core::records::{DeadLetter, Outcome, Status};
use quorate_core::topic::Topic;
use serde_json::Value;

use super::SETTINGS;
use super::veil::{Hidden, Veiled, go_on, open, place};
use crate::support::history::History as Making;
use crate::support::load::Random;

use crate::support::place::Place;
use crate::support::{House, Observed, until, until_within};

/// Rounds of the history that is followed.
const ROUNDS: usize = 40;
/// How long a history may take to be verified.
const PATIENCE: Duration = Duration::from_secs(180);

/// The sum of a metric's samples that have a label.
pub(super) fn metric(verifier: &Observed, name: &str, label: &str) -> f64 {
    let (status, text) = verifier.get("/metrics");
    assert_eq!(status, 200);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let of_name = samples.filter(|line| line.starts_with(name) && line.contains(label));
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
    of_name.map(value).sum()
}

/// Whether everything there is, is compared.
pub(super) fn is_through(verifier: &Observed) -> bool {
    let sum = |name| metric(verifier, name, "");
    verifier.get("/readyz").0 == 200
        && sum("quorate_verify_behind_records") == 0.0
        && sum("quorate_verify_under_way_items") == 0.0
}

/// What a verifier that is stopped said at last.
fn summary(said: &str) -> Value {
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

/// The edge of a log.
fn edge(house: &House) -> Box<dyn Handle> {
    match house.place() {
        Place::Kafka(connection) => Box::new(kafka::Edge::open(&connection).unwrap()),
        Place::Blackboard(board) => Box::new(blackboard::Edge::new(board)),
    }
}

/// Every record of a topic that is no table.
pub(super) fn records(edge: &dyn Handle, topic: Topic) -> Vec<Stored> {
    let (reader, mut found) = (edge.reader().unwrap(), Vec::new());
    for partition in 0..edge.partitions().unwrap() {
        let (start, end) = reader.ends(topic, partition).unwrap();
        let each = &mut |stored| {
            found.push(stored);
            Ok(ControlFlow::Continue(()))
        };
        let read = reader.read_to(topic, partition, start, end, each);
        read.unwrap();
    }
    found
}

/// Puts an outcome on the log that says the opposite of one that is there, and is sound in itself.
fn forge(edge: &dyn Handle) -> Appended {
    let one = records(edge, Topic::Outcomes)
        .into_iter()
        .find_map(|stored| {
            let (outcome, _) = edge.codec().decode::<Outcome>(&stored.value?).unwrap();
            (outcome.decision.status == Status::Approved).then_some(outcome)
        });
    let mut outcome = one.unwrap();
    outcome.decision.status = Status::Rejected;
    outcome.decision_digest = wire::digest_of(&outcome.decision).unwrap();
    let key = outcome.proposal_id.to_string();
    let value = edge.codec().encode(&outcome).unwrap();
    let appended = edge.append(&[Entry {
        topic: Topic::Outcomes,
        partition: partition_of(key.as_bytes(), edge.partitions().unwrap()),
        key: Some(key.as_bytes()),
        value: Some(&value),
        headers: &[],
    }]);
    appended.unwrap().remove(0)
}

/// Follows a history while it is made, and its processor is killed and started again.
fn follow(house: &House, history: Making) {
    let mut processor = house.run_with("one", SETTINGS, None);
    // Nothing may be missing for any time once it is committed what it follows from.
    let strict = ["--depth", "3", "--grace", "0", "--output", "json"];
    let verifier = house.verify_on(&strict);
    let verified = |kind| {
        let label = format!("verdict=\"verified\",kind=\"{kind}\"");
        metric(&verifier, "quorate_verify_items_total", &label)
    };
    let broken =
        |verifier: &Observed| metric(verifier, "quorate_verify_items_total", "verdict=\"broken\"");
    processor = std::thread::scope(|scope| {
        let made = scope.spawn(|| history.run(ROUNDS, 20));
        for outcomes in [3.0, 12.0, 24.0] {
            until("rounds are verified", || verified("outcome") >= outcomes);
            processor.kill();
            processor = house.run_with("one", SETTINGS, None);
        }
        made.join().unwrap();
        processor
    });
    let edge = edge(house);
    until_within(PATIENCE, "everything is verified", || {
        is_through(&verifier)
            && verified("outcome") == records(&*edge, Topic::Outcomes).len() as f64
    });
    assert_eq!(broken(&verifier), 0.0, "{}", verifier.said());
    for kind in [
        "round",
        "package",
        "dead_letter",
        "trust_update",
        "trust_score",
        "pins",
    ] {
        assert!(verified(kind) > 0.0, "{kind}");
    }
    assert_eq!(verifier.get("/healthz").0, 200);
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let (_, metrics) = verifier.get("/metrics");
    let samples = metrics.lines().filter(|line| line.starts_with("quorate_"));
    for sample in samples {
        let name = sample.split(['{', ' ']).next().unwrap();
        assert!(docs.contains(&format!("| `{name}` |")), "{name}");
    }
    let (code, said) = verifier.verified();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let told = summary(&said);
    assert_eq!(told["verdict"], "verified", "{told}");
    assert_eq!(told["counts"]["broken"], serde_json::json!({}), "{told}");

    for depth in ["1", "2"] {
        let said = house.call(&["verify", "--follow", "--depth", depth]);
        let why = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(2), "{why}");
        assert!(why.contains("`--follow` verifies at depth 3"), "{why}");
    }

    // Another one goes on with all that, and finds what is forged while it looks.
    let verifier = house.verify_on(&strict);
    until_within(PATIENCE, "everything is verified again", || {
        is_through(&verifier)
    });
    assert_eq!(broken(&verifier), 0.0, "{}", verifier.said());
    let forged = forge(&*edge);
    until("the forged outcome is found", || broken(&verifier) > 0.0);
    let (code, said) = verifier.verified();
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    let found: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(found["verdict"], "broken");
    assert_eq!(found["kind"], "outcome");
    assert_eq!(found["partition"], forged.partition);
    assert_eq!(found["offset"], forged.offset);
    assert_eq!(summary(&said)["counts"]["broken"]["outcome"], 1, "{said}");
    processor.stop();
}

#[test]
fn a_blackboard_is_followed_and_what_is_forged_meanwhile_is_found() {
    let mut random = Random::of_this_run("followed on a blackboard");
    let (house, history) = Making::begin_on_blackboard(2, &mut random);
    follow(&house, history);
}

#[test]
fn topics_are_followed_and_what_is_forged_meanwhile_is_found() {
    let mut random = Random::of_this_run("followed on kafka");
    let (house, history) = Making::begin(2, &mut random);
    follow(&house, history);
}

/// How long processors may take.
const GRACE: Millis = Millis(60_000);

/// How many items of each kind are verified, but for those of depth 2, which are not followed.
fn kinds(report: &Report) -> BTreeMap<&'static str, u64> {
    let all = report.verified.iter();
    let others = all.filter(|(kind, _)| !kind.ends_with("_named"));
    others.map(|(kind, count)| (*kind, *count)).collect()
}

/// Some of it cannot be read for a while: nothing is broken, and all is verified in the end.
fn shown_late(veiled: &Veiled, all: &BTreeMap<&'static str, u64>, hide: impl FnOnce(&Veiled)) {
    let mut follower = open(veiled, Millis(0));
    hide(veiled);
    let (standing, broken) = go_on(&mut follower, 1, 0);
    assert!(broken.is_empty(), "{broken:#?}");
    let behind: i64 = standing.behind.values().sum();
    let under_way = standing.found + standing.expected;
    assert!(behind > 0 || under_way > 0, "{standing:?}");
    if veiled.hidden.lock().unwrap().positions.is_none() {
        let (_, broken) = go_on(&mut follower, 3, 0);
        assert!(broken.is_empty(), "{broken:#?}");
    }
    veiled.hide(Hidden::default());
    let (standing, broken) = go_on(&mut follower, 3, 0);
    assert!(broken.is_empty(), "{broken:#?}");
    let behind: i64 = standing.behind.values().sum();
    assert_eq!((behind, standing.found, standing.expected), (0, 0, 0));
    assert_eq!(kinds(follower.report()), *all);
}

/// A record that is gone is missed once processors had their time, and not before.
fn missed(veiled: &Veiled, gone: &Stored, kind: &str) {
    veiled.hide(Hidden {
        gone: vec![place(gone)],
        ..Hidden::default()
    });
    let mut follower = open(veiled, GRACE);
    let (standing, broken) = go_on(&mut follower, 3, 1_000);
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!((standing.found, standing.expected), (0, 1), "{kind}");
    let (_, broken) = go_on(&mut follower, 1, 1_000 + GRACE.0 - 1);
    assert!(broken.is_empty(), "{broken:#?}");
    let (standing, broken) = go_on(&mut follower, 1, 1_000 + GRACE.0);
    let told: Vec<_> = broken.iter().map(|of| (of.kind, of.offset)).collect();
    assert_eq!(told, [(kind, None)], "{broken:#?}");
    assert_eq!((standing.found, standing.expected), (0, 0));
    let (_, broken) = go_on(&mut follower, 1, 1_000 + 2 * GRACE.0);
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The dead letter of a response is not missed while the response may wait at a processor.
fn waits_at_a_processor(veiled: &Veiled, gone: &Stored, of: &DeadLetter) {
    let hide = |low| {
        let mut positions = veiled.edge.positions().unwrap();
        let responses = positions.get_mut(&gone.partition).unwrap();
        let responses = responses.positions.get_mut(&Topic::Responses).unwrap();
        responses.low = low;
        veiled.hide(Hidden {
            gone: vec![place(gone)],
            positions: Some(positions),
            ..Hidden::default()
        });
    };
    hide(of.offset);
    let mut follower = open(veiled, Millis(0));
    let (standing, broken) = go_on(&mut follower, 3, 0);
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(standing.expected, 1);
    hide(of.offset.next());
    let (_, broken) = go_on(&mut follower, 1, 0);
    assert_eq!(broken.len(), 1, "{broken:#?}");
}

/// The first record of a topic that is like that.
fn first(edge: &dyn Handle, topic: Topic, is_so: impl Fn(&Stored) -> bool) -> Stored {
    let all = records(edge, topic);
    all.into_iter().find(is_so).unwrap()
}

#[test]
fn what_is_under_way_is_not_broken_and_what_is_missing_is_told_in_its_time() {
    let mut random = Random::of_this_run("followed through a veil");
    let (house, history) = Making::begin_on_blackboard(2, &mut random);
    let processor = house.run_with("one", SETTINGS, None);
    let veiled = Veiled {
        edge: edge(&house),
        hidden: Arc::default(),
    };
    let outcomes = || records(&*veiled.edge, Topic::Outcomes).len();
    let earlier = std::thread::scope(|scope| {
        let made = scope.spawn(|| history.run(ROUNDS, 40));
        until("some rounds are decided", || outcomes() >= ROUNDS / 2);
        let earlier = veiled.edge.positions().unwrap();
        made.join().unwrap();
        earlier
    });
    super::rest(&house, processor);
    let origin = Origin {
        prefix: String::new(),
        now: System.now(),
        range: Range::default(),
        topics: Vec::new(),
    };
    let options = Options {
        depth: Depth::Tables,
        grace: Millis(0),
        round: None,
    };
    let mut live = Live::open(&*veiled.edge, origin).unwrap();
    let report = verify(&mut live, &options, &mut |_| {}).unwrap();
    assert_eq!(report.verdict(), Verdict::Verified, "{report:#?}");
    let all = kinds(&report);

    let alone = OUTPUTS.into_iter().chain([Topic::Trust]);
    let mut hidden: Vec<_> = alone.map(|topic| vec![topic]).collect();
    // What was chosen is on several of them.
    hidden.push(vec![Topic::Rounds, Topic::Outcomes, Topic::DeadLetters]);
    for topics in hidden {
        eprintln!("half of {topics:?} is hidden");
        shown_late(&veiled, &all, |veiled| veiled.halve(&topics));
    }
    shown_late(&veiled, &all, |veiled| {
        veiled.hide(Hidden {
            positions: Some(earlier),
            ..Hidden::default()
        });
    });
    let codec = veiled.edge.codec();
    let letter = |stored: &Stored| {
        let letter = codec.decode::<DeadLetter>(stored.value.as_deref().unwrap());
        letter.unwrap().0
    };
    let of_response = |stored: &Stored| letter(stored).topic == Topic::Responses.name();
    let lost = first(&*veiled.edge, Topic::DeadLetters, of_response);
    waits_at_a_processor(&veiled, &lost, &letter(&lost));
    for (topic, kind) in [
        (Topic::Outcomes, "outcome"),
        (Topic::Escalations, "package"),
    ] {
        let one = first(&*veiled.edge, topic, |_| true);
        missed(&veiled, &one, kind);
    }
}
