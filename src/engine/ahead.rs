//! Proposals read ahead of the responses: rounds that nobody can have answered yet.
//!
//! Topics are read side by side, and one that is shorter or faster would open every round it holds
//! before the first response is read. It decides nothing, but it fills memory, so that proposals
//! are held back until the responses have come as far.

use std::collections::VecDeque;

use quorate_core::ids::Timestamp;
use serde::{Deserialize, Serialize};

/// Rounds ahead of the responses at which proposals are held back.
const FULL: usize = 6_144;
/// Rounds ahead at which they are read again.
const ENOUGH: usize = 3_072;

/// The stream times of `acp.proposals` at which rounds were opened that responses have not reached.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Ahead {
    opened: VecDeque<Timestamp>,
    full: bool,
}

impl Ahead {
    /// Notes that a round was opened, at the stream times of proposals and responses.
    pub(super) fn open(&mut self, proposals: Timestamp, responses: Timestamp) {
        if proposals > responses {
            self.opened.push_back(proposals);
            self.full |= self.opened.len() > FULL;
        }
    }

    /// Notes how far the responses have come.
    pub(super) fn pass(&mut self, responses: Timestamp) {
        while self.opened.front().is_some_and(|at| *at <= responses) {
            self.opened.pop_front();
        }
        self.full &= self.opened.len() > ENOUGH;
    }

    /// Whether proposals should not be read for now.
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }

    /// The time responses must pass for more proposals to be read: where they are silent, nobody
    /// answers, and a tick says so.
    pub(super) fn wants_tick(&self) -> Option<Timestamp> {
        self.opened.back().filter(|_| self.full).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_are_held_back_until_responses_have_come_as_far() {
        let mut ahead = Ahead::default();
        let far = i64::try_from(FULL).unwrap() + 1;
        for time in 1..=far {
            assert!(!ahead.is_full());
            ahead.open(Timestamp(time), Timestamp(0));
        }
        assert!(ahead.is_full());
        assert_eq!(ahead.wants_tick(), Some(Timestamp(far)));
        let near = far - i64::try_from(ENOUGH).unwrap();
        ahead.pass(Timestamp(near - 1));
        assert!(ahead.is_full());
        ahead.pass(Timestamp(near));
        assert!(!ahead.is_full());
        assert_eq!(ahead.wants_tick(), None);
    }

    #[test]
    fn rounds_the_responses_have_reached_are_not_ahead() {
        let mut ahead = Ahead::default();
        for _ in 0..2 * FULL {
            ahead.open(Timestamp(5), Timestamp(5));
        }
        assert!(!ahead.is_full());
    }
}
