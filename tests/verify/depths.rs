//! Each check finds what it is for, at the depth it belongs to and by itself: what is changed is
//! sound in every other respect that depth looks at.

use quorate::transport::Stored;
use quorate::verify::{Depth, Finding};
use quorate::wire::{self, Codec, Record};
use quorate_core::ids::{Offset, Timestamp};
use quorate_core::millionths::Millionths;
use quorate_core::records::{
    Ballot, DeadLetter, DecisionPackage, Outcome, Policy, Round, RoundState, TrustUpdate, Verdict,
};
use quorate_core::topic::Topic;
use serde::de::DeserializeOwned;

use super::Held;

/// A history, and what reads its records.
struct Sound<'a> {
    history: &'a Held,
    codec: Codec,
}

impl Sound<'_> {
    /// The first record of a topic that is like that, and where it is among all.
    fn first<T: Record + DeserializeOwned>(
        &self,
        topic: Topic,
        is_so: impl Fn(&T) -> bool,
    ) -> (usize, T) {
        self.find(topic, is_so).unwrap()
    }

    fn find<T: Record + DeserializeOwned>(
        &self,
        topic: Topic,
        is_so: impl Fn(&T) -> bool,
    ) -> Option<(usize, T)> {
        let all = self.history.records.iter().enumerate();
        let read = all.filter(|(_, stored)| stored.topic == topic);
        let mut read = read.filter_map(|(at, stored)| {
            let (record, _) = self.codec.decode::<T>(stored.value.as_deref()?).ok()?;
            Some((at, record))
        });
        read.find(|(_, record)| is_so(record))
    }

    /// A policy that caps no shares: an outcome under it says alone what its ballots come to.
    fn uncapped(&self) -> Option<Policy> {
        let is_uncapped = |policy: &Policy| {
            let shares = [
                policy.max_share_per_principal,
                policy.max_share_per_model_family,
            ];
            shares.iter().all(|share| *share >= Millionths::ONE)
        };
        Some(self.find(Topic::Policies, is_uncapped)?.1)
    }

    /// What is found of the history with something done to its records.
    fn found(&self, depth: Depth, change: impl FnOnce(&mut Vec<Stored>)) -> Vec<Finding> {
        let mut held = self.history.clone();
        change(&mut held.records);
        held.verified(depth).broken
    }

    /// What is found with another record in a record's place.
    fn put<T: Record>(&self, depth: Depth, at: usize, record: &T) -> Vec<Finding> {
        let value = self.codec.encode(record).unwrap();
        self.found(depth, |records| records[at].value = Some(value))
    }

    /// That a record is found, as this kind and where it lies, and nothing else.
    fn is_found(&self, found: &[Finding], kind: &str, at: usize) {
        let stored = &self.history.records[at];
        let place = (stored.topic.name(), stored.partition, Some(stored.offset));
        let told = |one: &Finding| (one.kind, (one.topic, one.partition, one.offset));
        let found: Vec<_> = found.iter().map(told).collect();
        assert_eq!(found, [(kind, place)]);
    }
}

/// Whether something was heard of it, under a policy.
fn is_heard(outcome: &Outcome, policy: &Policy) -> bool {
    let decision = &outcome.decision;
    decision.endorse != decision.challenge && decision.policy_digest == policy.digest
}

/// A ballot of an observer, which says something else than the proposal; the sums leave it out.
fn observed(outcome: &Outcome) -> Option<usize> {
    let proposal = outcome.decision.proposal_digest;
    let is_so = |ballot: &Ballot| !ballot.counted && ballot.response_digest != proposal;
    outcome.decision.ballots.iter().position(is_so)
}

/// Whether humans decided on it.
fn is_judged(outcome: &Outcome) -> bool {
    !outcome.coordinates.judged.is_empty()
}

/// Whether it is of a response by somebody the table did not list.
fn is_unlisted(letter: &DeadLetter) -> bool {
    letter.reason == "agent_not_listed" && letter.topic == Topic::Responses.name()
}

