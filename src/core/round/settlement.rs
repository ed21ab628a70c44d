//! A closed round and what later turned out: the result in force, and its corrections.

use alloc::string::ToString;

use super::came_while_open;
use crate::ids::{Digest, Offset, Timestamp};
use crate::records::{
    Agent, AgentKind, AgentStatus, Correction, Policy, Result as Report, ResultKind, Round,
    RoundState, Settlement, TrustUpdate,
};
use crate::reject::Reject;

/// A result, with where it lay and by what its reporter was judged.
#[derive(Clone, Copy, Debug)]
pub struct Reported<'a> {
    /// The record.
    pub report: &'a Report,
    /// SHA-256 of its value bytes after the framing header.
    pub digest: Digest,
    /// Its offset in `acp.results`.
    pub offset: Offset,
    /// Its append time.
    pub at: Timestamp,
    /// Whether its reporter may report on this round.
    pub reporter_allowed: bool,
    /// The last offset of `acp.agents` that was judged by.
    pub agents_offset: Offset,
}

/// Whether an agent, as of the result's append time, may report under a policy, apart from who
/// else took part.
#[must_use]
pub fn reporter_allowed(agent: &Agent, policy: &Policy) -> bool {
    let named = policy.reporters.as_ref().map_or_else(
        || matches!(agent.kind, AgentKind::Reporter | AgentKind::Human),
        |reporters| reporters.iter().any(|id| *id == agent.agent_id.as_str()),
    );
    named && agent.status == AgentStatus::Active
}

/// Whether a result of that append time can be judged yet: not while a human is asked.
///
/// # Errors
/// [`Reject::RoundOpen`] or [`Reject::ResultTooLate`], which need no waiting.
pub fn must_wait(round: &Round, at: Timestamp, policy: &Policy) -> Result<bool, Reject> {
    let closed = round.closed.as_ref().ok_or(Reject::RoundOpen)?;
    if came_while_open(&round.opening, closed, at) {
        return Err(Reject::RoundOpen);
    }
    if at > closed.coordinates.closing_time.plus(policy.result_window) {
        return Err(Reject::ResultTooLate);
    }
    Ok(round.state == RoundState::Escalated)
}

/// Folds a result into a closed round: what it teaches, or nothing where it settles nothing.
///
/// # Errors
/// The first refusal that applies, in the protocol's order; the round is then unchanged.
pub fn settle(
    round: &mut Round,
    reported: &Reported<'_>,
    policy: &Policy,
) -> Result<Option<TrustUpdate>, Reject> {
    if must_wait(round, reported.at, policy)? {
        return Err(Reject::RoundOpen);
    }
    if !reported.reporter_allowed {
        return Err(Reject::ReporterNotAllowed);
    }
    let report = reported.report;
    let closed = round.closed.as_mut().ok_or(Reject::RoundOpen)?;
    let corrects = match (&report.corrects, &closed.settlement) {
        (None, Some(_)) => return Err(Reject::AlreadySettled),
        (None, None) if report.result == ResultKind::Unknown => return Ok(None),
        (None, None) => None,
        (Some(named), Some(in_force))
            if *named == in_force.result_id && report.result != in_force.result =>
        {
            let taken_back = in_force.result_id.clone();
            Some(Correction {
                result_id: taken_back,
                result: in_force.result,
            })
        }
        (Some(_), _) => return Err(Reject::NotInForce),
    };
    closed.settlement = (report.result != ResultKind::Unknown).then(|| Settlement {
        result_id: report.result_id.clone(),
        result: report.result,
        offset: reported.offset,
    });
    Ok(Some(TrustUpdate {
        trust_domain: policy.trust_domain.to_string(),
        proposal_id: round.proposal_id,
        result_id: report.result_id.clone(),
        result_digest: reported.digest,
        reporter: report.reporter.clone(),
        result: report.result,
        basis: report.basis,
        corrects,
        half_life: policy.half_life,
        decision_digest: closed.decision_digest,
        outcome: closed.coordinates.clone(),
        result_offset: reported.offset,
        result_time: reported.at,
        agents_offset: reported.agents_offset,
        ballots: closed.lessons.clone(),
    }))
}
