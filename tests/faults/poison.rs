//! Poison in the middle of traffic: a record for every reason there is to refuse one. Each becomes a
//! dead letter with its code, nothing halts, and the traffic is decided as if they were not there.

use std::collections::BTreeSet;
use std::sync::Arc;

use quorate::clock::{Clock as _, System};
use quorate::engine::CONTROL;
use quorate::transport::kafka::{Appender, Schemas};
use quorate::wire::{Codec, Record, partition_of};
use quorate_core::ids::{Digest, Offset, Timestamp};
use quorate_core::records::{
    Control, DecisionVerdict, Proposal, Response, ResultKind, Stakes, Verdict,
};
use quorate_core::reject::Reject;
use quorate_core::topic::Topic;
use serde::Serialize;

use super::{CATCH_UP, PARTITIONS, play, tell, until, within};
use crate::support::House;
use crate::support::load::{self, Random};
use crate::support::oracle::{Decided, Log, Refused};
use crate::support::records::{decision, id, proposal, report, response};

const FAULT: &str = "a record for every reason to refuse one";

const AGENTS: &str = r#"
[[agent]]
agent_id = "gone"
status = "RETIRED"
domains = [{ domain = "pay", authority = 1.0 }]

[[agent]]
agent_id = "busy"

[[agent]]
agent_id = "vera"
kind = "HUMAN"
reviews = [{ domain = "calm", up_to_stakes = "CRITICAL" }]
"#;

const POLICIES: &str = r#"
[[policy]]
pattern = "tight"
action_types = ["payment.release"]
max_open_per_proposer = 1

[[policy]]
pattern = "calm"

[[policy]]
pattern = "quick"
decision_deadline = "1 s"
on_decision_timeout = "REJECT"
result_window = "1 s"
"#;

/// Rounds the poison is about.
struct Rounds {
    open: String,
    closed: String,
    escalated: String,
    package: Digest,
    timed_out: String,
    tight: String,
    /// When those that are open are due.
    due: Timestamp,
}

/// Whoever poisons.
struct Poisoner<'a> {
    appender: Appender,
    codec: Arc<Codec>,
    random: &'a mut Random,
    log: Log,
    /// Where each piece of poison lies, and the code it must get.
    laid: BTreeSet<Refused>,
}