/// Whether something of every kind is there that a check is tried on. It nearly always is.
pub(super) fn has_all(history: &Held) -> bool {
    let sound = Sound {
        history,
        codec: Codec::single_object(),
    };
    let outcome = |is_so: &dyn Fn(&Outcome) -> bool| sound.find(Topic::Outcomes, is_so).is_some();
    let is_closed = |round: &Round| round.state == RoundState::Closed;
    let heard = |policy: Policy| outcome(&|one| is_heard(one, &policy));
    sound.uncapped().is_some_and(heard)
        && outcome(&|one| observed(one).is_some())
        && outcome(&is_judged)
        && sound.find(Topic::DeadLetters, is_unlisted).is_some()
        && sound.find(Topic::Rounds, is_closed).is_some()
        && sound
            .find(Topic::TrustUpdates, |_: &TrustUpdate| true)
            .is_some()
        && sound
            .find(Topic::Escalations, |_: &DecisionPackage| true)
            .is_some()
}

pub(super) fn each_check_finds_what_it_is_for(history: &Held) {
    let sound = Sound {
        history,
        codec: Codec::single_object(),
    };
    for depth in [Depth::Outcome, Depth::Records, Depth::Tables] {
        assert_eq!(sound.found(depth, |_| {}), []);
    }
    an_outcome_against_itself(&sound);
    records_in_themselves(&sound);
    what_is_named(&sound);
    what_follows(&sound);
}

fn an_outcome_against_itself(sound: &Sound<'_>) {
    let policy = sound.uncapped().unwrap();
    let heard = |outcome: &Outcome| is_heard(outcome, &policy);
    let (at, outcome) = sound.first(Topic::Outcomes, heard);
    let sealed = |mut outcome: Outcome| {
        outcome.decision_digest = wire::digest_of(&outcome.decision).unwrap();
        outcome
    };

    let mut one = outcome.clone();
    one.decision.proposal_digest = wire::sha256(b"another");
    let found = sound.put(Depth::Outcome, at, &one);
    sound.is_found(&found, "outcome_itself", at);

    let mut one = outcome.clone();
    one.r#final = !one.r#final;
    let found = sound.put(Depth::Outcome, at, &one);
    sound.is_found(&found, "outcome_itself", at);

    let mut one = outcome.clone();
    one.decision.endorse = one.decision.challenge;
    let found = sound.put(Depth::Outcome, at, &sealed(one));
    sound.is_found(&found, "outcome_itself", at);

    let mut one = outcome;
    one.coordinates.closing_time = Timestamp(1);
    assert_eq!(sound.put(Depth::Records, at, &one), []);
    let found = sound.put(Depth::Tables, at, &one);
    sound.is_found(&found, "outcome", at);
}

fn records_in_themselves(sound: &Sound<'_>) {
    let (at, mut package) = sound.first(Topic::Escalations, |_: &DecisionPackage| true);
    package.content.proposal.summary.push('!');
    let found = sound.put(Depth::Outcome, at, &package);
    sound.is_found(&found, "package", at);

    let (at, mut policy) = sound.first(Topic::Policies, |_: &Policy| true);
    policy.min_responders += 1;
    let found = sound.put(Depth::Outcome, at, &policy);
    assert!(found.iter().any(|one| one.kind == "row"), "{found:#?}");

    for topic in [
        Topic::Outcomes,
        Topic::Rounds,
        Topic::Escalations,
        Topic::TrustUpdates,
    ] {
        let records = &sound.history.records;
        let has_value = |stored: &Stored| stored.topic == topic && stored.value.is_some();
        let at = records.iter().position(has_value).unwrap();
        let found = sound.found(Depth::Outcome, |records| {
            records[at].key = Some(b"a key of nobody".to_vec());
        });
        sound.is_found(&found, "record", at);
        let found = sound.found(Depth::Outcome, |records| {
            records[at].value = Some(b"nothing".to_vec());
        });
        sound.is_found(&found, "record", at);
    }
    let (at, letter) = sound.first(Topic::DeadLetters, |_: &DeadLetter| true);
    let found = sound.found(Depth::Outcome, |records| {
        records[at].key = Some(b"a key of nobody".to_vec());
    });
    sound.is_found(&found, "record", at);
    let elsewhere = DeadLetter {
        partition: letter.partition + 1,
        ..letter.clone()
    };
    let found = sound.put(Depth::Outcome, at, &elsewhere);
    sound.is_found(&found, "record", at);
    let nowhere = DeadLetter {
        topic: "nowhere".to_owned(),
        ..letter
    };
    let found = sound.put(Depth::Outcome, at, &nowhere);
    sound.is_found(&found, "record", at);
}

