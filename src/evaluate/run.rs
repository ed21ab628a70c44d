//! A rule over a history: each item decided before its result is shown.

use std::collections::VecDeque;

use quorate_core::ids::AgentId;
use quorate_core::millionths::Millionths;
use quorate_core::policy::governing;
use quorate_core::records::{Agent, AgentKind, AgentStatus, DecisionPart, Grant, Policy, Status};

use super::baselines::Rule;
use super::course::{Answer, Course};
use super::history::{History, Item};
use super::scores::Row;

/// What is decided, by whom, under which rules.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// What was voted on.
    pub history: &'a History,
    /// The agents of the history as they are listed; none for one that is not.
    pub agents: Vec<Option<Agent>>,
    /// The policy of each domain of the history.
    pub policies: Vec<&'a Policy>,
    /// How many items later a result is known; 0: before the next item.
    pub delay: usize,
    /// Of which items a result is known at all.
    pub results: Results,
}

/// Of which items a result is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Results {
    /// Of every item.
    #[default]
    All,
    /// Of those approved: by the rule, or by the person it was escalated to, who approves what is
    /// good.
    ApprovedOnly,
}

/// A domain that no policy covers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no_policy: no policy covers the domain `{0}`")]
pub struct NoPolicy(pub String);

/// The policy of each of a history's domains: the only one there is, or the closest.
///
/// # Errors
/// [`NoPolicy`] of several policies covers a domain.
pub fn policies<'a>(history: &History, of: &'a [Policy]) -> Result<Vec<&'a Policy>, NoPolicy> {
    let domains = history.domains.iter();
    domains
        .map(|domain| match of {
            [only] => Ok(only),
            _ => governing(of.iter(), domain).ok_or_else(|| NoPolicy(domain.clone())),
        })
        .collect()
}

/// Every agent of a history with authority 1 in all its domains, owned by nobody else.
#[must_use]
pub fn equals(history: &History) -> Vec<Option<Agent>> {
    let grant = |domain: &String| Grant {
        domain: domain.clone(),
        authority: Millionths::ONE,
        prior: None,
    };
    let domains: Vec<Grant> = history.domains.iter().map(grant).collect();
    let agents = history.agents.iter();
    agents.map(|id| Some(agent(id, &domains))).collect()
}

/// An agent of these grants, its own principal.
#[must_use]
pub fn agent(id: &AgentId, domains: &[Grant]) -> Agent {
    Agent {
        agent_id: id.clone(),
        kind: AgentKind::Agent,
        display_name: String::new(),
        principal: id.as_str().to_owned(),
        model_family: None,
        domains: domains.to_vec(),
        reviews: Vec::new(),
        public_keys: Vec::new(),
        status: AgentStatus::Active,
    }
}

impl<'a> Plan<'a> {
    /// The policy that governs an item.
    #[must_use]
    pub fn policy(&self, item: &Item) -> Option<&'a Policy> {
        self.policies.get(item.domain).copied()
    }

    /// What the agents that are listed said of an item.
    pub fn answers<'b>(&'b self, item: &'b Item) -> impl Iterator<Item = Answer<'b>> {
        item.votes.iter().filter_map(|vote| {
            Some(Answer {
                agent: self.agents.get(vote.agent)?.as_ref()?,
                endorses: vote.endorses,
                confidence: vote.confidence,
            })
        })
    }

    /// Whether a result comes of an item that came to this.
    pub(super) fn teaches(&self, status: Status, good: bool) -> bool {
        match (self.results, status) {
            (Results::All, _) | (_, Status::Approved) => true,
            (Results::ApprovedOnly, Status::Escalated) => good,
            (Results::ApprovedOnly, Status::Rejected) => false,
        }
    }

    /// The protocol's own rule over items in an order, and what it learnt; `watch` sees each as it
    /// was decided.
    pub fn ours(
        &self,
        order: &[usize],
        mut watch: impl FnMut(&Item, &DecisionPart, &Course),
    ) -> (Vec<Row>, Course) {
        let mut course = Course::new();
        let mut waiting = VecDeque::new();
        let mut rows = Vec::with_capacity(order.len());
        for (at, (item, policy)) in self.ordered(order) {
            let decided = course.decide(policy, self.history.domain(item), self.answers(item));
            let status = decided.decision.would_be;
            rows.push(Row::new(at, item.good, decided.p, status));
            watch(item, &decided.decision, &course);
            waiting.push_back((policy, decided.lessons, item.good, status));
            while waiting.len() > self.delay {
                let Some((policy, lessons, good, status)) = waiting.pop_front() else {
                    break;
                };
                if self.teaches(status, good) {
                    course.learn(policy, lessons, good);
                }
            }
        }
        (rows, course)
    }

    /// A baseline over items in an order; it decides by itself where its probability is as sure
    /// as the policy asks.
    pub fn baseline(&self, order: &[usize], rule: &mut dyn Rule) -> Vec<Row> {
        let mut waiting = VecDeque::new();
        let mut rows = Vec::with_capacity(order.len());
        for (at, (item, policy)) in self.ordered(order) {
            let p = rule.predict(&item.votes);
            let status = side(policy, p);
            rows.push(Row::new(at, item.good, p, status));
            waiting.push_back((item, status));
            while waiting.len() > self.delay {
                let Some((item, status)) = waiting.pop_front() else {
                    break;
                };
                if self.teaches(status, item.good) {
                    rule.learn(&item.votes, item.good);
                }
            }
        }
        rows
    }

    /// Items in an order, with their places and the policies that govern them.
    pub(super) fn ordered<'b>(
        &'b self,
        order: &'b [usize],
    ) -> impl Iterator<Item = (usize, (&'b Item, &'a Policy))> {
        order.iter().filter_map(|&at| {
            let item = self.history.items.get(at)?;
            Some((at, (item, self.policy(item)?)))
        })
    }
}

/// What a baseline's probability comes to: its error is no more than the target, or its lead no
/// less than the margin.
fn side(policy: &Policy, p: f64) -> Status {
    let lead = (2.0 * p - 1.0).abs();
    let needed = match (policy.target_error, policy.quorum_margin) {
        (Some(error), _) => 1.0 - 2.0 * error.to_f64(),
        (None, margin) => margin.map_or(1.0, Millionths::to_f64),
    };
    // Shares of votes are fractions: nine of ten are nine of ten.
    if lead + 1e-9 < needed || lead < 1e-9 {
        Status::Escalated
    } else if p > 0.5 {
        Status::Approved
    } else {
        Status::Rejected
    }
}
