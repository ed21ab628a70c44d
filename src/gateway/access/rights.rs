//! Who may do what: the table that every edge asks, and that Kafka's access lists are made of.
//!
//! `docs/roles.md` is what comes of it, as it was tried.

use std::collections::BTreeSet;

use quorate_core::topic::Topic;
use serde::{Deserialize, Serialize};

/// What a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Proposes and responds.
    Agent,
    /// Reports results.
    Reporter,
    /// Decides escalations.
    Reviewer,
    /// Looks at everything; on the log, says who takes part and by which rules.
    Operator,
}

/// Something that can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Propose an action.
    Propose,
    /// Answer a proposal.
    Respond,
    /// Decide an escalation.
    Decide,
    /// Keep others from beginning with an escalation one is at.
    Claim,
    /// Report how an action turned out.
    Report,
    /// See what one can still answer.
    Inbox,
    /// See rounds as they stand.
    Rounds,
    /// See what rounds came to.
    Outcomes,
    /// See what waits for a person, and all that was said of it.
    Escalations,
    /// See who takes part.
    Agents,
    /// See by which rules.
    Policies,
    /// See track records.
    Trust,
    /// See what was refused.
    DeadLetters,
    /// See who said what in a round, and where it lies.
    Records,
    /// See what people did.
    Audit,
    /// See whether the house is well.
    Health,
    /// Say who takes part.
    Enlist,
    /// Say by which rules.
    Rule,
    /// Take an agent or a policy out of running rounds.
    Suspend,
    /// Keep the schemas' ids.
    Register,
}

/// Who may do something, and what that takes of the log.
struct Right {
    /// By way of a gateway.
    edge: &'static [Role],
    /// On the log itself, where it knows who is who.
    log: &'static [Role],
    appends: &'static [Topic],
    reads: &'static [Topic],
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Agent, Self::Reporter, Self::Reviewer, Self::Operator];

    /// The role as a file of tokens, or an issuer, names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Reporter => "reporter",
            Self::Reviewer => "reviewer",
            Self::Operator => "operator",
        }
    }

    /// What it must append to on the log.
    #[must_use]
    pub fn appends(self) -> Vec<Topic> {
        let mine = |right: &Right| right.log.contains(&self);
        union(mine, |right| right.appends)
    }

    /// What it must read of the log.
    #[must_use]
    pub fn reads(self) -> Vec<Topic> {
        let mine = |right: &Right| right.log.contains(&self);
        union(mine, |right| right.reads)
    }
}

impl Verb {
    /// Everything that can be done.
    pub const ALL: [Self; 20] = [
        Self::Propose,
        Self::Respond,
        Self::Decide,
        Self::Claim,
        Self::Report,
        Self::Inbox,
        Self::Rounds,
        Self::Outcomes,
        Self::Escalations,
        Self::Agents,
        Self::Policies,
        Self::Trust,
        Self::DeadLetters,
        Self::Records,
        Self::Audit,
        Self::Health,
        Self::Enlist,
        Self::Rule,
        Self::Suspend,
        Self::Register,
    ];

    /// Who may do it by way of a gateway; nobody, where no gateway does it.
    #[must_use]
    pub const fn roles(self) -> &'static [Role] {
        self.right().edge
    }

    /// The table.
    const fn right(self) -> Right {
        const NOBODY: &[Role] = &[];
        const AGENT: &[Role] = &[Role::Agent];
        const REPORTER: &[Role] = &[Role::Reporter];
        const REVIEWER: &[Role] = &[Role::Reviewer];
        const OPERATOR: &[Role] = &[Role::Operator];
        const PEOPLE: &[Role] = &[Role::Reviewer, Role::Operator];
        const EVERYBODY: &[Role] = &Role::ALL;
        let (edge, log, appends, reads): (_, _, &[_], &[_]) = match self {
            Self::Propose => (AGENT, AGENT, &[Topic::Proposals], &[]),
            Self::Respond => (AGENT, AGENT, &[Topic::Responses], &[]),
            Self::Decide => (REVIEWER, REVIEWER, &[Topic::Decisions], &[]),
            // Among those who are signed in at gateways: the log does not know reviewers apart.
            Self::Claim => (REVIEWER, NOBODY, &[Topic::Claims], &[]),
            Self::Report => (REPORTER, REPORTER, &[Topic::Results], &[]),
            Self::Inbox => (AGENT, AGENT, &[], &[Topic::Proposals]),
            Self::Rounds => (EVERYBODY, OPERATOR, &[], &[Topic::Rounds]),
            Self::Outcomes => (EVERYBODY, EVERYBODY, &[], &[Topic::Outcomes]),
            Self::Escalations => (PEOPLE, PEOPLE, &[], &[Topic::Escalations]),
            Self::Agents => (EVERYBODY, OPERATOR, &[], &[Topic::Agents]),
            Self::Policies => (EVERYBODY, OPERATOR, &[], &[Topic::Policies]),
            Self::Trust => (EVERYBODY, OPERATOR, &[], &[Topic::Trust]),
            Self::DeadLetters => (EVERYBODY, OPERATOR, &[], &[Topic::DeadLetters]),
            Self::Records | Self::Audit | Self::Health => (PEOPLE, NOBODY, &[], &[]),
            Self::Enlist => (NOBODY, OPERATOR, &[Topic::Agents], &[]),
            Self::Rule => (NOBODY, OPERATOR, &[Topic::Policies], &[]),
            Self::Suspend => (OPERATOR, OPERATOR, &[Topic::Responses], &[]),
            Self::Register => (NOBODY, OPERATOR, &[Topic::Schemas], &[]),
        };
        Right {
            edge,
            log,
            appends,
            reads,
        }
    }
}

/// What a gateway must append to so that others may do by way of it what they may; the tables of
/// who takes part and by which rules only where operators suspend and resume by way of it.
#[must_use]
pub fn appended_by_gateways(operates: bool) -> Vec<Topic> {
    let mut topics = union(|right| !right.edge.is_empty(), |right| right.appends);
    if operates {
        topics.extend([Topic::Agents, Topic::Policies]);
    }
    topics
}

fn union(
    is_meant: impl Fn(&Right) -> bool,
    topics: impl Fn(&Right) -> &'static [Topic],
) -> Vec<Topic> {
    let rights = Verb::ALL.into_iter().map(Verb::right).filter(is_meant);
    let topics: BTreeSet<Topic> = rights.flat_map(|right| topics(&right)).copied().collect();
    topics.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_said_in_one_role_wherever() {
        for verb in Verb::ALL {
            let right = verb.right();
            if !right.appends.is_empty() {
                let mut both = [right.edge, right.log].concat();
                both.dedup();
                assert_eq!(both.len(), 1, "{verb:?}");
            }
        }
    }

    #[test]
    fn a_gateway_gives_nobody_what_only_operators_write() {
        let appended = appended_by_gateways(false);
        for topic in [Topic::Agents, Topic::Policies, Topic::Schemas] {
            assert!(Role::Operator.appends().contains(&topic));
            assert!(!appended.contains(&topic), "{topic}");
        }
    }
}
