//! What results teach: trust updates, and the scores they lead to.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::input::{Basis, ResultKind, Verdict};
use super::outcome::Coordinates;
use crate::ids::{AgentId, Digest, Offset, ProposalId, Timestamp};
use crate::millionths::Millionths;

/// One result and the ballots it teaches, folded by the owner of its trust domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustUpdate {
    /// Where the track records are kept; the record's key.
    pub trust_domain: String,
    /// The round.
    pub proposal_id: ProposalId,
    /// The reporter's id for the result.
    pub result_id: String,
    /// SHA-256 of the result's value bytes after the framing header.
    pub result_digest: Digest,
    /// Who reported it.
    pub reporter: String,
    /// RIGHT or WRONG; UNKNOWN only in a correction.
    pub result: ResultKind,
    /// How it is known.
    pub basis: Basis,
    /// The result this one takes back.
    pub corrects: Option<Correction>,
    /// Own results after which a record has faded by half; none: never.
    pub half_life: Option<i32>,
    /// The first outcome's decision part, by digest.
    pub decision_digest: Digest,
    /// Where the round was decided.
    pub outcome: Coordinates,
    /// The result's offset in `acp.results`.
    pub result_offset: Offset,
    /// The result's append time.
    pub result_time: Timestamp,
    /// The last offset of `acp.agents` the reporter was judged by.
    pub agents_offset: Offset,
    /// The counted endorsements and challenges of weight above 0, sorted by agent.
    pub ballots: Vec<Lesson>,
}

/// The result in force that a correction takes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// The reporter's id for it.
    pub result_id: String,
    /// RIGHT or WRONG.
    pub result: ResultKind,
}

/// A counted ballot as it teaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lesson {
    /// Whose.
    pub agent_id: AgentId,
    /// ENDORSE or CHALLENGE.
    pub verdict: Verdict,
    /// How sure.
    pub confidence: Millionths,
    /// The authority it was weighed with.
    pub authority: Millionths,
    /// a0 in billionths: the prior's right count, or the newcomer's 2.
    pub a0: i64,
    /// b0 in billionths: the prior's wrong count, or the newcomer's 1.
    pub b0: i64,
    /// An inherited start, used if the agent has no score at the fold.
    pub start: Option<Start>,
}

/// A start inherited from an earlier agent of the same principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// a in billionths.
    pub a: i64,
    /// b in billionths.
    pub b: i64,
    /// ln m in billionths.
    pub ln_m: i64,
}

/// An agent's track record in a trust domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustScore {
    /// Where it is kept.
    pub trust_domain: String,
    /// Whose; the record's key is `trust_domain:agent_id`.
    pub agent_id: AgentId,
    /// What its votes are multiplied by.
    pub trust: Millionths,
    /// Right counts in billionths.
    pub a: i64,
    /// Wrong counts in billionths.
    pub b: i64,
    /// Logarithm of the novelty factor, in billionths.
    pub ln_m: i64,
    /// a of the start it fades towards, in billionths.
    pub a0: i64,
    /// b of the start it fades towards, in billionths.
    pub b0: i64,
    /// How many updates it has had.
    pub revision: i64,
    /// Partition of the update it follows from.
    pub update_partition: i32,
    /// Offset of the update it follows from.
    pub update_offset: Offset,
}
