//! A closed round in few bytes: what many rounds have in common is named once, and what a record
//! says twice is kept once.

use std::hash::Hash;

use foldhash::HashMap;
use quorate_core::ids::{AgentId, Digest, Millis, Offset, ProposalId, Timestamp};
use quorate_core::millionths::Millionths;
use quorate_core::records::{
    Closed, Coordinates, Judged, Lesson, Opening, Pins, ResolvedBy, Round, RoundState, Settlement,
    Stakes, Start, Status, Superseded, Verdict,
};
use serde::{Deserialize, Serialize};

/// What rounds have in common, by number. It grows with the tables, not with the rounds.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    agents: Pool<AgentId>,
    policies: Pool<(String, Digest)>,
    priors: Pool<(i64, i64)>,
    /// Where a round is packed.
    room: Vec<u8>,
}

/// Values and their numbers.
#[derive(Clone, Debug)]
struct Pool<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            numbers: HashMap::default(),
        }
    }
}

impl<T: Eq + Hash + Clone> Pool<T> {
    fn number(&mut self, value: &T) -> Option<u32> {
        if let Some(number) = self.numbers.get(value) {
            return Some(*number);
        }
        let number = u32::try_from(self.values.len()).ok()?;
        self.values.push(value.clone());
        self.numbers.insert(value.clone(), number);
        Some(number)
    }

    fn value(&self, number: u32) -> Option<T> {
        self.values.get(usize::try_from(number).ok()?).cloned()
    }
}

/// A round that has closed, without what its place says: its id.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Slim {
    proposal_digest: Digest,
    decision_digest: Digest,
    /// Stream time of the proposal; other times are counted from it.
    proposal_time: Timestamp,
    responses_time: Millis,
    deadline: Millis,
    closing_time: Millis,
    proposal_offset: Offset,
    closing_offset: Offset,
    pins: Pins,
    partition: i32,
    proposer: u32,
    policy: u32,
    rules_revision: i32,
    resolution: i32,
    tier: i32,
    status: Status,
    resolved_by: ResolvedBy,
    stakes: Stakes,
    closed_early: bool,
    lessons: Vec<Taught>,
    /// Those counted without a lesson.
    others: Vec<u32>,
    settlement: Option<Settlement>,
    rare: Option<Box<Rare>>,
}

/// A lesson; confidence and authority in millionths.
#[derive(Debug, Serialize, Deserialize)]
struct Taught {
    agent: u32,
    verdict: Verdict,
    confidence: u64,
    authority: u64,
    prior: u32,
    start: Option<Start>,
}

/// What most rounds do not have.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Rare {
    traceparent: Option<String>,
    superseded: Vec<Superseded>,
    judged: Vec<Judged>,
    approvals: Vec<Judged>,
    package_digest: Option<Digest>,
}

/// Whether everything about a closed round follows from what [`Slim`] has of it.
fn is_usual(round: &Round) -> bool {
    let opening = &round.opening;
    let Some(closed) = &round.closed else {
        return false;
    };
    let at = &closed.coordinates;
    let same = at.proposal_offset == opening.proposal_offset
        && at.proposal_time == opening.proposal_time
        && at.deadline == opening.deadline
        && at.pins == opening.pins
        && at.traceparent == opening.traceparent;
    let time = opening.proposal_time;
    let near = |other: Timestamp| time.plus(other.since(time)) == other;
    same && round.state == RoundState::Closed
        && round.snapshot.is_none()
        && opening.proposal.0.is_empty()
        && closed.decision.is_none()
        && closed.package.is_none()
        && [opening.responses_time, opening.deadline, at.closing_time]
            .into_iter()
            .all(near)
        && closed.voters.is_sorted_by(|one, next| one < next)
        && closed
            .lessons
            .is_sorted_by(|one, next| one.agent_id < next.agent_id)
}

/// The voters without a lesson; none if a lesson is no voter's. Both are sorted by agent.
fn untaught(closed: &Closed) -> Option<Vec<&AgentId>> {
    let lessons = closed.lessons.iter().map(|lesson| &lesson.agent_id);
    let mut lessons = lessons.peekable();
    let voters = closed.voters.iter();
    let others = voters.filter(|agent| lessons.next_if(|taught| taught == agent).is_none());
    let others = others.collect();
    lessons.peek().is_none().then_some(others)
}

impl Slim {
    /// A closed round in few bytes; none if that would lose something.
    pub(super) fn pack(round: &Round, names: &mut Names) -> Option<Box<[u8]>> {
        if !is_usual(round) {
            return None;
        }
        let slim = Self::of(round, names)?;
        names.room.clear();
        names.room = postcard::to_extend(&slim, std::mem::take(&mut names.room)).ok()?;
        let packed = Box::from(&names.room[..]);
        debug_assert!(
            Self::unpack(round.proposal_id, &packed, names).as_ref() == Some(round),
            "a packed round must be read back as it was"
        );
        Some(packed)
    }

