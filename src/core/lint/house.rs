//! The electorate of one domain under one policy, and the rounds it could hold.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::terms::USUAL;
use crate::electorate::{self, Standing};
use crate::ids::{AgentId, Digest};
use crate::millionths::Millionths;
use crate::records::{
    Agent, AgentKind, AgentStatus, DecisionPart, Mode, Policy, Stakes, TrustScore, Verdict,
};
use crate::resolve::{Case, Voice, resolve};

/// A policy, a domain it governs, and everybody who is qualified there.
#[derive(Debug)]
pub(super) struct House<'a> {
    pub(super) policy: &'a Policy,
    pub(super) domain: &'a str,
    /// Every active agent, qualified or not.
    pub(super) agents: Vec<&'a Agent>,
    pub(super) seats: Vec<Seat<'a>>,
}

/// A qualified agent.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    pub(super) agent: &'a Agent,
    pub(super) standing: Standing,
}

/// How a round is imagined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Imagined {
    /// Trust and confidence 1, no caps: nothing can do better.
    AtBest,
    /// Today's trust, a usual confidence, caps as they are.
    Today,
}

/// Who proposes an imagined round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proposer<'a> {
    pub(super) agent_id: &'a AgentId,
    pub(super) principal: &'a str,
}

impl<'a> House<'a> {
    pub(super) fn new(
        policy: &'a Policy,
        domain: &'a str,
        agents: &'a [Agent],
        scores: &[TrustScore],
    ) -> Self {
        let scores: BTreeMap<&AgentId, &TrustScore> = scores
            .iter()
            .filter(|score| score.trust_domain == policy.trust_domain)
            .map(|score| (&score.agent_id, score))
            .collect();
        let known = agents
            .iter()
            .filter_map(|agent| Some((agent, *scores.get(&agent.agent_id)?)));
        let active: Vec<_> = agents.iter().filter(|agent| is_active(agent)).collect();
        let seat = |agent: &&'a Agent| {
            let score = scores.get(&agent.agent_id).copied();
            let inherited = electorate::inherited(agent, known.clone());
            let standing = electorate::standing(agent, domain, policy, score, inherited);
            standing.qualified.then_some(Seat { agent, standing })
        };
        let seats = active.iter().filter_map(seat).collect();
        Self {
            policy,
            domain,
            agents: active,
            seats,
        }
    }

    /// Everybody who may be expected to propose: active, and no mere reporter.
    pub(super) fn proposers(&self) -> impl Iterator<Item = Proposer<'a>> {
        self.agents
            .iter()
            .filter(|agent| agent.kind != AgentKind::Reporter)
            .map(|agent| Proposer {
                agent_id: &agent.agent_id,
                principal: &agent.principal,
            })
    }

    /// The round in which everybody endorses what somebody proposes, at the lowest stakes.
    pub(super) fn unanimous(&self, imagined: Imagined, proposer: Proposer<'_>) -> DecisionPart {
        self.round(imagined, proposer, self.seats.iter())
    }

    /// The round in which nobody but its proposer speaks, at the lowest stakes.
    pub(super) fn alone(&self, seat: &Seat<'_>) -> DecisionPart {
        let proposer = Proposer {
            agent_id: &seat.agent.agent_id,
            principal: &seat.agent.principal,
        };
        self.round(Imagined::Today, proposer, [seat].into_iter())
    }

    fn round<'s>(
        &self,
        imagined: Imagined,
        proposer: Proposer<'_>,
        seats: impl Iterator<Item = &'s Seat<'s>>,
    ) -> DecisionPart {
        let voices: Vec<_> = seats.map(|seat| endorsement(imagined, seat)).collect();
        let mut policy = Policy {
            mode: Mode::Live,
            escalate_at_stakes: Stakes::Critical,
            ..self.policy.clone()
        };
        if imagined == Imagined::AtBest {
            policy.max_share_per_principal = Millionths::ONE;
            policy.max_share_per_model_family = Millionths::ONE;
        }
        resolve(&Case {
            proposal_digest: Digest::default(),
            policy: &policy,
            stakes: Stakes::Low,
            proposer: proposer.agent_id,
            proposer_principal: proposer.principal,
            voices: &voices,
            pattern_suspended: false,
            input_lost: false,
        })
    }
}

/// Whether an agent takes part.
pub(super) fn is_active(agent: &Agent) -> bool {
    agent.status == AgentStatus::Active
}

fn endorsement(imagined: Imagined, seat: &Seat<'_>) -> Voice {
    let (trust, confidence) = match imagined {
        Imagined::AtBest => (Millionths::ONE, Millionths::ONE),
        Imagined::Today => {
            let usual = Millionths::new(USUAL).unwrap_or(Millionths::ONE);
            (seat.standing.trust, usual)
        }
    };
    Voice {
        agent_id: seat.agent.agent_id.clone(),
        response_digest: Digest::default(),
        verdict: Verdict::Endorse,
        confidence,
        standing: Arc::new(Standing {
            trust,
            ..seat.standing.clone()
        }),
        suspended: false,
    }
}
