//! Responses that were read before their proposals.

use std::collections::BTreeMap;

use quorate_core::ids::{Offset, ProposalId, Timestamp};
use quorate_core::round::ORPHAN_GRACE;
use serde::{Deserialize, Serialize};

use super::kept::Kept;

/// Responses that may wait before reading pauses.
const ORPHANS_MAX: usize = 20_000;
/// Their bytes.
const ORPHAN_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What waits, by proposal and by offset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Orphans {
    by_proposal: BTreeMap<ProposalId, Vec<Kept>>,
    by_offset: BTreeMap<Offset, (Timestamp, ProposalId)>,
    bytes: usize,
}

impl Orphans {
    pub(super) fn wait(&mut self, id: ProposalId, kept: Kept) {
        self.bytes += kept.bytes();
        self.by_offset.insert(kept.offset, (kept.time, id));
        self.by_proposal.entry(id).or_default().push(kept);
    }

    /// Takes what waits for a proposal, in offset order.
    pub(super) fn take(&mut self, id: ProposalId) -> Vec<Kept> {
        let taken = self.by_proposal.remove(&id).unwrap_or_default();
        for kept in &taken {
            self.by_offset.remove(&kept.offset);
            self.bytes = self.bytes.saturating_sub(kept.bytes());
        }
        taken
    }

    /// Takes the first one that no proposal at that stream time or later can be for.
    pub(super) fn take_expired(&mut self, proposals_time: Timestamp) -> Option<Kept> {
        let (&offset, &(time, id)) = self.by_offset.first_key_value()?;
        if proposals_time <= time.plus(ORPHAN_GRACE) {
            return None;
        }
        self.by_offset.remove(&offset);
        let waiting = self.by_proposal.get_mut(&id)?;
        let at = waiting.iter().position(|kept| kept.offset == offset)?;
        let kept = waiting.remove(at);
        if waiting.is_empty() {
            self.by_proposal.remove(&id);
        }
        self.bytes = self.bytes.saturating_sub(kept.bytes());
        Some(kept)
    }

    /// The first one's place; stream time grows with the offset, so it also expires first.
    pub(super) fn first(&self) -> Option<(Offset, Timestamp)> {
        self.by_offset
            .first_key_value()
            .map(|(offset, (time, _))| (*offset, *time))
    }

    /// The stream time of `acp.proposals` after which the first one is refused.
    pub(super) fn first_expiry(&self) -> Option<Timestamp> {
        self.first().map(|(_, time)| time.plus(ORPHAN_GRACE))
    }

    /// Where each lies, and which proposal it waits for.
    pub(super) fn all(&self) -> impl Iterator<Item = (Offset, ProposalId)> {
        let all = self.by_offset.iter();
        all.map(|(offset, (_, id))| (*offset, *id))
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_offset.len() > ORPHANS_MAX || self.bytes > ORPHAN_BYTES_MAX
    }
}
