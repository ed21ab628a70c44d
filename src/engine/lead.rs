//! Where the stream time of the responses moved while it ran ahead of the proposals'.
//!
//! A proposal that is read late may have a deadline the responses have passed. Its round closes
//! where they passed it, as if it had been read in time, and not where they happen to stand. This
//! is a memory, not state: after a restart the round closes at the last response read, and its
//! coordinates say so.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use quorate_core::ids::{Offset, Timestamp};

/// Moves that are remembered; beyond them the earliest are forgotten first.
const MOVES_MAX: usize = 1 << 16;

/// The moves of the responses' stream time past the proposals'.
#[derive(Clone, Debug, Default)]
pub(super) struct Lead {
    moves: BTreeMap<Timestamp, Offset>,
}

impl Lead {
    /// Notes that a record moved the stream time of the responses.
    pub(super) fn note(&mut self, time: Timestamp, offset: Offset) {
        self.moves.entry(time).or_insert(offset);
        if self.moves.len() > MOVES_MAX {
            self.moves.pop_first();
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_move_past_a_deadline_is_found_until_the_proposals_pass_it() {
        let mut lead = Lead::default();
        for (time, offset) in [(10, 0), (20, 4), (20, 5), (30, 9)] {
            lead.note(Timestamp(time), Offset(offset));
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
    fn what_is_remembered_is_bounded() {
        let mut lead = Lead::default();
        for time in 0..100_000 {
            lead.note(Timestamp(time), Offset(time));
        }
        assert_eq!(lead.moves.len(), MOVES_MAX);
    }
}