impl Poisoner<'_> {
    fn put(&self, topic: Topic, astray: i32, key: Option<&str>, value: &[u8]) -> (i32, Offset) {
        let right = key.map_or(0, |key| partition_of(key.as_bytes(), PARTITIONS));
        let headers = [CONTROL];
        let headers = if key.is_none() { &headers[..] } else { &[] };
        let (partition, key) = ((right + astray) % PARTITIONS, key.map(str::as_bytes));
        self.appender
            .append(topic, partition, key, Some(value), headers)
            .unwrap();
        let place = &self.appender.settle().unwrap()[0];
        (partition, Offset(place.offset))
    }

    fn encode<T: Record + Serialize>(&self, record: &T) -> Vec<u8> {
        self.codec.encode(record).unwrap()
    }

    fn lay_bytes(&mut self, code: Reject, topic: Topic, key: Option<&str>, value: &[u8]) {
        let (partition, offset) = self.put(topic, 0, key, value);
        let code = code.code().to_owned();
        self.laid
            .insert((topic.name().to_owned(), partition, offset, code));
    }

    fn lay<T: Record + Serialize>(&mut self, code: Reject, topic: Topic, key: &str, record: &T) {
        let value = self.encode(record);
        self.lay_bytes(code, topic, Some(key), &value);
    }

    fn propose(&mut self, domain: &str, span: i64, change: impl FnOnce(&mut Proposal)) -> String {
        let now = System.now();
        let id = id(self.random, now);
        let mut proposal = proposal(&id, domain, now.0 + span);
        change(&mut proposal);
        let value = self.encode(&proposal);
        self.put(Topic::Proposals, 0, Some(&id), &value);
        id
    }

    /// Rounds in every state, the open ones for so many milliseconds.
    fn prepare(&mut self, span: i64) -> Rounds {
        let closed = self.propose("pay", 2_000, |_| {});
        for agent in ["a1", "a2", "a3"] {
            let value = self.encode(&response(&closed, agent, Verdict::Endorse, 0.9));
            self.put(Topic::Responses, 0, Some(&closed), &value);
        }
        let escalated = self.propose("calm", 1_500, |p| p.stakes = Stakes::Critical);
        let timed_out = self.propose("quick", 1_500, |p| p.stakes = Stakes::High);
        let due = Timestamp(System.now().0 + span);
        let tight = self.propose("tight", span, |p| p.proposer = "busy".to_owned());
        let open = self.propose("pay", span, |_| {});
        let (log, known) = (&self.log, |id: &str| id.parse().unwrap());
        until(|| {
            let found = log.found();
            let decided = |id: &str, resolution: i32| {
                let known = known(id);
                let of = |d: &Decided| d.id == known && d.resolution == resolution;
                found.decided.keys().any(of)
            };
            decided(&closed, 1) && decided(&timed_out, 2) && decided(&escalated, 1)
        });
        let of = |(id, digest): &(_, Digest)| (*id == known(&escalated)).then_some(*digest);
        let package = self.log.found().escalated.keys().find_map(of).unwrap();
        Rounds {
            open,
            closed,
            escalated,
            package,
            timed_out,
            tight,
            due,
        }
    }

    /// Lays everything; whether the open rounds were open all the while.
    fn poison(&mut self, span: i64) -> bool {
        let rounds = self.prepare(span);
        self.poison_bytes(&rounds);
        self.poison_proposals(&rounds);
        self.poison_responses(&rounds);
        self.poison_decisions(&rounds);
        self.poison_results(&rounds);
        System.now() < rounds.due
    }

    fn poison_bytes(&mut self, rounds: &Rounds) {
        let (open, topic) = (&rounds.open, Topic::Responses);
        self.lay_bytes(Reject::Malformed, topic, Some(open), b"nonsense");
        let about = decision(open, "rita", Digest::default(), DecisionVerdict::Approve);
        let of_another_kind = self.encode(&about);
        self.lay_bytes(Reject::UnknownSchema, topic, Some(open), &of_another_kind);
        let said = || response(open, "a1", Verdict::Endorse, 0.9);
        let sized = |reasoning: usize| Response {
            reasoning: "x".repeat(reasoning).into(),
            ..said()
        };
        // No client of ours would write one.
        let too_large = [self.encode(&said()), vec![0; 70_000]].concat();
        self.lay_bytes(Reject::RecordTooLarge, topic, Some(open), &too_large);
        self.lay(Reject::ReasoningTooLarge, topic, open, &sized(9_000));
        let mut much = said();
        much.evidence = vec!["x".to_owned(); 17];
        self.lay(Reject::EvidenceTooLarge, topic, open, &much);
        self.lay(Reject::KeyMismatch, topic, &rounds.closed, &said());
        self.lay(
            Reject::BadNumber,
            topic,
            open,
            &response(open, "a1", Verdict::Endorse, 1.5),
        );
    }

    fn poison_proposals(&mut self, rounds: &Rounds) {
        let (now, topic) = (System.now(), Topic::Proposals);
        let day = 86_400_000;
        self.lay(
            Reject::BadId,
            topic,
            "x",
            &proposal("x", "pay", now.0 + 5_000),
        );
        let old = id(self.random, Timestamp(now.0 - day - 60_000));
        self.lay(
            Reject::StaleId,
            topic,
            &old,
            &proposal(&old, "pay", now.0 + 5_000),
        );
        let other = proposal(&rounds.open, "pay", now.0 + 9_000);
        self.lay(Reject::ProposalConflict, topic, &rounds.open, &other);
        let mut lay = |code, domain: &str, change: &dyn Fn(&mut Proposal)| {
            let id = id(self.random, now);
            let mut proposal = proposal(&id, domain, now.0 + 20_000);
            change(&mut proposal);
            self.lay(code, topic, &id, &proposal);
        };
        lay(Reject::NoPolicy, "nowhere", &|_| {});
        lay(Reject::ActionTypeNotAllowed, "tight", &|p| {
            p.action.r#type = "x".to_owned()
        });
        lay(Reject::DeadlinePassed, "pay", &|p| {
            p.deadline = Some(Timestamp(now.0 - 60_000))
        });
        lay(Reject::DeadlineBounds, "pay", &|p| {
            p.deadline = Some(Timestamp(now.0 + 8 * day))
        });
        // The limit holds in each partition.
        let partition = |id: &str| partition_of(id.as_bytes(), PARTITIONS);
        let mut ids = std::iter::repeat_with(|| id(self.random, now));
        let beside = |id: &String| partition(id) == partition(&rounds.tight);
        let near = ids.find(beside).unwrap();
        let mut second = proposal(&near, "tight", now.0 + 20_000);
        second.proposer = "busy".to_owned();
        self.lay(Reject::ProposerOverLimit, topic, &near, &second);
    }

    fn poison_responses(&mut self, rounds: &Rounds) {
        let (open, closed, topic) = (&rounds.open, &rounds.closed, Topic::Responses);
        let by = |agent| response(open, agent, Verdict::Endorse, 0.8);
        self.lay(Reject::AgentNotListed, topic, open, &by("nobody"));
        self.lay(Reject::AgentNotActive, topic, open, &by("gone"));
        let mut mute = response(open, "a1", Verdict::Challenge, 0.8);
        mute.reasoning = "".into();
        self.lay(Reject::ReasoningMissing, topic, open, &mute);
        let mut other = by("a1");
        other.proposal_digest = Some(Digest([7; 32]));
        self.lay(Reject::DigestMismatch, topic, open, &other);
        let late = response(closed, "a4", Verdict::Endorse, 0.8);
        self.lay(Reject::RoundClosed, topic, closed, &late);
        // It is refused where it is forwarded to.
        let value = self.encode(&response(closed, "a5", Verdict::Endorse, 0.8));
        self.put(topic, 1, Some(closed), &value);
        let order = Control {
            control_id: "c".to_owned(),
            agent_id: Some("a1".to_owned()),
            pattern: None,
            table_offset: Offset(1),
            operator: "test".to_owned(),
            reason: String::new(),
        };
        let value = self.encode(&order);
        self.lay_bytes(Reject::ControlRefused, topic, None, &value);
    }

    fn poison_decisions(&mut self, rounds: &Rounds) {
        let topic = Topic::Decisions;
        let approve = DecisionVerdict::Approve;
        let Rounds {
            closed,
            escalated,
            package,
            timed_out,
            ..
        } = rounds;
        let unknown = id(self.random, System.now());
        let about = |id: &str, reviewer: &str| decision(id, reviewer, *package, approve);
        self.lay(
            Reject::UnknownProposal,
            topic,
            &unknown,
            &about(&unknown, "vera"),
        );
        self.lay(
            Reject::AlreadyDecided,
            topic,
            closed,
            &about(closed, "vera"),
        );
        self.lay(
            Reject::DecisionTooLate,
            topic,
            timed_out,
            &about(timed_out, "vera"),
        );
        let other = decision(escalated, "vera", Digest([7; 32]), approve);
        self.lay(Reject::PackageMismatch, topic, escalated, &other);
        self.lay(
            Reject::ReviewerNotAllowed,
            topic,
            escalated,
            &about(escalated, "a1"),
        );
        let first = self.encode(&about(escalated, "vera"));
        self.put(topic, 0, Some(escalated), &first);
        self.lay(
            Reject::AlreadyApproved,
            topic,
            escalated,
            &about(escalated, "vera"),
        );
    }

    fn poison_results(&mut self, rounds: &Rounds) {
        let (topic, right) = (Topic::Results, ResultKind::Right);
        let Rounds {
            open,
            closed,
            timed_out,
            ..
        } = rounds;
        self.lay(
            Reject::RoundOpen,
            topic,
            open,
            &report(open, "s1", "ledger", right),
        );
        self.lay(
            Reject::ReporterNotAllowed,
            topic,
            closed,
            &report(closed, "s2", "a1", right),
        );
        let late = report(timed_out, "s3", "ledger", right);
        self.lay(Reject::ResultTooLate, topic, timed_out, &late);
        let first = self.encode(&report(closed, "s4", "ledger", right));
        self.put(topic, 0, Some(closed), &first);
        self.lay(
            Reject::AlreadySettled,
            topic,
            closed,
            &report(closed, "s5", "ledger", right),
        );
        let mut amended = report(closed, "s6", "ledger", ResultKind::Wrong);
        amended.corrects = Some("s0".to_owned());
        self.lay(Reject::NotInForce, topic, closed, &amended);
    }
}

