//! The largest round the limits allow: 2,000 qualified agents and 500 observers, each with more
//! revisions than are listed and with texts at their limits. It resolves, and what comes of it fits
//! into records.

use std::sync::Arc;

use quorate::clock::{Clock as _, System};
use quorate::transport::kafka::{Appender, Schemas};
use quorate::wire::{Codec, MAX_OUTPUT};
use quorate_core::limits::{EVIDENCE_MAX, EVIDENCE_PIECE_MAX, REASONING_MAX};
use quorate_core::records::{DecisionPackage, Label, Outcome, Response, Stakes, Status, Verdict};
use quorate_core::reject::Reject;
use quorate_core::round::{OBSERVERS_MAX, QUALIFIED_MAX, SUPERSEDED_MAX};
use quorate_core::topic::Topic;

use super::{caught_up, until};
use crate::support::House;
use crate::support::load::Random;
use crate::support::oracle::Log;
use crate::support::records::{id, proposal, response};

/// Milliseconds from the proposal to the deadline, in which all of it has to be appended.
const SPAN: i64 = 60_000;

/// As many of both kinds as there is room for, and one more of each.
fn agents() -> String {
    let qualified = (0..=QUALIFIED_MAX).map(|number| {
        format!(
            "[[agent]]\nagent_id = \"q{number}\"\n\
             domains = [{{ domain = \"pay\", authority = 1.0 }}]\n"
        )
    });
    let observers = (0..=OBSERVERS_MAX).map(|n| format!("[[agent]]\nagent_id = \"o{n}\"\n"));
    let desk = "[[agent]]\nagent_id = \"desk\"\n".to_owned();
    qualified.chain(observers).chain([desk]).collect()
}

const POLICY: &str = "[[policy]]\npattern = \"pay\"\nproposer_counts = false\n";

struct Crowd {
    appender: Appender,
    codec: Arc<Codec>,
    id: String,
    appended: usize,
}

impl Crowd {
    fn say(&mut self, agent: &str, revision: usize, change: impl FnOnce(&mut Response<'_>)) {
        let sides = [Verdict::Endorse, Verdict::Challenge];
        let verdict = sides[(agent.len() + revision) % 2];
        let confidence = 0.5 + f64::from(u32::try_from(revision).unwrap()) / 100.0;
        let mut response = response(&self.id, agent, verdict, confidence);
        change(&mut response);
        let value = self.codec.encode(&response).unwrap();
        let key = Some(self.id.as_bytes());
        self.appender
            .append(Topic::Responses, 0, key, Some(&value), &[])
            .unwrap();
        self.appended += 1;
    }

    /// Everybody says something again and again, and at last all that may be said.
    fn respond(&mut self) {
        let qualified = (0..QUALIFIED_MAX).map(|number| format!("q{number}"));
        let observers = (0..OBSERVERS_MAX).map(|number| format!("o{number}"));
        let crowd: Vec<String> = qualified.chain(observers).collect();
        for revision in 0..=SUPERSEDED_MAX {
            crowd
                .iter()
                .for_each(|agent| self.say(agent, revision, |_| {}));
        }
        for agent in &crowd {
            self.say(agent, SUPERSEDED_MAX + 1, |response| {
                response.reasoning = "r".repeat(REASONING_MAX).into();
                response.evidence = vec!["e".repeat(EVIDENCE_PIECE_MAX); EVIDENCE_MAX];
            });
        }
        for one_too_many in [format!("q{QUALIFIED_MAX}"), format!("o{OBSERVERS_MAX}")] {
            self.say(&one_too_many, 0, |_| {});
        }
        self.appender.settle().unwrap();
    }
}

/// Proposes the largest round there may be, due in so many milliseconds.
fn propose(house: &House, random: &mut Random, span: i64) -> Crowd {
    let (connection, now) = (house.connection(), System.now());
    let crowd = Crowd {
        appender: Appender::open(&connection).unwrap(),
        codec: Arc::clone(Schemas::load(&connection).unwrap().codec()),
        id: id(random, now),
        appended: 0,
    };
    let mut largest = proposal(&crowd.id, "pay", now.0 + span);
    largest.rationale = "r".repeat(REASONING_MAX);
    largest.stakes = Stakes::High;
    let label = |number: usize| Label {
        key: format!("k{number}"),
        value: "v".repeat(1_000),
    };
    largest.labels = (0..50).map(label).collect();
    let value = crowd.codec.encode(&largest).unwrap();
    let key = Some(crowd.id.as_bytes());
    crowd
        .appender
        .append(Topic::Proposals, 0, key, Some(&value), &[])
        .unwrap();
    crowd
}

#[test]
fn the_largest_round_resolves_and_what_comes_of_it_fits() {
    let mut random = Random::of_this_run("largest round");
    let mut span = SPAN;
    // A machine may be too busy to say all of it in time.
    while !is_resolved(&mut random, span) {
        span *= 2;
    }
}

/// Plays with a round that is open so long; whether everything was said before it was due.
fn is_resolved(random: &mut Random, span: i64) -> bool {
    let house = House::with(1, &agents(), POLICY);
    let _processor = house.run();
    let (connection, now) = (house.connection(), System.now());
    let mut crowd = propose(&house, random, span);
    crowd.respond();
    let took = System.now().since(now).0;
    if took >= span {
        return false;
    }
    let log = Log::at(connection, 1);
    until(|| log.count(Topic::Escalations) == 1);
    caught_up(&log);
    assert_eq!(log.refused(Reject::RoundFull), 2);
    let size = |topic| {
        let sizes = log.read(topic, 0);
        let sizes = sizes.iter().filter_map(|stored| stored.value.as_ref());
        sizes.map(Vec::len).max().unwrap()
    };
    let sizes = [Topic::Outcomes, Topic::Escalations, Topic::Rounds].map(size);
    eprintln!(
        "largest round: {} responses in {took} ms; outcome, package and round of {sizes:?} bytes",
        crowd.appended
    );
    assert!(sizes.iter().all(|size| *size < MAX_OUTPUT));
    let outcome: Outcome = log.decode(&log.read(Topic::Outcomes, 0)[0]);
    assert_eq!(outcome.decision.status, Status::Escalated);
    // The proposal is listed too, as an observer's.
    let ballots = QUALIFIED_MAX + OBSERVERS_MAX + 1;
    assert_eq!(outcome.decision.ballots.len(), ballots);
    let superseded = &outcome.coordinates.superseded;
    assert_eq!(superseded.len(), ballots - 1);
    let package: DecisionPackage = log.decode(&log.read(Topic::Escalations, 0)[0]);
    assert_eq!(package.content.statements.len(), ballots);
    assert!(package.content.statements.iter().any(|said| said.inlined));
    assert!(package.content.statements.iter().any(|said| !said.inlined));
    true
}
