//! A log as tests tell it: records for a view, and a handle that answers what it is told to.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use quorate_core::ids::{AgentId, Bytes, Digest, Offset, ProposalId, Timestamp};
use quorate_core::millionths::{Millionths, Sum};
use quorate_core::records::{
    Action, Agent, AgentKind, AgentStatus, Closed, Coordinates, DeadLetter, DecisionPart, Grant,
    Judged, Opening, Outcome, Pins, Proposal, ResolvedBy, Response, Review, Round, RoundState,
    Stakes, Status, Verdict,
};
use quorate_core::topic::Topic;

use super::view::View;
use crate::transport::{Appended, Committed, Entry, Error, Handle, Reading, Shared, Start, Stored};
use crate::wire::{Codec, Record};

pub(super) const ID: ProposalId = ProposalId::from_bytes([7; 16]);
pub(super) const OTHER: ProposalId = ProposalId::from_bytes([8; 16]);

/// A view, and where the next record of all lies.
pub(super) struct Told {
    pub(super) view: Arc<View>,
    codec: Codec,
    pub(super) offset: i64,
}

impl Told {
    pub(super) fn new() -> Self {
        Self::to(Arc::default())
    }

    /// Tells a view of somebody else's.
    pub(super) fn to(view: Arc<View>) -> Self {
        let mut told = Self {
            view,
            codec: Codec::single_object(),
            offset: 0,
        };
        told.list("ada", "pay", AgentStatus::Active);
        told
    }

    /// Tells a record; where it lies.
    fn tell<T: Record>(&mut self, key: &str, record: &T, at: i64) -> i64 {
        let offset = self.offset;
        self.offset += 1;
        let stored = Stored {
            topic: T::KIND.topic(),
            partition: 0,
            offset,
            timestamp: Some(Timestamp(at)),
            key: Some(key.as_bytes().to_vec()),
            value: Some(self.codec.encode(record).unwrap()),
            control: false,
            forwarded: false,
            headers: Vec::new(),
            traceparent: None,
        };
        self.view.take(&self.codec, &stored);
        offset
    }

    pub(super) fn list(&mut self, name: &str, domain: &str, status: AgentStatus) {
        self.agent(&agent(name, domain, status));
    }

    pub(super) fn agent(&mut self, agent: &Agent) {
        self.tell(agent.agent_id.as_str(), agent, 0);
    }

    pub(super) fn round(&mut self, id: ProposalId, state: RoundState, at: i64) {
        self.round_closed(id, state, at, None);
    }

    /// Tells a proposal that lies at an offset.
    pub(super) fn propose(&mut self, id: ProposalId, domain: &str, offset: i64) {
        let next = std::mem::replace(&mut self.offset, offset);
        self.tell(&id.to_string(), &proposal(id, domain), 1);
        self.offset = next;
    }

    /// Tells a record of an agent under the key of another.
    pub(super) fn list_under(&mut self, key: &str, name: &str, domain: &str) {
        self.tell(key, &agent(name, domain, AgentStatus::Active), 0);
    }

    /// Tells a round, and where it closed.
    pub(super) fn round_closed(
        &mut self,
        id: ProposalId,
        state: RoundState,
        at: i64,
        closed: Option<i64>,
    ) {
        self.round_as(id, state, at, closed.map(closed_at));
    }

    /// Tells a round that waits for people, some of whom have approved it.
    pub(super) fn escalated(&mut self, id: ProposalId, at: i64, stakes: Stakes, by: &[&str]) {
        let approval = |name: &&str| Judged {
            decision_id: String::new(),
            reviewer: (*name).to_owned(),
            digest: Digest::default(),
            offset: Offset(0),
            timestamp: Timestamp(at),
            agents_offset: Offset(0),
        };
        let closed = Closed {
            stakes,
            approvals: by.iter().map(approval).collect(),
            ..closed_at(0)
        };
        self.round_as(id, RoundState::Escalated, at, Some(closed));
    }