#[test]
fn one_record_of_every_reason_code_halts_nothing() {
    let mut random = Random::of_this_run(FAULT);
    let mut span = 60_000;
    // A machine may be too busy to lay everything in time.
    while !is_refused(&mut random, span) {
        span *= 2;
    }
}

/// Plays with rounds that are open so long, in milliseconds; whether that was long enough.
fn is_refused(random: &mut Random, span: i64) -> bool {
    let seed = random.seed();
    let agents = format!("{}{AGENTS}", load::agents());
    let policies = format!("{}{POLICIES}", load::POLICIES);
    let house = House::alone(PARTITIONS.unsigned_abs(), &agents, &policies);
    let mut laid = None;
    let played = play(&house, random, |random| {
        let one = house.run_as("one");
        let connection = house.connection();
        let mut poisoner = Poisoner {
            appender: Appender::open(&connection).unwrap(),
            codec: Arc::clone(Schemas::load(&connection).unwrap().codec()),
            random,
            log: Log::at(connection, PARTITIONS),
            laid: BTreeSet::new(),
        };
        if !poisoner.poison(span) {
            return vec![one];
        }
        let missing = || -> Vec<Refused> {
            let found = poisoner.log.letters();
            let is_missing = |laid: &&Refused| !found.contains_key(*laid);
            poisoner.laid.iter().filter(is_missing).cloned().collect()
        };
        let all = within(CATCH_UP, || missing() == [] as [Refused; 0]);
        assert!(all, "not refused: {:?}", missing());
        // The traffic goes on.
        let outcomes = poisoner.log.count(Topic::Outcomes);
        until(|| poisoner.log.count(Topic::Outcomes) > outcomes + 100);
        assert_eq!(one.diary().halted, [] as [String; 0]);
        laid = Some(poisoner.laid);
        vec![one]
    });
    let Some(laid) = laid else { return false };
    let codes: BTreeSet<_> = laid.iter().map(|(.., code)| code.as_str()).collect();
    let all = Reject::ALL.iter().map(|code| code.code());
    let left: Vec<_> = all.filter(|code| !codes.contains(code)).collect();
    // The last one needs 2,000 agents, and has a round of its own.
    assert_eq!(left, ["forwarded_late", "round_full"]);
    assert!(played.found.codes().contains_key("forwarded_late"));
    tell(FAULT, laid.len() + 1, seed, &house, &played);
    true
}
