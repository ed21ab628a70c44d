//! Where the stream time of the responses moved while it ran ahead of the proposals'.
//!
//! A proposal that is read late may have a deadline the responses have passed. Its round closes
//! where they passed it, as if it had been read in time, and not where they happen to stand: due
//! times and result windows begin there. Responses are read again from the first move, so a restart
//! forgets none; a tick of the proposals, and pausing the responses, bound how many there are.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use quorate_core::ids::{Offset, Timestamp};
use serde::{Deserialize, Serialize};

/// Moves beyond which the proposals want a tick.
const TICK_ABOVE: usize = 1 << 12;
/// Moves beyond which reading responses pauses.
const PAUSE_ABOVE: usize = 1 << 16;

/// The moves of the responses' stream time past the proposals'.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lead {
    moves: BTreeMap<Timestamp, Offset>,
}

impl Lead {
    /// Notes the stream time of the responses at a record, unless the proposals have passed it.
    pub(super) fn note(&mut self, time: Timestamp, offset: Offset, proposals: Timestamp) {
        if time > proposals {
            self.moves.entry(time).or_insert(offset);
        }
    }

    /// Forgets what no proposal of that stream time or later can have for a deadline.
    pub(super) fn forget(&mut self, proposals: Timestamp) {
        while self
            .moves
            .first_key_value()
            .is_some_and(|(time, _)| *time <= proposals)
        {
            self.moves.pop_first();
        }
    }

    /// The first record known whose stream time is past a deadline.
    pub(super) fn first_past(&self, deadline: Timestamp) -> Option<(Offset, Timestamp)> {
        let (time, offset) = self.moves.range((Excluded(deadline), Unbounded)).next()?;
        Some((*offset, *time))
    }

    /// The first record remembered.
    pub(super) fn first(&self) -> Option<(Offset, Timestamp)> {
        let (time, offset) = self.moves.first_key_value()?;
        Some((*offset, *time))
    }

    /// The time proposals should pass, where so much is remembered that a tick is worth it.
    pub(super) fn wants_tick(&self) -> Option<Timestamp> {
        let many = self.moves.len() > TICK_ABOVE;
        self.first().filter(|_| many).map(|(_, time)| time)
    }

    /// Whether responses are as far ahead as they may be.
    pub(super) fn is_full(&self) -> bool {
        self.moves.len() > PAUSE_ABOVE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_move_past_a_deadline_is_found_until_the_proposals_pass_it() {
        let mut lead = Lead::default();
        for (time, offset) in [(10, 0), (20, 4), (20, 5), (30, 9)] {
            lead.note(Timestamp(time), Offset(offset), Timestamp(9));
        }
        assert_eq!(
            lead.first_past(Timestamp(10)),
            Some((Offset(4), Timestamp(20)))
        );
        lead.forget(Timestamp(20));
        assert_eq!(
            lead.first_past(Timestamp(10)),
            Some((Offset(9), Timestamp(30)))
        );
        assert_eq!(lead.first_past(Timestamp(30)), None);
    }

    #[test]
    fn a_long_lead_wants_a_tick_and_then_a_pause() {
        let mut lead = Lead::default();
        let (mut wanted, mut at) = (None, 0);
        while !lead.is_full() {
            at += 1;
            lead.note(Timestamp(at), Offset(at), Timestamp(0));
            wanted = wanted.or_else(|| lead.wants_tick().map(|time| (at, time)));
        }
        assert_eq!(wanted, Some((4_097, Timestamp(1))));
        assert_eq!(at, 65_537);
    }
}
