//! What was chosen is known before it is needed, wherever it is recorded: nothing is stepped before
//! rounds, outcomes and dead letters are read that far.

use std::sync::Arc;

use quorate::history::{Live, Origin, Range};
use quorate::replay::{HalfLife, Replayed, Rules, replay};
use quorate::transport::{Handle as _, Stored};
use quorate::wire::Record;
use quorate_core::ids::{Millis, Timestamp};
use quorate_core::records::{DeadLetter, Outcome, Round};
use quorate_core::topic::Topic;
use serde::de::DeserializeOwned;

use super::follow::records;
use super::rehearsed::Rehearsed;
use super::veil::{Hidden, Veiled, go_on, open, place};
use crate::support::people::people;

const AGENTS: &str = people!(desk ada);
/// The same domain under one policy after the other.
const POLICIES: [&str; 3] = [
    "[[policy]]\npattern = \"pay\"\n",
    "[[policy]]\npattern = \"pay\"\nmode = \"shadow\"\n",
    "[[policy]]\npattern = \"pay\"\nmin_responders = 2\n",
];
const HOUR: i64 = 3_600_000;

/// Where something lies, and of which round it is.
struct Found<T> {
    stored: Stored,
    record: T,
}

/// The records of a topic of the one partition there is.
fn all<T: Record + DeserializeOwned>(log: &Rehearsed, topic: Topic) -> Vec<Found<T>> {
    let records = records(&log.edge, topic).into_iter();
    let read = |stored: Stored| {
        let (record, _) = log.edge.codec().decode(stored.value.as_deref()?).unwrap();
        Some(Found { stored, record })
    };
    records.filter_map(read).collect()
}

/// Follows a log while something is hidden, and then is not: nothing is ever broken, and all is
/// stepped in the end.
fn is_waited_for(log: &Rehearsed, from: &Stored, gone: Vec<(Topic, i32, i64)>) {
    let veiled = Veiled {
        edge: log.edge(),
        hidden: Arc::default(),
    };
    let is_all_there = gone.is_empty();
    veiled.hide(Hidden {
        ends: [((from.topic, from.partition), from.offset)].into(),
        gone: gone.clone(),
        ..Hidden::default()
    });
    // What is gone is missed in its time, which does not come here.
    let mut follower = open(&veiled, Millis(if is_all_there { 0 } else { HOUR }));
    let (standing, broken) = go_on(&mut follower, 3, 0);
    assert!(broken.is_empty(), "{broken:#?}");
    let held = standing.behind[&Topic::Proposals];
    veiled.hide(Hidden {
        gone,
        ..Hidden::default()
    });
    let (standing, broken) = go_on(&mut follower, 3, 0);
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(standing.behind[&Topic::Proposals], 0, "{standing:?}");
    assert!(held > 0, "it is stepped before what was chosen is read");
    assert_eq!(standing.found, 0);
    assert_eq!(standing.expected > 0, !is_all_there);
}

#[test]
fn nothing_is_stepped_before_it_is_read_what_was_chosen() {
    let mut log = Rehearsed::begin(1, AGENTS, POLICIES[0]);
    log.play(|log, settle| {
        log.propose("desk", 1_000);
        settle();
        log.wait(2_000);
        settle();
        // Another policy than that of the round before.
        log.rule(POLICIES[1]);
        log.propose("desk", 1_000);
        settle();
        log.wait(2_000);
        settle();
        // Refused, and opened by the agents as of the round before.
        log.list("[[agent]]\nagent_id = \"ada\"\nstatus = \"RETIRED\"\n");
        log.propose("ada", 1_000);
        settle();
        // Not decided yet.
        log.rule(POLICIES[2]);
        log.propose("desk", HOUR);
        settle();
    });
    let rounds = all::<Round>(&log, Topic::Rounds);
    let outcomes = all::<Outcome>(&log, Topic::Outcomes);
    let letters = all::<DeadLetter>(&log, Topic::DeadLetters);
    let second = outcomes.last().unwrap();
    assert_eq!((outcomes.len(), letters.len()), (2, 1));
    assert_eq!(letters[0].record.reason, "agent_not_active");

    // Of a round that is open, what was chosen is among the rounds alone.
    is_waited_for(&log, &rounds.last().unwrap().stored, Vec::new());
    // Of one whose records are gone, since later ones replaced them, among the outcomes.
    let id = second.record.proposal_id;
    let of_second = rounds.iter().filter(|one| one.record.proposal_id == id);
    let gone = of_second.map(|one| place(&one.stored)).collect();
    is_waited_for(&log, &second.stored, gone);
    // Of a proposal that was refused, among the dead letters.
    is_waited_for(&log, &letters[0].stored, Vec::new());
}

/// What a replay comes to by the rules as they were, if a topic is not there.
fn without(log: &Rehearsed, topic: Topic) -> Replayed {
    let origin = Origin {
        prefix: String::new(),
        now: Timestamp(log.now),
        range: Range::default(),
        topics: Topic::ALL
            .iter()
            .copied()
            .filter(|one| *one != topic)
            .collect(),
    };
    let rules = Rules {
        policies: None,
        agents: None,
        half_life: HalfLife::AsTheySay,
        replay_trust: false,
    };
    let mut live = Live::open(&*log.edge(), origin).unwrap();
    replay(&mut live, &rules, None, &mut |_| {}).unwrap()
}

#[test]
fn a_replay_knows_what_was_chosen_by_rounds_or_by_outcomes() {
    let mut log = Rehearsed::begin(1, AGENTS, POLICIES[0]);
    log.play(|log, settle| {
        for policy in POLICIES {
            log.rule(policy);
            log.propose("desk", 1_000);
            settle();
            log.wait(2_000);
            settle();
        }
    });
    // Rounds that closed long ago are gone, and outcomes say by what they were opened, too.
    for missing in [Topic::Claims, Topic::Rounds] {
        let told = without(&log, missing);
        assert_eq!(told.flips, [], "without {missing}");
        let of = [told.recorded.escalated, told.replayed.escalated];
        assert_eq!(of, [3, 3], "without {missing}");
    }
    // Where rounds alone tell, nothing was recorded that could be compared.
    let told = without(&log, Topic::Outcomes);
    assert_eq!((told.recorded.escalated, told.replayed.escalated), (0, 3));
}
