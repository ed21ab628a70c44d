//! Changes to the rule that were thought of, to be measured before anybody adopts one.

use std::collections::VecDeque;

use quorate_core::ids::AgentId;
use quorate_core::millionths::Sum;
use quorate_core::records::{Agent, Policy, Status};

use super::course::Course;
use super::history::{History, Item, Vote};
use super::run::Plan;
use super::scores::Row;

/// What a result moves k by, of the k it began with.
const STEP: f64 = 0.1;

/// The rule with a track record for endorsements and one for challenges: each agent is two.
#[must_use]
pub fn separate_trust(plan: &Plan<'_>, order: &[usize]) -> Vec<Row> {
    let history = plan.history;
    let split = |vote: &Vote| Vote {
        agent: 2 * vote.agent + usize::from(!vote.endorses),
        ..*vote
    };
    let items = history.items.iter().map(|item| Item {
        votes: item.votes.iter().map(split).collect(),
        ..item.clone()
    });
    let ids = |id: &AgentId| {
        ["endorses", "challenges"].map(|does| AgentId::from(format!("{id} {does}").as_str()))
    };
    let both = |(id, agent): (&AgentId, &Option<Agent>)| {
        let named = |agent_id: AgentId| {
            let agent = agent.clone()?;
            Some(Agent { agent_id, ..agent })
        };
        ids(id).map(named)
    };
    let doubled = History {
        agents: history.agents.iter().flat_map(ids).collect(),
        items: items.collect(),
        domains: history.domains.clone(),
        notes: history.notes,
    };
    let agents = history.agents.iter().zip(&plan.agents).flat_map(both);
    let plan = Plan {
        agents: agents.collect(),
        history: &doubled,
        ..plan.clone()
    };
    plan.ours(order, |_, _, _| {}).0
}

/// The rule with a k that moves after each automatic decision's result, so that the error settles
/// at the target (adaptive inference: Gibbs and Candès 2021); relative margins stay as they are.
#[must_use]
pub fn self_tuned(plan: &Plan<'_>, order: &[usize]) -> Vec<Row> {
    let mut course = Course::new();
    let mut factor: f64 = 1.0;
    let mut waiting = VecDeque::new();
    let mut rows = Vec::with_capacity(order.len());
    for (at, (item, policy)) in plan.ordered(order) {
        let tuned = with_unit(policy, factor);
        let domain = plan.history.domain(item);
        let decided = course.decide(&tuned, domain, plan.answers(item));
        let row = Row::new(at, item.good, decided.p, decided.decision.would_be);
        rows.push(row);
        waiting.push_back((policy, decided.lessons, row));
        while waiting.len() > plan.delay {
            let Some((policy, lessons, row)) = waiting.pop_front() else {
                break;
            };
            if !plan.teaches(row.status, row.good) {
                continue;
            }
            course.learn(policy, lessons, row.good);
            let target = policy.target_error.map(|error| error.to_f64());
            if let (Some(is_wrong), Some(target)) = (row.automatic(), target)
                && row.status != Status::Escalated
            {
                factor = (factor + STEP * (f64::from(u8::from(is_wrong)) - target)).max(0.0);
            }
        }
    }
    rows
}

/// A policy whose k is so many times what it was.
fn with_unit(policy: &Policy, factor: f64) -> Policy {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float saturates as an integer, and this one is not negative"
    )]
    let unit = (policy.evidence_unit.get() as f64 * factor).round() as u64;
    Policy {
        evidence_unit: Sum::new(unit),
        ..policy.clone()
    }
}
