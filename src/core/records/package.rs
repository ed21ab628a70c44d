//! What a human gets with an escalation.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::input::{Proposal, Verdict};
use super::outcome::{Coordinates, DecisionPart, Judged};
use super::policy::OnDecisionTimeout;
use crate::ids::{AgentId, Bytes, Digest, ProposalId, Timestamp};
use crate::millionths::Millionths;

/// An escalation: everything a human needs to decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionPackage {
    /// The round; the record's key.
    pub proposal_id: ProposalId,
    /// What the digest covers, the same in every tier.
    pub content: PackageContent,
    /// SHA-256 of the content's Avro datum; a decision names it.
    pub package_digest: Digest,
    /// 1 to 3.
    pub tier: i32,
    /// When this tier ends, by the stream time of `acp.decisions`.
    pub due: Timestamp,
    /// What happens then.
    pub on_decision_timeout: OnDecisionTimeout,
    /// Reviewers who must approve.
    pub approvals_needed: i32,
    /// Those who did so far.
    pub approvals: Vec<Judged>,
    /// Other rounds on the same subject, as far as known.
    pub related: Vec<ProposalId>,
    /// Where on the log the round was decided.
    pub coordinates: Coordinates,
}

/// The part of a package that its digest covers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PackageContent {
    /// The proposal's value bytes after the framing header, as they lay on the log.
    pub proposal_bytes: Bytes,
    /// The same, decoded.
    pub proposal: Proposal,
    /// The outcome that escalated.
    pub decision: DecisionPart,
    /// SHA-256 of that decision part's datum.
    pub decision_digest: Digest,
    /// Every ballot's reasoning and evidence, heaviest first, then by agent.
    pub statements: Vec<Statement>,
    /// Active agents with authority in the domain that said nothing, sorted.
    pub silent: Vec<AgentId>,
    /// How sure those who were counted are.
    pub confidences: Confidences,
    /// The heaviest counted endorsement.
    pub strongest_for: Option<Argument>,
    /// The heaviest counted challenge.
    pub strongest_against: Option<Argument>,
}

/// What one agent said in words; all of it untrusted text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Who.
    pub agent_id: AgentId,
    /// Which response; the text is there if it is not here.
    pub response_digest: Digest,
    /// Whether the text is here.
    pub inlined: bool,
    /// Its reasoning; a proposer's rationale.
    pub reasoning: String,
    /// Its evidence.
    pub evidence: Vec<String>,
}

/// A pointer to a ballot, not made-up text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// Whose.
    pub agent_id: AgentId,
    /// Which.
    pub response_digest: Digest,
}

/// The distribution of confidence over counted ballots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confidences {
    /// One per verdict: ENDORSE, CHALLENGE, ABSTAIN.
    pub histograms: Vec<Histogram>,
    /// ⌊Σ c / count⌋; 0 if nobody was counted.
    pub mean: Millionths,
    /// Largest less smallest; 0 if nobody was counted.
    pub spread: Millionths,
}

/// Counted ballots of one verdict by confidence in tenths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// The verdict.
    pub verdict: Verdict,
    /// Ten counts; the last holds [0.9, 1].
    pub tenths: Vec<i32>,
}
