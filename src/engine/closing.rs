//! Closing a round: the outcome, the package if a human must decide, and the round's new state.

use quorate_core::ids::{AgentId, Digest, Offset, ProposalId, Timestamp};
use quorate_core::package::{self, Escalated};
use quorate_core::records::{
    Closed, Coordinates, DecisionPackage, DecisionPart, Opening, Outcome, PackageContent, Proposal,
    Round, RoundState, Status,
};
use quorate_core::round::{OpenRound, due};

use super::io::{Halt, Output};
use super::partition::{Detail, Partition};
use super::rounds::{Ended, Live};
use super::tables::Tables;
use crate::wire;

impl Partition {
    /// Resolves an open round at a place in `acp.responses`.
    pub(super) fn close(
        &mut self,
        tables: &Tables,
        id: ProposalId,
        (closing_offset, closing_time): (Offset, Timestamp),
        closed_early: bool,
        out: &mut Vec<Output>,
    ) -> Result<(), Halt> {
        let Some(live) = self.rounds.take_live(&id) else {
            return Ok(());
        };
        let Live { round, panel, .. } = *live;
        let detail = self.config.detail;
        let (decision, decision_digest) = match detail {
            Detail::Records => {
                let decision = round.resolve();
                let digest = self.parts.decision(&decision)?;
                (decision, digest)
            }
            Detail::Gist => (round.resolve_briefly(), Digest::default()),
        };
        let opening = &round.opening;
        let coordinates = Coordinates {
            partition: self.config.partition,
            proposal_offset: opening.proposal_offset,
            proposal_time: opening.proposal_time,
            deadline: opening.deadline,
            closing_offset,
            closing_time,
            closed_early,
            pins: opening.pins,
            superseded: round.superseded(),
            judged: Vec::new(),
            traceparent: opening.traceparent.clone(),
        };
        let escalated = decision.status == Status::Escalated;
        let (package, package_digest) = match detail {
            _ if !escalated => (None, None),
            Detail::Gist => (None, Some(decision.proposal_digest)),
            Detail::Records => {
                let qualified = self.rounds.panels.qualified(tables, panel);
                let proposal = self
                    .codec
                    .decode_part::<Proposal, Proposal>(&round.opening.proposal.0)?;
                let content = content(&round, &proposal, &decision, decision_digest, &qualified)?;
                let digest = self.parts.content(&content)?;
                (Some(content), Some(digest))
            }
        };
        self.rounds.panels.leave(panel);
        let voters = decision.ballots.iter().filter(|ballot| ballot.counted);
        let closed = Closed {
            resolution: 1,
            status: decision.status,
            resolved_by: decision.resolved_by,
            decision_digest,
            stakes: decision.stakes,
            coordinates: coordinates.clone(),
            package_digest,
            package,
            tier: i32::from(escalated),
            approvals: Vec::new(),
            voters: voters.map(|ballot| ballot.agent_id.clone()).collect(),
            lessons: round.lessons(&decision),
            settlement: None,
            decision: escalated.then(|| kept(&decision, detail)),
        };
        out.push(Output::Outcome(Box::new(Outcome {
            proposal_id: id,
            resolution: 1,
            r#final: !escalated,
            decision,
            decision_digest,
            coordinates,
        })));
        let ended = Ended::recorded(as_closed(id, round.opening, closed), round.policy);
        out.extend(self.escalation(&ended));
        self.rounds.end(&ended);
        out.push(Output::Round(Box::new(ended.round)));
        Ok(())
    }

    /// The package of an escalated round in its present tier.
    pub(super) fn escalation(&self, ended: &Ended) -> Option<Output> {
        let closed = ended.round.closed.as_ref()?;
        let content = closed.package.clone()?;
        let id = ended.round.proposal_id;
        Some(Output::Escalation(Box::new(DecisionPackage {
            proposal_id: id,
            related: self.rounds.related(&content.proposal.action.subject, &id),
            content,
            package_digest: closed.package_digest?,
            tier: closed.tier,
            due: due(closed, &ended.policy),
            on_decision_timeout: ended.policy.on_decision_timeout,
            approvals_needed: ended.policy.approvals_needed.at(closed.stakes),
            approvals: closed.approvals.clone(),
            coordinates: closed.coordinates.clone(),
        })))
    }
}

/// What an escalated round's second decision part is made from.
fn kept(decision: &DecisionPart, detail: Detail) -> DecisionPart {
    match detail {
        Detail::Records => decision.clone(),
        Detail::Gist => DecisionPart {
            reasons: decision.reasons.clone(),
            ballots: Vec::new(),
            influence: Vec::new(),
            ..*decision
        },
    }
}

/// A round's record once it has closed; the proposal is kept for people who are asked.
fn as_closed(proposal_id: ProposalId, opening: Opening, closed: Closed) -> Round {
    let mut opening = opening;
    let escalated = closed.status == Status::Escalated;
    if !escalated {
        opening.proposal.0.clear();
    }
    Round {
        proposal_id,
        state: if escalated {
            RoundState::Escalated
        } else {
            RoundState::Closed
        },
        opening,
        closed: Some(closed),
        snapshot: None,
    }
}

/// What a human is asked about a round; `qualified` are those who might have spoken.
fn content(
    round: &OpenRound,
    proposal: &Proposal,
    decision: &DecisionPart,
    decision_digest: Digest,
    qualified: &[AgentId],
) -> Result<PackageContent, Halt> {
    let escalated = Escalated {
        proposal_bytes: wire::unframed(&round.opening.proposal.0)?,
        proposal,
        decision,
        decision_digest,
    };
    let silent = qualified.iter().filter(|id| !round.has_heard(id.as_str()));
    Ok(package::content(escalated, round.words(), silent.cloned()))
}
