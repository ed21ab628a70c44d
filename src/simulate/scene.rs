//! A house under attack: honest agents of equal skill, hostile ones, rounds and their results.

use quorate_core::ids::AgentId;
use quorate_core::millionths::{Millionths, ONE};
use quorate_core::records::{Agent, AgentStatus, Grant, Policy, Status};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;

use crate::evaluate::course::{Answer, Course, Decided};
use crate::evaluate::history::NO_DOMAIN;
use crate::evaluate::run::agent;

/// How right an honest agent is unless told otherwise.
pub(super) const SKILL: f64 = 0.85;
/// How often what is proposed is good.
pub(super) const BASE_RATE: f64 = 0.7;

/// What an agent answers.
pub(super) type Said = (Agent, bool, Millionths);

/// A house, what it has learnt, and the dice.
pub(super) struct Scene {
    random: Pcg64,
    /// Attackers' own dice: what they do leaves the others as they are.
    theirs: Pcg64,
    pub(super) course: Course,
    pub(super) policy: Policy,
    pub(super) honest: Vec<Agent>,
}

impl Scene {
    pub(super) fn new(policy: &Policy, honest: usize, seed: u64) -> Self {
        Self {
            random: Pcg64::seed_from_u64(seed),
            theirs: Pcg64::seed_from_u64(!seed),
            course: Course::new(),
            policy: policy.clone(),
            honest: (0..honest)
                .map(|at| named(&format!("honest-{at}")))
                .collect(),
        }
    }

    /// Whether the next proposal is good.
    pub(super) fn toss(&mut self) -> bool {
        self.random.random::<f64>() < BASE_RATE
    }

    /// Whether attackers of this skill are right, this time.
    pub(super) fn are_right(&mut self, skill: f64) -> bool {
        self.theirs.random::<f64>() < skill
    }

    /// What honest agents of this skill say, each by itself, as sure as they should be.
    pub(super) fn answers(&mut self, good: bool, skill: f64) -> Vec<Said> {
        let confidence = calibrated(skill);
        let honest = self.honest.clone();
        let answer = |agent| {
            let is_right = self.random.random::<f64>() < skill;
            (agent, is_right == good, confidence)
        };
        honest.into_iter().map(answer).collect()
    }

    /// What a round comes to.
    pub(super) fn decide(&self, said: &[Said]) -> Decided {
        self.decide_in(&self.policy, NO_DOMAIN, said)
    }

    /// What a round of a domain comes to under a policy.
    pub(super) fn decide_in(&self, policy: &Policy, domain: &str, said: &[Said]) -> Decided {
        let answers = said.iter().map(|(agent, endorses, confidence)| Answer {
            agent,
            endorses: *endorses,
            confidence: *confidence,
        });
        self.course.decide(policy, domain, answers)
    }

    /// Decides a round and learns its result.
    pub(super) fn play(&mut self, good: bool, said: &[Said]) -> Decided {
        let decided = self.decide(said);
        let lessons = decided.lessons.clone();
        self.course.learn(&self.policy, lessons, good);
        decided
    }

    /// Rounds of honest agents alone.
    pub(super) fn warm_up(&mut self, rounds: usize) {
        for _ in 0..rounds {
            let good = self.toss();
            let said = self.answers(good, SKILL);
            self.play(good, &said);
        }
    }
}

/// Which share of a round's weight agents have whose names begin like this.
pub(super) fn share_of(decided: &Decided, prefix: &str) -> f64 {
    let weights = |is: &dyn Fn(&str) -> bool| -> f64 {
        let ballots = decided.decision.ballots.iter();
        let weights = ballots.filter(|ballot| is(ballot.agent_id.as_str()));
        weights.map(|ballot| ballot.weight.to_f64()).sum()
    };
    let all = weights(&|_| true);
    if all > 0.0 {
        weights(&|id| id.starts_with(prefix)) / all
    } else {
        0.0
    }
}

/// 1 if the better side is that of the truth, ½ for a tie.
pub(super) fn hit(decided: &Decided, good: bool) -> f64 {
    let decision = &decided.decision;
    match decision.endorse.cmp(&decision.challenge) {
        std::cmp::Ordering::Equal => 0.5,
        order => f64::from(u8::from(order.is_gt() == good)),
    }
}

/// Whether a round was decided without a person, and wrongly.
pub(super) fn is_wrong(decided: &Decided, good: bool) -> bool {
    match decided.decision.status {
        Status::Approved => !good,
        Status::Rejected => good,
        Status::Escalated => false,
    }
}

/// An active agent of authority 1, its own principal.
pub(super) fn named(id: &str) -> Agent {
    let grant = |domain: &str| Grant {
        domain: domain.to_owned(),
        authority: Millionths::ONE,
        prior: None,
    };
    agent(&AgentId::from(id), &[grant(NO_DOMAIN), grant("pay")])
}

/// The same agent, of this principal.
pub(super) fn owned(agent: Agent, principal: &str) -> Agent {
    Agent {
        principal: principal.to_owned(),
        ..agent
    }
}

/// The same agent, retired.
pub(super) fn retired(agent: Agent) -> Agent {
    Agent {
        status: AgentStatus::Retired,
        ..agent
    }
}

/// The confidence of an agent that is right with this probability.
pub(super) fn calibrated(probability: f64) -> Millionths {
    Millionths::admit((2.0 * probability - 1.0).clamp(0.0, 1.0)).unwrap_or(Millionths::ZERO)
}

/// As sure as can be.
pub(super) const SURE: Millionths = Millionths::ONE;

/// How much weight a round has in all, in wholes.
pub(super) fn weight(decided: &Decided) -> f64 {
    (decided.decision.endorse.get() + decided.decision.challenge.get()) as f64 / ONE as f64
}