    /// What [`Slim::pack`] made smaller.
    pub(super) fn unpack(id: ProposalId, packed: &[u8], names: &Names) -> Option<Round> {
        postcard::from_bytes::<Self>(packed).ok()?.round(id, names)
    }

    fn of(round: &Round, names: &mut Names) -> Option<Self> {
        let (opening, closed) = (&round.opening, round.closed.as_ref()?);
        let at = &closed.coordinates;
        let lesson = |lesson: &Lesson| {
            Some(Taught {
                agent: names.agents.number(&lesson.agent_id)?,
                verdict: lesson.verdict,
                confidence: lesson.confidence.get(),
                authority: lesson.authority.get(),
                prior: names.priors.number(&(lesson.a0, lesson.b0))?,
                start: lesson.start,
            })
        };
        let lessons = closed.lessons.iter().map(lesson).collect::<Option<_>>()?;
        let others = untaught(closed)?.into_iter();
        let others = others.map(|agent| names.agents.number(agent));
        let rare = Rare {
            traceparent: opening.traceparent.clone(),
            superseded: at.superseded.clone(),
            judged: at.judged.clone(),
            approvals: closed.approvals.clone(),
            package_digest: closed.package_digest,
        };
        let policy = (opening.pattern.clone(), opening.policy_digest);
        Some(Self {
            proposal_digest: opening.proposal_digest,
            decision_digest: closed.decision_digest,
            proposal_time: opening.proposal_time,
            responses_time: opening.responses_time.since(opening.proposal_time),
            deadline: opening.deadline.since(opening.proposal_time),
            closing_time: at.closing_time.since(opening.proposal_time),
            proposal_offset: opening.proposal_offset,
            closing_offset: at.closing_offset,
            pins: opening.pins,
            partition: at.partition,
            others: others.collect::<Option<_>>()?,
            proposer: names.agents.number(&opening.proposer)?,
            policy: names.policies.number(&policy)?,
            rules_revision: opening.rules_revision,
            resolution: closed.resolution,
            tier: closed.tier,
            status: closed.status,
            resolved_by: closed.resolved_by,
            stakes: closed.stakes,
            closed_early: at.closed_early,
            lessons,
            settlement: closed.settlement.clone(),
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
        })
    }

    fn round(self, proposal_id: ProposalId, names: &Names) -> Option<Round> {
        let rare = self.rare.as_deref();
        let traceparent = rare.and_then(|rare| rare.traceparent.clone());
        let (pattern, policy_digest) = names.policies.value(self.policy)?;
        let opening = Opening {
            proposal_offset: self.proposal_offset,
            proposal_time: self.proposal_time,
            responses_time: self.proposal_time.plus(self.responses_time),
            deadline: self.proposal_time.plus(self.deadline),
            proposal_digest: self.proposal_digest,
            proposal: quorate_core::ids::Bytes(Vec::new()),
            proposer: names.agents.value(self.proposer)?,
            pattern,
            policy_digest,
            rules_revision: self.rules_revision,
            pins: self.pins,
            traceparent: traceparent.clone(),
        };
        let coordinates = Coordinates {
            partition: self.partition,
            proposal_offset: self.proposal_offset,
            proposal_time: self.proposal_time,
            deadline: opening.deadline,
            closing_offset: self.closing_offset,
            closing_time: self.proposal_time.plus(self.closing_time),
            closed_early: self.closed_early,
            pins: self.pins,
            superseded: rare.map_or_else(Vec::new, |rare| rare.superseded.clone()),
            judged: rare.map_or_else(Vec::new, |rare| rare.judged.clone()),
            traceparent,
        };
        let lessons = self.lessons.iter().map(|taught| taught.lesson(names));
        let lessons = lessons.collect::<Option<Vec<_>>>()?;
        let others = self.others.iter().map(|&agent| names.agents.value(agent));
        let mut voters = others.collect::<Option<Vec<_>>>()?;
        voters.extend(lessons.iter().map(|lesson| lesson.agent_id.clone()));
        voters.sort();
        let closed = Closed {
            resolution: self.resolution,
            status: self.status,
            resolved_by: self.resolved_by,
            decision: None,
            decision_digest: self.decision_digest,
            stakes: self.stakes,
            coordinates,
            package: None,
            package_digest: rare.and_then(|rare| rare.package_digest),
            tier: self.tier,
            approvals: rare.map_or_else(Vec::new, |rare| rare.approvals.clone()),
            voters,
            lessons,
            settlement: self.settlement,
        };
        Some(Round {
            proposal_id,
            state: RoundState::Closed,
            opening,
            closed: Some(closed),
            snapshot: None,
        })
    }
}

impl Taught {
    fn lesson(&self, names: &Names) -> Option<Lesson> {
        let (a0, b0) = names.priors.value(self.prior)?;
        Some(Lesson {
            agent_id: names.agents.value(self.agent)?,
            verdict: self.verdict,
            confidence: Millionths::new(self.confidence.try_into().ok()?)?,
            authority: Millionths::new(self.authority.try_into().ok()?)?,
            a0,
            b0,
            start: self.start,
        })
    }
}
