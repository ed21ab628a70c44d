//! Those beside the agents: an operator who moves the tables under running rounds, and people who
//! decide what escalates. What they do comes from a seed, when they do it from what they see.

use std::sync::Arc;
use std::time::Duration;

use quorate::engine::CONTROL;
use quorate::transport::{Reading, Start};
use quorate::wire::{Codec, Record, seal_policy};
use quorate_core::ids::{AgentId, Digest, Offset, Timestamp};
use quorate_core::millionths::Millionths;
use quorate_core::records::{
    Agent, AgentKind, AgentStatus, Control, DecisionPackage, DecisionVerdict, Grant, Mode, Policy,
    Prior, Stakes,
};
use quorate_core::topic::Topic;

use super::load::{AGENTS, Random};
use super::place::{Pen, Place};
use super::records;

/// Operators, who write tables and orders.
pub(super) struct Operator {
    pen: Pen,
    codec: Arc<Codec>,
    partitions: i32,
    random: Random,
    /// What is suspended, and until when.
    suspended: Option<(Suspended, Timestamp)>,
}

enum Suspended {
    Agent(i64),
    Policy,
}

impl Operator {
    pub(super) fn of(place: &Place, codec: &Arc<Codec>, partitions: i32, random: Random) -> Self {
        Self {
            pen: place.pen(),
            codec: Arc::clone(codec),
            partitions,
            random,
            suspended: None,
        }
    }

    /// Does the next thing an operator might.
    pub(super) fn order(&mut self, now: Timestamp) {
        match self.suspended.take() {
            Some((what, until)) if now < until => self.suspended = Some((what, until)),
            Some((Suspended::Agent(number), _)) => {
                self.list(number, AgentStatus::Active);
            }
            Some((Suspended::Policy, _)) => {
                self.enact(Mode::Live);
            }
            None => {}
        }
        match self.random.within(0..100) {
            0..45 => {
                let number = self.random.within(2..20);
                self.list(number, AgentStatus::Active);
            }
            45..65 if !matches!(self.suspended, Some((Suspended::Policy, _))) => {
                self.enact(Mode::Live);
            }
            65..85 if self.suspended.is_none() => {
                let number = self.random.within(20..24);
                let Some(offset) = self.list(number, AgentStatus::Suspended) else {
                    return;
                };
                self.tell(Some(format!("a{number}")), None, offset);
                let until = Timestamp(now.0 + self.random.within(500..2_500));
                self.suspended = Some((Suspended::Agent(number), until));
            }
            85..93 if self.suspended.is_none() => {
                let Some(offset) = self.enact(Mode::Suspended) else {
                    return;
                };
                self.tell(None, Some("pay.fast".to_owned()), offset);
                let until = Timestamp(now.0 + self.random.within(300..900));
                self.suspended = Some((Suspended::Policy, until));
            }
            // An order that its table does not bear out.
            _ => self.tell(Some("a1".to_owned()), None, Offset(1)),
        }
    }

    /// Writes to a table; where it came to lie, unless the broker was away for too long.
    fn write<T: Record + serde::Serialize>(
        &mut self,
        topic: Topic,
        key: &str,
        record: &T,
    ) -> Option<Offset> {
        let value = self.codec.encode(record).unwrap();
        let key = Some(key.as_bytes());
        self.pen.append(topic, 0, key, Some(&value), &[]);
        let appended = self.pen.settle().ok()?;
        Some(Offset(appended.first()?.offset))
    }

    /// Lists an agent anew.
    fn list(&mut self, number: i64, status: AgentStatus) -> Option<Offset> {
        let authority = u32::try_from(self.random.within(500_000..1_000_000)).unwrap();
        let agent = Agent {
            agent_id: AgentId::from(format!("a{number}").as_str()),
            kind: AgentKind::Agent,
            display_name: String::new(),
            principal: format!("a{number}"),
            model_family: None,
            domains: vec![Grant {
                domain: "pay".to_owned(),
                authority: Millionths::new(authority).unwrap(),
                prior: Some(Prior {
                    right: 40,
                    wrong: 3,
                    source: "test".to_owned(),
                }),
            }],
            reviews: Vec::new(),
            public_keys: Vec::new(),
            status,
        };
        assert!(usize::try_from(number).unwrap() < AGENTS);
        self.write(Topic::Agents, agent.agent_id.as_str(), &agent)
    }