fn what_is_named(sound: &Sound<'_>) {
    let (at, mut outcome) = sound.first(Topic::Outcomes, |one| observed(one).is_some());
    let observer = observed(&outcome).unwrap();
    let ballot = &mut outcome.decision.ballots[observer];
    ballot.verdict = match ballot.verdict {
        Verdict::Endorse => Verdict::Challenge,
        _ => Verdict::Endorse,
    };
    outcome.decision_digest = wire::digest_of(&outcome.decision).unwrap();
    let found = sound.put(Depth::Records, at, &outcome);
    let named = |kind: &str| found.iter().any(|one| one.kind == kind);
    assert!(named("response_named"), "{found:#?}");

    let (_, update) = sound.first(Topic::TrustUpdates, |_: &TrustUpdate| true);
    let (_, outcome) = sound.first(Topic::Outcomes, is_judged);
    let decided = outcome.coordinates.judged[0].digest;
    for (topic, digest, kind) in [
        (
            Topic::Proposals,
            outcome.decision.proposal_digest,
            "proposal_named",
        ),
        (Topic::Decisions, decided, "decision_named"),
        (Topic::Results, update.result_digest, "result_named"),
    ] {
        // Every copy of it.
        let is_it = |stored: &Stored| {
            let value = stored
                .value
                .as_deref()
                .and_then(|value| wire::unframed(value).ok());
            stored.topic == topic && value.is_some_and(|value| wire::sha256(value) == digest)
        };
        let found = sound.found(Depth::Records, |records| records.retain(|one| !is_it(one)));
        assert!(!found.is_empty(), "{kind}");
        assert!(found.iter().all(|one| one.kind == kind), "{found:#?}");
    }
}

fn what_follows(sound: &Sound<'_>) {
    let records = &sound.history.records;
    let of = |topic| {
        let has_value = |one: &Stored| one.topic == topic && one.value.is_some();
        records.iter().position(has_value).unwrap()
    };
    // One that cannot be read, one on another partition, and one that stops an engine.
    let at = of(Topic::Trust);
    let found = sound.found(Depth::Outcome, |records| {
        records[at].value = Some(b"nothing".to_vec());
    });
    sound.is_found(&found, "row", at);
    let at = of(Topic::Escalations);
    let found = sound.found(Depth::Tables, |records| {
        records[at].partition = 1 - records[at].partition;
    });
    assert!(found.iter().any(|one| one.kind == "package"), "{found:#?}");
    let at = of(Topic::Responses);
    let found = sound.found(Depth::Tables, |records| records[at].timestamp = None);
    assert!(
        found.iter().any(|one| one.kind == "partition"),
        "{found:#?}"
    );

    let (at, mut letter) = sound.first(Topic::DeadLetters, is_unlisted);
    letter.judged_by.agents = Offset(letter.judged_by.agents.0 - 1);
    let found = sound.put(Depth::Tables, at, &letter);
    sound.is_found(&found, "dead_letter", at);

    // A round that says of all its records that it was opened at other pins, or times.
    let (_, round) = sound.first(Topic::Rounds, |round: &Round| {
        round.state == RoundState::Closed
    });
    let otherwise = |change: &dyn Fn(&mut Round)| {
        let found = sound.found(Depth::Tables, |records| {
            let of_round = |stored: &&mut Stored| stored.topic == Topic::Rounds;
            for stored in records.iter_mut().filter(of_round) {
                let Some(value) = stored.value.as_deref() else {
                    continue;
                };
                let (mut one, _) = sound.codec.decode::<Round>(value).unwrap();
                if one.proposal_id == round.proposal_id {
                    change(&mut one);
                    stored.value = Some(sound.codec.encode(&one).unwrap());
                }
            }
        });
        assert!(found.iter().any(|one| one.kind == "pins"), "{found:#?}");
    };
    otherwise(&|round| round.opening.pins.trust = Offset(i64::MAX - 1));
    otherwise(&|round| round.opening.responses_time = Timestamp(1));
}
