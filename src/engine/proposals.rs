//! Proposals: admission, opening, and the responses that came first.

use std::sync::Arc;

use quorate_core::fault::{self, Fault};
use quorate_core::ids::{Bytes, Digest, Millis, Offset, ProposalId, Timestamp};
use quorate_core::limits::check_texts;
use quorate_core::millionths::Millionths;
use quorate_core::records::{Agent, Opening, Policy, Proposal, Round, RoundState};
use quorate_core::reject::Reject;
use quorate_core::resolve::RULES_REVISION;
use quorate_core::round::{OpenRound, check_proposer};
use quorate_core::topic::Topic;

use super::io::{Halt, Output, Record};
use super::kept::{Judged, Refusal};
use super::partition::{Partition, check_key};
use super::rounds::Live;
use super::tables::Tables;

/// How far a proposal id's time may lie before its stream time.
const ID_AGE_MAX: Millis = Millis(24 * 3_600_000);
/// How far a proposal id's time may lie after its stream time.
const ID_LEAD_MAX: Millis = Millis(5 * 60_000);

/// A proposal that may be opened.
struct Admitted {
    id: ProposalId,
    proposal: Proposal,
    digest: Digest,
    confidence: Millionths,
    deadline: Timestamp,
    policy: Arc<Policy>,
    agent: Arc<Agent>,
}

impl Partition {
    pub(super) fn propose(
        &mut self,
        tables: &Tables,
        record: &Record<'_>,
        out: &mut Vec<Output>,
    ) -> Judged {
        if !tables.pins().covers(self.pins) {
            return Err(Halt::TablesBehind {
                have: tables.pins(),
                need: self.pins,
            });
        }
        let admitted = match self.admit(tables, record) {
            Ok(Some(admitted)) => admitted,
            Ok(None) => return Ok(Ok(())),
            Err(refusal) => return Ok(Err(refusal)),
        };
        let id = admitted.id;
        self.open(tables, record, admitted, out);
        self.drain_orphans(tables, id, out)?;
        Ok(Ok(()))
    }

    /// Decodes a proposal and refuses what is unsound in itself.
    pub(super) fn read_proposal(&self, record: &Record<'_>) -> Result<(Proposal, Digest), Refusal> {
        let value = record.value.unwrap_or_default();
        let (proposal, digest) = self.codec.decode::<Proposal>(value)?;
        check_texts([proposal.rationale.as_str()])?;
        check_key(record, &proposal.proposal_id)?;
        Ok((proposal, digest))
    }

    /// Judges a proposal by the tables as they are read; none for a copy of one that stands.
    fn admit(&self, tables: &Tables, record: &Record<'_>) -> Result<Option<Admitted>, Refusal> {
        let (proposal, digest) = self.read_proposal(record)?;
        let confidence = Millionths::admit(proposal.confidence).map_err(|_| Reject::BadNumber)?;
        let now = self.time(Topic::Proposals);
        let id = fresh_id(&proposal.proposal_id, now)?;
        if let Some(first) = self.rounds.opening(&id) {
            let copy = first.proposal_digest == digest;
            return if copy {
                Ok(None)
            } else {
                Err(Reject::ProposalConflict.into())
            };
        }
        let pins = tables.pins();
        let agent = tables.agent(&proposal.proposer, pins.agents).cloned();
        let policy = tables.governing(&proposal.domain, pins.policies).cloned();
        let (agent, policy) = check_proposer(&proposal, agent, policy)?;
        let deadline = self.deadline(&proposal, &policy)?;
        if self.rounds.running_of(&agent.agent_id) >= policy.max_open_per_proposer {
            return Err(Reject::ProposerOverLimit.into());
        }
        Ok(Some(Admitted {
            id,
            proposal,
            digest,
            confidence,
            deadline,
            policy,
            agent,
        }))
    }

