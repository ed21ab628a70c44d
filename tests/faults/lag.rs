//! Lag does not decide: two houses on one broker are told the same in the same order; in one the
//! processor is away while it happens, and what is decided is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate::clock::{Clock as _, System};
use quorate::transport::kafka::{Appender, Schemas};
use quorate::wire::{Codec, Record, partition_of};
use quorate_core::ids::{Digest, ProposalId};
use quorate_core::records::{DecisionVerdict, ResultKind, Stakes, TrustScore};
use quorate_core::topic::Topic;
use serde::Serialize;

use super::{PARTITIONS, caught_up, house, until};
use crate::support::load::{self, Random};
use crate::support::oracle::Log;
use crate::support::{House, Processor, records};

/// Rounds that are open while one processor is away.
const ROUNDS: usize = 90;
/// Rounds that have escalated before.
const ESCALATED: usize = 12;

/// One of the two houses.
struct Side {
    house: House,
    appender: Appender,
    codec: Arc<Codec>,
    log: Log,
}

impl Side {
    fn of(house: House) -> Self {
        let connection = house.connection();
        Self {
            appender: Appender::open(&connection).unwrap(),
            codec: Arc::clone(Schemas::load(&connection).unwrap().codec()),
            log: Log::at(connection, PARTITIONS),
            house,
        }
    }

    fn append<T: Record + Serialize>(&self, topic: Topic, id: &str, record: &T) {
        let value = self.codec.encode(record).unwrap();
        let partition = partition_of(id.as_bytes(), PARTITIONS);
        let key = Some(id.as_bytes());
        self.appender
            .append(topic, partition, key, Some(&value), &[])
            .unwrap();
    }

    /// What was decided, whatever lies where.
    fn decisions(&self) -> BTreeSet<(ProposalId, i32, bool, Digest)> {
        let decided = self.log.found().decided.into_keys();
        decided
            .map(|d| (d.id, d.resolution, d.is_final, d.digest))
            .collect()
    }

    /// The packages of escalated rounds.
    fn packages(&self) -> BTreeMap<String, Digest> {
        let escalated = self.log.found().escalated.into_keys();
        escalated
            .map(|(id, digest)| (id.to_string(), digest))
            .collect()
    }

    /// How often each code was given in each topic.
    fn refused(&self) -> BTreeMap<(String, String), usize> {
        let mut codes = BTreeMap::new();
        for ((topic, _, _, code), count) in self.log.found().refused {
            *codes.entry((topic, code)).or_default() += count;
        }
        codes
    }

    /// Every score, but for where the results lay that led to it.
    fn scores(&self) -> Vec<TrustScore> {
        let of = |stored| TrustScore {
            update_offset: quorate_core::ids::Offset(0),
            ..self.log.decode(stored)
        };
        self.log.read(Topic::Trust, 0).iter().map(of).collect()
    }

    fn open_rounds(&self) -> usize {
        let rounds = self.log.found().rounds;
        rounds.values().filter(|(open, _)| *open).count()
    }
}

/// Both houses, told the same.
struct Both {
    sides: [Side; 2],
}

impl Both {
    fn append<T: Record + Serialize>(&self, topic: Topic, id: &str, record: &T) {
        self.sides
            .iter()
            .for_each(|side| side.append(topic, id, record));
    }

    fn settle(&self) {
        for side in &self.sides {
            side.appender.settle().unwrap();
        }
    }

    fn applied(&self, verb: &str, file: &str) {
        for side in &self.sides {
            side.house.told(&[verb, "apply", "-"], file);
        }
    }

    /// Lets everybody answer these rounds, in the same order.
    fn answer(&self, random: &mut Random, ids: &[String]) {
        for agent in 0..load::AGENTS {
            let agent = format!("a{agent}");
            for id in ids {
                let answer = records::answer(random, id, &agent, 60);
                self.append(Topic::Responses, id, &answer);
            }
        }
        self.settle();
    }

    fn propose(&self, random: &mut Random, count: usize, due: i64, stakes: Stakes) -> Vec<String> {
        let now = System.now();
        let ids: Vec<_> = (0..count).map(|_| records::id(random, now)).collect();
        for id in &ids {
            let mut proposal = records::proposal(id, "pay", due);
            proposal.stakes = stakes;
            self.append(Topic::Proposals, id, &proposal);
        }
        self.settle();
        ids
    }

    fn decide(&self, id: &str, reviewer: &str, package: Digest, verdict: DecisionVerdict) {
        let decision = records::decision(id, reviewer, package, verdict);
        self.append(Topic::Decisions, id, &decision);
        self.settle();
    }

    fn report(&self, id: &str, result_id: &str, reporter: &str, result: ResultKind) {
        let report = records::report(id, result_id, reporter, result);
        self.append(Topic::Results, id, &report);
        self.settle();
    }
}

/// An agent, as it is listed anew.
fn agent(id: &str, rest: &str) -> String {
    format!("[[agent]]\nagent_id = \"{id}\"\n{rest}\n")
}

