//! An escalated round: approvals, a last word, or silence.

use alloc::vec;

use super::came_while_open;
use crate::electorate::may_review;
use crate::ids::{Millis, Timestamp};
use crate::records::{
    Agent, AgentStatus, Closed, Decision, DecisionPart, DecisionVerdict, Judged, OnDecisionTimeout,
    Policy, Reason, ResolvedBy, Round, RoundState, Stakes, Status,
};
use crate::reject::Reject;

/// Tiers a package is escalated through before silence rejects it.
pub const TIERS_MAX: i32 = 3;

/// What a human's decision came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Decided {
    /// It counts, and more are needed.
    Approved,
    /// It was the last word: the second outcome's decision part.
    Ended(DecisionPart),
}

/// What a passed due time came to.
#[derive(Clone, Debug, PartialEq)]
pub enum TimedOut {
    /// The same package goes to the next tier.
    NextTier,
    /// Nobody decided: the second outcome's decision part.
    Ended(DecisionPart),
}

/// What of an escalated round says who may decide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Who proposed.
    pub proposer: &'a str,
    /// The proposer's accountable owner, as of the round's pins.
    pub principal: &'a str,
    /// The proposal's domain.
    pub domain: &'a str,
    /// The stakes that counted.
    pub stakes: Stakes,
}

/// Why somebody may not decide a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// Nobody of this name is listed.
    Unlisted,
    /// It is suspended or retired.
    Inactive,
    /// It does not review this domain, or not up to these stakes.
    NoReviewer,
    /// It has proposed the action.
    Proposer,
    /// It belongs to whom the proposer belongs to.
    Principal,
}

impl From<Barred> for Reject {
    fn from(_: Barred) -> Self {
        Self::ReviewerNotAllowed
    }
}

/// Whether an agent, as it is listed, may decide an escalated round.
///
/// # Errors
/// [`Barred`], the first reason that applies.
pub fn may_decide(reviewer: Option<&Agent>, asked: Asked<'_>) -> Result<(), Barred> {
    let reviewer = reviewer.ok_or(Barred::Unlisted)?;
    if reviewer.status != AgentStatus::Active {
        Err(Barred::Inactive)
    } else if !may_review(reviewer, asked.domain, asked.stakes) {
        Err(Barred::NoReviewer)
    } else if reviewer.agent_id.as_str() == asked.proposer {
        Err(Barred::Proposer)
    } else if reviewer.principal == asked.principal {
        Err(Barred::Principal)
    } else {
        Ok(())
    }
}

/// When a tier's time is over, by the stream time of `acp.decisions`.
#[must_use]
pub fn due(closed: &Closed, policy: &Policy) -> Timestamp {
    let span = policy
        .decision_deadline
        .0
        .saturating_mul(i64::from(closed.tier));
    closed.coordinates.closing_time.plus(Millis(span))
}

/// Judges a human's decision on a round that has closed.
///
/// `reviewer` is the agent as of the decision's append time, `proposer_principal` the proposer's as
/// of the pins, `domain` the proposal's.
///
/// # Errors
/// The first refusal that applies, in the protocol's order; the round is then unchanged.
pub fn decide(
    round: &mut Round,
    decision: &Decision,
    judged: Judged,
    reviewer: Option<&Agent>,
    proposer_principal: &str,
    domain: &str,
    policy: &Policy,
) -> Result<Decided, Reject> {
    let opening = &round.opening;
    let closed = round.closed.as_mut().ok_or(Reject::RoundOpen)?;
    if came_while_open(opening, closed, judged.timestamp) {
        return Err(Reject::RoundOpen);
    }
    if round.state == RoundState::Closed {
        // Every decision after the last due time is late, whether a tick or it noticed first.
        let timed_out = closed.resolved_by == ResolvedBy::Timeout;
        return Err(if timed_out {
            Reject::DecisionTooLate
        } else {
            Reject::AlreadyDecided
        });
    }
    if closed.package_digest != Some(decision.package_digest) {
        return Err(Reject::PackageMismatch);
    }
    let asked = Asked {
        proposer: opening.proposer.as_str(),
        principal: proposer_principal,
        domain,
        stakes: closed.stakes,
    };
    may_decide(reviewer, asked)?;
    if decision.verdict == DecisionVerdict::Approve {
        if closed
            .approvals
            .iter()
            .any(|approval| approval.reviewer == judged.reviewer)
        {
            return Err(Reject::AlreadyApproved);
        }
        closed.approvals.push(judged);
        let needed = usize::try_from(policy.approvals_needed.at(closed.stakes)).unwrap_or(0);
        if closed.approvals.len() < needed {
            return Ok(Decided::Approved);
        }
        let part = end(
            round,
            Status::Approved,
            Reason::HumanDecision,
            ResolvedBy::Human,
        );
        return part.map(Decided::Ended);
    }
    closed.coordinates.judged = closed.approvals.clone();
    closed.coordinates.judged.push(judged);
    let reason = match decision.verdict {
        DecisionVerdict::SendBack => Reason::SentBack,
        DecisionVerdict::Approve | DecisionVerdict::Reject => Reason::HumanDecision,
    };
    end(round, Status::Rejected, reason, ResolvedBy::Human).map(Decided::Ended)
}

/// Moves an escalated round whose due time has passed.
///
/// # Errors
/// [`Reject::AlreadyDecided`] for a round that is not escalated; it is then unchanged.
pub fn time_out(round: &mut Round, policy: &Policy) -> Result<TimedOut, Reject> {
    let again = policy.on_decision_timeout == OnDecisionTimeout::EscalateAgain;
    match round.closed.as_mut() {
        Some(closed) if round.state == RoundState::Escalated => {
            if again && closed.tier < TIERS_MAX {
                closed.tier += 1;
                return Ok(TimedOut::NextTier);
            }
        }
        _ => return Err(Reject::AlreadyDecided),
    }
    end(
        round,
        Status::Rejected,
        Reason::DecisionTimeout,
        ResolvedBy::Timeout,
    )
    .map(TimedOut::Ended)
}

/// The second outcome's decision part: the first's with its end replaced (annex 14).
#[must_use]
pub fn second_part(
    first: DecisionPart,
    status: Status,
    reason: Reason,
    resolved_by: ResolvedBy,
) -> DecisionPart {
    DecisionPart {
        status,
        reasons: vec![reason],
        resolved_by,
        ..first
    }
}

fn end(
    round: &mut Round,
    status: Status,
    reason: Reason,
    resolved_by: ResolvedBy,
) -> Result<DecisionPart, Reject> {
    let closed = round.closed.as_mut().ok_or(Reject::RoundOpen)?;
    let first = closed.decision.take().ok_or(Reject::AlreadyDecided)?;
    if closed.coordinates.judged.is_empty() {
        closed.coordinates.judged = closed.approvals.clone();
    }
    closed.status = status;
    closed.resolved_by = resolved_by;
    closed.resolution = 2;
    closed.package = None;
    round.state = RoundState::Closed;
    round.opening.proposal.0.clear();
    Ok(second_part(first, status, reason, resolved_by))
}
