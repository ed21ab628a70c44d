//! What a round came to, with everything needed to recompute it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::input::{Stakes, Verdict};
use crate::ids::{AgentId, Digest, Offset, ProposalId, Timestamp};
use crate::millionths::{Millionths, Sum};

/// What a round came to: the protocol's outcome, or a human's (or a timeout's) after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The round; the record's key.
    pub proposal_id: ProposalId,
    /// 1: the protocol's; 2: the last one of an escalated round.
    pub resolution: i32,
    /// Whether no further outcome follows.
    pub r#final: bool,
    /// What was decided, and why.
    pub decision: DecisionPart,
    /// SHA-256 of the decision part's Avro datum.
    pub decision_digest: Digest,
    /// Where on the log it was decided.
    pub coordinates: Coordinates,
}

/// The part of an outcome that is the same on every transport.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionPart {
    /// SHA-256 of the proposal's value bytes after the framing header.
    pub proposal_digest: Digest,
    /// The governing policy.
    pub policy_digest: Digest,
    /// The rules the round was opened under.
    pub rules_revision: i32,
    /// Approved, rejected or escalated.
    pub status: Status,
    /// All reasons that apply, in the protocol's order; the first decides.
    pub reasons: Vec<Reason>,
    /// E: summed weight of counted endorsements.
    #[serde(rename = "E")]
    pub endorse: Sum,
    /// C: summed weight of counted challenges.
    #[serde(rename = "C")]
    pub challenge: Sum,
    /// Counted endorsements and challenges.
    pub n: i32,
    /// The collective's probability that the proposal is good; 0 where n = 0.
    pub p: Millionths,
    /// The margin reached: relative, or |E − C| of the evidence margin.
    pub margin_reached: Sum,
    /// The margin needed: the policy's, or ⌈√(n·k²)⌉ of the evidence margin.
    pub margin_needed: Sum,
    /// ⌊Σ w·c / Σ w⌋ over counted endorsements and challenges.
    pub mean_confidence: Millionths,
    /// The status but for shadow mode.
    pub would_be: Status,
    /// The stakes that counted.
    pub stakes: Stakes,
    /// Who resolved it.
    pub resolved_by: ResolvedBy,
    /// Every agent's ballot, sorted by agent.
    pub ballots: Vec<Ballot>,
    /// For each counted ballot, the status without it; sorted by agent.
    pub influence: Vec<Influence>,
}

/// What a round came to; unknown symbols read as [`Status::Escalated`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// The action is to be taken.
    Approved,
    /// It is not.
    Rejected,
    /// A human decides.
    #[default]
    #[serde(other)]
    Escalated,
}

/// Why a round came to its status, in the order they are listed; unknown symbols read as
/// [`Reason::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// Records of the round's span are gone from the log.
    InputLost,
    /// The policy, or an agent whose ballots mattered, is suspended.
    Suspended,
    /// The stakes that counted reach the policy's.
    HighStakes,
    /// A required domain has no counted ballot.
    RequiredMissing,
    /// Too few principals spoke with weight, or nobody did.
    QuorumNotMet,
    /// They spoke, but it weighs too little.
    Unproven,
    /// They are not sure enough.
    LowConfidence,
    /// A veto stands against an endorsing margin.
    Veto,
    /// Shadow mode.
    Shadow,
    /// The margin is met.
    MarginMet,
    /// E = C > 0.
    Tie,
    /// Neither side meets the margin.
    MarginNotMet,
    /// A human decided.
    HumanDecision,
    /// A human sent it back.
    SentBack,
    /// Nobody decided in time.
    DecisionTimeout,
    /// A reason of later rules: read by older programs, written by none.
    #[serde(other)]
    Other,
}

/// Who resolved a round; unknown symbols read as [`ResolvedBy::Protocol`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ResolvedBy {
    /// A human.
    Human,
    /// A decision deadline.
    Timeout,
    /// The mathematics.
    #[default]
    #[serde(other)]
    Protocol,
}

/// A response as it was counted, or why it was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// Whose it is.
    pub agent_id: AgentId,
    /// SHA-256 of the response's value bytes after the framing header; the proposal's for the
    /// proposer's own ballot.
    pub response_digest: Digest,
    /// What it says.
    pub verdict: Verdict,
    /// How sure.
    pub confidence: Millionths,
    /// The agent's authority at the pins.
    pub authority: Millionths,
    /// The agent's trust at the pins.
    pub trust: Millionths,
    /// The revision of that trust; 0 without a score.
    pub trust_revision: i64,
    /// The weight it got, after caps; 0 for an abstention.
    pub weight: Millionths,
    /// Whether it was counted.
    pub counted: bool,
    /// If not, why.
    pub reason: Option<Uncounted>,
}

/// Why a ballot was not counted; unknown symbols read as [`Uncounted::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Uncounted {
    /// Its agent has no authority in the domain.
    Observer,
    /// It weighs nothing.
    ZeroWeight,
    /// Its agent was suspended while the round was open.
    Suspended,
    /// A reason of later rules: read by older programs, written by none.
    #[serde(other)]
    Other,
}

/// The status of a round had one counted ballot not been there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Influence {
    /// Whose ballot is taken out.
    pub agent_id: AgentId,
    /// The status without it.
    pub status: Status,
}

/// Where on the log a round was decided: offsets, times, pins and trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coordinates {
    /// Partition of the round-keyed topics.
    pub partition: i32,
    /// Offset of the proposal.
    pub proposal_offset: Offset,
    /// Stream time of `acp.proposals` at that offset.
    pub proposal_time: Timestamp,
    /// The round's deadline.
    pub deadline: Timestamp,
    /// Offset in `acp.responses` of the record that closed the round.
    pub closing_offset: Offset,
    /// Stream time of `acp.responses` at that offset.
    pub closing_time: Timestamp,
    /// Whether it closed before its deadline.
    pub closed_early: bool,
    /// The tables' offsets the round was decided by.
    pub pins: Pins,
    /// Responses that a later (or earlier) one of the same agent replaced, sorted by agent.
    pub superseded: Vec<Superseded>,
    /// Human decisions that led here, in order; empty for the protocol's outcome.
    pub judged: Vec<Judged>,
    /// W3C `traceparent` of the proposal.
    pub traceparent: Option<String>,
}

/// The tables' offsets in force when a round opened, each of the last record read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    /// Of `acp.agents`.
    pub agents: Offset,
    /// Of `acp.policies`.
    pub policies: Offset,
    /// Of `acp.trust`.
    pub trust: Offset,
}

impl Pins {
    /// The pins of tables of which nothing was read.
    pub const NONE: Self = Self {
        agents: Offset::NONE,
        policies: Offset::NONE,
        trust: Offset::NONE,
    };

    /// The higher of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            agents: self.agents.max(other.agents),
            policies: self.policies.max(other.policies),
            trust: self.trust.max(other.trust),
        }
    }

    /// Whether each is at least the other's.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.max(other) == self
    }
}

/// An agent's admitted responses that are not its ballot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// Whose they are.
    pub agent_id: AgentId,
    /// Their digests by offset, sixteen at most.
    pub response_digests: Vec<Digest>,
    /// How many more there were.
    pub further: i32,
}

/// A human decision as it was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The reviewer's id for it.
    pub decision_id: String,
    /// The reviewer.
    pub reviewer: String,
    /// SHA-256 of the decision's value bytes after the framing header.
    pub digest: Digest,
    /// Its offset in `acp.decisions`.
    pub offset: Offset,
    /// Its append time.
    pub timestamp: Timestamp,
    /// The last offset of `acp.agents` the reviewer was judged by.
    pub agents_offset: Offset,
}
