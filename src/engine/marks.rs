//! Where the last records of open and escalated rounds lie in `acp.rounds`, at least.
//!
//! A restart reads from the first of them: what lies below needs no more than to be known.

use std::collections::BTreeSet;

use foldhash::HashMap;
use quorate_core::ids::{Offset, ProposalId};

use super::refresh::Behind;

/// A lower bound for each round that is not closed.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    next: Offset,
    of: HashMap<ProposalId, Offset>,
    order: BTreeSet<(Offset, ProposalId)>,
}

impl Marks {
    /// Says that records to come will not lie below an offset.
    pub(super) fn set_next(&mut self, next: Offset) {
        self.next = next;
    }

    /// Notes that a round is being written, unless an earlier record of it is the last one still.
    pub(super) fn keep(&mut self, id: ProposalId) {
        if !self.of.contains_key(&id) {
            self.renew(id);
        }
    }

    /// Notes that a round is being written.
    pub(super) fn renew(&mut self, id: ProposalId) {
        self.drop(&id);
        self.of.insert(id, self.next);
        self.order.insert((self.next, id));
    }

    /// Forgets a round: it is closed, or gone.
    pub(super) fn drop(&mut self, id: &ProposalId) {
        if let Some(at) = self.of.remove(id) {
            self.order.remove(&(at, *id));
        }
    }

    /// Where to read from so that no round is missed.
    pub(super) fn low(&self) -> Offset {
        self.order.first().map_or(self.next, |(at, _)| *at)
    }

    /// The rounds whose marks lie too far back.
    pub(super) fn behind(&self, limit: &Behind) -> impl Iterator<Item = ProposalId> {
        let allowed = limit.rounds + limit.each * self.of.len();
        let allowed = i64::try_from(allowed).unwrap_or(i64::MAX);
        let old = move |(at, _): &&(Offset, ProposalId)| self.next.0.saturating_sub(at.0) > allowed;
        self.order.iter().take_while(old).map(|(_, id)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_low_water_is_the_first_record_of_a_round_that_is_not_closed() {
        let id = |n| ProposalId::from_bytes([n; 16]);
        let mut marks = Marks::default();
        for (n, at) in [(1, 3), (2, 5), (3, 5)] {
            marks.set_next(Offset(at));
            marks.keep(id(n));
        }
        marks.set_next(Offset(9));
        marks.keep(id(1));
        assert_eq!(marks.low(), Offset(3));
        marks.set_next(Offset(13));
        let behind = |rounds| Behind {
            responses: 0,
            rounds,
            each: 2,
        };
        assert_eq!(marks.behind(&behind(3)).collect::<Vec<_>>(), [id(1)]);
        assert_eq!(marks.behind(&behind(4)).count(), 0);
        marks.renew(id(1));
        assert_eq!(marks.low(), Offset(5));
        marks.drop(&id(2));
        marks.drop(&id(3));
        assert_eq!(marks.low(), Offset(13));
        marks.drop(&id(1));
        assert_eq!(marks.low(), Offset(13));
    }
}
