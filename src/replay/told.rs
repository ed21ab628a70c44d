//! What a replay came to, beside what was recorded.

use std::collections::BTreeMap;

use quorate_core::ids::{AgentId, ProposalId};
use quorate_core::records::{Reason, ResultKind, Status, TrustScore};
use serde::Serialize;

use super::{Is, Was};

/// What a round was, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The round.
    pub proposal_id: ProposalId,
    /// Its first outcome as recorded; none if it had none.
    pub from: Option<Status>,
    /// Its first outcome now; none if it has none.
    pub to: Option<Status>,
    /// Its first reason as recorded.
    pub from_reason: Option<Reason>,
    /// Its first reason now.
    pub to_reason: Option<Reason>,
    /// Whether it is open still: its deadline is another now, and the log does not reach it.
    pub open: bool,
    /// The code its proposal is refused with now.
    pub refused: Option<String>,
    /// What later turned out, if that was reported.
    pub result: Option<ResultKind>,
}

/// First outcomes, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Approved by the mathematics.
    pub approved: u64,
    /// Rejected by it.
    pub rejected: u64,
    /// Shown to a human.
    pub escalated: u64,
    /// Approved and found wrong, or rejected and found right.
    pub wrong: u64,
    /// Of those decided by the mathematics, whose result was reported.
    pub known: u64,
}

/// An agent's track record, as it was and as it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// Where it is kept.
    pub trust_domain: String,
    /// Whose it is.
    pub agent_id: AgentId,
    /// As recorded.
    pub recorded: Option<f64>,
    /// Now.
    pub replayed: Option<f64>,
}

/// What a replay came to.
#[derive(Clone, Debug, Serialize)]
pub struct Replayed {
    /// Responses gone through.
    pub responses: u64,
    /// First outcomes as recorded.
    pub recorded: Count,
    /// First outcomes now.
    pub replayed: Count,
    /// Rounds that come out otherwise, by id.
    pub flips: Vec<Change>,
    /// Every track record that there was or is.
    pub trust: Vec<Moved>,
}

impl Count {
    fn add(&mut self, status: Option<Status>, result: Option<ResultKind>) {
        let is_good = result.map(|result| result == ResultKind::Right);
        let decided = match status {
            Some(Status::Approved) => {
                self.approved += 1;
                true
            }
            Some(Status::Rejected) => {
                self.rejected += 1;
                false
            }
            Some(Status::Escalated) => {
                self.escalated += 1;
                return;
            }
            None => return,
        };
        self.known += u64::from(is_good.is_some());
        self.wrong += u64::from(is_good.is_some_and(|is_good| is_good != decided));
    }
}

/// What became of the rounds.
pub(super) fn of(
    was: BTreeMap<ProposalId, Was>,
    mut is: BTreeMap<ProposalId, Is>,
    scores: BTreeMap<(String, AgentId), (Option<TrustScore>, Option<TrustScore>)>,
    responses: u64,
) -> Replayed {
    let mut told = Replayed {
        responses,
        recorded: Count::default(),
        replayed: Count::default(),
        flips: Vec::new(),
        trust: Vec::new(),
    };
    let mut was = was;
    for id in is.keys() {
        was.entry(*id).or_default();
    }
    for (id, was) in was {
        let is = is.remove(&id).unwrap_or_default();
        let (from, to) = (was.first, is.first);
        let (from_status, to_status) = (from.map(|(s, _)| s), to.map(|(s, _)| s));
        told.recorded.add(from_status, was.result);
        told.replayed.add(to_status, was.result);
        if from_status != to_status {
            told.flips.push(Change {
                proposal_id: id,
                from: from_status,
                to: to_status,
                from_reason: from.map(|(_, reason)| reason),
                to_reason: to.map(|(_, reason)| reason),
                open: is.proposal.is_some() && to.is_none(),
                refused: is.refused.filter(|_| is.proposal.is_none()),
                result: was.result,
            });
        }
    }
    let number = |score: Option<TrustScore>| score.map(|score| score.trust.to_f64());
    let moved = |((trust_domain, agent_id), (was, is))| Moved {
        trust_domain,
        agent_id,
        recorded: number(was),
        replayed: number(is),
    };
    told.trust = scores.into_iter().map(moved).collect();
    told
}