    /// Enacts the policy that closes early anew, with other numbers.
    fn enact(&mut self, mode: Mode) -> Option<Offset> {
        let margin = u32::try_from(self.random.within(200_000..500_000)).unwrap();
        let mut policy = Policy {
            trust_domain: "pay".to_owned(),
            quorum_margin: Some(Millionths::new(margin).unwrap()),
            revision: quorate_core::records::Revision::First,
            early_close: true,
            proposer_counts: false,
            max_open_per_proposer: 1_000_000,
            mode,
            ..Policy::defaults("pay.fast")
        };
        seal_policy(&mut policy).unwrap();
        self.write(Topic::Policies, "pay.fast", &policy)
    }

    /// Orders every partition to obey what a table says.
    fn tell(&mut self, agent_id: Option<String>, pattern: Option<String>, table_offset: Offset) {
        let control = Control {
            control_id: format!("c{}", self.random.next()),
            agent_id,
            pattern,
            table_offset,
            operator: "test".to_owned(),
            reason: String::new(),
        };
        let value = self.codec.encode(&control).unwrap();
        let headers = [CONTROL];
        for partition in 0..self.partitions {
            self.pen
                .append(Topic::Responses, partition, None, Some(&value), &headers);
        }
        let _told = self.pen.settle();
    }
}

/// People who read what escalates, and decide.
pub(super) struct Reviewer {
    reader: Box<dyn Reading + Send>,
    codec: Arc<Codec>,
    random: Random,
}

/// A record to append, and when.
type Timed = (i64, Topic, String, Vec<u8>);

impl Reviewer {
    pub(super) fn of(place: &Place, codec: &Arc<Codec>, partitions: i32, random: Random) -> Self {
        let reader = place.reader();
        let start = |partition| (Topic::Escalations, partition, Start::Beginning);
        let places: Vec<_> = (0..partitions).map(start).collect();
        reader.go_to(&places).unwrap();
        Self {
            reader,
            codec: Arc::clone(codec),
            random,
        }
    }

    /// What is decided of the packages that have come.
    pub(super) fn look(&mut self, now: Timestamp) -> Vec<Timed> {
        let mut decided = Vec::new();
        while let Some(stored) = self.reader.next(Duration::ZERO).unwrap() {
            // What has no value has ended what a transaction left open.
            let Some(value) = stored.value else {
                continue;
            };
            let (package, _) = self.codec.decode::<DecisionPackage>(&value).unwrap();
            let ours = package.content.proposal.domain.starts_with("pay");
            if ours && self.random.percent(60) {
                self.decide(now.0, &package, &mut decided);
            }
        }
        decided
    }

    fn decide(&mut self, now: i64, package: &DecisionPackage, decided: &mut Vec<Timed>) {
        let verdict = match self.random.within(0..10) {
            0..6 => DecisionVerdict::Approve,
            6..9 => DecisionVerdict::Reject,
            _ => DecisionVerdict::SendBack,
        };
        let critical = package.content.decision.stakes == Stakes::Critical;
        let mut reviewers = vec!["rita"];
        if critical || self.random.percent(10) {
            reviewers.extend(["rita", "max"]);
        }
        if self.random.percent(8) {
            reviewers.insert(0, "a1");
        }
        let mut at = now;
        for reviewer in reviewers {
            at += self.random.within(5..1_500);
            let digest = if self.random.percent(8) {
                Digest([7; 32])
            } else {
                package.package_digest
            };
            let id = package.proposal_id.to_string();
            let mut decision = records::decision(&id, reviewer, digest, verdict);
            decision.decision_id = format!("d{}", self.random.next());
            let value = self.codec.encode(&decision).unwrap();
            decided.push((at, Topic::Decisions, decision.proposal_id, value));
        }
    }
}
