//! The topics of the protocol, by the names they have everywhere, without prefix.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Topic {
    /// Agents' proposals; round-keyed input.
    Proposals,
    /// Agents' responses and operators' control records; round-keyed input.
    Responses,
    /// Reviewers' decisions; round-keyed input.
    Decisions,
    /// Reporters' results; round-keyed input.
    Results,
    /// The table of agents.
    Agents,
    /// The table of policies.
    Policies,
    /// The table of schemas.
    Schemas,
    /// The state of every round; round-keyed, compacted.
    Rounds,
    /// Outcomes; round-keyed.
    Outcomes,
    /// Decision packages; round-keyed.
    Escalations,
    /// Results to be folded, keyed by trust domain.
    TrustUpdates,
    /// The table of trust scores.
    Trust,
    /// Refused records.
    DeadLetters,
    /// Which reviewer is at which escalation; round-keyed, compacted. It decides nothing, and
    /// gateways alone write and read it.
    Claims,
}

impl Topic {
    /// Every topic.
    pub const ALL: &[Self] = &[
        Self::Proposals,
        Self::Responses,
        Self::Decisions,
        Self::Results,
        Self::Agents,
        Self::Policies,
        Self::Schemas,
        Self::Rounds,
        Self::Outcomes,
        Self::Escalations,
        Self::TrustUpdates,
        Self::Trust,
        Self::DeadLetters,
        Self::Claims,
    ];

    /// The name without prefix, such as `trust-updates`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proposals => "proposals",
            Self::Responses => "responses",
            Self::Decisions => "decisions",
            Self::Results => "results",
            Self::Agents => "agents",
            Self::Policies => "policies",
            Self::Schemas => "schemas",
            Self::Rounds => "rounds",
            Self::Outcomes => "outcomes",
            Self::Escalations => "escalations",
            Self::TrustUpdates => "trust-updates",
            Self::Trust => "trust",
            Self::DeadLetters => "dead-letters",
            Self::Claims => "claims",
        }
    }

    /// The topic of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|topic| topic.name() == name)
    }

    /// Whether every processor reads it whole: one partition.
    #[must_use]
    pub const fn is_table(self) -> bool {
        matches!(
            self,
            Self::Agents | Self::Policies | Self::Schemas | Self::Trust
        )
    }

    /// Whether a log may be without it: nothing is decided by what it holds.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::Claims)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
