//! A round while responses are taken.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;

use super::seats::{Place, Said, Seat, Seats};
use super::{OBSERVERS_MAX, ORPHAN_GRACE, QUALIFIED_MAX, SUPERSEDED_MAX};
use crate::early;
use crate::electorate::Standing;
use crate::fault::{self, Fault};
use crate::ids::{AgentId, Digest, Millis, ProposalId, Timestamp};
use crate::millionths::Millionths;
use crate::package::Words;
use crate::records::{
    Agent, AgentStatus, Ballot, DecisionPart, Lesson, Opening, Policy, Proposal, Response,
    Revision, Stakes, Superseded, Verdict,
};
use crate::reject::Reject;
use crate::resolve::{Case, Voice, resolve, resolve_briefly};

/// An open round: the proposal, who has spoken, and what was taken out.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenRound {
    /// The round.
    pub proposal_id: ProposalId,
    /// The choices made when it was opened; the proposal is in them, as it lay.
    pub opening: Opening,
    /// The governing policy at the pins.
    pub policy: Arc<Policy>,
    proposer_principal: Arc<str>,
    stakes: Stakes,
    pub(super) seats: Seats,
    /// How many responses were admitted.
    pub(super) admitted: usize,
    /// Admitted responses that no seat lists any more.
    pub(super) unlisted: BTreeSet<Digest>,
    pub(super) unheard: BTreeMap<AgentId, Arc<Standing>>,
    pub(super) suspended: BTreeSet<AgentId>,
    pub(super) pattern_suspended: bool,
    pub(super) input_lost: bool,
}

/// An agent that answers, as of the round's pins.
#[derive(Clone, Copy, Debug)]
pub struct Speaker<'a> {
    /// The agent.
    pub agent: &'a Agent,
    /// What it brings to the round's domain under its policy.
    pub standing: &'a Arc<Standing>,
}

/// What became of an admitted response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is its agent's ballot, or was put on the list of those superseded.
    Said,
    /// It had been admitted before, and changes nothing.
    Copy,
}

/// What can be refused of a proposal for who proposes what, where: its agent, the policy that
/// governs its domain, its action type.
///
/// # Errors
/// The first refusal that applies, in the protocol's order.
pub fn check_proposer<A: Borrow<Agent>, P: Borrow<Policy>>(
    proposal: &Proposal,
    agent: Option<A>,
    policy: Option<P>,
) -> Result<(A, P), Reject> {
    let agent = agent.ok_or(Reject::AgentNotListed)?;
    if agent.borrow().status != AgentStatus::Active {
        return Err(Reject::AgentNotActive);
    }
    let policy = policy.ok_or(Reject::NoPolicy)?;
    if !policy.borrow().allows(&proposal.action.r#type) {
        return Err(Reject::ActionTypeNotAllowed);
    }
    Ok((agent, policy))
}

/// What can be refused of a response before its round is looked at: its number, its agent, a
/// challenge without reasoning.
///
/// # Errors
/// The first refusal that applies, in the protocol's order.
pub fn check_speaker<A: Borrow<Agent>>(
    response: &Response<'_>,
    agent: Option<A>,
) -> Result<(A, Millionths), Reject> {
    let confidence = Millionths::admit(response.confidence).map_err(|_| Reject::BadNumber)?;
    let agent = agent.ok_or(Reject::AgentNotListed)?;
    if agent.borrow().status != AgentStatus::Active {
        return Err(Reject::AgentNotActive);
    }
    if response.verdict == Verdict::Challenge && response.reasoning.trim().is_empty() {
        return Err(Reject::ReasoningMissing);
    }
    Ok((agent, confidence))
}

impl Borrow<Agent> for Speaker<'_> {
    fn borrow(&self) -> &Agent {
        self.agent
    }
}

/// Whether a response of that stream time is not too early for its proposal. Asked before anything
/// else: read before its proposal, it would have been refused without a look at who sent it.
///
/// # Errors
/// [`Reject::UnknownProposal`].
pub fn check_grace(opening: &Opening, at: Timestamp) -> Result<(), Reject> {
    if opening.proposal_time > at.plus(ORPHAN_GRACE) {
        return Err(Reject::UnknownProposal);
    }
    Ok(())
}

/// Whether a response of that stream time is in time.
///
/// # Errors
/// [`Reject::RoundClosed`].
pub fn check_time(opening: &Opening, at: Timestamp) -> Result<(), Reject> {
    if late(at) > opening.deadline {
        return Err(Reject::RoundClosed);
    }
    Ok(())
}

/// What a stream time is held against deadlines as: itself, but for a fault.
#[must_use]
pub fn late(at: Timestamp) -> Timestamp {
    if fault::is_on(Fault::LateCounted) {
        return at.plus(Millis(-100));
    }
    at
}

