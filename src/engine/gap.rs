//! Responses that are gone from the log before they were read.
//!
//! A round that may miss one of them escalates. Whether it may is a matter of times alone, so it
//! does not depend on what was read first.

use quorate_core::fault::{self, Fault};
use quorate_core::ids::{Offset, Timestamp};
use quorate_core::round::{ORPHAN_GRACE, OpenRound};
use quorate_core::topic::Topic;
use serde::{Deserialize, Serialize};

use super::partition::Partition;

/// A gap in the responses: rounds whose spans reach into it have lost input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Loss {
    below: Offset,
    /// Stream time of the last record read before the gap.
    since: Timestamp,
    /// Stream time of the first record read behind the gap.
    until: Option<Timestamp>,
}

impl Loss {
    /// Whether a round whose proposal has that stream time may miss a response, which may come
    /// the grace before it.
    pub(super) fn touches(&self, proposal_time: Timestamp) -> bool {
        let reaches = |until: Timestamp| proposal_time <= until.plus(ORPHAN_GRACE);
        self.until.is_none_or(reaches)
    }

    /// The last record that is gone, with the stream time before it.
    pub(super) fn place(&self) -> (Offset, Timestamp) {
        (Offset(self.below.0.saturating_sub(1)), self.since)
    }

    /// Marks a round that reaches into the gap, once it is known how far that reaches; says
    /// whether it does.
    pub(super) fn mark(&self, round: &mut OpenRound) -> bool {
        let opening = &round.opening;
        let reaches = self.touches(opening.proposal_time) && self.since <= opening.deadline;
        let marked = self.until.is_some() && reaches;
        if marked {
            round.lose_input();
        }
        marked
    }
}

impl Partition {
    pub(super) fn lose(&mut self, topic: Topic, below: Offset) {
        let clock = self.clocks.entry(topic).or_default();
        let unseen = fault::is_on(Fault::LossUnseen);
        if topic == Topic::Responses && clock.next < below && !unseen {
            // A gap that may still touch rounds to come becomes one with this one.
            let since = self.lost.map_or(clock.time, |earlier| earlier.since);
            self.lost = Some(Loss {
                below,
                since,
                until: None,
            });
        }
        clock.next = clock.next.max(below);
    }

    /// Forgets a gap that no round to come can reach into.
    pub(super) fn end_loss(&mut self) {
        let proposals = self.time(Topic::Proposals);
        self.lost = self.lost.filter(|lost| lost.touches(proposals));
    }

    /// Ends a gap at the first record read behind it, and marks the rounds that reach into it.
    pub(super) fn end_gap(&mut self, now: Timestamp) {
        let Some(lost) = self.lost.as_mut().filter(|lost| lost.until.is_none()) else {
            return;
        };
        lost.until = Some(now);
        let lost = *lost;
        for id in self.rounds.open_ids() {
            let live = self.rounds.live_mut(&id);
            let unsaved = live.filter(|live| live.upto < lost.below);
            if unsaved.is_some_and(|live| lost.mark(&mut live.round)) {
                self.rounds.touch(&id, lost.place());
            }
        }
    }
}
