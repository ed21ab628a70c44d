//! `acp.rounds`: the state of every round, each record complete in itself.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::input::{ResultKind, Stakes, Verdict};
use super::learning::Lesson;
use super::outcome::{Coordinates, DecisionPart, Judged, Pins, ResolvedBy, Status};
use super::package::PackageContent;
use crate::ids::{AgentId, Bytes, Digest, Offset, ProposalId, Timestamp};
use crate::millionths::Millionths;

/// A round's state; it replaces the one before under compaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// The round; the record's key.
    pub proposal_id: ProposalId,
    /// Where it stands.
    pub state: RoundState,
    /// How it was opened.
    pub opening: Opening,
    /// What it came to, once it closed.
    pub closed: Option<Closed>,
    /// While OPEN, what was said by the responses up to an offset, if that was written down: from
    /// there on they are read again.
    #[serde(default)]
    pub snapshot: Option<Snapshot>,
}

/// Where a round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RoundState {
    /// Responses are taken.
    Open,
    /// A human is asked.
    Escalated,
    /// The last outcome is out; results are taken.
    Closed,
}

/// What was said in an open round by the responses before an offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The offset in `acp.responses`, exclusive.
    pub upto: Offset,
    /// Each agent's ballot so far, sorted by agent; a proposal that is its proposer's is not here.
    pub ballots: Vec<Stated>,
    /// Digests of admitted responses that no ballot lists.
    pub unlisted: Vec<Digest>,
    /// Agents suspended while the round was open, sorted.
    pub suspended: Vec<AgentId>,
    /// Whether the policy was suspended while the round was open.
    pub pattern_suspended: bool,
    /// Whether records of its span are gone.
    pub input_lost: bool,
}

/// What an agent has said in an open round, and what that replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// Whose it is.
    pub agent_id: AgentId,
    /// SHA-256 of the response's value bytes after the framing header.
    pub response_digest: Digest,
    /// Endorse, challenge or abstain.
    pub verdict: Verdict,
    /// How sure.
    pub confidence: Millionths,
    /// Why.
    pub reasoning: String,
    /// What it rests on.
    pub evidence: Vec<String>,
    /// The responses it replaced, or that came after it, by offset; sixteen at most.
    pub superseded: Vec<Digest>,
    /// How many more there were.
    pub further: i32,
}

/// The choices made once, by whoever opened the round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Offset of the proposal in `acp.proposals`.
    pub proposal_offset: Offset,
    /// Stream time of `acp.proposals` at that offset.
    pub proposal_time: Timestamp,
    /// Stream time of `acp.responses` when the round was opened.
    pub responses_time: Timestamp,
    /// Responses at or before it count.
    pub deadline: Timestamp,
    /// SHA-256 of the proposal's value bytes after the framing header.
    pub proposal_digest: Digest,
    /// The proposal's value as it lay, framing header included; empty once the round is CLOSED.
    pub proposal: Bytes,
    /// The agent that proposed.
    pub proposer: AgentId,
    /// Pattern of the governing policy.
    pub pattern: String,
    /// Digest of the governing policy.
    pub policy_digest: Digest,
    /// The rules the round is resolved by.
    pub rules_revision: i32,
    /// The tables' offsets in force.
    pub pins: Pins,
    /// W3C `traceparent` of the proposal.
    pub traceparent: Option<String>,
}

/// What a round came to, and what has happened since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// 1 or 2: the last outcome's.
    pub resolution: i32,
    /// The status of the last outcome.
    pub status: Status,
    /// Who resolved it.
    pub resolved_by: ResolvedBy,
    /// While ESCALATED, the first outcome's decision part: the second one is made from it.
    pub decision: Option<DecisionPart>,
    /// The digest of the first outcome's decision part.
    pub decision_digest: Digest,
    /// The stakes that counted.
    pub stakes: Stakes,
    /// Where the round was decided.
    pub coordinates: Coordinates,
    /// While ESCALATED, what the human was shown.
    pub package: Option<PackageContent>,
    /// The package's digest, if there was one.
    pub package_digest: Option<Digest>,
    /// Tier of the escalation, 1 to 3; 0 if the round never escalated.
    pub tier: i32,
    /// Approvals of the package so far.
    pub approvals: Vec<Judged>,
    /// Agents whose ballots were counted, abstentions included; sorted.
    pub voters: Vec<AgentId>,
    /// What each counted agent starts from, fixed at the pins; sorted by agent.
    pub lessons: Vec<Lesson>,
    /// The result in force.
    pub settlement: Option<Settlement>,
}

/// The result in force for a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The reporter's id for it.
    pub result_id: String,
    /// RIGHT or WRONG.
    pub result: ResultKind,
    /// Offset of its record in `acp.results`.
    pub offset: Offset,
}
