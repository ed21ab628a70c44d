//! `acp.rounds`: the state of every round, each record complete in itself.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::input::{ResultKind, Stakes};
use super::learning::Lesson;
use super::outcome::{Coordinates, DecisionPart, Judged, Pins, ResolvedBy, Status};
use super::package::PackageContent;
use crate::ids::{AgentId, Bytes, Digest, Offset, ProposalId, Timestamp};

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