const REVIEWS: &str = r#"kind = "HUMAN"
reviews = [{ domain = "pay", up_to_stakes = "CRITICAL" }]"#;

/// Everything that happens while one of the processors is away.
fn meanwhile(both: &Both, random: &mut Random, open: &[String], escalated: &[String]) {
    let packages = both.sides[0].packages();
    let late = DecisionVerdict::Approve;
    both.answer(random, open);
    // Whoever decides or reports is judged by what was listed then, whatever is listed later.
    for id in &escalated[..4] {
        both.decide(id, "zoe", packages[id], late);
        both.decide(id, "rita", packages[id], late);
    }
    let moved = [
        agent("rita", &format!("{REVIEWS}\nstatus = \"RETIRED\"")),
        agent("zoe", REVIEWS),
        agent("a3", "domains = [{ domain = \"pay\", authority = 0.1 }]"),
        agent("a4", "status = \"RETIRED\""),
    ];
    both.applied("agents", &moved.concat());
    both.applied(
        "policies",
        &load::POLICIES.replace("\"pay\"\n", "\"pay\"\nquorum_margin = 0.9\n"),
    );
    for side in &both.sides {
        let who = [
            "suspend",
            "agent",
            "a7",
            "--reason",
            "test",
            "--operator",
            "test",
        ];
        side.house.ok(&who);
    }
    for id in &escalated[4..8] {
        both.decide(id, "rita", packages[id], late);
        both.decide(id, "zoe", packages[id], late);
    }
    both.answer(random, &open[..ROUNDS / 2]);
    // Scores follow in the order of the results of one partition; between partitions there is none.
    let partition = |id: &String| partition_of(id.as_bytes(), PARTITIONS);
    let first = |id: &&String| partition(id) == partition(&escalated[0]);
    let known: Vec<_> = escalated[..8].iter().filter(first).collect();
    for (number, id) in known.iter().enumerate() {
        both.report(id, &format!("s{number}"), "ledger", ResultKind::Right);
    }
    both.applied(
        "agents",
        &agent("ledger", "kind = \"REPORTER\"\nstatus = \"RETIRED\""),
    );
    for (number, id) in known.iter().enumerate() {
        both.report(id, &format!("t{number}"), "ledger", ResultKind::Wrong);
    }
}

#[test]
fn lag_decides_nothing() {
    let mut random = Random::of_this_run("lag");
    let mut span = 30_000;
    // A machine may be too busy to say everything in time.
    while !is_same(&mut random, span) {
        span *= 2;
    }
}

/// Plays with rounds that are open so long, in milliseconds; whether everything was said to both
/// houses before it was due. What comes in time here and late there may well be judged otherwise.
fn is_same(random: &mut Random, span: i64) -> bool {
    let here = house();
    let there = House::at(here.bootstrap(), "");
    there.furnish(PARTITIONS.unsigned_abs(), &load::agents(), load::POLICIES);
    let both = Both {
        sides: [Side::of(here), Side::of(there)],
    };
    let [always, away] = &both.sides;
    let one: Processor = always.house.run_as("one");
    let other = away.house.run_as("one");
    let due = System.now().0 + span / 6;
    let escalated = both.propose(random, ESCALATED, due, Stakes::High);
    both.answer(random, &escalated);
    if System.now().0 >= due {
        return false;
    }
    for side in &both.sides {
        until(|| side.packages().len() == ESCALATED);
    }
    let due = System.now().0 + span;
    let open = both.propose(random, ROUNDS, due, Stakes::Low);
    let all_open = |side: &Side| side.open_rounds() == ROUNDS || System.now().0 >= due;
    both.sides.iter().for_each(|side| until(|| all_open(side)));
    other.kill();
    let started = System.now();
    meanwhile(&both, random, &open, &escalated);
    if System.now().0 >= due {
        return false;
    }
    until(|| always.open_rounds() == 0);
    both.answer(random, &open[..10]);
    let decided = always.decisions();
    // What escalated meanwhile is decided before the other one has seen that it did.
    let packages = always.packages();
    let fresh: Vec<_> = open
        .iter()
        .filter(|id| packages.contains_key(*id))
        .collect();
    for id in &fresh {
        both.decide(id, "zoe", packages[*id], DecisionVerdict::Reject);
    }
    until(|| always.decisions().len() == decided.len() + fresh.len());
    let millis = System.now().since(started).0;
    let again = away.house.run_as("one");
    for side in &both.sides {
        caught_up(&side.log);
    }
    eprintln!(
        "lag: away for {millis} ms; {} outcomes, {} of them after people decided meanwhile; {:?}",
        decided.len() + fresh.len(),
        fresh.len(),
        always.refused(),
    );
    assert_eq!(away.decisions(), always.decisions());
    assert_eq!(away.packages(), always.packages());
    assert_eq!(away.refused(), always.refused());
    assert_eq!(away.scores(), always.scores());
    assert!(!always.scores().is_empty());
    [one, again].into_iter().for_each(Processor::stop);
    true
}
