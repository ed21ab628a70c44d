//! What is noted of agents while the protocol's own rule runs: how right, how sure, how trusted.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::records::{DecisionPart, Policy, Verdict};

use super::course::Course;
use super::history::{History, Item};
use super::report::{Moved, OfAgent};
use super::run::Plan;

/// Points at which trust is looked at.
const TRUST_POINTS: usize = 100;
/// Agents whose trust is looked at: those who vote most.
const TRUST_AGENTS: usize = 2_000;
/// Agents whose trust is told: those with most weight.
const TRUST_TOLD: usize = 12;

/// What is noted of agents while the protocol's own rule runs.
pub(super) struct Watch<'a> {
    plan: &'a Plan<'a>,
    agents: BTreeMap<(&'a str, usize), Heard>,
    places: BTreeMap<&'a str, usize>,
    /// Who is drawn, by trust domain and place.
    drawn: BTreeMap<(&'a str, usize), Vec<(usize, f64)>>,
    every: usize,
    seen: usize,
    /// Of each trust domain a policy, and a domain that it governs.
    domains: BTreeMap<&'a str, (&'a Policy, &'a str)>,
}

/// What was heard of an agent.
#[derive(Default)]
struct Heard {
    votes: usize,
    right: usize,
    endorsed: usize,
    claimed: f64,
    share: f64,
    counted: usize,
}

impl<'a> Watch<'a> {
    pub(super) fn new(plan: &'a Plan<'a>) -> Self {
        let history = plan.history;
        let mut most: Vec<(usize, usize)> = votes_by_agent(history).into_iter().collect();
        most.sort_by_key(|(agent, votes)| (std::cmp::Reverse(*votes), *agent));
        let mut drawn = BTreeMap::new();
        let trust_domains = plan
            .policies
            .iter()
            .map(|policy| policy.trust_domain.as_str());
        for trust_domain in trust_domains.collect::<BTreeSet<_>>() {
            for (agent, _) in most.iter().take(TRUST_AGENTS) {
                drawn.insert((trust_domain, *agent), Vec::new());
            }
        }
        let ids = history.agents.iter().enumerate();
        Self {
            plan,
            agents: BTreeMap::new(),
            places: ids.map(|(at, id)| (id.as_str(), at)).collect(),
            drawn,
            every: history.items.len().div_ceil(TRUST_POINTS).max(1),
            seen: 0,
            domains: plan
                .policies
                .iter()
                .zip(&history.domains)
                .map(|(policy, domain)| {
                    let place: (&Policy, &str) = (policy, domain);
                    (policy.trust_domain.as_str(), place)
                })
                .collect(),
        }
    }

    pub(super) fn see(&mut self, item: &Item, decision: &DecisionPart, course: &Course) {
        let Some(policy) = self.plan.policy(item) else {
            return;
        };
        let domain = policy.trust_domain.as_str();
        let weight = (decision.endorse.get() + decision.challenge.get()) as f64;
        for ballot in &decision.ballots {
            let Some(&at) = self.places.get(ballot.agent_id.as_str()) else {
                continue;
            };
            let endorses = ballot.verdict == Verdict::Endorse;
            let heard = self.agents.entry((domain, at)).or_default();
            heard.votes += 1;
            heard.right += usize::from(endorses == item.good);
            heard.endorsed += usize::from(endorses);
            heard.claimed += f64::midpoint(1.0, ballot.confidence.to_f64());
            if weight > 0.0 && ballot.weight.get() > 0 {
                heard.share += ballot.weight.get() as f64 / weight;
                heard.counted += 1;
            }
        }
        if self.seen.is_multiple_of(self.every) {
            let seen = self.seen;
            let drawn: Vec<_> = self.drawn.keys().copied().collect();
            for (domain, at) in drawn {
                let trust = self.trust(course, domain, at);
                if let Some(points) = self.drawn.get_mut(&(domain, at)) {
                    points.push((seen, trust));
                }
            }
        }
        self.seen += 1;
    }

    pub(super) fn told(self, course: &Course) -> (Vec<OfAgent>, Vec<Moved>) {
        let name = |at: usize| {
            let id = self.plan.history.agents.get(at);
            id.map_or_else(String::new, |id| id.as_str().to_owned())
        };
        let of_agent = |((domain, at), heard): (&(&str, usize), &Heard)| {
            let votes = heard.votes.max(1) as f64;
            OfAgent {
                agent_id: name(*at),
                trust_domain: (*domain).to_owned(),
                votes: heard.votes,
                right: heard.right as f64 / votes,
                claimed: heard.claimed / votes,
                endorsed: heard.endorsed as f64 / votes,
                share: heard.share / heard.counted.max(1) as f64,
                trust: self.trust(course, domain, *at),
            }
        };
        let mut agents: Vec<OfAgent> = self.agents.iter().map(of_agent).collect();
        agents.sort_by_key(|agent| std::cmp::Reverse(agent.votes));
        let mut drawn: Vec<_> = self.drawn.iter().collect();
        let weight = |of: &(&str, usize)| self.agents.get(of).map_or(-1.0, |heard| heard.share);
        drawn.sort_by(|one, other| weight(other.0).total_cmp(&weight(one.0)));
        let moved = drawn
            .into_iter()
            .filter(|(of, _)| self.agents.contains_key(*of))
            .take(TRUST_TOLD)
            .map(|((domain, at), points)| Moved {
                agent_id: name(*at),
                trust_domain: (*domain).to_owned(),
                points: points.clone(),
            });
        (agents, moved.collect())
    }

    /// An agent's trust in a trust domain as the course has it now.
    fn trust(&self, course: &Course, trust_domain: &str, at: usize) -> f64 {
        let agent = self.plan.agents.get(at).and_then(Option::as_ref);
        let place = self.domains.get(trust_domain);
        let trust = agent
            .zip(place)
            .map(|(agent, (policy, domain))| course.trust(policy, domain, agent));
        trust.map_or(0.0, |trust| trust.to_f64())
    }
}

/// How often each agent of a history has voted.
fn votes_by_agent(history: &History) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for vote in history.items.iter().flat_map(|item| &item.votes) {
        *counts.entry(vote.agent).or_default() += 1;
    }
    counts
}
