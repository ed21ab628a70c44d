//! Human decisions, and the due times of those who do not decide.
//!
//! A decision is judged when `acp.responses` has been read past its append time; what is behind it
//! waits, so that decisions and due times keep the order of `acp.decisions`.

use quorate_core::ids::{Digest, ProposalId, Timestamp};
use quorate_core::limits::check_texts;
use quorate_core::records::{Decision, DecisionPart, Judged, Outcome, Proposal, Round};
use quorate_core::reject::Reject;
use quorate_core::round::{Decided, TimedOut, decide, time_out};
use quorate_core::topic::Topic;

use super::io::{Halt, Output, Record};
use super::kept::{Kept, Refusal};
use super::partition::{Partition, check_key};
use super::rounds::Ended;
use super::tables::Tables;

impl Partition {
    /// Queues a decision, or a tick; what cannot be read is refused at once.
    pub(super) fn queue_decision(&mut self, record: &Record<'_>) -> Result<(), Refusal> {
        let kept = Kept::new(record, self.time(Topic::Decisions));
        let refused = match record.value {
            Some(_) => self.read_decision(record).map(drop),
            None => Ok(()),
        };
        // A refused record's time counts all the same, in its place.
        let passes = record.value.is_none() || refused.is_err();
        let kept = if passes { kept.passing() } else { kept };
        self.decisions.push_back(kept);
        refused
    }

    /// Decodes a decision and refuses what is unsound in itself.
    pub(super) fn read_decision(&self, record: &Record<'_>) -> Result<(Decision, Digest), Refusal> {
        let value = record.value.unwrap_or_default();
        let (decision, digest) = self.codec.decode::<Decision>(value)?;
        check_texts([decision.rationale.as_str()])?;
        check_key(record, &decision.proposal_id)?;
        Ok((decision, digest))
    }

    /// Judges queued decisions while they can be; says whether any was.
    pub(super) fn judge_decisions(
        &mut self,
        tables: &Tables,
        out: &mut Vec<Output>,
    ) -> Result<bool, Halt> {
        let mut judged = false;
        while self
            .decisions
            .front()
            .is_some_and(|kept| self.can_judge(kept))
        {
            let Some(kept) = self.decisions.pop_front() else {
                break;
            };
            judged = true;
            self.time_out_before(tables, kept.time, out)?;
            if kept.value.is_none() {
                continue;
            }
            if let Err(refusal) = self.decide(tables, &kept, out)? {
                out.push(self.dead_letter(tables, &kept.record(), refusal));
            }
        }
        Ok(judged)
    }

    /// Whether everything that could bear on a decision or result has been read.
    pub(super) fn can_judge(&self, kept: &Kept) -> bool {
        if self.time(Topic::Responses) <= kept.timestamp {
            return false;
        }
        let passed = self.time(Topic::Proposals) > kept.timestamp;
        self.is_known(kept) || passed && self.is_indexed()
    }

    /// Whether a kept record's round is known, or it is only a tick.
    pub(super) fn is_known(&self, kept: &Kept) -> bool {
        let known = |id| self.rounds.knows(&id);
        kept.value.is_none() || self.round_of(kept).is_some_and(known)
    }

    /// The round a kept record's key names.
    pub(super) fn round_of(&self, kept: &Kept) -> Option<ProposalId> {
        std::str::from_utf8(kept.key.as_deref()?).ok()?.parse().ok()
    }

    fn decide(
        &mut self,
        tables: &Tables,
        kept: &Kept,
        out: &mut Vec<Output>,
    ) -> Result<Result<(), Refusal>, Halt> {
        let known = self
            .round_of(kept)
            .and_then(|id| Some((id, self.rounds.opening(&id)?)));
        let id = match known {
            Some((id, opening)) if opening.proposal_time <= kept.timestamp => id,
            _ => return Ok(Err(Reject::UnknownProposal.into())),
        };
        let Some(mut ended) = self.rounds.take_ended(&id) else {
            return Ok(Err(Reject::RoundOpen.into()));
        };
        let decided = self.judge(tables, kept, &mut ended);
        let outputs = match decided {
            Ok(Decided::Approved) => {
                out.push(Output::Round(Box::new(ended.round.clone())));
                Ok(())
            }
            Ok(Decided::Ended(part)) => {
                self.put_out_last(tables, part, &mut ended, out)?;
                Ok(())
            }
            Err(refusal) => Err(refusal),
        };
        self.rounds.end(&ended);
        Ok(outputs)
    }

