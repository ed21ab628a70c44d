//! The last records of the topics that can be followed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use axum::body::Bytes;
use quorate_core::ids::{Millis, ProposalId, Timestamp};
use quorate_core::topic::Topic;
use tokio::sync::watch;

use super::recent::{Cursor, Entry, Forgotten, Position, Recent};
use super::tags::{Filter, Item};
use super::taken::Came;
use super::{Known, View};

/// What can be followed.
pub(super) const TOPICS: [Topic; 7] = [
    Topic::Rounds,
    Topic::Outcomes,
    Topic::Escalations,
    Topic::Agents,
    Topic::Policies,
    Topic::Trust,
    Topic::DeadLetters,
];
/// For how long, by append times, an outcome waits for its round.
pub(super) const PARKED_MAX: Millis = Millis(5_000);
/// How many outcomes of a partition wait at most.
const PARKED_COUNT_MAX: usize = 1_024;

/// The last records of topics.
#[derive(Debug)]
pub(super) struct Streams {
    recent: BTreeMap<Topic, Recent>,
    /// Outcomes that were read before their rounds: topics race.
    parked: BTreeMap<i32, VecDeque<Parked>>,
}

/// An outcome that waits for its round.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) id: ProposalId,
    pub(super) value: Bytes,
    pub(super) came: Came,
    pub(super) at: Timestamp,
    pub(super) offset: i64,
}

impl Streams {
    /// Nothing, and about how many bytes of each topic may be remembered.
    pub(super) fn new(bound: usize) -> Self {
        let recent = TOPICS.map(|topic| (topic, Recent::new(bound)));
        Self {
            recent: recent.into(),
            parked: BTreeMap::new(),
        }
    }

    /// About how many bytes are remembered.
    pub(super) fn weight(&self) -> usize {
        self.recent.values().map(Recent::weight).sum()
    }

    pub(super) fn begin(&mut self, topic: Topic, partition: i32, offset: i64) {
        if let Some(recent) = self.recent.get_mut(&topic) {
            recent.begin(partition, offset);
        }
    }

    /// Takes a record, or that there is one that cannot be told.
    pub(super) fn push(&mut self, topic: Topic, place: (i32, i64), item: Option<Item>) {
        let (partition, offset) = place;
        let Some(recent) = self.recent.get_mut(&topic) else {
            return;
        };
        match item {
            Some(item) => recent.push(partition, offset, item),
            None => recent.lose(partition, offset),
        }
    }

    /// Has an outcome wait for its turn.
    pub(super) fn park(&mut self, partition: i32, outcome: Parked) {
        self.parked.entry(partition).or_default().push_back(outcome);
    }

    /// The outcomes that need not wait any more, each partition's in order.
    pub(super) fn release(&mut self, may_go: impl Fn(&Parked) -> bool) -> Vec<(i32, Parked)> {
        let mut released = Vec::new();
        self.parked.retain(|partition, waiting| {
            while let Some(outcome) = waiting.pop_front() {
                if !may_go(&outcome) && waiting.len() < PARKED_COUNT_MAX {
                    waiting.push_front(outcome);
                    break;
                }
                released.push((*partition, outcome));
            }
            !waiting.is_empty()
        });
        released
    }

    /// The number of the next record of a topic.
    pub(super) fn end(&self, topic: Topic) -> u64 {
        self.recent.get(&topic).map_or(0, Recent::end)
    }
}

impl View {
    /// A way to wait for more of a topic.
    pub(in crate::gateway) fn news_of(&self, topic: Topic) -> watch::Receiver<u64> {
        let news = self.news_of.get(&topic).unwrap_or(&self.news);
        news.subscribe()
    }
}

impl Known {
    /// Up to where a topic is told.
    pub(in crate::gateway) fn position(&self, topic: Topic, partitions: i32) -> Position {
        let count = if topic.is_table() { 1 } else { partitions };
        let next = |partition| {
            let parked = self.streams.parked.get(&partition);
            let parked = parked.filter(|_| topic == Topic::Outcomes);
            let first = parked.and_then(|waiting| waiting.front());
            let next = || self.next(topic, partition).unwrap_or(0);
            first.map_or_else(next, |first| first.offset)
        };
        Position((0..count).map(next).collect())
    }

    /// Somebody who follows a topic from a position on.
    ///
    /// # Errors
    /// [`Forgotten`] if something after it is.
    pub(in crate::gateway) fn follow(
        &self,
        topic: Topic,
        position: Position,
    ) -> Result<Cursor, Forgotten> {
        let recent = self.streams.recent.get(&topic).ok_or(Forgotten)?;
        recent.follow(position)
    }

    /// Whether somebody has looked at all there is of a topic.
    pub(in crate::gateway) fn is_at_end(&self, topic: Topic, cursor: &Cursor) -> bool {
        cursor.next >= self.streams.end(topic)
    }

    /// What comes next for somebody who follows a topic, each with the position after it.
    ///
    /// # Errors
    /// [`Forgotten`] if that is.
    pub(in crate::gateway) fn read(
        &self,
        topic: Topic,
        cursor: &mut Cursor,
        filter: &Filter,
        count: usize,
    ) -> Result<Vec<(Arc<Entry>, String)>, Forgotten> {
        let recent = self.streams.recent.get(&topic).ok_or(Forgotten)?;
        recent.read(cursor, filter, count)
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::records::RoundState;

    use super::super::tags::Field;
    use super::*;
    use crate::gateway::told::{ID, OTHER, Told};

    #[test]
    fn an_outcome_that_is_read_before_its_round_is_told_after_it_and_in_its_turn() {
        let mut told = Told::new();
        told.view.begin(Topic::Outcomes, 0, 0, None);
        let mut filter = Filter::default();
        filter.and(Field::Domain, "pay".to_owned());
        let start = told.view.known().position(Topic::Outcomes, 1);
        let mut cursor = told.view.known().follow(Topic::Outcomes, start).unwrap();
        let mut heard = |told: &Told| {
            let known = told.view.known();
            let found = known
                .read(Topic::Outcomes, &mut cursor, &filter, 9)
                .unwrap();
            found.len()
        };
        told.round(OTHER, RoundState::Open, 1);
        let first = told.outcome(ID, 1);
        told.outcome(OTHER, 1);
        assert_eq!(heard(&told), 0, "nobody knows of which domain the first is");
        let position = told.view.known().position(Topic::Outcomes, 1);
        assert_eq!(
            position,
            Position(vec![first]),
            "a page does not have it yet"
        );
        told.round(ID, RoundState::Open, 2);
        assert_eq!(heard(&told), 2);
        // One whose round does not come is let go after a while, and not left out in silence.
        told.outcome(ProposalId::from_bytes([1; 16]), 3);
        told.outcome(ID, 4);
        assert_eq!(heard(&told), 0);
        told.round(OTHER, RoundState::Open, 3 + PARKED_MAX.0);
        assert_eq!(heard(&told), 1);
        let known = told.view.known();
        let again = known.follow(Topic::Outcomes, Position(vec![first]));
        assert_eq!(again.unwrap_err(), Forgotten);
    }
}