impl OpenRound {
    /// Opens a round on an admitted proposal; its proposer's ballot is the proposal itself.
    ///
    /// `confidence` is the proposal's, admitted; `unheard` are the other qualified agents at the
    /// pins, and may be empty where the policy does not close early.
    #[must_use]
    pub fn open(
        proposal_id: ProposalId,
        opening: Opening,
        proposal: &Proposal,
        confidence: Millionths,
        policy: Arc<Policy>,
        proposer: Arc<Standing>,
    ) -> Self {
        let said = Said {
            digest: opening.proposal_digest,
            verdict: Verdict::Endorse,
            confidence,
            reasoning: Box::default(),
            evidence: Box::default(),
        };
        let stakes = policy.stakes_that_count(&proposal.action, proposal.stakes);
        let proposer_principal = proposer.principal.clone();
        let mut seats = Seats::default();
        let place = seats.place(opening.proposer.as_str());
        let seat = Seat {
            agent_id: opening.proposer.clone(),
            standing: proposer,
            said,
            is_proposal: true,
            besides: None,
        };
        seats.put(place, seat);
        Self {
            proposal_id,
            seats,
            opening,
            policy,
            proposer_principal,
            stakes,
            admitted: 0,
            unlisted: BTreeSet::new(),
            unheard: BTreeMap::new(),
            suspended: BTreeSet::new(),
            pattern_suspended: false,
            input_lost: false,
        }
    }

    /// Names the qualified agents whose silence keeps an early close waiting.
    pub fn await_agents(&mut self, electorate: impl Iterator<Item = (AgentId, Arc<Standing>)>) {
        let proposer = &self.opening.proposer;
        let awaited = electorate.filter(|(id, standing)| standing.qualified && id != proposer);
        self.unheard = awaited.collect();
    }

    /// Admits a response at the stream time of its offset.
    ///
    /// `speaker` is none for an agent that the tables do not have at the pins.
    ///
    /// # Errors
    /// The first refusal that applies, in the protocol's order; the round is then unchanged.
    pub fn hear(
        &mut self,
        response: &Response<'_>,
        digest: Digest,
        at: Timestamp,
        speaker: Option<Speaker<'_>>,
    ) -> Result<Heard, Reject> {
        check_grace(&self.opening, at)?;
        let (Speaker { agent, standing }, confidence) = check_speaker(response, speaker)?;
        check_time(&self.opening, at)?;
        if response
            .proposal_digest
            .is_some_and(|named| named != self.opening.proposal_digest)
        {
            return Err(Reject::DigestMismatch);
        }
        let place = self.seats.place(agent.agent_id.as_str());
        if self.has_admitted(place, digest) {
            return Ok(Heard::Copy);
        }
        self.has_room(place, &agent.agent_id, standing)?;
        let said = Said {
            digest,
            verdict: response.verdict,
            confidence,
            reasoning: (*response.reasoning).into(),
            evidence: response.evidence.as_slice().into(),
        };
        self.take(place, &agent.agent_id, standing, said);
        Ok(Heard::Said)
    }

    /// Whether these very bytes were admitted before: an agent's name is among them, so that only
    /// its own seat can list them.
    fn has_admitted(&self, place: Place, digest: Digest) -> bool {
        let lists = |seat: &Seat| seat.said.digest == digest || seat.superseded().contains(&digest);
        self.seats.at(place).is_some_and(lists) || self.unlisted.contains(&digest)
    }

    /// Whether another agent's ballot fits; one that has a seat by a response always does.
    fn has_room(&self, place: Place, agent: &AgentId, standing: &Standing) -> Result<(), Reject> {
        // Most rounds never come near a limit, and need not be searched to know it.
        if self.seats.len() < QUALIFIED_MAX.min(OBSERVERS_MAX) {
            return Ok(());
        }
        if self.seats.at(place).is_some_and(|seat| !seat.is_proposal) {
            return Ok(());
        }
        let counts = |id: &AgentId, standing: &Standing| {
            standing.qualified && (self.policy.proposer_counts || *id != self.opening.proposer)
        };
        let qualified = counts(agent, standing);
        let limit = if qualified {
            QUALIFIED_MAX
        } else {
            OBSERVERS_MAX
        };
        let responded = self.seats.iter().filter(|seat| !seat.is_proposal);
        let taken = responded
            .filter(|seat| counts(&seat.agent_id, &seat.standing) == qualified)
            .count();
        if taken < limit {
            Ok(())
        } else {
            Err(Reject::RoundFull)
        }
    }

    fn take(&mut self, place: Place, agent: &AgentId, standing: &Arc<Standing>, said: Said) {
        self.admitted += 1;
        self.unheard.remove(agent);
        let Some(seat) = self.seats.at_mut(place) else {
            self.seats.put(
                place,
                Seat {
                    agent_id: agent.clone(),
                    standing: Arc::clone(standing),
                    said,
                    is_proposal: false,
                    besides: None,
                },
            );
            return;
        };
        if seat.is_proposal {
            seat.is_proposal = false;
            seat.said = said;
            return;
        }
        let is_last = self.policy.revision == Revision::Last;
        let replaced = if is_last != fault::is_on(Fault::RevisionSwapped) {
            core::mem::replace(&mut seat.said, said).digest
        } else {
            said.digest
        };
        let besides = seat.besides.get_or_insert_default();
        if besides.superseded.len() < SUPERSEDED_MAX {
            besides.superseded.push(replaced);
        } else {
            besides.further = besides.further.saturating_add(1);
            self.unlisted.insert(replaced);
        }
    }

