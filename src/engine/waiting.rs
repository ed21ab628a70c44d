//! What was read and cannot be judged yet, for whoever looks on; it decides nothing.

use quorate_core::ids::{Offset, ProposalId};
use quorate_core::topic::Topic;

use super::kept::Kept;
use super::partition::Partition;

/// A record that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its topic.
    pub topic: Topic,
    /// Its offset.
    pub offset: Offset,
    /// The round its key names.
    pub id: Option<ProposalId>,
    /// What has to come before it can be judged.
    pub until: &'static str,
}

impl Partition {
    /// The records that wait: responses for their proposals, decisions and results for the
    /// responses that may bear on them, results for the last outcomes of escalated rounds.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        let orphans = self.orphans.all().map(|(offset, id)| Waiting {
            topic: Topic::Responses,
            offset,
            id: Some(id),
            until: "its proposal comes, or the proposals pass its time by the grace",
        });
        // Ticks and what was refused wait for their place in time alone.
        let queued = self.decisions.iter().chain(&self.results);
        let queued = queued.filter(|kept| kept.value.is_some());
        let queued = queued.map(|kept| Waiting {
            topic: kept.topic,
            offset: kept.offset,
            id: self.round_of(kept),
            until: self.until(kept),
        });
        let parked = self.rounds.parked.iter().map(|(offset, _, id)| Waiting {
            topic: Topic::Results,
            offset: *offset,
            id: Some(*id),
            until: "its escalated round has its last outcome",
        });
        orphans.chain(queued).chain(parked).collect()
    }

    /// What a queued record waits for.
    fn until(&self, kept: &Kept) -> &'static str {
        if self.time(Topic::Responses) <= kept.timestamp {
            "the responses have been read past its time"
        } else if self.can_judge(kept) {
            "what lies before it is judged"
        } else {
            "its proposal comes, or the proposals pass its time"
        }
    }
}
