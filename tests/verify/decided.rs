//! What people decided of rounds that are replayed: they say it to the package they would have seen.

use quorate::history::{Live, Origin, Range};
use quorate::replay::{HalfLife, Moved, Replayed, Rules, replay};
use quorate::transport::Handle as _;
use quorate::wire::files;
use quorate_core::ids::{Digest, Timestamp};
use quorate_core::records::{DeadLetter, DecisionPackage, DecisionVerdict, ResultKind, Verdict};
use quorate_core::topic::Topic;

use super::follow::records as lying;
use super::rehearsed::Rehearsed;
use crate::support::people::people;
use crate::support::records;

const AGENTS: &str = people!(desk ada bob rita ledger);
const POLICIES: &str = "[[policy]]\npattern = \"pay\"\n";
/// Everything is put before people.
const SHADOW: &str = "[[policy]]\npattern = \"pay\"\nmode = \"shadow\"\n";

/// What a replay comes to without a topic, by other policies or those there were.
fn replayed(log: &Rehearsed, without: Option<Topic>, policies: Option<&str>) -> Replayed {
    let topics = Topic::ALL.iter().copied();
    let origin = Origin {
        prefix: String::new(),
        now: Timestamp(log.now),
        range: Range::default(),
        topics: topics.filter(|topic| Some(*topic) != without).collect(),
    };
    let rules = Rules {
        policies: policies.map(|text| files::policies(text).unwrap()),
        agents: None,
        half_life: HalfLife::AsTheySay,
        replay_trust: false,
    };
    let mut live = Live::open(&*log.edge(), origin).unwrap();
    replay(&mut live, &rules, None, &mut |_| {}).unwrap()
}

/// Plays a round that `ada` endorses and `bob` speaks on, which has closed thereafter; its id.
fn round(log: &mut Rehearsed, bob: Verdict, settle: &mut dyn FnMut()) -> String {
    let id = log.propose("desk", 1_000);
    for (agent, verdict) in [("ada", Verdict::Endorse), ("bob", bob)] {
        let response = records::response(&id, agent, verdict, 0.9);
        log.append(Topic::Responses, &id, &response);
    }
    settle();
    log.wait(2_000);
    settle();
    id
}

/// The package that was shown last.
fn shown(log: &Rehearsed) -> Digest {
    let packages = lying(&log.edge, Topic::Escalations);
    let last = packages.last().unwrap().value.as_deref().unwrap();
    let (package, _) = log.edge.codec().decode::<DecisionPackage>(last).unwrap();
    package.package_digest
}

/// Has `rita` approve a package of a round, and `ledger` say that it was right to.
fn approve(log: &mut Rehearsed, id: &str, package: Digest, settle: &mut dyn FnMut()) {
    let decision = records::decision(id, "rita", package, DecisionVerdict::Approve);
    log.append(Topic::Decisions, id, &decision);
    log.wait(10);
    settle();
    let report = records::report(id, &format!("result-{id}"), "ledger", ResultKind::Right);
    log.append(Topic::Results, id, &report);
    // What waits for a topic to pass is passed by a tick.
    for _ in 0..3 {
        log.wait(2_000);
        settle();
    }
}

fn refusals(log: &Rehearsed) -> Vec<String> {
    let letters = lying(&log.edge, Topic::DeadLetters).into_iter();
    let reason = |value: Vec<u8>| {
        let (letter, _) = log.edge.codec().decode::<DeadLetter>(&value).unwrap();
        letter.reason
    };
    letters
        .filter_map(|stored| stored.value.map(reason))
        .collect()
}

fn now(told: &Replayed) -> Vec<Option<f64>> {
    told.trust
        .iter()
        .map(|moved: &Moved| moved.replayed)
        .collect()
}

fn recorded(told: &Replayed) -> Vec<Option<f64>> {
    told.trust
        .iter()
        .map(|moved: &Moved| moved.recorded)
        .collect()
}

#[test]
fn who_decides_says_the_same_to_the_package_there_would_be() {
    let mut log = Rehearsed::begin(1, AGENTS, POLICIES);
    let mut first = Vec::new();
    log.play(|log, settle| {
        let split = round(log, Verdict::Challenge, settle);
        approve(log, &split, shown(log), settle);
        let told = replayed(log, None, None);
        first = now(&told);
        assert_eq!(first, recorded(&told), "what was decided is taught");
        assert_eq!(first.len(), 2, "both have learnt: {told:?}");
        // Escalated or not, it shows another package under other rules, and is decided all the same.
        let told = replayed(log, None, Some(SHADOW));
        assert_eq!(now(&told), first, "it was decided, whatever is shown");
        // What was shown is not on record.
        for policies in [None, Some(SHADOW)] {
            let told = replayed(log, Some(Topic::Escalations), policies);
            assert_eq!(now(&told), first, "by {policies:?}");
        }

        // Nobody was asked about the next one, and what somebody says of it all the same is nothing
        // that could be said to a package there would be.
        let agreed = round(log, Verdict::Endorse, settle);
        approve(log, &agreed, Digest([7; 32]), settle);
        assert_eq!(refusals(log), ["already_decided"]);
        let told = replayed(log, None, None);
        assert_eq!(now(&told), recorded(&told));
        assert_ne!(now(&told), first, "it is taught");
        assert_eq!(now(&replayed(log, None, Some(SHADOW))), first);
    });
}

#[test]
fn what_was_said_of_another_package_is_said_of_none() {
    let mut log = Rehearsed::begin(1, AGENTS, POLICIES);
    log.play(|log, settle| {
        let split = round(log, Verdict::Challenge, settle);
        approve(log, &split, Digest([7; 32]), settle);
        assert_eq!(refusals(log), ["package_mismatch"]);
        for policies in [None, Some(SHADOW)] {
            let told = replayed(log, None, policies);
            assert_eq!(now(&told), [], "by {policies:?}");
            assert_eq!(told.replayed.escalated, 1);
        }
    });
}
