//! Counts what a transaction holds, so that work that is aborted and done again counts once.

use std::collections::BTreeMap;

use quorate_core::records::{
    DeadLetter, DecisionPackage, Outcome, ResolvedBy, Round, RoundState, Status,
};

use crate::engine::{Forward, Output};

/// What a transaction holds, counted by the thread that fills it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rounds opened.
    pub opened: u64,
    /// Outcomes, by status and by what resolved them.
    pub outcomes: BTreeMap<(&'static str, &'static str), u64>,
    /// Decision packages put before people, repeated ones included.
    pub escalations: u64,
    /// Results turned into trust updates.
    pub trust_updates: u64,
    /// Records forwarded to the partition they belong on.
    pub forwards: u64,
    /// Records refused, by code.
    pub rejects: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts what an engine put out, and says what is decisive of it at debug level.
    pub fn take(&mut self, partition: i32, output: &Output) {
        match output {
            Output::Round(round) if round.state == RoundState::Open => {
                self.opened(partition, round);
            }
            Output::Round(_) | Output::Tombstone(_) | Output::TrustScore(_) => {}
            Output::Outcome(outcome) => self.outcome(outcome),
            Output::Escalation(package) => self.escalation(package),
            Output::TrustUpdate(_) => self.trust_updates += 1,
            Output::DeadLetter(letter, trace) => self.reject(letter, trace.as_deref()),
            Output::Forward(forward) => {
                self.forwards += 1;
                let Forward { topic, offset, .. } = forward;
                let (offset, to) = (offset.0, forward.partition);
                tracing::debug!(partition, %topic, offset, to, "record forwarded");
            }
        }
    }

    fn opened(&mut self, partition: i32, round: &Round) {
        self.opened += 1;
        let opening = &round.opening;
        tracing::debug!(
            proposal_id = %round.proposal_id,
            pattern = opening.pattern,
            partition,
            offset = opening.proposal_offset.0,
            traceparent = opening.traceparent,
            "round opened"
        );
    }

    fn outcome(&mut self, outcome: &Outcome) {
        let decision = &outcome.decision;
        let (status, by) = (status(decision.status), by(decision.resolved_by));
        *self.outcomes.entry((status, by)).or_default() += 1;
        let at = &outcome.coordinates;
        tracing::debug!(
            proposal_id = %outcome.proposal_id,
            partition = at.partition,
            offset = at.closing_offset.0,
            status,
            by,
            reasons = ?decision.reasons,
            traceparent = at.traceparent,
            "round decided"
        );
    }

    fn escalation(&mut self, package: &DecisionPackage) {
        self.escalations += 1;
        let at = &package.coordinates;
        tracing::debug!(
            proposal_id = %package.proposal_id,
            domain = package.content.proposal.domain,
            partition = at.partition,
            offset = at.closing_offset.0,
            tier = package.tier,
            traceparent = at.traceparent,
            "round put before people"
        );
    }

    fn reject(&mut self, letter: &DeadLetter, traceparent: Option<&str>) {
        let (topic, code) = (&*letter.topic, &*letter.reason);
        match self.rejects.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                self.rejects.insert(code.to_owned(), 1);
            }
        }
        let (partition, offset) = (letter.partition, letter.offset.0);
        tracing::debug!(
            topic,
            partition,
            offset,
            code,
            traceparent,
            "record refused"
        );
    }

    /// Takes what another has counted.
    pub(super) fn absorb(&mut self, other: Self) {
        self.opened += other.opened;
        self.escalations += other.escalations;
        self.trust_updates += other.trust_updates;
        self.forwards += other.forwards;
        for (of, count) in other.outcomes {
            *self.outcomes.entry(of).or_default() += count;
        }
        for (code, count) in other.rejects {
            *self.rejects.entry(code).or_default() += count;
        }
    }
}

const fn status(status: Status) -> &'static str {
    match status {
        Status::Approved => "approved",
        Status::Rejected => "rejected",
        Status::Escalated => "escalated",
    }
}

const fn by(by: ResolvedBy) -> &'static str {
    match by {
        ResolvedBy::Human => "human",
        ResolvedBy::Timeout => "timeout",
        ResolvedBy::Protocol => "protocol",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absorbed_is_added() {
        let mut sum = Tally::default();
        for _ in 0..2 {
            sum.absorb(Tally {
                opened: 3,
                rejects: [("bad_id".to_owned(), 1)].into(),
                outcomes: [(("approved", "human"), 1)].into(),
                ..Tally::default()
            });
        }
        assert_eq!(sum.opened, 6);
        assert_eq!(sum.rejects, [("bad_id".to_owned(), 2)].into());
        assert_eq!(sum.outcomes, [(("approved", "human"), 2)].into());
    }
}