    fn judge(&self, tables: &Tables, kept: &Kept, ended: &mut Ended) -> Result<Decided, Refusal> {
        let (decision, digest) = self.read_decision(&kept.record())?;
        let agents_offset = tables.agents_offset(kept.timestamp);
        let judged = Judged {
            decision_id: decision.decision_id.clone(),
            reviewer: decision.reviewer.clone(),
            digest,
            offset: kept.offset,
            timestamp: kept.timestamp,
            agents_offset,
        };
        let opening = &ended.round.opening;
        let proposer = tables.agent(opening.proposer.as_str(), opening.pins.agents);
        let principal = proposer.map_or(String::new(), |agent| agent.principal.clone());
        let domain = self.domain(&ended.round);
        let reviewer = tables
            .agent(&decision.reviewer, agents_offset)
            .map(|agent| &**agent);
        let policy = ended.policy.clone();
        decide(
            &mut ended.round,
            &decision,
            judged,
            reviewer,
            &principal,
            &domain,
            &policy,
        )
        .map_err(|reject| {
            let pins = quorate_core::records::Pins {
                agents: agents_offset,
                ..tables.pins()
            };
            Refusal {
                judged_by: Some(pins),
                ..reject.into()
            }
        })
    }

    /// The domain of an escalated round's proposal; empty for another round, which nobody decides.
    fn domain(&self, round: &Round) -> String {
        let package = round
            .closed
            .as_ref()
            .and_then(|closed| closed.package.as_ref());
        if let Some(content) = package {
            return content.proposal.domain.clone();
        }
        let proposal = self
            .codec
            .decode_part::<Proposal, Proposal>(&round.opening.proposal.0);
        proposal.map_or(String::new(), |proposal| proposal.domain)
    }

    /// Moves on the rounds whose tier a stream time of `acp.decisions` has passed.
    pub(super) fn time_out_before(
        &mut self,
        tables: &Tables,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) -> Result<(), Halt> {
        while let Some(id) = self.rounds.past_due(now) {
            let Some(mut ended) = self.rounds.take_ended(&id) else {
                break;
            };
            let policy = ended.policy.clone();
            match time_out(&mut ended.round, &policy) {
                Ok(TimedOut::NextTier) => {
                    out.extend(self.escalation(&ended));
                    out.push(Output::Round(Box::new(ended.round.clone())));
                }
                Ok(TimedOut::Ended(part)) => {
                    self.put_out_last(tables, part, &mut ended, out)?;
                }
                // INVARIANT: only escalated rounds have a due time.
                Err(_) => {}
            }
            self.rounds.end(&ended);
        }
        Ok(())
    }

    /// Puts out an escalated round's last outcome, then what the results that waited teach.
    fn put_out_last(
        &mut self,
        tables: &Tables,
        decision: DecisionPart,
        ended: &mut Ended,
        out: &mut Vec<Output>,
    ) -> Result<(), Halt> {
        let Some(closed) = ended.round.closed.as_ref() else {
            return Ok(());
        };
        out.push(Output::Outcome(Box::new(Outcome {
            proposal_id: ended.round.proposal_id,
            resolution: 2,
            r#final: true,
            decision_digest: self.parts.decision(&decision)?,
            decision,
            coordinates: closed.coordinates.clone(),
        })));
        out.push(Output::Round(Box::new(ended.round.clone())));
        for kept in std::mem::take(&mut ended.parked) {
            self.settle_or_refuse(tables, &kept, ended, out);
        }
        Ok(())
    }
}
