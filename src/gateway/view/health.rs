//! What is late, waits or was refused, as far as it is known.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::ids::{Millis, Timestamp};

use super::Known;
use super::tags::Field;
use crate::telemetry::Read;

/// Things that are due at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Pending {
    pub(in crate::gateway) count: u64,
    /// Those that should be over by now.
    pub(in crate::gateway) overdue: u64,
    /// How long the first of these is.
    pub(in crate::gateway) most_overdue: Millis,
    /// How long the longest wait is; 0 where that is not looked at.
    pub(in crate::gateway) longest_wait: Millis,
}

impl Pending {
    fn take(&mut self, due: Timestamp, now: Timestamp) {
        let over = now.since(due);
        if over > Millis(0) {
            self.overdue += 1;
            self.most_overdue = self.most_overdue.max(over);
        }
    }
}

impl Known {
    /// How long ago the log was last known to be there and read to its end; none if it never was.
    pub(in crate::gateway) fn silent_for(&self) -> Option<Duration> {
        self.heard.map(|heard| heard.elapsed())
    }

    /// What was read, and how much of it is remembered.
    pub(in crate::gateway) fn read_so_far(&self) -> Read {
        let history = [
            self.policies.weight(),
            self.actions.weight(),
            self.tracks.weight(),
        ];
        Read {
            follows: self.follows(),
            records: self.records,
            bytes: vec![
                ("rounds", self.rounds.weight()),
                ("refused", self.letters.weight()),
                ("stream", self.streams.weight()),
                ("history", history.into_iter().sum()),
            ],
        }
    }

    /// The rounds that take responses, at a time.
    pub(in crate::gateway) fn open_rounds(&self, now: Timestamp) -> Pending {
        let mut pending = Pending::default();
        for deadline in self.rounds.open.deadlines() {
            pending.count += 1;
            pending.take(deadline, now);
        }
        pending
    }

    /// The rounds that wait for people, at a time.
    pub(in crate::gateway) fn escalated_rounds(&self, now: Timestamp) -> Pending {
        let mut pending = Pending::default();
        for waits in self.rounds.waiting() {
            pending.count += 1;
            if let Some(waits) = waits {
                pending.take(waits.due, now);
                pending.longest_wait = pending.longest_wait.max(now.since(waits.since));
            }
        }
        pending
    }

    /// How much was refused since a time, by code.
    pub(in crate::gateway) fn refused_since(&self, from: Timestamp) -> BTreeMap<String, u64> {
        let letters = self.letters.before(None);
        let mut counts = BTreeMap::new();
        for (_, item) in letters.take_while(|((at, ..), _)| *at >= from) {
            let code = item.tags.first(Field::Reason).unwrap_or_default();
            *counts.entry(code.to_owned()).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::records::RoundState;

    use super::*;
    use crate::gateway::told::{ID, OTHER, Told};

    #[test]
    fn what_is_past_its_deadline_is_told_from_what_is_not() {
        let mut told = Told::new();
        told.round(ID, RoundState::Open, 1);
        told.round(OTHER, RoundState::Open, 500);
        let at = |now| told.view.known().open_rounds(Timestamp(now));
        let none = Pending {
            count: 2,
            ..Pending::default()
        };
        assert_eq!(at(1_001), none, "not before it has passed");
        let one = Pending {
            overdue: 1,
            most_overdue: Millis(499),
            ..none
        };
        assert_eq!(at(1_500), one);
        assert_eq!(at(1_501).overdue, 2);
    }

    #[test]
    fn what_was_refused_before_is_not_counted() {
        let mut told = Told::new();
        told.refuse(1, 10);
        told.refuse(2, 20);
        told.refuse(3, 30);
        let known = told.view.known();
        let codes = known.refused_since(Timestamp(20));
        assert_eq!(codes, BTreeMap::from([("reasoning_missing".to_owned(), 2)]));
        assert!(known.refused_since(Timestamp(31)).is_empty());
    }
}
