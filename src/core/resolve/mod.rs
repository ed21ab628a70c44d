//! What a round comes to: a pure function of its ballots, its policy and nothing else.
//!
//! [`resolve`] is total, and independent of the order of ballots. Weights are whole millionths
//! and margins are compared by cross-multiplication or squares: no float decides anything.

pub(crate) mod bounds;
mod caps;
mod count;
mod margin;
mod tally;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::electorate::Standing;
use crate::ids::{AgentId, Digest};
use crate::millionths::{Millionths, Sum};
use crate::records::{DecisionPart, Influence, Policy, ResolvedBy, Stakes, Status, Verdict};
use crate::trust;

use count::{Control, Counted, count};
use margin::Margin;
use tally::Tally;

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
    resolve_with(case, influence)
}

/// The same without anybody's influence, for whoever does not ask for it.
#[must_use]
pub fn resolve_briefly(case: &Case<'_>) -> DecisionPart {
    resolve_with(case, |_, _| Vec::new())
}

fn resolve_with(
    case: &Case<'_>,
    influence: impl FnOnce(&Tally<'_>, &[Counted<'_>]) -> Vec<Influence>,
) -> DecisionPart {
    let voices = count(case, Control::Obeyed);
    let mut tally = Tally::new(case, &voices);
    if matters(case, &tally) {
        tally.suspend();
    }
    let (endorse, challenge) = (Sum::new(tally.endorse), Sum::new(tally.challenge));
    let (reached, needed) = tally.margin.published();
    DecisionPart {
        proposal_digest: case.proposal_digest,
        policy_digest: case.policy.digest,
        rules_revision: RULES_REVISION,
        status: tally.status(),
        reasons: tally.reasons(),
        endorse,
        challenge,
        n: i32::try_from(tally.n).unwrap_or(i32::MAX),
        p: probability(endorse, challenge, tally.n),
        margin_reached: Sum::new(reached),
        margin_needed: Sum::new(needed),
        mean_confidence: millionths(tally.mean_confidence()),
        would_be: tally.would_be(),
        stakes: case.stakes,
        resolved_by: ResolvedBy::Protocol,
        ballots: voices.iter().map(Counted::ballot).collect(),
        influence: influence(&tally, &voices),
    }
}

/// The status but for shadow mode, as [`resolve`] gives it.
pub(crate) fn would_be(case: &Case<'_>) -> Status {
    let mut tally = Tally::new(case, &count(case, Control::Obeyed));
    if matters(case, &tally) {
        tally.suspend();
    }
    tally.would_be()
}

/// The side that meets the policy's margin with these weights: approved, rejected, or none.
pub(crate) fn carries(policy: &Policy, endorse: Vec<u64>, challenge: Vec<u64>) -> Status {
    Margin::new(policy, endorse, challenge).carries()
}

/// Whether agents suspended by control would, all put back, bring the round elsewhere.
///
/// Taking a challenge out must never approve: such a round escalates.
fn matters(case: &Case<'_>, without: &Tally<'_>) -> bool {
    if !case.voices.iter().any(|voice| voice.suspended) {
        return false;
    }
    let with = Tally::new(case, &count(case, Control::Undone));
    with.would_be() != without.would_be()
}

/// For each counted ballot, sorted by agent, the status without it.
fn influence(tally: &Tally<'_>, voices: &[Counted<'_>]) -> Vec<Influence> {
    voices
        .iter()
        .filter(|counted| counted.is_counted())
        .map(|counted| Influence {
            agent_id: counted.voice.agent_id.clone(),
            status: tally.status_without(counted),
        })
        .collect()
}

/// p as it is published: half to even to millionths, 0 where nobody spoke.
fn probability(endorse: Sum, challenge: Sum, n: usize) -> Millionths {
    if n == 0 {
        return Millionths::ZERO;
    }
    Millionths::admit(trust::collective(endorse, challenge, n)).unwrap_or(Millionths::ZERO)
}

/// A whole number of millionths that is at most one by construction.
fn millionths(number: u64) -> Millionths {
    let number = u32::try_from(number).ok().and_then(Millionths::new);
    number.unwrap_or(Millionths::ONE)
}

#[cfg(test)]
mod tests;
