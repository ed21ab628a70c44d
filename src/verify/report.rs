//! What was verified, what is broken and where, and what could not be evaluated.

use std::collections::BTreeMap;

use quorate_core::ids::{Offset, ProposalId};
use quorate_core::topic::Topic;
use serde::Serialize;

use crate::engine::Waiting;

/// What a history comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was put out follows.
    Verified,
    /// Something does not.
    Broken,
    /// Nothing is broken, but not everything could be evaluated.
    NotEvaluated,
}

/// Something that is broken, or could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing: `outcome`, `package`, `dead_letter` and so on.
    pub kind: &'static str,
    /// The round, if it is about one.
    pub proposal_id: Option<ProposalId>,
    /// Where it lies, or should: the topic's name.
    pub topic: &'static str,
    /// The partition.
    pub partition: i32,
    /// The offset, of what was found.
    pub offset: Option<i64>,
    /// What was recorded; none if nothing was.
    pub recorded: Option<String>,
    /// What follows; none if nothing does.
    pub follows: Option<String>,
}

impl Finding {
    pub(super) fn of_partition(partition: i32, why: String) -> Self {
        Self {
            kind: "partition",
            proposal_id: None,
            topic: Topic::Proposals.name(),
            partition,
            offset: None,
            recorded: None,
            follows: Some(why),
        }
    }

    pub(super) fn of_pins(
        id: ProposalId,
        (topic, partition, offset): (Topic, i32, Offset),
        what: String,
    ) -> Self {
        Self {
            kind: "pins",
            proposal_id: Some(id),
            topic: topic.name(),
            partition,
            offset: Some(offset.0),
            recorded: Some(what),
            follows: None,
        }
    }

    /// A record that nothing follows from yet, and what it waits for.
    pub(super) fn of_waiting(partition: i32, waiting: &Waiting) -> Self {
        Self {
            kind: match waiting.topic {
                Topic::Responses => "response",
                Topic::Decisions => "decision",
                _ => "result",
            },
            proposal_id: waiting.id,
            topic: waiting.topic.name(),
            partition,
            offset: Some(waiting.offset.0),
            recorded: None,
            follows: Some(format!("nothing until {}", waiting.until)),
        }
    }

    /// A record that is not what it must be in itself.
    pub(super) fn of_record(
        kind: &'static str,
        id: Option<ProposalId>,
        (topic, partition, offset): (Topic, i32, i64),
        recorded: String,
        follows: Option<String>,
    ) -> Self {
        Self {
            kind,
            proposal_id: id,
            topic: topic.name(),
            partition,
            offset: Some(offset),
            recorded: Some(recorded),
            follows,
        }
    }
}

/// What verifying a history came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many of each kind follow.
    pub verified: BTreeMap<&'static str, u64>,
    /// What does not.
    pub broken: Vec<Finding>,
    /// What could not be evaluated, and why.
    pub not_evaluated: Vec<Finding>,
    /// Records that nothing follows from yet: whoever processes the log waits, too.
    pub waiting: Vec<Finding>,
    /// How many records of what nobody vouches for.
    pub unverified: BTreeMap<&'static str, u64>,
    /// Rounds whose deadlines the log has not passed.
    pub open: u64,
    /// What may still be about to be put out.
    pub pending: u64,
    #[serde(skip)]
    round: Option<ProposalId>,
}

impl Report {
    pub(super) const fn new(round: Option<ProposalId>) -> Self {
        Self {
            verified: BTreeMap::new(),
            broken: Vec::new(),
            not_evaluated: Vec::new(),
            waiting: Vec::new(),
            unverified: BTreeMap::new(),
            open: 0,
            pending: 0,
            round,
        }
    }

    /// What it comes to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if !self.broken.is_empty() {
            Verdict::Broken
        } else if self.not_evaluated.is_empty() {
            Verdict::Verified
        } else {
            Verdict::NotEvaluated
        }
    }

    /// The findings of each kind, counted.
    #[must_use]
    pub fn counted(findings: &[Finding]) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for finding in findings {
            *counts.entry(finding.kind).or_default() += 1;
        }
        counts
    }

    pub(super) fn verified(&mut self, kind: &'static str) {
        *self.verified.entry(kind).or_default() += 1;
    }

    /// Counts what follows, of one round if one was asked for.
    pub(super) fn verified_of(&mut self, kind: &'static str, id: Option<ProposalId>) {
        if self.concerns(id) {
            self.verified(kind);
        }
    }

    pub(super) fn unverified(&mut self, what: &'static str) {
        *self.unverified.entry(what).or_default() += 1;
    }

    pub(super) fn broken(&mut self, finding: Finding) {
        if self.concerns(finding.proposal_id) {
            self.broken.push(finding);
        }
    }

    pub(super) fn not_evaluated(&mut self, finding: Finding) {
        if self.concerns(finding.proposal_id) {
            self.not_evaluated.push(finding);
        }
    }

    pub(super) fn waiting(&mut self, finding: Finding) {
        if self.concerns(finding.proposal_id) {
            self.waiting.push(finding);
        }
    }

    fn concerns(&self, id: Option<ProposalId>) -> bool {
        self.round.is_none_or(|round| id == Some(round))
    }
}
