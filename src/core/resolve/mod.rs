//! What a round comes to: a pure function of its ballots, its policy and nothing else.
//!
//! [`resolve`] is total, and independent of the order of ballots. Weights are whole millionths
//! and margins are compared by cross-multiplication or squares: no float decides anything.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::electorate::Standing;
use crate::ids::{AgentId, Digest};
use crate::millionths::{Millionths, ONE, Sum};
use crate::records::{
    Ballot, DecisionPart, Policy, Reason, ResolvedBy, Stakes, Status, Uncounted, Verdict,
};
use crate::trust;

/// The revision of the rules written here; a round is resolved by the one it was opened under.
pub const RULES_REVISION: i32 = 1;

/// One agent's ballot as it was admitted, with what the agent brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Whose.
    pub agent_id: AgentId,
    /// Digest of the response; of the proposal for the proposer's own ballot.
    pub response_digest: Digest,
    /// What it says.
    pub verdict: Verdict,
    /// How sure.
    pub confidence: Millionths,
    /// What the agent brings; shared between rounds of equal pins where the caller can.
    pub standing: Arc<Standing>,
    /// Whether a control record took the agent out of the running round.
    pub suspended: bool,
}

/// A round as it is resolved.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// SHA-256 of the proposal's value bytes after the framing header.
    pub proposal_digest: Digest,
    /// The governing policy.
    pub policy: &'a Policy,
    /// The stakes that count: the higher of the declared and the floor's.
    pub stakes: Stakes,
    /// Who proposed.
    pub proposer: &'a AgentId,
    /// The proposer's principal.
    pub proposer_principal: &'a str,
    /// One voice an agent, in any order, the proposer's own among them.
    pub voices: &'a [Voice],
    /// Whether a control record suspended the governing pattern.
    pub pattern_suspended: bool,
    /// Whether records of the round's span are gone from the log.
    pub input_lost: bool,
}

/// What the round comes to, and why.
#[must_use]
pub fn resolve(case: &Case<'_>) -> DecisionPart {
    let mut ballots: Vec<Ballot> = case
        .voices
        .iter()
        .map(|voice| ballot(case, voice))
        .collect();
    ballots.sort_by(|one, other| one.agent_id.cmp(&other.agent_id));
    let side = |verdict| {
        let counted = ballots
            .iter()
            .filter(move |b| b.counted && b.verdict == verdict);
        counted.map(|ballot| ballot.weight.get()).sum::<u64>()
    };
    let (endorse, challenge) = (side(Verdict::Endorse), side(Verdict::Challenge));
    let needed = case.policy.quorum_margin.unwrap_or(Millionths::ONE).get();
    let (lead, total) = (endorse.abs_diff(challenge), endorse + challenge);
    let (status, reason) = if total == 0 {
        (Status::Escalated, Reason::QuorumNotMet)
    } else if lead == 0 {
        (Status::Escalated, Reason::Tie)
    } else if u128::from(lead) * u128::from(ONE) < u128::from(needed) * u128::from(total) {
        (Status::Escalated, Reason::MarginNotMet)
    } else if endorse > challenge {
        (Status::Approved, Reason::MarginMet)
    } else {
        (Status::Rejected, Reason::MarginMet)
    };
    let n = ballots
        .iter()
        .filter(|ballot| ballot.counted && ballot.verdict != Verdict::Abstain)
        .count();
    let p = trust::collective(Sum::new(endorse), Sum::new(challenge), n);
    DecisionPart {
        proposal_digest: case.proposal_digest,
        policy_digest: case.policy.digest,
        rules_revision: RULES_REVISION,
        status,
        reasons: [reason].into(),
        endorse: Sum::new(endorse),
        challenge: Sum::new(challenge),
        n: i32::try_from(n).unwrap_or(i32::MAX),
        p: Millionths::admit(if n == 0 { 0.0 } else { p }).unwrap_or(Millionths::ZERO),
        margin_reached: Sum::new((lead * ONE).checked_div(total).unwrap_or(0)),
        margin_needed: Sum::new(needed),
        mean_confidence: Millionths::ZERO,
        would_be: status,
        stakes: case.stakes,
        resolved_by: ResolvedBy::Protocol,
        ballots,
        influence: Vec::new(),
    }
}

/// A voice as it counts, before caps.
fn ballot(case: &Case<'_>, voice: &Voice) -> Ballot {
    let standing = &voice.standing;
    let counts =
        standing.qualified && (case.policy.proposer_counts || voice.agent_id != *case.proposer);
    let spoken = voice.verdict != Verdict::Abstain;
    let weight = trust::weight(standing.authority, voice.confidence, standing.trust);
    let reason = match (counts, voice.suspended) {
        (false, _) => Some(Uncounted::Observer),
        (true, true) => Some(Uncounted::Suspended),
        (true, false) if spoken && weight == 0 => Some(Uncounted::ZeroWeight),
        (true, false) => None,
    };
    let weight = if spoken && reason.is_none() {
        weight
    } else {
        0
    };
    Ballot {
        agent_id: voice.agent_id.clone(),
        response_digest: voice.response_digest,
        verdict: voice.verdict,
        confidence: voice.confidence,
        authority: if counts {
            standing.authority
        } else {
            Millionths::ZERO
        },
        trust: if counts {
            standing.trust
        } else {
            Millionths::ZERO
        },
        trust_revision: if counts { standing.trust_revision } else { 0 },
        weight: u32::try_from(weight)
            .ok()
            .and_then(Millionths::new)
            .unwrap_or(Millionths::ONE),
        counted: reason.is_none(),
        reason,
    }
}
