//! Rounds decided one after the other by the core, and what results teach in between.
//!
//! This is the protocol without its log: a policy, the agents as an operator lists them, and track
//! records. An electorate, a decision, its lessons and a fold are the core's own functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::electorate::{Standing, inherited, standing};
use quorate_core::ids::{AgentId, Digest, Offset, ProposalId, Timestamp};
use quorate_core::millionths::Millionths;
use quorate_core::records::{
    Agent, AgentStatus, Basis, Coordinates, DecisionPart, Lesson, Pins, Policy, ResultKind, Stakes,
    TrustScore, TrustUpdate, Verdict,
};
use quorate_core::resolve::{Case, Voice, resolve};
use quorate_core::round::lessons;
use quorate_core::trust::{collective, fold};

/// Track records in every trust domain, and who left.
#[derive(Clone, Debug)]
pub struct Course {
    scores: BTreeMap<String, BTreeMap<AgentId, TrustScore>>,
    /// Retired and suspended agents: what a new id of their principal may inherit from.
    left: Vec<Agent>,
    /// What every fold has in common.
    update: TrustUpdate,
    nobody: AgentId,
}

/// One agent's answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Who answers.
    pub agent: &'a Agent,
    /// For the proposal, or against it.
    pub endorses: bool,
    /// As on the wire.
    pub confidence: Millionths,
}

/// What a round came to, and what its result will teach.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The decision with all its ballots.
    pub decision: DecisionPart,
    /// The collective's probability that the proposal is good; one half where nobody spoke.
    pub p: f64,
    /// What will be learnt from.
    pub lessons: Vec<Lesson>,
}

impl Default for Course {
    fn default() -> Self {
        Self::new()
    }
}

impl Course {
    /// A house of newcomers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            scores: BTreeMap::new(),
            left: Vec::new(),
            update: nothing(),
            nobody: AgentId::from(""),
        }
    }

    /// Lists an agent as retired or suspended.
    pub fn leave(&mut self, agent: Agent) {
        if agent.status != AgentStatus::Active {
            self.left.push(agent);
        }
    }

    /// What a round of a domain comes to, by the track records in force.
    #[must_use]
    pub fn decide<'a>(
        &self,
        policy: &Policy,
        domain: &str,
        answers: impl Iterator<Item = Answer<'a>>,
    ) -> Decided {
        let scores = self.scores.get(&policy.trust_domain);
        let voices: Vec<Voice> = answers
            .map(|answer| Voice {
                agent_id: answer.agent.agent_id.clone(),
                response_digest: Digest::default(),
                verdict: if answer.endorses {
                    Verdict::Endorse
                } else {
                    Verdict::Challenge
                },
                confidence: answer.confidence,
                standing: Arc::new(self.standing(answer.agent, domain, policy, scores)),
                suspended: false,
            })
            .collect();
        let decision = resolve(&Case {
            proposal_digest: Digest::default(),
            policy,
            stakes: Stakes::Low,
            proposer: &self.nobody,
            proposer_principal: "",
            voices: &voices,
            pattern_suspended: false,
            input_lost: false,
        });
        let brought: BTreeMap<&AgentId, &Standing> = voices
            .iter()
            .map(|voice| (&voice.agent_id, &*voice.standing))
            .collect();
        let voters = usize::try_from(decision.n).unwrap_or(0);
        Decided {
            p: collective(decision.endorse, decision.challenge, voters),
            lessons: lessons(&decision, |agent| brought.get(agent).copied()),
            decision,
        }
    }

    fn standing(
        &self,
        agent: &Agent,
        domain: &str,
        policy: &Policy,
        scores: Option<&BTreeMap<AgentId, TrustScore>>,
    ) -> Standing {
        let score = scores.and_then(|scores| scores.get(&agent.agent_id));
        let start = if score.is_none() && !self.left.is_empty() {
            let of = |other: &AgentId| scores.and_then(|scores| scores.get(other));
            let with_score = |other: &'_ Agent| of(&other.agent_id).is_some();
            let left = self.left.iter().filter(|other| with_score(other));
            inherited(
                agent,
                left.filter_map(|other| of(&other.agent_id).map(|score| (other, score))),
            )
        } else {
            None
        };
        standing(agent, domain, policy, score, start)
    }

    /// What an agent's votes are multiplied by in a domain under a policy, by the track records in
    /// force; by its prior where it has none.
    #[must_use]
    pub fn trust(&self, policy: &Policy, domain: &str, agent: &Agent) -> Millionths {
        let scores = self.scores.get(&policy.trust_domain);
        self.standing(agent, domain, policy, scores).trust
    }

    /// Learns a round's result; the collective's probability at that time.
    pub fn learn(&mut self, policy: &Policy, lessons: Vec<Lesson>, good: bool) -> f64 {
        let update = &mut self.update;
        if update.trust_domain != policy.trust_domain {
            update.trust_domain.clone_from(&policy.trust_domain);
        }
        update.half_life = policy.half_life;
        update.ballots = lessons;
        update.result = if good {
            ResultKind::Right
        } else {
            ResultKind::Wrong
        };
        let scores = self.scores.entry(policy.trust_domain.clone()).or_default();
        let fold = fold(update, (0, Offset(0)), |agent| scores.get(agent));
        for score in fold.scores {
            if let Some(known) = scores.get_mut(&score.agent_id) {
                *known = score;
            } else {
                scores.insert(score.agent_id.clone(), score);
            }
        }
        fold.p
    }

    /// An agent's track record; none before its first result.
    #[must_use]
    pub fn score(&self, trust_domain: &str, agent: &AgentId) -> Option<&TrustScore> {
        self.scores.get(trust_domain)?.get(agent)
    }

    /// Every track record of a trust domain, by agent.
    pub fn scores(&self, trust_domain: &str) -> impl Iterator<Item = &TrustScore> {
        let scores = self.scores.get(trust_domain);
        scores.into_iter().flat_map(BTreeMap::values)
    }

    /// The trust domains in which something was learnt.
    pub fn trust_domains(&self) -> impl Iterator<Item = &str> {
        self.scores.keys().map(String::as_str)
    }
}

/// An update that teaches nothing: what is the same of all of them.
fn nothing() -> TrustUpdate {
    TrustUpdate {
        trust_domain: String::new(),
        proposal_id: ProposalId::from_bytes([0; 16]),
        result_id: String::new(),
        result_digest: Digest::default(),
        reporter: String::new(),
        result: ResultKind::Unknown,
        basis: Basis::Observed,
        corrects: None,
        half_life: None,
        decision_digest: Digest::default(),
        outcome: Coordinates {
            partition: 0,
            proposal_offset: Offset(0),
            proposal_time: Timestamp(0),
            deadline: Timestamp(0),
            closing_offset: Offset(0),
            closing_time: Timestamp(0),
            closed_early: false,
            pins: Pins::NONE,
            superseded: Vec::new(),
            judged: Vec::new(),
            traceparent: None,
        },
        result_offset: Offset(0),
        result_time: Timestamp(0),
        agents_offset: Offset(0),
        ballots: Vec::new(),
    }
}