    /// The explicit deadline, within bounds, or the policy's after the later stream time.
    fn deadline(&self, proposal: &Proposal, policy: &Policy) -> Result<Timestamp, Reject> {
        let now = self.time(Topic::Proposals);
        let Some(deadline) = proposal.deadline else {
            return Ok(now
                .max(self.time(Topic::Responses))
                .plus(policy.deadline_default));
        };
        if deadline < now {
            return Err(Reject::DeadlinePassed);
        }
        let span = deadline.since(now);
        if span < policy.deadline_min || span > policy.deadline_max {
            return Err(Reject::DeadlineBounds);
        }
        Ok(deadline)
    }

    fn open(
        &mut self,
        tables: &Tables,
        record: &Record<'_>,
        admitted: Admitted,
        out: &mut Vec<Output>,
    ) {
        let Admitted {
            id,
            proposal,
            digest,
            confidence,
            deadline,
            policy,
            agent,
        } = admitted;
        self.pins = tables.pins();
        if fault::is_on(Fault::PinsGoBack) && record.offset.0 % 16 == 7 {
            self.pins.agents.0 -= 1;
        }
        let opening = Opening {
            proposal_offset: record.offset,
            proposal_time: self.time(Topic::Proposals),
            responses_time: self.time(Topic::Responses),
            deadline,
            proposal_digest: digest,
            proposal: Bytes(record.value.unwrap_or_default().to_vec()),
            proposer: agent.agent_id.clone(),
            pattern: policy.pattern.clone(),
            policy_digest: policy.digest,
            rules_revision: RULES_REVISION,
            pins: self.pins,
            traceparent: record.headers.traceparent.map(str::to_owned),
        };
        let panels = &mut self.rounds.panels;
        let panel = panels.join(self.pins, &proposal.domain, &policy);
        let standing = panels
            .standing(tables, panel, self.pins.trust, agent.agent_id.as_str())
            .unwrap_or_else(|| {
                Arc::new(tables.standing(&agent, &proposal.domain, &policy, self.pins))
            });
        let mut round = OpenRound::open(id, opening, &proposal, confidence, policy, standing);
        if round.policy.early_close {
            round.await_agents(panels.active(tables, panel, self.pins.trust));
        }
        let mut live = Live::new(round, panel, &proposal.action.subject);
        let gap = self.lost.filter(|lost| lost.mark(&mut live.round));
        live.first = gap.map(|lost| lost.place());
        let state = RoundState::Open;
        let opening = live.round.opening.clone();
        out.push(Output::Round(Box::new(Round {
            proposal_id: id,
            state,
            opening,
            closed: None,
            snapshot: None,
        })));
        let (proposals, responses) = (self.time(Topic::Proposals), self.time(Topic::Responses));
        self.ahead.open(proposals, responses);
        self.rounds.open(live);
    }

    /// Gives a round the responses that came before it, in offset order, and closes it if its
    /// deadline is already past.
    fn drain_orphans(
        &mut self,
        tables: &Tables,
        id: ProposalId,
        out: &mut Vec<Output>,
    ) -> Result<(), Halt> {
        for kept in self.orphans.take(id) {
            let record = kept.record();
            let heard = self.hear(tables, &record, kept.time, out)?;
            if let Err(refusal) = heard {
                out.push(self.dead_letter(tables, &record, refusal));
            }
        }
        let responses = self
            .clocks
            .get(&Topic::Responses)
            .copied()
            .unwrap_or_default();
        let deadline = self
            .rounds
            .live_mut(&id)
            .map(|live| live.round.opening.deadline);
        if let Some(deadline) = deadline.filter(|deadline| *deadline < responses.time) {
            let last = (Offset(responses.next.0 - 1), responses.time);
            let closing = self.lead.first_past(deadline).unwrap_or(last);
            self.close(tables, id, closing, false, out)?;
        }
        Ok(())
    }
}

/// Parses an id and checks the time it carries.
fn fresh_id(text: &str, now: Timestamp) -> Result<ProposalId, Reject> {
    let id: ProposalId = text.parse().map_err(|_| Reject::BadId)?;
    let made = id.v7_time().ok_or(Reject::BadId)?;
    if now.since(made) > ID_AGE_MAX || made.since(now) > ID_LEAD_MAX {
        return Err(Reject::StaleId);
    }
    Ok(id)
}