    /// Takes an agent's ballots, earlier and later ones, out of the round.
    pub fn suspend_agent(&mut self, agent: AgentId) {
        self.suspended.insert(agent);
    }

    /// Makes the round escalate, since its policy was suspended.
    pub fn suspend_pattern(&mut self) {
        self.pattern_suspended = true;
    }

    /// Makes the round escalate, since records of its span are gone.
    pub fn lose_input(&mut self) {
        self.input_lost = true;
    }

    /// Whether no agent that has not spoken could change the status any more.
    #[must_use]
    pub fn is_settled_early(&self) -> bool {
        if !self.policy.early_close {
            return false;
        }
        if fault::is_on(Fault::EarlyTooSoon) {
            return self.admitted > 1;
        }
        let voices = self.voices();
        // A suspended agent may still answer, and its answer bears on whether it mattered.
        early::settled_early(
            &self.case(&voices),
            self.unheard.values().map(|standing| &**standing),
        )
    }

    /// What the round comes to as it stands.
    #[must_use]
    pub fn resolve(&self) -> DecisionPart {
        resolve(&self.case(&self.voices()))
    }

    /// The same without anybody's influence.
    #[must_use]
    pub fn resolve_briefly(&self) -> DecisionPart {
        resolve_briefly(&self.case(&self.voices()))
    }

    /// Everybody's ballots as they stand.
    #[must_use]
    pub fn voices(&self) -> Vec<Voice> {
        let voice = |seat: &Seat| Voice {
            agent_id: seat.agent_id.clone(),
            response_digest: seat.said.digest,
            verdict: seat.said.verdict,
            confidence: seat.said.confidence,
            standing: seat.standing.clone(),
            suspended: self.suspended.contains(&seat.agent_id),
        };
        self.seats.by_agent().into_iter().map(voice).collect()
    }

    /// The round as it is resolved with these voices.
    #[must_use]
    pub fn case<'a>(&'a self, voices: &'a [Voice]) -> Case<'a> {
        Case {
            proposal_digest: self.opening.proposal_digest,
            policy: &self.policy,
            stakes: self.stakes,
            proposer: &self.opening.proposer,
            proposer_principal: &self.proposer_principal,
            voices,
            pattern_suspended: self.pattern_suspended,
            input_lost: self.input_lost,
        }
    }

    /// The responses that are not their agents' ballots, sorted by agent.
    #[must_use]
    pub fn superseded(&self) -> Vec<Superseded> {
        let listed = |seat: &Seat| {
            let besides = seat.besides.as_deref()?;
            Some(Superseded {
                agent_id: seat.agent_id.clone(),
                response_digests: besides.superseded.clone(),
                further: besides.further,
            })
        };
        // Mostly none: only those are sorted.
        let mut superseded: Vec<Superseded> = self.seats.iter().filter_map(listed).collect();
        superseded.sort_unstable_by(|one, other| one.agent_id.cmp(&other.agent_id));
        superseded
    }

    /// What was said in responses, for the decision package.
    pub fn words(&self) -> impl Iterator<Item = Words<'_>> {
        let spoken = self.seats.iter().filter(|seat| !seat.is_proposal);
        spoken.map(|seat| Words {
            response_digest: seat.said.digest,
            reasoning: &seat.said.reasoning,
            evidence: &seat.said.evidence,
        })
    }

    /// Whether an agent has spoken.
    #[must_use]
    pub fn has_heard(&self, agent: &str) -> bool {
        self.seats.get(agent).is_some()
    }

    /// What the counted endorsements and challenges of a decision will teach, sorted by agent.
    #[must_use]
    pub fn lessons(&self, decision: &DecisionPart) -> Vec<Lesson> {
        lessons(decision, |agent| {
            self.seats.get(agent.as_str()).map(|seat| &*seat.standing)
        })
    }
}

/// What the counted endorsements and challenges of a decision will teach, sorted by agent, where
/// `standing` is what each agent brought.
pub fn lessons<'a>(
    decision: &DecisionPart,
    standing: impl Fn(&AgentId) -> Option<&'a Standing>,
) -> Vec<Lesson> {
    let taught = decision.ballots.iter().filter(|ballot| {
        ballot.counted && ballot.verdict != Verdict::Abstain && ballot.weight.get() > 0
    });
    let lesson = |ballot: &Ballot| {
        let standing = standing(&ballot.agent_id)?;
        Some(Lesson {
            agent_id: ballot.agent_id.clone(),
            verdict: ballot.verdict,
            confidence: ballot.confidence,
            authority: ballot.authority,
            a0: standing.a0,
            b0: standing.b0,
            start: standing.start,
        })
    };
    taught.filter_map(lesson).collect()
}
