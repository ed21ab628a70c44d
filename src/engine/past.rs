//! The rounds that have closed: kept until results can no longer come, decoded when one does.
//!
//! After a restart those below the low-water of `acp.rounds` are not known at first; what is known
//! of a round from elsewhere is newer than what the index has of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_core::ids::{Digest, ProposalId, Timestamp};
use quorate_core::records::{Policy, Round};

use super::rounds::Ended;
use crate::store::Store;

/// Every closed round the partition knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    rounds: Box<dyn Store>,
    policies: BTreeMap<Digest, Arc<Policy>>,
    /// When each is forgotten.
    over: BTreeSet<(Timestamp, ProposalId)>,
    /// Until every closed round is known: those whose last records the index does not have.
    newer: Option<BTreeSet<ProposalId>>,
}

impl PartialEq for Past {
    /// Policies are what was come by, and follow from the rounds.
    fn eq(&self, other: &Self) -> bool {
        let rounds = self.rounds.all().eq(other.rounds.all());
        rounds && self.over == other.over && self.newer == other.newer
    }
}

impl Past {
    /// Keeps a round that has just closed, or changed.
    pub(super) fn put(&mut self, ended: &Ended) {
        self.note_newer(ended.round.proposal_id);
        self.index(ended);
    }

    /// Keeps a round as the index has it.
    pub(super) fn index(&mut self, ended: &Ended) {
        if let Some(over) = ended.forgotten() {
            self.over.insert((over, ended.round.proposal_id));
        }
        let digest = ended.round.opening.policy_digest;
        let policy = self.policies.entry(digest);
        policy.or_insert_with(|| Arc::clone(&ended.policy));
        self.rounds.put(&ended.round);
    }

    /// A round as it was kept.
    pub(super) fn get(&self, id: &ProposalId) -> Option<Ended> {
        let round = self.rounds.get(id)?;
        let policy = self.policies.get(&round.opening.policy_digest)?;
        Some(Ended::recorded(round, Arc::clone(policy)))
    }

    /// Every round that is kept, by id.
    pub(super) fn all(&self) -> impl Iterator<Item = Round> {
        self.rounds.all()
    }

    pub(super) fn contains(&self, id: &ProposalId) -> bool {
        self.rounds.contains(id)
    }

    /// Takes a round out, to be changed and put back, or forgotten.
    pub(super) fn take(&mut self, id: &ProposalId) -> Option<Ended> {
        let ended = self.get(id)?;
        self.rounds.remove(id);
        if let Some(over) = ended.forgotten() {
            self.over.remove(&(over, *id));
        }
        Some(ended)
    }

    /// When the first round is forgotten.
    pub(super) fn first_over(&self) -> Option<Timestamp> {
        self.over.first().map(|(time, _)| *time)
    }

    /// Forgets rounds whose time is over, in order of that time, but those something waits for.
    pub(super) fn forget_before(
        &mut self,
        now: Timestamp,
        awaited: &BTreeSet<ProposalId>,
    ) -> Vec<ProposalId> {
        let over = self.over.iter().take_while(|(time, _)| *time < now);
        let over: Vec<_> = over
            .filter(|(_, id)| !awaited.contains(id))
            .copied()
            .collect();
        for forgotten in &over {
            self.over.remove(forgotten);
            self.rounds.remove(&forgotten.1);
        }
        over.into_iter().map(|(_, id)| id).collect()
    }

    /// Says that closed rounds are still to be indexed.
    pub(super) fn expect_index(&mut self) {
        self.newer = Some(BTreeSet::new());
    }

    /// Says that every closed round is known.
    pub(super) fn end_index(&mut self) {
        self.newer = None;
    }

    /// Whether every closed round is known.
    pub(super) const fn is_indexed(&self) -> bool {
        self.newer.is_none()
    }

    /// Whether what the index has of a round may be the last that is known of it.
    pub(super) fn may_index(&self, id: &ProposalId) -> bool {
        self.newer.as_ref().is_some_and(|newer| !newer.contains(id))
    }

    /// Notes that the index, while it is being filled, does not have a round's last record.
    pub(super) fn note_newer(&mut self, id: ProposalId) {
        if let Some(newer) = &mut self.newer {
            newer.insert(id);
        }
    }

    /// Whether a round is known as its last record has it.
    pub(super) fn knows(&self, id: &ProposalId) -> bool {
        let last = self.newer.as_ref().is_none_or(|newer| newer.contains(id));
        last && self.contains(id)
    }
}