    fn round_as(&mut self, id: ProposalId, state: RoundState, at: i64, closed: Option<Closed>) {
        let proposal = proposal(id, "pay.out");
        let opening = Opening {
            proposal_offset: Offset(if id == OTHER { 1 } else { 0 }),
            proposal_time: Timestamp(at),
            responses_time: Timestamp(at),
            deadline: Timestamp(at + 1_000),
            proposal_digest: Digest::default(),
            proposal: Bytes(match state {
                RoundState::Closed => Vec::new(),
                _ => self.codec.encode(&proposal).unwrap(),
            }),
            proposer: AgentId::from("desk"),
            pattern: "pay".to_owned(),
            policy_digest: Digest::default(),
            rules_revision: 1,
            pins: Pins {
                agents: Offset(self.offset),
                ..Pins::NONE
            },
            traceparent: None,
        };
        let round = Round {
            proposal_id: id,
            state,
            opening,
            closed,
            snapshot: None,
        };
        self.tell(&id.to_string(), &round, at);
    }

    /// Tells what a round came to.
    pub(super) fn outcome(&mut self, id: ProposalId, at: i64) -> i64 {
        let closed = closed_at(0);
        let decision = DecisionPart {
            proposal_digest: Digest::default(),
            policy_digest: Digest::default(),
            rules_revision: 1,
            status: Status::Approved,
            reasons: Vec::new(),
            endorse: Sum::default(),
            challenge: Sum::default(),
            n: 0,
            p: Millionths::ZERO,
            margin_reached: Sum::default(),
            margin_needed: Sum::default(),
            mean_confidence: Millionths::ZERO,
            would_be: Status::Approved,
            stakes: Stakes::Low,
            resolved_by: ResolvedBy::Protocol,
            ballots: Vec::new(),
            influence: Vec::new(),
        };
        let outcome = Outcome {
            proposal_id: id,
            resolution: 1,
            r#final: true,
            decision,
            decision_digest: Digest::default(),
            coordinates: closed.coordinates,
        };
        self.tell(&id.to_string(), &outcome, at)
    }

    pub(super) fn answer(&mut self, at: i64) -> i64 {
        let response = Response {
            response_id: "r".into(),
            proposal_id: ID.to_string().into(),
            proposal_digest: None,
            agent_id: "ada".into(),
            verdict: Verdict::Endorse,
            confidence: 0.9,
            reasoning: "".into(),
            evidence: Vec::new(),
        };
        self.tell(&ID.to_string(), &response, at)
    }

    pub(super) fn refuse(&mut self, offset: i64, at: i64) {
        let letter = DeadLetter {
            topic: "responses".to_owned(),
            partition: 0,
            offset: Offset(offset),
            timestamp: Timestamp(at),
            key: Some(Bytes(ID.to_string().into_bytes())),
            value: None,
            reason: "reasoning_missing".to_owned(),
            detail: String::new(),
            judged_by: Pins::NONE,
        };
        self.tell(&ID.to_string(), &letter, at);
    }

    pub(super) fn inbox(&self) -> usize {
        self.view.known().inbox("ada", None, None, 999).len()
    }

    pub(super) fn knows(&self, id: ProposalId) -> bool {
        self.view.known().round(&id).is_some()
    }

    pub(super) fn refused(&self, offset: i64) -> bool {
        let place = (Topic::Responses, 0, offset);
        self.view.known().letter(&place).is_some()
    }
}

fn proposal(id: ProposalId, domain: &str) -> Proposal {
    Proposal {
        proposal_id: id.to_string(),
        proposer: "desk".to_owned(),
        domain: domain.to_owned(),
        action: Action::default(),
        summary: String::new(),
        rationale: String::new(),
        confidence: 0.9,
        stakes: Stakes::Low,
        deadline: None,
        supersedes: None,
        labels: Vec::new(),
    }
}

/// An agent that holds a domain.
pub(super) fn agent(name: &str, domain: &str, status: AgentStatus) -> Agent {
    let grant = Grant {
        domain: domain.to_owned(),
        authority: Millionths::new(1).unwrap(),
        prior: None,
    };
    Agent {
        agent_id: AgentId::from(name),
        kind: AgentKind::Agent,
        display_name: String::new(),
        principal: name.to_owned(),
        model_family: None,
        domains: vec![grant],
        reviews: Vec::new(),
        public_keys: Vec::new(),
        status,
    }
}

