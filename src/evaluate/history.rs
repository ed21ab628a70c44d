//! What was voted on, by whom, and what turned out.

use quorate_core::ids::AgentId;
use quorate_core::millionths::Millionths;

/// The domain of an item whose votes name none.
pub const NO_DOMAIN: &str = "evaluation";

/// Items in the order in which they are decided, with the votes on each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Everybody who voted, in the order they first did.
    pub agents: Vec<AgentId>,
    /// Every domain of an item, in the order they first occurred.
    pub domains: Vec<String>,
    /// What was decided.
    pub items: Vec<Item>,
    /// What of the files bears on nothing.
    pub notes: Notes,
}

/// One item that was voted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub id: String,
    /// Where its domain stands in [`History::domains`].
    pub domain: usize,
    /// Whether endorsing it was right.
    pub good: bool,
    /// One vote an agent.
    pub votes: Vec<Vote>,
}

/// One agent's vote on one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Where its agent stands in [`History::agents`].
    pub agent: usize,
    /// For the item, or against it.
    pub endorses: bool,
    /// As on the wire: 0 a coin flip, 1 certain.
    pub confidence: Millionths,
}

impl Vote {
    /// Whether it says what turned out.
    #[must_use]
    pub const fn is_right(&self, good: bool) -> bool {
        self.endorses == good
    }

    /// +1 for an endorsement, −1 for a challenge.
    #[must_use]
    pub const fn sign(&self) -> f64 {
        if self.endorses { 1.0 } else { -1.0 }
    }
}

/// What of the files bears on nothing: said, since nothing is dropped in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Notes {
    /// Votes on items of which no truth is given.
    pub votes_without_truth: usize,
    /// Votes that a later one of the same agent on the same item replaced.
    pub superseded: usize,
    /// Votes that name another domain than the first vote on their item.
    pub other_domain: usize,
}

impl History {
    /// How many votes count.
    #[must_use]
    pub fn votes(&self) -> usize {
        self.items.iter().map(|item| item.votes.len()).sum()
    }

    /// The share of items that endorsing was right for; 0 without items.
    #[must_use]
    pub fn base_rate(&self) -> f64 {
        let good = self.items.iter().filter(|item| item.good).count();
        good as f64 / self.items.len().max(1) as f64
    }

    /// The domain of an item.
    #[must_use]
    pub fn domain(&self, item: &Item) -> &str {
        self.domains.get(item.domain).map_or(NO_DOMAIN, |d| d)
    }
}