fn closed_at(offset: i64) -> Closed {
    let coordinates = Coordinates {
        partition: 0,
        proposal_offset: Offset(0),
        proposal_time: Timestamp(0),
        deadline: Timestamp(0),
        closing_offset: Offset(offset),
        closing_time: Timestamp(0),
        closed_early: false,
        pins: Pins::NONE,
        superseded: Vec::new(),
        judged: Vec::new(),
        traceparent: None,
    };
    Closed {
        resolution: 1,
        status: Status::Approved,
        resolved_by: ResolvedBy::Protocol,
        decision: None,
        decision_digest: Digest::default(),
        stakes: Stakes::Low,
        coordinates,
        package: None,
        package_digest: None,
        tier: 0,
        approvals: Vec::new(),
        voters: Vec::new(),
        lessons: Vec::new(),
        settlement: None,
    }
}

/// Somebody who reviews payments up to some stakes.
pub(super) fn reviewer(name: &str, principal: &str, up_to_stakes: Stakes) -> Agent {
    let review = Review {
        domain: "pay".to_owned(),
        up_to_stakes,
    };
    Agent {
        kind: AgentKind::Human,
        principal: principal.to_owned(),
        domains: Vec::new(),
        reviews: vec![review],
        ..agent(name, "pay", AgentStatus::Active)
    }
}

/// A log that takes nothing, and says how far processors and its dead letters are.
pub(super) struct Fake {
    codec: Arc<Codec>,
    pub(super) committed: Arc<AtomicI64>,
    pub(super) letters: Arc<AtomicI64>,
    /// Where every other topic ends.
    pub(super) end: Arc<AtomicI64>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            codec: Arc::new(Codec::single_object()),
            committed: Arc::default(),
            letters: Arc::default(),
            end: Arc::default(),
        }
    }
}

impl Handle for Fake {
    fn partitions(&self) -> Result<i32, Error> {
        Ok(1)
    }

    fn codec(&self) -> &Arc<Codec> {
        &self.codec
    }

    fn append(&self, _entries: &[Entry<'_>]) -> Result<Vec<Appended>, Error> {
        Err(Error::TimedOut("append".to_owned()))
    }

    fn lacks(&self, topic: Topic) -> Result<Option<String>, Error> {
        Ok(Some(format!("there is no `{topic}`")))
    }

    fn share(&self, _name: &str, _topic: Topic) -> Result<Box<dyn Shared>, Error> {
        Err(Error::TimedOut("share".to_owned()))
    }

    fn reader(&self) -> Result<Box<dyn Reading + Send>, Error> {
        let (letters, end) = (Arc::clone(&self.letters), Arc::clone(&self.end));
        Ok(Box::new(Ends { letters, end }))
    }

    fn committed(&self, _topic: Topic, _partition: i32) -> Result<Option<i64>, Error> {
        Ok(Some(self.committed.load(Ordering::SeqCst)))
    }

    fn positions(&self) -> Result<BTreeMap<i32, Committed>, Error> {
        Err(Error::TimedOut("ask for positions".to_owned()))
    }
}

/// What says where the dead letters end: the far end; what is stable is behind it.
struct Ends {
    letters: Arc<AtomicI64>,
    end: Arc<AtomicI64>,
}

impl Reading for Ends {
    fn ends(&self, _topic: Topic, _partition: i32) -> Result<(i64, i64), Error> {
        Ok((0, self.end.load(Ordering::SeqCst)))
    }

    fn far_ends(&self, _topic: Topic, _partition: i32) -> Result<(i64, i64), Error> {
        Ok((0, self.letters.load(Ordering::SeqCst)))
    }

    fn read_to(
        &self,
        _topic: Topic,
        _partition: i32,
        _from: i64,
        _end: i64,
        _each: &mut dyn FnMut(Stored) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn go_to(&self, _places: &[(Topic, i32, Start)]) -> Result<(), Error> {
        Ok(())
    }

    fn next(&self, _timeout: Duration) -> Result<Option<Stored>, Error> {
        Ok(None)
    }

    fn position(&self, _topic: Topic, _partition: i32) -> Option<i64> {
        None
    }
}
